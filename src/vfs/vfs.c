/*
 * vfs.c - start and stop of the room, and waiting for durability.
 *
 * The room owns the exports and the list of listeners; the store and the loop are the caller's. It keeps no
 * inode between two calls: whoever got one from here gives it back.
 */
#include "vfs/vfs_priv.h"

#include "dittofs/log.h"
#include <stdlib.h>
#include <string.h>

enum err vfs_open(struct store *store, struct loop *loop, struct vfs **vfs_r)
{
    struct vfs *vfs = calloc(1, sizeof *vfs);
    enum err err;

    if (vfs == NULL)
        return ERR_NOMEM;
    vfs->store = store;
    vfs->loop = loop;
    list_init(&vfs->listeners);
    list_init(&vfs->all_exports);
    /* Above that of every earlier run, as long as exports change less than a million times a second. */
    vfs->exports_generation = (uint64_t)clock_wall().seconds << 20;
    err = store_secret(store, "vfs.handle", vfs->handle_key.bytes, sizeof vfs->handle_key.bytes);
    if (err != ERR_OK) {
        free(vfs);
        return err;
    }
    *vfs_r = vfs;
    return ERR_OK;
}

void vfs_close(struct vfs **vfs)
{
    if (*vfs == NULL)
        return;
    invariant(list_is_empty(&(*vfs)->listeners));
    vfs__exports_free(*vfs);
    vfs__where_close(*vfs);
    explicit_bzero(&(*vfs)->handle_key, sizeof(*vfs)->handle_key);
    free(*vfs);
    *vfs = NULL;
}

struct loop *vfs_loop(struct vfs *vfs)
{
    return vfs->loop;
}

uint64_t vfs_boot_verifier(const struct vfs *vfs)
{
    return store_boot_verifier(vfs->store);
}

struct inode *vfs_ref(struct inode *inode)
{
    return inode_ref(inode);
}

void vfs_unref(struct inode **inode)
{
    inode_unref(inode);
}

enum err vfs_durable(struct vfs_context *context, struct store_waiter *waiter)
{
    if (!context->export->config->sync)
        return ERR_OK;
    if (context->ticket.batch == 0 && context->ticket.position == 0)
        return ERR_OK;
    return store_wait(context->vfs->store, context->ticket, waiter);
}

void vfs_durable_cancel(struct store_waiter *waiter)
{
    store_wait_cancel(waiter);
}
