/*
 * nfs3client.c - a wire-level client of MOUNT and NFS version 3. See nfs3client.h.
 */
#include "nfs3client.h"

#include <string.h>

enum {
    NFS_PROGRAM = 100003,
    MOUNT_PROGRAM = 100005,
    VERSION = 3,
    ARGUMENTS_MAX = 2 * 1024 * 1024,
    NF3BLK = 3,
    NF3CHR = 4,
    NF3FIFO = 7,
    NF3SOCK = 6,
    ANY_LENGTH = 64 * 1024 * 1024
};

/* ---- results ---- */

static bool get_time(struct reader *reader, struct timestamp *time_r)
{
    uint32_t seconds;

    if (!reader_be32(reader, &seconds) || !reader_be32(reader, &time_r->nanoseconds))
        return false;
    time_r->seconds = seconds;
    return time_r->nanoseconds < 1000000000;
}

static bool get_fattr(struct reader *reader, struct nfs3_fattr *attr_r)
{
    return reader_be32(reader, &attr_r->type) && reader_be32(reader, &attr_r->mode) &&
           reader_be32(reader, &attr_r->nlink) && reader_be32(reader, &attr_r->uid) &&
           reader_be32(reader, &attr_r->gid) && reader_be64(reader, &attr_r->size) &&
           reader_be64(reader, &attr_r->used) && reader_be32(reader, &attr_r->rdev_major) &&
           reader_be32(reader, &attr_r->rdev_minor) && reader_be64(reader, &attr_r->fsid) &&
           reader_be64(reader, &attr_r->fileid) && get_time(reader, &attr_r->atime) &&
           get_time(reader, &attr_r->mtime) && get_time(reader, &attr_r->ctime);
}

static bool get_post_op_attr(struct reader *reader, bool *has_r, struct nfs3_fattr *attr_r)
{
    return reader_xdr_bool(reader, has_r) && (!*has_r || get_fattr(reader, attr_r));
}

static bool get_wcc(struct reader *reader, struct nfs3_wcc *wcc_r)
{
    return reader_xdr_bool(reader, &wcc_r->has_before) &&
           (!wcc_r->has_before || (reader_be64(reader, &wcc_r->size) && get_time(reader, &wcc_r->mtime) &&
                                   get_time(reader, &wcc_r->ctime))) &&
           get_post_op_attr(reader, &wcc_r->has_after, &wcc_r->after);
}

static bool get_handle(struct reader *reader, struct nfs3_handle *handle_r)
{
    const uint8_t *data;

    if (!reader_xdr_opaque(reader, sizeof handle_r->data, &data, &handle_r->length))
        return false;
    memcpy(handle_r->data, data, handle_r->length);
    return true;
}

static bool get_post_op_handle(struct reader *reader, bool *has_r, struct nfs3_handle *handle_r)
{
    return reader_xdr_bool(reader, has_r) && (!*has_r || get_handle(reader, handle_r));
}

static bool get_lookup(struct reader *reader, struct nfs3_result *r)
{
    if (r->status != 0)
        return get_post_op_attr(reader, &r->has_dir_attr, &r->dir_attr);
    r->has_handle = true;
    return get_handle(reader, &r->handle) && get_post_op_attr(reader, &r->has_attr, &r->attr) &&
           get_post_op_attr(reader, &r->has_dir_attr, &r->dir_attr);
}

static bool get_read(struct reader *reader, struct nfs3_result *r)
{
    if (!get_post_op_attr(reader, &r->has_attr, &r->attr))
        return false;
    if (r->status != 0)
        return true;
    return reader_be32(reader, &r->count) && reader_xdr_bool(reader, &r->eof) &&
           reader_xdr_opaque(reader, ANY_LENGTH, &r->data, &r->data_length) && r->count == r->data_length;
}

static bool get_write(struct reader *reader, struct nfs3_result *r)
{
    if (!get_wcc(reader, &r->wcc) || r->status != 0)
        return r->status != 0;
    return reader_be32(reader, &r->count) && reader_be32(reader, &r->committed) && r->committed <= 2 &&
           reader_be64(reader, &r->verifier);
}

