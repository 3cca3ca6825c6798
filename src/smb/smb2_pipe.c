/*
 * smb2_pipe.c - named pipes on IPC$ (MS-SMB2 3.3.5.9, 3.3.5.12, 3.3.5.13, 3.3.5.15): CREATE, READ, WRITE and
 * FSCTLs of the services behind dcerpc.h.
 *
 * An open of a pipe is a struct smb2_open without inode, file and owner; its `pipe` is made here. What is
 * written runs at once. A READ takes one message, or the first part of it (STATUS_BUFFER_OVERFLOW); one that
 * finds nothing waits until something is written, the pipe is closed, or CANCEL.
 */
#include "smb/pipe/dcerpc.h"
#include "smb/smb2_ioctl.h"
#include "smb/smb2_share.h"

#include <stdlib.h>
#include <string.h>

enum {
    PIPE_NAME_MAX = 64,
    READ_BODY = 16,
    OF_FILE = 1,
    FILE_STANDARD = 5,
    FILE_PIPE = 23,       /* MS-FSCC 2.4.37 */
    FILE_PIPE_LOCAL = 24, /* 2.4.38 */
    PIPE_ALLOCATION = 4096,
    STATE_CONNECTED = 3
};

struct smb2_pipe {
    struct dcerpc_pipe *rpc;
    struct list readers; /* READs that wait */
    uint32_t read_mode, completion_mode;
};

/* ---- what the services see ---- */

struct world {
    struct dcerpc_world world;
    struct smb2_request *request;
};

static const void *next_share(void *data, const void *at, struct dcerpc_share *share_r)
{
    const struct world *world = data;
    const struct smb_server *server = world->request->message->server;
    const struct vfs_export *export = at;

    while ((export = vfs_export_next(server->vfs, export)) != NULL) {
        const struct vfs_export_config *config = vfs_export_config(export);

        if ((config->protocols & VFS_SMB) && vfs_export_allows_host(export, &world->request->session->peer)) {
            const struct smb_share_config *share = smb2__share(server, export);

            *share_r = (struct dcerpc_share){
                .name = config->name,
                .comment = share->comment != NULL ? share->comment : "",
                .hidden = share->hidden,
            };
            return export;
        }
    }
    return NULL;
}

static void fill_world(struct world *world, struct smb2_request *request)
{
    const struct smb2_session *session = request->session;
    const char *comment = request->message->server->options.comment;

    world->request = request;
    world->world = (struct dcerpc_world){.identity = request->message->server->identity,
                                         .user = session->user.name,
                                         .is_admin = !session->is_guest && !session->is_nameless &&
                                                     session->user.uid == 0,
                                         .comment = comment != NULL ? comment : "",
                                         .next_share = next_share,
                                         .data = world};
}

/* ---- CREATE, CLOSE ---- */

static bool decode_name(struct smb2_request *request, char name[PIPE_NAME_MAX])
{
    uint16_t offset, length;
    struct reader part;

    return reader_skip(&request->body, 2 + 1 + 1 + 4 + 8 + 8 + 5 * 4) &&
           reader_le16(&request->body, &offset) && reader_le16(&request->body, &length) &&
           smb2__request_part(request, offset, length, &part) &&
           utf16_to_string(name, PIPE_NAME_MAX, part.at, part.left);
}

static struct smb2_open *open_new(struct smb2_request *request, const struct dcerpc_interface *interface)
{
    struct smb_server *server = request->message->server;
    struct smb2_session *session = request->session;
    struct smb2_open *open = calloc(1, sizeof *open);
    struct smb2_pipe *pipe = calloc(1, sizeof *pipe);

    if (open == NULL || pipe == NULL || (pipe->rpc = dcerpc_pipe_new(interface)) == NULL) {
        free(open);
        free(pipe);
        return NULL;
    }
    open->volatile_id = open->persistent_id = server->next_file++;
    if (!hashtable_insert(&server->opens, &open->by_id, hash_u64(open->persistent_id))) {
        dcerpc_pipe_free(&pipe->rpc);
        free(open);
        free(pipe);
        return NULL;
    }
    list_init(&pipe->readers);
    open->references = 1;
    open->tree = request->tree;
    open->tree->references++;
    open->session = session;
    open->server = server;
    open->machine = session->machine;
    open->machine->references++;
    open->access = SMB2_ACCESS_ALL;
    open->pipe = pipe;
    list_push_back(&session->opens, &open->link);
    session->open_count++;
    session->pipe_count++;
    return open;
}

