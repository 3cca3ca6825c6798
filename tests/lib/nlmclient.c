/*
 * nlmclient.c - a client host of NLM and NSM for tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nlmclient.h"
#include "loopback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PORTMAP = 100000, NLM = 100021, NSM = 100024, TELL = 9, MOST = 1024 };

/* ---- the host's programs ---- */

static void run_null(struct onc_call *call)
{
    onc_call_reply(call);
}

static void run_getport(struct onc_call *call)
{
    struct nlmhost *host = call->program->data;

    host->lookups++;
    writer_be32(&call->reply, host->port);
    onc_call_reply(call);
}

static void copy_text(struct reader *reader, char *text, size_t size, uint32_t *length_r)
{
    const uint8_t *bytes;
    uint32_t length;

    assert_true(reader_xdr_opaque(reader, MOST, &bytes, &length));
    assert_true(length < size);
    memcpy(text, bytes, length);
    text[length] = '\0';
    if (length_r != NULL)
        *length_r = length;
}

static void read_number(struct reader *reader, uint32_t version, uint64_t *number_r)
{
    uint32_t number = 0;

    if (version >= 4) {
        assert_true(reader_be64(reader, number_r));
        return;
    }
    assert_true(reader_be32(reader, &number));
    *number_r = number;
}

static struct nlmc_seen *see(struct onc_call *call)
{
    struct nlmhost *host = call->program->data;
    uint32_t procedure = (uint32_t)(call->procedure - call->program->procedures);
    struct nlmc_seen *seen = &host->seen[procedure];
    char cookie[sizeof seen->cookie + 1];

    seen->count++;
    seen->version = call->program->version;
    seen->procedure = procedure;
    seen->from = net_address_port(&call->peer);
    copy_text(&call->arguments, cookie, sizeof cookie, &seen->cookie_length);
    memcpy(seen->cookie, cookie, seen->cookie_length);
    return seen;
}

/* GRANTED, GRANTED_MSG */
static void run_granted(struct onc_call *call)
{
    struct nlmhost *host = call->program->data;
    struct nlmc_seen *seen = see(call);
    char handle[65];

    assert_true(reader_xdr_bool(&call->arguments, &seen->exclusive));
    copy_text(&call->arguments, seen->caller, sizeof seen->caller, NULL);
    copy_text(&call->arguments, handle, sizeof handle, &seen->handle_length);
    copy_text(&call->arguments, seen->owner, sizeof seen->owner, &seen->owner_length);
    assert_true(reader_be32(&call->arguments, &seen->svid));
    read_number(&call->arguments, seen->version, &seen->offset);
    read_number(&call->arguments, seen->version, &seen->length);
    assert_true(reader_is_done(&call->arguments));
    if (host->mute) {
        onc_call_drop(call);
        return;
    }
    if (seen->procedure == NLMC_GRANTED) {
        writer_xdr_opaque(&call->reply, seen->cookie, seen->cookie_length);
        writer_be32(&call->reply, host->answer);
    }
    onc_call_reply(call);
}

static void run_res(struct onc_call *call)
{
    struct nlmc_seen *seen = see(call);

    assert_true(reader_be32(&call->arguments, &seen->status));
    if (seen->procedure == NLMC_TEST_RES && seen->status == NLMC_DENIED) {
        assert_true(reader_xdr_bool(&call->arguments, &seen->exclusive));
        assert_true(reader_be32(&call->arguments, &seen->svid));
        copy_text(&call->arguments, seen->owner, sizeof seen->owner, &seen->owner_length);
        read_number(&call->arguments, seen->version, &seen->offset);
        read_number(&call->arguments, seen->version, &seen->length);
    }
    assert_true(reader_is_done(&call->arguments));
    onc_call_reply(call);
}

static void run_notify(struct onc_call *call)
{
    struct nlmhost *host = call->program->data;

    host->notices++;
    copy_text(&call->arguments, host->notice_name, sizeof host->notice_name, NULL);
    assert_true(reader_be32(&call->arguments, &host->notice_state));
    assert_true(reader_is_done(&call->arguments));
    if (host->mute)
        onc_call_drop(call);
    else
        onc_call_reply(call);
}

