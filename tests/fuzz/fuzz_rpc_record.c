/*
 * fuzz_rpc_record.c - a whole RPC connection: reads of any size, records, headers, dispatch, suspended and
 * cached calls, limits, our own calls, and the end at any moment.
 *
 * The input is a list of steps: a byte for the kind, and its arguments.
 */
#include "memory_wire.h"
#include "rpc/rpc_priv.h"

enum step {
    STEP_BYTES,   /* length (2), bytes: a read */
    STEP_ZEROS,   /* length / 512 - 1 (1): a long read of zeros */
    STEP_CALL,    /* procedure (1), xid (1), length of arguments (2), a word of it (1) and its value (4): a
                     header that is good but for that word */
    STEP_TURN,    /* the loop turns */
    STEP_REPLY,   /* the oldest suspended call ends */
    STEP_REJECT,  /* the latest one does */
    STEP_CONGEST, /* the peer stops reading, or goes on */
    STEP_BACK,    /* a call to the peer */
    STEP_RECONNECT,
    STEP_COUNT
};

enum { SUSPENDED_MAX = 16, CALLBACKS_MAX = 4 };

static struct onc_call *suspended[SUSPENDED_MAX];
static size_t suspended_count;
static struct onc_callback callbacks[CALLBACKS_MAX];
static bool callback_runs[CALLBACKS_MAX];

static void run_echo(struct onc_call *call)
{
    if (call->arguments.left > 8) {
        if (!onc_call_attach(call, call->arguments_buf, call->arguments.at, call->arguments.left))
            abort();
        onc_call_reply_truncate(call, 0);
        writer_be32(&call->reply, 1);
        if (!onc_call_attach(call, call->arguments_buf, call->arguments.at, call->arguments.left))
            abort();
    }
    writer_bytes(&call->reply, call->arguments.at, call->arguments.left % 8);
    onc_call_reply(call);
}

static void run_suspend(struct onc_call *call)
{
    invariant(suspended_count < SUSPENDED_MAX);
    suspended[suspended_count++] = call;
}

static void run_reject(struct onc_call *call)
{
    onc_call_reject(call, ONC_REJECT_AUTH_TOO_WEAK);
}

static const struct onc_procedure procedures[] = {
    {.name = "ECHO", .run = run_echo, .reply_max = 16},
    {.name = "SUSPEND", .run = run_suspend, .reply_max = 4000},
    {.name = "SUSPEND_CACHED", .run = run_suspend, .reply_max = 64, .flags = ONC_CACHED},
    {.name = "CACHED", .run = run_echo, .reply_max = 16, .flags = ONC_CACHED},
    {.name = "REJECT", .run = run_reject, .flags = ONC_CACHED},
    {.name = NULL},
};
static const struct onc_program programs[] = {
    {.name = "fuzz",
     .number = 1,
     .version = 1,
     .procedures = procedures,
     .procedure_count = sizeof procedures / sizeof *procedures,
     .arguments_max = 200000},
    {.name = "fuzz",
     .number = 1,
     .version = 3,
     .procedures = procedures,
     .procedure_count = 1,
     .arguments_max = 100},
};

static void end_suspended(size_t i, bool reply)
{
    struct onc_call *call = suspended[i];
    uint8_t sum = 0;

    memmove(suspended + i, suspended + i + 1, (--suspended_count - i) * sizeof *suspended);
    for (size_t j = 0; j < call->arguments.left; j++) /* they are still there */
        sum = (uint8_t)(sum + call->arguments.at[j]);
    writer_u8(&call->reply, sum);
    writer_align(&call->reply, 4);
    if (reply)
        onc_call_reply(call);
    else
        onc_call_drop(call);
}

static void on_done(struct onc_callback *callback, enum err err, struct reader *results)
{
    invariant((err == ERR_OK) == (results != NULL));
    callback_runs[callback - callbacks] = false;
}

static void call_back(struct onc_conn *conn)
{
    for (size_t i = 0; i < CALLBACKS_MAX; i++) {
        if (callback_runs[i])
            continue;
        callbacks[i] = (struct onc_callback){.done = on_done, .program = 2, .timeout_ms = 1000};
        callback_runs[i] = onc_conn_call(conn, &callbacks[i], "abcd", 4) == ERR_OK;
        /* Small xids, that the input can hit. */
        callbacks[i].xid = (uint32_t)i;
        return;
    }
}

