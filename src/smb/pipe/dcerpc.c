/*
 * dcerpc.c - the connection-oriented protocol of DCE/RPC (C706 12.6, MS-RPCE 2.2.2): fragments in, fragments
 * out.
 *
 * The happy path: what is written is collected until a whole fragment is there. BIND and ALTER_CONTEXT agree
 * on contexts (an interface and NDR). The stubs of a REQUEST's fragments are put together; with the last one
 * the procedure runs, and its results are queued as RESPONSE fragments. A pipe's reader takes one fragment
 * at a time, as it would from a pipe in message mode.
 *
 * Only little-endian clients are served; all there are send it. A security trailer in BIND is answered with
 * BIND_NAK (authentication type not recognized), later ones break the pipe.
 */
#include "smb/pipe/dcerpc.h"
#include "dittofs/hash.h"
#include "dittofs/random.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    HEAD_SIZE = 16,
    REQUEST_HEAD = 24, /* of a request or response, with the common part */
    VERSION = 5,
    LITTLE_ENDIAN_ASCII = 0x10,
    SYNTAXES_MAX = 16,
};
enum {
    TYPE_REQUEST = 0,
    TYPE_RESPONSE = 2,
    TYPE_FAULT = 3,
    TYPE_BIND = 11,
    TYPE_BIND_ACK = 12,
    TYPE_BIND_NAK = 13,
    TYPE_ALTER = 14,
    TYPE_ALTER_RESPONSE = 15,
    TYPE_AUTH3 = 16,
    TYPE_CANCEL = 18,
    TYPE_ORPHANED = 19
};
enum { FLAG_FIRST = 1, FLAG_LAST = 2, FLAG_NOT_EXECUTED = 0x20, FLAG_OBJECT = 0x80 };
/* C706 12.6.3.1 p_cont_def_result_t, MS-RPCE 2.2.2.4 */
enum { RESULT_ACCEPT = 0, RESULT_REJECT = 2, RESULT_NEGOTIATE = 3 };
enum { REASON_INTERFACE = 1, REASON_TRANSFER = 2, REASON_LIMIT = 3 };
enum { NAK_AUTHENTICATION_TYPE = 8 };

static const uint8_t ndr_syntax[20] = {0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8,
                                       0x08, 0x00, 0x2b, 0x10, 0x48, 0x60, 0x02, 0x00, 0x00, 0x00};
/* MS-RPCE 3.3.1.5.3: bind time feature negotiation; the features asked for follow this prefix. */
static const uint8_t feature_prefix[8] = {0x2c, 0x1c, 0xb7, 0x6c, 0x12, 0x98, 0x40, 0x45};

struct fragment {
    uint8_t type, flags;
    uint16_t length, auth_length;
    uint32_t call_id;
    struct reader body; /* behind the common head */
};

struct dcerpc_pipe {
    const struct dcerpc_interface *interface;
    bool broken, bound;
    uint16_t fragment_most; /* of what we send */
    uint16_t contexts[DCERPC_CONTEXTS_MAX];
    size_t context_count;
    struct writer in; /* of the fragment that is not whole yet */
    /* The request whose fragments are coming. */
    bool collecting;
    uint32_t call_id;
    uint16_t context, operation;
    struct writer request;
    /* Messages to be read. */
    struct writer out;
    size_t out_at;
    size_t message_left; /* of the one that was read in part; 0: a new one begins at out_at */
    uint8_t handles[DCERPC_HANDLES_MAX][DCERPC_HANDLE_SIZE];
    size_t handle_count;
};

const struct dcerpc_interface *dcerpc_find(const char *name)
{
    static const struct dcerpc_interface *const all[] = {&dcerpc_srvsvc, &dcerpc_wkssvc, &dcerpc_lsarpc};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcasecmp(all[i]->name, name) == 0)
            return all[i];
    }
    return NULL;
}

struct dcerpc_pipe *dcerpc_pipe_new(const struct dcerpc_interface *interface)
{
    struct dcerpc_pipe *pipe = calloc(1, sizeof *pipe);

    if (pipe == NULL)
        return NULL;
    pipe->interface = interface;
    pipe->fragment_most = DCERPC_FRAGMENT;
    writer_init_growing(&pipe->in, UINT16_MAX);
    writer_init_growing(&pipe->request, DCERPC_REQUEST_MAX);
    writer_init_growing(&pipe->out, DCERPC_REPLY_MAX);
    return pipe;
}

