/*
 * test_conn.c - listeners and connections over the loopback, on a real loop, with a plain socket as the
 * peer. Each connection of ours echoes what it gets, unless a test sets it up otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/clock.h"
#include "dittofs/net.h"
#include "net/net_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000, ECHO_SPACE = 4096 };

struct side {
    struct net_conn *conn; /* NULL when it is gone */
    uint8_t space[ECHO_SPACE];
    size_t received;
    bool echo, refuse_space, close_at_once, drain_at_once, flush_at_once;
    int drained, closed, connected;
    enum err why;
};

static struct fixture {
    struct loop *loop;
    struct net_listener *listener;
    struct net_limits limits;
    struct side sides[8];
    int accepted;
    bool refuse;
} fixture;

static uint8_t *give_space(struct net_conn *conn, void *owner, size_t *length_r)
{
    struct side *side = owner;

    assert_ptr_equal(conn, side->conn);
    if (side->refuse_space)
        return NULL;
    *length_r = sizeof side->space;
    return side->space;
}

static void on_received(struct net_conn *conn, void *owner, size_t length)
{
    struct side *side = owner;
    struct bufpart part = {.data = side->space, .length = length};

    side->received += length;
    if (side->echo)
        net_conn_send(conn, &part, 1);
    if (side->flush_at_once) {
        assert_true(net_conn_is_congested(conn));
        net_conn_flush(conn);
        assert_int_equal(side->drained, 0); /* never inside the call */
    }
    if (side->close_at_once || side->drain_at_once) {
        net_conn_close(conn, side->drain_at_once);
        assert_int_equal(side->closed, 0); /* never inside the call */
    }
}

static void on_drained(struct net_conn *conn, void *owner)
{
    struct side *side = owner;

    assert_false(net_conn_is_congested(conn));
    side->drained++;
}

static void on_closed(struct net_conn *conn, void *owner, enum err why)
{
    struct side *side = owner;

    assert_ptr_equal(conn, side->conn);
    side->conn = NULL;
    side->closed++;
    side->why = why;
}

static const struct net_conn_events events = {
    .space = give_space, .received = on_received, .drained = on_drained, .closed = on_closed};

static bool on_accepted(struct net_conn *conn, void *data)
{
    struct side *side = &fixture.sides[fixture.accepted];

    assert_ptr_equal(data, &fixture);
    if (fixture.refuse)
        return false;
    fixture.accepted++;
    side->conn = conn;
    net_conn_set_events(conn, &events, side);
    return true;
}

static struct net_address loopback(uint16_t port)
{
    struct net_address address;

    assert_int_equal(net_address_parse("127.0.0.1", port, &address), ERR_OK);
    return address;
}

static void listen_with(struct net_limits limits)
{
    struct net_address address = loopback(0);

    fixture.limits = limits;
    assert_int_equal(
        net_listen(fixture.loop, &address, &fixture.limits, on_accepted, &fixture, &fixture.listener),
        ERR_OK);
}

static int open_all(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof fixture);
    for (size_t i = 0; i < sizeof fixture.sides / sizeof *fixture.sides; i++)
        fixture.sides[i].echo = true;
    return loop_open(&fixture.loop) == ERR_OK ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fixture.sides / sizeof *fixture.sides; i++) {
        if (fixture.sides[i].conn != NULL)
            net_conn_close(fixture.sides[i].conn, false);
    }
    net_listener_close(&fixture.listener);
    for (int i = 0; i < 5; i++)
        loop_run_once(fixture.loop, false);
    loop_close(&fixture.loop);
    assert_int_equal(buf_bytes_in_use(), 0);
    buf_pool_drain();
    return 0;
}

/* Runs the loop until CONDITION holds. */
#define run_until(condition)                                                                                 \
    do {                                                                                                     \
        uint64_t end_ = clock_monotonic_ms() + PATIENCE_MS;                                                  \
        while (!(condition)) {                                                                               \
            assert_true(clock_monotonic_ms() < end_);                                                        \
            loop_run_once(fixture.loop, false);                                                              \
        }                                                                                                    \
    } while (0)

