/*
 * smb2_create_file.c - CREATE's file: finding it, judging the access, opening or making it (MS-FSA 2.1.5.1.1,
 * 2.1.5.1.2).
 *
 * `file` is the file or directory of the path, `inode` what is opened: the same, or one of its streams. All
 * that is said of rights and attributes is the file's.
 */
#include "smb/smb2_create_priv.h"
#include "smb/smb2_grants.h"
#include "smb/smb2_file_priv.h"
#include "dittofs/arena.h"

#include <string.h>

enum { FILE_MODE = 0644, DIRECTORY_MODE = 0755 };

/* ---- judging ---- */

static bool overwrites(uint32_t disposition)
{
    return disposition == SMB2_FILE_SUPERSEDE || disposition == SMB2_FILE_OVERWRITE ||
           disposition == SMB2_FILE_OVERWRITE_IF;
}

static bool makes(uint32_t disposition)
{
    return disposition != SMB2_FILE_OPEN && disposition != SMB2_FILE_OVERWRITE;
}

/* The access to grant on what is there. What a disposition needs is asked for, and not granted. */
static uint32_t judge_access(struct smb2_create *create, const struct inode_attr *attr, uint32_t *granted_r)
{
    uint32_t wanted = create->access, needed = 0;

    create->maximal = vfs_rights(&create->request->context, create->file, create->place.dir);
    if (wanted & SMB2_MAXIMUM_ALLOWED) {
        uint32_t most = create->maximal;

        if ((attr->dos_attributes & SMB2_ATTRIBUTE_READONLY) && attr->type != INODE_DIRECTORY)
            most &= ~(uint32_t)(SMB2_ACCESS_ANY_WRITE | SMB2_ACCESS_DELETE_CHILD);
        wanted = (wanted & ~(uint32_t)SMB2_MAXIMUM_ALLOWED) | most;
    }
    if (overwrites(create->disposition))
        needed =
            SMB2_ACCESS_WRITE_DATA | (create->disposition == SMB2_FILE_SUPERSEDE ? SMB2_ACCESS_DELETE : 0);
    if ((wanted | needed) & ~create->maximal)
        return STATUS_ACCESS_DENIED;
    *granted_r = wanted;
    return STATUS_SUCCESS;
}

/* MS-FSA 2.1.5.1.2.1: of what is hidden or of the system, what replaces it must say so, too. */
static bool changes_kind(const struct smb2_create *create, const struct inode_attr *attr)
{
    const uint32_t kinds = SMB2_ATTRIBUTE_HIDDEN | SMB2_ATTRIBUTE_SYSTEM;

    return (attr->dos_attributes & kinds & ~create->attributes) != 0;
}

/* Does the path name what is there, a file or a directory? */
static uint32_t judge_type(const struct smb2_create *create, bool is_directory)
{
    bool of_stream = create->place.stream_length > 0;

    if (of_stream)
        return create->options & SMB2_OPTION_DIRECTORY ? STATUS_NOT_A_DIRECTORY : STATUS_SUCCESS;
    if (create->place.is_data && (create->options & SMB2_OPTION_DIRECTORY))
        return STATUS_NOT_A_DIRECTORY;
    if (is_directory && ((create->options & SMB2_OPTION_NON_DIRECTORY) || create->place.is_data))
        return STATUS_FILE_IS_A_DIRECTORY;
    if (!is_directory && ((create->options & SMB2_OPTION_DIRECTORY) || create->place.is_index))
        return STATUS_NOT_A_DIRECTORY;
    return STATUS_SUCCESS;
}

static uint32_t judge_there(struct smb2_create *create, const struct inode_attr *attr)
{
    bool of_stream = create->place.stream_length > 0;
    bool is_directory = attr->type == INODE_DIRECTORY && !of_stream;
    uint32_t access = create->access & ~(uint32_t)SMB2_MAXIMUM_ALLOWED;

    if (create->disposition == SMB2_FILE_CREATE)
        return STATUS_OBJECT_NAME_COLLISION;
    if (is_directory && overwrites(create->disposition))
        return create->disposition == SMB2_FILE_OVERWRITE ? STATUS_INVALID_PARAMETER
                                                          : STATUS_OBJECT_NAME_COLLISION;
    if (!is_directory && overwrites(create->disposition) && !of_stream && changes_kind(create, attr))
        return STATUS_ACCESS_DENIED;
    if ((attr->dos_attributes & SMB2_ATTRIBUTE_READONLY) && !is_directory &&
        ((access & SMB2_ACCESS_ANY_WRITE) || overwrites(create->disposition)))
        return STATUS_ACCESS_DENIED;
    if ((attr->dos_attributes & SMB2_ATTRIBUTE_READONLY) && (create->options & SMB2_OPTION_DELETE_ON_CLOSE))
        return STATUS_CANNOT_DELETE;
    return STATUS_SUCCESS;
}

