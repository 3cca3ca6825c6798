/*
 * smb2_set_info.c - SET_INFO (MS-SMB2 2.2.39, 3.3.5.21; MS-FSCC 2.4): times and attributes, sizes,
 * deletion. Renames and links are smb2_set_rename.c's, security descriptors smb2_security.c's, extended
 * attributes smb2_ea.c's.
 */
#include "smb/smb2_file_priv.h"
#include "smb/smb2_share.h"
#include "smb/smb2_time.h"

#include <string.h>

enum { OF_FILE = 1, OF_SECURITY = 3, OF_QUOTA = 4, KEEP_AGAIN = -2 };
enum {
    CLASS_BASIC = 4,
    CLASS_RENAME = 10,
    CLASS_LINK = 11,
    CLASS_DISPOSITION = 13,
    CLASS_POSITION = 14,
    CLASS_FULL_EA = 15,
    CLASS_MODE = 16,
    CLASS_ALLOCATION = 19,
    CLASS_END_OF_FILE = 20,
    CLASS_VALID_LENGTH = 39,
    CLASS_DISPOSITION_EX = 64,
    CLASS_RENAME_EX = 65,
    MODE_FLAGS = 0x3e /* write-through, sequential, unbuffered, synchronous */
};

struct set_args {
    uint8_t type, class;
    uint16_t offset;
    uint32_t length, additional;
    struct reader data;
};

static bool decode(struct smb2_request *request, struct set_args *args)
{
    struct reader *reader = &request->body;

    return reader_skip(reader, 2) && reader_u8(reader, &args->type) && reader_u8(reader, &args->class) &&
           reader_le32(reader, &args->length) && reader_le16(reader, &args->offset) &&
           reader_skip(reader, 2) && reader_le32(reader, &args->additional) &&
           smb2__request_part(request, args->offset, args->length, &args->data);
}

/* MS-FSCC 2.4.7: 0 keeps the time. -1: what is done through this handle does not change it either, -2: it
 * does again. A time that is set is left alone by the handle, too (MS-FSA 2.1.5.14.2). False: nothing is to
 * be set. */
static bool take_time(struct smb2_open *open, uint64_t filetime, unsigned kept, struct timestamp *time)
{
    if (filetime == (uint64_t)KEEP_AGAIN)
        open->kept_times &= ~kept;
    else if (filetime != 0)
        open->kept_times |= kept;
    if (filetime == 0 || filetime > INT64_MAX)
        return false;
    *time = smb2_timestamp(filetime);
    return true;
}

static bool is_time(uint64_t filetime)
{
    return filetime <= INT64_MAX || filetime >= (uint64_t)KEEP_AGAIN;
}

static uint32_t set_basic(struct smb2_request *request, struct reader *data)
{
    struct smb2_open *open = request->open;
    struct inode *file = smb2_open_file(open);
    struct vfs_setattr set = {.set = 0};
    struct inode_attr attr;
    uint64_t created, accessed, written, changed;
    uint32_t attributes;

    if (!reader_le64(data, &created) || !reader_le64(data, &accessed) || !reader_le64(data, &written) ||
        !reader_le64(data, &changed) || !reader_le32(data, &attributes))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (!(open->access & SMB2_ACCESS_WRITE_ATTRIBUTES))
        return STATUS_ACCESS_DENIED;
    if (!is_time(created) || !is_time(accessed) || !is_time(written) || !is_time(changed))
        return STATUS_INVALID_PARAMETER;
    vfs_getattr(file, &attr);
    if ((attributes & SMB2_ATTRIBUTE_DIRECTORY) && attr.type != INODE_DIRECTORY)
        return STATUS_INVALID_PARAMETER;
    if ((attributes & SMB2_ATTRIBUTE_TEMPORARY) && attr.type == INODE_DIRECTORY)
        return STATUS_INVALID_PARAMETER;
    if (take_time(open, created, 0, &set.btime))
        set.set |= VFS_SET_BTIME;
    if (take_time(open, accessed, SMB2_KEEP_ACCESS, &set.atime))
        set.atime_how = VFS_TIME_SET;
    if (take_time(open, written, SMB2_KEEP_WRITE, &set.mtime))
        set.mtime_how = VFS_TIME_SET;
    if (take_time(open, changed, SMB2_KEEP_CHANGE, &set.ctime)) {
        set.set |= VFS_SET_CTIME;
    } else if (open->kept_times & SMB2_KEEP_CHANGE) {
        set.ctime = attr.ctime;
        set.set |= VFS_SET_CTIME;
    }
    if (attributes != 0) {
        set.set |= VFS_SET_DOS_ATTRIBUTES;
        set.dos_attributes = (attributes & SMB2_ATTRIBUTE_SETTABLE) |
                             (attr.dos_attributes & ~(uint32_t)SMB2_ATTRIBUTE_SETTABLE);
        /* What is hidden by its name was told so, and is not to keep it when it is renamed. */
        if (smb2__share_hides(open->server, open->tree,
                              (struct store_name){.bytes = open->name, .length = open->name_length}))
            set.dos_attributes &= ~(uint32_t)SMB2_ATTRIBUTE_HIDDEN;
    }
    if (set.set == 0 && set.atime_how == VFS_TIME_KEEP && set.mtime_how == VFS_TIME_KEEP)
        return STATUS_SUCCESS;
    return smb2__status(vfs_setattr(&request->context, file, &set, NULL, true));
}

