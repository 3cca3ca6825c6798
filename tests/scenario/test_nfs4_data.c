/*
 * test_nfs4_data.c - READ, WRITE, COMMIT, READ_PLUS, and of NFSv4.2 SEEK, ALLOCATE, DEALLOCATE, CLONE and
 * COPY, with the special stateids and with those of opens (RFC 8881 18.3, 18.22, 18.32; RFC 7862 15).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"

#include <string.h>

#define MAX_SIZE INT64_MAX

enum { KIB = 1024, MIB = 1024 * 1024 };

static struct nfs4world world;
static uint32_t minor;
static struct wire4 *w;
static uint8_t bytes[2 * MIB];

static int set_up(void **state)
{
    (void)state;
    nfs4world_open(&world, minor, NULL);
    w = world.root;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13 | 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfs4world_close(&world);
    return 0;
}

static void write_at(const struct wire4_handle *file, uint64_t offset, const void *data, uint32_t length)
{
    expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_write(w, &wire4_anonymous, offset, 2, data, length));
    assert_int_equal(wire4_last(w)->length, length);
}

static void assert_holds(const struct wire4_handle *file, uint64_t offset, const void *data, uint32_t length)
{
    expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_read(w, OP_READ, &wire4_anonymous, offset, length));
    assert_int_equal(wire4_last(w)->length, length);
    assert_memory_equal(wire4_last(w)->data, data, length);
}

static uint64_t size_of(const struct wire4_handle *file)
{
    return wire4_attrs_of(w, file, wire4_bits(1, FATTR4_SIZE)).size;
}

static uint64_t used_of(const struct wire4_handle *file)
{
    return wire4_attrs_of(w, file, wire4_bits(1, FATTR4_SPACE_USED)).space_used;
}

static void set_size(const struct wire4_handle *file, uint64_t size)
{
    struct wire4_fattr fattr = wire4_size(size);

    expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_setattr(w, &wire4_anonymous, &fattr));
}

/* ---- READ, WRITE, COMMIT ---- */

struct read_case {
    uint64_t offset;
    uint32_t count, length;
    bool eof;
};
static const struct read_case read_cases[] = {
    {0, 0, 0, false},
    {0, 5, 5, false},
    {0, 11, 11, true},
    {0, 12, 11, true},
    {0, UINT32_MAX, 11, true},
    {10, 1, 1, true},
    {10, 0, 0, false},
    {11, 1, 0, true},
    {11, 0, 0, true},
    {UINT64_MAX, 1, 0, true},
    {UINT64_MAX, UINT32_MAX, 0, true},
};

static void reading(void **state)
{
    static const char text[] = "hello world";

    (void)state;
    for (size_t i = 0; i < sizeof read_cases / sizeof *read_cases; i++) {
        const struct read_case *row = &read_cases[i];

        for (int plus = 0; plus <= (minor == 2); plus++) {
            expect4(w, NFS4_OK, wire4_putfh(w, &world.objects[N4_FILE]),
                    wire4_read(w, plus ? OP_READ_PLUS : OP_READ, i % 2 ? &wire4_anonymous : &wire4_bypass,
                               row->offset, row->count));
            assert_int_equal(wire4_last(w)->length, row->length);
            assert_int_equal(wire4_last(w)->eof, row->eof);
            if (row->length > 0)
                assert_memory_equal(wire4_last(w)->data, text + row->offset, row->length);
        }
    }
}

