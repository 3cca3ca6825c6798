/*
 * test_address.c - numeric addresses: parsing, formatting, comparing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/net.h"

static const struct {
    const char *text;
    uint16_t port;
    const char *formatted; /* NULL: no address */
} addresses[] = {
    {"0.0.0.0", 0, "0.0.0.0:0"},
    {"10.0.0.1", 2049, "10.0.0.1:2049"},
    {"255.255.255.255", 65535, "255.255.255.255:65535"},
    {"::", 111, "[::]:111"},
    {"::1", 2049, "[::1]:2049"},
    {"fe80::1%lo", 1, "[fe80::1%1]:1"},
    {"2001:DB8:0:0:0:0:0:1", 5, "[2001:db8::1]:5"},
    {"::ffff:10.1.2.3", 2049, "10.1.2.3:2049"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 65535,
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {"", 0, NULL},
    {"localhost", 0, NULL},
    {"10.0.0", 0, NULL},
    {"10.0.0.256", 0, NULL},
    {"10.0.0.1 ", 0, NULL},
    {"1::2::3", 0, NULL},
    {"fe80::1%nosuchif", 0, NULL},
    {"::1%", 0, NULL},
    {"00000:00000:00000:00000:00000:00000:00000:00000:00000:00000:00000", 0, NULL},
};

static void parse_and_format(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        struct net_address address;
        char text[NET_ADDRESS_TEXT];
        enum err err = net_address_parse(addresses[i].text, addresses[i].port, &address);

        if (addresses[i].formatted == NULL) {
            assert_int_equal(err, ERR_INVAL);
            continue;
        }
        assert_int_equal(err, ERR_OK);
        assert_string_equal(net_address_format(&address, text), addresses[i].formatted);
        assert_int_equal(net_address_port(&address), addresses[i].port);
    }
}

static const struct {
    const char *a, *b;
    bool same;
} pairs[] = {
    {"10.0.0.1", "10.0.0.1", true},        {"10.0.0.1", "10.0.0.2", false}, {"::1", "::1", true},
    {"10.0.0.1", "::ffff:10.0.0.1", true}, {"::1", "::2", false},           {"127.0.0.1", "::1", false},
    {"fe80::1%lo", "fe80::1", false},
};

static void same_host(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct net_address a, b;

        assert_int_equal(net_address_parse(pairs[i].a, 1, &a), ERR_OK);
        assert_int_equal(net_address_parse(pairs[i].b, 2, &b), ERR_OK);
        assert_int_equal(net_address_same_host(&a, &b), pairs[i].same);
        assert_int_equal(net_address_same_host(&b, &a), pairs[i].same);
    }
}

static void no_address(void **state)
{
    struct net_address none = {0};
    char text[NET_ADDRESS_TEXT];

    (void)state;
    assert_string_equal(net_address_format(&none, text), "?");
    assert_int_equal(net_address_port(&none), 0);
    assert_false(net_address_same_host(&none, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_and_format),
        cmocka_unit_test(same_host),
        cmocka_unit_test(no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
