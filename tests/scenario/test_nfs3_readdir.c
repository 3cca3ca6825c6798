/*
 * test_nfs3_readdir.c - READDIR and READDIRPLUS over the wire: every budget from nothing up, listings while
 * entries come and go, cookies and verifiers that are none, rights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs3check.h"
#include "nfsworld.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USER = 1000, GROUP = 100, NAMES_MAX = 2048 };

static struct nfsworld *world;
static struct rpcclient *root, *user;
static struct nfs3_handle top;

static int set_up(void **state)
{
    struct vfs_export_config exports[] = {nfsworld_export("a")};

    (void)state;
    exports[0].sync = false;
    world = nfsworld_open(exports, 1, NULL);
    root = nfsworld_client(world, 0, 0);
    user = nfsworld_client(world, USER, GROUP);
    top = nfsworld_mount(root, "/a");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rpcclient_close(&root);
    rpcclient_close(&user);
    nfsworld_close(&world);
    return 0;
}

static struct nfs3_handle fresh_dir(uint32_t mode)
{
    static int count;
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = mode};
    struct nfs3_result r;
    char name[32];

    snprintf(name, sizeof name, "dir%d", count++);
    works(nfs3_mkdir(root, &top, name, &attr, &r));
    return r.handle;
}

static void make(const struct nfs3_handle *dir, const char *name)
{
    struct nfs3_result r;

    works(nfs3_create(root, dir, name, 1, NULL, 0, &r));
}

static void take_away(const struct nfs3_handle *dir, const char *name)
{
    struct nfs3_result r;

    works(nfs3_name_call(root, NFS3C_REMOVE, dir, name, (uint32_t)strlen(name), &r));
}

/* What a listing has shown so far. */
struct seen {
    size_t count;
    char names[NAMES_MAX][256];
    uint64_t cookies[NAMES_MAX];
};

static size_t times_seen(const struct seen *seen, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < seen->count; i++)
        count += strcmp(seen->names[i], name) == 0;
    return count;
}

static uint64_t note_entries(struct seen *seen, struct nfs3_result *r, bool plus)
{
    struct nfs3_entry entry;
    uint64_t cookie = 0;

    while (nfs3_next_entry(r, plus, &entry)) {
        assert_true(seen->count < NAMES_MAX);
        assert_int_not_equal(entry.fileid, 0);
        assert_int_not_equal(entry.cookie, 0);
        memcpy(seen->names[seen->count], entry.name, entry.name_length);
        seen->names[seen->count][entry.name_length] = '\0';
        seen->cookies[seen->count++] = cookie = entry.cookie;
    }
    return cookie;
}

/* One call; checks that the answer is within its budgets. */
static void list_once(struct rpcclient *client, const struct nfs3_handle *dir, bool plus, uint64_t cookie,
                      uint32_t dircount, uint32_t count, struct nfs3_result *r_r)
{
    if (plus)
        assert_int_equal(nfs3_readdirplus(client, dir, cookie, 0, dircount, count, r_r), RPCCLIENT_SUCCESS);
    else
        assert_int_equal(nfs3_readdir(client, dir, cookie, 0, count, r_r), RPCCLIENT_SUCCESS);
    if (r_r->status != NFS3_OK)
        return;
    assert_true(r_r->length - 4 <= count);
    assert_true(!plus || r_r->entry_bytes <= dircount);
    assert_true(r_r->entry_count > 0 || r_r->eof);
    assert_true(r_r->has_attr);
    assert_int_equal(r_r->verifier, 0);
}

/* A whole listing in answers of COUNT bytes; false when that is too small for some entry. */
static bool list_all(const struct nfs3_handle *dir, bool plus, uint32_t dircount, uint32_t count,
                     struct seen *seen)
{
    uint64_t cookie = 0;
    struct nfs3_result r;

    seen->count = 0;
    do {
        list_once(root, dir, plus, cookie, dircount, count, &r);
        if (r.status == NFS3ERR_TOOSMALL)
            return false;
        assert_int_equal(r.status, NFS3_OK);
        if (r.entry_count > 0)
            cookie = note_entries(seen, &r, plus);
    } while (!r.eof);
    return true;
}

