/*
 * test_nfs4_dir_notify.c - delegations of directories whose holder asked to be told of changes
 * (RFC 8881 18.39, 20.4): what he is told, when, in which order; and when he has to give it back after all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delegation_fixture.h"
#include "nfs3client.h"

enum { CHILD_ATTRS, DIR_ATTRS, REMOVE_ENTRY, ADD_ENTRY, RENAME_ENTRY, ALL_TYPES = 0x3f };
enum { WANT_NO = 0x400, RECALLED = 4, NOTIFIED = 6, ENTRIES_MAX = 64 };
/* CHANGE, SIZE, MODE */
enum { WORD_0 = 1 << FATTR4_CHANGE | 1 << FATTR4_SIZE, WORD_1 = 1 << (FATTR4_MODE - 32) };

struct dir_wish {
    uint32_t types, child_s, dir_s;
    bool no_attributes;
};

/* What was granted of the types. */
static uint32_t get_dir(struct nfs4c *c, const struct wire4_handle *handle, const struct dir_wish *wish,
                        struct nfs4_opened *opened_r)
{
    uint32_t types;

    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, handle);
    wire4_op(&c->wire, OP_GET_DIR_DELEGATION);
    writer_be32(&c->wire.request, 0);
    writer_be32(&c->wire.request, 1);
    writer_be32(&c->wire.request, wish->types);
    writer_be64(&c->wire.request, wish->child_s);
    writer_be32(&c->wire.request, 0);
    writer_be64(&c->wire.request, wish->dir_s);
    writer_be32(&c->wire.request, 0);
    for (int i = 0; i < 2; i++) {
        writer_be32(&c->wire.request, wish->no_attributes ? 0 : 2);
        if (wish->no_attributes)
            continue;
        writer_be32(&c->wire.request, WORD_0);
        writer_be32(&c->wire.request, WORD_1);
    }
    assert_int_equal(nfs4_call(c), NFS4_OK);
    nfs4_skip_sequence(c);
    nfs4_result(c, OP_PUTFH, NFS4_OK);
    nfs4_result(c, OP_GET_DIR_DELEGATION, NFS4_OK);
    opened_r->delegation = c->result.delegation;
    opened_r->file = *handle;
    if (c->result.delegation == NONE)
        return 0;
    assert_int_equal(c->result.verifier, 0);
    opened_r->delegation_id = c->result.delegation_id;
    types = c->result.notifications[0].words[0];
    assert_int_equal(c->result.notifications[0].words[1] | c->result.notifications[0].words[2], 0);
    for (int i = 1; i <= 2; i++) {
        const struct wire4_bitmap *attributes = &c->result.notifications[i];
        bool none = types == 0 || wish->no_attributes;

        assert_int_equal(attributes->words[0], none ? 0 : WORD_0);
        assert_int_equal(attributes->words[1], none ? 0 : WORD_1);
        assert_int_equal(attributes->words[2], 0);
    }
    return types;
}

static struct nfs4_opened must_get(struct nfs4c *c, const struct wire4_handle *handle, uint32_t types)
{
    struct nfs4_opened opened;

    assert_int_equal(get_dir(c, handle, &(struct dir_wish){.types = types}, &opened), types);
    assert_int_equal(opened.delegation, READ_DELEGATION);
    return opened;
}

static uint32_t make_file(struct nfs4c *c, const char *name)
{
    struct nfs4_opened opened;
    uint32_t status = try_open(c, name, ACCESS_READ | WANT_NO, &opened);

    if (status == NFS4_OK)
        must_close(c, &opened);
    return status;
}

static uint32_t remove_file(struct nfs4c *c, const struct wire4_handle *dir, const char *name)
{
    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, dir);
    wire4_remove(&c->wire, name);
    return nfs4_call(c);
}

