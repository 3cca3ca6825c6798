/*
 * smb2_set_info.c - SET_INFO (MS-SMB2 2.2.39, 3.3.5.21; MS-FSCC 2.4): times and attributes, size, rename,
 * deletion. Hard links and security descriptors can't be set.
 */
#include "smb/smb2_priv.h"
#include "smb/smb2_time.h"

#include <string.h>

enum { OF_FILE = 1, ALREADY_KEPT = -2 };
enum {
    CLASS_BASIC = 4,
    CLASS_RENAME = 10,
    CLASS_DISPOSITION = 13,
    CLASS_POSITION = 14,
    CLASS_ALLOCATION = 19,
    CLASS_END_OF_FILE = 20
};

struct set_args {
    uint8_t type, class;
    uint16_t offset;
    uint32_t length;
    struct reader data;
};

static bool decode(struct smb2_request *request, struct set_args *args)
{
    struct reader *reader = &request->body;

    return reader_skip(reader, 2) && reader_u8(reader, &args->type) && reader_u8(reader, &args->class) &&
           reader_le32(reader, &args->length) && reader_le16(reader, &args->offset) &&
           smb2__request_part(request, args->offset, args->length, &args->data);
}

/* MS-FSCC 2.4.7: 0 keeps the time; -1 and -2 are about the handle's own updates, and keep it, too. */
static bool take_time(uint64_t filetime, struct timestamp *time)
{
    if (filetime == 0 || filetime > INT64_MAX)
        return false;
    *time = smb2_timestamp(filetime);
    return true;
}

