/*
 * smb2_notify.c - CHANGE_NOTIFY (MS-SMB2 2.2.35, 3.3.5.19; MS-FSA 2.1.5.11): what changes in a directory, or
 * in the tree below it, whoever changes it and over which protocol.
 *
 * The first request on an open makes its watch, which lives as long as the open, with the filter, the scope
 * and the room that the request gave. vfs tells of changes within the call that makes them: a matching one
 * becomes a record in the watch's buffer. In the next turn of the loop requests that wait get what there is.
 * Between requests records are kept; when they outgrow the buffer all of them go, and the next request is
 * told to list the directory anew (STATUS_NOTIFY_ENUM_DIR). Closing the directory ends those that wait with
 * STATUS_NOTIFY_CLEANUP, its deletion with STATUS_DELETE_PENDING.
 *
 * Of a tree only what lies in directories that the user may list is shown.
 *
 * Bounded: watches of a session, bytes of a buffer, the depth of a path; vfs bounds the search for names.
 */
#include "smb/smb2_file_priv.h"

#include <stdlib.h>
#include <string.h>

enum {
    WATCH_TREE = 1,
    BUFFER_MAX = 65536,
    DEPTH_MAX = 64,
    RECORD_HEAD = 12,
    BODY_SIZE = 8,
    OUTPUT_OFFSET = SMB2_HEADER_SIZE + BODY_SIZE
};

/* MS-SMB2 2.2.35 */
enum {
    FILTER_FILE_NAME = 0x1,
    FILTER_DIR_NAME = 0x2,
    FILTER_ATTRIBUTES = 0x4,
    FILTER_SIZE = 0x8,
    FILTER_LAST_WRITE = 0x10,
    FILTER_LAST_ACCESS = 0x20,
    FILTER_CREATION = 0x40,
    FILTER_EA = 0x80,
    FILTER_SECURITY = 0x100,
    FILTER_STREAM_NAME = 0x200,
    FILTER_STREAM_SIZE = 0x400,
    FILTER_STREAM_WRITE = 0x800
};

/* MS-FSCC 2.7.1 */
enum { ADDED = 1, REMOVED = 2, MODIFIED = 3, RENAMED_FROM = 4, RENAMED_TO = 5 };

struct smb2_watch {
    struct list link;       /* of the server */
    struct smb2_open *open; /* whose watch it is */
    uint64_t ino;           /* of the directory */
    uint32_t filter;
    bool tree, overflow, deleted;
    struct list requests;  /* that wait */
    struct writer records; /* as they are sent */
    size_t last_at;        /* of the last record */
};

/* ---- records ---- */

static void lose_all(struct smb2_watch *watch)
{
    watch->overflow = true;
    writer_truncate(&watch->records, 0);
}

static void wake(struct smb2_watch *watch)
{
    struct smb_server *server = watch->open->server;

    if (!list_is_empty(&watch->requests) && server->notify_timer.loop == NULL)
        loop_timer_start(server->loop, &server->notify_timer, 0, 0);
}

/* MS-FSCC 2.7.1: the offset of each is in the one before. */
static void add_record(struct smb2_watch *watch, uint32_t action, const uint8_t *path, size_t length)
{
    struct writer *records = &watch->records;
    size_t at;

    wake(watch);
    if (watch->overflow)
        return;
    writer_align(records, 4);
    at = records->length;
    writer_le32(records, 0);
    writer_le32(records, action);
    writer_le32(records, 0);
    if (!utf16_from_utf8(records, path, length) || records->failed) {
        lose_all(watch);
        return;
    }
    writer_patch_le32(records, at + 8, (uint32_t)(records->length - at - RECORD_HEAD));
    if (at > 0)
        writer_patch_le32(records, watch->last_at, (uint32_t)(at - watch->last_at));
    watch->last_at = at;
}

/* ---- where a change is, seen from a watch ---- */

/* A path that grows to the left. */
struct path {
    uint8_t bytes[SMB2_PATH_MAX];
    size_t at; /* of its first byte */
};

static bool prepend(struct path *path, const uint8_t *name, size_t length)
{
    bool separate = path->at < sizeof path->bytes;

    if (length + 1 > path->at)
        return false;
    if (separate)
        path->bytes[--path->at] = '\\';
    path->at -= length;
    memcpy(path->bytes + path->at, name, length);
    return true;
}