static uint32_t move(struct nfs4c *c, const struct wire4_handle *from, const char *name,
                     const struct wire4_handle *to, const char *new_name)
{
    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, from);
    wire4_savefh(&c->wire);
    wire4_putfh(&c->wire, to);
    wire4_op(&c->wire, OP_RENAME);
    writer_xdr_opaque(&c->wire.request, name, strlen(name));
    writer_xdr_opaque(&c->wire.request, new_name, strlen(new_name));
    return nfs4_call(c);
}

static uint32_t chmod_of(struct nfs4c *c, const struct wire4_handle *handle, uint32_t mode)
{
    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, handle);
    wire4_op(&c->wire, OP_SETATTR);
    writer_zeros(&c->wire.request, 16);
    writer_be32(&c->wire.request, 2);
    writer_be32(&c->wire.request, 0);
    writer_be32(&c->wire.request, WORD_1);
    writer_be32(&c->wire.request, 4);
    writer_be32(&c->wire.request, mode);
    return nfs4_call(c);
}

static struct wire4_handle make_dir(struct nfs4c *c, const char *name)
{
    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, &top);
    wire4_op(&c->wire, OP_CREATE);
    writer_be32(&c->wire.request, NF4DIR);
    writer_xdr_opaque(&c->wire.request, name, strlen(name));
    writer_be32(&c->wire.request, 2);
    writer_be32(&c->wire.request, 0);
    writer_be32(&c->wire.request, WORD_1);
    writer_be32(&c->wire.request, 4);
    writer_be32(&c->wire.request, 0777);
    assert_int_equal(nfs4_call(c), NFS4_OK);
    return wire4_walk(&c->wire, "a/dir");
}

/* What READDIR says: the cookie of NAME, and what is around it. */
struct place {
    uint64_t cookie, previous_cookie;
    char previous[NFS4C_NAME_MAX];
    bool last;
};

static struct place place_of(struct nfs4c *c, const char *wanted)
{
    struct place place = {.cookie = 0};
    uint64_t cookie = 0, before = 0;
    char name[NFS4C_NAME_MAX] = "", name_before[NFS4C_NAME_MAX];
    uint32_t follows = 1, length, count;
    const uint8_t *bytes;

    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, &top);
    wire4_op(&c->wire, OP_READDIR);
    writer_zeros(&c->wire.request, 16);
    writer_be32(&c->wire.request, 8192);
    writer_be32(&c->wire.request, 8192);
    writer_be32(&c->wire.request, 0);
    assert_int_equal(nfs4_call(c), NFS4_OK);
    nfs4_skip_sequence(c);
    nfs4_result(c, OP_PUTFH, NFS4_OK);
    nfs4_result(c, OP_READDIR, NFS4_OK);
    assert_true(reader_skip(&c->results, 8));
    while (reader_be32(&c->results, &follows) && follows == 1) {
        before = cookie;
        memcpy(name_before, name, sizeof name);
        assert_true(reader_be64(&c->results, &cookie) &&
                    reader_xdr_opaque(&c->results, NFS4C_NAME_MAX - 1, &bytes, &length) &&
                    reader_be32(&c->results, &count) && count == 0 && reader_be32(&c->results, &count) &&
                    count == 0);
        memcpy(name, bytes, length);
        name[length] = '\0';
        place.last = strcmp(name, wanted) == 0;
        if (!place.last)
            continue;
        place.cookie = cookie;
        place.previous_cookie = before;
        memcpy(place.previous, name_before, sizeof name_before);
    }
    assert_true(place.cookie != 0);
    return place;
}

/* All that there is to be heard; how many notices came since. */
static uint32_t listen_to(struct nfs4c *c)
{
    uint32_t before;

    do {
        before = c->notice_count;
        hear(c);
        hear(c);
    } while (c->notice_count != before);
    return c->notice_count;
}

static const struct nfs4c_notice *only(struct nfs4c *c, uint32_t type)
{
    assert_int_equal(listen_to(c), 1);
    c->notice_count = 0;
    assert_int_equal(c->notices[0].type, type);
    return &c->notices[0];
}

