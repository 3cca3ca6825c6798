/*
 * nfs4_notice.c - CB_NOTIFY (RFC 8881 20.4): changes of a directory, told to who has its delegation and asked
 * to be told (GET_DIR_DELEGATION).
 *
 * The happy path: vfs tells its listener here of a change; the notices of the directory put it into their
 * queues as it goes on the wire, with cookies and attributes as they are at that moment; at the end of the
 * turn the queue is sent, as many as fit in one call, one call at a time, so that they arrive in order.
 * Changes of attributes are collected, and put into the queue when the time that the client asked for is
 * over. The changer does not wait for any of it.
 *
 * What can't be told is made good by a recall: a queue that is full, no memory, a client that does not take
 * the call, or answers that it can't do anything with it. The kinds of change that the client did not ask for
 * recall the delegation before they are made (grant_spec.told). The holder's own changes of names are not
 * told. Cookies are always good, so their verifier never changes, and nobody hears of it.
 *
 * A struct nfs4_notice belongs to its delegation. The listener is there as long as any notice is.
 */
#include "nfs/v4/nfs4_notice.h"
#include "nfs/v4/nfs4_attr.h"
#include "nfs/v4/nfs4_server.h"

#include <stdlib.h>
#include <string.h>

enum {
    ITEM_MAX = 3072,   /* bytes of a notify4 */
    BATCH_MAX = 3600,  /* of all in one call */
    BATCH_LEAST = 256, /* a client that does not take as much is not told */
    QUEUE_MAX = 64,    /* waiting notify4 */
    CHILDREN_MAX = 64, /* entries whose attributes have changed and are not told yet */
    RETRY_MS = 500,    /* until a client that was busy is called again, */
    TRIES_MAX = 8,     /* so often */
    DELAY_MAX_S = 86400,
};

/* A notify4 as it goes on the wire. */
struct item {
    struct list link;
    size_t length;
    uint8_t bytes[];
};

/* An entry whose attributes have changed. */
struct child {
    struct list link;
    struct inode *inode; /* a reference */
    size_t length;
    uint8_t name[STORE_NAME_MAX];
};

struct nfs4_notice {
    struct nfs4_server *server;
    struct nfs4_delegation *delegation; /* NULL: it has not begun */
    struct inode *inode;                /* the directory; a reference */
    struct nfs4_notice_wish wish;
    bool stopped;
    struct list queue, sent; /* struct item; SENT: in the call that is under way */
    unsigned count;          /* in the queue */
    size_t batch_bytes;
    struct nfs4_callback *call;
    uint32_t tries;
    struct loop_timer send_timer, child_timer, dir_timer;
    struct list children;
    unsigned child_count;
};

/* ---- what is agreed on ---- */

void nfs4__notice_reduce(struct nfs4_notice_wish *wish)
{
    static const uint8_t attributes[] = {FATTR4_TYPE,        FATTR4_CHANGE,           FATTR4_SIZE,
                                         FATTR4_FSID,        FATTR4_FILEHANDLE,       FATTR4_FILEID,
                                         FATTR4_MODE,        FATTR4_NUMLINKS,         FATTR4_OWNER,
                                         FATTR4_OWNER_GROUP, FATTR4_RAWDEV,           FATTR4_SPACE_USED,
                                         FATTR4_TIME_ACCESS, FATTR4_TIME_CREATE,      FATTR4_TIME_METADATA,
                                         FATTR4_TIME_MODIFY, FATTR4_MOUNTED_ON_FILEID};
    struct nfs4_bitmap can = {{0}, false};

    for (size_t i = 0; i < sizeof attributes; i++)
        nfs4_bitmap_add(&can, attributes[i]);
    for (int i = 0; i < NFS4_BITMAP_WORDS; i++) {
        wish->child_attributes.words[i] &= can.words[i];
        wish->dir_attributes.words[i] &= can.words[i];
        wish->types.words[i] &= i == 0 ? (1u << NOTIFY_TYPES) - 1 : 0;
    }
    wish->types.beyond = wish->child_attributes.beyond = wish->dir_attributes.beyond = false;
    /* Without attributes there is nothing to tell of them. */
    if (!nfs4_bitmap_has(&wish->dir_attributes, FATTR4_CHANGE))
        wish->types.words[0] &= ~(1u << NOTIFY_CHANGE_DIR_ATTRS);
    if (!nfs4_bitmap_has(&wish->child_attributes, FATTR4_CHANGE))
        wish->types.words[0] &= ~(1u << NOTIFY_CHANGE_CHILD_ATTRS);
    if (wish->child_delay_ms > (uint64_t)DELAY_MAX_S * 1000)
        wish->child_delay_ms = (uint64_t)DELAY_MAX_S * 1000;
    if (wish->dir_delay_ms > (uint64_t)DELAY_MAX_S * 1000)
        wish->dir_delay_ms = (uint64_t)DELAY_MAX_S * 1000;
}

