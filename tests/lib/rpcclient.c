/*
 * rpcclient.c - a raw ONC RPC client for tests.
 *
 * The socket never blocks: each wait is a poll, between which `pump` lets a server on the same thread work.
 */
#include "rpcclient.h"
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    TIMEOUT_MS = 10000,
    MESSAGE_MAX = 64 << 20,
    CALL = 0,
    REPLY = 1,
    DATAGRAM_MAX = 65536,
    AUTH_BODY_MAX = 400
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for EVENTS; false when END_MS has passed. */
static bool wait_for(struct rpcclient *client, short events, int64_t end_ms)
{
    for (;;) {
        struct pollfd polled = {.fd = client->fd, .events = events};
        int64_t left_ms = end_ms - now_ms();

        if (left_ms < 0)
            return false;
        if (client->pump != NULL)
            client->pump(client->pump_data);
        if (poll(&polled, 1, client->pump != NULL ? 0 : (int)left_ms) > 0)
            return true;
    }
}

struct rpcclient *rpcclient_open(const char *host, uint16_t port, enum rpcclient_transport transport)
{
    struct addrinfo hints = {.ai_socktype = transport == RPCCLIENT_TCP ? SOCK_STREAM : SOCK_DGRAM,
                             .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    struct rpcclient *client;
    char service[16];
    int fd;

    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return NULL;
    fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        if (fd >= 0)
            close(fd);
        freeaddrinfo(found);
        return NULL;
    }
    freeaddrinfo(found);
    client = calloc(1, sizeof *client);
    if (client == NULL) {
        close(fd);
        return NULL;
    }
    client->fd = fd;
    client->transport = transport;
    client->rpc_version = 2;
    client->next_xid = (uint32_t)now_ms() * 2654435761u | 1;
    client->timeout_ms = TIMEOUT_MS;
    return client;
}

void rpcclient_close(struct rpcclient **client_p)
{
    struct rpcclient *client = *client_p;

    *client_p = NULL;
    if (client == NULL)
        return;
    close(client->fd);
    free(client->message);
    free(client);
}

void rpcclient_program(struct rpcclient *client, uint32_t program, uint32_t version)
{
    client->program = program;
    client->version = version;
}

void rpcclient_credential(struct rpcclient *client, uint32_t flavor, const void *body, size_t length)
{
    if (length > sizeof client->credential)
        abort();
    client->credential_flavor = flavor;
    client->credential_length = length;
    if (length > 0)
        memcpy(client->credential, body, length);
}

void rpcclient_none(struct rpcclient *client)
{
    rpcclient_credential(client, 0, NULL, 0);
}

void rpcclient_sys(struct rpcclient *client, uint32_t uid, uint32_t gid, const uint32_t *groups,
                   size_t group_count)
{
    static const char machine[] = "testclient";
    uint8_t body[512];
    struct writer writer;

    writer_init(&writer, body, sizeof body);
    writer_be32(&writer, 1);
    writer_xdr_opaque(&writer, machine, sizeof machine - 1);
    writer_be32(&writer, uid);
    writer_be32(&writer, gid);
    writer_be32(&writer, (uint32_t)group_count);
    for (size_t i = 0; i < group_count; i++)
        writer_be32(&writer, groups[i]);
    if (writer.failed)
        abort();
    rpcclient_credential(client, 1, body, writer.length);
}

/* ---- sending ---- */

