/*
 * data.c - reading and writing files, their holes, and sharing of ranges.
 *
 * Offsets and lengths come from clients: every sum is checked. A file ends at STORE_FILE_SIZE_MAX at the
 * latest; what would go beyond is ERR_FBIG.
 */
#include "vfs/vfs_priv.h"

#include "dittofs/cursor.h"

/* OFFSET + LENGTH, ERR_FBIG when no file can be so long. */
static enum err range_end(uint64_t offset, uint64_t length, uint64_t *end_r)
{
    uint64_t end;

    if (!add_u64(offset, length, &end) || end > STORE_FILE_SIZE_MAX)
        return ERR_FBIG;
    *end_r = end;
    return ERR_OK;
}

enum err vfs_read(struct vfs_context *context, struct vfs_read *read, enum vfs_io_right right)
{
    struct store_read *store = &read->store;
    uint64_t size = inode_attr(store->inode)->size;
    enum err err = vfs__gate_read(context, store->inode, right);

    if (err == ERR_OK)
        err = vfs__conflict_io(context, store->inode, right, (struct vfs_range){store->offset, store->length},
                               false);
    if (err != ERR_OK)
        return err;
    if (store->length == 0 || store->offset >= size) {
        store->got = 0;
        store->eof = store->offset >= size; /* RFC 8881 18.22.3 */
        return ERR_OK;
    }
    err = store_read(store);
    if (err == ERR_OK || err == ERR_WAIT)
        vfs__touch_atime(context, store->inode);
    return err;
}

/* A write that had to wait for room is done: listeners first, then its caller. */
static void write_done(struct store_write *store, enum err err)
{
    struct vfs_write *write = container_of(store, struct vfs_write, store);

    store->done = write->caller_done;
    if (err == ERR_OK)
        vfs__event_inode(write->vfs, write->event_source, VFS_EVENT_DATA, store->inode);
    store->done(store, err);
}

enum err vfs_write(struct vfs_context *context, struct vfs_write *write, enum vfs_io_right right)
{
    struct store_write *store = &write->store;
    struct inode *inode = store->inode;
    uint32_t mode;
    uint64_t end;
    enum err err = vfs__gate_write(context, inode, right);

    if (err == ERR_OK)
        err = range_end(store->offset, store->data.length, &end);
    if (err == ERR_OK)
        err = vfs__conflict_io(context, inode, right, (struct vfs_range){store->offset, store->data.length},
                               true);
    if (err != ERR_OK || store->data.length == 0)
        return err;
    err = store_write(store);
    if (err != ERR_OK && err != ERR_WAIT)
        return err;
    mode = vfs__mode_after_write(context, inode_attr(inode));
    if (mode != inode_attr(inode)->mode) {
        struct inode_attr *attr = inode_change(inode);

        attr->mode = mode;
        attr->ctime = clock_wall();
    }
    if (err == ERR_OK) {
        vfs__event_inode(context->vfs, context->event_source, VFS_EVENT_DATA, inode);
        return ERR_OK;
    }
    write->vfs = context->vfs;
    write->event_source = context->event_source;
    write->caller_done = store->done;
    store->done = write_done;
    return ERR_WAIT;
}

enum err vfs_commit(struct vfs_context *context, struct inode *inode)
{
    enum err err = vfs__require_file(inode);

    if (err != ERR_OK)
        return err;
    store_ticket_merge(&context->ticket, inode_ticket(inode));
    return ERR_OK;
}

enum err vfs_allocate(struct vfs_context *context, struct inode *inode, uint64_t offset, uint64_t length,
                      bool keep_size, enum vfs_io_right right)
{
    uint64_t end;
    enum err err = vfs__gate_write(context, inode, right);

    if (err == ERR_OK && length == 0)
        err = ERR_INVAL; /* posix_fallocate(3) */
    if (err == ERR_OK)
        err = range_end(offset, length, &end);
    if (err == ERR_OK)
        err = vfs__conflict_io(context, inode, right, (struct vfs_range){offset, length}, true);
    if (err == ERR_OK)
        err = store_allocate(inode, offset, length, keep_size);
    if (err == ERR_OK)
        vfs__data_changed(context, inode);
    return err;
}

enum err vfs_deallocate(struct vfs_context *context, struct inode *inode, uint64_t offset, uint64_t length,
                        enum vfs_io_right right)
{
    uint64_t end, size;
    enum err err = vfs__gate_write(context, inode, right);

    if (err != ERR_OK)
        return err;
    if (length == 0 || !add_u64(offset, length, &end))
        return ERR_INVAL;
    /* RFC 7862 15.4.3: what lies behind the end needs no hole. */
    size = inode_attr(inode)->size;
    if (end > STORE_FILE_SIZE_MAX)
        end = STORE_FILE_SIZE_MAX;
    if (offset >= size && offset >= end)
        return ERR_OK;
    err = vfs__conflict_io(context, inode, right, (struct vfs_range){offset, end - offset}, true);
    if (err != ERR_OK)
        return err;
    err = store_punch(inode, offset, end - offset);
    if (err == ERR_OK)
        vfs__data_changed(context, inode);
    return err;
}

enum err vfs_seek(struct vfs_context *context, struct inode *inode, uint64_t offset, enum store_seek what,
                  enum vfs_io_right right, uint64_t *offset_r)
{
    enum err err = vfs__gate_read(context, inode, right);

    if (err != ERR_OK)
        return err;
    if (offset >= inode_attr(inode)->size)
        return ERR_NXIO; /* RFC 7862 15.11.3 */
    return store_seek(inode, offset, what, offset_r);
}

static bool ranges_overlap(uint64_t a, uint64_t b, uint64_t length)
{
    return a < b ? b - a < length : a - b < length;
}

/* Types and rights, for both ends. */
static enum err clone_check(struct vfs_context *context, const struct vfs_clone_end *source,
                            const struct vfs_clone_end *target)
{
    enum err err = vfs__require_file(source->inode);

    if (err == ERR_OK)
        err = vfs__require_file(target->inode);
    if (err != ERR_OK)
        return err;
    if (inode_attr(source->inode)->tree != inode_attr(target->inode)->tree)
        return ERR_XDEV; /* RFC 7862 15.13.3 */
    err = vfs__gate_read(context, source->inode, source->right);
    return err == ERR_OK ? vfs__gate_write(context, target->inode, target->right) : err;
}

enum err vfs_clone(struct vfs_context *context, struct vfs_clone_end source, struct vfs_clone_end target,
                   uint64_t length)
{
    uint64_t end, size = inode_attr(source.inode)->size;
    enum err err = clone_check(context, &source, &target);

    if (err != ERR_OK)
        return err;
    if (!add_u64(source.offset, length, &end) || end > size)
        return ERR_INVAL;
    if (length == 0)
        length = size - source.offset;
    err = range_end(target.offset, length, &end);
    if (err != ERR_OK)
        return err;
    if (source.inode == target.inode && ranges_overlap(source.offset, target.offset, length))
        return ERR_INVAL;
    if (length == 0)
        return ERR_OK;
    err = vfs__conflict_io(context, source.inode, source.right, (struct vfs_range){source.offset, length},
                           false);
    if (err == ERR_OK)
        err = vfs__conflict_io(context, target.inode, target.right, (struct vfs_range){target.offset, length},
                               true);
    if (err != ERR_OK)
        return err;
    err = store_clone(source.inode, source.offset, target.inode, target.offset, length);
    if (err == ERR_OK)
        vfs__data_changed(context, target.inode);
    return err;
}