static void writing(void **state)
{
    struct wire4_handle file = wire4_make_file(w, &world.top, "w", 0644);
    uint64_t verifier = 0;

    (void)state;
    for (uint32_t stable = 0; stable <= 2; stable++) {
        expect4(w, NFS4_OK, wire4_putfh(w, &file),
                wire4_write(w, &wire4_anonymous, stable * 10, stable, "0123456789", 10));
        assert_int_equal(wire4_last(w)->length, 10);
        assert_true(wire4_last(w)->committed >= stable);
        if (stable > 0)
            assert_true(wire4_last(w)->verifier == verifier);
        verifier = wire4_last(w)->verifier;
    }
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_commit(w, 0, 0));
    assert_true(wire4_last(w)->verifier == verifier);
    assert_int_equal(size_of(&file), 30);
    /* Nothing, at the end and behind it: the size stays. */
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_write(w, &wire4_anonymous, 1000, 2, "", 0));
    assert_int_equal(size_of(&file), 30);
    expect4(w, NFS4ERR_BADXDR, wire4_putfh(w, &file), wire4_write(w, &wire4_anonymous, 0, 3, "x", 1));
    /* At the end of what can be. */
    wire4_begin(w);
    wire4_putfh(w, &file);
    wire4_write(w, &wire4_anonymous, UINT64_MAX, 2, "x", 1);
    wire4_send(w);
    assert_true(w->status == NFS4ERR_FBIG || w->status == NFS4ERR_INVAL);
    expect4(w, NFS4ERR_FBIG, wire4_putfh(w, &file), wire4_write(w, &wire4_anonymous, MAX_SIZE, 2, "x", 1));
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &file), wire4_commit(w, UINT64_MAX, 2));
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_commit(w, UINT64_MAX - 2, 2));
    /* The server restarts: unstable writes may have gone, and the verifier says so. */
    assert_int_equal(size_of(&file), 30);
}

static void large(void **state)
{
    struct wire4_handle file = wire4_make_file(w, &world.top, "large", 0644);

    (void)state;
    for (uint64_t at = 0; at < 4 * (uint64_t)MIB; at += MIB)
        write_at(&file, at + 1, bytes + at % 3, MIB);
    for (uint64_t at = 0; at < 4 * (uint64_t)MIB; at += MIB)
        assert_holds(&file, at + 1, bytes + at % 3, MIB);
    /* Several reads in one compound; more than a reply may take is cut short or refused, never too long. */
    wire4_begin(w);
    wire4_putfh(w, &file);
    for (int i = 0; i < 4; i++)
        wire4_read(w, OP_READ, &wire4_anonymous, 1 + (uint64_t)i * MIB, MIB);
    wire4_send_any(w);
    assert_true(w->reply.left <= MIB + 65536);
    assert_true(w->status == NFS4_OK || w->status == (minor == 0 ? NFS4ERR_RESOURCE : NFS4ERR_REP_TOO_BIG));
    for (uint32_t i = 1; i + (minor > 0) < w->count; i++) {
        const struct wire4_result *r = wire4_at(w, i);

        if (r->status != NFS4_OK)
            break;
        assert_memory_equal(r->data, bytes + (i - 1) * MIB % 3, r->length);
    }
}

/* A failed write leaves nothing; the operations before it are done. */
static void rights(void **state)
{
    struct wire4 *user = world.user;
    struct wire4_handle readable = wire4_make_file(w, &world.top, "r", 0644),
                        writable = wire4_make_file(w, &world.top, "x", 0622),
                        executable = wire4_make_file(w, &world.top, "e", 0711);

    (void)state;
    write_at(&readable, 0, "abc", 3);
    write_at(&executable, 0, "abc", 3);
    expect4(user, NFS4_OK, wire4_putfh(user, &readable), wire4_read(user, OP_READ, &wire4_anonymous, 0, 3));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &readable),
            wire4_write(user, &wire4_anonymous, 0, 2, "x", 1));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &writable),
            wire4_read(user, OP_READ, &wire4_anonymous, 0, 3));
    expect4(user, NFS4_OK, wire4_putfh(user, &writable), wire4_write(user, &wire4_anonymous, 0, 2, "x", 1));
    /* Who may execute a file has to read it (RFC 7530 5.9, LESSONS). */
    expect4(user, NFS4_OK, wire4_putfh(user, &executable), wire4_read(user, OP_READ, &wire4_anonymous, 0, 3));
    if (minor < 2)
        return;
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &readable),
            wire4_range(user, OP_ALLOCATE, &wire4_anonymous, 0, 4096));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &readable),
            wire4_range(user, OP_DEALLOCATE, &wire4_anonymous, 0, 4096));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &writable), wire4_seek(user, &wire4_anonymous, 0, 0));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &readable), wire4_savefh(user),
            wire4_putfh(user, &readable), wire4_clone(user, &wire4_anonymous, &wire4_anonymous, 0, 4096, 0));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &writable), wire4_savefh(user),
            wire4_putfh(user, &writable), wire4_copy(user, &wire4_anonymous, &wire4_anonymous, 0, 4096, 1));
}