static void run_tell(struct onc_call *call)
{
    struct nlmhost *host = call->program->data;
    char name[64];
    const uint8_t *private_data;

    host->told++;
    copy_text(&call->arguments, name, sizeof name, NULL);
    assert_string_equal(name, "127.0.0.1");
    assert_true(reader_be32(&call->arguments, &host->told_state));
    assert_true(reader_bytes(&call->arguments, 16, &private_data));
    assert_memory_equal(private_data, "0123456789abcdef", 16);
    assert_true(reader_is_done(&call->arguments));
    onc_call_reply(call);
}

static const struct onc_procedure portmap_procedures[] = {
    [0] = {.name = "NULL", .run = run_null},
    [3] = {.name = "GETPORT", .run = run_getport, .reply_max = 4},
};
static const struct onc_procedure nlm_procedures[] = {
    [0] = {.name = "NULL", .run = run_null},
    [NLMC_GRANTED] = {.name = "GRANTED", .run = run_granted, .reply_max = 64},
    [NLMC_GRANTED_MSG] = {.name = "GRANTED_MSG", .run = run_granted, .reply_max = 64},
    [NLMC_TEST_RES] = {.name = "TEST_RES", .run = run_res},
    [NLMC_LOCK_RES] = {.name = "LOCK_RES", .run = run_res},
    [NLMC_CANCEL_RES] = {.name = "CANCEL_RES", .run = run_res},
    [NLMC_UNLOCK_RES] = {.name = "UNLOCK_RES", .run = run_res},
    [NLMC_GRANTED_RES] = {.name = "GRANTED_RES", .run = run_res},
};
static const struct onc_procedure nsm_procedures[] = {
    [0] = {.name = "NULL", .run = run_null},
    [6] = {.name = "NOTIFY", .run = run_notify},
    [TELL] = {.name = "TELL", .run = run_tell},
};

static void add_program(struct nlmhost *host, struct onc_service *service, size_t i, uint32_t number,
                        uint32_t version, const struct onc_procedure *procedures, uint32_t count)
{
    host->programs[i] = (struct onc_program){.name = "client",
                                             .number = number,
                                             .version = version,
                                             .procedures = procedures,
                                             .procedure_count = count,
                                             .arguments_max = 4096,
                                             .data = host};
    assert_int_equal(onc_service_add_program(service, &host->programs[i]), ERR_OK);
}

#define COUNT(table) (sizeof(table) / sizeof *(table))

struct nlmhost *nlmhost_open(void)
{
    struct nlmhost *host = calloc(1, sizeof *host);
    struct onc_service *service;
    struct net_address address;

    assert_non_null(host);
    assert_int_equal(loop_open(&host->loop), ERR_OK);
    assert_int_equal(onc_server_open(host->loop, NULL, &host->server), ERR_OK);
    assert_int_equal(onc_service_open(host->server, "client", &service), ERR_OK);
    add_program(host, service, 0, PORTMAP, 2, portmap_procedures, COUNT(portmap_procedures));
    add_program(host, service, 1, NLM, 1, nlm_procedures, COUNT(nlm_procedures));
    add_program(host, service, 2, NLM, 3, nlm_procedures, COUNT(nlm_procedures));
    add_program(host, service, 3, NLM, 4, nlm_procedures, COUNT(nlm_procedures));
    add_program(host, service, 4, NSM, 1, nsm_procedures, COUNT(nsm_procedures));
    assert_int_equal(net_address_parse("127.0.0.1", 0, &address), ERR_OK);
    assert_int_equal(onc_service_listen(service, ONC_TCP, &address, &host->port), ERR_OK);
    assert_int_equal(net_address_parse("127.0.0.1", host->port, &address), ERR_OK);
    assert_int_equal(onc_service_listen(service, ONC_UDP, &address, &host->port), ERR_OK);
    return host;
}

void nlmhost_set_world(struct nlmhost *host, struct nfsworld *world)
{
    host->world = world;
}

