/*
 * smb2_durable.c - opens that outlive their connection: durable handles of both versions, resilient ones, and
 * those of an application that has moved to another machine (MS-SMB2 3.3.5.9.6, .7, .10, .12, .13,
 * .16, 3.3.5.15.9, 3.3.7.1). Persistent handles, those that outlive the server, too, have records
 * (smb2_persist.c), and are parked when it starts.
 *
 *   in use -session or connection gone-> parked -reconnect-> in use
 *   parked -time over, its cache is wanted by another, limit, shutdown-> closed
 *
 * An open is durable when it was asked for with a batch oplock or a lease that caches the handle, and stays
 * so as long as it has that: who may not know of conflicts without a connection must not have any. While it
 * is parked its share mode, byte ranges and grant are in force for every protocol. A break of the grant
 * closes it at once, also when the break leaves the handle; an open that is resilient or persistent stays for
 * its time, whatever comes. Of a resilient one the cache goes at once; a persistent one's client has the time
 * of a break to come back and write what it has cached: it is told then (MS-SMB2 3.3.4.7).
 *
 * A parked open has no session; its tree, with the dead session and its user behind it, stays with it: who it
 * belongs to, and in whose name it is deleted at last.
 *
 * Invariant: server->parked has the opens without session, in order of their time; the timer runs when there
 * is any, until the first one's.
 */
#include "smb/smb2_create_priv.h"
#include "smb/smb2_ioctl.h"
#include "smb/smb2_share.h"

#include "dittofs/clock.h"

#include <string.h>

enum {
    V1_MS = 16 * 60 * 1000,
    V2_DEFAULT_MS = 60 * 1000,
    V2_MOST_MS = 300 * 1000,
    RESILIENT_DEFAULT_MS = 120 * 1000,
    RESILIENT_MOST_MS = 300 * 1000,
    FLAG_PERSISTENT = 2,
    PARKED_MAX = 4096
};

/* ---- parked opens ---- */

static void restart_timer(struct smb_server *server);

static void on_time_over(struct loop_timer *timer)
{
    struct smb_server *server = container_of(timer, struct smb_server, parked_timer);
    uint64_t now_ms = clock_monotonic_ms();

    while (!list_is_empty(&server->parked)) {
        struct smb2_open *open = list_first(&server->parked, struct smb2_open, link);

        if (open->parked_until_ms > now_ms)
            break;
        smb2__open_end(open, NULL);
    }
    restart_timer(server);
}