static uint32_t set_basic(struct smb2_request *request, struct reader *data)
{
    struct vfs_setattr set = {.set = 0};
    uint64_t created, accessed, written, changed;
    uint32_t attributes;

    if (!reader_le64(data, &created) || !reader_le64(data, &accessed) || !reader_le64(data, &written) ||
        !reader_le64(data, &changed) || !reader_le32(data, &attributes))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (!(request->open->access & SMB2_ACCESS_WRITE_ATTRIBUTES))
        return STATUS_ACCESS_DENIED;
    if ((attributes & SMB2_ATTRIBUTE_DIRECTORY) && !request->open->is_directory)
        return STATUS_INVALID_PARAMETER;
    if (take_time(created, &set.btime))
        set.set |= VFS_SET_BTIME;
    if (take_time(accessed, &set.atime))
        set.atime_how = VFS_TIME_SET;
    if (take_time(written, &set.mtime))
        set.mtime_how = VFS_TIME_SET;
    if (attributes != 0) {
        struct inode_attr attr;

        vfs_getattr(request->open->inode, &attr);
        set.set |= VFS_SET_DOS_ATTRIBUTES;
        set.dos_attributes =
            (attributes & SMB2_ATTRIBUTE_SETTABLE) | (attr.dos_attributes & SMB2_ATTRIBUTE_SPARSE);
    }
    if (set.set == 0 && set.atime_how == VFS_TIME_KEEP && set.mtime_how == VFS_TIME_KEEP)
        return STATUS_SUCCESS;
    return smb2__status(vfs_setattr(&request->context, request->open->inode, &set, NULL, true));
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

/* MS-FSA 2.1.5.14.1: less than the file has cuts it; more is a reservation that we need not make. */
static uint32_t set_allocation(struct smb2_request *request, struct reader *data)
{
    struct reader size = *data;
    struct inode_attr attr;
    uint64_t wanted;

    if (!reader_le64(&size, &wanted))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (!(request->open->access & SMB2_ACCESS_WRITE_DATA))
        return STATUS_ACCESS_DENIED;
    vfs_getattr(request->open->inode, &attr);
    return wanted < attr.size ? set_end_of_file(request, data) : STATUS_SUCCESS;
}

static bool list_first_entry(void *data, const struct vfs_dirent *entry)
{
    (void)entry;
    *(bool *)data = true;
    return false;
}

/* MS-FSA 2.1.5.14.3 */
static uint32_t set_disposition(struct smb2_request *request, struct reader *data)
{
    struct smb2_open *open = request->open;
    struct inode_attr attr;
    bool any = false, end;
    uint8_t wanted;
    enum err err;

    if (!reader_u8(data, &wanted))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (!(open->access & SMB2_ACCESS_DELETE))
        return STATUS_ACCESS_DENIED;
    if (wanted == 0) {
        open->delete_pending = false;
        return STATUS_SUCCESS;
    }
    vfs_getattr(open->inode, &attr);
    if ((attr.dos_attributes & SMB2_ATTRIBUTE_READONLY) || open->dir == NULL)
        return STATUS_CANNOT_DELETE;
    if (open->is_directory) {
        err = vfs_readdir(&request->context, open->inode, 0, false, list_first_entry, &any, &end);
        if (err != ERR_OK)
            return smb2__status(err);
        if (any)
            return STATUS_DIRECTORY_NOT_EMPTY;
    }
    /* MS-FSA 2.1.5.15.3: handles that others keep in their caches would keep the file. */
    err = vfs_conflict_names(&request->context, open->inode, NULL);
    if (err == ERR_OK)
        open->delete_pending = true;
    return smb2__status(err);
}

/* ---- rename ---- */

/* May what is at the target be replaced? STATUS_SUCCESS also when nothing is there. */
static uint32_t judge_target(struct smb2_request *request, struct smb2_place *place, bool replace,
                             bool *same_r)
{
    struct smb_server *server = request->message->server;
    struct store_name name = {.bytes = place->name, .length = place->length};
    uint8_t stored[STORE_NAME_MAX];
    struct inode_attr mine, there;
    struct inode *inode;
    struct state_file *file;
    size_t length;
    enum err err = vfs_lookup_folded(&request->context, place->dir, name, &inode, stored, &length);

    *same_r = false;
    if (err != ERR_OK)
        return err == ERR_NOENT ? STATUS_SUCCESS : smb2__status(err);
    vfs_getattr(request->open->inode, &mine);
    vfs_getattr(inode, &there);
    *same_r = mine.ino == there.ino;
    /* It may be open in a cache alone. */
    if (!*same_r && replace)
        err = vfs_conflict_names(&request->context, inode, NULL);
    vfs_unref(&inode);
    if (err != ERR_OK)
        return smb2__status(err);
    if (*same_r)
        return STATUS_SUCCESS;
    if (!replace)
        return STATUS_OBJECT_NAME_COLLISION;
    file = state_file_find(server->state, request->tree->export_id, there.ino);
    if (there.type == INODE_DIRECTORY || (there.dos_attributes & SMB2_ATTRIBUTE_READONLY) ||
        (file != NULL && open_next_of_file(file, NULL) != NULL))
        return STATUS_ACCESS_DENIED;
    /* The name replaced is the one that is there, whatever its case. */
    memcpy(place->name, stored, length);
    place->length = length;
    return STATUS_SUCCESS;
}

static uint32_t rename_to(struct smb2_request *request, struct smb2_place *place, bool replace)
{
    struct smb2_open *open = request->open;
    struct store_name from = {.bytes = open->name, .length = open->name_length};
    struct store_name to;
    bool same;
    uint32_t status = judge_target(request, place, replace, &same);
    enum err err;

    if (status != STATUS_SUCCESS)
        return status;
    to = (struct store_name){.bytes = place->name, .length = place->length};
    err = vfs_rename(&request->context, open->dir, from, place->dir, to, !replace && !same);
    if (err != ERR_OK)
        return smb2__status(err);
    vfs_unref(&open->dir);
    open->dir = place->dir;
    place->dir = NULL;
    memcpy(open->name, place->name, place->length);
    open->name_length = place->length;
    return STATUS_SUCCESS;
}

/* MS-FSCC 2.4.42.2 */
static uint32_t set_name(struct smb2_request *request, struct reader *data)
{
    struct smb2_place place;
    struct reader name;
    uint64_t root;
    uint32_t length, status;
    uint8_t replace;

    if (!reader_u8(data, &replace) || !reader_skip(data, 7) || !reader_le64(data, &root) ||
        !reader_le32(data, &length) || !reader_sub(data, length, &name))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (!(request->open->access & SMB2_ACCESS_DELETE))
        return STATUS_ACCESS_DENIED;
    if (root != 0 || length == 0)
        return STATUS_INVALID_PARAMETER;
    if (request->open->dir == NULL)
        return STATUS_ACCESS_DENIED;
    status = smb2__path_walk(&request->context, name.at, name.left, &place);
    if (status != STATUS_SUCCESS)
        return status;
    status = rename_to(request, &place, replace != 0);
    vfs_unref(&place.dir);
    return status;
}

static uint32_t set_position(struct smb2_request *request, struct reader *data)
{
    return reader_le64(data, &request->open->position) ? STATUS_SUCCESS : STATUS_INFO_LENGTH_MISMATCH;
}

static uint32_t set_file(struct smb2_request *request, struct set_args *args)
{
    switch (args->class) {
    case CLASS_BASIC:
        return set_basic(request, &args->data);
    case CLASS_RENAME:
        return set_name(request, &args->data);
    case CLASS_DISPOSITION:
        return set_disposition(request, &args->data);
    case CLASS_POSITION:
        return set_position(request, &args->data);
    case CLASS_ALLOCATION:
        return set_allocation(request, &args->data);
    case CLASS_END_OF_FILE:
        return set_end_of_file(request, &args->data);
    default:
        return STATUS_INVALID_INFO_CLASS;
    }
}

uint32_t smb2__set_info(struct smb2_request *request)
{
    struct set_args args;
    uint32_t status;

    if (!decode(request, &args) || !smb2__is_paid(request, args.length))
        return STATUS_INVALID_PARAMETER;
    status = smb2__request_context(request);
    if (status == STATUS_SUCCESS)
        status = args.type == OF_FILE ? set_file(request, &args) : STATUS_NOT_SUPPORTED;
    if (status != STATUS_SUCCESS)
        return status;
    writer_le16(smb2_reply(request), 2);
    return smb2__request_durable(request, STATUS_SUCCESS);
}
