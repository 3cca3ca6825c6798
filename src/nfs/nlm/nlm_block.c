/*
 * nlm_block.c - blocked LOCK requests, and the GRANTED callbacks that tell their clients.
 *
 * The happy path: LOCK can't have the range and is answered BLOCKED; the request is in state's queue. When
 * the range is its own, and the host's record durable, the client's NLM is called: GRANTED for a client that
 * used LOCK, GRANTED_MSG, answered by GRANTED_RES, for one that used LOCK_MSG. It says that it takes the
 * lock, and the block is gone.
 *
 * Nothing is lost on the way: a client that does not answer is called again, after 1 s first and every 30 s
 * at last, as long as its host is known; one that asks again for the lock meanwhile is answered GRANTED. One
 * that says that it does not want it (any more) gives it back. A host that has restarted ends all of its
 * blocks.
 *
 * The cookie of a callback is ours. Guessing another client's would not help: it must come from the address
 * that was called.
 */
#include "nfs/nlm/nlm_priv.h"

#include "dittofs/random.h"
#include "nfs/nfs_locking_priv.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCKS_MAX = 100000,
    RETRY_MOST_MS = 30000,
    CALL_MS = 10000, /* for the call, asking for the port included */
    ARGUMENTS_MAX = 4096,
    COOKIE_SIZE = 8
};

static void call_client(struct nlm_block *block);

static uint64_t owner_hash(const struct owner *owner)
{
    return hash_u64(owner_id(owner));
}

static uint64_t cookie_hash(uint64_t cookie)
{
    return hash_u64(cookie);
}

/* ---- finding ---- */

static struct nlm_block *first_of(const struct nlm *nlm, const struct owner *owner)
{
    struct hashlink *link = hashtable_find(&nlm->blocks, owner_hash(owner));

    return link == NULL ? NULL : container_of(link, struct nlm_block, by_owner);
}

static struct nlm_block *next_of(const struct nlm_block *block)
{
    struct hashlink *link = hashtable_find_next(&block->by_owner);

    return link == NULL ? NULL : container_of(link, struct nlm_block, by_owner);
}

struct nlm_block *nlm__block_find(const struct nlm *nlm, const struct owner *owner,
                                  const struct state_file *file, const struct lock_request *request)
{
    struct nlm_block *block = first_of(nlm, owner);

    for (; block != NULL; block = next_of(block)) {
        if (block->owner == owner && block->file == file && block->request.offset == request->offset &&
            block->request.length == request->length && block->request.exclusive == request->exclusive)
            return block;
    }
    return NULL;
}

bool nlm__owner_has_blocks(const struct nlm *nlm, const struct owner *owner, const struct state_file *file)
{
    struct nlm_block *block = first_of(nlm, owner);

    for (; block != NULL; block = next_of(block)) {
        if (block->owner == owner && block->file == file)
            return true;
    }
    return false;
}

/* ---- the end ---- */

static void give_back(struct nlm_block *block)
{
    struct lock_holder *holder = lock_holder_find(block->file, block->owner);

    if (holder != NULL && lock_unset(holder, block->request.offset, block->request.length) != ERR_OK)
        log_warning("nlm: a lock that its client does not want can't be taken back yet");
}

/* Nothing comes back to it any more. */
static void free_block(struct nlm_block *block)
{
    struct nlm *nlm = block->host->nlm;

    loop_timer_stop(&block->retry);
    onc_client_cancel(&block->call);
    if (block->state == NLM_BLOCK_RECORDING)
        vfs_durable_cancel(&block->durable);
    if (block->state != NLM_BLOCK_WAITING)
        hashtable_remove(&nlm->callbacks, &block->by_cookie);
    hashtable_remove(&nlm->blocks, &block->by_owner);
    list_remove(&block->link);
    nlm__holder_rest(nlm, block->file, block->owner);
    owner_unref(&block->owner);
    state_file_unref(&block->file);
    free(block);
}

void nlm__block_end(struct nlm_block *block, bool keep)
{
    bool held = block->state != NLM_BLOCK_WAITING || !lock_wait_cancel(&block->waiter);

    if (held && !keep)
        give_back(block);
    free_block(block);
}

static bool lies_in(const struct lock_request *inner, const struct lock_request *outer)
{
    uint64_t inner_last, outer_last;

    if (inner->length == LOCK_TO_END || !add_u64(inner->offset, inner->length - 1, &inner_last))
        inner_last = UINT64_MAX;
    if (outer->length == LOCK_TO_END || !add_u64(outer->offset, outer->length - 1, &outer_last))
        outer_last = UINT64_MAX;
    return inner->offset <= outer_last && outer->offset <= inner_last;
}

