/*
 * event.c - telling listeners inside the process what was changed.
 *
 * Told at the end of the operation that made the change, when nothing can fail any more, in the order in
 * which they were added. A listener takes notes; it may remove itself, and calls nothing of this room.
 */
#include "vfs/vfs_priv.h"

void vfs_listener_add(struct vfs *vfs, struct vfs_listener *listener)
{
    vfs__where_open(vfs);
    listener->vfs = vfs;
    if (listener->cookies)
        vfs->cookie_listeners++;
    list_push_back(&vfs->listeners, &listener->link);
}

void vfs_listener_remove(struct vfs_listener *listener)
{
    if (listener->cookies && listener->vfs != NULL)
        listener->vfs->cookie_listeners--;
    listener->vfs = NULL;
    list_remove(&listener->link);
}

uint64_t vfs__event_cookie(const struct vfs *vfs, struct inode *dir, struct store_name name)
{
    uint64_t cookie;

    return vfs->cookie_listeners > 0 && dir_cookie(dir, name, &cookie) == ERR_OK ? cookie : 0;
}

static bool any_entry(void *data, const struct dirent *entry)
{
    (void)entry;
    *(bool *)data = true;
    return false;
}

enum err vfs_entry_before(struct inode *dir, uint64_t cookie, uint64_t *cookie_r,
                          uint8_t name_r[STORE_NAME_MAX], size_t *length_r, bool *last_r)
{
    bool any = false, end;
    enum err err = dir_scan(dir, cookie, any_entry, &any, &end);

    if (err != ERR_OK)
        return err;
    *last_r = !any;
    return dir_previous(dir, cookie, cookie_r, name_r, length_r);
}

static void tell(struct vfs *vfs, const struct vfs_event *event)
{
    struct list *link, *following;

    list_for_each_safe(link, following, &vfs->listeners)
    {
        struct vfs_listener *listener = container_of(link, struct vfs_listener, link);

        if ((listener->kinds & (unsigned)event->kind) != 0)
            listener->event(listener, event);
    }
}

void vfs__event_inode(struct vfs *vfs, uint64_t source, enum vfs_event_kind kind, struct inode *inode)
{
    if (!list_is_empty(&vfs->listeners))
        tell(vfs, &(struct vfs_event){.kind = kind, .inode = inode, .source = source});
}

void vfs__event_attributes(const struct vfs_context *context, struct inode *inode,
                           const struct vfs_setattr *set)
{
    struct vfs_event event = {.inode = inode,
                              .source = context->event_source,
                              .by = context->grants.client,
                              .set = set->set,
                              .atime_set = set->atime_how != VFS_TIME_KEEP,
                              .mtime_set = set->mtime_how != VFS_TIME_KEEP};

    if (list_is_empty(&context->vfs->listeners))
        return;
    event.kind = VFS_EVENT_DATA;
    if (set->set & VFS_SET_SIZE)
        tell(context->vfs, &event);
    event.kind = VFS_EVENT_ATTRIBUTES;
    if (event.atime_set || event.mtime_set || (set->set & ~(unsigned)VFS_SET_SIZE) != 0)
        tell(context->vfs, &event);
}

void vfs__event_created(struct vfs_context *context, struct inode *dir, struct store_name name,
                        struct inode *inode)
{
    vfs__where_note(context->vfs, dir, name, inode);
    if (!list_is_empty(&context->vfs->listeners))
        tell(context->vfs, &(struct vfs_event){.kind = VFS_EVENT_CREATED,
                                               .inode = inode,
                                               .dir = dir,
                                               .name = name,
                                               .cookie = vfs__event_cookie(context->vfs, dir, name),
                                               .by = context->dir_grants.client,
                                               .source = context->event_source});
}

void vfs__event_name(struct vfs_context *context, const struct vfs_event *event)
{
    struct vfs_event whole = *event;

    if (event->kind == VFS_EVENT_RENAMED)
        vfs__where_note(context->vfs, event->other_dir, event->other_name, event->inode);
    if (list_is_empty(&context->vfs->listeners))
        return;
    whole.source = context->event_source;
    whole.by = context->dir_grants.client;
    tell(context->vfs, &whole);
}