/* MS-FSA 2.1.5.1: a reparse point is opened as such, or by those who know what it stands for. */
static uint32_t judge_reparse(struct smb2_create *create, const struct inode_attr *attr)
{
    uint32_t tag = smb2__reparse_tag(create->file, attr);

    if (tag == 0 || (create->options & SMB2_OPTION_OPEN_REPARSE_POINT))
        return STATUS_SUCCESS;
    if (attr->type == INODE_SYMLINK)
        return smb2__reparse_stop(create->request, create->file, 0);
    return STATUS_IO_REPARSE_TAG_NOT_HANDLED;
}

/* ---- caching grants of others ---- */

/* MS-FSA 2.1.4.12, OPEN: who only looks at attributes disturbs nobody's cache; with a lease's holder he may
 * look at the security, too. */
static bool disturbs(const struct smb2_create *create, uint32_t access)
{
    uint32_t harmless = SMB2_ACCESS_READ_ATTRIBUTES | SMB2_ACCESS_WRITE_ATTRIBUTES | SMB2_ACCESS_SYNCHRONIZE;

    if (!smb2__has_oplock(create->request->message->server, create->request->tree, create->inode))
        harmless |= SMB2_ACCESS_READ_CONTROL;
    return overwrites(create->disposition) || (access & ~harmless) != 0;
}

/* Others' caching grants that are in the way of an open with ACCESS. */
static uint32_t break_grants(struct smb2_create *create, uint32_t access)
{
    struct smb2_request *request = create->request;
    enum err err;

    if (smb2__file_is_going(request->message->server, create->file, create->inode))
        return STATUS_DELETE_PENDING;
    if (!disturbs(create, access))
        return STATUS_SUCCESS;
    err = vfs_conflict_open(&request->context, create->inode, smb2__share_access(access),
                            smb2__share_access(access) != 0 ? smb2__share_deny(create->share) : 0,
                            overwrites(create->disposition), NULL);
    /* It is as good as the disposition that it will be. */
    if (err == ERR_OK && (create->options & SMB2_OPTION_DELETE_ON_CLOSE))
        err = vfs_conflict_names(&request->context, create->inode, NULL);
    if (err == ERR_DELAY && (create->options & SMB2_OPTION_COMPLETE_IF_OPLOCKED)) {
        create->does_not_wait = true;
        request->context.tells_only = true;
        grant_wait_cancel(&request->grants);
        err = ERR_OK;
    }
    return smb2__status(err);
}

/* MS-FSA 2.1.5.1.2: a caching grant, or no open: who has it open is not to be disturbed. */
static uint32_t check_required_oplock(const struct smb2_create *create)
{
    const struct smb2_request *request = create->request;
    const struct state_file *file;
    struct inode_attr attr;

    if (!(create->options & SMB2_OPTION_REQUIRING_OPLOCK))
        return STATUS_SUCCESS;
    vfs_getattr(create->inode, &attr);
    file = state_file_find(request->message->server->state, request->tree->export_id, attr.ino);
    return file != NULL && open_next_of_file(file, NULL) != NULL ? STATUS_OPLOCK_NOT_GRANTED : STATUS_SUCCESS;
}

static struct smb2_open_wish open_wish(const struct smb2_create *create, uint32_t access)
{
    return (struct smb2_open_wish){.inode = create->inode,
                                   .base = create->inode != create->file ? create->file : NULL,
                                   .access = access,
                                   .share = create->share,
                                   .lease_key = create->lease.version != 0 ? create->lease.key : NULL,
                                   .parent_key = create->lease.has_parent ? create->lease.parent : NULL};
}

/* ---- opening ---- */

static bool drop_stream(void *data, struct store_name name, struct inode *stream)
{
    struct store_name *first = data;

    (void)stream;
    memcpy((void *)(uintptr_t)first->bytes, name.bytes, name.length);
    first->length = name.length;
    return false;
}