static bool tells(const struct nfs4_notice *notice, enum nfs4_notify type)
{
    return nfs4_bitmap_has(&notice->wish.types, type);
}

unsigned nfs4__notice_operations(const struct nfs4_notice *notice)
{
    /* Another thing under a name is a removal and an addition; that what listings show of a file has changed
     * is no change of an entry. */
    bool any = tells(notice, NOTIFY_ADD_ENTRY) && tells(notice, NOTIFY_REMOVE_ENTRY);

    return (any ? 1u << GRANT_OP_DIRECTORY : 0) |
           (tells(notice, NOTIFY_ADD_ENTRY) ? 1u << GRANT_OP_ADD_ENTRY : 0) |
           (tells(notice, NOTIFY_REMOVE_ENTRY) ? 1u << GRANT_OP_REMOVE_ENTRY : 0) |
           (tells(notice, NOTIFY_RENAME_ENTRY) ? 1u << GRANT_OP_RENAME_ENTRY : 0) |
           (tells(notice, NOTIFY_CHANGE_DIR_ATTRS) ? 1u << GRANT_OP_SETATTR : 0);
}

/* ---- the queue ---- */

static void free_items(struct list *items)
{
    while (!list_is_empty(items)) {
        struct item *item = list_first(items, struct item, link);

        list_remove(&item->link);
        free(item);
    }
}

static void free_child(struct nfs4_notice *notice, struct child *child)
{
    list_remove(&child->link);
    notice->child_count--;
    vfs_unref(&child->inode);
    free(child);
}

void nfs4__notice_stop(struct nfs4_notice *notice)
{
    if (notice == NULL)
        return;
    notice->stopped = true;
    loop_timer_stop(&notice->send_timer);
    loop_timer_stop(&notice->child_timer);
    loop_timer_stop(&notice->dir_timer);
    nfs4__callback_forget(&notice->call);
    free_items(&notice->queue);
    free_items(&notice->sent);
    notice->count = 0;
    while (!list_is_empty(&notice->children))
        free_child(notice, list_first(&notice->children, struct child, link));
}

/* What is to be told can't be. */
static void give_up(struct nfs4_notice *notice)
{
    nfs4__notice_stop(notice);
    grant_recall(notice->delegation->grant);
}

static void send_soon(struct nfs4_notice *notice, uint64_t delay_ms)
{
    if (notice->call == NULL && notice->send_timer.loop == NULL)
        loop_timer_start(notice->server->loop, &notice->send_timer, delay_ms, 0);
}

static void put_back(struct nfs4_notice *notice)
{
    while (!list_is_empty(&notice->sent)) {
        struct item *item = container_of(notice->sent.previous, struct item, link);

        list_remove(&item->link);
        list_insert_after(&notice->queue, &item->link);
        notice->count++;
    }
}

static void try_later(struct nfs4_notice *notice)
{
    put_back(notice);
    if (notice->tries++ >= TRIES_MAX)
        give_up(notice);
    else
        send_soon(notice, RETRY_MS);
}

static void on_answered(void *data, enum err err, uint32_t status, struct reader *results)
{
    struct nfs4_notice *notice = data;

    (void)results;
    notice->call = NULL;
    if (err == ERR_OK && status == NFS4ERR_DELAY) {
        try_later(notice);
    } else if (err != ERR_OK || status != NFS4_OK) {
        give_up(notice);
    } else {
        free_items(&notice->sent);
        notice->tries = 0;
        if (!list_is_empty(&notice->queue))
            send_soon(notice, 0);
    }
}

/* Takes as many off the queue as fit: how many. */
static uint32_t take_batch(struct nfs4_notice *notice, struct writer *writer)
{
    size_t most = writer->length + notice->batch_bytes;
    uint32_t count = 0;

    while (!list_is_empty(&notice->queue)) {
        struct item *item = list_first(&notice->queue, struct item, link);

        if (writer->length + item->length > most)
            break;
        writer_bytes(writer, item->bytes, item->length);
        list_remove(&item->link);
        list_push_back(&notice->sent, &item->link);
        notice->count--;
        count++;
    }
    return count;
}

