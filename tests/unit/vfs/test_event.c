/*
 * test_event.c - listeners are told of every change, once, after it was made; and of nothing that failed.
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

enum { NOTES = 8 };

struct notes {
    struct vfs_listener listener;
    unsigned count;
    struct vfs_event events[NOTES];
    char names[NOTES][8], other_names[NOTES][8];
};

static void copy_name(char *to, struct store_name name)
{
    assert_true(name.length < 8);
    if (name.length != 0)
        memcpy(to, name.bytes, name.length);
    to[name.length] = '\0';
}

static void take_note(struct vfs_listener *listener, const struct vfs_event *event)
{
    struct notes *notes = container_of(listener, struct notes, listener);

    assert_true(notes->count < NOTES);
    notes->events[notes->count] = *event;
    copy_name(notes->names[notes->count], event->name);
    copy_name(notes->other_names[notes->count], event->other_name);
    notes->count++;
    /* It was made already. */
    if (event->kind == VFS_EVENT_CREATED)
        assert_true(world_has(&world, event->dir, notes->names[notes->count - 1]));
    if (event->kind == VFS_EVENT_REMOVED && notes->count == 1 && event->other_dir == NULL)
        assert_non_null(event->inode);
}

static void expect(struct notes *notes, unsigned count, ...)
{
    va_list kinds;

    va_start(kinds, count);
    assert_int_equal(notes->count, count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(notes->events[i].kind, va_arg(kinds, int));
        assert_int_equal(notes->events[i].source, 77);
    }
    va_end(kinds);
    notes->count = 0;
}

static void every_change(void **state)
{
    struct notes notes = {.listener = {.kinds = 63, .event = take_note}};
    struct vfs_context context = world.root;
    struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_UNCHECKED};
    struct vfs_setattr set = {.set = VFS_SET_MODE, .mode = 0600};
    struct vfs_setattr size = {.set = VFS_SET_SIZE, .size = 10};
    struct inode *inode, *again, *dir;
    bool created;

    (void)state;
    context.event_source = 77;
    dir = world_make(&world, NULL, "dir", INODE_DIRECTORY, 0755, 0, 0);
    vfs_listener_add(world.vfs, &notes.listener);

    assert_int_equal(vfs_create(&context, world.top, world_name("a"), &create, &inode, &created), ERR_OK);
    assert_ptr_equal(notes.events[0].inode, inode);
    assert_ptr_equal(notes.events[0].dir, world.top);
    assert_string_equal(notes.names[0], "a");
    expect(&notes, 1, VFS_EVENT_CREATED);
    /* Opening it is no change, truncating it is. */
    assert_int_equal(vfs_create(&context, world.top, world_name("a"), &create, &again, &created), ERR_OK);
    vfs_unref(&again);
    expect(&notes, 0);
    create.set.set = VFS_SET_SIZE;
    assert_int_equal(vfs_create(&context, world.top, world_name("a"), &create, &again, &created), ERR_OK);
    vfs_unref(&again);
    expect(&notes, 1, VFS_EVENT_DATA);

    assert_int_equal(vfs_setattr(&context, inode, &set, NULL, false), ERR_OK);
    assert_ptr_equal(notes.events[0].inode, inode);
    expect(&notes, 1, VFS_EVENT_ATTRIBUTES);
    assert_int_equal(vfs_setattr(&context, inode, &size, NULL, false), ERR_OK);
    expect(&notes, 1, VFS_EVENT_DATA);
    size.set |= VFS_SET_MODE;
    assert_int_equal(vfs_setattr(&context, inode, &size, NULL, false), ERR_OK);
    expect(&notes, 2, VFS_EVENT_DATA, VFS_EVENT_ATTRIBUTES);
    assert_int_equal(world_write(&world, &context, inode, 0, "x", 1, VFS_IO_OPEN_HANDLE), ERR_OK);
    expect(&notes, 1, VFS_EVENT_DATA);
    assert_int_equal(world_write(&world, &context, inode, 0, "x", 0, VFS_IO_OPEN_HANDLE), ERR_OK);
    expect(&notes, 0);
    assert_int_equal(vfs_allocate(&context, inode, 0, 8192, false, VFS_IO_OPEN_HANDLE), ERR_OK);
    expect(&notes, 1, VFS_EVENT_DATA);
    assert_int_equal(vfs_deallocate(&context, inode, 0, 4096, VFS_IO_OPEN_HANDLE), ERR_OK);
    expect(&notes, 1, VFS_EVENT_DATA);
    assert_int_equal(vfs_xattr_set(&context, inode, world_name("k"), "v", 1, XATTR_EITHER), ERR_OK);
    expect(&notes, 1, VFS_EVENT_XATTRS);
    assert_int_equal(vfs_xattr_remove(&context, inode, world_name("k")), ERR_OK);
    expect(&notes, 1, VFS_EVENT_XATTRS);

    assert_int_equal(vfs_link(&context, inode, dir, world_name("b")), ERR_OK);
    assert_string_equal(notes.names[0], "b");
    assert_ptr_equal(notes.events[0].dir, dir);
    expect(&notes, 1, VFS_EVENT_CREATED);
    assert_int_equal(vfs_rename(&context, dir, world_name("b"), dir, world_name("c"), false), ERR_OK);
    assert_string_equal(notes.names[0], "b");
    assert_string_equal(notes.other_names[0], "c");
    assert_ptr_equal(notes.events[0].inode, inode);
    expect(&notes, 1, VFS_EVENT_RENAMED);
    assert_int_equal(vfs_rename(&context, world.top, world_name("a"), dir, world_name("c"), false), ERR_OK);
    expect(&notes, 0); /* two names of one file */
    again = world_make(&world, dir, "d", INODE_FILE, 0644, 0, 0);
    notes.count = 0;
    assert_int_equal(vfs_rename(&context, world.top, world_name("a"), dir, world_name("d"), false), ERR_OK);
    assert_ptr_equal(notes.events[0].inode, again); /* it made room */
    assert_string_equal(notes.names[0], "d");
    assert_ptr_equal(notes.events[1].dir, world.top);
    assert_ptr_equal(notes.events[1].other_dir, dir);
    expect(&notes, 2, VFS_EVENT_REMOVED, VFS_EVENT_RENAMED);
    assert_int_equal(vfs_remove(&context, dir, world_name("d"), VFS_REMOVE_ANY), ERR_OK);
    assert_ptr_equal(notes.events[0].inode, inode);
    expect(&notes, 1, VFS_EVENT_REMOVED);
    vfs_unref(&again);
    vfs_unref(&inode);
    vfs_unref(&dir);
    vfs_listener_remove(&notes.listener);
    world_remove_all(&world, NULL, "dir");
    assert_int_equal(notes.count, 0);
}