static int connect_peer(void)
{
    struct net_address address = loopback(net_listener_port(fixture.listener));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address.sa.any, sizeof address.sa.v4), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static bool peer_got_end(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);

    return got == 0 || (got < 0 && errno != EAGAIN);
}

/* Reads exactly LENGTH bytes while the loop runs. */
static void peer_read(int fd, uint8_t *to, size_t length)
{
    size_t done = 0;

    run_until(({
        ssize_t got = recv(fd, to + done, length - done, MSG_DONTWAIT);
        if (got > 0)
            done += (size_t)got;
        done == length;
    }));
}

static void echo(void **state)
{
    uint8_t answer[5];
    int fd;
    int flag = 0;
    socklen_t length = sizeof flag;

    (void)state;
    listen_with((struct net_limits){0});
    fd = connect_peer();
    assert_int_equal(write(fd, "hello", 5), 5);
    peer_read(fd, answer, 5);
    assert_memory_equal(answer, "hello", 5);
    assert_int_equal(fixture.accepted, 1);
    assert_int_equal(net_address_port(net_conn_local(fixture.sides[0].conn)),
                     net_listener_port(fixture.listener));
    assert_int_equal(getsockopt(fixture.sides[0].conn->fd, IPPROTO_TCP, TCP_NODELAY, &flag, &length), 0);
    assert_true(flag != 0);
    assert_int_equal(getsockopt(fixture.sides[0].conn->fd, SOL_SOCKET, SO_KEEPALIVE, &flag, &length), 0);
    assert_true(flag != 0);
    close(fd);
    run_until(fixture.sides[0].closed == 1);
    assert_int_equal(fixture.sides[0].why, ERR_OK);
}

enum { WITHIN_MS = 50 };

static enum net_delivery delivery(void)
{
    return net_conn_delivery(fixture.sides[0].conn, WITHIN_MS);
}

/* A peer whose system takes nothing that is sent to it is silent, and is told by a reset. */
static void silent_peer(void **state)
{
    struct sock_filter take_nothing[] = {{.code = BPF_RET | BPF_K, .k = 0}};
    struct sock_fprog program = {.len = 1, .filter = take_nothing};
    struct bufpart part = {.data = (const uint8_t *)"hello", .length = 5};
    char byte;
    int fd;

    (void)state;
    listen_with((struct net_limits){0});
    fd = connect_peer();
    run_until(fixture.accepted == 1);
    net_conn_send(fixture.sides[0].conn, &part, 1);
    assert_int_equal(delivery(), NET_DELIVERING); /* nothing was written yet */
    run_until(delivery() == NET_DELIVERED);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
    net_conn_send(fixture.sides[0].conn, &part, 1);
    run_until(delivery() == NET_SILENT);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &program, sizeof program), 0);
    net_conn_reset(fixture.sides[0].conn);
    run_until(fixture.sides[0].closed == 1);
    assert_int_equal(fixture.sides[0].why, ERR_LIMIT);
    run_until(recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET);
    close(fd);
}

/* One that reads nothing answers for itself, and is not silent. */
static void idle_reader_is_not_silent(void **state)
{
    enum { BIG = 8000000, LOOKS = 20 };
    struct buf *buf = buf_new(BIG);
    struct bufpart part = {.buf = buf, .data = buf->data, .length = BIG};
    unsigned silent = 0;
    int fd;

    (void)state;
    memset(buf->data, 0, BIG);
    listen_with((struct net_limits){0});
    fd = connect_peer();
    run_until(fixture.accepted == 1);
    net_conn_send(fixture.sides[0].conn, &part, 1);
    buf_unref(&buf);
    run_until(fixture.sides[0].conn->full);
    for (unsigned look = 0; look < LOOKS; look++) {
        assert_true(poll(NULL, 0, WITHIN_MS) == 0);
        loop_run_once(fixture.loop, false);
        silent = delivery() == NET_SILENT ? silent + 1 : 0;
        assert_true(silent < LOOKS / 2);
    }
    assert_int_equal(fixture.sides[0].closed, 0);
    close(fd);
}