static void on_send(struct loop_timer *timer)
{
    struct nfs4_notice *notice = container_of(timer, struct nfs4_notice, send_timer);
    struct nfs4_delegation *delegation = notice->delegation;
    struct nfs4_callback_spec spec = {.opnum = OP_CB_NOTIFY,
                                      .timeout_ms = nfs4__callback_patience_ms(notice->server),
                                      .referring = nfs4__delegation_referring(delegation),
                                      .done = on_answered,
                                      .data = notice};
    struct stateid stateid = grant_stateid(delegation->grant);
    uint8_t bytes[BATCH_MAX + 128];
    struct writer writer;
    size_t count_at;
    uint32_t count;
    enum err err;

    writer_init(&writer, bytes, sizeof bytes);
    writer_be32(&writer, stateid.seqid);
    writer_bytes(&writer, stateid.other, sizeof stateid.other);
    writer_xdr_opaque(&writer, delegation->handle, sizeof delegation->handle);
    count_at = writer.length;
    writer_be32(&writer, 0);
    count = take_batch(notice, &writer);
    invariant(!writer.failed);
    writer_patch_be32(&writer, count_at, count);
    spec.arguments = bytes;
    spec.length = writer.length;
    err = count == 0
              ? ERR_LIMIT
              : nfs4__callback_send(notice->server, grant_client(delegation->grant), &spec, &notice->call);
    if (err == ERR_OK)
        return;
    put_back(notice);
    /* It takes no call so long. */
    if (err == ERR_INVAL && notice->batch_bytes / 2 >= BATCH_LEAST) {
        notice->batch_bytes /= 2;
        send_soon(notice, 0);
    } else if (err == ERR_AGAIN) {
        try_later(notice);
    } else {
        give_up(notice);
    }
}

/* ---- notify4 ---- */

struct notify {
    struct writer writer;
    size_t length_at;
};

static void begin(struct notify *notify, enum nfs4_notify type)
{
    struct nfs4_bitmap mask = {{0}, false};

    writer_init_growing(&notify->writer, ITEM_MAX);
    nfs4_bitmap_add(&mask, type);
    nfs4__encode_bitmap(&notify->writer, &mask);
    notify->length_at = notify->writer.length;
    writer_be32(&notify->writer, 0);
}

static void end(struct nfs4_notice *notice, struct notify *notify)
{
    struct writer *writer = &notify->writer;
    struct item *item = NULL;

    if (!writer->failed && notice->count < QUEUE_MAX) {
        writer_patch_be32(writer, notify->length_at, (uint32_t)(writer->length - notify->length_at - 4));
        item = malloc(sizeof *item + writer->length);
    }
    if (item == NULL) {
        writer_free(writer);
        give_up(notice);
        return;
    }
    item->length = writer->length;
    memcpy(item->bytes, writer->data, writer->length);
    writer_free(writer);
    list_push_back(&notice->queue, &item->link);
    notice->count++;
    send_soon(notice, 0);
}

/* notify_entry4; INODE NULL: without attributes. */
static void put_entry(const struct nfs4_notice *notice, struct writer *writer, struct store_name name,
                      struct inode *inode, const struct nfs4_bitmap *wanted)
{
    struct nfs4_compound nobody = {.server = notice->server, .minor = 1};
    struct nfs4_filehandle fh = {.place = NFS4_IN_EXPORT, .inode = inode};
    struct nfs4_attr_source source;
    struct inode_attr attr;

    writer_xdr_opaque(writer, name.bytes, name.length);
    if (inode == NULL) {
        writer_zeros(writer, 8);
        return;
    }
    vfs_getattr(inode, &attr);
    fh.export_id = attr.tree;
    nfs4_attr_source_init(&source, &nobody, &fh, vfs_export_by_id(notice->server->vfs, attr.tree));
    nfs4_attr_encode(writer, &source, wanted);
}

/* notify_remove4 */
static void put_removed(const struct nfs4_notice *notice, struct writer *writer, struct store_name name,
                        struct inode *inode, uint64_t cookie)
{
    put_entry(notice, writer, name, inode, &notice->wish.child_attributes);
    writer_be64(writer, cookie);
}

/* notify_add4; REPLACED: what had the name before, or NULL. */
static void put_added(const struct nfs4_notice *notice, struct writer *writer, struct store_name name,
                      struct inode *inode, uint64_t cookie, struct inode *replaced)
{
    uint8_t before[STORE_NAME_MAX];
    uint64_t before_cookie;
    size_t before_length;
    bool last = false;
    enum err err;