/* An open file's stateid: what it was opened for, and that only; another file's is bad. */
static void stateids(void **state)
{
    struct wire4_owner owner = wire4_owner("owner");
    struct wire4_handle file, other = world.objects[N4_FILE];
    struct wire4_stateid reader, old;

    (void)state;
    wire4_make_file(w, &world.top, "s", 0644);
    reader = wire4_open_at(w, &owner, &world.top, "s", 1, 0, WIRE4_NOCREATE, &file);
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_read(w, OP_READ, &reader, 0, 1));
    expect4(w, NFS4ERR_OPENMODE, wire4_putfh(w, &file), wire4_write(w, &reader, 0, 2, "x", 1));
    expect4(w, NFS4ERR_BAD_STATEID, wire4_putfh(w, &other), wire4_read(w, OP_READ, &reader, 0, 1));
    if (minor == 2) {
        expect4(w, NFS4ERR_OPENMODE, wire4_putfh(w, &file), wire4_range(w, OP_ALLOCATE, &reader, 0, 1));
        expect4(w, NFS4ERR_OPENMODE, wire4_putfh(w, &file), wire4_range(w, OP_DEALLOCATE, &reader, 0, 1));
        expect4(w, NFS4ERR_BAD_STATEID, wire4_putfh(w, &other), wire4_seek(w, &reader, 0, 0));
        expect4(w, NFS4ERR_OPENMODE, wire4_putfh(w, &other), wire4_savefh(w), wire4_putfh(w, &file),
                wire4_clone(w, &wire4_anonymous, &reader, 0, 0, 0));
        expect4(w, NFS4ERR_BAD_STATEID, wire4_putfh(w, &other), wire4_savefh(w), wire4_putfh(w, &file),
                wire4_clone(w, &reader, &wire4_anonymous, 0, 0, 0));
    }
    old = reader;
    reader = wire4_open_at(w, &owner, &world.top, "s", 2, 0, WIRE4_NOCREATE, NULL);
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_write(w, &reader, 0, 2, "x", 1));
    expect4(w, NFS4ERR_OLD_STATEID, wire4_putfh(w, &file), wire4_read(w, OP_READ, &old, 0, 1));
    if (minor > 0) {
        old.seqid = 0;
        expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_read(w, OP_READ, &old, 0, 1));
    }
    old.seqid = reader.seqid + 1;
    expect4(w, NFS4ERR_BAD_STATEID, wire4_putfh(w, &file), wire4_read(w, OP_READ, &old, 0, 1));
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_close_file(w, &owner, &reader));
    wire4_begin(w);
    wire4_putfh(w, &file);
    wire4_read(w, OP_READ, &reader, 0, 1);
    wire4_send(w);
    assert_true(w->status == NFS4ERR_BAD_STATEID || w->status == NFS4ERR_OLD_STATEID);
}

/* What was opened stays usable for what it was opened for, whatever the mode is by now; a stateid of
 * another's, and none at all, are as good as the mode. */
