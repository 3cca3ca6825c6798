/*
 * test_datagram.c - datagrams over the loopback: what comes, from where, to which of our addresses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/clock.h"
#include "dittofs/net.h"
#include <string.h>
#include <unistd.h>

static struct loop *loop;
static struct net_datagram *datagram;
static int received;
static bool close_inside;

/* Echoes, from the address that was asked. */
static void on_received(struct net_datagram *from_socket, void *data, const struct net_address *from,
                        const struct net_address *to, const uint8_t *bytes, size_t length)
{
    assert_ptr_equal(data, &received);
    assert_ptr_equal(from_socket, datagram);
    received++;
    net_datagram_send(datagram, from, to, bytes, length);
    if (close_inside)
        net_datagram_close(&datagram);
}

static int open_all(void **state)
{
    (void)state;
    received = 0;
    close_inside = false;
    return loop_open(&loop) == ERR_OK ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    net_datagram_close(&datagram);
    loop_run_once(loop, false);
    loop_close(&loop);
    return 0;
}

static void bind_to(const char *host)
{
    struct net_address address;

    assert_int_equal(net_address_parse(host, 0, &address), ERR_OK);
    assert_int_equal(net_datagram_open(loop, &address, on_received, &received, &datagram), ERR_OK);
    assert_true(net_datagram_port(datagram) != 0);
}

/* A client whose socket is connected hears only answers that come from the address it asked. */
static void exchange(const char *host, const void *bytes, size_t length)
{
    static char answer[65536];
    struct net_address address;
    int before = received;
    uint64_t end_ms = clock_monotonic_ms() + 5000;
    ssize_t got = -1;
    int fd;

    assert_int_equal(net_address_parse(host, net_datagram_port(datagram), &address), ERR_OK);
    fd = socket(address.sa.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address.sa.any, sizeof address.sa.storage), 0);
    assert_int_equal(send(fd, bytes, length, 0), length);
    while (got < 0 && clock_monotonic_ms() < end_ms) {
        loop_run_once(loop, false);
        got = recv(fd, answer, sizeof answer, 0);
    }
    assert_int_equal(got, length);
    assert_memory_equal(answer, bytes, length);
    assert_int_equal(received, before + 1);
    close(fd);
}

static void echo(void **state)
{
    static char big[60000];

    (void)state;
    memset(big, 0x77, sizeof big);
    bind_to("127.0.0.1");
    exchange("127.0.0.1", "hello", 5);
    exchange("127.0.0.1", big, sizeof big);
}

static void answers_from_where_it_was_asked(void **state)
{
    (void)state;
    bind_to("0.0.0.0");
    exchange("127.0.0.1", "a", 1);
    exchange("127.1.2.3", "b", 1);
}

static void answers_over_ipv6(void **state)
{
    struct net_address address;

    (void)state;
    assert_int_equal(net_address_parse("::1", 0, &address), ERR_OK);
    if (net_datagram_open(loop, &address, on_received, &received, &datagram) != ERR_OK) {
        print_message("no IPv6 here\n");
        skip();
    }
    exchange("::1", "six", 3);
    net_datagram_close(&datagram);
    bind_to("::");
    exchange("::1", "six", 3);
}

static void closed_inside_received(void **state)
{
    struct net_address address;
    int fd;

    (void)state;
    bind_to("127.0.0.1");
    close_inside = true;
    assert_int_equal(net_address_parse("127.0.0.1", net_datagram_port(datagram), &address), ERR_OK);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sendto(fd, "x", 1, 0, &address.sa.any, sizeof address.sa.v4), 1);
    for (int i = 0; i < 1000 && datagram != NULL; i++)
        loop_run_once(loop, false);
    assert_null(datagram);
    assert_int_equal(received, 1);
    close(fd);
}

static void port_in_use(void **state)
{
    struct net_datagram *second;
    struct net_address address;

    (void)state;
    bind_to("127.0.0.1");
    assert_int_equal(net_address_parse("127.0.0.1", net_datagram_port(datagram), &address), ERR_OK);
    assert_int_equal(net_datagram_open(loop, &address, on_received, &received, &second), ERR_BUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(echo, open_all, close_all),
        cmocka_unit_test_setup_teardown(answers_from_where_it_was_asked, open_all, close_all),
        cmocka_unit_test_setup_teardown(answers_over_ipv6, open_all, close_all),
        cmocka_unit_test_setup_teardown(closed_inside_received, open_all, close_all),
        cmocka_unit_test_setup_teardown(port_in_use, open_all, close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