static uint32_t padded(uint32_t length)
{
    return (length + 3) / 4 * 4;
}

static void every_budget(void **state)
{
    static const uint32_t lengths[] = {1, 3, 4, 5, 31, 255};
    struct nfs3_handle dir = fresh_dir(0755);
    struct seen *seen = calloc(1, sizeof *seen);
    char name[256];

    (void)state;
    assert_non_null(seen);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(name, 'a' + (int)i, lengths[i]);
        name[lengths[i]] = '\0';
        make(&dir, name);
    }
    for (int plus = 0; plus < 2; plus++) {
        /* attributes, verifier, end; the longest entry with its attributes and handle */
        uint32_t needed = 88 + 8 + 8 + 24 + padded(255) + (plus ? 88 + 40 : 0);
        for (uint32_t count = 0; count < 2400; count++) {
            bool whole = list_all(&dir, plus, UINT32_MAX, count, seen);
            assert_int_equal(whole, count >= needed);
            if (whole)
                assert_int_equal(seen->count, 2 + sizeof lengths / sizeof lengths[0]);
        }
        for (uint32_t dircount = 0; plus && dircount < 700; dircount++) {
            bool whole = list_all(&dir, true, dircount, 65536, seen);
            assert_int_equal(whole, dircount >= 24 + padded(255));
            if (whole)
                assert_int_equal(seen->count, 2 + sizeof lengths / sizeof lengths[0]);
        }
    }
    free(seen);
}

/* An empty directory still has "." and "..", and what lies behind them is the end. */
static void empty_directory(void **state)
{
    struct nfs3_handle dir = fresh_dir(0755);
    struct nfs3_entry entry;
    struct nfs3_result r;
    uint64_t self, parent;

    (void)state;
    works(nfs3_getattr(root, &dir, &r));
    self = r.attr.fileid;
    works(nfs3_getattr(root, &top, &r));
    parent = r.attr.fileid;
    works(nfs3_readdirplus(root, &dir, 0, 0, 4096, 4096, &r));
    assert_int_equal(r.entry_count, 2);
    assert_true(r.eof);
    assert_true(nfs3_next_entry(&r, true, &entry));
    assert_int_equal(entry.name_length, 1);
    assert_int_equal(entry.fileid, self);
    assert_true(entry.has_attr && entry.has_handle);
    assert_memory_equal(entry.handle.data, dir.data, dir.length);
    assert_true(nfs3_next_entry(&r, true, &entry));
    assert_memory_equal(entry.name, "..", 2);
    assert_int_equal(entry.fileid, parent);
    assert_memory_equal(entry.handle.data, top.data, top.length);
    works(nfs3_readdir(root, &dir, entry.cookie, 0, 104, &r));
    assert_int_equal(r.entry_count, 0);
    assert_true(r.eof);
    gives(NFS3ERR_TOOSMALL, nfs3_readdir(root, &dir, entry.cookie, 0, 103, &r));
    assert_true(r.has_attr);
    /* The parent of the root is the root. */
    works(nfs3_readdir(root, &top, 0, 0, 4096, &r));
    assert_true(nfs3_next_entry(&r, false, &entry) && nfs3_next_entry(&r, false, &entry));
    assert_int_equal(entry.fileid, parent);
}