static void opened_before(void **state)
{
    struct wire4 *user = world.user;
    struct wire4_owner reads = wire4_owner("reads"), writes = wire4_owner("writes");
    struct wire4_handle source = wire4_make_file(w, &world.top, "source", 0666),
                        target = wire4_make_file(w, &world.top, "target", 0666);
    struct wire4_fattr mode = wire4_mode(0600);
    struct wire4_stateid from, to;

    (void)state;
    write_at(&source, 0, bytes, 8192);
    from = wire4_open_at(user, &reads, &world.top, "source", 1, 0, WIRE4_NOCREATE, NULL);
    to = wire4_open_at(user, &writes, &world.top, "target", 2, 0, WIRE4_NOCREATE, NULL);
    expect4(w, NFS4_OK, wire4_putfh(w, &source), wire4_setattr(w, &wire4_anonymous, &mode));
    expect4(w, NFS4_OK, wire4_putfh(w, &target), wire4_setattr(w, &wire4_anonymous, &mode));
    expect4(user, NFS4_OK, wire4_putfh(user, &source), wire4_read(user, OP_READ, &from, 0, 1));
    expect4(user, NFS4_OK, wire4_putfh(user, &target), wire4_write(user, &to, 0, 2, "x", 1));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &source),
            wire4_read(user, OP_READ, &wire4_anonymous, 0, 1));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &target),
            wire4_write(user, &wire4_anonymous, 0, 2, "x", 1));
    if (minor < 2)
        return;
    expect4(user, NFS4_OK, wire4_putfh(user, &source), wire4_seek(user, &from, 0, 0));
    expect4(user, NFS4_OK, wire4_putfh(user, &source), wire4_read(user, OP_READ_PLUS, &from, 0, 100));
    expect4(user, NFS4_OK, wire4_putfh(user, &target), wire4_range(user, OP_ALLOCATE, &to, 0, 4096));
    expect4(user, NFS4_OK, wire4_putfh(user, &source), wire4_savefh(user), wire4_putfh(user, &target),
            wire4_clone(user, &from, &to, 0, 0, 8192));
    assert_holds(&target, 0, bytes, 8192);
    expect4(user, NFS4_OK, wire4_putfh(user, &source), wire4_savefh(user), wire4_putfh(user, &target),
            wire4_copy(user, &from, &to, 0, 8192, 4096));
    expect4(user, NFS4_OK, wire4_putfh(user, &source), wire4_savefh(user), wire4_putfh(user, &target),
            wire4_copy(user, &from, &to, 1, 20000, 4096));
    assert_holds(&target, 20000, bytes + 1, 4096);
    expect4(user, NFS4_OK, wire4_putfh(user, &target), wire4_range(user, OP_DEALLOCATE, &to, 0, 4096));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &source), wire4_seek(user, &wire4_anonymous, 0, 0));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &source), wire4_savefh(user), wire4_putfh(user, &target),
            wire4_clone(user, &wire4_anonymous, &to, 0, 0, 4096));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &source), wire4_savefh(user), wire4_putfh(user, &target),
            wire4_clone(user, &from, &wire4_anonymous, 0, 0, 4096));
}

/* A clone past a deny mode is refused as the READ and the WRITE in its place would be. */
static void cloning_what_is_denied(void **state)
{
    struct wire4_owner denier = wire4_owner("denier"), other = wire4_owner("other");
    struct wire4_handle source = wire4_make_file(w, &world.top, "source", 0666),
                        target = wire4_make_file(w, &world.top, "target", 0666);

    (void)state;
    write_at(&source, 0, bytes, 4096);
    wire4_open_at(world.user, &denier, &world.top, "source", 1, 1, WIRE4_NOCREATE, NULL);
    expect4(w, NFS4ERR_LOCKED, wire4_putfh(w, &source), wire4_savefh(w), wire4_putfh(w, &target),
            wire4_clone(w, &wire4_anonymous, &wire4_anonymous, 0, 0, 4096));
    expect4(w, NFS4_OK, wire4_putfh(w, &target), wire4_savefh(w), wire4_putfh(w, &source),
            wire4_clone(w, &wire4_anonymous, &wire4_anonymous, 0, 0, 0));
    wire4_open_at(world.user, &other, &world.top, "target", 1, 2, WIRE4_NOCREATE, NULL);
    expect4(w, NFS4ERR_LOCKED, wire4_putfh(w, &source), wire4_savefh(w), wire4_putfh(w, &target),
            wire4_clone(w, &wire4_anonymous, &wire4_anonymous, 0, 0, 0));
}

/* ---- holes ---- */

static void assert_seek(const struct wire4_handle *file, uint64_t offset, uint32_t what, uint64_t found,
                        bool eof)
{
    expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_seek(w, &wire4_anonymous, offset, what));
    assert_int_equal(wire4_last(w)->offset, found);
    assert_int_equal(wire4_last(w)->eof, eof);
}