static void check_place(const struct nfs4c_notice *notice, const struct place *place)
{
    assert_true(notice->new_cookie == place->cookie);
    assert_string_equal(notice->previous, place->previous);
    assert_true(notice->previous_cookie == place->previous_cookie);
    assert_int_equal(notice->last, place->last);
}

/* Each kind of change, as READDIR shows it; the changer never waits. */
static void entries(void **state)
{
    struct nfs4c *holder = &clients[0], *other = &clients[1];
    const struct nfs4c_notice *notice;
    struct nfs4_opened directory;
    struct place place, gone;

    (void)state;
    begin(1);
    directory = must_get(holder, &top, ALL_TYPES & ~(1u << DIR_ATTRS));
    for (char name[] = "b0"; name[1] < '8'; name[1]++) {
        assert_int_equal(make_file(other, name), NFS4_OK);
        place = place_of(other, name);
        notice = only(holder, ADD_ENTRY);
        assert_string_equal(notice->name, name);
        assert_true(notice->has_attributes && notice->size == 0 && notice->mode == 0666);
        assert_string_equal(notice->replaced, "");
        check_place(notice, &place);
    }
    assert_memory_equal(holder->called_id.other, directory.delegation_id.other, 12);
    assert_memory_equal(holder->called_handle.data, top.data, top.length);
    gone = place_of(other, "b3");
    assert_int_equal(remove_file(other, &top, "b3"), NFS4_OK);
    notice = only(holder, REMOVE_ENTRY);
    assert_string_equal(notice->name, "b3");
    assert_true(notice->cookie == gone.cookie);
    gone = place_of(other, "b4");
    assert_int_equal(move(other, &top, "b4", &top, "c4"), NFS4_OK);
    place = place_of(other, "c4");
    notice = only(holder, RENAME_ENTRY);
    assert_string_equal(notice->name, "b4");
    assert_string_equal(notice->new_name, "c4");
    assert_string_equal(notice->replaced, "");
    assert_true(notice->cookie == gone.cookie);
    check_place(notice, &place);
    /* Over another one. */
    assert_int_equal(move(other, &top, "c4", &top, "file"), NFS4_OK);
    place = place_of(other, "file");
    notice = only(holder, RENAME_ENTRY);
    assert_string_equal(notice->new_name, "file");
    assert_string_equal(notice->replaced, "file");
    assert_true(notice->has_attributes && notice->size == 0);
    check_place(notice, &place);
    /* The holder's own changes are no news to him. */
    assert_int_equal(make_file(holder, "mine"), NFS4_OK);
    assert_int_equal(move(holder, &top, "mine", &top, "still mine"), NFS4_OK);
    assert_int_equal(remove_file(holder, &top, "still mine"), NFS4_OK);
    assert_int_equal(listen_to(holder), 0);
    assert_int_equal(holder->called_with[RECALLED], 0);
    must_return(holder, &directory);
    assert_int_equal(make_file(other, "later"), NFS4_OK);
    assert_int_equal(listen_to(holder), 0);
    end();
}

/* From one directory to another: each one's holder hears of his. NFSv3 is heard of, too. */
static void between_directories(void **state)
{
    struct nfs4c *first = &clients[0], *second = &clients[1], *other = &clients[2];
    struct nfs4_opened one, two;
    const struct nfs4c_notice *notice;
    struct rpcclient *rpc;
    struct nfs3_handle top3;
    struct nfs3_result r;
    struct wire4_handle dir;

    (void)state;
    begin(1);
    dir = make_dir(other, "dir");
    one = must_get(first, &top, 0x1c);
    two = must_get(second, &dir, 0x1c);
    assert_int_equal(move(other, &top, "file", &dir, "moved"), NFS4_OK);
    notice = only(first, REMOVE_ENTRY);
    assert_string_equal(notice->name, "file");
    notice = only(second, ADD_ENTRY);
    assert_string_equal(notice->name, "moved");
    assert_true(notice->size == 5 && notice->last);
    assert_string_equal(notice->previous, "");
    rpc = nfsworld_client(world, 0, 0);
    top3 = nfsworld_mount(rpc, "/a");
    assert_int_equal(nfs3_create(rpc, &top3, "three", 1, &(struct nfs3_new_attr){.set = 0}, 0, &r),
                     RPCCLIENT_SUCCESS);
    assert_int_equal(r.status, 0);
    notice = only(first, ADD_ENTRY);
    assert_string_equal(notice->name, "three");
    assert_int_equal(nfs3_name_call(rpc, NFS3C_REMOVE, &top3, "three", 5, &r), RPCCLIENT_SUCCESS);
    assert_int_equal(r.status, 0);
    notice = only(first, REMOVE_ENTRY);
    assert_string_equal(notice->name, "three");
    assert_int_equal(listen_to(second), 0);
    rpcclient_close(&rpc);
    must_return(first, &one);
    must_return(second, &two);
    end();
}

