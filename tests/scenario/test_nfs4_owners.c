/*
 * test_nfs4_owners.c - owners and groups over the wire: as name@domain when the configuration has a domain,
 * as numbers when it has none, and both understood always.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const user_names[] = {"root", "ann", "bert"};
static const uint32_t user_ids[] = {0, N4_USER, 2000};

static atomic_uint questions;
static atomic_bool is_stuck; /* names don't come */

static void hang(void)
{
    while (atomic_load(&is_stuck))
        usleep(1000);
}

static enum err name_of(void *data, bool is_group, uint32_t id, char name_r[NFS4_NAME_MAX])
{
    (void)data;
    questions++;
    hang();
    for (size_t i = 0; i < 3; i++) {
        if (user_ids[i] == id) {
            snprintf(name_r, NFS4_NAME_MAX, "%s%s", is_group ? "g-" : "", user_names[i]);
            return ERR_OK;
        }
    }
    return ERR_NOENT;
}

static enum err id_of(void *data, bool is_group, const char *name, uint32_t *id_r)
{
    (void)data;
    questions++;
    hang();
    if (is_group && strncmp(name, "g-", 2) != 0)
        return ERR_NOENT;
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(user_names[i], name + (is_group ? 2 : 0)) == 0) {
            *id_r = user_ids[i];
            return ERR_OK;
        }
    }
    return ERR_NOENT;
}

static const struct nfs4_names names = {.name_of = name_of, .id_of = id_of};
static const char *domain;
static uint32_t minor;
static struct nfs4world world;
static struct wire4 *w;

static int set_up(void **state)
{
    struct nfsworld_options options = {.nfs4 = {.id_domain = domain, .names = &names}};

    (void)state;
    is_stuck = false;
    questions = 0;
    nfs4world_open(&world, minor, &options);
    w = world.root;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfs4world_close(&world);
    return 0;
}

static void assert_owners(const struct wire4_handle *handle, const char *owner, const char *group)
{
    struct wire4_attrs attrs = wire4_attrs_of(w, handle, wire4_bits(2, FATTR4_OWNER, FATTR4_OWNER_GROUP));

    assert_string_equal(attrs.owner, owner);
    assert_string_equal(attrs.group, group);
}

/* SETATTR of both, again as long as the names are being asked for. */
static uint32_t chown_to(const struct wire4_handle *handle, const char *owner, const char *group)
{
    struct wire4_fattr fattr = wire4_fattr();
    uint32_t status;

    wire4_add_text(&fattr, FATTR4_OWNER, owner);
    wire4_add_text(&fattr, FATTR4_OWNER_GROUP, group);
    do {
        wire4_begin(w);
        wire4_putfh(w, handle);
        wire4_setattr(w, &wire4_anonymous, &fattr);
        status = wire4_send(w);
    } while (status == NFS4ERR_DELAY);
    return status;
}

static void with_a_domain(void **state)
{
    struct wire4_handle file = wire4_make_file(w, &world.top, "f", 0644);

    (void)state;
    assert_owners(&file, "root@example.org", "g-root@example.org");
    assert_int_equal(chown_to(&file, "ann@example.org", "g-bert@EXAMPLE.ORG"), NFS4_OK);
    assert_owners(&file, "ann@example.org", "g-bert@example.org");
    /* Numbers stay numbers: those with a name, and those without, which never become nobody's. */
    assert_int_equal(chown_to(&file, "2000", "0"), NFS4_OK);
    assert_owners(&file, "bert@example.org", "g-root@example.org");
    assert_int_equal(chown_to(&file, "4711", "4712"), NFS4_OK);
    assert_owners(&file, "4711", "4712");
    assert_int_equal(chown_to(&file, "ann@example.com", "0"), NFS4ERR_BADOWNER);
    assert_int_equal(chown_to(&file, "zoe@example.org", "0"), NFS4ERR_BADOWNER);
    assert_int_equal(chown_to(&file, "0", "ann@example.org"), NFS4ERR_BADOWNER);
    assert_owners(&file, "4711", "4712");
}

static void without_a_domain(void **state)
{
    struct wire4_handle file = wire4_make_file(w, &world.top, "f", 0644);

    (void)state;
    assert_owners(&file, "0", "0");
    assert_int_equal(chown_to(&file, "1000", "4712"), NFS4_OK);
    assert_owners(&file, "1000", "4712");
    assert_int_equal(questions, 0);
    assert_int_equal(chown_to(&file, "bert@anywhere", "g-ann@elsewhere"), NFS4_OK);
    assert_owners(&file, "2000", "1000");
    assert_int_equal(chown_to(&file, "bert", "0"), NFS4ERR_BADOWNER);
}

/* Listings have the names of all at once. */
static void listing(void **state)
{
    struct wire4_entry entry;
    unsigned seen = 0;

    (void)state;
    for (uint32_t i = 0; i < 50; i++) {
        struct wire4_handle file;
        char name[16], owner[16];

        snprintf(name, sizeof name, "f%u", i);
        file = wire4_make_file(w, &world.objects[N4_DIR], name, 0644);
        snprintf(owner, sizeof owner, "%u", i < 3 ? user_ids[i] : 5000 + i);
        assert_int_equal(chown_to(&file, owner, owner), NFS4_OK);
    }
    expect4(w, NFS4_OK, wire4_putfh(w, &world.objects[N4_DIR]),
            wire4_readdir(w, 0, 0, 0, 65536, wire4_bits(2, FATTR4_OWNER, FATTR4_OWNER_GROUP)));
    while (wire4_next_entry(&w->last, &entry)) {
        char owner[64];
        unsigned i = 0;

        assert_int_equal(sscanf((const char *)entry.name, "f%2u", &i), 1);
        if (i < 3)
            snprintf(owner, sizeof owner, "%s@example.org", user_names[i]);
        else
            snprintf(owner, sizeof owner, "%u", 5000 + i);
        assert_string_equal(entry.attrs.owner, owner);
        seen++;
    }
    assert_int_equal(seen, 50);
    assert_true(w->last.eof);
}

