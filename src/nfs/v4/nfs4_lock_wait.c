/*
 * nfs4_lock_wait.c - a fair queue for clients that wait for a lock by asking again, and CB_NOTIFY_LOCK (RFC
 * 8881 9.6, 20.11).
 *
 * The happy path: LOCK was denied and the client can be called; its holder waits in the state room's queue.
 * When its turn comes it has the range at once, so that nobody else can take it; the client is told, asks
 * again, and finds that it has it.
 *
 *   WAITING -its turn-> RESERVED -the same LOCK-> gone, the range stays
 *   WAITING -not asked again for a lease, another request-> gone
 *   RESERVED -not fetched in time, the client can't be told, another request-> gone, the range is given back
 *
 * Only a holder without other ranges has it reserved: giving a range back must not take away what it had
 * before. Others are told when their turn has come (`only_tell`), and may find that somebody was faster; they
 * wait again then.
 *
 *   WAITING, only to be told -its turn-> gone, the client is told
 *
 * Clients without a back channel and those of 4.0, which can't be told, just ask again: a reservation for who
 * comes back in half a minute would keep everybody else out for as long.
 *
 * An entry refers to owner and file; its holder is looked up, as it may go at any time.
 */
#include "nfs/v4/nfs4_lock_wait.h"
#include "nfs/v4/nfs4_callback.h"
#include "nfs/v4/nfs4_server.h"
#include "dittofs/clock.h"
#include <stdlib.h>
#include <string.h>

enum { RESERVED_MS = 5000, TICK_MS = 1000, CALLBACK_MS = 5000, ARGUMENTS_MAX = 1200 };

enum blocked_status { WAITING, RESERVED };

struct nfs4_blocked {
    struct hashlink hashlink; /* in server->blocked */
    struct list link;         /* in server->waiting or ->reserved, oldest first */
    struct nfs4_server *server;
    enum blocked_status status;
    uint64_t since_ms; /* asked last; reserved */
    struct owner *owner;
    struct state_file *file;
    struct lock_request request;
    bool holder_is_new; /* the client does not know its stateid */
    struct lock_waiter waiter;
    struct nfs4_callback *callback; /* under way */
    uint8_t handle[VFS_HANDLE_SIZE];
};

/* ---- the table ---- */

static uint64_t table_hash(const struct owner *owner, const struct state_file *file)
{
    return hash_u64(owner_id(owner) ^ hash_u64((uint64_t)(uintptr_t)file));
}

static struct nfs4_blocked *find(const struct nfs4_server *server, const struct owner *owner,
                                 const struct state_file *file)
{
    struct hashlink *link = hashtable_find(&server->blocked, table_hash(owner, file));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct nfs4_blocked *blocked = container_of(link, struct nfs4_blocked, hashlink);

        if (blocked->owner == owner && blocked->file == file)
            return blocked;
    }
    return NULL;
}

static void blocked_free(struct nfs4_blocked *blocked)
{
    nfs4__callback_forget(&blocked->callback);
    hashtable_remove(&blocked->server->blocked, &blocked->hashlink);
    list_remove(&blocked->link);
    owner_unref(&blocked->owner);
    state_file_unref(&blocked->file);
    free(blocked);
}

/* Stops waiting. Afterwards it is RESERVED if it was granted meanwhile. */
static void stop_waiting(struct nfs4_blocked *blocked)
{
    if (blocked->status == WAITING && !lock_wait_cancel(&blocked->waiter) && !blocked->request.only_tell)
        blocked->status = RESERVED;
}

/* As if LOCK had just been denied. */
static void undo(struct nfs4_blocked *blocked)
{
    struct lock_holder *holder;

    stop_waiting(blocked);
    holder = lock_holder_find(blocked->file, blocked->owner);
    if (holder != NULL && blocked->status == RESERVED)
        lock_unset_all(holder); /* it had none before */
    if (holder != NULL && blocked->holder_is_new)
        lock_holder_free(holder);
    blocked_free(blocked);
}

/* ---- time ---- */

static void drop_older(struct list *list, uint64_t than_ms)
{
    while (!list_is_empty(list)) {
        struct nfs4_blocked *blocked = list_first(list, struct nfs4_blocked, link);

        if (blocked->since_ms > than_ms)
            break;
        undo(blocked);
    }
}

static void tick(struct loop_timer *timer)
{
    struct nfs4_server *server = container_of(timer, struct nfs4_server, blocked_timer);
    uint64_t now_ms = clock_monotonic_ms(), lease_ms = state_options(server->state)->lease_ms;

    if (now_ms > RESERVED_MS)
        drop_older(&server->reserved, now_ms - RESERVED_MS);
    if (now_ms > lease_ms)
        drop_older(&server->waiting, now_ms - lease_ms);
    if (server->blocked.count == 0)
        loop_timer_stop(timer);
}

static void start_timer(struct nfs4_server *server)
{
    if (server->blocked.count > 1)
        return;
    server->blocked_timer.callback = tick;
    loop_timer_start(server->loop, &server->blocked_timer, TICK_MS, TICK_MS);
}

/* ---- telling the client ---- */

static void notified(void *data, enum err err, uint32_t status, struct reader *results)
{
    struct nfs4_blocked *blocked = data;

    (void)results;
    blocked->callback = NULL;
    /* Who is busy comes later; who can't be told, in half a minute perhaps. */
    if (err != ERR_OK || (status != NFS4_OK && status != NFS4ERR_DELAY))
        undo(blocked);
}