/* Of what he did not ask for he is not told, he has to give it back. */
static void not_asked_for(void **state)
{
    struct nfs4c *holder = &clients[0], *other = &clients[1];
    struct nfs4_opened directory;

    (void)state;
    begin(1);
    directory = must_get(holder, &top, 1u << ADD_ENTRY);
    assert_int_equal(make_file(other, "x"), NFS4_OK);
    assert_string_equal(only(holder, ADD_ENTRY)->name, "x");
    assert_int_equal(remove_file(other, &top, "x"), NFS4ERR_DELAY);
    listen_to(holder);
    assert_int_equal(holder->called_with[RECALLED], 1);
    /* Once it is recalled nothing is told any more, and all wait. */
    assert_int_equal(make_file(other, "y"), NFS4ERR_DELAY);
    assert_int_equal(listen_to(holder), 0);
    must_return(holder, &directory);
    assert_int_equal(remove_file(other, &top, "x"), NFS4_OK);
    end();
}

/* What there is not is not promised. */
static void agreement(void **state)
{
    struct nfs4c *holder = &clients[0];
    struct dir_wish wish = {.types = 0xffff};
    struct nfs4_opened directory;

    (void)state;
    begin(1);
    assert_int_equal(get_dir(holder, &top, &wish, &directory), ALL_TYPES);
    must_return(holder, &directory);
    wish.no_attributes = true; /* of no attributes there is nothing to tell */
    assert_int_equal(get_dir(holder, &top, &wish, &directory), 0x3c);
    must_return(holder, &directory);
    wish.types = 0;
    assert_int_equal(get_dir(holder, &top, &wish, &directory), 0);
    assert_int_equal(directory.delegation, READ_DELEGATION);
    assert_int_equal(make_file(&clients[1], "x"), NFS4ERR_DELAY);
    must_return(holder, &directory);
    end();
}

