/*
 * nfs4wire_reply.c - results of NFSv4's operations, taken apart to the last byte.
 */
#include "nfs4wire.h"

#include <string.h>

/* ---- attributes ---- */

static bool get_bitmap(struct reader *reader, struct wire4_bitmap *bitmap)
{
    uint32_t count, word;

    *bitmap = (struct wire4_bitmap){{0}};
    if (!reader_be32(reader, &count) || count > 3)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!reader_be32(reader, &word))
            return false;
        bitmap->words[i] = word;
    }
    return count == 0 || bitmap->words[count - 1] != 0; /* the shortest form */
}

static bool get_handle(struct reader *reader, struct wire4_handle *handle)
{
    const uint8_t *data;

    if (!reader_xdr_opaque(reader, NFS4_FHSIZE, &data, &handle->length))
        return false;
    memcpy(handle->data, data, handle->length);
    return true;
}

static bool get_text(struct reader *reader, char *text, size_t size)
{
    const uint8_t *data;
    uint32_t length;

    if (!reader_xdr_opaque(reader, size - 1, &data, &length))
        return false;
    memcpy(text, data, length);
    text[length] = '\0';
    return true;
}

static bool get_time(struct reader *reader, struct timestamp *time)
{
    uint64_t seconds;

    if (!reader_be64(reader, &seconds) || !reader_be32(reader, &time->nanoseconds))
        return false;
    time->seconds = (int64_t)seconds;
    return time->nanoseconds < 1000000000;
}

static bool get_u32_attr(struct reader *reader, unsigned attr, struct wire4_attrs *attrs, bool *known)
{
    uint32_t *to = NULL;

    switch (attr) {
    case FATTR4_TYPE:
        to = &attrs->type;
        break;
    case FATTR4_FH_EXPIRE_TYPE:
        to = &attrs->fh_expire_type;
        break;
    case FATTR4_LEASE_TIME:
        to = &attrs->lease_time;
        break;
    case FATTR4_RDATTR_ERROR:
        to = &attrs->rdattr_error;
        break;
    case FATTR4_ACLSUPPORT:
        to = &attrs->aclsupport;
        break;
    case FATTR4_MAXLINK:
        to = &attrs->maxlink;
        break;
    case FATTR4_MAXNAME:
        to = &attrs->maxname;
        break;
    case FATTR4_MODE:
        to = &attrs->mode;
        break;
    case FATTR4_NUMLINKS:
        to = &attrs->numlinks;
        break;
    case FATTR4_FS_CHARSET_CAP:
        to = &attrs->charset_cap;
        break;
    case FATTR4_CLONE_BLKSIZE:
        to = &attrs->clone_blksize;
        break;
    case FATTR4_CHANGE_ATTR_TYPE:
        to = &attrs->change_attr_type;
        break;
    default:
        break;
    }
    *known = to != NULL;
    return to == NULL || reader_be32(reader, to);
}

static bool get_u64_attr(struct reader *reader, unsigned attr, struct wire4_attrs *attrs, bool *known)
{
    static const struct {
        unsigned attr;
        size_t at;
    } rows[] = {
        {FATTR4_CHANGE, offsetof(struct wire4_attrs, change)},
        {FATTR4_SIZE, offsetof(struct wire4_attrs, size)},
        {FATTR4_FILEID, offsetof(struct wire4_attrs, fileid)},
        {FATTR4_FILES_AVAIL, offsetof(struct wire4_attrs, files_avail)},
        {FATTR4_FILES_FREE, offsetof(struct wire4_attrs, files_free)},
        {FATTR4_FILES_TOTAL, offsetof(struct wire4_attrs, files_total)},
        {FATTR4_MAXFILESIZE, offsetof(struct wire4_attrs, maxfilesize)},
        {FATTR4_MAXREAD, offsetof(struct wire4_attrs, maxread)},
        {FATTR4_MAXWRITE, offsetof(struct wire4_attrs, maxwrite)},
        {FATTR4_SPACE_AVAIL, offsetof(struct wire4_attrs, space_avail)},
        {FATTR4_SPACE_FREE, offsetof(struct wire4_attrs, space_free)},
        {FATTR4_SPACE_TOTAL, offsetof(struct wire4_attrs, space_total)},
        {FATTR4_SPACE_USED, offsetof(struct wire4_attrs, space_used)},
        {FATTR4_MOUNTED_ON_FILEID, offsetof(struct wire4_attrs, mounted_on_fileid)},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t value;

        if (rows[i].attr != attr)
            continue;
        *known = true;
        if (!reader_be64(reader, &value))
            return false;
        memcpy((uint8_t *)attrs + rows[i].at, &value, sizeof value);
        return true;
    }
    return true;
}