/* MS-FSA 2.1.5.1.2: what is replaced loses its streams. */
static enum err drop_streams(struct smb2_create *create, struct inode *file)
{
    uint8_t bytes[STORE_NAME_MAX];
    struct store_name first;
    enum err err;

    do {
        first = (struct store_name){.bytes = bytes, .length = 0};
        err = vfs_stream_list(&create->request->context, file, drop_stream, &first);
        if (err == ERR_OK && first.length > 0)
            err = vfs_stream_remove(&create->request->context, file, first);
    } while (err == ERR_OK && first.length > 0);
    return err;
}

static uint32_t replace(struct smb2_create *create, struct smb2_open *open)
{
    struct smb2_request *request = create->request;
    struct vfs_context *context = &request->context;
    struct vfs_setattr size = {.set = VFS_SET_SIZE}, attributes = {.set = VFS_SET_DOS_ATTRIBUTES};
    struct inode_attr attr;
    uint32_t status = STATUS_SUCCESS;
    enum err err;

    vfs_getattr(create->file, &attr);
    attributes.dos_attributes = (create->attributes & SMB2_ATTRIBUTE_SETTABLE) | SMB2_ATTRIBUTE_ARCHIVE |
                                (attr.dos_attributes & ~(uint32_t)SMB2_ATTRIBUTE_SETTABLE);
    context->owner = owner_id(open->owner);
    context->by_handle = context->ignores_ranges = true;
    smb2__open_grants(open, context);
    err = vfs_setattr(context, open->inode, &size, NULL, true);
    if (err == ERR_OK && open->base == NULL) {
        err = vfs_setattr(context, open->inode, &attributes, NULL, true);
        if (err == ERR_OK)
            err = drop_streams(create, open->inode);
        if (err == ERR_OK && create->has_ea)
            status = smb2__ea_set(context, open->inode, create->ea);
    }
    create->action =
        create->disposition == SMB2_FILE_SUPERSEDE ? SMB2_ACTION_SUPERSEDED : SMB2_ACTION_OVERWRITTEN;
    return err == ERR_OK ? status : smb2__status(err);
}

/* The checks are done. */
static uint32_t open_as(struct smb2_create *create, uint32_t access, struct smb2_open **open_r)
{
    struct smb2_request *request = create->request;
    struct smb2_open_wish wish = open_wish(create, access);
    uint32_t status = smb2__open_new(request->message->server, request->tree, &wish, open_r);

    /* The open has a reference of its own to the file of a stream. */
    if (status == STATUS_SUCCESS)
        create->inode = NULL;
    return status;
}

/* What create->inode is there. */
static uint32_t open_there(struct smb2_create *create, struct smb2_open **open_r)
{
    struct inode_attr attr;
    uint32_t access = 0, status;

    vfs_getattr(create->file, &attr);
    status = judge_there(create, &attr);
    if (status == STATUS_SUCCESS)
        status = judge_access(create, &attr, &access);
    if (status == STATUS_SUCCESS)
        status = smb2__lease_check(create, create->inode);
    if (status == STATUS_SUCCESS)
        status = smb2__durable_take_over(create);
    if (status == STATUS_SUCCESS)
        status = check_required_oplock(create);
    if (status == STATUS_SUCCESS)
        status = break_grants(create, access);
    if (status == STATUS_SUCCESS)
        status = open_as(create, access, open_r);
    if (status != STATUS_SUCCESS)
        return status;
    create->action = SMB2_ACTION_OPENED;
    if (!overwrites(create->disposition))
        return STATUS_SUCCESS;
    status = replace(create, *open_r);
    if (status != STATUS_SUCCESS) {
        smb2__open_end(*open_r, NULL);
        *open_r = NULL;
    }
    return status;
}

/* ---- making ---- */

/* What was just made is opened with all that its maker asks for, whatever list or mode say from now on. */
static uint32_t open_made(struct smb2_create *create, struct smb2_open **open_r)
{
    uint32_t wanted = create->access;

    create->maximal = vfs_rights(&create->request->context, create->file, create->place.dir);
    if (wanted & SMB2_MAXIMUM_ALLOWED)
        wanted = (wanted & ~(uint32_t)SMB2_MAXIMUM_ALLOWED) | create->maximal;
    create->action = SMB2_ACTION_CREATED;
    return open_as(create, wanted, open_r);
}