static void put_call(struct memory_wire *wire, struct reader *input)
{
    uint8_t procedure, xid, word, bytes[128];
    uint16_t length;
    uint32_t value;
    struct writer writer;

    if (!reader_u8(input, &procedure) || !reader_u8(input, &xid) || !reader_le16(input, &length) ||
        !reader_u8(input, &word) || !reader_be32(input, &value))
        return;
    writer_init(&writer, bytes, sizeof bytes);
    writer_be32(&writer, 0x80000000u | (40u + length));
    writer_be32(&writer, xid);
    writer_be32(&writer, ONC__CALL);
    writer_be32(&writer, ONC__VERSION);
    writer_be32(&writer, 1);
    writer_be32(&writer, procedure >= 128 ? 3 : 1);
    writer_be32(&writer, procedure & 7);
    writer_zeros(&writer, 16);
    if (word < writer.length / 4)
        writer_patch_be32(&writer, word * 4u, value);
    wire_put(wire, bytes, writer.length);
}

static void step(struct memory_wire *wire, struct onc_service *service, struct reader *input, uint8_t kind)
{
    const uint8_t *bytes;
    uint16_t length;
    uint8_t blocks;

    switch ((enum step)(kind % STEP_COUNT)) {
    case STEP_BYTES:
        if (reader_le16(input, &length) && reader_bytes(input, length, &bytes))
            wire_put(wire, bytes, length);
        break;
    case STEP_ZEROS:
        if (reader_u8(input, &blocks))
            wire_put(wire, NULL, (blocks + 1u) * 512);
        break;
    case STEP_CALL:
        put_call(wire, input);
        break;
    case STEP_TURN:
        loop_run_once(wire->loop, false);
        break;
    case STEP_REPLY:
        if (suspended_count > 0)
            end_suspended(0, true);
        break;
    case STEP_REJECT:
        if (suspended_count > 0)
            end_suspended(suspended_count - 1, false);
        break;
    case STEP_CONGEST:
        wire->congested = !wire->congested;
        if (!wire->congested && wire->conn->waiting)
            onc__conn_ready(wire->conn);
        break;
    case STEP_BACK:
        call_back(wire->conn);
        break;
    case STEP_RECONNECT:
        wire_end(wire);
        wire_open(wire, wire->loop, service);
        break;
    case STEP_COUNT:
        break;
    }
}

static void on_shutdown(void *data)
{
    *(bool *)data = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct onc_limits limits = {.record_bytes_max = 256 << 10,
                                             .calls_per_connection = 8,
                                             .calls_total = 10,
                                             .bytes_total = 300000,
                                             .duplicate_cache_entries = 6,
                                             .duplicate_cache_bytes = 2000};
    struct loop *loop = simloop_new(1);
    struct reader input = reader_of(data, size);
    struct onc_server *server;
    struct onc_service *service;
    struct memory_wire wire;
    bool done = false;
    uint8_t kind;

    log_set_level(LOG_LEVEL_ERROR);
    invariant(onc_server_open(loop, &limits, &server) == ERR_OK);
    invariant(onc_service_open(server, "fuzz", &service) == ERR_OK);
    invariant(onc_service_add_program(service, &programs[0]) == ERR_OK);
    invariant(onc_service_add_program(service, &programs[1]) == ERR_OK);
    wire_open(&wire, loop, service);
    while (reader_u8(&input, &kind)) {
        step(&wire, service, &input, kind);
        invariant(server->memory.bytes <= limits.bytes_total + (1 << 17));
        invariant(server->counters.calls_now <= limits.calls_total);
        if (wire.closed) {
            wire_end(&wire);
            wire_open(&wire, loop, service);
        }
    }
    wire_end(&wire);
    while (suspended_count > 0)
        end_suspended(0, suspended_count % 2 == 0);
    onc_server_shutdown(server, on_shutdown, &done);
    for (int i = 0; i < 10 && !done; i++)
        loop_run_once(loop, false);
    invariant(done);
    invariant(server->memory.bytes == 0);
    onc_server_close(&server);
    loop_close(&loop);
    invariant(buf_bytes_in_use() == 0);
    return 0;
}