static bool get_bool_attr(struct reader *reader, unsigned attr, struct wire4_attrs *attrs, bool *known)
{
    static const struct {
        unsigned attr;
        size_t at;
    } rows[] = {
        {FATTR4_LINK_SUPPORT, offsetof(struct wire4_attrs, link_support)},
        {FATTR4_SYMLINK_SUPPORT, offsetof(struct wire4_attrs, symlink_support)},
        {FATTR4_NAMED_ATTR, offsetof(struct wire4_attrs, named_attr)},
        {FATTR4_UNIQUE_HANDLES, offsetof(struct wire4_attrs, unique_handles)},
        {FATTR4_ARCHIVE, offsetof(struct wire4_attrs, archive)},
        {FATTR4_CANSETTIME, offsetof(struct wire4_attrs, cansettime)},
        {FATTR4_CASE_INSENSITIVE, offsetof(struct wire4_attrs, case_insensitive)},
        {FATTR4_CASE_PRESERVING, offsetof(struct wire4_attrs, case_preserving)},
        {FATTR4_CHOWN_RESTRICTED, offsetof(struct wire4_attrs, chown_restricted)},
        {FATTR4_HIDDEN, offsetof(struct wire4_attrs, hidden)},
        {FATTR4_HOMOGENEOUS, offsetof(struct wire4_attrs, homogeneous)},
        {FATTR4_NO_TRUNC, offsetof(struct wire4_attrs, no_trunc)},
        {FATTR4_SYSTEM, offsetof(struct wire4_attrs, system)},
        {FATTR4_XATTR_SUPPORT, offsetof(struct wire4_attrs, xattr_support)},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].attr != attr)
            continue;
        *known = true;
        return reader_xdr_bool(reader, (bool *)((uint8_t *)attrs + rows[i].at));
    }
    return true;
}

/* nfsace4<>: where its entries are. */
static bool get_aces(struct reader *reader, struct reader *list, uint32_t *count)
{
    struct reader begin;
    const uint8_t *who;
    uint32_t length;

    if (!reader_be32(reader, count))
        return false;
    begin = *reader;
    for (uint32_t i = 0; i < *count; i++)
        if (!reader_skip(reader, 12) || !reader_xdr_opaque(reader, 255, &who, &length))
            return false;
    *list = reader_of(begin.at, begin.left - reader->left);
    return true;
}

bool wire4_next_ace(struct reader *list, struct wire4_ace *ace_r, char who[256])
{
    const uint8_t *text;
    uint32_t length;

    if (!reader_be32(list, &ace_r->type) || !reader_be32(list, &ace_r->flags) ||
        !reader_be32(list, &ace_r->mask) || !reader_xdr_opaque(list, 255, &text, &length))
        return false;
    memcpy(who, text, length);
    who[length] = '\0';
    ace_r->who = who;
    return true;
}

