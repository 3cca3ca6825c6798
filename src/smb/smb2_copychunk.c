/*
 * smb2_copychunk.c - server-side copies: FSCTL_SRV_REQUEST_RESUME_KEY, FSCTL_SRV_COPYCHUNK and _WRITE
 * (MS-SMB2 3.3.5.15.5, 3.3.5.15.6), FSCTL_DUPLICATE_EXTENTS_TO_FILE and _EX (3.3.5.15.17, 3.3.5.15.18).
 *
 * The happy path of a copy: the chunks are decoded and judged; one behind the other they are shared in the
 * store where they are aligned, and else read and written in pieces. Byte ranges of others are asked on both
 * sides, of each by its own open. The loop gets its turn between pieces. A copy that fails on its way says
 * how far it came; what is over a limit is answered with the limits.
 *
 * The resume key is the source's file id; it is good within its session.
 */
#include "smb/smb2_ioctl.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNKS_MAX = 256,
    CHUNK_BYTES_MAX = 1 << 20,
    COPY_BYTES_MAX = 16 << 20,
    PIECE_BYTES = 256 * 1024,
    KEY_SIZE = 24,
    COPY_HEAD = KEY_SIZE + 8,
    CHUNK_SIZE = 24,
    ANSWER_SIZE = 12,
    SHARE_ALIGNMENT = 4096, /* of store_clone */
    EX_SIZE = 0x30,
    EX_SOURCE_ATOMIC = 1
};

struct chunk {
    uint64_t from, to;
    uint32_t length;
};

struct copy {
    struct smb2_open *source; /* a reference */
    uint32_t count, at;       /* chunks; the one being copied */
    uint32_t done;            /* bytes of it */
    uint32_t piece;           /* bytes being read or written */
    uint64_t total;
    struct chunk chunks[CHUNKS_MAX];
};

uint32_t smb2__fsctl_resume_key(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    struct writer *writer = smb2_reply(request);

    if (ioctl->most_output < KEY_SIZE + 8)
        return STATUS_INVALID_PARAMETER;
    writer_le64(writer, request->open->persistent_id);
    writer_le64(writer, request->open->volatile_id);
    writer_zeros(writer, KEY_SIZE - 16 + 4 + 4); /* no context */
    return STATUS_SUCCESS;
}

/* The open of the session that KEY stands for; NULL when there is none. */
static struct smb2_open *find_source(const struct smb2_request *request, struct reader key)
{
    uint64_t persistent, volatile_id, rest;
    struct smb2_open *open;

    if (!reader_le64(&key, &persistent) || !reader_le64(&key, &volatile_id) || !reader_le64(&key, &rest) ||
        rest != 0)
        return NULL;
    open = smb2__open_find(request->session, persistent, volatile_id);
    return open != NULL && open->inode != NULL ? open : NULL;
}

/* ---- the answer ---- */

static void write_answer(struct smb2_request *request, uint32_t chunks, uint32_t bytes, uint32_t total)
{
    writer_le32(smb2_reply(request), chunks);
    writer_le32(smb2_reply(request), bytes);
    writer_le32(smb2_reply(request), total);
}

/* MS-SMB2 3.3.5.15.6.2 */
static uint32_t answer_limits(struct smb2_request *request)
{
    request->keeps_body = true;
    write_answer(request, CHUNKS_MAX, CHUNK_BYTES_MAX, COPY_BYTES_MAX);
    return STATUS_INVALID_PARAMETER;
}

/* How far it came (MS-SMB2 3.3.5.15.6.1). */
static uint32_t answer_copy(struct smb2_request *request, uint32_t status)
{
    struct copy *copy = request->scratch;

    request->keeps_body = true;
    write_answer(request, copy->at, copy->at < copy->count ? copy->done : 0, (uint32_t)copy->total);
    smb2__open_unref(&copy->source);
    return status;
}

/* ---- copying ---- */

static uint32_t judge_locks(const struct smb2_open *open, uint64_t offset, uint64_t length, bool write)
{
    enum err err = lock_check_io(open->file, owner_id(open->owner), offset, length, write, LOCK_IO_ADVISORY);

    return err == ERR_LOCKED ? STATUS_FILE_LOCK_CONFLICT : smb2__status(err);
}