static bool get_made(struct reader *reader, struct nfs3_result *r)
{
    if (r->status == 0 && (!get_post_op_handle(reader, &r->has_handle, &r->handle) ||
                           !get_post_op_attr(reader, &r->has_attr, &r->attr)))
        return false;
    return get_wcc(reader, &r->wcc);
}

static bool get_entry(struct reader *reader, bool plus, struct nfs3_entry *entry_r)
{
    *entry_r = (struct nfs3_entry){.fileid = 0};
    return reader_be64(reader, &entry_r->fileid) &&
           reader_xdr_opaque(reader, 255, &entry_r->name, &entry_r->name_length) &&
           reader_be64(reader, &entry_r->cookie) &&
           (!plus || (get_post_op_attr(reader, &entry_r->has_attr, &entry_r->attr) &&
                      get_post_op_handle(reader, &entry_r->has_handle, &entry_r->handle)));
}

bool nfs3_next_entry(struct nfs3_result *result, bool plus, struct nfs3_entry *entry_r)
{
    bool follows;

    return reader_xdr_bool(&result->entries, &follows) && follows &&
           get_entry(&result->entries, plus, entry_r);
}

static bool get_entries(struct reader *reader, bool plus, struct nfs3_result *r)
{
    struct nfs3_entry entry;
    bool follows;

    if (!get_post_op_attr(reader, &r->has_attr, &r->attr) || r->status != 0)
        return r->status != 0;
    if (!reader_be64(reader, &r->verifier))
        return false;
    r->entries = *reader;
    while (reader_xdr_bool(reader, &follows)) {
        if (!follows)
            return reader_xdr_bool(reader, &r->eof);
        if (!get_entry(reader, plus, &entry))
            return false;
        r->entry_count++;
        r->entry_bytes += 4 + 8 + 4 + (entry.name_length + 3) / 4 * 4 + 8;
    }
    return false;
}

static bool get_fsstat(struct reader *reader, struct nfs3_result *r)
{
    uint32_t invarsec;

    if (!get_post_op_attr(reader, &r->has_attr, &r->attr) || r->status != 0)
        return r->status != 0;
    for (int i = 0; i < 6; i++) {
        if (!reader_be64(reader, &r->space[i]))
            return false;
    }
    return reader_be32(reader, &invarsec);
}

static bool get_fsinfo(struct reader *reader, struct nfs3_result *r)
{
    if (!get_post_op_attr(reader, &r->has_attr, &r->attr) || r->status != 0)
        return r->status != 0;
    for (int i = 0; i < 7; i++) {
        if (!reader_be32(reader, &r->limits[i]))
            return false;
    }
    return reader_be64(reader, &r->maxfilesize) && get_time(reader, &r->time_delta) &&
           reader_be32(reader, &r->properties);
}

static bool get_pathconf(struct reader *reader, struct nfs3_result *r)
{
    if (!get_post_op_attr(reader, &r->has_attr, &r->attr) || r->status != 0)
        return r->status != 0;
    return reader_be32(reader, &r->linkmax) && reader_be32(reader, &r->name_max) &&
           reader_xdr_bool(reader, &r->no_trunc) && reader_xdr_bool(reader, &r->chown_restricted) &&
           reader_xdr_bool(reader, &r->case_insensitive) && reader_xdr_bool(reader, &r->case_preserving);
}

