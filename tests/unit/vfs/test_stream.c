/*
 * test_stream.c - alternate data streams: names, data, rights, events, and their end with their file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfs/vfs_priv.h"
#include "vfsworld.h"
#include <string.h>

static struct world world;

static int start(void **state)
{
    (void)state;
    world_start(&world);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_check_all_freed(&world, 0);
    world_stop(&world);
    return 0;
}

static bool count_one(void *data, struct store_name name, struct inode *stream)
{
    assert_int_equal(inode_attr(stream)->type, INODE_STREAM);
    assert_true(name.length > 0);
    ++*(unsigned *)data;
    return true;
}

static unsigned count(struct inode *file)
{
    unsigned total = 0;

    assert_int_equal(vfs_stream_list(&world.root, file, count_one, &total), ERR_OK);
    return total;
}

static struct inode *make(struct inode *file, const char *name, const char *text)
{
    struct inode *stream;

    assert_int_equal(vfs_stream_create(&world.root, file, world_name(name), &stream), ERR_OK);
    assert_int_equal(world_write(&world, &world.root, stream, 0, text, strlen(text), VFS_IO_OPEN_HANDLE),
                     ERR_OK);
    return stream;
}

static void assert_content(struct inode *stream, const char *text)
{
    char got[100];
    uint32_t length;
    bool eof;

    assert_int_equal(
        world_read(&world, &world.root, stream, 0, got, sizeof got, &length, &eof, VFS_IO_OPEN_HANDLE),
        ERR_OK);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(got, text, length);
}

static void names(void **state)
{
    static const struct {
        const char *name;
        enum err expected;
    } rows[] = {
        {"", ERR_INVAL},         {"a:b", ERR_BADNAME}, {"a/b", ERR_BADNAME},
        {"a\\b", ERR_BADNAME},   {"?<>*|\"", ERR_OK},  {"..", ERR_OK},
        {"\x05 Report", ERR_OK}, {"one", ERR_OK},      {"one", ERR_EXIST},
    };
    struct inode *file = world_make(&world, NULL, "f", INODE_FILE, 0644, 0, 0);
    struct inode *link = world_make(&world, NULL, "l", INODE_SYMLINK, 0777, 0, 0), *stream;
    uint8_t stored[STORE_NAME_MAX];
    size_t length;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum err err = vfs_stream_create(&world.root, file, world_name(rows[i].name), &stream);

        if (err != rows[i].expected)
            fail_msg("\"%s\": %s", rows[i].name, err_name(err));
        if (err == ERR_OK)
            vfs_unref(&stream);
    }
    assert_int_equal(vfs_stream_create(&world.root, link, world_name("s"), &stream), ERR_WRONGTYPE);
    assert_int_equal(vfs_stream_lookup(&world.root, file, world_name("ONE"), &stream, stored, &length),
                     ERR_OK);
    assert_memory_equal(stored, "one", 3);
    vfs_unref(&stream);
    assert_int_equal(vfs_stream_lookup(&world.root, file, world_name("two"), &stream, stored, &length),
                     ERR_NOENT);
    vfs_unref(&file);
    vfs_unref(&link);
    world_remove_all(&world, NULL, "f");
    world_remove_all(&world, NULL, "l");
}

static void data(void **state)
{
    struct inode *file = world_make(&world, NULL, "f", INODE_FILE, 0644, 0, 0), *a, *b;
    struct inode_attr attr;

    (void)state;
    a = make(file, "a", "first");
    b = make(file, "b", "the other");
    vfs_getattr(file, &attr);
    assert_int_equal(attr.size, 0);
    assert_int_equal(vfs_stream_rename(&world.root, file, world_name("a"), world_name("b"), false),
                     ERR_EXIST);
    assert_int_equal(vfs_stream_rename(&world.root, file, world_name("a"), world_name("A"), false), ERR_OK);
    assert_int_equal(vfs_stream_rename(&world.root, file, world_name("A"), world_name("b"), true), ERR_OK);
    assert_int_equal(count(file), 1);
    assert_content(a, "first");
    assert_content(b, "the other"); /* open, and gone with its last user */
    vfs_unref(&b);
    assert_int_equal(vfs_stream_remove(&world.root, file, world_name("a")), ERR_NOENT);
    assert_int_equal(vfs_stream_remove(&world.root, file, world_name("b")), ERR_OK);
    assert_int_equal(count(file), 0);
    vfs_unref(&a);
    vfs_unref(&file);
    world_remove_all(&world, NULL, "f");
}