/* Data and holes 4 KiB each, in turns. */
static void seeking(void **state)
{
    enum { GRAIN = 4 * KIB, PIECES = 64 };
    struct wire4_handle file;

    (void)state;
    file = wire4_make_file(w, &world.top, "seek", 0644);
    for (uint64_t i = 1; i < PIECES; i += 2)
        write_at(&file, i * GRAIN, bytes, GRAIN);
    for (uint64_t i = 0; i < PIECES; i++) {
        bool data = i % 2 == 1;

        for (uint64_t at = i * GRAIN; at < (i + 1) * GRAIN; at += 1000) {
            assert_seek(&file, at, 0, data ? at : (i + 1) * GRAIN, false);
            assert_seek(&file, at, 1, data ? (i + 1) * GRAIN : at, data && i + 1 == PIECES);
        }
    }
    expect4(w, NFS4ERR_NXIO, wire4_putfh(w, &file), wire4_seek(w, &wire4_anonymous, PIECES * GRAIN, 0));
    expect4(w, NFS4ERR_NXIO, wire4_putfh(w, &file), wire4_seek(w, &wire4_anonymous, UINT64_MAX, 1));
    expect4(w, NFS4ERR_UNION_NOTSUPP, wire4_putfh(w, &file), wire4_seek(w, &wire4_anonymous, 0, 2));
    /* A hole at the end: there is no data behind (RFC 7862 15.11.3: eof). */
    set_size(&file, (PIECES + 1) * GRAIN);
    assert_seek(&file, PIECES * GRAIN + 1, 0, (PIECES + 1) * GRAIN, true);
    assert_seek(&file, PIECES * GRAIN + 1, 1, PIECES * GRAIN + 1, false);
    /* READ_PLUS sees the same. */
    for (uint64_t i = 0; i < PIECES; i++) {
        expect4(w, NFS4_OK, wire4_putfh(w, &file),
                wire4_read(w, OP_READ_PLUS, &wire4_anonymous, i * GRAIN, 16 * GRAIN));
        assert_int_equal(wire4_last(w)->count, 1);
        assert_int_equal(wire4_last(w)->hole, i % 2 == 0);
        assert_int_equal(wire4_last(w)->offset, i * GRAIN);
        assert_int_equal(i % 2 == 0 ? wire4_last(w)->hole_length : wire4_last(w)->length, GRAIN);
        if (i % 2)
            assert_memory_equal(wire4_last(w)->data, bytes, GRAIN);
    }
}

static void allocating(void **state)
{
    struct wire4_handle file;
    uint64_t used;

    (void)state;
    file = wire4_make_file(w, &world.top, "alloc", 0644);
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_range(w, OP_ALLOCATE, &wire4_anonymous, 0, MIB));
    assert_int_equal(size_of(&file), MIB);
    used = used_of(&file);
    assert_true(used >= MIB);
    /* Again it costs nothing; what is written keeps its bytes. */
    write_at(&file, 8192, "kept", 4);
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_range(w, OP_ALLOCATE, &wire4_anonymous, 0, MIB));
    assert_true(used_of(&file) <= used + 8192);
    assert_holds(&file, 8192, "kept", 4);
    assert_int_equal(size_of(&file), MIB);
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &file), wire4_range(w, OP_ALLOCATE, &wire4_anonymous, 0, 0));
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &file),
            wire4_range(w, OP_ALLOCATE, &wire4_anonymous, UINT64_MAX, 2));
    wire4_begin(w);
    wire4_putfh(w, &file);
    wire4_range(w, OP_ALLOCATE, &wire4_anonymous, MAX_SIZE, 4096);
    wire4_send(w);
    assert_true(w->status == NFS4ERR_FBIG || w->status == NFS4ERR_INVAL);
    assert_int_equal(size_of(&file), MIB);
}

static void no_room_to_allocate(void **state)
{
    struct wire4_handle file;

    (void)state;
    file = wire4_make_file(w, &world.top, "full", 0644);
    /* More than the disk has. */
    expect4(w, NFS4ERR_NOSPC, wire4_putfh(w, &file),
            wire4_range(w, OP_ALLOCATE, &wire4_anonymous, 0, (uint64_t)1 << 41));
    assert_int_equal(size_of(&file), 0);
    assert_int_equal(used_of(&file), 0);
    expect4(w, NFS4_OK, wire4_putfh(w, &file),
            wire4_range(w, OP_ALLOCATE, &wire4_anonymous, 0, (uint64_t)1 << 30));
    expect4(w, NFS4_OK, wire4_putfh(w, &file),
            wire4_range(w, OP_DEALLOCATE, &wire4_anonymous, 0, (uint64_t)1 << 30));
    assert_int_equal(used_of(&file), 0);
}