static bool get_results(struct reader *reader, uint32_t procedure, struct nfs3_result *r)
{
    if (procedure == NFS3C_NULL)
        return true;
    if (!reader_be32(reader, &r->status))
        return false;
    switch (procedure) {
    case NFS3C_GETATTR:
        r->has_attr = r->status == 0;
        return r->status != 0 || get_fattr(reader, &r->attr);
    case NFS3C_LOOKUP:
        return get_lookup(reader, r);
    case NFS3C_ACCESS:
        return get_post_op_attr(reader, &r->has_attr, &r->attr) &&
               (r->status != 0 || reader_be32(reader, &r->access));
    case NFS3C_READLINK:
        return get_post_op_attr(reader, &r->has_attr, &r->attr) &&
               (r->status != 0 || reader_xdr_opaque(reader, ANY_LENGTH, &r->data, &r->data_length));
    case NFS3C_READ:
        return get_read(reader, r);
    case NFS3C_WRITE:
        return get_write(reader, r);
    case NFS3C_CREATE:
    case NFS3C_MKDIR:
    case NFS3C_SYMLINK:
    case NFS3C_MKNOD:
        return get_made(reader, r);
    case NFS3C_SETATTR:
    case NFS3C_REMOVE:
    case NFS3C_RMDIR:
        return get_wcc(reader, &r->wcc);
    case NFS3C_RENAME:
        return get_wcc(reader, &r->wcc) && get_wcc(reader, &r->wcc2);
    case NFS3C_LINK:
        return get_post_op_attr(reader, &r->has_attr, &r->attr) && get_wcc(reader, &r->wcc);
    case NFS3C_READDIR:
        return get_entries(reader, false, r);
    case NFS3C_READDIRPLUS:
        return get_entries(reader, true, r);
    case NFS3C_FSSTAT:
        return get_fsstat(reader, r);
    case NFS3C_FSINFO:
        return get_fsinfo(reader, r);
    case NFS3C_PATHCONF:
        return get_pathconf(reader, r);
    case NFS3C_COMMIT:
        return get_wcc(reader, &r->wcc) && (r->status != 0 || reader_be64(reader, &r->verifier));
    default:
        return false;
    }
}

bool nfs3_decode(struct reader results, uint32_t procedure, struct nfs3_result *result_r)
{
    *result_r = (struct nfs3_result){.length = (uint32_t)results.left};
    return get_results(&results, procedure, result_r) && reader_is_done(&results);
}

enum rpcclient_status nfs3_call(struct rpcclient *client, uint32_t procedure, const struct writer *arguments,
                                struct nfs3_result *result_r)
{
    struct reader results;
    enum rpcclient_status status;

    rpcclient_program(client, NFS_PROGRAM, VERSION);
    status = rpcclient_call(client, procedure, arguments, &results);
    if (status != RPCCLIENT_SUCCESS)
        return status;
    return nfs3_decode(results, procedure, result_r) ? RPCCLIENT_SUCCESS : RPCCLIENT_BROKEN;
}

/* ---- arguments ---- */

void nfs3_put_handle(struct writer *writer, const struct nfs3_handle *handle)
{
    writer_xdr_opaque(writer, handle->data, handle->length);
}

static void put_time_how(struct writer *writer, uint32_t how, struct timestamp time)
{
    writer_be32(writer, how);
    if (how == 2) {
        writer_be32(writer, (uint32_t)time.seconds);
        writer_be32(writer, time.nanoseconds);
    }
}

void nfs3_put_attr(struct writer *writer, const struct nfs3_new_attr *attr)
{
    static const struct nfs3_new_attr none = {.set = 0};

    if (attr == NULL)
        attr = &none;
    writer_xdr_bool(writer, (attr->set & NFS3_SET_MODE) != 0);
    if ((attr->set & NFS3_SET_MODE) != 0)
        writer_be32(writer, attr->mode);
    writer_xdr_bool(writer, (attr->set & NFS3_SET_UID) != 0);
    if ((attr->set & NFS3_SET_UID) != 0)
        writer_be32(writer, attr->uid);
    writer_xdr_bool(writer, (attr->set & NFS3_SET_GID) != 0);
    if ((attr->set & NFS3_SET_GID) != 0)
        writer_be32(writer, attr->gid);
    writer_xdr_bool(writer, (attr->set & NFS3_SET_SIZE) != 0);
    if ((attr->set & NFS3_SET_SIZE) != 0)
        writer_be64(writer, attr->size);
    put_time_how(writer, attr->atime_how, attr->atime);
    put_time_how(writer, attr->mtime_how, attr->mtime);
}