static enum err notify(struct nfs4_blocked *blocked, const struct client *client)
{
    struct nfs4_callback_spec spec = {
        .opnum = OP_CB_NOTIFY_LOCK, .timeout_ms = CALLBACK_MS, .done = notified, .data = blocked};
    uint8_t bytes[ARGUMENTS_MAX];
    struct writer writer;
    size_t length;
    const uint8_t *key = owner_key(blocked->owner, &length);

    writer_init(&writer, bytes, sizeof bytes);
    writer_xdr_opaque(&writer, blocked->handle, sizeof blocked->handle);
    writer_be64(&writer, client_id(client));
    writer_xdr_opaque(&writer, key, length);
    if (writer.failed)
        return ERR_INVAL;
    spec.arguments = bytes;
    spec.length = writer.length;
    return nfs4__callback_send(blocked->server, owner_client(blocked->owner), &spec, &blocked->callback);
}

static void turn_came(struct lock_waiter *waiter, enum err err)
{
    struct nfs4_blocked *blocked = container_of(waiter, struct nfs4_blocked, waiter);
    const struct client *client = owner_client(blocked->owner);

    /* The holder, or its client, has gone. */
    if (err != ERR_OK || client == NULL) {
        blocked_free(blocked);
        return;
    }
    if (blocked->request.only_tell) {
        err = notify(blocked, client);
        blocked_free(blocked); /* told or not, it asks again */
        return;
    }
    blocked->status = RESERVED;
    blocked->since_ms = clock_monotonic_ms();
    list_remove(&blocked->link);
    list_push_back(&blocked->server->reserved, &blocked->link);
    if (notify(blocked, client) != ERR_OK)
        undo(blocked);
}

/* ---- what LOCK and LOCKU ask ---- */

static bool is_same(const struct nfs4_blocked *blocked, const struct lock_request *request)
{
    return request != NULL && blocked->request.offset == request->offset &&
           blocked->request.length == request->length && blocked->request.exclusive == request->exclusive;
}

void nfs4__blocked_settle(struct nfs4_server *server, const struct owner *owner, struct state_file *file,
                          const struct lock_request *request)
{
    struct nfs4_blocked *blocked;

    if (server->blocked.count == 0)
        return;
    blocked = find(server, owner, file);
    if (blocked != NULL && !is_same(blocked, request))
        undo(blocked);
}

void nfs4__blocked_end(struct nfs4_server *server, const struct owner *owner, struct state_file *file)
{
    struct nfs4_blocked *blocked;

    if (server->blocked.count == 0)
        return;
    blocked = find(server, owner, file);
    if (blocked == NULL)
        return;
    stop_waiting(blocked);
    blocked_free(blocked);
}

static enum err blocked_new(struct nfs4_compound *compound, struct lock_holder *holder, bool is_new,
                            const struct lock_request *request)
{
    struct nfs4_server *server = compound->server;
    struct nfs4_blocked *blocked = calloc(1, sizeof *blocked);
    enum err err;

    if (blocked == NULL)
        return ERR_NOMEM;
    blocked->waiter.done = turn_came;
    blocked->request = *request;
    blocked->request.only_tell = lock_holder_count(holder) > 0;
    err = lock_wait(holder, &blocked->request, &blocked->waiter, NULL);
    if (err == ERR_OK && !blocked->request.only_tell)
        lock_unset_all(holder); /* DENIED is on its way: it asks again */
    if (err != ERR_WAIT)
        goto err_after_new;
    if (!hashtable_insert(&server->blocked, &blocked->hashlink,
                          table_hash(lock_holder_owner(holder), lock_holder_file(holder)))) {
        lock_wait_cancel(&blocked->waiter);
        err = ERR_NOMEM;
        goto err_after_new;
    }
    blocked->server = server;
    blocked->owner = owner_ref(lock_holder_owner(holder));
    blocked->file = state_file_ref(lock_holder_file(holder));
    blocked->holder_is_new = is_new;
    blocked->since_ms = clock_monotonic_ms();
    nfs4__filehandle_encode(server, &compound->current, blocked->handle);
    list_push_back(&server->waiting, &blocked->link);
    start_timer(server);
    return ERR_WAIT;

err_after_new:
    free(blocked);
    return err;
}

enum err nfs4__blocked_wait(struct nfs4_compound *compound, struct lock_holder *holder, bool is_new,
                            const struct lock_request *request)
{
    struct nfs4_server *server = compound->server;
    struct nfs4_blocked *blocked = find(server, lock_holder_owner(holder), lock_holder_file(holder));

    if (blocked != NULL) {
        blocked->since_ms = clock_monotonic_ms();
        list_remove(&blocked->link);
        list_push_back(&server->waiting, &blocked->link);
        return ERR_WAIT;
    }
    if (compound->minor == 0 || !nfs4__callback_is_possible(compound->session->client))
        return ERR_NOTSUPP;
    return blocked_new(compound, holder, is_new, request);
}

void nfs4__blocked_close(struct nfs4_server *server)
{
    drop_older(&server->waiting, UINT64_MAX);
    drop_older(&server->reserved, UINT64_MAX);
    invariant(server->blocked.count == 0);
    hashtable_free(&server->blocked);
    loop_timer_stop(&server->blocked_timer);
}