static void deallocating(void **state)
{
    struct wire4_handle file;
    uint8_t zeros[3 * 4096] = {0};
    uint64_t used;

    (void)state;
    file = wire4_make_file(w, &world.top, "punch", 0644);
    write_at(&file, 0, bytes, MIB);
    used = used_of(&file);
    expect4(w, NFS4_OK, wire4_putfh(w, &file),
            wire4_range(w, OP_DEALLOCATE, &wire4_anonymous, 4096, 3 * 4096));
    assert_holds(&file, 4096, zeros, sizeof zeros);
    assert_holds(&file, 0, bytes, 4096);
    assert_holds(&file, 4 * 4096, bytes + 4 * 4096, 4096);
    assert_int_equal(size_of(&file), MIB);
    assert_seek(&file, 4096, 0, 4 * 4096, false);
    assert_seek(&file, 0, 1, 4096, false);
    assert_int_equal(used_of(&file), used - 3 * 4096);
    /* Unaligned: zeros to the byte. */
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_range(w, OP_DEALLOCATE, &wire4_anonymous, 100001, 7777));
    assert_holds(&file, 100001, zeros, 7777);
    assert_holds(&file, 100000, bytes + 100000, 1);
    assert_holds(&file, 107778, bytes + 107778, 1);
    /* Over the end the size stays. */
    expect4(w, NFS4_OK, wire4_putfh(w, &file),
            wire4_range(w, OP_DEALLOCATE, &wire4_anonymous, MIB / 2, UINT64_MAX - MIB));
    assert_int_equal(size_of(&file), MIB);
    assert_true(used_of(&file) <= used - MIB / 2);
    expect4(w, NFS4_OK, wire4_putfh(w, &file),
            wire4_range(w, OP_DEALLOCATE, &wire4_anonymous, (uint64_t)2 * MIB, 4096));
    assert_int_equal(size_of(&file), MIB);
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &file), wire4_range(w, OP_DEALLOCATE, &wire4_anonymous, 0, 0));
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &file),
            wire4_range(w, OP_DEALLOCATE, &wire4_anonymous, 2, UINT64_MAX));
}

/* ---- CLONE and COPY ---- */

struct copy_case {
    uint64_t from, to, length;
    uint32_t clone, copy; /* statuses */
};
enum { SOURCE_SIZE = 300 * KIB + 100 };
static const struct copy_case copy_cases[] = {
    {0, 0, 0, NFS4_OK, NFS4_OK}, /* to the end */
    {0, 0, SOURCE_SIZE, NFS4_OK, NFS4_OK},
    {4096, 8192, 4096, NFS4_OK, NFS4_OK},
    {128 * KIB, 0, 128 * KIB, NFS4_OK, NFS4_OK},
    {64 * KIB, 128 * KIB, 152 * KIB, NFS4_OK, NFS4_OK},
    {0, 1 << 20, 4096, NFS4_OK, NFS4_OK},
    {1, 0, 4096, NFS4ERR_INVAL, NFS4_OK},
    {0, 1, 4096, NFS4ERR_INVAL, NFS4_OK},
    {0, 0, 5000, NFS4ERR_INVAL, NFS4_OK}, /* ends within a block that is not the last */
    {100, 7000, 200 * KIB, NFS4ERR_INVAL, NFS4_OK},
    {0, 0, SOURCE_SIZE + 1, NFS4ERR_INVAL, NFS4ERR_INVAL},
    {SOURCE_SIZE + 1, 0, 0, NFS4ERR_INVAL, NFS4ERR_INVAL},
    {UINT64_MAX, 0, 4096, NFS4ERR_INVAL, NFS4ERR_INVAL},
    {0, UINT64_MAX, 4096, NFS4ERR_FBIG, NFS4ERR_INVAL},
    {UINT64_MAX - 4095, UINT64_MAX - 4095, 4096, NFS4ERR_INVAL, NFS4ERR_INVAL},
};

static void run_copy_case(const struct copy_case *row, bool clone, const struct wire4_handle *source)
{
    static uint8_t want[2 * MIB];
    struct wire4_handle target = wire4_make_file(w, &world.top, "target", 0644);
    uint64_t length = row->length == 0 ? SOURCE_SIZE - row->from : row->length, done = 0, size = 200 * KIB;
    uint32_t status = clone ? row->clone : row->copy;

    memset(want, 0, sizeof want);
    memset(want, 'o', 200 * KIB);
    write_at(&target, 0, want, 200 * KIB);
    do {
        wire4_begin(w);
        wire4_putfh(w, source);
        wire4_savefh(w);
        wire4_putfh(w, &target);
        if (clone)
            wire4_clone(w, &wire4_anonymous, &wire4_anonymous, row->from, row->to, row->length);
        else
            wire4_copy(w, &wire4_anonymous, &wire4_anonymous, row->from + done, row->to + done,
                       row->length == 0 ? 0 : length - done);
        assert_int_equal(wire4_send(w), status);
        if (status == NFS4_OK && !clone)
            assert_true(wire4_last(w)->count > 0 && wire4_last(w)->count <= length - done);
        done += status != NFS4_OK || clone ? length : wire4_last(w)->count;
    } while (done < length);
    if (status == NFS4_OK) {
        memcpy(want + row->to, bytes + row->from, length);
        if (row->to + length > size)
            size = row->to + length;
    }
    assert_int_equal(size_of(&target), size);
    for (uint64_t at = 0; at < size; at += MIB)
        assert_holds(&target, at, want + at, (uint32_t)(size - at < MIB ? size - at : MIB));
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_name(w, OP_REMOVE, "target", 6));
}