/* Calls with what is in WRITER, and frees it. */
static enum rpcclient_status finish(struct rpcclient *client, uint32_t procedure, struct writer *writer,
                                    struct nfs3_result *result_r)
{
    enum rpcclient_status status = nfs3_call(client, procedure, writer, result_r);

    writer_free(writer);
    return status;
}

static struct writer begin(const struct nfs3_handle *handle)
{
    struct writer writer;

    writer_init_growing(&writer, ARGUMENTS_MAX);
    nfs3_put_handle(&writer, handle);
    return writer;
}

static struct writer begin_name(const struct nfs3_handle *dir, const char *name)
{
    struct writer writer = begin(dir);

    writer_xdr_opaque(&writer, name, strlen(name));
    return writer;
}

enum rpcclient_status nfs3_handle_call(struct rpcclient *client, uint32_t procedure,
                                       const struct nfs3_handle *object, struct nfs3_result *result_r)
{
    struct writer writer = begin(object);

    return finish(client, procedure, &writer, result_r);
}

enum rpcclient_status nfs3_name_call(struct rpcclient *client, uint32_t procedure,
                                     const struct nfs3_handle *dir, const void *name, uint32_t length,
                                     struct nfs3_result *result_r)
{
    struct writer writer = begin(dir);

    writer_xdr_opaque(&writer, name, length);
    return finish(client, procedure, &writer, result_r);
}

enum rpcclient_status nfs3_getattr(struct rpcclient *client, const struct nfs3_handle *object,
                                   struct nfs3_result *result_r)
{
    return nfs3_handle_call(client, NFS3C_GETATTR, object, result_r);
}

enum rpcclient_status nfs3_setattr(struct rpcclient *client, const struct nfs3_handle *object,
                                   const struct nfs3_new_attr *attr, const struct timestamp *guard,
                                   struct nfs3_result *result_r)
{
    struct writer writer = begin(object);

    nfs3_put_attr(&writer, attr);
    writer_xdr_bool(&writer, guard != NULL);
    if (guard != NULL) {
        writer_be32(&writer, (uint32_t)guard->seconds);
        writer_be32(&writer, guard->nanoseconds);
    }
    return finish(client, NFS3C_SETATTR, &writer, result_r);
}

enum rpcclient_status nfs3_lookup(struct rpcclient *client, const struct nfs3_handle *dir, const char *name,
                                  struct nfs3_result *result_r)
{
    return nfs3_name_call(client, NFS3C_LOOKUP, dir, name, (uint32_t)strlen(name), result_r);
}

enum rpcclient_status nfs3_access(struct rpcclient *client, const struct nfs3_handle *object, uint32_t access,
                                  struct nfs3_result *result_r)
{
    struct writer writer = begin(object);

    writer_be32(&writer, access);
    return finish(client, NFS3C_ACCESS, &writer, result_r);
}

enum rpcclient_status nfs3_read(struct rpcclient *client, const struct nfs3_handle *file, uint64_t offset,
                                uint32_t count, struct nfs3_result *result_r)
{
    struct writer writer = begin(file);

    writer_be64(&writer, offset);
    writer_be32(&writer, count);
    return finish(client, NFS3C_READ, &writer, result_r);
}

enum rpcclient_status nfs3_write(struct rpcclient *client, const struct nfs3_handle *file, uint64_t offset,
                                 const void *data, uint32_t length, uint32_t stable,
                                 struct nfs3_result *result_r)
{
    struct writer writer = begin(file);

    writer_be64(&writer, offset);
    writer_be32(&writer, length);
    writer_be32(&writer, stable);
    writer_xdr_opaque(&writer, data, length);
    return finish(client, NFS3C_WRITE, &writer, result_r);
}

enum rpcclient_status nfs3_create(struct rpcclient *client, const struct nfs3_handle *dir, const char *name,
                                  uint32_t how, const struct nfs3_new_attr *attr, uint64_t verifier,
                                  struct nfs3_result *result_r)
{
    struct writer writer = begin_name(dir, name);

