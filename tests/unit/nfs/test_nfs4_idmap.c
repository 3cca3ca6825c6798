/*
 * test_nfs4_idmap.c - owners as text: names and numbers in both directions, names that are slow to come or
 * don't come at all, and how long answers are good for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs/v4/nfs4_idmap.h"

#include "dittofs/nfs.h"
#include "nfs/v4/nfs4_wire.h"
#include "simclock.h"
#include "simloop.h"

#include <stdio.h>
#include <string.h>

#define LONG_NAME "a-name-of-two-hundred-bytes-" LONG_40 LONG_40 LONG_40 LONG_40 "0123456789"
#define LONG_40   "0123456789012345678901234567890123456789"

struct person {
    bool is_group;
    uint32_t id;
    const char *name;
};
static const struct person people[] = {
    {false, 0, "root"},
    {false, 1000, "ann"},
    {true, 100, "staff"},
    {true, 1000, "choir"},
    {false, 7, "7"},
    {false, 8,
     "b\xff"
     "d"},
    {false, 9, LONG_NAME},
    {false, 10, "j\xc3\xb6rg"},
    {false, 11, "x@y.z"},
    {false, 12, ""},
};

/* What stands behind the map. */
static struct {
    enum err failure; /* instead of any answer */
    const char *now;  /* instead of "ann" */
    unsigned questions;
} host;

static enum err name_of(void *data, bool is_group, uint32_t id, char name_r[NFS4_NAME_MAX])
{
    assert_ptr_equal(data, &host);
    host.questions++;
    if (host.failure != ERR_OK)
        return host.failure;
    for (size_t i = 0; i < sizeof people / sizeof *people; i++) {
        if (people[i].is_group != is_group || people[i].id != id)
            continue;
        snprintf(name_r, NFS4_NAME_MAX, "%s", host.now != NULL && id == 1000 ? host.now : people[i].name);
        return ERR_OK;
    }
    return ERR_NOENT;
}

static enum err id_of(void *data, bool is_group, const char *name, uint32_t *id_r)
{
    assert_ptr_equal(data, &host);
    host.questions++;
    if (host.failure != ERR_OK)
        return host.failure;
    for (size_t i = 0; i < sizeof people / sizeof *people; i++) {
        if (people[i].is_group == is_group && strcmp(people[i].name, name) == 0) {
            *id_r = people[i].id;
            return ERR_OK;
        }
    }
    return ERR_NOENT;
}

static const struct nfs4_names names = {.name_of = name_of, .id_of = id_of, .data = &host};
static struct loop *loop;
static struct nfs4_idmap *map;