/* Of a chunk, when it begins. */
static uint32_t judge_chunk(const struct smb2_request *request, struct chunk *chunk)
{
    const struct copy *copy = request->scratch;
    struct inode_attr source, target;
    uint32_t status;

    vfs_getattr(copy->source->inode, &source);
    vfs_getattr(request->open->inode, &target);
    if (chunk->from > source.size || chunk->length > source.size - chunk->from)
        return STATUS_INVALID_VIEW_SIZE;
    if (chunk->to == UINT64_MAX)
        chunk->to = target.size;
    status = judge_locks(copy->source, chunk->from, chunk->length, false);
    return status == STATUS_SUCCESS ? judge_locks(request->open, chunk->to, chunk->length, true) : status;
}

/* Shares what the store can share. False: it must be copied. */
static bool share_chunk(struct smb2_request *request, const struct chunk *chunk)
{
    const struct copy *copy = request->scratch;
    struct vfs_clone_end source = {copy->source->inode, chunk->from, VFS_IO_OPEN_HANDLE};
    struct vfs_clone_end target = {request->open->inode, chunk->to, VFS_IO_OPEN_HANDLE};

    if (chunk->from % SHARE_ALIGNMENT != 0 || chunk->to % SHARE_ALIGNMENT != 0 ||
        chunk->length % SHARE_ALIGNMENT != 0)
        return false;
    request->context.owner = owner_id(request->open->owner);
    return vfs_clone(&request->context, source, target, chunk->length) == ERR_OK;
}

static uint32_t copy_on(struct smb2_request *request);

/* Goes on after a wait. */
static void resume(struct smb2_request *request, uint32_t status)
{
    if (status == STATUS_SUCCESS)
        status = copy_on(request);
    else
        status = answer_copy(request, status);
    if (status != SMB2_WAIT)
        smb2__ioctl_done(request, status);
}

static void on_turn(struct loop_timer *timer)
{
    resume(container_of(timer, struct smb2_request, timer), STATUS_SUCCESS);
}

static void piece_written(struct smb2_request *request)
{
    struct copy *copy = request->scratch;

    copy->done += copy->piece;
    copy->total += copy->piece;
    buf_unref(&request->payload);
}

static void on_written(struct store_write *write, enum err err)
{
    struct vfs_write *vfs = container_of(write, struct vfs_write, store);
    struct smb2_request *request = container_of(vfs, struct smb2_request, write);

    if (err == ERR_OK)
        piece_written(request);
    resume(request, smb2__status(err));
}

/* STATUS_SUCCESS: the piece is there; SMB2_WAIT. */
static uint32_t write_piece(struct smb2_request *request)
{
    const struct copy *copy = request->scratch;
    const struct chunk *chunk = &copy->chunks[copy->at];
    enum err err;

    if (request->read.store.got < copy->piece)
        return STATUS_INVALID_VIEW_SIZE; /* it was truncated meanwhile */
    request->write.store = (struct store_write){
        .inode = request->open->inode,
        .offset = chunk->to + copy->done,
        .data = {.buf = request->payload, .data = request->payload->data, .length = copy->piece},
        .done = on_written};
    request->context.owner = owner_id(request->open->owner);
    err = vfs_write(&request->context, &request->write, VFS_IO_OPEN_HANDLE);
    if (err == ERR_WAIT)
        return SMB2_WAIT;
    if (err == ERR_OK)
        piece_written(request);
    return err == ERR_LOCKED ? STATUS_FILE_LOCK_CONFLICT : smb2__status(err);
}

static void on_read(struct store_read *read, enum err err)
{
    struct vfs_read *vfs = container_of(read, struct vfs_read, store);
    struct smb2_request *request = container_of(vfs, struct smb2_request, read);
    uint32_t status = err == ERR_OK ? write_piece(request) : smb2__status(err);

    if (status != SMB2_WAIT)
        resume(request, status);
}