static bool get_other_attr(struct reader *reader, unsigned attr, struct wire4_attrs *attrs)
{
    switch (attr) {
    case FATTR4_SUPPORTED_ATTRS:
        return get_bitmap(reader, &attrs->supported);
    case FATTR4_SUPPATTR_EXCLCREAT:
        return get_bitmap(reader, &attrs->exclusive);
    case FATTR4_OPEN_ARGUMENTS:
        for (int i = 0; i < 5; i++)
            if (!get_bitmap(reader, &attrs->open_arguments[i]))
                return false;
        return true;
    case FATTR4_ACL:
        return get_aces(reader, &attrs->acl, &attrs->acl_count);
    case FATTR4_DACL:
        return reader_be32(reader, &attrs->dacl_flags) && get_aces(reader, &attrs->dacl, &attrs->dacl_count);
    case FATTR4_FSID:
        return reader_be64(reader, &attrs->fsid_major) && reader_be64(reader, &attrs->fsid_minor);
    case FATTR4_FILEHANDLE:
        return get_handle(reader, &attrs->handle);
    case FATTR4_OWNER:
        return get_text(reader, attrs->owner, sizeof attrs->owner);
    case FATTR4_OWNER_GROUP:
        return get_text(reader, attrs->group, sizeof attrs->group);
    case FATTR4_RAWDEV:
        return reader_be32(reader, &attrs->rawdev_major) && reader_be32(reader, &attrs->rawdev_minor);
    case FATTR4_TIME_ACCESS:
        return get_time(reader, &attrs->atime);
    case FATTR4_TIME_CREATE:
        return get_time(reader, &attrs->btime);
    case FATTR4_TIME_DELTA:
        return get_time(reader, &attrs->time_delta);
    case FATTR4_TIME_METADATA:
        return get_time(reader, &attrs->ctime);
    case FATTR4_TIME_MODIFY:
        return get_time(reader, &attrs->mtime);
    default:
        return false; /* one that the server should not have, or that this client does not know */
    }
}

static bool get_fattr(struct reader *reader, struct wire4_attrs *attrs)
{
    const uint8_t *bytes;
    struct reader values;
    uint32_t length;

    memset(attrs, 0, sizeof *attrs);
    if (!get_bitmap(reader, &attrs->mask) || !reader_xdr_opaque(reader, UINT32_MAX, &bytes, &length))
        return false;
    values = reader_of(bytes, length);
    for (unsigned attr = 0; attr < 96; attr++) {
        bool known = false;

        if (!wire4_has(&attrs->mask, attr))
            continue;
        if (!get_u32_attr(&values, attr, attrs, &known))
            return false;
        if (!known && !get_u64_attr(&values, attr, attrs, &known))
            return false;
        if (!known && !get_bool_attr(&values, attr, attrs, &known))
            return false;
        if (!known && !get_other_attr(&values, attr, attrs))
            return false;
    }
    return reader_is_done(&values);
}

/* ---- pieces of results ---- */

bool wire4_get_stateid(struct reader *reader, struct wire4_stateid *stateid)
{
    return reader_be32(reader, &stateid->seqid) && reader_copy(reader, stateid->other, sizeof stateid->other);
}

static bool get_change_info(struct reader *reader, bool *atomic, uint64_t *before, uint64_t *after)
{
    return reader_xdr_bool(reader, atomic) && reader_be64(reader, before) && reader_be64(reader, after);
}

static bool get_denied(struct reader *reader, struct wire4_result *result)
{
    return reader_be64(reader, &result->lock_offset) && reader_be64(reader, &result->lock_length) &&
           reader_be32(reader, &result->lock_type) && reader_be64(reader, &result->clientid) &&
           reader_xdr_opaque(reader, NFS4_OPAQUE_LIMIT, &result->lock_owner, &result->lock_owner_length);
}

/* open_delegation4 */
static bool get_delegation(struct reader *reader, struct wire4_result *result)
{
    enum { NONE, READ, WRITE, NONE_EXT };
    const uint8_t *who;
    uint32_t limit, type, flag, mask, length;
    bool later;

    if (!reader_be32(reader, &result->delegation) || result->delegation > NONE_EXT)
        return false;
    if (result->delegation == NONE)
        return true;
    if (result->delegation == NONE_EXT)
        return reader_be32(reader, &result->why) &&
               ((result->why != 1 && result->why != 2) || reader_xdr_bool(reader, &later));
    if (!wire4_get_stateid(reader, &result->delegation_id) || !reader_xdr_bool(reader, &result->recall))
        return false;
    if (result->delegation == WRITE &&
        (!reader_be32(reader, &limit) || limit != 1 || !reader_be64(reader, &result->space_limit)))
        return false;
    /* An ACE that lets nobody do anything. */
    return reader_be32(reader, &type) && reader_be32(reader, &flag) && reader_be32(reader, &mask) &&
           (type | flag | mask) == 0 && reader_xdr_opaque(reader, 64, &who, &length);
}