    writer_be32(&writer, how);
    if (how == 2)
        writer_be64(&writer, verifier);
    else
        nfs3_put_attr(&writer, attr);
    return finish(client, NFS3C_CREATE, &writer, result_r);
}

enum rpcclient_status nfs3_mkdir(struct rpcclient *client, const struct nfs3_handle *dir, const char *name,
                                 const struct nfs3_new_attr *attr, struct nfs3_result *result_r)
{
    struct writer writer = begin_name(dir, name);

    nfs3_put_attr(&writer, attr);
    return finish(client, NFS3C_MKDIR, &writer, result_r);
}

enum rpcclient_status nfs3_symlink(struct rpcclient *client, const struct nfs3_handle *dir, const char *name,
                                   const char *target, struct nfs3_result *result_r)
{
    struct writer writer = begin_name(dir, name);

    nfs3_put_attr(&writer, NULL);
    writer_xdr_opaque(&writer, target, strlen(target));
    return finish(client, NFS3C_SYMLINK, &writer, result_r);
}

enum rpcclient_status nfs3_mknod(struct rpcclient *client, const struct nfs3_handle *dir, const char *name,
                                 uint32_t type, uint32_t major, uint32_t minor, struct nfs3_result *result_r)
{
    struct writer writer = begin_name(dir, name);
    bool device = type == NF3BLK || type == NF3CHR;

    writer_be32(&writer, type);
    if (device || type == NF3FIFO || type == NF3SOCK)
        nfs3_put_attr(&writer, NULL);
    if (device) {
        writer_be32(&writer, major);
        writer_be32(&writer, minor);
    }
    return finish(client, NFS3C_MKNOD, &writer, result_r);
}

enum rpcclient_status nfs3_rename(struct rpcclient *client, const struct nfs3_handle *from_dir,
                                  const char *from, const struct nfs3_handle *to_dir, const char *to,
                                  struct nfs3_result *result_r)
{
    struct writer writer = begin_name(from_dir, from);

    nfs3_put_handle(&writer, to_dir);
    writer_xdr_opaque(&writer, to, strlen(to));
    return finish(client, NFS3C_RENAME, &writer, result_r);
}

enum rpcclient_status nfs3_link(struct rpcclient *client, const struct nfs3_handle *file,
                                const struct nfs3_handle *dir, const char *name, struct nfs3_result *result_r)
{
    struct writer writer = begin(file);

    nfs3_put_handle(&writer, dir);
    writer_xdr_opaque(&writer, name, strlen(name));
    return finish(client, NFS3C_LINK, &writer, result_r);
}

enum rpcclient_status nfs3_readdir(struct rpcclient *client, const struct nfs3_handle *dir, uint64_t cookie,
                                   uint64_t verifier, uint32_t count, struct nfs3_result *result_r)
{
    struct writer writer = begin(dir);

    writer_be64(&writer, cookie);
    writer_be64(&writer, verifier);
    writer_be32(&writer, count);
    return finish(client, NFS3C_READDIR, &writer, result_r);
}

enum rpcclient_status nfs3_readdirplus(struct rpcclient *client, const struct nfs3_handle *dir,
                                       uint64_t cookie, uint64_t verifier, uint32_t dircount,
                                       uint32_t maxcount, struct nfs3_result *result_r)
{
    struct writer writer = begin(dir);

    writer_be64(&writer, cookie);
    writer_be64(&writer, verifier);
    writer_be32(&writer, dircount);
    writer_be32(&writer, maxcount);
    return finish(client, NFS3C_READDIRPLUS, &writer, result_r);
}

enum rpcclient_status nfs3_commit(struct rpcclient *client, const struct nfs3_handle *file, uint64_t offset,
                                  uint32_t count, struct nfs3_result *result_r)
{
    struct writer writer = begin(file);

    writer_be64(&writer, offset);
    writer_be32(&writer, count);
    return finish(client, NFS3C_COMMIT, &writer, result_r);
}

/* ---- MOUNT ---- */

