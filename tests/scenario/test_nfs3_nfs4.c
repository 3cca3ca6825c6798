/*
 * test_nfs3_nfs4.c - one file over two protocols: what NFSv4 holds, NFSv3 meets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"
#include <string.h>

enum { NFS3_OK = 0, NFS3ERR_JUKEBOX = 10008, FILE_SYNC = 2 };
enum { ACCESS_READ = 1, ACCESS_BOTH = 3, DENY_NONE = 0, DENY_READ = 1, DENY_WRITE = 2, DENY_BOTH = 3 };

static struct nfs4world world;
static uint32_t minor;

static int set_up(void **state)
{
    (void)state;
    nfs4world_open(&world, minor, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfs4world_close(&world);
    return 0;
}

static struct nfs3_handle as_nfs3(const struct wire4_handle *handle)
{
    struct nfs3_handle same = {.length = handle->length};

    memcpy(same.data, handle->data, handle->length);
    return same;
}

static uint32_t nfs3_read_status(const struct nfs3_handle *file)
{
    struct nfs3_result result;

    assert_int_equal(nfs3_read(world.root_rpc, file, 0, 5, &result), RPCCLIENT_SUCCESS);
    return result.status;
}

static uint32_t nfs3_write_status(const struct nfs3_handle *file)
{
    struct nfs3_result result;

    assert_int_equal(nfs3_write(world.root_rpc, file, 0, "HELLO", 5, FILE_SYNC, &result), RPCCLIENT_SUCCESS);
    return result.status;
}

static uint32_t nfs3_truncate_status(const struct nfs3_handle *file)
{
    struct nfs3_new_attr attr = {.set = NFS3_SET_SIZE, .size = 3};
    struct nfs3_result result;

    assert_int_equal(nfs3_setattr(world.root_rpc, file, &attr, NULL, &result), RPCCLIENT_SUCCESS);
    return result.status;
}

struct deny_case {
    uint32_t access, deny;
    uint32_t read, write; /* what NFSv3 is answered meanwhile */
};
static const struct deny_case deny_cases[] = {
    {ACCESS_READ, DENY_NONE, NFS3_OK, NFS3_OK},
    {ACCESS_READ, DENY_READ, NFS3ERR_JUKEBOX, NFS3_OK},
    {ACCESS_READ, DENY_WRITE, NFS3_OK, NFS3ERR_JUKEBOX},
    {ACCESS_BOTH, DENY_BOTH, NFS3ERR_JUKEBOX, NFS3ERR_JUKEBOX},
};

/* The file's size is 11 before each case, so a truncation that was done is seen. */
static void run_deny_case(const struct deny_case *row, struct wire4_owner *owner)
{
    struct nfs3_handle file = as_nfs3(&world.objects[N4_FILE]);
    struct wire4_stateid stateid =
        wire4_open_at(world.user, owner, &world.top, "file", row->access, row->deny, WIRE4_NOCREATE, NULL);

    assert_int_equal(nfs3_read_status(&file), row->read);
    assert_int_equal(nfs3_write_status(&file), row->write);
    assert_int_equal(nfs3_truncate_status(&file), row->write);
    /* The holder itself is not in its own way. */
    wire4_begin(world.user);
    wire4_putfh(world.user, &world.objects[N4_FILE]);
    wire4_read(world.user, OP_READ, &stateid, 0, 5);
    assert_int_equal(wire4_send(world.user), NFS4_OK);
    /* Another NFSv4 client without an open of its own. */
    wire4_begin(world.root);
    wire4_putfh(world.root, &world.objects[N4_FILE]);
    wire4_write(world.root, &wire4_anonymous, 0, FILE_SYNC, "x", 1);
    assert_int_equal(wire4_send(world.root), row->write == NFS3_OK ? NFS4_OK : NFS4ERR_LOCKED);

    wire4_begin(world.user);
    wire4_putfh(world.user, &world.objects[N4_FILE]);
    wire4_close_file(world.user, owner, &stateid);
    assert_int_equal(wire4_send(world.user), NFS4_OK);
    assert_int_equal(nfs3_read_status(&file), NFS3_OK);
    assert_int_equal(nfs3_write_status(&file), NFS3_OK);
    assert_int_equal(nfs3_truncate_status(&file), NFS3_OK);
}

static void deny_modes_hold_for_nfs3(void **state)
{
    struct wire4_owner owner = wire4_owner("denier"); /* in 4.0 its sequence goes on */

    (void)state;
    for (size_t i = 0; i < sizeof deny_cases / sizeof *deny_cases; i++)
        run_deny_case(&deny_cases[i], &owner);
}

static void both_see_the_same_at_once(void **state)
{
    struct nfs3_handle file = as_nfs3(&world.objects[N4_FILE]);
    struct nfs3_result written;
    struct wire4_attrs attrs;

    (void)state;
    assert_int_equal(nfs3_write(world.root_rpc, &file, 20, "far", 3, FILE_SYNC, &written), RPCCLIENT_SUCCESS);
    attrs = wire4_attrs_of(world.user, &world.objects[N4_FILE],
                           wire4_bits(3, FATTR4_CHANGE, FATTR4_SIZE, FATTR4_FILEID));
    assert_int_equal(attrs.size, 23);
    assert_int_equal(attrs.fileid, written.wcc.after.fileid);
    wire4_begin(world.user);
    wire4_putfh(world.user, &world.objects[N4_FILE]);
    wire4_read(world.user, OP_READ, &wire4_anonymous, 0, 100);
    assert_int_equal(wire4_send(world.user), NFS4_OK);
    assert_int_equal(wire4_last(world.user)->length, 23);
    assert_memory_equal(wire4_last(world.user)->data + 20, "far", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(deny_modes_hold_for_nfs3, set_up, tear_down),
        cmocka_unit_test_setup_teardown(both_see_the_same_at_once, set_up, tear_down),
    };
    int failed = 0;

    for (minor = 0; minor <= 2; minor++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
