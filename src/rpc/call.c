/*
 * call.c - a call from its bytes to the end of its reply.
 *
 * The happy path: the header and credentials are decoded into a recycled struct onc__call, the arguments
 * stay where they were received, the reply's header is written, the procedure runs, writes its results
 * behind that and calls onc_call_reply, now or later. The reply goes to the connection as parts: what the
 * writer holds, and between it what was attached.
 *
 * A call ends exactly once. Until then it holds: its receive block, its reply buffer, its parts, a place in
 * its connection's list. When the connection goes first, the call is detached: it runs to its end, its reply
 * is kept in the duplicate-request cache if it is to be, and is sent nowhere.
 */
#include "rpc/rpc_priv.h"
#include "dittofs/clock.h"
#include "dittofs/log.h"
#include <stdlib.h>
#include <string.h>

enum {
    CALL_LIVE = 0x63616c6c,
    CALL_ENDED = 0x64656164,
    CALLS_KEPT = 512,
    PARTS_MAX = 4096, /* attached to one reply */
    /* Results up to here, or up to this part of their buffer, are copied to the send queue: their buffer is
     * free again at once. */
    COPY_MAX = 2048,
    COPY_PART = 16,
    DATAGRAM_REPLY_MAX = 65507,
    REJECTION_MAX = 64
};

/* ---- memory ---- */

static struct onc__call *take_memory(struct onc_server *server)
{
    struct onc__call *call = server->free_calls;

    if (call != NULL) {
        server->free_calls = call->next_free;
        server->free_call_count--;
    } else {
        call = malloc(sizeof *call);
        if (call == NULL)
            return NULL;
    }
    call->magic = CALL_LIVE;
    call->server = server;
    return call;
}

static void give_memory(struct onc__call *call)
{
    struct onc_server *server = call->server;

    call->magic = CALL_ENDED;
    if (server->free_call_count >= CALLS_KEPT) {
        free(call);
        return;
    }
    call->next_free = server->free_calls;
    server->free_calls = call;
    server->free_call_count++;
}

void onc__calls_free(struct onc_server *server)
{
    while (server->free_calls != NULL) {
        struct onc__call *call = server->free_calls;

        server->free_calls = call->next_free;
        free(call);
    }
    server->free_call_count = 0;
}

/* ---- the answer ---- */

/* BYTES begin with a record marker that is filled in already. */
static void send_bytes(struct onc_conn *conn, const struct onc__datagram *datagram,
                       const struct net_address *peer, const struct net_address *local, const uint8_t *bytes,
                       size_t length)
{
    struct bufpart part = {.data = bytes, .length = length};

    if (conn != NULL) {
        conn->server->counters.bytes_sent += length;
        conn->wire->send(conn->wire_data, &part, 1);
    } else if (datagram != NULL && datagram->socket != NULL) {
        datagram->service->server->counters.bytes_sent += length - ONC__MARKER;
        net_datagram_send(datagram->socket, peer, local, bytes + ONC__MARKER, length - ONC__MARKER);
    }
}

static void patch_marker(struct writer *writer, size_t attached)
{
    writer_patch_be32(writer, 0, 0x80000000u | (uint32_t)(writer->length - ONC__MARKER + attached));
}

static void send_verdict(struct onc__call *call, struct onc__verdict verdict)
{
    uint8_t bytes[REJECTION_MAX];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    writer_be32(&writer, 0);
    onc__reply_write(&writer, call->call.xid, verdict);
    invariant(!writer.failed);
    patch_marker(&writer, 0);
    send_bytes(call->conn, call->datagram, &call->call.peer, &call->local, bytes, writer.length);
}

/* The reply's bytes in one piece, without the record marker. */
static void copy_reply(const struct onc__call *call, uint8_t *to)
{
    const struct writer *writer = &call->call.reply;
    size_t at = ONC__MARKER;

    for (uint32_t i = 0; i < call->part_count; i++) {
        const struct onc__part *part = &call->parts[i];

        memcpy(to, writer->data + at, part->at - at);
        to += part->at - at;
        memcpy(to, part->part.data, part->part.length);
        to += part->part.length;
        at = part->at;
    }
    memcpy(to, writer->data + at, writer->length - at);
}