void dcerpc_pipe_free(struct dcerpc_pipe **pipe)
{
    struct dcerpc_pipe *gone = *pipe;

    *pipe = NULL;
    if (gone == NULL)
        return;
    writer_free(&gone->in);
    writer_free(&gone->request);
    writer_free(&gone->out);
    free(gone);
}

bool dcerpc_pipe_is_broken(const struct dcerpc_pipe *pipe)
{
    return pipe->broken;
}

/* ---- handles ---- */

bool dcerpc_handle_new(struct dcerpc_pipe *pipe, uint8_t handle_r[DCERPC_HANDLE_SIZE])
{
    uint8_t *handle;

    if (pipe->handle_count == DCERPC_HANDLES_MAX)
        return false;
    handle = pipe->handles[pipe->handle_count++];
    memset(handle, 0, 4);
    random_bytes(handle + 4, DCERPC_HANDLE_SIZE - 4);
    memcpy(handle_r, handle, DCERPC_HANDLE_SIZE);
    return true;
}

static size_t find_handle(const struct dcerpc_pipe *pipe, const uint8_t handle[DCERPC_HANDLE_SIZE])
{
    size_t i = 0;

    while (i < pipe->handle_count && !constant_time_equal(pipe->handles[i], handle, DCERPC_HANDLE_SIZE))
        i++;
    return i;
}

bool dcerpc_handle_is_good(const struct dcerpc_pipe *pipe, const uint8_t handle[DCERPC_HANDLE_SIZE])
{
    return find_handle(pipe, handle) < pipe->handle_count;
}

bool dcerpc_handle_close(struct dcerpc_pipe *pipe, const uint8_t handle[DCERPC_HANDLE_SIZE])
{
    size_t i = find_handle(pipe, handle);

    if (i == pipe->handle_count)
        return false;
    memcpy(pipe->handles[i], pipe->handles[--pipe->handle_count], DCERPC_HANDLE_SIZE);
    return true;
}

/* ---- sending ---- */

static size_t begin_fragment(struct dcerpc_pipe *pipe, uint8_t type, uint8_t flags, uint32_t call_id)
{
    struct writer *writer = &pipe->out;
    size_t at = writer->length;

    writer_u8(writer, VERSION);
    writer_u8(writer, 0);
    writer_u8(writer, type);
    writer_u8(writer, flags);
    writer_le32(writer, LITTLE_ENDIAN_ASCII);
    writer_le16(writer, 0); /* the length, when it is known */
    writer_le16(writer, 0);
    writer_le32(writer, call_id);
    return at;
}

static void end_fragment(struct dcerpc_pipe *pipe, size_t at)
{
    if (!pipe->out.failed)
        writer_patch_le16(&pipe->out, at + 8, (uint16_t)(pipe->out.length - at));
}

static void send_fault(struct dcerpc_pipe *pipe, uint32_t call_id, uint16_t context, uint32_t status,
                       bool executed)
{
    uint8_t flags = FLAG_FIRST | FLAG_LAST | (executed ? 0 : FLAG_NOT_EXECUTED);
    size_t at = begin_fragment(pipe, TYPE_FAULT, flags, call_id);

    writer_le32(&pipe->out, 0);
    writer_le16(&pipe->out, context);
    writer_le16(&pipe->out, 0);
    writer_le32(&pipe->out, status);
    writer_le32(&pipe->out, 0);
    end_fragment(pipe, at);
}

static void send_response(struct dcerpc_pipe *pipe, const struct writer *stub)
{
    size_t most = (size_t)pipe->fragment_most - REQUEST_HEAD, sent = 0;

    most -= most % 8;
    do {
        size_t part = stub->length - sent < most ? stub->length - sent : most;
        uint8_t flags =
            (uint8_t)((sent == 0 ? FLAG_FIRST : 0) | (sent + part == stub->length ? FLAG_LAST : 0));
        size_t at = begin_fragment(pipe, TYPE_RESPONSE, flags, pipe->call_id);

        writer_le32(&pipe->out, (uint32_t)(stub->length - sent));
        writer_le16(&pipe->out, pipe->context);
        writer_le16(&pipe->out, 0);
        if (part > 0)
            writer_bytes(&pipe->out, stub->data + sent, part);
        end_fragment(pipe, at);
        sent += part;
    } while (sent < stub->length && !pipe->out.failed);
}

/* ---- agreeing on contexts ---- */