bool rpcclient_send_raw(struct rpcclient *client, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    int64_t end_ms = now_ms() + client->timeout_ms;

    while (length > 0) {
        ssize_t sent = send(client->fd, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent >= 0) {
            at += sent;
            length -= (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!wait_for(client, POLLOUT, end_ms))
                return false;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

bool rpcclient_send_message(struct rpcclient *client, const void *message, size_t length)
{
    const uint8_t *at = message;
    size_t piece = client->fragment_bytes != 0 ? client->fragment_bytes : length;
    struct writer writer;
    bool sent;

    if (client->transport == RPCCLIENT_UDP)
        return rpcclient_send_raw(client, message, length);
    writer_init_growing(&writer, MESSAGE_MAX);
    do {
        size_t now = piece < length ? piece : length;

        writer_be32(&writer, (uint32_t)now | (now == length ? 0x80000000u : 0));
        writer_bytes(&writer, at, now);
        at += now;
        length -= now;
    } while (length > 0);
    sent = !writer.failed && rpcclient_send_raw(client, writer.data, writer.length);
    writer_free(&writer);
    return sent;
}

void rpcclient_build(const struct rpcclient *client, struct writer *writer, uint32_t xid, uint32_t procedure,
                     const struct writer *arguments)
{
    writer_be32(writer, xid);
    writer_be32(writer, CALL);
    writer_be32(writer, client->rpc_version);
    writer_be32(writer, client->program);
    writer_be32(writer, client->version);
    writer_be32(writer, procedure);
    writer_be32(writer, client->credential_flavor);
    writer_xdr_opaque(writer, client->credential, client->credential_length);
    writer_be32(writer, client->verifier_flavor);
    writer_be32(writer, 0);
    if (arguments != NULL)
        writer_bytes(writer, arguments->data, arguments->length);
}

bool rpcclient_send_as(struct rpcclient *client, uint32_t xid, uint32_t procedure,
                       const struct writer *arguments)
{
    struct writer writer;
    bool sent;

    if (arguments != NULL && arguments->failed)
        abort(); /* the test's buffer was too small */
    writer_init_growing(&writer, MESSAGE_MAX);
    rpcclient_build(client, &writer, xid, procedure, arguments);
    sent = !writer.failed && rpcclient_send_message(client, writer.data, writer.length);
    writer_free(&writer);
    return sent;
}

uint32_t rpcclient_send(struct rpcclient *client, uint32_t procedure, const struct writer *arguments)
{
    uint32_t xid = client->next_xid++;

    if (xid == 0)
        xid = client->next_xid++;
    return rpcclient_send_as(client, xid, procedure, arguments) ? xid : 0;
}

bool rpcclient_reply(struct rpcclient *client, uint32_t xid, enum rpcclient_status status,
                     const struct writer *results)
{
    struct writer writer;
    bool sent;

    writer_init_growing(&writer, MESSAGE_MAX);
    writer_be32(&writer, xid);
    writer_be32(&writer, REPLY);
    writer_be32(&writer, 0);
    writer_be32(&writer, 0);
    writer_be32(&writer, 0);
    writer_be32(&writer, status);
    if (status == RPCCLIENT_SUCCESS && results != NULL)
        writer_bytes(&writer, results->data, results->length);
    sent = !writer.failed && rpcclient_send_message(client, writer.data, writer.length);
    writer_free(&writer);
    return sent;
}

/* ---- receiving ---- */

/* Room for LENGTH bytes behind the message so far. */
static bool make_room(struct rpcclient *client, size_t length)
{
    size_t needed = client->message_length + length;
    uint8_t *message;

    if (needed <= client->message_capacity)
        return true;
    if (needed > MESSAGE_MAX)
        return false;
    message = realloc(client->message, needed);
    if (message == NULL)
        return false;
    client->message = message;
    client->message_capacity = needed;
    return true;
}

static enum rpcclient_status receive_bytes(struct rpcclient *client, uint8_t *to, size_t length,
                                           int64_t end_ms)
{
    while (length > 0) {
        ssize_t got = recv(client->fd, to, length, MSG_DONTWAIT);

        if (got > 0) {
            to += got;
            length -= (size_t)got;
        } else if (got == 0) {
            return RPCCLIENT_CLOSED;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!wait_for(client, POLLIN, end_ms))
                return RPCCLIENT_TIMEOUT;
        } else if (errno != EINTR) {
            return RPCCLIENT_CLOSED;
        }
    }
    return RPCCLIENT_SUCCESS;
}

static enum rpcclient_status receive_record(struct rpcclient *client, int64_t end_ms)
{
    uint32_t marker = 0;

    while ((marker & 0x80000000u) == 0) {
        uint8_t bytes[4];
        struct reader reader = reader_of(bytes, sizeof bytes);
        enum rpcclient_status status = receive_bytes(client, bytes, sizeof bytes, end_ms);
        size_t length;

        if (status != RPCCLIENT_SUCCESS)
            return status;
        if (!reader_be32(&reader, &marker))
            return RPCCLIENT_BROKEN;
        length = marker & 0x7fffffffu;
        if (!make_room(client, length))
            return RPCCLIENT_BROKEN;
        status = receive_bytes(client, client->message + client->message_length, length, end_ms);
        if (status != RPCCLIENT_SUCCESS)
            return status;
        client->message_length += length;
    }
    return RPCCLIENT_SUCCESS;
}

static enum rpcclient_status receive_datagram(struct rpcclient *client, int64_t end_ms)
{
    if (!make_room(client, DATAGRAM_MAX))
        return RPCCLIENT_BROKEN;
    for (;;) {
        ssize_t got = recv(client->fd, client->message, DATAGRAM_MAX, MSG_DONTWAIT);

        if (got >= 0) {
            client->message_length = (size_t)got;
            return RPCCLIENT_SUCCESS;
        }
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return RPCCLIENT_CLOSED;
        if (!wait_for(client, POLLIN, end_ms))
            return RPCCLIENT_TIMEOUT;
    }
}

enum rpcclient_status rpcclient_receive_message(struct rpcclient *client, struct reader *message_r)
{
    int64_t end_ms = now_ms() + client->timeout_ms;
    enum rpcclient_status status;

    client->message_length = 0;
    status = client->transport == RPCCLIENT_TCP ? receive_record(client, end_ms)
                                                : receive_datagram(client, end_ms);
    if (status == RPCCLIENT_SUCCESS)
        *message_r = reader_of(client->message, client->message_length);
    return status;
}

static bool skip_auth(struct reader *reader)
{
    const uint8_t *body;
    uint32_t flavor, length;

    return reader_be32(reader, &flavor) && reader_xdr_opaque(reader, AUTH_BODY_MAX, &body, &length);
}

static void take_call(struct rpcclient *client, uint32_t xid, struct reader *reader)
{
    uint32_t rpc_version, program, version, procedure;

    if (client->called != NULL && reader_be32(reader, &rpc_version) && reader_be32(reader, &program) &&
        reader_be32(reader, &version) && reader_be32(reader, &procedure) && skip_auth(reader) &&
        skip_auth(reader))
        client->called(client, client->called_data, xid, program, version, procedure, reader);
}

static enum rpcclient_status read_reply(struct rpcclient *client, struct reader *reader)
{
    uint32_t stat, reason;

    if (!reader_be32(reader, &stat) || stat > 1)
        return RPCCLIENT_BROKEN;
    if (stat == 0) {
        if (!skip_auth(reader) || !reader_be32(reader, &reason) || reason > RPCCLIENT_SYSTEM_ERR)
            return RPCCLIENT_BROKEN;
        if (reason == RPCCLIENT_PROG_MISMATCH &&
            (!reader_be32(reader, &client->low) || !reader_be32(reader, &client->high)))
            return RPCCLIENT_BROKEN;
        return reason == RPCCLIENT_SUCCESS || reader_is_done(reader) ? (enum rpcclient_status)reason
                                                                     : RPCCLIENT_BROKEN;
    }
    if (!reader_be32(reader, &reason) || reason > 1)
        return RPCCLIENT_BROKEN;
    if (reason == 0) {
        return reader_be32(reader, &client->low) && reader_be32(reader, &client->high) &&
                       reader_is_done(reader)
                   ? RPCCLIENT_RPC_MISMATCH
                   : RPCCLIENT_BROKEN;
    }
    return reader_be32(reader, &client->auth_status) && reader_is_done(reader) ? RPCCLIENT_AUTH_ERROR
                                                                               : RPCCLIENT_BROKEN;
}

enum rpcclient_status rpcclient_receive(struct rpcclient *client, uint32_t *xid_r, struct reader *results_r)
{
    for (;;) {
        struct reader reader;
        uint32_t xid, type;
        enum rpcclient_status status = rpcclient_receive_message(client, &reader);

        if (status != RPCCLIENT_SUCCESS)
            return status;
        if (!reader_be32(&reader, &xid) || !reader_be32(&reader, &type) || type > REPLY)
            return RPCCLIENT_BROKEN;
        if (type == CALL) {
            take_call(client, xid, &reader);
            continue;
        }
        status = read_reply(client, &reader);
        *xid_r = xid;
        *results_r = reader;
        return status;
    }
}

enum rpcclient_status rpcclient_call(struct rpcclient *client, uint32_t procedure,
                                     const struct writer *arguments, struct reader *results_r)
{
    struct reader results = {0};
    uint32_t sent_xid = rpcclient_send(client, procedure, arguments), xid = 0;
    enum rpcclient_status status;

    if (sent_xid == 0)
        return RPCCLIENT_CLOSED;
    /* Replies to earlier calls are passed over. */
    do {
        status = rpcclient_receive(client, &xid, &results);
    } while (status < RPCCLIENT_BROKEN && xid != sent_xid);
    if (results_r != NULL)
        *results_r = results;
    return status;
}