/* Are the results sent from where they lie? */
static bool refers_to_results(const struct onc__call *call)
{
    return call->reply_buf != NULL && call->call.reply.length > COPY_MAX &&
           call->call.reply.length > call->reply_buf->capacity / COPY_PART;
}

static void send_stream(struct onc__call *call)
{
    enum { BATCH = 16 };
    const struct writer *writer = &call->call.reply;
    struct buf *buf = refers_to_results(call) ? call->reply_buf : NULL;
    struct onc_conn *conn = call->conn;
    struct bufpart parts[BATCH];
    size_t at = 0;
    int count = 0;

    for (uint32_t i = 0; i < call->part_count; i++) {
        const struct onc__part *part = &call->parts[i];

        if (count > BATCH - 2) {
            conn->wire->send(conn->wire_data, parts, count);
            count = 0;
        }
        parts[count++] = (struct bufpart){.buf = buf, .data = writer->data + at, .length = part->at - at};
        parts[count++] = part->part;
        at = part->at;
    }
    if (count == BATCH) {
        conn->wire->send(conn->wire_data, parts, count);
        count = 0;
    }
    parts[count++] = (struct bufpart){.buf = buf, .data = writer->data + at, .length = writer->length - at};
    conn->server->counters.bytes_sent += writer->length + call->part_bytes;
    conn->wire->send(conn->wire_data, parts, count);
}

static void send_datagram(struct onc__call *call, size_t length)
{
    uint8_t *bytes;

    if (call->part_count == 0) {
        send_bytes(NULL, call->datagram, &call->call.peer, &call->local, call->call.reply.data,
                   length + ONC__MARKER);
        return;
    }
    bytes = malloc(length + ONC__MARKER);
    if (bytes == NULL)
        return; /* the client asks again */
    copy_reply(call, bytes + ONC__MARKER);
    send_bytes(NULL, call->datagram, &call->call.peer, &call->local, bytes, length + ONC__MARKER);
    free(bytes);
}

static void drop_parts(struct onc__call *call)
{
    for (uint32_t i = 0; i < call->part_count; i++)
        buf_unref(&call->parts[i].part.buf);
    if (call->parts != call->few)
        free(call->parts);
    call->parts = call->few;
    call->part_count = 0;
}

void onc__call_detach(struct onc__call *call)
{
    struct onc_conn *conn = call->conn;

    if (conn == NULL)
        return;
    list_remove(&call->link);
    conn->call_count--;
    conn->call_bytes -= call->record_bytes;
    call->conn = NULL;
    if (conn->server->shutting_down) {
        if (conn->call_count == 0)
            onc__conn_close(conn, true);
    } else if (conn->waiting) {
        onc__conn_ready(conn);
    }
}

void onc__call_attach_conn(struct onc__call *call, struct onc_conn *conn)
{
    onc__call_detach(call);
    call->conn = conn;
    call->datagram = NULL;
    conn->call_count++;
    conn->call_bytes += call->record_bytes;
    list_push_back(&conn->calls, &call->link);
}

/* The call is over: everything it holds is given back. */
static void end_call(struct onc__call *call)
{
    struct onc_server *server = call->server;

    onc__call_detach(call);
    if (call->duplicate != NULL)
        onc__duplicates_forget(&server->duplicates, call);
    drop_parts(call);
    buf_unref(&call->reply_buf);
    if (call->call.arena.blocks != NULL)
        arena_reset(&call->call.arena);
    onc__block_put(&call->block);
    give_memory(call);
    server->counters.calls_now--;
    if (!list_is_empty(&server->blocked))
        onc__server_unblock(server);
    if (server->shutting_down)
        loop_wake(server->loop);
}