static void plus_agrees_with_lookup(void **state)
{
    struct nfs3_handle dir = fresh_dir(0755);
    struct nfs3_result list, r;
    struct nfs3_entry entry;
    char name[32];
    int count = 0;

    (void)state;
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "entry%d", i);
        make(&dir, name);
    }
    works(nfs3_readdirplus(root, &dir, 2, 0, 65536, 65536, &r));
    assert_true(r.eof);
    list = r;
    /* The entries lie in the client's buffer, which the next call overwrites. */
    list.entries.at = memcpy(malloc(list.entries.left), list.entries.at, list.entries.left);
    uint8_t *copy = (uint8_t *)(uintptr_t)list.entries.at;
    while (nfs3_next_entry(&list, true, &entry)) {
        works(nfs3_name_call(root, NFS3C_LOOKUP, &dir, entry.name, entry.name_length, &r));
        assert_true(entry.has_attr && entry.has_handle);
        assert_memory_equal(entry.handle.data, r.handle.data, r.handle.length);
        assert_memory_equal(&entry.attr, &r.attr, sizeof r.attr);
        assert_int_equal(entry.fileid, r.attr.fileid);
        count++;
    }
    free(copy);
    assert_int_equal(count, 20);
}

/* What is there from the first answer to the last is shown once, whatever else comes and goes. */
static void entries_come_and_go(void **state)
{
    enum { KEPT = 300 };
    struct nfs3_handle dir = fresh_dir(0755);
    struct seen *seen = calloc(1, sizeof *seen);
    uint64_t cookie = 0;
    struct nfs3_result r;
    char name[32];
    int turn = 0;

    (void)state;
    assert_non_null(seen);
    for (int i = 0; i < KEPT; i++) {
        snprintf(name, sizeof name, "kept%d", i);
        make(&dir, name);
        snprintf(name, sizeof name, "goes%d", i);
        make(&dir, name);
    }
    do {
        list_once(root, &dir, turn % 2 == 1, cookie, 65536, 1500, &r);
        assert_int_equal(r.status, NFS3_OK);
        cookie = note_entries(seen, &r, turn % 2 == 1);
        snprintf(name, sizeof name, "new%d", turn);
        make(&dir, name);
        if (turn < KEPT) {
            snprintf(name, sizeof name, "goes%d", turn);
            take_away(&dir, name);
        }
        turn++;
    } while (!r.eof);
    assert_true(turn > 10);
    for (int i = 0; i < KEPT; i++) {
        snprintf(name, sizeof name, "kept%d", i);
        assert_int_equal(times_seen(seen, name), 1);
    }
    for (size_t i = 0; i < seen->count; i++) {
        for (size_t j = i + 1; j < seen->count; j++)
            assert_true(seen->cookies[i] != seen->cookies[j]);
    }
    free(seen);
}

/* A listing that removes all that it sees, going on from the cookie of an entry that is gone. */
static void removing_while_listing(void **state)
{
    enum { COUNT = 500 };
    struct nfs3_handle dir = fresh_dir(0755);
    struct seen *seen = calloc(1, sizeof *seen);
    uint64_t cookie = 2;
    struct nfs3_result r;
    char name[32];
    bool eof;

    (void)state;
    assert_non_null(seen);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "f%d", i);
        make(&dir, name);
    }
    do {
        size_t from = seen->count;
        works(nfs3_readdir(root, &dir, cookie, 0, 2000, &r));
        eof = r.eof;
        if (r.entry_count > 0)
            cookie = note_entries(seen, &r, false);
        for (size_t i = from; i < seen->count; i++)
            take_away(&dir, seen->names[i]);
    } while (!eof);
    assert_int_equal(seen->count, COUNT);
    works(nfs3_readdir(root, &dir, 0, 0, 2000, &r));
    assert_int_equal(r.entry_count, 2);
    free(seen);
}

static void cookies_survive_a_restart(void **state)
{
    struct nfs3_handle dir = fresh_dir(0755);
    struct seen *before = calloc(1, sizeof *before), *after = calloc(1, sizeof *after);
    char name[32];

    (void)state;
    assert_non_null(before);
    assert_non_null(after);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "f%d", i);
        make(&dir, name);
    }
    assert_true(list_all(&dir, false, 0, 4096, before));
    rpcclient_close(&root);
    rpcclient_close(&user);
    nfsworld_restart(world);
    root = nfsworld_client(world, 0, 0);
    user = nfsworld_client(world, USER, GROUP);
    assert_true(list_all(&dir, false, 0, 4096, after));
    assert_int_equal(before->count, after->count);
    for (size_t i = 0; i < before->count; i++) {
        assert_string_equal(before->names[i], after->names[i]);
        assert_true(before->cookies[i] == after->cookies[i]);
    }
    free(before);
    free(after);
}