/* Compared with by name or by number. */
static void comparing(void **state)
{
    struct wire4_handle file = wire4_make_file(w, &world.top, "f", 0644);
    static const struct {
        const char *owner;
        bool same;
    } cases[] = {{"ann@example.org", true}, {"1000", true}, {"bert@example.org", false}, {"2000", false}};

    (void)state;
    assert_int_equal(chown_to(&file, "1000", "0"), NFS4_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire4_fattr fattr = wire4_fattr();

        wire4_add_text(&fattr, FATTR4_OWNER, cases[i].owner);
        expect4(w, cases[i].same ? NFS4_OK : NFS4ERR_NOT_SAME, wire4_putfh(w, &file),
                wire4_verify(w, OP_VERIFY, &fattr));
        expect4(w, cases[i].same ? NFS4ERR_SAME : NFS4_OK, wire4_putfh(w, &file),
                wire4_verify(w, OP_NVERIFY, &fattr));
    }
}

/* In a list as well; set again as long as they are being asked for. */
static void in_lists(void **state)
{
    static const struct wire4_ace aces[] = {{0, 0, 1, "ann@example.org"},
                                            {0, 0x40, 1, "g-bert@example.org"},
                                            {1, 0, 2, "4711"},
                                            {0, 0, 1, "2000"}};
    static const char *const shown[] = {"ann@example.org", "g-bert@example.org", "4711", "bert@example.org"};
    struct wire4_fattr fattr = wire4_fattr(), bad = wire4_fattr(), numbers = wire4_fattr();
    struct wire4_handle file = wire4_make_file(w, &world.top, "f", 0644);
    struct wire4_attrs attrs;
    struct wire4_ace ace;
    uint32_t status;
    char who[256];

    (void)state;
    wire4_add_acl(&fattr, FATTR4_ACL, 0, aces, 4);
    do {
        wire4_begin(w);
        wire4_putfh(w, &file);
        wire4_setattr(w, &wire4_anonymous, &fattr);
        status = wire4_send(w);
    } while (status == NFS4ERR_DELAY);
    assert_int_equal(status, NFS4_OK);
    attrs = wire4_attrs_of(w, &file, wire4_bits(1, FATTR4_ACL));
    assert_int_equal(attrs.acl_count, 4);
    for (int i = 0; wire4_next_ace(&attrs.acl, &ace, who); i++) {
        assert_string_equal(who, shown[i]);
        assert_true(ace.flags == aces[i].flags && ace.type == aces[i].type);
    }
    /* Compared by names, or by numbers. */
    wire4_add_acl(&numbers, FATTR4_ACL, 0,
                  (const struct wire4_ace[]){
                      {0, 0, 1, "1000"}, {0, 0x40, 1, "2000"}, {1, 0, 2, "4711"}, {0, 0, 1, "2000"}},
                  4);
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_verify(w, OP_VERIFY, &numbers));
    wire4_add_acl(&bad, FATTR4_ACL, 0, &(struct wire4_ace){0, 0, 1, "zoe@example.org"}, 1);
    do {
        wire4_begin(w);
        wire4_putfh(w, &file);
        wire4_setattr(w, &wire4_anonymous, &bad);
        status = wire4_send(w);
    } while (status == NFS4ERR_DELAY);
    assert_int_equal(status, NFS4ERR_BADOWNER);
}

/* Names that don't come hold nobody up for long: numbers are sent, and others are served meanwhile. */
static void slow_names(void **state)
{
    struct wire4_handle file = wire4_make_file(w, &world.top, "f", 0644);
    struct wire4_fattr fattr = wire4_fattr();

    (void)state;
    is_stuck = true;
    assert_owners(&file, "0", "0");
    assert_owners(&file, "0", "0");
    wire4_add_text(&fattr, FATTR4_OWNER, "ann@example.org");
    expect4(w, NFS4ERR_DELAY, wire4_putfh(w, &file), wire4_setattr(w, &wire4_anonymous, &fattr));
    expect4(world.user, NFS4_OK, wire4_putfh(world.user, &world.objects[N4_FILE]),
            wire4_read(world.user, OP_READ, &wire4_anonymous, 0, 5));
    is_stuck = false;
    assert_int_equal(chown_to(&file, "ann@example.org", "g-root@example.org"), NFS4_OK);
    assert_owners(&file, "ann@example.org", "g-root@example.org");
}

int main(void)
{
    const struct CMUnitTest with[] = {
        cmocka_unit_test_setup_teardown(with_a_domain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(listing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(comparing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(in_lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(slow_names, set_up, tear_down),
    };
    const struct CMUnitTest without[] = {
        cmocka_unit_test_setup_teardown(without_a_domain, set_up, tear_down),
    };
    int failed = 0;

    for (minor = 0; minor <= 2; minor++) {
        domain = "example.org";
        failed += cmocka_run_group_tests(with, NULL, NULL);
        domain = NULL;
        failed += cmocka_run_group_tests(without, NULL, NULL);
    }
    return failed;
}