/* A file's streams go with its last name, those of a directory with the directory, those of what is renamed
 * over with that; crashed or not. */
static void ends(void **state)
{
    for (unsigned crash = 0; crash < 2; crash++) {
        struct inode *file = world_make(&world, NULL, "f", INODE_FILE, 0644, 0, 0);
        struct inode *dir = world_make(&world, NULL, "d", INODE_DIRECTORY, 0755, 0, 0);
        struct inode *over = world_make(&world, NULL, "o", INODE_FILE, 0644, 0, 0), *stream, *open;

        (void)state;
        stream = make(dir, "s", "of a directory");
        vfs_unref(&stream);
        stream = make(over, "s", "of what goes");
        vfs_unref(&stream);
        open = make(file, "s", "text");
        assert_int_equal(vfs_link(&world.root, file, world.top, world_name("g")), ERR_OK);
        assert_int_equal(vfs_remove(&world.root, world.top, world_name("f"), VFS_REMOVE_ANY), ERR_OK);
        assert_int_equal(count(file), 1);
        assert_int_equal(
            vfs_rename(&world.root, world.top, world_name("g"), world.top, world_name("o"), false), ERR_OK);
        assert_int_equal(count(over), 0);
        assert_int_equal(vfs_remove(&world.root, world.top, world_name("o"), VFS_REMOVE_ANY), ERR_OK);
        assert_int_equal(vfs_remove(&world.root, world.top, world_name("d"), VFS_REMOVE_ANY), ERR_OK);
        assert_int_equal(count(file), 0);
        assert_int_equal(inode_attr(open)->nlink, 0);
        assert_content(open, "text");
        assert_int_equal(vfs_stream_create(&world.root, file, world_name("new"), &stream), ERR_STALE);
        assert_int_equal(world_durable(&world, &world.root), ERR_OK);
        vfs_unref(&open);
        vfs_unref(&file);
        vfs_unref(&dir);
        vfs_unref(&over);
        if (crash != 0)
            world_crash(&world, 7);
        world_check_all_freed(&world, 0);
    }
}

static void rights(void **state)
{
    struct vfs_context owner = world_as(&world, 1000, 100), other = world_as(&world, 1001, 101);
    struct inode *file = world_make(&world, NULL, "f", INODE_FILE, 0644, 1000, 100), *stream;

    (void)state;
    assert_int_equal(vfs_stream_create(&other, file, world_name("s"), &stream), ERR_ACCES);
    assert_int_equal(vfs_stream_create(&owner, file, world_name("s"), &stream), ERR_OK);
    vfs_unref(&stream);
    assert_int_equal(vfs_stream_remove(&other, file, world_name("s")), ERR_ACCES);
    assert_int_equal(vfs_stream_rename(&other, file, world_name("s"), world_name("t"), true), ERR_ACCES);
    other.by_handle = true; /* he has it open for writing */
    assert_int_equal(vfs_stream_remove(&other, file, world_name("s")), ERR_OK);
    vfs_unref(&file);
    world_remove_all(&world, NULL, "f");
}