static void copying(void **state)
{
    struct wire4_handle source;

    (void)state;
    source = wire4_make_file(w, &world.top, "source", 0644);
    write_at(&source, 0, bytes, SOURCE_SIZE);
    for (size_t i = 0; i < sizeof copy_cases / sizeof *copy_cases; i++) {
        print_message("case %zu\n", i);
        run_copy_case(&copy_cases[i], true, &source);
        run_copy_case(&copy_cases[i], false, &source);
    }
    assert_holds(&source, 0, bytes, SOURCE_SIZE);
}

/* Within one file: apart it works, where ranges overlap it is INVAL. */
static void copying_within(void **state)
{
    struct wire4_handle file;

    (void)state;
    file = wire4_make_file(w, &world.top, "within", 0644);
    write_at(&file, 0, bytes, 256 * KIB);
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_savefh(w),
            wire4_clone(w, &wire4_anonymous, &wire4_anonymous, 0, 128 * KIB, 64 * KIB));
    assert_holds(&file, 128 * KIB, bytes, 64 * KIB);
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_savefh(w),
            wire4_copy(w, &wire4_anonymous, &wire4_anonymous, 4096, 200 * KIB, 5000));
    assert_holds(&file, 200 * KIB, bytes + 4096, 5000);
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &file), wire4_savefh(w),
            wire4_clone(w, &wire4_anonymous, &wire4_anonymous, 0, 4096, 8192));
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &file), wire4_savefh(w),
            wire4_clone(w, &wire4_anonymous, &wire4_anonymous, 4096, 0, 8192));
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &file), wire4_savefh(w),
            wire4_copy(w, &wire4_anonymous, &wire4_anonymous, 0, 4096, 8192));
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &file), wire4_savefh(w),
            wire4_copy(w, &wire4_anonymous, &wire4_anonymous, 4096, 0, 8192));
}

/* Other exports, other servers. */
static void copying_elsewhere(void **state)
{
    struct vfs_export_config exports[] = {nfsworld_export("a"), nfsworld_export("b")};
    struct wire4_handle other, top;

    (void)state;
    nfsworld_set_exports(world.world, exports, 2);
    top = wire4_walk(w, "b");
    other = wire4_make_file(w, &top, "f", 0644);
    expect4(w, NFS4ERR_XDEV, wire4_putfh(w, &world.objects[N4_FILE]), wire4_savefh(w), wire4_putfh(w, &other),
            wire4_clone(w, &wire4_anonymous, &wire4_anonymous, 0, 0, 0));
    expect4(w, NFS4ERR_XDEV, wire4_putfh(w, &world.objects[N4_FILE]), wire4_savefh(w), wire4_putfh(w, &other),
            wire4_copy(w, &wire4_anonymous, &wire4_anonymous, 0, 0, 0));
    wire4_begin(w);
    wire4_putfh(w, &other);
    wire4_savefh(w);
    wire4_copy(w, &wire4_anonymous, &wire4_anonymous, 0, 0, 0);
    writer_truncate(&w->request, w->request.length - 4);
    writer_be32(&w->request, 1); /* a server: netloc4 of type URL */
    writer_be32(&w->request, 2);
    writer_xdr_opaque(&w->request, "nfs://x/", 8);
    assert_int_equal(wire4_send(w), NFS4ERR_NOTSUPP);
}