static uint32_t judge_making(const struct smb2_create *create)
{
    if (!makes(create->disposition))
        return STATUS_OBJECT_NAME_NOT_FOUND;
    if ((create->attributes & SMB2_ATTRIBUTE_READONLY) && (create->options & SMB2_OPTION_DELETE_ON_CLOSE))
        return STATUS_CANNOT_DELETE;
    if (create->place.stream_length == 0 && create->place.is_index &&
        !(create->options & SMB2_OPTION_DIRECTORY))
        return STATUS_INVALID_PARAMETER;
    if ((create->options & SMB2_OPTION_DIRECTORY) &&
        (create->place.is_data || (create->attributes & SMB2_ATTRIBUTE_TEMPORARY)))
        return STATUS_INVALID_PARAMETER;
    return smb2__lease_check(create, NULL);
}

/* MS-FSA 2.1.5.1.1: what another file has left with its name, which may be a longer one. */
static bool find_tunneled(struct smb2_create *create, struct timestamp *btime_r)
{
    struct smb2_place *place = &create->place;
    struct store_name name = {.bytes = place->name, .length = place->length};
    struct smb2_tunneled found;

    if (!smb2__tunnel_take(create->request->message->server, create->request->tree->export_id, place->dir,
                           name, &found))
        return false;
    *btime_r = found.btime;
    if (found.is_short) {
        memcpy(place->name, found.name, found.length);
        place->length = found.length;
    }
    return true;
}

/* With the attributes and the list that come with the request; without them if that can't be. */
static uint32_t make_file(struct smb2_create *create)
{
    struct smb2_request *request = create->request;
    struct store_name name = {.bytes = create->place.name, .length = create->place.length};
    bool directory = (create->options & SMB2_OPTION_DIRECTORY) != 0;
    struct vfs_create make = {
        .type = directory ? INODE_DIRECTORY : INODE_FILE,
        .how = VFS_CREATE_GUARDED,
        .set = {.set = VFS_SET_MODE | VFS_SET_DOS_ATTRIBUTES,
                .mode = directory ? DIRECTORY_MODE : FILE_MODE,
                .dos_attributes = (create->attributes & SMB2_ATTRIBUTE_SETTABLE) |
                                  (directory ? 0 : SMB2_ATTRIBUTE_ARCHIVE)},
    };
    struct arena arena;
    struct acl acl;
    uint32_t status = STATUS_SUCCESS;
    bool created;
    enum err err;

    if (!directory && find_tunneled(create, &make.set.btime)) {
        make.set.set |= VFS_SET_BTIME;
        name.length = create->place.length;
    }
    arena_init(&arena, 0);
    if (create->has_security) {
        status = smb2__security_acl(request->message->server, &arena, create->security, &acl);
        make.set.acl = &acl;
        if (status == STATUS_SUCCESS)
            make.set.set |= VFS_SET_ACL;
        else if (status == STATUS_NOT_FOUND)
            status = STATUS_SUCCESS; /* owner and group alone: those are the maker's */
    }
    if (status == STATUS_SUCCESS) {
        err = vfs_create(&request->context, create->place.dir, name, &make, &create->file, &created);
        status = smb2__status(err);
    }
    arena_reset(&arena);
    if (status != STATUS_SUCCESS || !create->has_ea)
        return status;
    request->context.by_handle = true;
    status = smb2__ea_set(&request->context, create->file, create->ea);
    if (status != STATUS_SUCCESS) {
        err = vfs_remove(&request->context, create->place.dir, name, VFS_REMOVE_ANY);
        if (err != ERR_OK)
            log_debug("smb: a file without its attributes stays: %s", err_text(err));
    }
    request->context.by_handle = false;
    return status;
}

static uint32_t make_stream(struct smb2_create *create, struct smb2_open **open_r)
{
    struct store_name name = {.bytes = create->place.stream, .length = create->place.stream_length};
    struct vfs_context *context = &create->request->context;
    enum err err = vfs_stream_create(context, create->file, name, &create->inode);
    uint32_t status;

    if (err != ERR_OK)
        return err == ERR_WRONGTYPE ? STATUS_OBJECT_NAME_NOT_FOUND : smb2__status(err);
    status = open_made(create, open_r);
    if (status == STATUS_SUCCESS)
        return status;
    context->by_handle = true;
    err = vfs_stream_remove(context, create->file, name);
    context->by_handle = false;
    if (err != ERR_OK)
        log_debug("smb: a stream that can't be opened stays: %s", err_text(err));
    return status;
}

/* ---- streams ---- */