static uint32_t copy_piece(struct smb2_request *request)
{
    struct copy *copy = request->scratch;
    const struct chunk *chunk = &copy->chunks[copy->at];
    enum err err;

    copy->piece = chunk->length - copy->done < PIECE_BYTES ? chunk->length - copy->done : PIECE_BYTES;
    buf_unref(&request->payload);
    request->payload = buf_new(copy->piece);
    if (request->payload == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    request->read.store = (struct store_read){.inode = copy->source->inode,
                                              .offset = chunk->from + copy->done,
                                              .length = copy->piece,
                                              .buffer = request->payload->data,
                                              .done = on_read};
    request->context.owner = owner_id(copy->source->owner);
    err = vfs_read(&request->context, &request->read, VFS_IO_OPEN_HANDLE);
    if (err == ERR_WAIT)
        return SMB2_WAIT;
    if (err != ERR_OK)
        return err == ERR_LOCKED ? STATUS_FILE_LOCK_CONFLICT : smb2__status(err);
    return write_piece(request);
}

/* All is copied: durable first, when the target was opened so. */
static uint32_t finish_copy(struct smb2_request *request)
{
    uint32_t status = answer_copy(request, STATUS_SUCCESS);
    enum err err;

    request->keeps_body = false;
    if (!request->open->write_through)
        return status;
    err = vfs_commit(&request->context, request->open->inode);
    smb2__ioctl_end(request);
    return err == ERR_OK ? smb2__request_durable(request, STATUS_SUCCESS) : smb2__status(err);
}

/* One chunk, or one piece of it; then the loop goes on with others before it comes back. */
static uint32_t copy_on(struct smb2_request *request)
{
    struct copy *copy = request->scratch;
    struct chunk *chunk;
    uint32_t status = STATUS_SUCCESS;

    if (request->message->conn == NULL)
        return answer_copy(request, STATUS_CANCELLED);
    if (copy->at < copy->count && copy->done == copy->chunks[copy->at].length) {
        copy->at++;
        copy->done = 0;
    }
    if (copy->at == copy->count)
        return finish_copy(request);
    chunk = &copy->chunks[copy->at];
    if (copy->done == 0) {
        status = judge_chunk(request, chunk);
        if (status != STATUS_SUCCESS)
            return answer_copy(request, status);
        if (share_chunk(request, chunk)) {
            copy->done = chunk->length;
            copy->total += chunk->length;
        }
    }
    if (copy->done < chunk->length)
        status = copy_piece(request);
    if (status == SMB2_WAIT)
        return status;
    if (status != STATUS_SUCCESS)
        return answer_copy(request, status);
    if (copy->done == chunk->length && copy->at + 1 == copy->count) {
        copy->at++;
        return finish_copy(request);
    }
    request->timer.callback = on_turn;
    loop_timer_start(request->message->server->loop, &request->timer, 0, 0);
    return SMB2_WAIT;
}

/* ---- judging ---- */

static bool get_chunks(struct reader *input, struct copy *copy)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < copy->count; i++) {
        struct chunk *chunk = &copy->chunks[i];

        if (!reader_le64(input, &chunk->from) || !reader_le64(input, &chunk->to) ||
            !reader_le32(input, &chunk->length) || !reader_skip(input, 4))
            return false;
        total += chunk->length;
        if (chunk->length == 0 || chunk->length > CHUNK_BYTES_MAX || total > COPY_BYTES_MAX ||
            chunk->from > INT64_MAX || (chunk->to > INT64_MAX && chunk->to != UINT64_MAX))
            return false;
    }
    return true;
}

static uint32_t judge_rights(const struct smb2_open *source, const struct smb2_open *target, bool needs_read)
{
    if (source->is_directory || target->is_directory)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (!(source->access & (SMB2_ACCESS_READ_DATA | SMB2_ACCESS_EXECUTE)) ||
        !(target->access & SMB2_ACCESS_ANY_WRITE) ||
        (needs_read && !(target->access & SMB2_ACCESS_READ_DATA)))
        return STATUS_ACCESS_DENIED;
    return STATUS_SUCCESS;
}