static struct onc__call *live(struct onc_call *public_call)
{
    struct onc__call *call = onc__call_of(public_call);

    invariant(call->magic == CALL_LIVE);
    return call;
}

void onc_call_reply(struct onc_call *public_call)
{
    struct onc__call *call = live(public_call);
    size_t length = public_call->reply.length - ONC__MARKER + call->part_bytes;
    uint8_t *kept;

    if (public_call->reply.failed || length > INT32_MAX ||
        (call->datagram != NULL && length > DATAGRAM_REPLY_MAX)) {
        log_warning("rpc: %s %s: the reply does not fit", public_call->program->name,
                    public_call->procedure->name);
        onc_call_reject(public_call, ONC_REJECT_SYSTEM_ERROR);
        return;
    }
    if (call->duplicate != NULL) {
        kept = onc__duplicates_keep(&call->server->duplicates, call, length);
        if (kept != NULL)
            copy_reply(call, kept);
    }
    patch_marker(&public_call->reply, call->part_bytes);
    if (call->conn != NULL)
        send_stream(call);
    else if (call->datagram != NULL)
        send_datagram(call, length);
    end_call(call);
}

void onc_call_reject(struct onc_call *public_call, enum onc_reject why)
{
    static const struct onc__verdict verdicts[] = {
        [ONC_REJECT_GARBAGE_ARGS] = {.status = ONC__GARBAGE_ARGS},
        [ONC_REJECT_SYSTEM_ERROR] = {.status = ONC__SYSTEM_ERR},
        [ONC_REJECT_PROC_UNAVAIL] = {.status = ONC__PROC_UNAVAIL},
        [ONC_REJECT_AUTH_TOO_WEAK] = {.status = ONC__AUTH_ERROR, .auth = ONC__AUTH_TOOWEAK},
        [ONC_REJECT_AUTH_BADCRED] = {.status = ONC__AUTH_ERROR, .auth = ONC__AUTH_BADCRED},
    };
    struct onc__call *call = live(public_call);

    send_verdict(call, verdicts[why]);
    end_call(call);
}

void onc_call_drop(struct onc_call *public_call)
{
    end_call(live(public_call));
}

/* ---- results ---- */

bool onc_call_attach(struct onc_call *public_call, struct buf *buf, const uint8_t *data, size_t length)
{
    struct onc__call *call = live(public_call);

    if (length == 0)
        return true;
    if (call->part_count == call->part_capacity) {
        uint32_t capacity = call->part_capacity * 2;
        struct onc__part *parts;

        if (capacity > PARTS_MAX)
            return false;
        parts = malloc(capacity * sizeof *parts);
        if (parts == NULL)
            return false;
        memcpy(parts, call->parts, call->part_count * sizeof *parts);
        if (call->parts != call->few)
            free(call->parts);
        call->parts = parts;
        call->part_capacity = capacity;
    }
    call->parts[call->part_count++] = (struct onc__part){
        .at = public_call->reply.length, .part = {.buf = buf_ref(buf), .data = data, .length = length}};
    call->part_bytes += length;
    return true;
}

bool onc_call_reserve(struct onc_call *public_call, size_t length)
{
    struct onc__call *call = live(public_call);
    struct writer *writer = &public_call->reply;
    struct writer larger;
    struct buf *buf;
    size_t capacity;

    if (length <= writer->capacity - writer->length)
        return true;
    if (length > INT32_MAX)
        return false;
    capacity = writer->capacity * 2;
    if (length > capacity - writer->length)
        capacity = writer->length + length;
    buf = buf_new(capacity);
    if (buf == NULL)
        return false;
    writer_init(&larger, buf->data, capacity);
    writer_bytes(&larger, writer->data, writer->length);
    larger.failed = writer->failed;
    *writer = larger;
    buf_unref(&call->reply_buf);
    call->reply_buf = buf;
    return true;
}

void onc_call_uncache(struct onc_call *public_call)
{
    struct onc__call *call = live(public_call);

    if (call->duplicate != NULL)
        onc__duplicates_forget(&call->server->duplicates, call);
}