    writer_be32(writer, replaced != NULL ? 1 : 0);
    if (replaced != NULL)
        put_removed(notice, writer, name, replaced, cookie);
    put_entry(notice, writer, name, inode, &notice->wish.child_attributes);
    writer_be32(writer, 1);
    writer_be64(writer, cookie);
    err = vfs_entry_before(notice->inode, cookie, &before_cookie, before, &before_length, &last);
    if (err != ERR_OK && err != ERR_NOENT)
        writer->failed = true;
    writer_be32(writer, err == ERR_OK ? 1 : 0);
    if (err == ERR_OK) {
        put_entry(notice, writer, (struct store_name){before, before_length}, NULL, NULL);
        writer_be64(writer, before_cookie);
    }
    writer_xdr_bool(writer, last);
}

/* ---- attributes, when their time has come ---- */

static void on_children_due(struct loop_timer *timer)
{
    struct nfs4_notice *notice = container_of(timer, struct nfs4_notice, child_timer);
    struct notify notify;

    while (!list_is_empty(&notice->children)) {
        struct child *child = list_first(&notice->children, struct child, link);

        begin(&notify, NOTIFY_CHANGE_CHILD_ATTRS);
        put_entry(notice, &notify.writer, (struct store_name){child->name, child->length}, child->inode,
                  &notice->wish.child_attributes);
        free_child(notice, child);
        end(notice, &notify);
    }
}

static void on_dir_due(struct loop_timer *timer)
{
    struct nfs4_notice *notice = container_of(timer, struct nfs4_notice, dir_timer);
    struct notify notify;

    begin(&notify, NOTIFY_CHANGE_DIR_ATTRS);
    put_entry(notice, &notify.writer, (struct store_name){(const uint8_t *)"", 0}, notice->inode,
              &notice->wish.dir_attributes);
    end(notice, &notify);
}

static void dir_changed(struct nfs4_notice *notice)
{
    if (!notice->stopped && tells(notice, NOTIFY_CHANGE_DIR_ATTRS) && notice->dir_timer.loop == NULL)
        loop_timer_start(notice->server->loop, &notice->dir_timer, notice->wish.dir_delay_ms, 0);
}

static struct child *find_child(const struct nfs4_notice *notice, const struct inode *inode)
{
    struct list *link;

    list_for_each(link, &notice->children)
    {
        struct child *child = container_of(link, struct child, link);

        if (child->inode == inode)
            return child;
    }
    return NULL;
}

static void child_changed(struct nfs4_notice *notice, struct inode *inode, struct store_name name)
{
    struct child *child;

    if (notice->stopped || !tells(notice, NOTIFY_CHANGE_CHILD_ATTRS) || find_child(notice, inode) != NULL)
        return;
    child = notice->child_count < CHILDREN_MAX ? calloc(1, sizeof *child) : NULL;
    if (child == NULL) {
        give_up(notice);
        return;
    }
    child->inode = vfs_ref(inode);
    child->length = name.length;
    memcpy(child->name, name.bytes, name.length);
    list_push_back(&notice->children, &child->link);
    notice->child_count++;
    if (notice->child_timer.loop == NULL)
        loop_timer_start(notice->server->loop, &notice->child_timer, notice->wish.child_delay_ms, 0);
}

/* ---- changes ---- */

/* The next notice of DIR behind AT (NULL: the first) that is to hear of what BY does. */
static struct nfs4_notice *next_notice(const struct nfs4_server *server, struct inode *dir,
                                       const struct client *by, const struct grant **at)
{
    const struct state_file *file;
    struct inode_attr attr;

    vfs_getattr(dir, &attr);
    file = state_file_find(server->state, attr.tree, attr.ino);
    while (file != NULL && (*at = grant_next_of_file(file, *at)) != NULL) {
        const struct client *client = grant_client(*at);
        const struct nfs4_delegation *delegation;

        if (client_family(client) != NFS4_FAMILY_1 || client == by || grant_status(*at) != GRANT_GRANTED)
            continue;
        delegation = grant_user(*at);
        if (delegation->notice != NULL && !delegation->notice->stopped)
            return delegation->notice;
    }
    return NULL;
}

/* An entry is not what it was called, or is no more. */
static void forget_child(struct nfs4_notice *notice, const struct inode *inode)
{
    struct child *child = find_child(notice, inode);

    if (child != NULL)
        free_child(notice, child);
}

static void on_added(const struct nfs4_server *server, struct inode *dir, struct store_name name,
                     const struct vfs_event *event, uint64_t cookie)
{
    const struct grant *at = NULL;
    struct nfs4_notice *notice;
    struct notify notify;

    while ((notice = next_notice(server, dir, event->by, &at)) != NULL) {
        begin(&notify, NOTIFY_ADD_ENTRY);
        put_added(notice, &notify.writer, name, event->inode, cookie, event->replaced);
        end(notice, &notify);
        dir_changed(notice);
    }
}