static bool may_list(const struct smb2_watch *watch, struct inode *dir)
{
    const struct smb2_open *open = watch->open;
    struct vfs_context context;

    return smb2__tree_context(open->server, open->tree, owner_id(open->owner), &context) == STATUS_SUCCESS &&
           vfs_access(&context, dir, VFS_ACCESS_READ | VFS_ACCESS_EXECUTE) ==
               (VFS_ACCESS_READ | VFS_ACCESS_EXECUTE);
}

/* Puts the path from the watched directory to DIR before PATH. False: DIR is not below it, or not for the
 * user's eyes. */
static bool find_path(const struct smb2_watch *watch, struct inode *dir, struct path *path)
{
    struct inode *at = vfs_ref(dir), *parent;
    uint8_t name[STORE_NAME_MAX];
    struct inode_attr attr;
    bool found = false;
    size_t length;

    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        vfs_getattr(at, &attr);
        found = attr.ino == watch->ino;
        if (found || !watch->tree || attr.tree != watch->open->tree->export_id || !may_list(watch, at) ||
            vfs_where(watch->open->server->vfs, at, &parent, name, &length) != ERR_OK)
            break;
        vfs_unref(&at);
        at = parent;
        if (!prepend(path, name, length))
            break;
    }
    vfs_unref(&at);
    return found;
}

static void note(struct smb2_watch *watch, uint32_t action, struct inode *dir, struct store_name name)
{
    struct path path = {.at = sizeof path.bytes};

    if (prepend(&path, name.bytes, name.length) && find_path(watch, dir, &path))
        add_record(watch, action, path.bytes + path.at, sizeof path.bytes - path.at);
}

/* ---- what vfs tells ---- */

/* Which filters does a change that leaves names alone concern? */
static uint32_t filters_of(const struct vfs_event *event)
{
    uint32_t filters = 0;

    switch (event->kind) {
    case VFS_EVENT_DATA:
        return FILTER_SIZE | FILTER_LAST_WRITE | (event->set & VFS_SET_SIZE ? FILTER_ATTRIBUTES : 0);
    case VFS_EVENT_XATTRS:
        return FILTER_EA;
    case VFS_EVENT_STREAMS:
        return FILTER_STREAM_NAME | FILTER_STREAM_SIZE | FILTER_STREAM_WRITE;
    case VFS_EVENT_ATTRIBUTES:
        if (event->set & VFS_SET_DOS_ATTRIBUTES)
            filters |= FILTER_ATTRIBUTES;
        if (event->set & (VFS_SET_MODE | VFS_SET_UID | VFS_SET_GID))
            filters |= FILTER_SECURITY | FILTER_ATTRIBUTES;
        if (event->set & VFS_SET_BTIME)
            filters |= FILTER_CREATION;
        if (event->atime_set)
            filters |= FILTER_LAST_ACCESS;
        if (event->mtime_set)
            filters |= FILTER_LAST_WRITE;
        /* An event that does not say more is one of security (access lists). */
        return filters != 0 ? filters : FILTER_SECURITY;
    case VFS_EVENT_CREATED:
    case VFS_EVENT_REMOVED:
    case VFS_EVENT_RENAMED:
        break;
    }
    return 0;
}

/* The name that INODE is known by: that of an SMB open of it, else what vfs has seen. */
static bool find_name(struct smb_server *server, struct inode *inode, struct inode **dir_r,
                      uint8_t name_r[STORE_NAME_MAX], size_t *length_r)
{
    const struct smb2_open *open = smb2__file_next(server, inode, NULL);

    if (open != NULL && open->dir != NULL) {
        *dir_r = vfs_ref(open->dir);
        memcpy(name_r, open->name, open->name_length);
        *length_r = open->name_length;
        return true;
    }
    return vfs_where(server->vfs, inode, dir_r, name_r, length_r) == ERR_OK;
}