/* A clone shares its blocks until one of both is written to; DEALLOCATE and removal give space back. */
static void sharing(void **state)
{
    struct wire4_handle source, clone;
    uint64_t before, with_source;

    (void)state;
    source = wire4_make_file(w, &world.top, "one", 0644);
    clone = wire4_make_file(w, &world.top, "two", 0644);
    before = wire4_attrs_of(w, &world.top, wire4_bits(1, FATTR4_SPACE_FREE)).space_free;
    for (uint64_t at = 0; at < 8 * (uint64_t)MIB; at += MIB)
        write_at(&source, at, bytes + at / MIB, MIB);
    with_source = wire4_attrs_of(w, &world.top, wire4_bits(1, FATTR4_SPACE_FREE)).space_free;
    assert_true(before - with_source >= 8 * MIB - 64 * KIB);
    expect4(w, NFS4_OK, wire4_putfh(w, &source), wire4_savefh(w), wire4_putfh(w, &clone),
            wire4_clone(w, &wire4_anonymous, &wire4_anonymous, 0, 0, 0));
    assert_int_equal(size_of(&clone), 8 * MIB);
    assert_true(with_source - wire4_attrs_of(w, &world.top, wire4_bits(1, FATTR4_SPACE_FREE)).space_free <=
                256 * KIB);
    /* A change in one is not seen in the other. */
    write_at(&clone, MIB, "changed", 7);
    assert_holds(&source, MIB, bytes + 1, 7);
    assert_holds(&clone, MIB, "changed", 7);
    write_at(&source, 2 * MIB, "changed", 7);
    assert_holds(&clone, 2 * MIB, bytes + 2, 7);
    expect4(w, NFS4_OK, wire4_putfh(w, &source), wire4_range(w, OP_DEALLOCATE, &wire4_anonymous, 0, 8 * MIB));
    assert_holds(&clone, 3 * MIB, bytes + 3, MIB);
    assert_int_equal(used_of(&source), 0);
}

static uint64_t stored_bytes(void)
{
    struct store_space space;

    store_space(world.world->store, &space);
    return space.stored_bytes;
}

/* 10 GiB in pieces all over: a clone takes less than 50 ms, at the best of a few times, and no space. */
static void cloning_10_gib(void **state)
{
    enum { CLONES = 5, MOST_MS = 50 };
    const uint64_t step = (uint64_t)32 * MIB, size = (uint64_t)10 << 30;
    struct wire4_handle source, clone;
    uint64_t before = 0, best_ns = UINT64_MAX;
    char name[] = "clone 0";

    (void)state;
    source = wire4_make_file(w, &world.top, "10 GiB", 0644);
    for (uint64_t at = 0; at < size; at += step)
        write_at(&source, at + at / step * 4096, bytes, 64 * KIB);
    set_size(&source, size);
    for (int i = 0; i < CLONES; i++) {
        uint64_t begin_ns;

        name[6] = (char)('0' + i);
        clone = wire4_make_file(w, &world.top, name, 0644);
        begin_ns = clock_monotonic_ns();
        expect4(w, NFS4_OK, wire4_putfh(w, &source), wire4_savefh(w), wire4_putfh(w, &clone),
                wire4_clone(w, &wire4_anonymous, &wire4_anonymous, 0, 0, 0));
        if (i == 0)
            before = stored_bytes(); /* the first one has what was written find its place */
        if (clock_monotonic_ns() - begin_ns < best_ns)
            best_ns = clock_monotonic_ns() - begin_ns;
        assert_int_equal(size_of(&clone), size);
        assert_holds(&clone, size - step + (size / step - 1) * 4096, bytes, 64 * KIB);
    }
    print_message("a clone of 10 GiB: %llu us\n", (unsigned long long)best_ns / 1000);
    assert_true(best_ns / 1000000 < MOST_MS);
    assert_true(before > 0 && stored_bytes() <= before + CLONES * 128 * KIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reading, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stateids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(opened_before, set_up, tear_down),
    };
    const struct CMUnitTest tests_of_4_2[] = {
        cmocka_unit_test_setup_teardown(seeking, set_up, tear_down),
        cmocka_unit_test_setup_teardown(allocating, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_room_to_allocate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deallocating, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copying, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copying_within, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copying_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cloning_what_is_denied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sharing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cloning_10_gib, set_up, tear_down),
    };
    int failed = 0;

    for (minor = 0; minor <= 2; minor++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    minor = 2;
    failed += cmocka_run_group_tests(tests_of_4_2, NULL, NULL);
    return failed;
}
