/*
 * nlm_share.c - SHARE and UNSHARE: the share reservations of DOS clients, in the table of all opens.
 *
 * A share is an open of state's, with what the host wants to do as its access and what it denies others as
 * its deny mode. Its owner is the host and oh. An owner has one share a file; SHARE for a file that it has
 * already replaces it, so a repeated one changes nothing.
 */
#include "nfs/nlm/nlm_priv.h"

/* fsh_mode and fsh_access: nothing, reading, writing, both (X/Open XNFS 10.3.7). */
static unsigned bits_of(uint32_t wire)
{
    return (wire & 1 ? OPEN_READ : 0) | (wire & 2 ? OPEN_WRITE : 0);
}

static struct owner *find_owner(const struct nlm_request *request)
{
    const struct nlm_bytes *key = &request->args.lock.owner;
    struct nlm_host *host =
        nlm__host_find(request->nlm, &request->call->peer, request->args.lock.caller_name);

    if (host == NULL || host->client == NULL || key->length == 0)
        return NULL;
    return owner_find(host->client, NLM_OWNER_SHARE, key->data, key->length);
}

/* The rights that ACCESS takes, and the right to read to deny something. */
static enum err may_share(struct nlm_request *request)
{
    unsigned access = bits_of(request->args.access);
    enum err err = ERR_OK;

    if ((access & OPEN_READ) != 0 || access == 0)
        err = nlm__may_lock(request, false);
    if (err == ERR_OK && (access & OPEN_WRITE) != 0)
        err = nlm__may_lock(request, true);
    return err;
}

static enum err set_share(struct nlm_request *request, struct state_file *file, struct owner *owner)
{
    struct open_spec spec = {
        .file = file,
        .owner = owner,
        .access = bits_of(request->args.access),
        .deny = bits_of(request->args.mode),
        .reclaim = request->args.reclaim,
    };
    struct open *old = open_find(owner, file), *open;
    enum err err;

    if (old != NULL && open_access(old) == spec.access && open_deny(old) == spec.deny)
        return ERR_OK;
    if (old != NULL) {
        /* Others must not get in between: it is seen first that the new one is possible. */
        err = open_test(file, spec.access, spec.deny, owner);
        if (err == ERR_OK)
            err = grace_check(owner_client(owner), spec.reclaim);
        if (err != ERR_OK)
            return err;
        open_close(old);
    }
    return open_add(&spec, &open);
}

static enum err share(struct nlm_request *request)
{
    const struct nlm_bytes *key = &request->args.lock.owner;
    struct state_file *file = NULL;
    struct owner *owner = NULL;
    enum err err = nlm__file_get(request, &file);

    if (err == ERR_OK)
        err = owner_get(request->host->client, NLM_OWNER_SHARE, key->data, key->length, &owner);
    if (err == ERR_OK)
        err = vfs_conflict_open(&request->context, request->inode, bits_of(request->args.access),
                                bits_of(request->args.mode), false, owner);
    if (err == ERR_OK)
        err = set_share(request, file, owner);
    owner_unref(&owner);
    state_file_unref(&file);
    return err;
}

void nlm__run_share(struct nlm_request *request)
{
    const struct nlm_args *args = &request->args;
    enum err err = nlm__open(request, true);

    if (err == ERR_OK && (args->lock.caller_name.length == 0 || args->lock.owner.length == 0 ||
                          args->mode > NLM_SHARE_BITS || args->access > NLM_SHARE_BITS))
        err = ERR_INVAL;
    if (err == ERR_OK)
        err = may_share(request);
    if (err == ERR_OK && !args->reclaim && grace_is_active(request->nlm->state))
        err = ERR_GRACE;
    if (err == ERR_OK)
        err = nlm__host_get(request->nlm, &request->call->peer, args->lock.caller_name, 0, &request->host);
    if (err == ERR_OK)
        err = share(request);
    /* It may have no NSM (DOS clients say FREE_ALL when they start): then it is not told of our restart. */
    if (err == ERR_OK) {
        err = nlm__host_monitor(request);
        if (err != ERR_OK)
            nlm__share_undo(request);
    }
    if (err == ERR_OK)
        nlm__reply_durable(request, NLM_STATUS_GRANTED);
    else
        nlm__reply(request, nlm__status(err));
}

/* To give back what one does not have is fine. */
void nlm__share_undo(struct nlm_request *request)
{
    struct owner *owner = find_owner(request);
    struct state_file *file = nlm__file_find(request);
    struct open *open = owner == NULL || file == NULL ? NULL : open_find(owner, file);

    if (open != NULL)
        open_close(open);
}

void nlm__run_unshare(struct nlm_request *request)
{
    enum err err = nlm__open(request, false);

    if (err == ERR_OK)
        nlm__share_undo(request);
    nlm__reply(request, nlm__status(err));
}