void smb2__times_note(struct smb2_request *request)
{
    if (request->open->kept_times != 0 && request->open->inode != NULL)
        vfs_getattr(smb2_open_file(request->open), &request->before);
}

void smb2__times_keep(struct smb2_request *request)
{
    const struct inode_attr *before = &request->before;
    const struct smb2_open *open = request->open;
    struct vfs_setattr set = {.set = VFS_SET_CTIME};
    struct inode_attr attr;
    enum err err;

    if (open->kept_times == 0 || open->inode == NULL || before->ino == 0)
        return;
    vfs_getattr(smb2_open_file(open), &attr);
    set.ctime = open->kept_times & SMB2_KEEP_CHANGE ? before->ctime : attr.ctime;
    set.mtime = before->mtime;
    set.atime = before->atime;
    if (open->kept_times & SMB2_KEEP_WRITE)
        set.mtime_how = VFS_TIME_SET;
    if (open->kept_times & SMB2_KEEP_ACCESS)
        set.atime_how = VFS_TIME_SET;
    open->server->restores_times = true;
    err = vfs_setattr(&request->context, smb2_open_file(open), &set, NULL, true);
    open->server->restores_times = false;
    if (err != ERR_OK)
        log_debug("smb: times that were to be kept have changed: %s", err_text(err));
}

static uint32_t set_end_of_file(struct smb2_request *request, struct reader *data)
{
    struct smb2_open *open = request->open;
    struct vfs_setattr set = {.set = VFS_SET_SIZE};
    struct inode_attr attr;
    enum err err;

    if (!reader_le64(data, &set.size))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (!(open->access & SMB2_ACCESS_WRITE_DATA))
        return STATUS_ACCESS_DENIED;
    if (open->is_directory || set.size > INT64_MAX)
        return STATUS_INVALID_PARAMETER;
    vfs_getattr(open->inode, &attr);
    if (attr.size == set.size)
        return STATUS_SUCCESS;
    /* Ranges that others hold between the old and the new end. */
    err = lock_check_io(open->file, owner_id(open->owner), set.size < attr.size ? set.size : attr.size,
                        set.size < attr.size ? attr.size - set.size : set.size - attr.size, true,
                        LOCK_IO_ADVISORY);
    if (err == ERR_LOCKED)
        return STATUS_FILE_LOCK_CONFLICT;
    if (err == ERR_OK)
        err = vfs_setattr(&request->context, open->inode, &set, NULL, true);
    return smb2__status(err);
}

/* MS-FSA 2.1.5.14.1: less than the file has cuts it; more is reserved. */
static uint32_t set_allocation(struct smb2_request *request, struct reader *data)
{
    struct smb2_open *open = request->open;
    struct reader size = *data;
    struct inode_attr attr;
    uint64_t wanted;
    enum err err;

    if (!reader_le64(&size, &wanted))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (!(open->access & SMB2_ACCESS_WRITE_DATA))
        return STATUS_ACCESS_DENIED;
    if (open->is_directory || wanted > INT64_MAX)
        return STATUS_INVALID_PARAMETER;
    vfs_getattr(open->inode, &attr);
    if (wanted < attr.size)
        return set_end_of_file(request, data);
    if (wanted <= attr.used)
        return STATUS_SUCCESS;
    err = vfs_allocate(&request->context, open->inode, 0, wanted, true, VFS_IO_OPEN_HANDLE);
    return smb2__status(err);
}