static void failures_are_none(void **state)
{
    struct notes notes = {.listener = {.kinds = 63, .event = take_note}};
    struct inode *dir = world_make(&world, NULL, "dir", INODE_DIRECTORY, 0755, 0, 0), *inode;
    struct inode *file = world_make(&world, dir, "f", INODE_FILE, 0644, 0, 0);
    struct vfs_context user = world_as(&world, 1000, 1000);
    struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_GUARDED};
    struct vfs_setattr set = {.set = VFS_SET_MODE};
    bool created;

    (void)state;
    vfs_listener_add(world.vfs, &notes.listener);
    assert_int_equal(vfs_create(&user, dir, world_name("a"), &create, &inode, &created), ERR_ACCES);
    assert_int_equal(vfs_create(&world.root, dir, world_name("f"), &create, &inode, &created), ERR_EXIST);
    assert_int_equal(vfs_setattr(&user, file, &set, NULL, false), ERR_PERM);
    assert_int_equal(vfs_remove(&user, dir, world_name("f"), VFS_REMOVE_ANY), ERR_ACCES);
    assert_int_equal(vfs_remove(&world.root, world.top, world_name("dir"), VFS_REMOVE_ANY), ERR_NOTEMPTY);
    assert_int_equal(vfs_rename(&world.root, dir, world_name("f"), world.top, world_name("dir"), false),
                     ERR_ISDIR);
    assert_int_equal(vfs_link(&world.root, file, dir, world_name("f")), ERR_EXIST);
    assert_int_equal(world_write(&world, &user, file, 0, "x", 1, VFS_IO_CHECK_MODE), ERR_ACCES);
    assert_int_equal(vfs_xattr_remove(&world.root, file, world_name("k")), ERR_NOXATTR);
    assert_int_equal(notes.count, 0);
    vfs_listener_remove(&notes.listener);
    vfs_unref(&file);
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "dir");
}

static void remove_itself(struct vfs_listener *listener, const struct vfs_event *event)
{
    (void)event;
    container_of(listener, struct notes, listener)->count++;
    vfs_listener_remove(listener);
}

/* Each gets the kinds that it asked for, also when one before it goes away meanwhile. */
static void kinds_and_removal(void **state)
{
    struct notes once = {.listener = {.kinds = 63, .event = remove_itself}};
    struct notes attributes = {.listener = {.kinds = VFS_EVENT_ATTRIBUTES, .event = take_note}};
    struct notes names = {.listener = {.kinds = VFS_EVENT_CREATED | VFS_EVENT_REMOVED, .event = take_note}};
    struct inode *inode;

    (void)state;
    vfs_listener_add(world.vfs, &once.listener);
    vfs_listener_add(world.vfs, &attributes.listener);
    vfs_listener_add(world.vfs, &names.listener);
    inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 0, 0);
    world_chmod(&world, inode, 0600);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
    assert_int_equal(once.count, 1);
    assert_int_equal(attributes.count, 1);
    assert_int_equal(names.count, 2);
    vfs_listener_remove(&names.listener);
    vfs_listener_remove(&attributes.listener);
    vfs_listener_remove(&attributes.listener); /* twice does no harm */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_change),
        cmocka_unit_test(failures_are_none),
        cmocka_unit_test(kinds_and_removal),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