static int set_up(void **state)
{
    (void)state;
    memset(&host, 0, sizeof host);
    simclock_install();
    loop = simloop_new(1);
    assert_int_equal(nfs4__idmap_open(loop, "example.org", &names, &map), ERR_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfs4__idmap_close(&map);
    loop_close(&loop);
    simclock_remove();
    return 0;
}

/* What is sent for ID now. */
static const char *sent(bool is_group, uint32_t id)
{
    static char text[NFS4_OWNER_TEXT_MAX + 1];
    size_t length = nfs4__idmap_text(map, is_group, id, text);

    assert_in_range(length, 1, NFS4_OWNER_TEXT_MAX);
    text[length] = '\0';
    return text;
}

static const char *sent_after_asking(bool is_group, uint32_t id)
{
    (void)sent(is_group, id);
    simloop_run_until_idle(loop);
    return sent(is_group, id);
}

static uint32_t parsed(bool is_group, const char *text, uint32_t *id_r)
{
    uint32_t status = nfs4__idmap_parse(map, is_group, (const uint8_t *)text, (uint32_t)strlen(text), id_r);

    if (status != NFS4ERR_DELAY)
        return status;
    simloop_run_until_idle(loop);
    return nfs4__idmap_parse(map, is_group, (const uint8_t *)text, (uint32_t)strlen(text), id_r);
}

static void sending(void **state)
{
    static const struct {
        bool is_group;
        uint32_t id;
        const char *text;
    } cases[] = {
        {false, 0, "root@example.org"},
        {false, 1000, "ann@example.org"},
        {true, 100, "staff@example.org"},
        {true, 1000, "choir@example.org"},
        {false, 7, "7@example.org"},
        {false, 10, "j\xc3\xb6rg@example.org"},
        {false, 11, "x@y.z@example.org"},
        {false, 8, "8"}, /* no UTF-8 */
        {false, 9, "9"}, /* too long */
        {false, 12, "12"},
        {false, 100, "100"}, /* a group's number, not a user's */
        {true, 0, "0"},
        {false, UINT32_MAX - 1, "4294967294"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(sent_after_asking(cases[i].is_group, cases[i].id), cases[i].text);
}

static void setting(void **state)
{
    static const struct {
        bool is_group;
        const char *text;
        uint32_t status, id;
    } cases[] = {
        {false, "ann@example.org", NFS4_OK, 1000},
        {false, "ann@EXAMPLE.org", NFS4_OK, 1000},
        {true, "staff@example.org", NFS4_OK, 100},
        {false, "x@y.z@example.org", NFS4_OK, 11},
        {false, "7@example.org", NFS4_OK, 7},
        /* Numbers are what they are, known or not. */
        {false, "1000", NFS4_OK, 1000},
        {false, "0", NFS4_OK, 0},
        {true, "77777", NFS4_OK, 77777},
        {false, "4294967294", NFS4_OK, UINT32_MAX - 1},
        {false, "007", NFS4_OK, 7},
        {false, "4294967295", NFS4ERR_BADOWNER, 0},
        {false, "4294967296", NFS4ERR_BADOWNER, 0},
        {false, "99999999999", NFS4ERR_BADOWNER, 0},
        {false, "-1", NFS4ERR_BADOWNER, 0},
        {false, "1000 ", NFS4ERR_BADOWNER, 0},
        {false, "", NFS4ERR_INVAL, 0},
        {false, "ann", NFS4ERR_BADOWNER, 0},
        {false, "ann@", NFS4ERR_BADOWNER, 0},
        {false, "@example.org", NFS4ERR_BADOWNER, 0},
        {false, "@", NFS4ERR_BADOWNER, 0},
        {false, "ann@example.com", NFS4ERR_BADOWNER, 0},
        {false, "ann@example.orga", NFS4ERR_BADOWNER, 0},
        {false, "staff@example.org", NFS4ERR_BADOWNER, 0}, /* no user of that name */
        {false, "nobody-here@example.org", NFS4ERR_BADOWNER, 0},
        {false,
         "b\xff"
         "d@example.org",
         NFS4ERR_BADOWNER, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t id = 4711;
        uint32_t status = parsed(cases[i].is_group, cases[i].text, &id);

        if (status != cases[i].status || (status == NFS4_OK && id != cases[i].id))
            fail_msg("%s: %u, %u", cases[i].text, status, id);
    }
    assert_int_equal(nfs4__idmap_parse(map, false, (const uint8_t *)"an\0n@example.org", 16, &(uint32_t){0}),
                     NFS4ERR_BADOWNER);
}

/* Without a domain numbers are sent, and names of any are understood; without names there are numbers only.
 */
static void unset(void **state)
{
    uint32_t id = 0;

    (void)state;
    nfs4__idmap_close(&map);
    assert_int_equal(nfs4__idmap_open(loop, NULL, &names, &map), ERR_OK);
    assert_string_equal(sent_after_asking(false, 1000), "1000");
    assert_int_equal(host.questions, 0);
    assert_int_equal(parsed(false, "ann@anywhere", &id), NFS4_OK);
    assert_int_equal(id, 1000);
    assert_int_equal(parsed(false, "ann", &id), NFS4ERR_BADOWNER);
    nfs4__idmap_close(&map);
    assert_int_equal(nfs4__idmap_open(loop, "example.org", NULL, &map), ERR_OK);
    assert_string_equal(sent_after_asking(false, 1000), "1000");
    assert_int_equal(parsed(false, "ann@example.org", &id), NFS4ERR_BADOWNER);
    assert_int_equal(parsed(false, "5", &id), NFS4_OK);
    assert_int_equal(nfs4__idmap_parse(NULL, false, (const uint8_t *)"ann@example.org", 15, &id),
                     NFS4ERR_BADOWNER);
}

/* An old answer is given while a new one is asked for; one that is much too old is not. */
static void ageing(void **state)
{
    (void)state;
    assert_string_equal(sent_after_asking(false, 1000), "ann@example.org");
    assert_string_equal(sent_after_asking(false, 1000), "ann@example.org");
    assert_int_equal(host.questions, 1);
    host.now = "anna";
    simclock_advance_ms(299000);
    assert_string_equal(sent_after_asking(false, 1000), "ann@example.org");
    assert_int_equal(host.questions, 1);
    simclock_advance_ms(2000);
    assert_string_equal(sent(false, 1000), "ann@example.org");
    simloop_run_until_idle(loop);
    assert_int_equal(host.questions, 2);
    assert_string_equal(sent(false, 1000), "anna@example.org");
    simclock_advance_ms(4 * 300000);
    assert_string_equal(sent(false, 1000), "1000");
    simloop_run_until_idle(loop);
    assert_string_equal(sent(false, 1000), "anna@example.org");
    /* Who has no name may get one. */
    assert_string_equal(sent_after_asking(false, 55), "55");
    host.questions = 0;
    simclock_advance_ms(29000);
    assert_string_equal(sent_after_asking(false, 55), "55");
    assert_int_equal(host.questions, 0);
    simclock_advance_ms(2000);
    assert_string_equal(sent_after_asking(false, 55), "55");
    assert_int_equal(host.questions, 1);
}

/* Names can't be asked for: numbers are sent, setting by name has to wait, and it is tried again soon. */
static void failing(void **state)
{
    uint32_t id = 0;

    (void)state;
    host.failure = ERR_AGAIN;
    assert_string_equal(sent_after_asking(false, 1000), "1000");
    assert_int_equal(parsed(false, "ann@example.org", &id), NFS4ERR_DELAY);
    assert_int_equal(parsed(false, "1000", &id), NFS4_OK);
    host.failure = ERR_OK;
    simclock_advance_ms(3000);
    assert_string_equal(sent_after_asking(false, 1000), "ann@example.org");
    assert_int_equal(parsed(false, "ann@example.org", &id), NFS4_OK);
}

static void no_workers(void **state)
{
    (void)state;
    simloop_refuse_jobs(loop, 1);
    assert_string_equal(sent_after_asking(false, 1000), "1000");
    assert_int_equal(host.questions, 0);
    assert_false(nfs4__idmap_wait(map, &(struct nfs4_idmap_waiter){0}));
    simloop_refuse_jobs(loop, 0);
    simclock_advance_ms(9000);
    assert_string_equal(sent_after_asking(false, 1000), "ann@example.org");
}

static unsigned woken;

static void wake(struct nfs4_idmap_waiter *waiter)
{
    (void)waiter;
    woken++;
}

/* Who waits is called when what was missed is there, and when it does not come. */
static void waiting(void **state)
{
    struct nfs4_idmap_waiter first = {.done = wake}, second = {.done = wake};
    uint64_t misses = nfs4__idmap_misses(map);

    (void)state;
    woken = 0;
    assert_false(nfs4__idmap_wait(map, &first));
    assert_string_equal(sent(false, 1000), "1000");
    assert_int_equal(nfs4__idmap_misses(map), misses + 1);
    assert_string_equal(sent(false, 1000), "1000");
    assert_int_equal(nfs4__idmap_misses(map), misses + 2);
    assert_true(nfs4__idmap_wait(map, &first));
    for (uint32_t id = 2000; id < 2100; id++)
        (void)sent(true, id); /* several jobs */
    assert_true(nfs4__idmap_wait(map, &second));
    while (woken == 0)
        loop_run_once(loop, false);
    assert_string_equal(sent(false, 1000), "ann@example.org");
    assert_int_equal(woken, 1);
    simloop_run_until_idle(loop);
    assert_int_equal(woken, 2);
    assert_int_equal(host.questions, 101);
    assert_false(nfs4__idmap_wait(map, &first));

    /* The first half of the job is done, and takes longer than anybody waits. */
    assert_string_equal(sent(false, 0), "0");
    assert_true(nfs4__idmap_wait(map, &first));
    simclock_advance_ms(1001);
    loop_run_once(loop, false);
    assert_int_equal(woken, 3);
    assert_string_equal(sent(false, 0), "0");
    assert_false(nfs4__idmap_wait(map, &first)); /* nobody waits for what is slow */
    simloop_run_until_idle(loop);
    assert_string_equal(sent(false, 0), "root@example.org");
    assert_string_equal(sent(false, 7), "7");
    assert_true(nfs4__idmap_wait(map, &first));
    simloop_run_until_idle(loop);
    assert_int_equal(woken, 4);
}

/* More people than the table holds, and more questions than the queue. */
static void many(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < 3000; id++)
        (void)sent(true, 10000 + id);
    simloop_run_until_idle(loop);
    assert_in_range(host.questions, 1000, 1100);
    for (uint32_t id = 0; id < 20000; id++) {
        (void)sent(true, 100000 + id);
        simloop_run_until_idle(loop);
    }
    host.questions = 0;
    assert_string_equal(sent_after_asking(true, 100000 + 19999), "119999");
    assert_int_equal(host.questions, 0);
    assert_string_equal(sent_after_asking(true, 100000), "100000"); /* it made room for others */
    assert_int_equal(host.questions, 1);
}

/* The end while a question is under way, and others are queued. */
static void closing(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < 100; id++)
        (void)sent(false, id);
    nfs4__idmap_close(&map);
    assert_null(map);
    assert_int_equal(simloop_jobs(loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sending, set_up, tear_down),
        cmocka_unit_test_setup_teardown(setting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ageing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_workers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closing, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