static bool is_ours(const struct dcerpc_interface *interface, const uint8_t syntax[20])
{
    struct reader version = reader_of(syntax + 16, 4);
    uint16_t major = 0, minor = 0;

    if (!reader_le16(&version, &major) || !reader_le16(&version, &minor))
        return false;
    return memcmp(syntax, interface->uuid, 16) == 0 && major == interface->major && minor <= interface->minor;
}

struct context_result {
    uint16_t result, reason;
    const uint8_t *syntax;
};

static bool add_context(struct dcerpc_pipe *pipe, uint16_t id)
{
    for (size_t i = 0; i < pipe->context_count; i++) {
        if (pipe->contexts[i] == id)
            return true;
    }
    if (pipe->context_count == DCERPC_CONTEXTS_MAX)
        return false;
    pipe->contexts[pipe->context_count++] = id;
    return true;
}

/* One of the contexts that the client offers. False: it is malformed. */
static bool judge_context(struct dcerpc_pipe *pipe, struct reader *reader, struct context_result *result_r)
{
    static const uint8_t nothing[20];
    const uint8_t *abstract, *transfer;
    uint16_t id;
    uint8_t count;
    bool ndr = false, features = false;

    if (!reader_le16(reader, &id) || !reader_u8(reader, &count) || !reader_skip(reader, 1) ||
        !reader_bytes(reader, 20, &abstract) || count == 0 || count > SYNTAXES_MAX)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (!reader_bytes(reader, 20, &transfer))
            return false;
        ndr = ndr || memcmp(transfer, ndr_syntax, 20) == 0;
        features = features || memcmp(transfer, feature_prefix, sizeof feature_prefix) == 0;
    }
    *result_r = (struct context_result){.result = RESULT_REJECT, .syntax = nothing};
    if (features) /* none of them is done: the bits are zeros */
        result_r->result = RESULT_NEGOTIATE;
    else if (!is_ours(pipe->interface, abstract))
        result_r->reason = REASON_INTERFACE;
    else if (!ndr)
        result_r->reason = REASON_TRANSFER;
    else if (!add_context(pipe, id))
        result_r->reason = REASON_LIMIT;
    else
        *result_r = (struct context_result){.result = RESULT_ACCEPT, .syntax = ndr_syntax};
    return true;
}

static void write_address(struct dcerpc_pipe *pipe, bool bind, size_t at)
{
    struct writer *writer = &pipe->out;
    size_t length = strlen("\\PIPE\\") + strlen(pipe->interface->name) + 1;

    if (bind) {
        writer_le16(writer, (uint16_t)length);
        writer_bytes(writer, "\\PIPE\\", strlen("\\PIPE\\"));
        writer_bytes(writer, pipe->interface->name, strlen(pipe->interface->name) + 1);
    } else {
        writer_le16(writer, 0);
    }
    while ((writer->length - at) % 4 != 0 && !writer->failed)
        writer_u8(writer, 0);
}

/* BIND (C706 12.6.4.3) and ALTER_CONTEXT (12.6.4.1), which look alike. */
static bool agree(struct dcerpc_pipe *pipe, struct fragment *fragment, bool bind)
{
    struct reader *reader = &fragment->body;
    uint16_t send_most, receive_most;
    uint32_t group;
    uint8_t count;
    size_t at;

    if (!reader_le16(reader, &send_most) || !reader_le16(reader, &receive_most) ||
        !reader_le32(reader, &group) || !reader_u8(reader, &count) || !reader_skip(reader, 3) || count == 0 ||
        bind == pipe->bound)
        return false;
    if (bind) {
        if (receive_most < DCERPC_FRAGMENT_LEAST)
            receive_most = DCERPC_FRAGMENT_LEAST;
        pipe->fragment_most = receive_most < DCERPC_FRAGMENT ? receive_most : DCERPC_FRAGMENT;
        pipe->bound = true;
    }
    at = begin_fragment(pipe, bind ? TYPE_BIND_ACK : TYPE_ALTER_RESPONSE, FLAG_FIRST | FLAG_LAST,
                        fragment->call_id);
    writer_le16(&pipe->out, pipe->fragment_most);
    writer_le16(&pipe->out, pipe->fragment_most);
    writer_le32(&pipe->out, group != 0 ? group : 1);
    write_address(pipe, bind, at);
    writer_u8(&pipe->out, count);
    writer_zeros(&pipe->out, 3);
    for (unsigned i = 0; i < count; i++) {
        struct context_result result;

        if (!judge_context(pipe, reader, &result))
            return false;
        writer_le16(&pipe->out, result.result);
        writer_le16(&pipe->out, result.reason);
        writer_bytes(&pipe->out, result.syntax, 20);
    }
    end_fragment(pipe, at);
    return true;
}