void nlm__blocks_unlocked(struct nlm *nlm, const struct owner *owner, const struct state_file *file,
                          const struct lock_request *request)
{
    struct nlm_block *block = first_of(nlm, owner), *next;

    for (; block != NULL; block = next) {
        next = next_of(block);
        if (block->owner == owner && block->file == file && block->state != NLM_BLOCK_WAITING &&
            lies_in(&block->request, request))
            nlm__block_end(block, true);
    }
}

void nlm__blocks_drop(struct nlm_host *host)
{
    struct list *link, *following;

    list_for_each_safe(link, following, &host->blocks)
    {
        struct nlm_block *block = container_of(link, struct nlm_block, link);

        if (block->state != NLM_BLOCK_WAITING)
            nlm__block_end(block, true);
    }
}

/* ---- calling the client ---- */

static void on_retry(struct loop_timer *timer)
{
    call_client(container_of(timer, struct nlm_block, retry));
}

static void call_later(struct nlm_block *block)
{
    loop_timer_start(block->host->nlm->loop, &block->retry, block->retry_ms, 0);
    block->retry_ms *= 2;
    if (block->retry_ms > RETRY_MOST_MS)
        block->retry_ms = RETRY_MOST_MS;
}

static void answered(struct nlm_block *block, uint32_t status)
{
    char peer[NET_ADDRESS_TEXT];

    if (status == NLM_STATUS_GRACE) {
        call_later(block);
        return;
    }
    if (status != NLM_STATUS_GRANTED)
        log_debug("nlm: %s does not want a lock: %u", nfs__host_text(&block->address, peer), status);
    nlm__block_end(block, status == NLM_STATUS_GRANTED);
}

static void on_called(struct onc_client_call *call, enum err err, struct reader *results)
{
    struct nlm_block *block = container_of(call, struct nlm_block, call);
    const uint8_t *cookie;
    uint32_t length, status;
    char peer[NET_ADDRESS_TEXT];

    if (err == ERR_OK && !block->asynchronous &&
        reader_xdr_opaque(results, NLM_COOKIE_MAX, &cookie, &length) && reader_be32(results, &status)) {
        answered(block, status);
        return;
    }
    if (err != ERR_OK)
        log_debug("nlm: %s can't be told that its lock is granted: %s", nfs__host_text(&block->address, peer),
                  err_text(err));
    /* GRANTED_RES, or nothing, comes meanwhile. */
    call_later(block);
}

static void call_client(struct nlm_block *block)
{
    uint8_t cookie[COOKIE_SIZE], arguments[ARGUMENTS_MAX];
    struct nlm_bytes cookie_bytes = {.data = cookie, .length = sizeof cookie};
    struct writer writer;

    writer_init(&writer, cookie, sizeof cookie);
    writer_be64(&writer, block->cookie);
    writer_init(&writer, arguments, sizeof arguments);
    nlm__encode_testargs(&writer, block->version, cookie_bytes, block->request.exclusive, &block->lock);
    invariant(!writer.failed);
    block->call = (struct onc_client_call){
        .done = on_called,
        .to = block->address,
        .from = block->local,
        .transport = block->transport,
        .program = NLM_PROGRAM,
        .version = block->version,
        .procedure = block->asynchronous ? NLM_GRANTED_MSG : NLM_GRANTED,
        .timeout_ms = CALL_MS,
        .credential = {.flavor = ONC_AUTH_NONE},
    };
    if (onc_client_call(block->host->nlm->outgoing, &block->call, arguments, writer.length) != ERR_OK)
        call_later(block);
}

void nlm__block_answer(struct nlm *nlm, const struct net_address *from, struct nlm_bytes cookie,
                       uint32_t status)
{
    struct reader reader = reader_of(cookie.data, cookie.length);
    struct hashlink *link;
    uint64_t number;

    if (!reader_be64(&reader, &number) || !reader_is_done(&reader))
        return;
    link = hashtable_find(&nlm->callbacks, cookie_hash(number));
    for (; link != NULL; link = hashtable_find_next(link)) {
        struct nlm_block *block = container_of(link, struct nlm_block, by_cookie);

        if (block->cookie != number || block->state != NLM_BLOCK_CALLING ||
            !net_address_same_host(&block->address, from))
            continue;
        loop_timer_stop(&block->retry);
        onc_client_cancel(&block->call);
        answered(block, status);
        return;
    }
}

