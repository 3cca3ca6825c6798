/*
 * nlm_lock.c - TEST, LOCK and NM_LOCK, CANCEL, UNLOCK.
 *
 * An owner is the host and, within it, svid and oh. Ranges are POSIX's: lock.h splits and merges them.
 */
#include "nfs/nlm/nlm_priv.h"

/* Length 0 is to the end; so is what runs over it (clients compute the length of "the rest" in many ways). */
struct lock_request nlm__lock_request(const struct nlm_args *args)
{
    struct lock_request request = {
        .offset = args->lock.offset,
        .length = args->lock.length,
        .exclusive = args->exclusive,
        .reclaim = args->reclaim,
    };

    if (request.length == 0 || request.length - 1 >= UINT64_MAX - request.offset)
        request.length = LOCK_TO_END;
    return request;
}

static size_t write_key(const struct nlm_lock *lock, uint8_t key[OWNER_KEY_MAX])
{
    struct writer writer;

    writer_init(&writer, key, OWNER_KEY_MAX);
    writer_be32(&writer, lock->svid);
    writer_bytes(&writer, lock->owner.data, lock->owner.length);
    return writer.length;
}

/* Of a host that holds something; NULL otherwise. */
static struct owner *find_owner(const struct nlm_request *request)
{
    struct nlm_host *host =
        nlm__host_find(request->nlm, &request->call->peer, request->args.lock.caller_name);
    uint8_t key[OWNER_KEY_MAX];

    if (host == NULL || host->client == NULL)
        return NULL;
    return owner_find(host->client, NLM_OWNER_LOCK, key, write_key(&request->args.lock, key));
}

void nlm__holder_rest(struct nlm *nlm, struct state_file *file, const struct owner *owner)
{
    struct lock_holder *holder = lock_holder_find(file, owner);

    if (holder != NULL && lock_holder_count(holder) == 0 && !nlm__owner_has_blocks(nlm, owner, file))
        lock_holder_free(holder);
}

/* ---- TEST ---- */

static struct nlm_holder describe(const struct lock_conflict *conflict)
{
    struct nlm_holder holder = {
        .exclusive = conflict->exclusive,
        .offset = conflict->offset,
        .length = conflict->length == LOCK_TO_END ? 0 : conflict->length,
    };
    const struct client *client = owner_client(conflict->owner);
    size_t length;
    const uint8_t *key = owner_key(conflict->owner, &length);
    struct reader reader = reader_of(key, length);

    /* Holders of other protocols have no names here. */
    if (client == NULL || client_family(client) != NLM_FAMILY || !reader_be32(&reader, &holder.svid))
        return holder;
    holder.owner = (struct nlm_bytes){.data = reader.at, .length = (uint32_t)reader.left};
    return holder;
}

void nlm__run_test(struct nlm_request *request)
{
    struct lock_request range = nlm__lock_request(&request->args);
    struct lock_conflict conflict;
    enum err err = nlm__open(request, true);

    /* What would be in the way may not have been reclaimed yet. */
    if (err == ERR_OK && grace_is_active(request->nlm->state)) {
        nlm__host_heard(request);
        err = ERR_GRACE;
    }
    if (err == ERR_OK)
        err = lock_test(nlm__file_find(request), find_owner(request), &range, &conflict);
    if (err == ERR_DENIED)
        request->holder = describe(&conflict);
    nlm__reply(request, nlm__status(err));
}

/* ---- LOCK ---- */

/* A client asks again for what it waits for (every 30 s, say), or was given. True: this is the answer. */
static bool was_asked_before(struct nlm_request *request, struct state_file *file, struct owner *owner,
                             enum err *err_r)
{
    struct lock_request range = nlm__lock_request(&request->args);
    struct nlm_block *block = nlm__block_find(request->nlm, owner, file, &range);

    if (block == NULL)
        return false;
    if (block->state == NLM_BLOCK_WAITING) {
        if (request->args.block) {
            *err_r = ERR_WAIT;
            return true;
        }
        nlm__block_end(block, false);
        return false;
    }
    nlm__block_end(block, true);
    *err_r = ERR_OK;
    return true;
}

static enum err set_or_wait(struct nlm_request *request, struct state_file *file, struct owner *owner)
{
    struct lock_request range = nlm__lock_request(&request->args);
    struct lock_holder *holder;
    enum err err;

    if (was_asked_before(request, file, owner, &err))
        return err;
    err = lock_holder_get(file, owner, NULL, LOCK_POSIX, &holder);
    if (err != ERR_OK)
        return err;
    /* A reclaim never waits: nobody else can have the range. */
    if (request->args.block && !request->args.reclaim && request->procedure != NLM_NM_LOCK)
        err = nlm__block_start(request, holder);
    else
        err = lock_set(holder, &range, NULL);
    if (err != ERR_OK && err != ERR_WAIT)
        nlm__holder_rest(request->nlm, file, owner);
    return err;
}