static void on_removed(const struct nfs4_server *server, const struct vfs_event *event)
{
    const struct grant *at = NULL;
    struct nfs4_notice *notice;
    struct notify notify;

    while ((notice = next_notice(server, event->dir, event->by, &at)) != NULL) {
        forget_child(notice, event->inode);
        begin(&notify, NOTIFY_REMOVE_ENTRY);
        put_removed(notice, &notify.writer, event->name, event->inode, event->cookie);
        end(notice, &notify);
        dir_changed(notice);
    }
}

static void on_renamed(const struct nfs4_server *server, const struct vfs_event *event)
{
    const struct grant *at = NULL;
    struct nfs4_notice *notice;
    struct notify notify;

    while ((notice = next_notice(server, event->dir, event->by, &at)) != NULL) {
        forget_child(notice, event->inode);
        begin(&notify, NOTIFY_RENAME_ENTRY);
        put_removed(notice, &notify.writer, event->name, event->inode, event->cookie);
        put_added(notice, &notify.writer, event->other_name, event->inode, event->other_cookie,
                  event->replaced);
        end(notice, &notify);
        dir_changed(notice);
    }
}

static void on_attributes(struct nfs4_server *server, const struct vfs_event *event)
{
    const struct grant *at = NULL;
    uint8_t name[STORE_NAME_MAX];
    struct nfs4_notice *notice;
    struct inode_attr attr;
    struct inode *dir;
    size_t length;

    vfs_getattr(event->inode, &attr);
    if (attr.type == INODE_DIRECTORY)
        while ((notice = next_notice(server, event->inode, event->by, &at)) != NULL)
            dir_changed(notice);
    if (vfs_where(server->vfs, event->inode, &dir, name, &length) != ERR_OK)
        return;
    at = NULL;
    while ((notice = next_notice(server, dir, event->by, &at)) != NULL)
        child_changed(notice, event->inode, (struct store_name){name, length});
    vfs_unref(&dir);
}

static void on_event(struct vfs_listener *listener, const struct vfs_event *event)
{
    struct nfs4_server *server = container_of(listener, struct nfs4_server, notice_listener);

    switch (event->kind) {
    case VFS_EVENT_CREATED:
        on_added(server, event->dir, event->name, event, event->cookie);
        break;
    case VFS_EVENT_REMOVED:
        if (!event->is_replaced)
            on_removed(server, event);
        break;
    case VFS_EVENT_RENAMED:
        if (event->dir == event->other_dir) {
            on_renamed(server, event);
        } else {
            on_removed(server, event);
            on_added(server, event->other_dir, event->other_name, event, event->other_cookie);
        }
        break;
    case VFS_EVENT_ATTRIBUTES:
    case VFS_EVENT_DATA:
    case VFS_EVENT_XATTRS:
    case VFS_EVENT_STREAMS:
        on_attributes(server, event);
        break;
    }
}

/* ---- begin and end ---- */

struct nfs4_notice *nfs4__notice_new(struct nfs4_server *server, struct inode *inode,
                                     const struct nfs4_notice_wish *wish)
{
    struct nfs4_notice *notice = calloc(1, sizeof *notice);

    if (notice == NULL)
        return NULL;
    notice->server = server;
    notice->inode = vfs_ref(inode);
    notice->wish = *wish;
    notice->batch_bytes = BATCH_MAX;
    list_init(&notice->queue);
    list_init(&notice->sent);
    list_init(&notice->children);
    notice->send_timer.callback = on_send;
    notice->child_timer.callback = on_children_due;
    notice->dir_timer.callback = on_dir_due;
    return notice;
}

void nfs4__notice_begin(struct nfs4_notice *notice, struct nfs4_delegation *delegation)
{
    struct nfs4_server *server = notice->server;

    notice->delegation = delegation;
    if (server->notices++ > 0)
        return;
    server->notice_listener = (struct vfs_listener){
        .kinds = VFS_EVENT_CREATED | VFS_EVENT_REMOVED | VFS_EVENT_RENAMED | VFS_EVENT_ATTRIBUTES |
                 VFS_EVENT_DATA | VFS_EVENT_XATTRS | VFS_EVENT_STREAMS,
        .event = on_event,
        .cookies = true};
    vfs_listener_add(server->vfs, &server->notice_listener);
}

void nfs4__notice_free(struct nfs4_notice **notice)
{
    struct nfs4_notice *gone = *notice;

    *notice = NULL;
    if (gone == NULL)
        return;
    nfs4__notice_stop(gone);
    if (gone->delegation != NULL && --gone->server->notices == 0)
        vfs_listener_remove(&gone->server->notice_listener);
    vfs_unref(&gone->inode);
    free(gone);
}