size_t onc_call_reply_length(const struct onc_call *public_call)
{
    const struct onc__call *call = container_of(public_call, const struct onc__call, call);

    return public_call->reply.length - call->header_length + call->part_bytes;
}

void onc_call_reply_truncate(struct onc_call *public_call, size_t length)
{
    struct onc__call *call = live(public_call);

    while (call->part_count > 0) {
        struct onc__part *part = &call->parts[call->part_count - 1];
        size_t start = part->at - call->header_length + call->part_bytes - part->part.length;

        if (start < length)
            break;
        call->part_bytes -= part->part.length;
        call->part_count--;
        buf_unref(&part->part.buf);
    }
    invariant(length >= call->part_bytes);
    writer_truncate(&public_call->reply, call->header_length + length - call->part_bytes);
}

struct onc_conn *onc_call_conn(struct onc_call *call)
{
    return live(call)->conn;
}

const struct net_address *onc_call_local(struct onc_call *public_call)
{
    const struct onc__call *call = live(public_call);

    return call->datagram == NULL && call->conn != NULL ? &call->conn->local : &call->local;
}

/* ---- the beginning ---- */

/* Memory for the results, and the header before them. */
static bool begin_reply(struct onc__call *call)
{
    size_t capacity = ONC__MARKER + ONC__REPLY_HEADER + call->call.procedure->reply_max;
    struct writer *writer = &call->call.reply;

    call->reply_buf = NULL;
    if (capacity <= sizeof call->reply_inline) {
        writer_init(writer, call->reply_inline, capacity);
    } else {
        call->reply_buf = buf_new(capacity);
        if (call->reply_buf == NULL)
            return false;
        writer_init(writer, call->reply_buf->data, capacity);
    }
    writer_be32(writer, 0); /* the record marker, filled in when the length is known */
    writer_be32(writer, call->call.xid);
    writer_be32(writer, ONC__REPLY);
    writer_be32(writer, ONC__ACCEPTED);
    call->flavor->write_verifier(writer);
    writer_be32(writer, ONC__SUCCESS);
    call->header_length = writer->length;
    return true;
}

/* Sets everything that a call has besides what its message says. */
static void begin_call(struct onc__call *call, struct onc_conn *conn, struct onc__datagram *datagram,
                       const struct net_address *peer, const struct net_address *local)
{
    struct onc_server *server = call->server;

    call->conn = conn;
    call->datagram = datagram;
    call->call.transport = conn != NULL ? ONC_TCP : ONC_UDP;
    call->call.peer = *peer;
    if (datagram != NULL)
        call->local = *local;
    call->call.program = NULL;
    call->call.procedure = NULL;
    call->call.program_state = NULL;
    arena_init(&call->call.arena, 0);
    call->flavor = NULL;
    call->reply_buf = NULL;
    call->block = NULL;
    call->message = NULL;
    call->record_bytes = 0;
    call->duplicate = NULL;
    call->parts = call->few;
    call->part_capacity = ONC__PARTS_INLINE;
    call->part_count = 0;
    call->part_bytes = 0;
    list_init(&call->link);
    server->counters.calls_now++;
    if (conn != NULL) {
        conn->call_count++;
        list_push_back(&conn->calls, &call->link);
    }
}

static struct onc__verdict decode_message(const struct onc_service *service, struct reader *reader,
                                          struct onc_call *call, size_t message_length)
{
    struct onc__verdict verdict = {.status = ONC__UNINTELLIGIBLE};
    const uint8_t *start = reader->at;
    uint32_t type;

    if (!reader_be32(reader, &call->xid) || !reader_be32(reader, &type) || type != ONC__CALL)
        return verdict;
    verdict = onc__call_decode(service, reader, call);
    if (verdict.status == ONC__SUCCESS &&
        message_length - (size_t)(reader->at - start) > call->program->arguments_max)
        verdict.status = ONC__GARBAGE_ARGS;
    return verdict;
}