static enum err lock_file(struct nlm_request *request)
{
    struct state_file *file = NULL;
    struct owner *owner = NULL;
    uint8_t key[OWNER_KEY_MAX];
    enum err err = vfs_conflict_lock(&request->context, request->inode, request->args.exclusive);

    if (err == ERR_OK)
        err = nlm__file_get(request, &file);
    if (err == ERR_OK)
        err = owner_get(request->host->client, NLM_OWNER_LOCK, key, write_key(&request->args.lock, key),
                        &owner);
    if (err == ERR_OK)
        err = set_or_wait(request, file, owner);
    owner_unref(&owner);
    state_file_unref(&file);
    return err;
}

void nlm__lock_undo(struct nlm_request *request)
{
    struct lock_request range = nlm__lock_request(&request->args);
    struct owner *owner = find_owner(request);
    struct state_file *file = nlm__file_find(request);
    struct nlm_block *block;
    struct lock_holder *holder;

    if (owner == NULL || file == NULL)
        return;
    block = nlm__block_find(request->nlm, owner, file, &range);
    if (block != NULL) {
        nlm__block_end(block, false);
        return;
    }
    holder = lock_holder_find(file, owner);
    if (holder != NULL && lock_unset(holder, range.offset, range.length) != ERR_OK)
        log_error("nlm: a lock that can't be recorded can't be taken back");
}

void nlm__run_lock(struct nlm_request *request)
{
    struct nlm *nlm = request->nlm;
    const struct nlm_lock *lock = &request->args.lock;
    /* NM_LOCK: the host has no NSM, and frees its locks by FREE_ALL. */
    bool monitored = request->procedure != NLM_NM_LOCK;
    enum err err = nlm__open(request, true);

    if (err == ERR_OK && lock->caller_name.length == 0)
        err = ERR_INVAL;
    if (err == ERR_OK)
        err = nlm__may_lock(request, request->args.exclusive);
    if (err == ERR_OK && !request->args.reclaim && grace_is_active(nlm->state)) {
        nlm__host_heard(request);
        err = ERR_GRACE;
    }
    if (err == ERR_OK)
        err = nlm__host_get(nlm, &request->call->peer, lock->caller_name, monitored ? request->args.state : 0,
                            &request->host);
    if (err == ERR_OK)
        err = lock_file(request);
    if ((err == ERR_OK || err == ERR_WAIT) && monitored) {
        enum err monitor_err = nlm__host_monitor(request);

        if (monitor_err != ERR_OK) {
            nlm__lock_undo(request);
            err = monitor_err;
        }
    }
    if (err == ERR_OK)
        nlm__reply_durable(request, NLM_STATUS_GRANTED);
    else
        nlm__reply(request, nlm__status(err));
}

/* ---- CANCEL, UNLOCK ---- */

/* What a host gives back is its own: the export's rules may have changed since it got it. */
void nlm__run_cancel(struct nlm_request *request)
{
    struct lock_request range = nlm__lock_request(&request->args);
    struct nlm_block *block = NULL;
    struct state_file *file = NULL;
    struct owner *owner;
    enum err err = nlm__open(request, false);

    if (err == ERR_OK) {
        owner = find_owner(request);
        file = nlm__file_find(request);
        if (owner != NULL && file != NULL)
            block = nlm__block_find(request->nlm, owner, file, &range);
        err = block == NULL ? ERR_DENIED : ERR_OK;
    }
    if (block != NULL)
        nlm__block_end(block, false);
    nlm__reply(request, nlm__status(err));
}

static enum err unlock(struct nlm_request *request, struct state_file *file, struct owner *owner)
{
    struct lock_request range = nlm__lock_request(&request->args);
    struct lock_holder *holder = lock_holder_find(file, owner);
    enum err err;

    if (holder == NULL)
        return ERR_OK;
    err = lock_unset(holder, range.offset, range.length);
    if (err == ERR_OK)
        nlm__blocks_unlocked(request->nlm, owner, file, &range);
    nlm__holder_rest(request->nlm, file, owner);
    return err;
}

void nlm__run_unlock(struct nlm_request *request)
{
    enum err err = nlm__open(request, false);

    if (err == ERR_OK) {
        struct owner *owner = find_owner(request);
        struct state_file *file = nlm__file_find(request);

        /* To unlock what is not locked is fine. */
        if (owner != NULL && file != NULL) {
            struct owner *kept = owner_ref(owner);

            file = state_file_ref(file);
            err = unlock(request, file, owner);
            state_file_unref(&file);
            owner_unref(&kept);
        }
    }
    nlm__reply(request, nlm__status(err));
}