static void restart_timer(struct smb_server *server)
{
    uint64_t now_ms = clock_monotonic_ms(), due_ms;

    loop_timer_stop(&server->parked_timer);
    if (list_is_empty(&server->parked))
        return;
    due_ms = list_first(&server->parked, struct smb2_open, link)->parked_until_ms;
    server->parked_timer.callback = on_time_over;
    loop_timer_start(server->loop, &server->parked_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

/* Nobody else can have changed or opened the file in a way that its holder would have to know of. */
static bool caches_handle(const struct smb2_open *open)
{
    const struct grant *grant = open->lease != NULL ? open->lease->grant : open->oplock;

    return grant != NULL && grant_status(grant) == GRANT_GRANTED && (grant_kinds(grant) & GRANT_HANDLE) != 0;
}

/* MS-SMB2 3.3.7.1: what the open is worth without its connection. */
static bool may_stay(const struct smb2_open *open)
{
    if (open->server->stopping)
        return false;
    if (open->is_persistent)
        return true;
    if (open->delete_pending)
        return false;
    return open->is_resilient || (open->is_durable && caches_handle(open));
}

/* Of those that are not recorded, the one whose time is over first. */
static void make_room(struct smb_server *server)
{
    struct list *link;

    if (server->parked_count - server->parked_persistent < PARKED_MAX)
        return;
    list_for_each(link, &server->parked)
    {
        struct smb2_open *open = container_of(link, struct smb2_open, link);

        if (open->is_persistent)
            continue;
        smb2__open_end(open, NULL);
        return;
    }
}

bool smb2__durable_park(struct smb2_open *open)
{
    struct smb_server *server = open->server;
    struct list *link;

    open->is_left = open->is_persistent && server->stopping;
    if (!may_stay(open))
        return false;
    if (!open->is_persistent)
        make_room(server);
    link = server->parked.previous;
    /* Nobody is there to be told of changes. */
    if (open->watch != NULL)
        smb2__notify_end(open);
    list_remove(&open->link);
    open->session->open_count--;
    open->session = NULL;
    open->parked_until_ms = clock_monotonic_ms() + open->durable_ms;
    while (link != &server->parked &&
           container_of(link, struct smb2_open, link)->parked_until_ms > open->parked_until_ms)
        link = link->previous;
    list_insert_after(link, &open->link);
    server->parked_count++;
    if (open->is_persistent)
        server->parked_persistent++;
    restart_timer(server);
    return true;
}

static void count_out(const struct smb2_open *open)
{
    struct smb_server *server = open->server;

    server->parked_count--;
    if (open->is_persistent)
        server->parked_persistent--;
    restart_timer(server);
}

static void unpark(struct smb2_open *open, struct smb2_tree *tree)
{
    struct smb_server *server = open->server;
    struct smb2_session *session = tree->session;

    list_remove(&open->link);
    count_out(open);
    tree->references++;
    smb2__tree_unref(&open->tree);
    open->tree = tree;
    open->session = session;
    list_push_back(&session->opens, &open->link);
    session->open_count++;
    open->volatile_id = server->next_file++;
}

void smb2__durable_forget(struct smb2_open *open)
{
    struct smb_server *server = open->server;

    if (open->has_create_guid)
        hashtable_remove(&server->create_guids, &open->by_guid);
    open->has_create_guid = false;
    if (open->session == NULL)
        count_out(open);
}

bool smb2__durable_break(struct smb2_open *open)
{
    if (open->session != NULL || open->is_resilient || open->is_persistent)
        return false;
    smb2__open_end(open, NULL);
    return true;
}

bool smb2__durable_break_lease(struct smb2_lease *lease)
{
    struct list *link = lease->opens.next;

    while (link != &lease->opens) {
        struct smb2_open *open = container_of(link, struct smb2_open, lease_link);
        bool is_last = lease->opens.next == lease->opens.previous;

        link = link->next;
        if (smb2__durable_break(open) && is_last)
            return true;
    }
    return false;
}

bool smb2__durable_may_return(const struct smb2_lease *lease)
{
    const struct list *link;

    list_for_each(link, &lease->opens)
    {
        if (container_of(link, const struct smb2_open, lease_link)->is_persistent)
            return true;
    }
    return false;
}

void smb2__durable_end_machine(const struct smb2_client *machine)
{
    struct list *link, *following;

    list_for_each_safe(link, following, &machine->server->parked)
    {
        struct smb2_open *open = container_of(link, struct smb2_open, link);

        if (open->machine == machine)
            smb2__open_end(open, NULL);
    }
}

void smb2__durable_end_all(struct smb_server *server)
{
    while (!list_is_empty(&server->parked)) {
        struct smb2_open *open = list_first(&server->parked, struct smb2_open, link);

        open->is_left = open->is_persistent;
        smb2__open_end(open, NULL);
    }
    loop_timer_stop(&server->parked_timer);
}

/* ---- create contexts ---- */

uint32_t smb2__durable_read_v1(struct smb2_create *create, struct reader data)
{
    (void)data; /* MS-SMB2 2.2.13.2.3: reserved */
    create->durable.asks_v1 = true;
    return STATUS_SUCCESS;
}

/* MS-SMB2 2.2.13.2.4 */
uint32_t smb2__durable_read_reconnect_v1(struct smb2_create *create, struct reader data)
{
    struct smb2_durable_wish *wish = &create->durable;

    wish->reconnects_v1 = true;
    return reader_le64(&data, &wish->persistent_id) && reader_skip(&data, 8) ? STATUS_SUCCESS
                                                                             : STATUS_INVALID_PARAMETER;
}

static bool is_v2(const struct smb2_create *create)
{
    return create->request->message->conn->dialect >= 0x0300;
}

/* MS-SMB2 2.2.13.2.11 */
uint32_t smb2__durable_read_v2(struct smb2_create *create, struct reader data)
{
    struct smb2_durable_wish *wish = &create->durable;

    uint32_t flags;

    wish->asks_v2 = is_v2(create);
    if (!reader_le32(&data, &wish->timeout_ms) || !reader_le32(&data, &flags) || !reader_skip(&data, 8) ||
        !reader_copy(&data, wish->create_guid, sizeof wish->create_guid))
        return STATUS_INVALID_PARAMETER;
    wish->is_persistent = (flags & FLAG_PERSISTENT) != 0;
    return STATUS_SUCCESS;
}

/* MS-SMB2 2.2.13.2.12 */
uint32_t smb2__durable_read_reconnect_v2(struct smb2_create *create, struct reader data)
{
    struct smb2_durable_wish *wish = &create->durable;

    uint32_t flags;

    wish->reconnects_v2 = is_v2(create);
    if (!reader_le64(&data, &wish->persistent_id) || !reader_skip(&data, 8) ||
        !reader_copy(&data, wish->create_guid, sizeof wish->create_guid) || !reader_le32(&data, &flags))
        return STATUS_INVALID_PARAMETER;
    wish->is_persistent = (flags & FLAG_PERSISTENT) != 0;
    return STATUS_SUCCESS;
}

/* MS-SMB2 2.2.13.2.13: size, reserved, id. */
uint32_t smb2__durable_read_app(struct smb2_create *create, struct reader data)
{
    struct smb2_durable_wish *wish = &create->durable;

    wish->has_app = is_v2(create);
    return reader_skip(&data, 4) && reader_copy(&data, wish->app, sizeof wish->app)
               ? STATUS_SUCCESS
               : STATUS_INVALID_PARAMETER;
}

/* MS-SMB2 2.2.13.2.15: size, reserved, padding, high, low. */
uint32_t smb2__durable_read_app_version(struct smb2_create *create, struct reader data)
{
    struct smb2_durable_wish *wish = &create->durable;

    wish->has_app_version = create->request->message->conn->dialect >= 0x0311;
    return reader_skip(&data, 8) && reader_le64(&data, &wish->app_version[0]) &&
                   reader_le64(&data, &wish->app_version[1])
               ? STATUS_SUCCESS
               : STATUS_INVALID_PARAMETER;
}

bool smb2__durable_is_answered_v1(const struct smb2_create *create)
{
    return create->durable.is_answered && !create->durable.asks_v2;
}

bool smb2__durable_is_answered_v2(const struct smb2_create *create)
{
    return create->durable.is_answered && create->durable.asks_v2;
}

void smb2__durable_write_v1(const struct smb2_create *create, struct writer *writer)
{
    (void)create;
    writer_zeros(writer, 8);
}

void smb2__durable_write_v2(const struct smb2_create *create, struct writer *writer)
{
    writer_le32(writer, create->request->open->durable_ms);
    writer_le32(writer, create->request->open->is_persistent ? FLAG_PERSISTENT : 0);
}

/* MS-SMB2 3.3.5.9.6, .7, .10, .12: which may stand together. */
uint32_t smb2__durable_judge(const struct smb2_create *create)
{
    const struct smb2_durable_wish *wish = &create->durable;
    bool any_v1 = wish->asks_v1 || wish->reconnects_v1, any_v2 = wish->asks_v2 || wish->reconnects_v2;

    if ((any_v1 && any_v2) || (wish->asks_v2 && wish->reconnects_v2))
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

/* ---- giving ---- */

static uint32_t time_of(const struct smb2_durable_wish *wish)
{
    if (!wish->asks_v2)
        return V1_MS;
    if (wish->timeout_ms == 0)
        return V2_DEFAULT_MS;
    return wish->timeout_ms < V2_MOST_MS ? wish->timeout_ms : V2_MOST_MS;
}

static bool is_on_persistent_share(const struct smb2_create *create)
{
    const struct smb2_request *request = create->request;
    struct vfs_export *export = vfs_export_by_id(request->message->server->vfs, request->tree->export_id);

    return export != NULL && smb2__share_is_persistent(request, export);
}

void smb2__durable_grant(struct smb2_create *create)
{
    struct smb2_durable_wish *wish = &create->durable;
    struct smb2_open *open = create->request->open;

    if (wish->asks_v2 && wish->has_app) {
        open->has_app = true;
        memcpy(open->app, wish->app, sizeof open->app);
        open->has_app_version = wish->has_app_version;
        memcpy(open->app_version, wish->app_version, sizeof open->app_version);
    }
    if (!(wish->asks_v1 || wish->asks_v2))
        return;
    open->durable_ms = time_of(wish);
    open->is_durable = !open->is_directory && caches_handle(open);
    /* One that is persistent needs no cache to be so. */
    if (wish->asks_v2 && wish->is_persistent && is_on_persistent_share(create) && smb2__persist_begin(open))
        vfs_wait_for_metadata(&create->request->context);
    wish->is_answered = open->is_durable || open->is_persistent;
}

/* MS-SMB2 3.3.5.15.9 */
uint32_t smb2__fsctl_resiliency(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    struct smb2_open *open = request->open;
    uint32_t timeout_ms;

    if (request->message->conn->dialect < 0x0210)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (!reader_le32(&ioctl->input, &timeout_ms) || !reader_skip(&ioctl->input, 4) ||
        timeout_ms > RESILIENT_MOST_MS)
        return STATUS_INVALID_PARAMETER;
    /* MS-SMB2 3.3.5.15.9: a persistent one is more than that. */
    if (open->is_persistent)
        return STATUS_SUCCESS;
    open->is_durable = false;
    open->is_resilient = true;
    open->durable_ms = timeout_ms == 0 ? RESILIENT_DEFAULT_MS : timeout_ms;
    return STATUS_SUCCESS;
}

/* ---- taking up again ---- */

/* Does the request's name mean the file of OPEN? */
static bool is_named(struct smb2_create *create, const struct smb2_open *open)
{
    struct vfs_context *context = &create->request->context;
    struct store_name name;
    uint8_t stored[STORE_NAME_MAX];
    struct inode_attr mine, there;
    struct smb2_place place = {.dir = NULL};
    struct inode *inode;
    size_t length;
    bool same = false;

    if (smb2__path_walk(context, create->name.at, create->name.left, &place) != STATUS_SUCCESS) {
        smb2__place_free(&place);
        return false;
    }
    name = (struct store_name){.bytes = place.name, .length = place.length};
    if (place.dir != NULL && vfs_lookup_folded(context, place.dir, name, &inode, stored, &length) == ERR_OK) {
        vfs_getattr(open->base != NULL ? open->base : open->inode, &mine);
        vfs_getattr(inode, &there);
        same = mine.ino == there.ino;
        vfs_unref(&inode);
    }
    smb2__place_free(&place);
    return same;
}

/* MS-SMB2 3.3.5.9.7, .12: an open with a lease comes back to the machine that has the lease, by its key. */
static uint32_t check_lease(struct smb2_create *create, const struct smb2_open *open)
{
    struct smb2_lease_wish *wish = &create->lease;

    /* The oplock that is asked for is of no account. */
    wish->version = wish->given_version;
    if (open->lease == NULL)
        return wish->version == 0 ? STATUS_SUCCESS : STATUS_OBJECT_NAME_NOT_FOUND;
    if (wish->version == 0 || open->machine != create->request->session->machine ||
        memcmp(wish->key, open->lease->key, sizeof wish->key) != 0)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    return is_named(create, open) ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}

/* Is it there, and to be had? */
static uint32_t find_parked(struct smb2_create *create, struct smb2_open **open_r)
{
    const struct smb2_request *request = create->request;
    const struct smb2_durable_wish *wish = &create->durable;
    struct smb2_open *open = smb2__open_by_id(request->message->server, wish->persistent_id);

    if (open == NULL || open->session != NULL || open->tree->export_id != request->tree->export_id)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    /* One that was not made with an id has that of zeros. */
    if (wish->reconnects_v2 && memcmp(open->create_guid, wish->create_guid, sizeof open->create_guid) != 0)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    /* MS-SMB2 3.3.5.9.7, .12: a persistent one comes back as such. */
    if (open->is_persistent && !(wish->reconnects_v2 && wish->is_persistent))
        return STATUS_OBJECT_NAME_NOT_FOUND;
    if (request->session->is_nameless || open->tree->session->user.uid != request->session->user.uid)
        return STATUS_ACCESS_DENIED;
    *open_r = open;
    return check_lease(create, open);
}

uint32_t smb2__durable_take_up(struct smb2_request *request, struct smb2_open *open)
{
    struct grant *grant;

    if (request->session->open_count >= SMB2_OPENS_MAX)
        return STATUS_INSUFFICIENT_RESOURCES;
    unpark(open, request->tree);
    open->outstanding_before += open->outstanding;
    open->outstanding = 0;
    open->channel_sequence = request->header.channel_sequence;
    smb2__persist_returned(open);
    grant = open->lease != NULL ? open->lease->grant : open->oplock;
    open->owes_break = grant != NULL && grant_status(grant) == GRANT_BREAKING;
    if (open->owes_break)
        smb2__persist_note(open);
    return STATUS_SUCCESS;
}

uint32_t smb2__durable_reconnect(struct smb2_create *create, struct smb2_open **open_r)
{
    struct smb2_open *open;
    uint32_t status = smb2__request_context(create->request);

    if (status == STATUS_SUCCESS)
        status = find_parked(create, &open);
    if (status == STATUS_SUCCESS)
        status = smb2__durable_take_up(create->request, open);
    if (status == STATUS_SUCCESS)
        *open_r = open;
    return status;
}

/* ---- an application moves ---- */

/* An open of the application on another machine, or NULL. */
static struct smb2_open *find_app(const struct smb2_create *create, const struct state_file *file)
{
    const struct smb2_client *self = create->request->session->machine;
    const struct open *at = NULL;

    while ((at = open_next_of_file(file, at)) != NULL) {
        struct smb2_open *open = smb2__open_of_state(at);

        if (open != NULL && open->has_app && open->machine != self &&
            memcmp(open->app, create->durable.app, sizeof open->app) == 0)
            return open;
    }
    return NULL;
}

static bool is_older(const struct smb2_open *open, const struct smb2_durable_wish *wish)
{
    if (open->app_version[0] != wish->app_version[0])
        return open->app_version[0] < wish->app_version[0];
    return open->app_version[1] < wish->app_version[1];
}

uint32_t smb2__durable_take_over(struct smb2_create *create)
{
    const struct smb2_durable_wish *wish = &create->durable;
    const struct smb2_request *request = create->request;
    struct state_file *file;
    struct inode_attr attr;
    struct smb2_open *open;
    uint32_t status = STATUS_SUCCESS;

    if (!wish->asks_v2 || !wish->has_app)
        return STATUS_SUCCESS;
    vfs_getattr(create->inode, &attr);
    file = state_file_find(request->message->server->state, request->tree->export_id, attr.ino);
    if (file == NULL)
        return STATUS_SUCCESS;
    file = state_file_ref(file);
    while (status == STATUS_SUCCESS && (open = find_app(create, file)) != NULL) {
        /* MS-SMB2 3.3.5.9.16 */
        if (wish->has_app_version && open->has_app_version && !is_older(open, wish))
            status = STATUS_FILE_FORCED_CLOSED;
        else
            smb2__open_end(open, NULL);
    }
    state_file_unref(&file);
    return status;
}