static void cookies_that_are_none(void **state)
{
    static const uint64_t bad[] = {3, 4, 8, (uint64_t)1 << 63, UINT64_MAX};
    struct nfs3_handle dir = fresh_dir(0755), file;
    struct nfs3_result r;

    (void)state;
    make(&dir, "f");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        gives(NFS3ERR_BAD_COOKIE, nfs3_readdir(root, &dir, bad[i], 0, 4096, &r));
        assert_true(r.has_attr);
        gives(NFS3ERR_BAD_COOKIE, nfs3_readdirplus(root, &dir, bad[i], 0, 4096, 4096, &r));
    }
    /* Any other number is behind some entries or all. */
    works(nfs3_readdir(root, &dir, 9, 0, 4096, &r));
    works(nfs3_readdir(root, &dir, INT64_MAX, 0, 4096, &r));
    assert_true(r.entry_count == 0 && r.eof);
    /* A verifier of another server. */
    gives(NFS3ERR_BAD_COOKIE, nfs3_readdir(root, &dir, 2, 1, 4096, &r));
    works(nfs3_readdir(root, &dir, 0, 1, 4096, &r));
    works(nfs3_lookup(root, &dir, "f", &r));
    file = r.handle;
    gives(NFS3ERR_NOTDIR, nfs3_readdir(root, &file, 0, 0, 4096, &r));
    assert_true(r.has_attr);
    gives(NFS3ERR_NOTDIR, nfs3_readdirplus(root, &file, 0, 0, 4096, 4096, &r));
}

static void rights(void **state)
{
    struct nfs3_handle closed = fresh_dir(0733), names_only = fresh_dir(0744);
    struct nfs3_entry entry;
    struct nfs3_result r;

    (void)state;
    make(&names_only, "hidden");
    gives(NFS3ERR_ACCES, nfs3_readdir(user, &closed, 0, 0, 4096, &r));
    gives(NFS3ERR_ACCES, nfs3_readdirplus(user, &closed, 0, 0, 4096, 4096, &r));
    gives(NFS3ERR_ACCES, nfs3_lookup(user, &names_only, "hidden", &r));
    works(nfs3_readdirplus(user, &names_only, 0, 0, 4096, 4096, &r));
    assert_int_equal(r.entry_count, 3);
    while (nfs3_next_entry(&r, true, &entry))
        assert_false(entry.has_attr || entry.has_handle);
}

/* Whatever the client asks for, an answer stays within the server's own bound. */
static void large_directories(void **state)
{
    enum { COUNT = 1500 };
    struct nfs3_handle dir = fresh_dir(0755);
    struct seen *seen = calloc(1, sizeof *seen);
    struct nfs3_result r;
    char name[256];

    (void)state;
    assert_non_null(seen);
    memset(name, 'x', sizeof name);
    for (int i = 0; i < COUNT; i++) {
        name[snprintf(name, sizeof name, "%06d", i)] = '-';
        name[200] = '\0';
        make(&dir, name);
    }
    works(nfs3_readdirplus(root, &dir, 0, 0, UINT32_MAX, UINT32_MAX, &r));
    assert_false(r.eof);
    assert_true(r.length <= 128 * 1024 + 4 && r.length > 127 * 1024);
    assert_true(list_all(&dir, true, UINT32_MAX, UINT32_MAX, seen));
    assert_int_equal(seen->count, COUNT + 2);
    free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_budget),
        cmocka_unit_test(empty_directory),
        cmocka_unit_test(plus_agrees_with_lookup),
        cmocka_unit_test(entries_come_and_go),
        cmocka_unit_test(removing_while_listing),
        cmocka_unit_test(cookies_survive_a_restart),
        cmocka_unit_test(cookies_that_are_none),
        cmocka_unit_test(rights),
        cmocka_unit_test(large_directories),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