/* C706 12.6.4.5: refused, with the versions that we speak; MS-RPCE 2.2.2.9 */
static void refuse_bind(struct dcerpc_pipe *pipe, const struct fragment *fragment)
{
    size_t at = begin_fragment(pipe, TYPE_BIND_NAK, FLAG_FIRST | FLAG_LAST, fragment->call_id);

    writer_le16(&pipe->out, NAK_AUTHENTICATION_TYPE);
    writer_u8(&pipe->out, 1);
    writer_u8(&pipe->out, VERSION);
    writer_u8(&pipe->out, 0);
    end_fragment(pipe, at);
}

/* ---- calls ---- */

static bool has_context(const struct dcerpc_pipe *pipe, uint16_t id)
{
    for (size_t i = 0; i < pipe->context_count; i++) {
        if (pipe->contexts[i] == id)
            return true;
    }
    return false;
}

static void run_call(struct dcerpc_pipe *pipe, const struct dcerpc_world *world)
{
    const struct dcerpc_interface *interface = pipe->interface;
    struct dcerpc_call call = {.world = world, .pipe = pipe};
    uint32_t fault;

    if (!has_context(pipe, pipe->context)) {
        send_fault(pipe, pipe->call_id, pipe->context, DCERPC_FAULT_NO_INTERFACE, false);
        return;
    }
    if (pipe->operation >= interface->operation_count || interface->operations[pipe->operation].run == NULL) {
        send_fault(pipe, pipe->call_id, pipe->context, DCERPC_FAULT_NO_OPERATION, false);
        return;
    }
    call.in = ndr_in_of(pipe->request.data, pipe->request.length);
    writer_init_growing(&call.out.writer, DCERPC_REPLY_MAX / 2);
    fault = interface->operations[pipe->operation].run(&call);
    if (fault == 0 && call.in.failed)
        fault = DCERPC_FAULT_BAD_STUB;
    if (fault == 0 && call.out.writer.failed)
        fault = DCERPC_FAULT_NO_MEMORY;
    if (fault != 0)
        send_fault(pipe, pipe->call_id, pipe->context, fault, true);
    else
        send_response(pipe, &call.out.writer);
    writer_free(&call.out.writer);
}

static bool take_request(struct dcerpc_pipe *pipe, const struct dcerpc_world *world,
                         struct fragment *fragment)
{
    struct reader *reader = &fragment->body;
    uint16_t context, operation;

    if (!pipe->bound || !reader_skip(reader, 4) || !reader_le16(reader, &context) ||
        !reader_le16(reader, &operation) || ((fragment->flags & FLAG_OBJECT) && !reader_skip(reader, 16)))
        return false;
    /* MS-RPCE 3.3.2.5.2: one call at a time on a connection. */
    if (((fragment->flags & FLAG_FIRST) != 0) == pipe->collecting)
        return false;
    if (fragment->flags & FLAG_FIRST) {
        pipe->collecting = true;
        pipe->call_id = fragment->call_id;
        pipe->context = context;
        pipe->operation = operation;
        writer_truncate(&pipe->request, 0);
    }
    if (fragment->call_id != pipe->call_id || operation != pipe->operation || context != pipe->context)
        return false;
    if (reader->left > 0)
        writer_bytes(&pipe->request, reader->at, reader->left);
    if (!(fragment->flags & FLAG_LAST))
        return true;
    pipe->collecting = false;
    if (pipe->request.failed)
        send_fault(pipe, pipe->call_id, context, DCERPC_FAULT_NO_MEMORY, false);
    else
        run_call(pipe, world);
    writer_free(&pipe->request);
    writer_init_growing(&pipe->request, DCERPC_REQUEST_MAX);
    return true;
}

static bool take_fragment(struct dcerpc_pipe *pipe, const struct dcerpc_world *world,
                          struct fragment *fragment)
{
    if (fragment->auth_length != 0) {
        if (fragment->type != TYPE_BIND || pipe->bound)
            return false;
        refuse_bind(pipe, fragment);
        return true;
    }
    switch (fragment->type) {
    case TYPE_BIND:
    case TYPE_ALTER:
        return agree(pipe, fragment, fragment->type == TYPE_BIND);
    case TYPE_REQUEST:
        return take_request(pipe, world, fragment);
    case TYPE_CANCEL: /* what it would cancel has run already */
        return true;
    case TYPE_ORPHANED:
        pipe->collecting = false;
        return true;
    default:
        return false;
    }
}