static uint32_t copy_chunks(struct smb2_request *request, struct smb2_ioctl *ioctl, bool needs_read)
{
    struct reader key = {0};
    struct smb2_open *source;
    uint32_t count, status;
    struct copy *copy;

    if (!reader_sub(&ioctl->input, KEY_SIZE, &key) || !reader_le32(&ioctl->input, &count) ||
        !reader_skip(&ioctl->input, 4))
        return ioctl->most_output < ANSWER_SIZE ? STATUS_INVALID_PARAMETER : answer_limits(request);
    source = find_source(request, key);
    if (source == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    if (ioctl->most_output < ANSWER_SIZE)
        return STATUS_INVALID_PARAMETER;
    if (count > CHUNKS_MAX || (uint64_t)count * CHUNK_SIZE > ioctl->input.left)
        return answer_limits(request);
    status = judge_rights(source, request->open, needs_read);
    if (status != STATUS_SUCCESS)
        return status;
    copy = calloc(1, sizeof *copy);
    if (copy == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    request->scratch = copy;
    copy->count = count;
    if (!get_chunks(&ioctl->input, copy))
        return answer_limits(request);
    status = smb2__request_context(request);
    if (status != STATUS_SUCCESS)
        return status;
    copy->source = source;
    source->references++;
    return copy_on(request);
}

uint32_t smb2__fsctl_copychunk(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    return copy_chunks(request, ioctl, true);
}

uint32_t smb2__fsctl_copychunk_write(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    return copy_chunks(request, ioctl, false);
}

/* ---- duplicating extents ---- */

static bool is_sparse(struct inode *inode)
{
    struct inode_attr attr;

    vfs_getattr(inode, &attr);
    return (attr.dos_attributes & SMB2_ATTRIBUTE_SPARSE) != 0;
}

static uint32_t duplicate_status(enum err err)
{
    switch ((int)err) {
    case ERR_LOCKED:
        return STATUS_FILE_LOCK_CONFLICT;
    case ERR_XDEV:
        return STATUS_INVALID_PARAMETER;
    default:
        return smb2__status(err);
    }
}

/* A file does not grow by this: what came to lie behind its end goes again. */
static uint32_t restore_size(struct smb2_request *request, uint64_t size)
{
    struct vfs_setattr set = {.set = VFS_SET_SIZE, .size = size};

    return smb2__status(vfs_setattr(&request->context, request->open->inode, &set, NULL, true));
}

static uint32_t duplicate(struct smb2_request *request, struct reader *input)
{
    struct smb2_open *source, *target = request->open;
    uint64_t persistent, volatile_id, from, to, length;
    struct inode_attr source_attr, target_attr;
    uint32_t status;

    if (!reader_le64(input, &persistent) || !reader_le64(input, &volatile_id) || !reader_le64(input, &from) ||
        !reader_le64(input, &to) || !reader_le64(input, &length))
        return STATUS_INVALID_PARAMETER;
    source = smb2__open_find(request->session, persistent, volatile_id);
    if (source == NULL || source->inode == NULL)
        return STATUS_INVALID_HANDLE;
    if (source->is_directory || target->is_directory || from > INT64_MAX || to > INT64_MAX ||
        length > INT64_MAX)
        return STATUS_INVALID_PARAMETER;
    if (!(target->access & SMB2_ACCESS_WRITE_DATA) || !(source->access & SMB2_ACCESS_READ_DATA))
        return STATUS_ACCESS_DENIED;
    if (is_sparse(source->inode) && !is_sparse(target->inode))
        return STATUS_NOT_SUPPORTED;
    vfs_getattr(source->inode, &source_attr);
    vfs_getattr(target->inode, &target_attr);
    if (from > source_attr.size || length > source_attr.size - from)
        return STATUS_NOT_SUPPORTED;
    if (source_attr.ino == target_attr.ino && from < to + length && to < from + length)
        return STATUS_NOT_SUPPORTED;
    status = smb2__request_context(request);
    if (status != STATUS_SUCCESS || length == 0 || to >= target_attr.size)
        return status;
    status = duplicate_status(
        vfs_clone(&request->context, (struct vfs_clone_end){source->inode, from, VFS_IO_OPEN_HANDLE},
                  (struct vfs_clone_end){target->inode, to, VFS_IO_OPEN_HANDLE}, length));
    return status == STATUS_SUCCESS && length > target_attr.size - to
               ? restore_size(request, target_attr.size)
               : status;
}

uint32_t smb2__fsctl_duplicate(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    return duplicate(request, &ioctl->input);
}

/* MS-FSCC 2.3.9.2. A clone is one step here, so the atomic form is what there is. */
uint32_t smb2__fsctl_duplicate_ex(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    struct reader tail = ioctl->input;
    uint64_t size;
    uint32_t flags;

    if (!reader_le64(&ioctl->input, &size) || size != EX_SIZE || !reader_skip(&tail, 8 + 16 + 3 * 8) ||
        !reader_le32(&tail, &flags) || (flags & ~(uint32_t)EX_SOURCE_ATOMIC) != 0)
        return STATUS_INVALID_PARAMETER;
    return duplicate(request, &ioctl->input);
}