/* A stream of create->file, which is there. */
static uint32_t open_stream(struct smb2_create *create, struct smb2_open **open_r)
{
    struct smb2_place *place = &create->place;
    struct store_name name = {.bytes = place->stream, .length = place->stream_length};
    struct smb2_request *request = create->request;
    uint8_t stored[STORE_NAME_MAX];
    struct inode_attr attr;
    size_t length;
    uint32_t access = 0, status;
    enum err err;

    if (smb2__file_is_going(request->message->server, create->file, create->file))
        return STATUS_DELETE_PENDING;
    err = vfs_stream_lookup(&request->context, create->file, name, &create->inode, stored, &length);
    if (err == ERR_OK) {
        memcpy(place->stream, stored, length);
        place->stream_length = length;
        return open_there(create, open_r);
    }
    if (err != ERR_NOENT)
        return err == ERR_WRONGTYPE ? STATUS_OBJECT_NAME_NOT_FOUND : smb2__status(err);
    status = judge_making(create);
    if (status != STATUS_SUCCESS)
        return status;
    vfs_getattr(create->file, &attr);
    if ((attr.dos_attributes & SMB2_ATTRIBUTE_READONLY) && attr.type != INODE_DIRECTORY)
        return STATUS_ACCESS_DENIED;
    status = judge_access(create, &attr, &access);
    return status == STATUS_SUCCESS ? make_stream(create, open_r) : status;
}

/* ---- the whole ---- */

static uint32_t found(struct smb2_create *create, struct smb2_open **open_r)
{
    struct inode_attr attr;
    uint32_t status;

    vfs_getattr(create->file, &attr);
    status = judge_reparse(create, &attr);
    if (status == STATUS_SUCCESS && create->disposition == SMB2_FILE_CREATE &&
        create->place.stream_length == 0)
        return STATUS_OBJECT_NAME_COLLISION;
    if (status == STATUS_SUCCESS)
        status = judge_type(create, attr.type == INODE_DIRECTORY);
    if (status != STATUS_SUCCESS)
        return status;
    if (create->place.stream_length > 0)
        return open_stream(create, open_r);
    create->inode = vfs_ref(create->file);
    return open_there(create, open_r);
}

static uint32_t missing(struct smb2_create *create, struct smb2_open **open_r)
{
    uint32_t status = create->place.stream_length > 0 ? judge_type(create, false) : STATUS_SUCCESS;

    if (status == STATUS_SUCCESS)
        status = judge_making(create);
    if (status == STATUS_SUCCESS)
        status = make_file(create);
    if (status != STATUS_SUCCESS)
        return status;
    if (create->place.stream_length > 0)
        return make_stream(create, open_r);
    create->inode = vfs_ref(create->file);
    return open_made(create, open_r);
}

/* MS-SMB2 3.3.5.9.7: a hint, whose failure is none. */
static void allocate(struct smb2_create *create, const struct smb2_open *open)
{
    struct vfs_context *context = &create->request->context;
    enum err err;

    if (!create->has_allocation || create->allocation == 0 || create->allocation > INT64_MAX ||
        open->is_directory || create->action == SMB2_ACTION_OPENED)
        return;
    err = vfs_allocate(context, open->inode, 0, create->allocation, true, VFS_IO_OPEN_HANDLE);
    if (err != ERR_OK)
        log_debug("smb: no space is reserved: %s", err_text(err));
}

static uint32_t find_or_make(struct smb2_create *create, struct smb2_open **open_r)
{
    struct smb2_request *request = create->request;
    struct store_name name = {.bytes = create->place.name, .length = create->place.length};
    uint8_t stored[STORE_NAME_MAX];
    size_t length;
    enum err err;

    if (create->place.dir == NULL) {
        err = vfs_root(&request->context, &create->file);
        return err == ERR_OK ? found(create, open_r) : smb2__status(err);
    }
    err = smb2__lookup(&request->context, create->place.dir, name, &create->file, stored, &length);
    if (err == ERR_NOENT)
        return missing(create, open_r);
    if (err != ERR_OK)
        return smb2__status(err);
    memcpy(create->place.name, stored, length);
    create->place.length = length;
    return found(create, open_r);
}

uint32_t smb2__create_open(struct smb2_create *create, struct smb2_open **open_r)
{
    uint32_t status = find_or_make(create, open_r);

    if (status == STATUS_SUCCESS)
        allocate(create, *open_r);
    return status;
}