/* What the file lets somebody do now, whatever it did when the stream was made. */
static void rights_of_file(void **state)
{
    static const struct {
        uint32_t mode;
        bool reads, writes;
    } rows[] = {{0644, true, false}, {0600, false, false}, {0622, false, true}, {0666, true, true}};
    struct vfs_context other = world_as(&world, 1001, 101), owner = world_as(&world, 1000, 100);
    struct inode *file = world_make(&world, NULL, "f", INODE_FILE, 0666, 1000, 100), *stream, *found;
    const struct vfs_setattr size = {.set = VFS_SET_SIZE, .size = 4};
    const unsigned both = VFS_ACCESS_READ | VFS_ACCESS_WRITE;
    struct acl_ace ace = {.who = ACL_UID, .id = 1001, .mask = ACL_READ_DATA};
    const struct acl acl = {.count = 1, .aces = &ace};
    uint8_t name[STORE_NAME_MAX];
    size_t length;
    unsigned total = 0;
    uint32_t got;
    char byte;
    bool eof;

    (void)state;
    stream = make(file, "s", "text");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum err reads = rows[i].reads ? ERR_OK : ERR_ACCES, writes = rows[i].writes ? ERR_OK : ERR_ACCES;
        enum err finds = rows[i].reads || rows[i].writes ? ERR_OK : ERR_ACCES;

        world_chmod(&world, file, rows[i].mode);
        assert_int_equal(world_read(&world, &other, stream, 0, &byte, 1, &got, &eof, VFS_IO_CHECK_MODE),
                         reads);
        assert_int_equal(world_read(&world, &other, stream, 0, &byte, 1, &got, &eof, VFS_IO_OPEN_HANDLE),
                         ERR_OK);
        assert_int_equal(world_write(&world, &other, stream, 0, "t", 1, VFS_IO_CHECK_MODE), writes);
        assert_int_equal(vfs_setattr(&other, stream, &size, NULL, false), writes);
        assert_int_equal(vfs_access(&other, stream, both),
                         (rows[i].reads ? VFS_ACCESS_READ : 0) | (rows[i].writes ? VFS_ACCESS_WRITE : 0));
        assert_int_equal(vfs_stream_list(&other, file, count_one, &total), reads);
        assert_int_equal(vfs_stream_lookup(&other, file, world_name("s"), &found, name, &length), finds);
        if (finds == ERR_OK)
            vfs_unref(&found);
    }
    assert_int_equal(vfs_acl_set(&owner, file, &acl), ERR_OK);
    assert_int_equal(vfs_access(&other, stream, both), VFS_ACCESS_READ);
    assert_int_equal(vfs_rights(&other, stream, NULL), ACL_READ_DATA);
    assert_int_equal(vfs_acl_set(&owner, stream, &acl), ERR_WRONGTYPE);
    vfs_unref(&stream);
    vfs_unref(&file);
    world_remove_all(&world, NULL, "f");
}

struct watch {
    struct vfs_listener listener;
    unsigned events;
};

static void on_event(struct vfs_listener *listener, const struct vfs_event *event)
{
    assert_int_equal(event->kind, VFS_EVENT_STREAMS);
    container_of(listener, struct watch, listener)->events++;
}

static void events(void **state)
{
    struct watch watch = {.listener = {.kinds = VFS_EVENT_STREAMS, .event = on_event}};
    struct inode *file = world_make(&world, NULL, "f", INODE_FILE, 0644, 0, 0), *stream;
    struct inode_attr before, after;

    (void)state;
    vfs_listener_add(world.vfs, &watch.listener);
    vfs_getattr(file, &before);
    stream = make(file, "s", "text");
    vfs_getattr(file, &after);
    assert_int_not_equal(before.change, after.change);
    assert_int_equal(watch.events, 1);
    assert_int_equal(vfs_stream_rename(&world.root, file, world_name("s"), world_name("s"), true), ERR_OK);
    assert_int_equal(watch.events, 1);
    assert_int_equal(vfs_stream_rename(&world.root, file, world_name("s"), world_name("t"), true), ERR_OK);
    assert_int_equal(vfs_stream_remove(&world.root, file, world_name("t")), ERR_OK);
    assert_int_equal(watch.events, 3);
    vfs_listener_remove(&watch.listener);
    vfs_unref(&stream);
    vfs_unref(&file);
    world_remove_all(&world, NULL, "f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),  cmocka_unit_test(data),   cmocka_unit_test(ends),
        cmocka_unit_test(rights), cmocka_unit_test(events), cmocka_unit_test(rights_of_file),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