/* Changes of attributes are told when the time that the client asked for is over, as they are then. */
static void attributes(void **state)
{
    enum { CHILD_S = 3, DIR_S = 6 };
    struct nfs4c *holder = &clients[0], *other = &clients[1];
    struct dir_wish wish = {.types = ALL_TYPES, .child_s = CHILD_S, .dir_s = DIR_S};
    const struct nfs4c_notice *notice;
    struct nfs4_opened directory, opened;
    uint64_t change;

    (void)state;
    begin(1);
    assert_int_equal(get_dir(holder, &top, &wish, &directory), ALL_TYPES);
    opened = must_open(other, "file", ACCESS_BOTH | WANT_NO);
    listen_to(holder);
    assert_int_equal(holder->notice_count, 0);
    for (int i = 0; i < 3; i++) {
        wire4_begin(&other->wire);
        wire4_putfh(&other->wire, &file);
        nfs4_write(other, &opened.stateid, (uint64_t)i * 5, "hello");
        assert_int_equal(nfs4_call(other), NFS4_OK);
        assert_int_equal(chmod_of(other, &file, 0600 + (uint32_t)i), NFS4_OK);
    }
    assert_int_equal(listen_to(holder), 0);
    pass_ms((CHILD_S - 1) * 1000, NULL);
    assert_int_equal(listen_to(holder), 0);
    pass_ms(2000, NULL);
    notice = only(holder, CHILD_ATTRS);
    assert_string_equal(notice->name, "file");
    assert_true(notice->has_attributes && notice->size == 15 && notice->mode == 0602);
    change = notice->change;
    assert_int_equal(chmod_of(other, &file, 0644), NFS4_OK);
    pass_ms((CHILD_S + 1) * 1000, NULL);
    notice = only(holder, CHILD_ATTRS);
    assert_true(notice->mode == 0644 && notice->change > change);
    must_close(other, &opened);
    /* The directory's own, without a recall. */
    pass_ms((DIR_S + 1) * 1000, NULL);
    listen_to(holder);
    holder->notice_count = 0;
    assert_int_equal(chmod_of(&clients[2], &top, 0755), NFS4_OK);
    assert_int_equal(listen_to(holder), 0);
    pass_ms((DIR_S + 1) * 1000, NULL);
    notice = only(holder, DIR_ATTRS);
    assert_string_equal(notice->name, "");
    assert_true(notice->has_attributes && notice->mode == 0755);
    assert_int_equal(holder->called_with[RECALLED], 0);
    must_return(holder, &directory);
    end();
}

/* Many changes go in few calls, in their order; a client that is busy is called again, and loses nothing. */
static void in_order(void **state)
{
    enum { FILES = 30 };
    struct nfs4c *holder = &clients[0], *other = &clients[1];
    struct nfs4_opened directory;
    char name[16];

    (void)state;
    begin(1);
    directory = must_get(holder, &top, 0x1c);
    holder->answer = NFS4ERR_DELAY;
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(make_file(other, name), NFS4_OK);
    }
    assert_in_range(listen_to(holder), 1, FILES);
    holder->notice_count = 0;
    holder->answer = NFS4_OK;
    pass_ms(2000, NULL);
    assert_int_equal(listen_to(holder), FILES);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_string_equal(holder->notices[i].name, name);
    }
    assert_in_range(holder->called_with[NOTIFIED], 2, FILES / 2);
    assert_int_equal(holder->called_with[RECALLED], 0);
    must_return(holder, &directory);
    end();
}

/* A client that can't be told has to give it back: who refuses, who does not answer, who is too slow. */
static void not_to_be_told(void **state)
{
    struct nfs4c *holder = &clients[0], *other = &clients[1];
    struct nfs4_opened directory;
    char name[16];

    (void)state;
    for (int how = 0; how < 4; how++) {
        begin(1);
        directory = must_get(holder, &top, 0x1c);
        if (how == 0)
            holder->answer = NFS4ERR_NOTSUPP;
        if (how == 1)
            holder->junk = NFS4C_OTHER;
        if (how == 2)
            holder->answer = NFS4ERR_DELAY;
        for (int i = 0; i < (how == 3 ? 100 : 1); i++) {
            uint32_t status;

            snprintf(name, sizeof name, "n%d", i);
            status = make_file(other, name);
            if (status != NFS4_OK)
                assert_true(how == 3 && i > 60 && status == NFS4ERR_DELAY);
        }
        for (int i = 0; i < 20 && holder->called_with[RECALLED] == 0; i++) {
            listen_to(holder);
            pass_ms(500, NULL);
        }
        assert_true(holder->called_with[RECALLED] > 0);
        holder->answer = NFS4_OK;
        holder->junk = NFS4C_GOOD;
        must_return(holder, &directory);
        assert_int_equal(make_file(other, "at last"), NFS4_OK);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries),        cmocka_unit_test(between_directories),
        cmocka_unit_test(not_asked_for),  cmocka_unit_test(agreement),
        cmocka_unit_test(attributes),     cmocka_unit_test(in_order),
        cmocka_unit_test(not_to_be_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