static bool get_dir_delegation(struct reader *reader, struct wire4_result *result)
{
    struct wire4_bitmap *sets = result->notifications;
    uint32_t unavailable;
    bool later;

    if (!reader_be32(reader, &unavailable) || unavailable > 1)
        return false;
    if (unavailable)
        return reader_xdr_bool(reader, &later);
    result->delegation = 1;
    return reader_be64(reader, &result->verifier) && wire4_get_stateid(reader, &result->delegation_id) &&
           get_bitmap(reader, &sets[0]) && get_bitmap(reader, &sets[1]) && get_bitmap(reader, &sets[2]);
}

static bool get_open(struct reader *reader, struct wire4_result *result)
{
    return wire4_get_stateid(reader, &result->stateid) &&
           get_change_info(reader, &result->atomic, &result->before, &result->after) &&
           reader_be32(reader, &result->flags) && get_bitmap(reader, &result->set) &&
           get_delegation(reader, result);
}

static bool get_entries(struct reader *reader, struct wire4_result *result)
{
    struct reader ahead;
    struct wire4_attrs attrs;
    bool follows;

    if (!reader_be64(reader, &result->verifier))
        return false;
    ahead = *reader;
    for (;;) {
        const uint8_t *name;
        uint32_t length;
        uint64_t cookie;

        if (!reader_xdr_bool(&ahead, &follows))
            return false;
        if (!follows)
            break;
        if (!reader_be64(&ahead, &cookie) || !reader_xdr_opaque(&ahead, 255, &name, &length) ||
            !get_fattr(&ahead, &attrs))
            return false;
        result->count++;
    }
    result->entries = *reader;
    *reader = ahead;
    return reader_xdr_bool(reader, &result->eof);
}

bool wire4_next_entry(struct wire4_result *result, struct wire4_entry *entry_r)
{
    bool follows;

    return reader_xdr_bool(&result->entries, &follows) && follows &&
           reader_be64(&result->entries, &entry_r->cookie) &&
           reader_xdr_opaque(&result->entries, 255, &entry_r->name, &entry_r->length) &&
           get_fattr(&result->entries, &entry_r->attrs);
}

static bool get_names(struct reader *reader, struct wire4_result *result)
{
    uint32_t count;
    const uint8_t *name;
    uint32_t length;

    if (!reader_be64(reader, &result->cookie) || !reader_be32(reader, &count))
        return false;
    result->count = count;
    result->entries = *reader;
    for (uint32_t i = 0; i < count; i++)
        if (!reader_xdr_opaque(reader, 255, &name, &length))
            return false;
    result->entries.left -= reader->left;
    return reader_xdr_bool(reader, &result->eof);
}

bool wire4_next_name(struct wire4_result *result, const uint8_t **name_r, uint32_t *length_r)
{
    return reader_xdr_opaque(&result->entries, 255, name_r, length_r);
}

static bool get_flavors(struct reader *reader, struct wire4_result *result)
{
    const uint8_t *oid;
    uint32_t length, quality;

    if (!reader_be32(reader, &result->flavor_count) || result->flavor_count > 16)
        return false;
    for (uint32_t i = 0; i < result->flavor_count; i++) {
        if (!reader_be32(reader, &result->flavors[i]))
            return false;
        if (result->flavors[i] == 6 &&
            (!reader_xdr_opaque(reader, 64, &oid, &length) || !reader_be32(reader, &quality) ||
             !reader_be32(reader, &result->services[i])))
            return false;
    }
    return true;
}