static void on_modified(struct smb_server *server, const struct vfs_event *event)
{
    uint32_t filters = filters_of(event);
    uint8_t name[STORE_NAME_MAX];
    struct inode *dir = NULL;
    bool searched = false;
    struct list *link;
    size_t length = 0;

    list_for_each(link, &server->watches)
    {
        struct smb2_watch *watch = container_of(link, struct smb2_watch, link);

        if (!(watch->filter & filters))
            continue;
        if (!searched && !find_name(server, event->inode, &dir, name, &length))
            return;
        searched = true;
        note(watch, MODIFIED, dir, (struct store_name){.bytes = name, .length = length});
    }
    vfs_unref(&dir);
}

static bool is_directory(struct inode *inode)
{
    struct inode_attr attr;

    vfs_getattr(inode, &attr);
    return attr.type == INODE_DIRECTORY;
}

static void end_if_removed(struct smb2_watch *watch, struct inode *inode)
{
    struct inode_attr attr;

    vfs_getattr(inode, &attr);
    if (attr.ino != watch->ino)
        return;
    watch->deleted = true;
    wake(watch);
}

void smb2__notify_deleted(struct smb_server *server, struct inode *inode)
{
    struct list *link;

    list_for_each(link, &server->watches) end_if_removed(container_of(link, struct smb2_watch, link), inode);
}

/* Who does not ask for names is told of a renamed file as of a changed one, as Windows does. */
static void note_rename(struct smb2_watch *watch, const struct vfs_event *event, uint32_t filter)
{
    bool moved = event->dir != event->other_dir;

    if (watch->filter & filter) {
        note(watch, moved ? REMOVED : RENAMED_FROM, event->dir, event->name);
        note(watch, moved ? ADDED : RENAMED_TO, event->other_dir, event->other_name);
    } else if (filter == FILTER_FILE_NAME && (watch->filter & (FILTER_ATTRIBUTES | FILTER_CREATION))) {
        note(watch, MODIFIED, event->other_dir, event->other_name);
    }
}

static void on_names(struct smb_server *server, const struct vfs_event *event)
{
    uint32_t filter = is_directory(event->inode) ? FILTER_DIR_NAME : FILTER_FILE_NAME;
    struct list *link;

    list_for_each(link, &server->watches)
    {
        struct smb2_watch *watch = container_of(link, struct smb2_watch, link);

        if (event->kind == VFS_EVENT_REMOVED)
            end_if_removed(watch, event->inode);
        if (event->kind == VFS_EVENT_RENAMED)
            note_rename(watch, event, filter);
        else if (watch->filter & filter)
            note(watch, event->kind == VFS_EVENT_CREATED ? ADDED : REMOVED, event->dir, event->name);
    }
}

static void on_event(struct vfs_listener *listener, const struct vfs_event *event)
{
    struct smb_server *server = container_of(listener, struct smb_server, notify_listener);

    if (server->restores_times)
        return;
    if (event->kind & (VFS_EVENT_CREATED | VFS_EVENT_REMOVED | VFS_EVENT_RENAMED))
        on_names(server, event);
    else
        on_modified(server, event);
}

/* ---- answers ---- */

static bool has_news(const struct smb2_watch *watch)
{
    return watch->overflow || watch->deleted || watch->records.length > 0;
}

/* Writes what there is: the status. */
static uint32_t take_news(struct smb2_request *request, struct smb2_watch *watch)
{
    struct writer *writer = smb2_reply(request);
    uint32_t room = request->final_status;

    if (watch->deleted)
        return STATUS_DELETE_PENDING;
    if (watch->overflow || watch->records.length > room) {
        watch->overflow = false;
        writer_truncate(&watch->records, 0);
        return STATUS_NOTIFY_ENUM_DIR;
    }
    writer_le16(writer, 9);
    writer_le16(writer, OUTPUT_OFFSET);
    writer_le32(writer, (uint32_t)watch->records.length);
    writer_bytes(writer, watch->records.data, watch->records.length);
    writer_truncate(&watch->records, 0);
    return STATUS_SUCCESS;
}

static struct smb2_watch *find_ready(struct smb_server *server)
{
    struct list *link;

    list_for_each(link, &server->watches)
    {
        struct smb2_watch *watch = container_of(link, struct smb2_watch, link);

        if (has_news(watch) && !list_is_empty(&watch->requests))
            return watch;
    }
    return NULL;
}