/* MS-FSA 2.1.5.14.15: what is behind it reads as zeros anyway */
static uint32_t set_valid_length(struct smb2_request *request, struct reader *data)
{
    struct inode_attr attr;
    uint64_t length;

    if (!reader_le64(data, &length))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (!(request->open->access & SMB2_ACCESS_WRITE_DATA))
        return STATUS_ACCESS_DENIED;
    vfs_getattr(request->open->inode, &attr);
    return length > attr.size || request->open->is_directory ? STATUS_INVALID_PARAMETER : STATUS_SUCCESS;
}

static bool list_first_entry(void *data, const struct vfs_dirent *entry)
{
    (void)entry;
    *(bool *)data = true;
    return false;
}

enum err smb2__has_entries(struct vfs_context *context, struct inode *dir, bool *any_r)
{
    bool end;

    *any_r = false;
    return vfs_readdir(context, dir, 0, false, list_first_entry, any_r, &end);
}

/* May the file (or stream) be marked for deletion? MS-FSA 2.1.5.14.3 */
static uint32_t judge_deletion(struct smb2_request *request, bool ignore_readonly)
{
    struct smb2_open *open = request->open;
    struct inode_attr attr;
    bool any;
    enum err err;

    smb2__open_attr(open, &attr);
    if ((attr.dos_attributes & SMB2_ATTRIBUTE_READONLY) && !ignore_readonly)
        return STATUS_CANNOT_DELETE;
    if (open->base == NULL && open->dir == NULL)
        return STATUS_CANNOT_DELETE;
    if (open->is_directory) {
        err = smb2__has_entries(&request->context, open->inode, &any);
        if (err != ERR_OK)
            return smb2__status(err);
        if (any)
            return STATUS_DIRECTORY_NOT_EMPTY;
    }
    /* MS-FSA 2.1.5.15.3: handles that others keep in their caches would keep the file. */
    return smb2__status(vfs_conflict_names(&request->context, open->inode, NULL));
}

/* The mark may have gone on to another open. */
static void unmark(struct smb2_request *request)
{
    struct smb2_open *open = request->open;
    const struct smb_server *server = request->message->server;

    for (struct smb2_open *at = NULL; (at = smb2__file_next(server, smb2_open_file(open), at)) != NULL;) {
        if (at->inode == open->inode)
            at->delete_pending = at->delete_posix = false;
        if (open->base == NULL)
            at->base_pending = false;
        smb2__persist_update(at);
    }
}

static uint32_t set_disposition(struct smb2_request *request, struct reader *data)
{
    uint32_t status;
    uint8_t wanted;

    if (!reader_u8(data, &wanted))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (!(request->open->access & SMB2_ACCESS_DELETE))
        return STATUS_ACCESS_DENIED;
    if (wanted == 0) {
        unmark(request);
        return STATUS_SUCCESS;
    }
    status = judge_deletion(request, false);
    if (status != STATUS_SUCCESS)
        return status;
    request->open->delete_pending = true;
    smb2__persist_update(request->open);
    smb2__notify_deleted(request->message->server, request->open->inode);
    return STATUS_SUCCESS;
}

/* MS-FSCC 2.4.12 */
enum { DELETE = 1, DELETE_POSIX = 2, DELETE_ON_CLOSE = 8, DELETE_READONLY = 0x10, DELETE_FLAGS = 0x1f };