static void on_done(void *data)
{
    struct nlmhost *host = data;

    host->done = true;
}

void nlmhost_close(struct nlmhost **host)
{
    onc_server_shutdown((*host)->server, on_done, *host);
    while (!(*host)->done)
        loop_run_once((*host)->loop, true);
    onc_server_close(&(*host)->server);
    loop_close(&(*host)->loop);
    free(*host);
    *host = NULL;
}

void nlmhost_turn(struct nlmhost *host)
{
    loop_run_once(host->loop, false);
    if (host->world != NULL)
        loop_run_once(host->world->loop, false);
}

uint64_t nlmhost_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void nlmhost_wait_ms(struct nlmhost *host, uint64_t ms)
{
    uint64_t end = nlmhost_now_ms() + ms;

    while (nlmhost_now_ms() < end)
        nlmhost_turn(host);
}

static void pump(void *data)
{
    nlmhost_turn(data);
}

struct rpcclient *nlmhost_connect(struct nlmhost *host, enum rpcclient_transport transport, uint32_t version,
                                  uint32_t uid)
{
    struct rpcclient *client = rpcclient_open(loopback_address(), host->world->port, transport);
    static uint32_t clients;

    assert_non_null(client);
    /* Of one host, equal calls with equal xids would be one call. */
    client->next_xid = ++clients << 16;
    client->pump = pump;
    client->pump_data = host;
    rpcclient_program(client, NLM, version);
    rpcclient_sys(client, uid, uid, NULL, 0);
    return client;
}

/* ---- calls ---- */

static void put_text(struct writer *writer, const char *text)
{
    writer_xdr_opaque(writer, text, strlen(text));
}

static void put_number(struct writer *writer, uint32_t version, uint64_t number)
{
    if (version >= 4)
        writer_be64(writer, number);
    else
        writer_be32(writer, (uint32_t)number);
}

static void put_lock(struct writer *writer, uint32_t version, const struct nfs3_handle *handle,
                     const struct nlmc_lock *lock)
{
    put_text(writer, lock->caller);
    nfs3_put_handle(writer, handle);
    put_text(writer, lock->owner);
    writer_be32(writer, lock->svid);
    put_number(writer, version, lock->offset);
    put_number(writer, version, lock->length);
}

void nlm_put_arguments(struct writer *writer, uint32_t version, uint32_t procedure,
                       const struct nfs3_handle *handle, const struct nlmc_lock *lock)
{
    put_text(writer, "cook");
    switch (procedure) {
    case NLMC_TEST:
    case NLMC_TEST_MSG:
    case NLMC_GRANTED:
    case NLMC_GRANTED_MSG:
        writer_xdr_bool(writer, lock->exclusive);
        put_lock(writer, version, handle, lock);
        break;
    case NLMC_LOCK:
    case NLMC_LOCK_MSG:
    case NLMC_NM_LOCK:
        writer_xdr_bool(writer, lock->block);
        writer_xdr_bool(writer, lock->exclusive);
        put_lock(writer, version, handle, lock);
        writer_xdr_bool(writer, lock->reclaim);
        writer_be32(writer, lock->state);
        break;
    case NLMC_CANCEL:
    case NLMC_CANCEL_MSG:
        writer_xdr_bool(writer, lock->block);
        writer_xdr_bool(writer, lock->exclusive);
        put_lock(writer, version, handle, lock);
        break;
    case NLMC_UNLOCK:
    case NLMC_UNLOCK_MSG:
        put_lock(writer, version, handle, lock);
        break;
    case NLMC_SHARE:
    case NLMC_UNSHARE:
        put_text(writer, lock->caller);
        nfs3_put_handle(writer, handle);
        put_text(writer, lock->owner);
        writer_be32(writer, lock->mode);
        writer_be32(writer, lock->access);
        writer_xdr_bool(writer, lock->reclaim);
        break;
    default:
        fail();
    }
}