/* Each answer may run a compound on, and so change the list: it is begun anew. */
static void on_turn(struct loop_timer *timer)
{
    struct smb_server *server = container_of(timer, struct smb_server, notify_timer);
    struct smb2_watch *watch;

    while ((watch = find_ready(server)) != NULL) {
        struct smb2_request *request = list_first(&watch->requests, struct smb2_request, waiting_link);

        list_remove(&request->waiting_link);
        smb2__request_done(request, take_news(request, watch));
    }
}

/* ---- watches ---- */

static struct smb2_watch *watch_new(struct smb2_open *open, uint32_t filter, bool tree, uint32_t room)
{
    struct smb_server *server = open->server;
    struct smb2_watch *watch;
    struct inode_attr attr;

    if (open->session->watch_count >= SMB2_WATCHES_MAX)
        return NULL;
    watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return NULL;
    vfs_getattr(open->inode, &attr);
    watch->open = open;
    watch->ino = attr.ino;
    watch->filter = filter;
    watch->tree = tree;
    list_init(&watch->requests);
    writer_init_growing(&watch->records, room < BUFFER_MAX ? room : BUFFER_MAX);
    if (list_is_empty(&server->watches)) {
        server->notify_listener = (struct vfs_listener){
            .kinds = VFS_EVENT_CREATED | VFS_EVENT_REMOVED | VFS_EVENT_RENAMED | VFS_EVENT_ATTRIBUTES |
                     VFS_EVENT_DATA | VFS_EVENT_XATTRS | VFS_EVENT_STREAMS,
            .event = on_event};
        server->notify_timer.callback = on_turn;
        vfs_listener_add(server->vfs, &server->notify_listener);
    }
    list_push_back(&server->watches, &watch->link);
    open->session->watch_count++;
    open->watch = watch;
    return watch;
}

void smb2__notify_end(struct smb2_open *open)
{
    struct smb2_watch *watch = open->watch;

    open->watch = NULL;
    open->session->watch_count--;
    list_remove(&watch->link);
    if (list_is_empty(&open->server->watches)) {
        vfs_listener_remove(&open->server->notify_listener);
        loop_timer_stop(&open->server->notify_timer);
    }
    while (!list_is_empty(&watch->requests)) {
        struct smb2_request *request = list_first(&watch->requests, struct smb2_request, waiting_link);

        list_remove(&request->waiting_link);
        smb2__request_done(request, STATUS_NOTIFY_CLEANUP);
    }
    writer_free(&watch->records);
    free(watch);
}

/* ---- the command ---- */

static void cancel(struct smb2_request *request)
{
    list_remove(&request->waiting_link);
    smb2__request_done(request, STATUS_CANCELLED);
}

uint32_t smb2__change_notify(struct smb2_request *request)
{
    struct reader *reader = &request->body;
    struct smb2_open *open = request->open;
    struct smb2_watch *watch = open->watch;
    uint32_t room, filter;
    uint16_t flags;

    /* Bits of the filter that nobody has given a meaning never match. */
    if (!reader_skip(reader, 2) || !reader_le16(reader, &flags) || !reader_le32(reader, &room) ||
        !reader_skip(reader, 16) || !reader_le32(reader, &filter) || !smb2__is_paid(request, room) ||
        !open->is_directory)
        return STATUS_INVALID_PARAMETER;
    if (!(open->access & SMB2_ACCESS_READ_DATA))
        return STATUS_ACCESS_DENIED;
    if (smb2__file_is_going(open->server, open->inode, open->inode))
        return STATUS_DELETE_PENDING;
    if (watch == NULL)
        watch = watch_new(open, filter, (flags & WATCH_TREE) != 0, room);
    if (watch == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    request->final_status = room;
    if (has_news(watch) && list_is_empty(&watch->requests))
        return take_news(request, watch);
    /* Others of its compound would wait for ever. */
    if (request->message->next_at < request->message->length)
        return STATUS_INTERNAL_ERROR;
    if (!smb2__request_pending(request))
        return STATUS_INSUFFICIENT_RESOURCES;
    request->cancel = cancel;
    list_push_back(&watch->requests, &request->waiting_link);
    return SMB2_WAIT;
}
