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
    list_push_back(&vfs->listeners, &listener->link);
}

void vfs_listener_remove(struct vfs_listener *listener)
{
    list_remove(&listener->link);
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

void vfs__event_name(struct vfs_context *context, enum vfs_event_kind kind, struct inode *dir,
                     struct store_name name, struct inode *inode)
{
    if (kind == VFS_EVENT_CREATED)
        vfs__where_note(context->vfs, dir, name, inode);
    if (!list_is_empty(&context->vfs->listeners))
        tell(context->vfs,
             &(struct vfs_event){
                 .kind = kind, .inode = inode, .dir = dir, .name = name, .source = context->event_source});
}

void vfs__event_rename(struct vfs_context *context, struct inode *inode, struct inode *from_dir,
                       struct store_name from, struct inode *to_dir, struct store_name to)
{
    vfs__where_note(context->vfs, to_dir, to, inode);
    if (!list_is_empty(&context->vfs->listeners))
        tell(context->vfs, &(struct vfs_event){.kind = VFS_EVENT_RENAMED,
                                               .inode = inode,
                                               .dir = from_dir,
                                               .other_dir = to_dir,
                                               .name = from,
                                               .other_name = to,
                                               .source = context->event_source});
}