static bool get_segments(struct reader *reader, struct wire4_result *result)
{
    uint32_t count, what;

    if (!reader_xdr_bool(reader, &result->eof) || !reader_be32(reader, &count) || count > 1)
        return false;
    result->count = count;
    if (count == 0)
        return true;
    if (!reader_be32(reader, &what) || what > 1 || !reader_be64(reader, &result->offset))
        return false;
    result->hole = what == 1;
    if (result->hole)
        return reader_be64(reader, &result->hole_length);
    return reader_xdr_opaque(reader, UINT32_MAX, &result->data, &result->length);
}

static bool get_exchange_id(struct reader *reader, struct wire4_result *result)
{
    uint32_t protection, count;

    return reader_be64(reader, &result->clientid) && reader_be32(reader, &result->seqid) &&
           reader_be32(reader, &result->status_flags) && reader_be32(reader, &protection) &&
           protection == 0 && reader_be64(reader, &result->minor_id) &&
           get_text(reader, result->major_id, sizeof result->major_id) &&
           get_text(reader, result->scope, sizeof result->scope) && reader_be32(reader, &count) && count == 0;
}

static bool get_create_session(struct reader *reader, struct wire4_result *result)
{
    uint32_t count;

    if (!reader_copy(reader, result->session, sizeof result->session) ||
        !reader_be32(reader, &result->seqid) || !reader_be32(reader, &result->flags))
        return false;
    for (int i = 0; i < 6; i++)
        if (!reader_be32(reader, &result->channel[i]))
            return false;
    if (!reader_be32(reader, &count) || count != 0)
        return false;
    return reader_skip(reader, 24) && reader_be32(reader, &count) && count == 0;
}

static bool get_sequence(struct reader *reader, struct wire4_result *result)
{
    uint32_t slot;

    return reader_copy(reader, result->session, sizeof result->session) &&
           reader_be32(reader, &result->seqid) && reader_be32(reader, &slot) &&
           reader_be32(reader, &result->highest_slot) && reader_be32(reader, &result->target_slot) &&
           reader_be32(reader, &result->status_flags);
}

static bool get_copy(struct reader *reader, struct wire4_result *result)
{
    uint32_t callbacks;
    bool consecutive, synchronous;

    return reader_be32(reader, &callbacks) && callbacks == 0 && reader_be64(reader, &result->count) &&
           reader_be32(reader, &result->committed) && reader_be64(reader, &result->verifier) &&
           reader_xdr_bool(reader, &consecutive) && reader_xdr_bool(reader, &synchronous) && synchronous;
}

/* ---- results ---- */

static bool get_failure(struct reader *reader, struct wire4_result *result)
{
    const uint8_t *text;
    uint32_t length;

    switch (result->opnum) {
    case OP_SETATTR:
        return get_bitmap(reader, &result->set);
    case OP_LOCK:
    case OP_LOCKT:
        return result->status != NFS4ERR_DENIED || get_denied(reader, result);
    case OP_SETCLIENTID:
        return result->status != NFS4ERR_CLID_INUSE ||
               (reader_xdr_opaque(reader, UINT32_MAX, &text, &length) &&
                reader_xdr_opaque(reader, UINT32_MAX, &text, &length));
    default:
        return true;
    }
}