/* The fragment at the start of READER: 1 it is whole, 0 more is needed, -1 it is none. */
static int cut_fragment(struct reader *reader, struct fragment *fragment_r)
{
    struct reader head = *reader;
    uint8_t version, minor;
    uint32_t representation;

    if (head.left < HEAD_SIZE)
        return 0;
    if (!reader_u8(&head, &version) || !reader_u8(&head, &minor) || !reader_u8(&head, &fragment_r->type) ||
        !reader_u8(&head, &fragment_r->flags) || !reader_le32(&head, &representation) ||
        !reader_le16(&head, &fragment_r->length) || !reader_le16(&head, &fragment_r->auth_length) ||
        !reader_le32(&head, &fragment_r->call_id))
        return 0;
    if (version != VERSION || minor > 1 || (representation & 0xff) != LITTLE_ENDIAN_ASCII ||
        fragment_r->length < HEAD_SIZE)
        return -1;
    if (fragment_r->length > reader->left)
        return 0;
    fragment_r->body = reader_of(head.at, (size_t)fragment_r->length - HEAD_SIZE);
    return reader_skip(reader, fragment_r->length) ? 1 : -1;
}

enum err dcerpc_pipe_write(struct dcerpc_pipe *pipe, const struct dcerpc_world *world, const void *data,
                           size_t length)
{
    struct reader all;
    int got;

    if (pipe->broken)
        return ERR_BADXDR;
    /* What was read is forgotten, so that the bound is one of what is unread. */
    if (pipe->out_at == pipe->out.length) {
        writer_free(&pipe->out);
        writer_init_growing(&pipe->out, DCERPC_REPLY_MAX);
        pipe->out_at = 0;
    }
    all = reader_of(data, length);
    while (all.left > 0) {
        /* Straight from what was written where a fragment is whole in it. */
        struct fragment fragment;
        struct reader rest = all;
        bool collected = pipe->in.length > 0;

        if (collected) {
            /* A head first, so that its length is known, then what it says. */
            size_t have = pipe->in.length, want = HEAD_SIZE;

            if (have >= HEAD_SIZE)
                want = (size_t)(pipe->in.data[8] | pipe->in.data[9] << 8);
            if (want > have) {
                size_t part = want - have < all.left ? want - have : all.left;

                writer_bytes(&pipe->in, all.at, part);
                if (pipe->in.failed || !reader_skip(&all, part))
                    goto broken;
            }
            rest = reader_of(pipe->in.data, pipe->in.length);
        }
        got = cut_fragment(&rest, &fragment);
        if (got < 0)
            goto broken;
        if (got == 0) {
            if (!collected) {
                writer_bytes(&pipe->in, all.at, all.left);
                if (pipe->in.failed)
                    goto broken;
                break;
            }
            continue;
        }
        if (!take_fragment(pipe, world, &fragment) || pipe->out.failed)
            goto broken;
        if (collected)
            writer_truncate(&pipe->in, 0);
        else
            all = rest;
    }
    return ERR_OK;
broken:
    pipe->broken = true;
    return pipe->out.failed ? ERR_LIMIT : ERR_BADXDR;
}

/* ---- reading ---- */

/* What is left of the message that comes next. */
static size_t message_left(const struct dcerpc_pipe *pipe)
{
    const uint8_t *head;

    if (pipe->out_at >= pipe->out.length)
        return 0;
    head = pipe->out.data + pipe->out_at;
    return pipe->message_left > 0 ? pipe->message_left : (size_t)(head[8] | head[9] << 8);
}

size_t dcerpc_pipe_peek(const struct dcerpc_pipe *pipe, void *to, size_t length, size_t *message_r)
{
    size_t message = pipe->broken ? 0 : message_left(pipe);

    *message_r = message;
    if (length > message)
        length = message;
    if (length > 0)
        memcpy(to, pipe->out.data + pipe->out_at, length);
    return message > 0 ? pipe->out.length - pipe->out_at : 0;
}

size_t dcerpc_pipe_read(struct dcerpc_pipe *pipe, void *to, size_t length, size_t *left_r)
{
    size_t message;

    if (dcerpc_pipe_peek(pipe, to, length, &message) == 0) {
        *left_r = 0;
        return 0;
    }
    if (length > message)
        length = message;
    pipe->out_at += length;
    pipe->message_left = message - length;
    *left_r = pipe->message_left;
    return length;
}