/* Sends what the same call was answered before. */
static void answer_again(struct onc__call *call, const uint8_t *reply, size_t length)
{
    struct writer *writer = &call->call.reply;

    call->reply_buf = buf_new(ONC__MARKER + length);
    if (call->reply_buf == NULL) {
        end_call(call);
        return;
    }
    writer_init(writer, call->reply_buf->data, ONC__MARKER + length);
    writer_be32(writer, 0);
    writer_bytes(writer, reply, length);
    onc_call_reply(&call->call);
}

static bool is_cached(const struct onc_call *call)
{
    const struct onc_procedure *procedure = call->procedure;

    return (procedure->flags & ONC_CACHED) != 0 &&
           (procedure->may_cache == NULL || procedure->may_cache(call));
}

/* True when the call is to be run; else it has ended. */
static bool pass_duplicates(struct onc__call *call)
{
    struct onc_server *server = call->server;
    struct onc__call *running;
    const uint8_t *reply;
    size_t length;

    switch (onc__duplicates_look_up(&server->duplicates, call, &reply, &length, &running)) {
    case ONC__DUPLICATE_NEW:
        return true;
    case ONC__DUPLICATE_RUNNING:
        server->counters.duplicates++;
        /* The client gave its old connection up, and waits on this one. */
        if (call->conn != NULL && running->conn != call->conn && running->datagram == NULL)
            onc__call_attach_conn(running, call->conn);
        end_call(call);
        return false;
    case ONC__DUPLICATE_ANSWERED:
        server->counters.duplicates++;
        answer_again(call, reply, length);
        return false;
    }
    return false;
}

bool onc__call_serve(struct onc_service *service, struct onc_conn *conn, struct onc__datagram *datagram,
                     const struct net_address *peer, const struct net_address *local,
                     const struct onc__record *record, uint64_t received_ns)
{
    struct onc_server *server = service->server;
    struct reader reader = reader_of(record->data, record->length);
    struct onc__call *call = take_memory(server);
    struct onc__block *block = record->block;
    struct onc__verdict verdict;

    if (call == NULL) {
        onc__block_put(&block);
        return true; /* as if it was lost: the client asks again */
    }
    begin_call(call, conn, datagram, peer, local);
    call->block = block;
    call->message = record->data;
    call->record_bytes = record->length;
    if (conn != NULL)
        conn->call_bytes += record->length;
    verdict = decode_message(service, &reader, &call->call, record->length);
    server->counters.calls++;
    if (verdict.status != ONC__SUCCESS) {
        if (verdict.status != ONC__UNINTELLIGIBLE)
            send_verdict(call, verdict);
        end_call(call);
        return verdict.status != ONC__UNINTELLIGIBLE;
    }
    call->call.arguments = reader;
    call->call.arguments_buf = block->buf;
    call->call.received_ns = received_ns;
    if (is_cached(&call->call) && !pass_duplicates(call))
        return true;
    if (begin_reply(call))
        call->call.procedure->run(&call->call);
    else
        end_call(call);
    return true;
}

bool onc__call_judge(struct onc_conn *conn, const uint8_t *head, size_t head_length, size_t record_length)
{
    struct onc_server *server = conn->server;
    struct reader reader = reader_of(head, head_length);
    struct onc__call *call;
    struct onc__verdict verdict;

    call = take_memory(server);
    if (call == NULL)
        return false;
    begin_call(call, conn, NULL, &conn->peer, &conn->local);
    verdict = decode_message(conn->service, &reader, &call->call, record_length);
    if (verdict.status != ONC__SUCCESS && verdict.status != ONC__UNINTELLIGIBLE) {
        server->counters.calls++;
        send_verdict(call, verdict);
    }
    end_call(call);
    /* What is no call at all may be a reply to one of ours. */
    return verdict.status == ONC__SUCCESS || verdict.status == ONC__UNINTELLIGIBLE;
}