static bool get_body_of_files(struct reader *reader, struct wire4_result *result, bool *known)
{
    *known = true;
    switch (result->opnum) {
    case OP_ACCESS:
        return reader_be32(reader, &result->supported) && reader_be32(reader, &result->access);
    case OP_COMMIT:
        return reader_be64(reader, &result->verifier);
    case OP_CREATE:
        return get_change_info(reader, &result->atomic, &result->before, &result->after) &&
               get_bitmap(reader, &result->set);
    case OP_GETATTR:
        return get_fattr(reader, &result->attrs);
    case OP_GETFH:
        return get_handle(reader, &result->handle);
    case OP_LINK:
    case OP_REMOVE:
    case OP_SETXATTR:
    case OP_REMOVEXATTR:
        return get_change_info(reader, &result->atomic, &result->before, &result->after);
    case OP_RENAME:
        return get_change_info(reader, &result->atomic, &result->before, &result->after) &&
               get_change_info(reader, &result->atomic, &result->to_before, &result->to_after);
    case OP_READ:
        return reader_xdr_bool(reader, &result->eof) &&
               reader_xdr_opaque(reader, UINT32_MAX, &result->data, &result->length);
    case OP_READDIR:
        return get_entries(reader, result);
    case OP_READLINK:
    case OP_GETXATTR:
        return reader_xdr_opaque(reader, UINT32_MAX, &result->data, &result->length);
    case OP_SETATTR:
    case OP_IO_ADVISE:
        return get_bitmap(reader, &result->set);
    case OP_WRITE:
        return reader_be32(reader, &result->length) && reader_be32(reader, &result->committed) &&
               reader_be64(reader, &result->verifier);
    case OP_SECINFO:
    case OP_SECINFO_NO_NAME:
        return get_flavors(reader, result);
    case OP_READ_PLUS:
        return get_segments(reader, result);
    case OP_SEEK:
        return reader_xdr_bool(reader, &result->eof) && reader_be64(reader, &result->offset);
    case OP_COPY:
        return get_copy(reader, result);
    case OP_LISTXATTRS:
        return get_names(reader, result);
    default:
        *known = false;
        return true;
    }
}

static bool get_body_of_state(struct reader *reader, struct wire4_result *result)
{
    uint32_t word;

    switch (result->opnum) {
    case OP_OPEN:
        return get_open(reader, result);
    case OP_OPEN_CONFIRM:
    case OP_OPEN_DOWNGRADE:
    case OP_CLOSE:
    case OP_LOCK:
    case OP_LOCKU:
        return wire4_get_stateid(reader, &result->stateid);
    case OP_SETCLIENTID:
        return reader_be64(reader, &result->clientid) && reader_be64(reader, &result->verifier);
    case OP_EXCHANGE_ID:
        return get_exchange_id(reader, result);
    case OP_CREATE_SESSION:
        return get_create_session(reader, result);
    case OP_SEQUENCE:
        return get_sequence(reader, result);
    case OP_WANT_DELEGATION:
        return get_delegation(reader, result);
    case OP_GET_DIR_DELEGATION:
        return get_dir_delegation(reader, result);
    case OP_BIND_CONN_TO_SESSION:
        return reader_skip(reader, 24);
    case OP_TEST_STATEID:
        if (!reader_be32(reader, &word))
            return false;
        result->count = word;
        result->entries = *reader;
        return reader_skip(reader, (size_t)word * 4);
    default:
        return true; /* nothing behind the status */
    }
}

bool wire4_get_result(struct reader *reader, struct wire4_result *result)
{
    size_t left;
    bool known, good;

    memset(result, 0, sizeof *result);
    if (!reader_be32(reader, &result->opnum) || !reader_be32(reader, &result->status))
        return false;
    left = reader->left;
    if (result->status != NFS4_OK) {
        good = get_failure(reader, result);
    } else {
        good = get_body_of_files(reader, result, &known);
        if (good && !known)
            good = get_body_of_state(reader, result);
    }
    result->bytes = (uint32_t)(left - reader->left);
    return good;
}

bool wire4_decode(struct wire4 *wire, struct reader reader)
{
    const char *sent = wire->tag == NULL ? "" : wire->tag;
    const uint8_t *tag;
    uint32_t tag_length;

    wire->reply = reader;
    wire->last = (struct wire4_result){.opnum = 0};
    if (!reader_be32(&reader, &wire->status) || !reader_xdr_opaque(&reader, UINT32_MAX, &tag, &tag_length) ||
        !reader_be32(&reader, &wire->count))
        return false;
    if (tag_length != strlen(sent) || memcmp(tag, sent, tag_length) != 0)
        return false;
    for (uint32_t i = 0; i < wire->count; i++) {
        /* Only the last may have failed. */
        if (!wire4_get_result(&reader, &wire->last) ||
            (wire->last.status != NFS4_OK && (i + 1 != wire->count || wire->last.status != wire->status)))
            return false;
        if (i < WIRE4_RESULTS)
            wire->results[i] = wire->last;
    }
    if (wire->count > 0 && wire->last.status != wire->status)
        return false;
    return reader_is_done(&reader);
}