static void write_times_and_sizes(struct writer *writer, uint64_t allocation, uint32_t attributes)
{
    writer_zeros(writer, 32);
    writer_le64(writer, allocation);
    writer_le64(writer, 0);
    writer_le32(writer, attributes);
}

uint32_t smb2__pipe_create(struct smb2_request *request)
{
    struct smb2_message *message = request->message;
    struct writer *writer = smb2_reply(request);
    const struct dcerpc_interface *interface;
    char name[PIPE_NAME_MAX];

    message->has_file = false;
    if (!decode_name(request, name))
        return STATUS_OBJECT_NAME_NOT_FOUND;
    interface = dcerpc_find(name[0] == '\\' ? name + 1 : name);
    if (interface == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    if (request->session->pipe_count >= SMB2_PIPES_MAX || request->session->open_count >= SMB2_OPENS_MAX)
        return STATUS_INSUFFICIENT_RESOURCES;
    request->open = open_new(request, interface);
    if (request->open == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    request->open->references++;
    message->persistent_id = request->open->persistent_id;
    message->volatile_id = request->open->volatile_id;
    message->has_file = true;
    writer_le16(writer, 89);
    writer_le16(writer, 0);
    writer_le32(writer, 1); /* opened */
    write_times_and_sizes(writer, PIPE_ALLOCATION, SMB2_ATTRIBUTE_NORMAL);
    writer_le32(writer, 0);
    writer_le64(writer, request->open->persistent_id);
    writer_le64(writer, request->open->volatile_id);
    writer_le64(writer, 0);
    return STATUS_SUCCESS;
}

static void end_readers(struct smb2_pipe *pipe, uint32_t status)
{
    while (!list_is_empty(&pipe->readers)) {
        struct smb2_request *reader = list_first(&pipe->readers, struct smb2_request, waiting_link);

        list_remove(&reader->waiting_link);
        smb2__request_done(reader, status);
    }
}

void smb2__pipe_end(struct smb2_open *open)
{
    struct smb2_pipe *pipe = open->pipe;

    open->pipe = NULL;
    open->session->pipe_count--;
    end_readers(pipe, STATUS_PIPE_BROKEN);
    dcerpc_pipe_free(&pipe->rpc);
    free(pipe);
}

uint32_t smb2__pipe_close(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);

    request->message->has_file = false;
    smb2__open_end(request->open, NULL);
    writer_le16(writer, 60);
    writer_zeros(writer, 6);
    write_times_and_sizes(writer, 0, 0);
    return STATUS_SUCCESS;
}

/* What was written has run when it was answered. */
uint32_t smb2__pipe_flush(struct smb2_request *request)
{
    writer_le16(smb2_reply(request), 4);
    writer_le16(smb2_reply(request), 0);
    return STATUS_SUCCESS;
}

/* ---- READ, WRITE ---- */

/* STATUS_SUCCESS, STATUS_BUFFER_OVERFLOW, or STATUS_PENDING: nothing is there. */
static uint32_t take_message(struct smb2_request *request, uint32_t length)
{
    struct smb2_pipe *pipe = request->open->pipe;
    struct writer *writer = smb2_reply(request);
    size_t message, got, left;
    uint8_t *to;

    if (dcerpc_pipe_peek(pipe->rpc, NULL, 0, &message) == 0)
        return dcerpc_pipe_is_broken(pipe->rpc) ? STATUS_PIPE_BROKEN : STATUS_PENDING;
    if (length > message)
        length = (uint32_t)message;
    writer_le16(writer, 17);
    writer_u8(writer, SMB2_HEADER_SIZE + READ_BODY);
    writer_u8(writer, 0);
    writer_le32(writer, length);
    writer_zeros(writer, 8);
    to = writer_reserve(writer, length);
    if (to == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    got = dcerpc_pipe_read(pipe->rpc, to, length, &left);
    invariant(got == length);
    if (length == 0)
        writer_u8(writer, 0);
    return left > 0 ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

static void cancel_read(struct smb2_request *request)
{
    list_remove(&request->waiting_link);
    smb2__request_done(request, STATUS_CANCELLED);
}

uint32_t smb2__pipe_read(struct smb2_request *request)
{
    struct reader *reader = &request->body;
    uint32_t length, status;

    if (!reader_skip(reader, 4) || !reader_le32(reader, &length) || !smb2__is_paid(request, length))
        return STATUS_INVALID_PARAMETER;
    if (request->open->pipe == NULL)
        return STATUS_FILE_CLOSED;
    status = take_message(request, length);
    if (status != STATUS_PENDING)
        return status;
    if (!smb2__request_pending(request))
        return STATUS_INSUFFICIENT_RESOURCES;
    request->final_status = length; /* wanted, until there is something */
    request->cancel = cancel_read;
    list_push_back(&request->open->pipe->readers, &request->waiting_link);
    return SMB2_WAIT;
}

/* Those that wait get what is there now. */
static void serve_readers(struct smb2_open *open)
{
    struct smb2_pipe *pipe = open->pipe;
    size_t message;

    if (dcerpc_pipe_is_broken(pipe->rpc))
        end_readers(pipe, STATUS_PIPE_BROKEN);
    while (open->pipe == pipe && !list_is_empty(&pipe->readers) &&
           dcerpc_pipe_peek(pipe->rpc, NULL, 0, &message) > 0) {
        struct smb2_request *reader = list_first(&pipe->readers, struct smb2_request, waiting_link);

        list_remove(&reader->waiting_link);
        smb2__request_done(reader, take_message(reader, reader->final_status));
    }
}

/* Runs what is written. */
static uint32_t put_message(struct smb2_request *request, const uint8_t *data, size_t length)
{
    struct world world;
    enum err err;

    if (request->open->pipe == NULL)
        return STATUS_FILE_CLOSED;
    fill_world(&world, request);
    err = dcerpc_pipe_write(request->open->pipe->rpc, &world.world, data, length);
    if (err != ERR_OK)
        log_debug("smb: pipe broken: %s", err_text(err));
    return err == ERR_OK ? STATUS_SUCCESS : STATUS_PIPE_DISCONNECTED;
}

uint32_t smb2__pipe_write(struct smb2_request *request)
{
    struct reader *reader = &request->body, data;
    struct writer *writer = smb2_reply(request);
    uint16_t offset;
    uint32_t length, status;

    if (!reader_skip(reader, 2) || !reader_le16(reader, &offset) || !reader_le32(reader, &length) ||
        !smb2__request_part(request, offset, length, &data) || !smb2__is_paid(request, length))
        return STATUS_INVALID_PARAMETER;
    status = put_message(request, data.at, length);
    if (request->open->pipe != NULL)
        serve_readers(request->open);
    if (status != STATUS_SUCCESS)
        return status;
    writer_le16(writer, 17);
    writer_le16(writer, 0);
    writer_le32(writer, length);
    writer_zeros(writer, 8);
    return STATUS_SUCCESS;
}

/* ---- FSCTLs ---- */

/* MS-SMB2 3.3.5.15.10, MS-FSCC 2.3.49: a write and the read of its answer in one. */
uint32_t smb2__fsctl_pipe_transceive(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    struct dcerpc_pipe *rpc;
    struct writer *writer = smb2_reply(request);
    size_t message, left = 0;
    uint32_t status;

    if (request->open->pipe == NULL)
        return STATUS_FILE_CLOSED;
    rpc = request->open->pipe->rpc;
    /* What was not read before would be taken for the answer (MS-FSA 2.1.5.10 FSCTL_PIPE_TRANSCEIVE). */
    if (dcerpc_pipe_peek(rpc, NULL, 0, &message) > 0)
        return STATUS_PIPE_BUSY;
    status = put_message(request, ioctl->input.at, ioctl->input.left);
    if (status == STATUS_SUCCESS && dcerpc_pipe_peek(rpc, NULL, 0, &message) > 0) {
        size_t length = message < ioctl->most_output ? message : ioctl->most_output;
        uint8_t *to = writer_reserve(writer, length);

        if (to == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        (void)dcerpc_pipe_read(rpc, to, length, &left);
        status = left > 0 ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
    }
    return status;
}

/* MS-FSCC 2.3.47: what is there, without taking it. */
uint32_t smb2__fsctl_pipe_peek(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    struct writer *writer = smb2_reply(request);
    size_t message, all, length;
    uint8_t *to;

    if (ioctl->most_output < 16)
        return STATUS_BUFFER_TOO_SMALL;
    if (request->open->pipe == NULL)
        return STATUS_FILE_CLOSED;
    all = dcerpc_pipe_peek(request->open->pipe->rpc, NULL, 0, &message);
    writer_le32(writer, STATE_CONNECTED);
    writer_le32(writer, (uint32_t)all);
    writer_le32(writer, all > 0 ? 1 : 0);
    writer_le32(writer, (uint32_t)message);
    length = message < ioctl->most_output - 16 ? message : ioctl->most_output - 16;
    to = writer_reserve(writer, length);
    if (to == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    (void)dcerpc_pipe_peek(request->open->pipe->rpc, to, length, &message);
    return length < message ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

/* MS-FSCC 2.3.51: our pipes are never busy, so nobody waits for one that is there. */
uint32_t smb2__fsctl_pipe_wait(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    struct reader *input = &ioctl->input;
    const uint8_t *text;
    char name[PIPE_NAME_MAX];
    uint32_t length;

    (void)request;
    if (!reader_skip(input, 8) || !reader_le32(input, &length) || !reader_skip(input, 2) ||
        !reader_bytes(input, length, &text))
        return STATUS_INVALID_PARAMETER;
    return utf16_to_string(name, sizeof name, text, length) && dcerpc_find(name) != NULL
               ? STATUS_SUCCESS
               : STATUS_OBJECT_NAME_NOT_FOUND;
}

/* ---- information ---- */

uint32_t smb2__pipe_query_info(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);
    const struct smb2_pipe *pipe = request->open->pipe;
    size_t body_at = writer->length, message;
    uint8_t type, class;
    uint32_t room;

    if (!reader_skip(&request->body, 2) || !reader_u8(&request->body, &type) ||
        !reader_u8(&request->body, &class) || !reader_le32(&request->body, &room))
        return STATUS_INVALID_PARAMETER;
    if (pipe == NULL)
        return STATUS_FILE_CLOSED;
    if (type != OF_FILE || (class != FILE_STANDARD && class != FILE_PIPE && class != FILE_PIPE_LOCAL))
        return STATUS_NOT_SUPPORTED;
    writer_le16(writer, 9);
    writer_le16(writer, SMB2_HEADER_SIZE + 8);
    writer_le32(writer, 0);
    if (class == FILE_STANDARD) {
        writer_le64(writer, PIPE_ALLOCATION);
        writer_le64(writer, 0);
        writer_le32(writer, 1);
        writer_u8(writer, 1); /* gone when it is closed */
        writer_zeros(writer, 3);
    } else if (class == FILE_PIPE) {
        writer_le32(writer, pipe->read_mode);
        writer_le32(writer, pipe->completion_mode);
    } else {
        writer_le32(writer, 1); /* of messages */
        writer_le32(writer, 2); /* both ways */
        writer_le32(writer, SMB2_PIPES_MAX);
        writer_le32(writer, request->session->pipe_count);
        writer_le32(writer, PIPE_ALLOCATION);
        writer_le32(writer, (uint32_t)dcerpc_pipe_peek(pipe->rpc, NULL, 0, &message));
        writer_le32(writer, PIPE_ALLOCATION);
        writer_le32(writer, PIPE_ALLOCATION);
        writer_le32(writer, STATE_CONNECTED);
        writer_le32(writer, 0); /* the client's end */
    }
    if (writer->failed)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (writer->length - body_at - 8 > room)
        return STATUS_INFO_LENGTH_MISMATCH;
    writer_patch_le32(writer, body_at + 4, (uint32_t)(writer->length - body_at - 8));
    return STATUS_SUCCESS;
}

/* SetNamedPipeHandleState. Messages are handed out one at a time in both modes: RPC needs no other. */
uint32_t smb2__pipe_set_info(struct smb2_request *request)
{
    struct smb2_pipe *pipe = request->open->pipe;
    struct reader data;
    uint8_t type, class;
    uint32_t length, read_mode, completion_mode;
    uint16_t offset;

    if (!reader_skip(&request->body, 2) || !reader_u8(&request->body, &type) ||
        !reader_u8(&request->body, &class) || !reader_le32(&request->body, &length) ||
        !reader_le16(&request->body, &offset) || !smb2__request_part(request, offset, length, &data))
        return STATUS_INVALID_PARAMETER;
    if (pipe == NULL)
        return STATUS_FILE_CLOSED;
    if (type != OF_FILE || class != FILE_PIPE)
        return STATUS_NOT_SUPPORTED;
    if (!reader_le32(&data, &read_mode) || !reader_le32(&data, &completion_mode))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (read_mode > 1 || completion_mode > 1)
        return STATUS_INVALID_PARAMETER;
    pipe->read_mode = read_mode;
    pipe->completion_mode = completion_mode;
    writer_le16(smb2_reply(request), 2);
    return STATUS_SUCCESS;
}