static struct reader call(struct rpcclient *client, uint32_t procedure, const struct nfs3_handle *handle,
                          const struct nlmc_lock *lock)
{
    struct writer arguments;
    struct reader results;

    writer_init_growing(&arguments, 8192);
    nlm_put_arguments(&arguments, client->version, procedure, handle, lock);
    assert_int_equal(rpcclient_call(client, procedure, &arguments, &results), RPCCLIENT_SUCCESS);
    writer_free(&arguments);
    return results;
}

uint32_t nlm_call(struct rpcclient *client, uint32_t procedure, const struct nfs3_handle *handle,
                  const struct nlmc_lock *lock, struct nlmc_result *result_r)
{
    struct nlmc_result ignored, *result = result_r != NULL ? result_r : &ignored;
    struct reader results = call(client, procedure, handle, lock);
    char cookie[16];
    uint32_t sequence;

    *result = (struct nlmc_result){0};
    copy_text(&results, cookie, sizeof cookie, NULL);
    assert_string_equal(cookie, "cook");
    assert_true(reader_be32(&results, &result->status));
    if (procedure == NLMC_TEST && result->status == NLMC_DENIED) {
        assert_true(reader_xdr_bool(&results, &result->exclusive));
        assert_true(reader_be32(&results, &result->svid));
        copy_text(&results, result->owner, sizeof result->owner, &result->owner_length);
        read_number(&results, client->version, &result->offset);
        read_number(&results, client->version, &result->length);
    }
    if (procedure == NLMC_SHARE || procedure == NLMC_UNSHARE)
        assert_true(reader_be32(&results, &sequence));
    assert_true(reader_is_done(&results));
    return result->status;
}

void nlm_send(struct rpcclient *client, uint32_t procedure, const struct nfs3_handle *handle,
              const struct nlmc_lock *lock)
{
    struct reader results = call(client, procedure, handle, lock);

    assert_true(reader_is_done(&results));
}

static void call_plainly(struct rpcclient *client, uint32_t procedure, const struct writer *arguments)
{
    struct reader results;

    assert_int_equal(rpcclient_call(client, procedure, arguments, &results), RPCCLIENT_SUCCESS);
    assert_true(reader_is_done(&results));
}

void nlm_free_all(struct rpcclient *client, const char *name, uint32_t state)
{
    uint8_t bytes[512];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    put_text(&writer, name);
    writer_be32(&writer, state);
    call_plainly(client, NLMC_FREE_ALL, &writer);
}

void nlm_granted_res(struct rpcclient *client, const struct nlmc_seen *seen, uint32_t status)
{
    uint8_t bytes[64];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    writer_xdr_opaque(&writer, seen->cookie, seen->cookie_length);
    writer_be32(&writer, status);
    call_plainly(client, NLMC_GRANTED_RES, &writer);
}

void nsm_notify(struct rpcclient *client, const char *name, uint32_t state)
{
    uint8_t bytes[512];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    put_text(&writer, name);
    writer_be32(&writer, state);
    rpcclient_program(client, NSM, 1);
    call_plainly(client, 6, &writer);
}

uint32_t nsm_call(struct rpcclient *client, uint32_t procedure, const char *name, const char *my_name,
                  uint32_t my_program, uint32_t my_procedure, uint32_t *result_r)
{
    uint8_t bytes[1024];
    struct writer writer;
    struct reader results;
    uint32_t state = 0;

    writer_init(&writer, bytes, sizeof bytes);
    if (name != NULL)
        put_text(&writer, name);
    if (my_name != NULL) {
        put_text(&writer, my_name);
        writer_be32(&writer, my_program);
        writer_be32(&writer, 1);
        writer_be32(&writer, my_procedure);
    }
    if (procedure == 2)
        writer_bytes(&writer, "0123456789abcdef", 16);
    rpcclient_program(client, NSM, 1);
    assert_int_equal(rpcclient_call(client, procedure, &writer, &results), RPCCLIENT_SUCCESS);
    if (result_r != NULL)
        assert_true(reader_be32(&results, result_r));
    if (procedure != 5)
        assert_true(reader_be32(&results, &state));
    assert_true(reader_is_done(&results));
    return state;
}