/* ---- granted ---- */

static void on_durable(struct store_waiter *waiter, enum err err)
{
    struct nlm_block *block = container_of(waiter, struct nlm_block, durable);

    block->state = NLM_BLOCK_CALLING;
    if (err != ERR_OK) {
        nlm__block_end(block, false);
        return;
    }
    block->host->is_recorded = true;
    call_client(block);
}

static void record(struct nlm_block *block)
{
    struct nlm *nlm = block->host->nlm;
    struct vfs_context context = {.vfs = nlm->vfs, .export = vfs_export_by_id(nlm->vfs, block->export_id)};
    enum err err;

    /* The export may be gone by a reload: nobody can use the file then. */
    if (context.export == NULL) {
        on_durable(&block->durable, ERR_STALE);
        return;
    }
    if (block->host->is_recorded) {
        on_durable(&block->durable, ERR_OK);
        return;
    }
    vfs_wait_for_metadata(&context);
    block->durable.done = on_durable;
    err = vfs_durable(&context, &block->durable);
    if (err != ERR_WAIT)
        on_durable(&block->durable, err);
}

static void on_held(struct lock_waiter *waiter, enum err err)
{
    struct nlm_block *block = container_of(waiter, struct nlm_block, waiter);
    struct nlm *nlm = block->host->nlm;

    /* The host is gone, or there is no room for the range: the client asks again by itself. */
    if (err != ERR_OK) {
        free_block(block);
        return;
    }
    block->cookie = nlm->next_cookie++;
    if (!hashtable_insert(&nlm->callbacks, &block->by_cookie, cookie_hash(block->cookie))) {
        give_back(block);
        free_block(block);
        return;
    }
    block->state = NLM_BLOCK_RECORDING;
    record(block);
}

/* ---- waiting ---- */

static struct nlm_bytes keep(uint8_t **at, struct nlm_bytes bytes)
{
    struct nlm_bytes kept = {.data = *at, .length = bytes.length};

    if (bytes.length > 0)
        memcpy(*at, bytes.data, bytes.length);
    *at += bytes.length;
    return kept;
}

static struct nlm_block *new_block(struct nlm_request *request, struct lock_holder *holder)
{
    const struct nlm_lock *lock = &request->args.lock;
    struct nlm_block *block =
        calloc(1, sizeof *block + lock->caller_name.length + lock->handle.length + lock->owner.length);
    uint8_t *at;

    if (block == NULL)
        return NULL;
    at = block->bytes;
    block->lock = *lock;
    block->lock.caller_name = keep(&at, lock->caller_name);
    block->lock.handle = keep(&at, lock->handle);
    block->lock.owner = keep(&at, lock->owner);
    block->host = request->host;
    block->request = nlm__lock_request(&request->args);
    block->version = request->version;
    block->export_id = vfs_export_id(request->context.export);
    block->transport = request->call->transport;
    block->address = nfs__host_of(&request->call->peer);
    block->local = nfs__host_of(onc_call_local(request->call));
    block->asynchronous = request->procedure == NLM_LOCK_MSG;
    block->retry_ms = request->nlm->retry_ms;
    block->retry.callback = on_retry;
    block->waiter.done = on_held;
    block->owner = owner_ref(lock_holder_owner(holder));
    block->file = state_file_ref(lock_holder_file(holder));
    return block;
}

enum err nlm__block_start(struct nlm_request *request, struct lock_holder *holder)
{
    struct nlm *nlm = request->nlm;
    struct nlm_block *block;
    enum err err = ERR_LIMIT;

    if (nlm->blocks.count >= BLOCKS_MAX)
        return ERR_LIMIT;
    block = new_block(request, holder);
    if (block == NULL)
        return ERR_NOMEM;
    if (!hashtable_insert(&nlm->blocks, &block->by_owner, owner_hash(block->owner)))
        err = ERR_NOMEM;
    else if ((err = lock_wait(holder, &block->request, &block->waiter, NULL)) == ERR_WAIT)
        list_push_back(&block->host->blocks, &block->link);
    else
        hashtable_remove(&nlm->blocks, &block->by_owner);
    if (err != ERR_WAIT) {
        owner_unref(&block->owner);
        state_file_unref(&block->file);
        free(block);
    }
    return err;
}