static enum rpcclient_status mount_call(struct rpcclient *client, uint32_t version, uint32_t procedure,
                                        const char *path, struct reader *results_r)
{
    struct writer writer;
    enum rpcclient_status status;

    writer_init_growing(&writer, ARGUMENTS_MAX);
    if (path != NULL)
        writer_xdr_opaque(&writer, path, strlen(path));
    rpcclient_program(client, MOUNT_PROGRAM, version);
    status = rpcclient_call(client, procedure, &writer, results_r);
    writer_free(&writer);
    return status;
}

static enum rpcclient_status ended(const struct reader *results)
{
    return reader_is_done(results) ? RPCCLIENT_SUCCESS : RPCCLIENT_BROKEN;
}

enum rpcclient_status mount3_mnt(struct rpcclient *client, const char *path, struct mount3_result *result_r)
{
    struct reader results;
    enum rpcclient_status status = mount_call(client, VERSION, 1, path, &results);

    *result_r = (struct mount3_result){.status = 0};
    if (status != RPCCLIENT_SUCCESS)
        return status;
    if (!reader_be32(&results, &result_r->status))
        return RPCCLIENT_BROKEN;
    if (result_r->status != 0)
        return ended(&results);
    if (!get_handle(&results, &result_r->handle) || !reader_be32(&results, &result_r->flavor_count) ||
        result_r->flavor_count > sizeof result_r->flavors / sizeof result_r->flavors[0])
        return RPCCLIENT_BROKEN;
    for (uint32_t i = 0; i < result_r->flavor_count; i++) {
        if (!reader_be32(&results, &result_r->flavors[i]))
            return RPCCLIENT_BROKEN;
    }
    return ended(&results);
}

/* Appends a counted string and END to the C string in TEXT. */
static bool append(struct reader *reader, const char *end, char *text, size_t size)
{
    size_t used = strlen(text), end_length = strlen(end);
    const uint8_t *data;
    uint32_t length;

    if (!reader_xdr_opaque(reader, 1024, &data, &length) || used + length + end_length + 1 > size)
        return false;
    memcpy(text + used, data, length);
    memcpy(text + used + length, end, end_length + 1);
    return true;
}

enum rpcclient_status mount3_dump(struct rpcclient *client, uint32_t version, char *text, size_t size)
{
    struct reader results;
    enum rpcclient_status status = mount_call(client, version, 2, NULL, &results);
    bool follows;

    text[0] = '\0';
    if (status != RPCCLIENT_SUCCESS)
        return status;
    while (reader_xdr_bool(&results, &follows)) {
        if (!follows)
            return ended(&results);
        if (!append(&results, " ", text, size) || !append(&results, "\n", text, size))
            return RPCCLIENT_BROKEN;
    }
    return RPCCLIENT_BROKEN;
}

static bool append_groups(struct reader *reader, char *text, size_t size)
{
    size_t used;
    bool follows;

    while (reader_xdr_bool(reader, &follows)) {
        used = strlen(text);
        if (used + 2 > size)
            return false;
        memcpy(text + used, follows ? " " : "\n", 2);
        if (!follows)
            return true;
        if (!append(reader, "", text, size))
            return false;
    }
    return false;
}

enum rpcclient_status mount3_export(struct rpcclient *client, uint32_t version, char *text, size_t size)
{
    struct reader results;
    enum rpcclient_status status = mount_call(client, version, 5, NULL, &results);
    bool follows;

    text[0] = '\0';
    if (status != RPCCLIENT_SUCCESS)
        return status;
    while (reader_xdr_bool(&results, &follows)) {
        if (!follows)
            return ended(&results);
        if (!append(&results, "", text, size) || !append_groups(&results, text, size))
            return RPCCLIENT_BROKEN;
    }
    return RPCCLIENT_BROKEN;
}

enum rpcclient_status mount3_umnt(struct rpcclient *client, uint32_t version, const char *path)
{
    struct reader results;
    enum rpcclient_status status = mount_call(client, version, path != NULL ? 3 : 4, path, &results);

    return status != RPCCLIENT_SUCCESS ? status : ended(&results);
}