static void reset_by_peer(void **state)
{
    struct linger linger = {.l_onoff = 1};
    int fd;

    (void)state;
    listen_with((struct net_limits){0});
    fd = connect_peer();
    run_until(fixture.accepted == 1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(fd);
    run_until(fixture.sides[0].closed == 1);
    assert_int_equal(fixture.sides[0].why, ERR_NETWORK);
}

static void refused_by_owner(void **state)
{
    int fd;

    (void)state;
    listen_with((struct net_limits){0});
    fixture.refuse = true;
    fd = connect_peer();
    run_until(peer_got_end(fd));
    assert_int_equal(fixture.listener->connection_count, 0);
    close(fd);
}

/* More bytes than any socket takes, in counted and copied parts that are mixed. */
static void big_send_in_order(void **state)
{
    enum { ROUNDS = 200, BIG = 100000, SMALL = 700 };
    struct buf *buf = buf_new(BIG);
    uint8_t small[SMALL], *got = malloc(BIG + SMALL);
    struct bufpart parts[3];
    int fd;

    (void)state;
    assert_non_null(buf);
    assert_non_null(got);
    listen_with((struct net_limits){0});
    fd = connect_peer();
    run_until(fixture.accepted == 1);
    for (size_t i = 0; i < BIG; i++)
        buf->data[i] = (uint8_t)(i * 7);
    memset(small, 0xa5, sizeof small);
    parts[0] = (struct bufpart){.data = small, .length = SMALL - 100};
    parts[1] = (struct bufpart){.buf = buf, .data = buf->data, .length = BIG};
    parts[2] = (struct bufpart){.data = small, .length = 100};
    for (int i = 0; i < ROUNDS; i++)
        net_conn_send(fixture.sides[0].conn, parts, 3);
    memset(small, 0, sizeof small); /* copied at once */
    assert_true(net_conn_is_congested(fixture.sides[0].conn));
    assert_in_range(net_conn_queued_bytes(fixture.sides[0].conn), 1, ROUNDS * (BIG + SMALL));
    for (int i = 0; i < ROUNDS; i++) {
        peer_read(fd, got, BIG + SMALL);
        assert_int_equal(got[0], 0xa5);
        assert_int_equal(got[SMALL - 101], 0xa5);
        assert_memory_equal(got + SMALL - 100, buf->data, BIG);
        assert_int_equal(got[BIG + SMALL - 1], 0xa5);
    }
    run_until(fixture.sides[0].drained == 1);
    assert_int_equal(net_conn_queued_bytes(fixture.sides[0].conn), 0);
    assert_int_equal(buf->references, 1);
    buf_unref(&buf);
    free(got);
    close(fd);
}

/* Peers that read nothing fill the limit of all queues: then one with anything queued is congested. */
static void all_queues_are_limited(void **state)
{
    enum { ALL = 1 << 20, BIG = 4000000, SMALL = 100 };
    struct buf *buf = buf_new(BIG);
    struct bufpart big = {.buf = buf, .data = buf->data, .length = BIG};
    struct bufpart small = {.buf = buf, .data = buf->data, .length = SMALL};
    struct side *reads_not = &fixture.sides[0], *reads = &fixture.sides[1];
    uint8_t got[SMALL];
    int fds[2];

    (void)state;
    memset(buf->data, 0, BIG);
    listen_with((struct net_limits){.send_queue_bytes = 1 << 30, .send_queues_bytes = ALL});
    for (int i = 0; i < 2; i++) {
        fds[i] = connect_peer();
        run_until(fixture.accepted == i + 1);
    }
    net_conn_send(reads->conn, &small, 1);
    assert_false(net_conn_is_congested(reads->conn));
    for (int i = 0; i < 5; i++)
        net_conn_send(reads_not->conn, &big, 1);
    assert_true(net_conn_is_congested(reads_not->conn));
    assert_true(net_conn_is_congested(reads->conn));
    run_until(reads->drained == 1); /* what it was sent is gone, that of the other is not */
    assert_false(net_conn_is_congested(reads->conn));
    assert_true(net_conn_queued_bytes(reads_not->conn) > ALL);
    assert_int_equal(reads_not->drained, 0);
    peer_read(fds[1], got, SMALL);
    net_conn_close(reads_not->conn, false);
    net_conn_send(reads->conn, &small, 1);
    assert_false(net_conn_is_congested(reads->conn));
    buf_unref(&buf);
    close(fds[0]);
    close(fds[1]);
}

/* A closed connection gives back its references at once. */
static void close_drops_queue(void **state)
{
    struct buf *buf = buf_new(1 << 20);
    struct bufpart part = {.buf = buf, .data = buf->data, .length = 1 << 20};
    int fd;

    (void)state;
    memset(buf->data, 0, 1 << 20);
    listen_with((struct net_limits){0});
    fd = connect_peer();
    run_until(fixture.accepted == 1);
    for (int i = 0; i < 50; i++)
        net_conn_send(fixture.sides[0].conn, &part, 1);
    assert_in_range(buf->references, 2, 51); /* some may have left */
    loop_run_once(fixture.loop, false);
    net_conn_close(fixture.sides[0].conn, false);
    assert_int_equal(buf->references, 1);
    assert_int_equal(fixture.sides[0].closed, 0);
    net_conn_send(fixture.sides[0].conn, &part, 1); /* ignored */
    assert_int_equal(buf->references, 1);
    run_until(fixture.sides[0].closed == 1);
    buf_unref(&buf);
    close(fd);
}

/* Much is written while the call that sent it runs, in order with what came before; a little is not. */
static void much_is_written_at_once(void **state)
{
    enum { LITTLE = 1 << 20, MUCH = 3 << 20 };
    struct buf *buf = buf_new(MUCH);
    struct bufpart little = {.buf = buf, .data = buf->data, .length = LITTLE};
    struct bufpart much = {.buf = buf, .data = buf->data, .length = MUCH};
    uint8_t *got = malloc(MUCH);
    int fd;

    (void)state;
    assert_non_null(buf);
    assert_non_null(got);
    for (size_t i = 0; i < MUCH; i++)
        buf->data[i] = (uint8_t)(i >> 10);
    listen_with((struct net_limits){0});
    fd = connect_peer();
    run_until(fixture.accepted == 1);
    net_conn_send(fixture.sides[0].conn, &little, 1);
    assert_int_equal(net_conn_queued_bytes(fixture.sides[0].conn), LITTLE);
    net_conn_send(fixture.sides[0].conn, &much, 1);
    assert_true(net_conn_queued_bytes(fixture.sides[0].conn) < LITTLE + MUCH);
    net_conn_send(fixture.sides[0].conn, &little, 1);
    peer_read(fd, got, LITTLE);
    assert_memory_equal(got, buf->data, LITTLE);
    peer_read(fd, got, MUCH);
    assert_memory_equal(got, buf->data, MUCH);
    peer_read(fd, got, LITTLE);
    assert_memory_equal(got, buf->data, LITTLE);
    run_until(net_conn_queued_bytes(fixture.sides[0].conn) == 0);
    assert_int_equal(buf->references, 1);
    buf_unref(&buf);
    free(got);
    close(fd);
}

/* Writing at once finds that the peer is gone: nothing is told inside the call, and the rest is dropped. */
static void much_for_a_peer_that_is_gone(void **state)
{
    enum { LENGTH = 4 << 20 };
    struct linger linger = {.l_onoff = 1};
    struct buf *buf = buf_new(LENGTH);
    struct bufpart part = {.buf = buf, .data = buf->data, .length = LENGTH};
    int fd;

    (void)state;
    assert_non_null(buf);
    memset(buf->data, 0, LENGTH);
    listen_with((struct net_limits){0});
    fd = connect_peer();
    run_until(fixture.accepted == 1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(fd);
    for (int i = 0; i < 3; i++)
        net_conn_send(fixture.sides[0].conn, &part, 1);
    assert_int_equal(fixture.sides[0].closed, 0);
    assert_int_equal(net_conn_queued_bytes(fixture.sides[0].conn), 0);
    assert_int_equal(buf->references, 1);
    run_until(fixture.sides[0].closed == 1);
    assert_int_equal(fixture.sides[0].why, ERR_NETWORK);
    buf_unref(&buf);
}

/* A queue that was too long and is written out inside of `received` says that it is drained all the same. */
static void drained_inside_received(void **state)
{
    uint8_t answer[5];
    int fd;

    (void)state;
    listen_with((struct net_limits){.send_queue_bytes = 2});
    fixture.sides[0].flush_at_once = true;
    fd = connect_peer();
    assert_int_equal(write(fd, "hello", 5), 5);
    peer_read(fd, answer, 5);
    run_until(fixture.sides[0].drained == 1);
    for (int i = 0; i < 5; i++)
        loop_run_once(fixture.loop, false);
    assert_int_equal(fixture.sides[0].drained, 1);
    close(fd);
}

static void drain_before_close(void **state)
{
    enum { LENGTH = 8 << 20 };
    struct buf *buf = buf_new(LENGTH);
    struct bufpart part = {.buf = buf, .data = buf->data, .length = LENGTH};
    uint8_t *got = malloc(LENGTH);
    int fd;

    (void)state;
    memset(buf->data, 0x33, LENGTH);
    listen_with((struct net_limits){0});
    fd = connect_peer();
    run_until(fixture.accepted == 1);
    net_conn_send(fixture.sides[0].conn, &part, 1);
    net_conn_close(fixture.sides[0].conn, true);
    peer_read(fd, got, LENGTH);
    assert_memory_equal(got, buf->data, LENGTH);
    run_until(peer_got_end(fd));
    run_until(fixture.sides[0].closed == 1);
    assert_int_equal(fixture.sides[0].why, ERR_OK);
    buf_unref(&buf);
    free(got);
    close(fd);
}

static void close_inside_received(void **state)
{
    uint8_t answer[3];
    int fd;

    (void)state;
    listen_with((struct net_limits){0});
    fixture.sides[0].close_at_once = true;
    fixture.sides[1].drain_at_once = true;
    fd = connect_peer();
    assert_int_equal(write(fd, "abc", 3), 3);
    run_until(fixture.sides[0].closed == 1);
    assert_int_equal(fixture.sides[0].received, 3);
    assert_int_equal(recv(fd, answer, 3, 0), 0); /* without draining: no answer */
    close(fd);
    fd = connect_peer();
    assert_int_equal(write(fd, "abc", 3), 3);
    peer_read(fd, answer, 3);
    run_until(fixture.sides[1].closed == 1);
    close(fd);
}

static void pause_and_resume(void **state)
{
    int fd;

    (void)state;
    listen_with((struct net_limits){0});
    fixture.sides[0].refuse_space = true;
    fd = connect_peer();
    assert_int_equal(write(fd, "abc", 3), 3);
    run_until(fixture.accepted == 1);
    for (int i = 0; i < 20; i++)
        loop_run_once(fixture.loop, false);
    assert_int_equal(fixture.sides[0].received, 0);
    assert_int_equal(fixture.sides[0].conn->watched, 0);
    fixture.sides[0].refuse_space = false;
    net_conn_resume_reading(fixture.sides[0].conn);
    net_conn_resume_reading(fixture.sides[0].conn);
    run_until(fixture.sides[0].received == 3);
    close(fd);
}

/* A peer that reads nothing is cut; one that reads slowly is not. */
static void stalled_peer_is_cut(void **state)
{
    enum { LENGTH = 8 << 20, STALLED_MS = 300 };
    struct buf *buf = buf_new(LENGTH);
    struct bufpart part = {.buf = buf, .data = buf->data, .length = LENGTH};
    uint8_t *got = malloc(LENGTH);
    uint64_t end_ms;
    int stalled, slow;

    (void)state;
    memset(buf->data, 0, LENGTH);
    listen_with((struct net_limits){.stalled_ms = STALLED_MS});
    stalled = connect_peer();
    run_until(fixture.accepted == 1);
    slow = connect_peer();
    run_until(fixture.accepted == 2);
    net_conn_send(fixture.sides[0].conn, &part, 1);
    for (int i = 0; i < 4; i++)
        net_conn_send(fixture.sides[1].conn, &part, 1);
    end_ms = clock_monotonic_ms() + 3 * STALLED_MS;
    while (clock_monotonic_ms() < end_ms) {
        (void)!recv(slow, got, 1 << 20, MSG_DONTWAIT);
        usleep(20000);
        loop_run_once(fixture.loop, false);
    }
    assert_int_equal(fixture.sides[0].closed, 1);
    assert_int_equal(fixture.sides[0].why, ERR_LIMIT);
    assert_int_equal(fixture.sides[1].closed, 0);
    buf_unref(&buf);
    free(got);
    close(stalled);
    close(slow);
}

static void connection_caps(void **state)
{
    int fds[4];

    (void)state;
    listen_with((struct net_limits){.connections = 5, .connections_per_host = 3});
    for (int i = 0; i < 4; i++)
        fds[i] = connect_peer();
    run_until(peer_got_end(fds[3]));
    assert_int_equal(fixture.accepted, 3);
    assert_int_equal(fixture.listener->refused, 1);
    close(fds[0]);
    run_until(fixture.sides[0].closed == 1);
    close(fds[3]);
    fds[3] = connect_peer();
    run_until(fixture.accepted == 4);
    for (int i = 1; i < 4; i++)
        close(fds[i]);
    run_until(fixture.listener->connection_count == 0);
}

static void listener_closes_first(void **state)
{
    struct net_address address;
    uint16_t port;
    uint8_t answer[2];
    int fd;

    (void)state;
    listen_with((struct net_limits){0});
    port = net_listener_port(fixture.listener);
    fd = connect_peer();
    run_until(fixture.accepted == 1);
    net_listener_close(&fixture.listener);
    assert_null(fixture.listener);
    address = loopback(port);
    /* The port is free again, the connection lives on. */
    assert_int_equal(
        net_listen(fixture.loop, &address, &fixture.limits, on_accepted, &fixture, &fixture.listener),
        ERR_OK);
    assert_int_equal(write(fd, "ab", 2), 2);
    peer_read(fd, answer, 2);
    close(fd);
    run_until(fixture.sides[0].closed == 1);
}

static void port_in_use(void **state)
{
    struct net_listener *second;
    struct net_address address;

    (void)state;
    listen_with((struct net_limits){0});
    address = loopback(net_listener_port(fixture.listener));
    assert_int_equal(net_listen(fixture.loop, &address, NULL, on_accepted, &fixture, &second), ERR_BUSY);
}

static void on_connected(struct net_conn *conn, void *owner, enum err err)
{
    struct side *side = owner;
    struct bufpart part = {.data = (const uint8_t *)"ping", .length = 4};

    side->connected++;
    side->why = err;
    if (err != ERR_OK)
        return;
    side->conn = conn;
    net_conn_send(conn, &part, 1);
}

static void connect_out(void **state)
{
    struct net_address address;
    struct net_conn *conn;
    struct side *out = &fixture.sides[7];

    (void)state;
    listen_with((struct net_limits){0});
    out->echo = false;
    address = loopback(net_listener_port(fixture.listener));
    assert_int_equal(net_connect(fixture.loop, &address, true, &events, out, on_connected, &conn), ERR_OK);
    assert_int_equal(out->connected, 0);
    run_until(out->received == 4);
    assert_int_equal(out->connected, 1);
    assert_int_equal(net_address_port(net_conn_peer(conn)), net_listener_port(fixture.listener));
    if (geteuid() == 0)
        assert_true(net_address_port(net_conn_local(conn)) < 1024);
    net_conn_close(conn, false);
    run_until(out->closed == 1);
    run_until(fixture.sides[0].closed == 1);
}

static void connect_fails(void **state)
{
    struct net_address address;
    struct net_conn *conn;
    struct side *out = &fixture.sides[7];
    uint16_t port;
    enum err err;

    (void)state;
    listen_with((struct net_limits){0});
    port = net_listener_port(fixture.listener);
    net_listener_close(&fixture.listener);
    loop_run_once(fixture.loop, false);
    address = loopback(port);
    err = net_connect(fixture.loop, &address, false, &events, out, on_connected, &conn);
    if (err == ERR_OK) {
        run_until(out->connected == 1);
        assert_int_equal(out->why, ERR_NETWORK);
    }
    assert_int_equal(out->closed, 0);
    assert_null(out->conn);
}

static void connect_cancelled(void **state)
{
    struct net_address address;
    struct net_conn *conn;
    struct side *out = &fixture.sides[7];

    (void)state;
    listen_with((struct net_limits){0});
    address = loopback(net_listener_port(fixture.listener));
    assert_int_equal(net_connect(fixture.loop, &address, false, &events, out, on_connected, &conn), ERR_OK);
    net_conn_close(conn, true);
    assert_int_equal(out->connected, 0);
    run_until(out->connected == 1);
    assert_int_equal(out->why, ERR_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(echo, open_all, close_all),
        cmocka_unit_test_setup_teardown(reset_by_peer, open_all, close_all),
        cmocka_unit_test_setup_teardown(silent_peer, open_all, close_all),
        cmocka_unit_test_setup_teardown(idle_reader_is_not_silent, open_all, close_all),
        cmocka_unit_test_setup_teardown(refused_by_owner, open_all, close_all),
        cmocka_unit_test_setup_teardown(big_send_in_order, open_all, close_all),
        cmocka_unit_test_setup_teardown(all_queues_are_limited, open_all, close_all),
        cmocka_unit_test_setup_teardown(close_drops_queue, open_all, close_all),
        cmocka_unit_test_setup_teardown(much_is_written_at_once, open_all, close_all),
        cmocka_unit_test_setup_teardown(much_for_a_peer_that_is_gone, open_all, close_all),
        cmocka_unit_test_setup_teardown(drained_inside_received, open_all, close_all),
        cmocka_unit_test_setup_teardown(drain_before_close, open_all, close_all),
        cmocka_unit_test_setup_teardown(close_inside_received, open_all, close_all),
        cmocka_unit_test_setup_teardown(pause_and_resume, open_all, close_all),
        cmocka_unit_test_setup_teardown(stalled_peer_is_cut, open_all, close_all),
        cmocka_unit_test_setup_teardown(connection_caps, open_all, close_all),
        cmocka_unit_test_setup_teardown(listener_closes_first, open_all, close_all),
        cmocka_unit_test_setup_teardown(port_in_use, open_all, close_all),
        cmocka_unit_test_setup_teardown(connect_out, open_all, close_all),
        cmocka_unit_test_setup_teardown(connect_fails, open_all, close_all),
        cmocka_unit_test_setup_teardown(connect_cancelled, open_all, close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