static uint32_t set_disposition_ex(struct smb2_request *request, struct reader *data)
{
    struct smb2_open *open = request->open;
    uint32_t flags, status;

    if (!reader_le32(data, &flags))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (!(open->access & SMB2_ACCESS_DELETE))
        return STATUS_ACCESS_DENIED;
    if (flags & ~(uint32_t)DELETE_FLAGS)
        return STATUS_INVALID_PARAMETER;
    if (flags & DELETE_ON_CLOSE) {
        if (!open->delete_on_close && !(flags & DELETE))
            return STATUS_NOT_SUPPORTED;
        open->delete_on_close = (flags & DELETE) != 0;
        smb2__persist_update(open);
        return STATUS_SUCCESS;
    }
    if (!(flags & DELETE)) {
        unmark(request);
        return STATUS_SUCCESS;
    }
    status = judge_deletion(request, (flags & DELETE_READONLY) != 0);
    if (status != STATUS_SUCCESS)
        return status;
    open->delete_pending = true;
    open->delete_posix = (flags & DELETE_POSIX) != 0;
    smb2__notify_deleted(request->message->server, open->inode);
    return STATUS_SUCCESS;
}

static uint32_t set_position(struct smb2_request *request, struct reader *data)
{
    return reader_le64(data, &request->open->position) ? STATUS_SUCCESS : STATUS_INFO_LENGTH_MISMATCH;
}

/* MS-FSCC 2.4.31: only the flags of synchronous handles, which are the client's own matter */
static uint32_t set_mode(struct smb2_request *request, struct reader *data)
{
    struct smb2_open *open = request->open;
    uint32_t mode;

    if (!reader_le32(data, &mode))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (mode & ~(uint32_t)MODE_FLAGS)
        return STATUS_INVALID_PARAMETER;
    open->mode = (open->mode & ~(uint32_t)MODE_FLAGS) | mode;
    return STATUS_SUCCESS;
}

static uint32_t set_eas(struct smb2_request *request, struct reader *data)
{
    if (!(request->open->access & SMB2_ACCESS_WRITE_EA))
        return STATUS_ACCESS_DENIED;
    return smb2__ea_set(&request->context, smb2_open_file(request->open), *data);
}

static uint32_t set_file(struct smb2_request *request, struct set_args *args)
{
    switch (args->class) {
    case CLASS_BASIC:
        return set_basic(request, &args->data);
    case CLASS_RENAME:
    case CLASS_RENAME_EX:
        return smb2__set_rename(request, &args->data, args->class == CLASS_RENAME_EX);
    case CLASS_LINK:
        return smb2__set_link(request, &args->data);
    case CLASS_DISPOSITION:
        return set_disposition(request, &args->data);
    case CLASS_DISPOSITION_EX:
        return set_disposition_ex(request, &args->data);
    case CLASS_POSITION:
        return set_position(request, &args->data);
    case CLASS_FULL_EA:
        return set_eas(request, &args->data);
    case CLASS_MODE:
        return set_mode(request, &args->data);
    case CLASS_ALLOCATION:
        return set_allocation(request, &args->data);
    case CLASS_END_OF_FILE:
        return set_end_of_file(request, &args->data);
    case CLASS_VALID_LENGTH:
        return set_valid_length(request, &args->data);
    default:
        return STATUS_INVALID_INFO_CLASS;
    }
}

/* Of the file system nothing can be set, and there are no quotas. */
static uint32_t set_any(struct smb2_request *request, struct set_args *args)
{
    if (args->type == OF_FILE)
        return set_file(request, args);
    if (args->type == OF_SECURITY)
        return smb2__security_set(request, args->additional, args->data);
    return args->type > OF_QUOTA || args->type == 0 ? STATUS_INVALID_PARAMETER : STATUS_NOT_SUPPORTED;
}

uint32_t smb2__set_info(struct smb2_request *request)
{
    struct set_args args;
    uint32_t status;

    if (!decode(request, &args) || !smb2__is_paid(request, args.length))
        return STATUS_INVALID_PARAMETER;
    status = smb2__request_context(request);
    smb2__times_note(request);
    if (status == STATUS_SUCCESS)
        status = set_any(request, &args);
    if (status == STATUS_SUCCESS && !(args.type == OF_FILE && args.class == CLASS_BASIC))
        smb2__times_keep(request);
    if (status != STATUS_SUCCESS)
        return status;
    if (args.class == CLASS_BASIC || args.class == CLASS_ALLOCATION || args.class == CLASS_END_OF_FILE)
        smb2__open_tell_directory(request->open, &request->context);
    writer_le16(smb2_reply(request), 2);
    /* Its record, too, if it says what was set. */
    if (request->open->is_persistent)
        vfs_wait_for_metadata(&request->context);
    return smb2__request_durable(request, STATUS_SUCCESS);
}
