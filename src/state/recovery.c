/*
 * recovery.c - records of clients, and grace.
 *
 * Records of table "state":
 *   key "boot"                  value: boot (8, big-endian), the boot in which grace last ended (8)
 *   key "c" family (4) owner    value: version 1 (1), the boot in which the client last could hold state (8)
 *
 * Start: boot grows by one. Clients whose boot is not before the one in which grace last ended may reclaim;
 * grace is active while there are any. A client's record gets the present boot when it holds state that a
 * later reclaim would be right about: with its first new state, or, in grace, when it is done with
 * reclaiming. End: first the records of those who came back, then the record "boot" are written; when that is
 * durable, grace is over, and records of the others are removed.
 *
 * So, RFC 8881 8.4.3: a client that was away during all of a grace period has a boot before the end of that
 * one, and may not reclaim after the next restart. And 8.4.2.1: a restart within grace finds the old end of
 * grace, and the same clients may reclaim.
 */
#include "dittofs/recovery.h"
#include "state/state_priv.h"

#include "dittofs/cursor.h"

#include <stdlib.h>
#include <string.h>

#define TABLE "state"
enum {
    KEY_MAX = 1 + 4 + CLIENT_OWNER_MAX,
    RECORD_VERSION = 1,
    BOOT_RECORD = 16,
    CLIENT_RECORD = 9,
    RETRY_MS = 10000
};

static const char boot_key[] = {'b', 'o', 'o', 't'};

/* ---- records ---- */

static enum err put(struct state *state, const void *key, size_t key_length, const struct writer *value)
{
    struct grace *grace = &state->grace;

    grace->writes++;
    return grace->store.put(grace->store.data, TABLE, key, key_length, value->data, value->length);
}

static size_t client_key(uint8_t key[KEY_MAX], unsigned family, const uint8_t *owner, size_t length)
{
    struct writer writer;

    writer_init(&writer, key, KEY_MAX);
    writer_u8(&writer, 'c');
    writer_be32(&writer, family);
    writer_bytes(&writer, owner, length);
    return writer.length;
}

static enum err put_client(struct client *client)
{
    struct state *state = client->state;
    uint8_t key[KEY_MAX], bytes[CLIENT_RECORD];
    struct writer writer;
    enum err err;

    writer_init(&writer, bytes, sizeof bytes);
    writer_u8(&writer, RECORD_VERSION);
    writer_be64(&writer, state->grace.boot);
    err = put(state, key, client_key(key, client->family, client->owner, client->owner_length), &writer);
    if (err == ERR_OK)
        client->recorded = true;
    return err;
}

static enum err remove_client(struct state *state, unsigned family, const uint8_t *owner, size_t length)
{
    struct grace *grace = &state->grace;
    uint8_t key[KEY_MAX];

    grace->writes++;
    return grace->store.remove(grace->store.data, TABLE, key, client_key(key, family, owner, length));
}

static enum err put_boot(struct state *state, uint64_t grace_ended)
{
    uint8_t bytes[BOOT_RECORD];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    writer_be64(&writer, state->grace.boot);
    writer_be64(&writer, grace_ended);
    return put(state, boot_key, sizeof boot_key, &writer);
}

/* ---- those who may reclaim ---- */

static uint64_t known_hash(const struct state *state, unsigned family, const uint8_t *owner, size_t length)
{
    return siphash64(&state->hash_key, owner, length) ^ hash_u64(family);
}

static struct known_client *find_known(const struct state *state, unsigned family, const uint8_t *owner,
                                       size_t length)
{
    uint64_t hash = known_hash(state, family, owner, length);
    struct hashlink *link = hashtable_find(&state->grace.known_table, hash);

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct known_client *known = container_of(link, struct known_client, hashlink);
        if (known->family == family && known->owner_length == length &&
            memcmp(known->owner, owner, length) == 0)
            return known;
    }
    return NULL;
}

static void free_known(struct state *state, struct known_client *known)
{
    if (known->client != NULL)
        known->client->known = NULL;
    hashtable_remove(&state->grace.known_table, &known->hashlink);
    list_remove(&known->link);
    free(known);
}

static void set_done(struct state *state, struct known_client *known)
{
    if (!known->done)
        state->grace.waiting_for--;
    known->done = true;
}

/* ---- loading ---- */

struct load {
    struct state *state;
    uint64_t grace_ended;
    enum err err;
};

static bool load_boot(struct load *load, struct reader *value)
{
    uint64_t boot = 0, ended = 0;

    if (!reader_be64(value, &boot) || !reader_be64(value, &ended) || !reader_is_done(value)) {
        load->err = ERR_CORRUPT;
        return false;
    }
    load->state->grace.boot = boot;
    load->grace_ended = ended;
    return true;
}

static bool load_client(struct load *load, struct reader *key, struct reader *value)
{
    struct state *state = load->state;
    struct known_client *known;
    uint32_t family = 0;
    uint8_t version = 0;
    uint64_t boot = 0;

    if (!reader_be32(key, &family) || key->left == 0 || key->left > CLIENT_OWNER_MAX ||
        !reader_u8(value, &version) || version != RECORD_VERSION || !reader_be64(value, &boot) ||
        !reader_is_done(value)) {
        load->err = ERR_CORRUPT;
        return false;
    }
    known = calloc(1, sizeof *known + key->left);
    if (known == NULL || !hashtable_insert(&state->grace.known_table, &known->hashlink,
                                           known_hash(state, family, key->at, key->left))) {
        free(known);
        load->err = ERR_NOMEM;
        return false;
    }
    known->family = family;
    known->boot = boot;
    known->owner_length = key->left;
    memcpy(known->owner, key->at, key->left);
    list_push_back(&state->grace.known, &known->link);
    return true;
}

static bool load_record(void *data, const void *key, size_t key_length, const void *value,
                        size_t value_length)
{
    struct load *load = data;
    struct reader key_reader = reader_of(key, key_length), value_reader = reader_of(value, value_length);
    uint8_t kind = 0;

    if (key_length == sizeof boot_key && memcmp(key, boot_key, sizeof boot_key) == 0)
        return load_boot(load, &value_reader);
    if (reader_u8(&key_reader, &kind) && kind == 'c')
        return load_client(load, &key_reader, &value_reader);
    load->err = ERR_CORRUPT;
    return false;
}

static void grace_begin(struct state *state, uint64_t grace_ended)
{
    struct grace *grace = &state->grace;
    struct list *link, *following;

    list_for_each_safe(link, following, &grace->known)
    {
        struct known_client *known = container_of(link, struct known_client, link);
        if (known->boot >= grace_ended) {
            grace->waiting_for++;
            continue;
        }
        if (remove_client(state, known->family, known->owner, known->owner_length) != ERR_OK)
            log_error("state: the record of a client that may not reclaim could not be removed");
        free_known(state, known);
    }
    grace->active = grace->waiting_for > 0;
    grace->end_ms = state__now() + state->options.grace_ms;
    if (grace->active)
        log_info("state: grace for %u clients, %llu s at most", grace->waiting_for,
                 (unsigned long long)(state->options.grace_ms / 1000));
}

enum err recovery__open(struct state *state, const struct recovery_store *store)
{
    struct grace *grace = &state->grace;
    struct load load = {.state = state, .err = ERR_OK};
    enum err err;

    list_init(&grace->known);
    grace->boot = 0;
    if (store != NULL) {
        grace->store = *store;
        grace->has_recovery = true;
        err = store->scan(store->data, TABLE, load_record, &load);
        if (err == ERR_OK)
            err = load.err;
        if (err != ERR_OK)
            goto err_after_load;
    }
    grace->boot++;
    if (!grace->has_recovery)
        return ERR_OK;
    grace_begin(state, load.grace_ended);
    /* Without grace there is nothing that its end could take from anybody. */
    err = put_boot(state, grace->active ? load.grace_ended : grace->boot);
    if (err == ERR_OK)
        return ERR_OK;
err_after_load:
    recovery__close(state);
    return err;
}

void recovery__close(struct state *state)
{
    struct grace *grace = &state->grace;

    if (grace->ending)
        grace->store.wait_cancel(grace->store.data, &grace->wait);
    if (grace->releasing)
        grace->store.wait_cancel(grace->store.data, &grace->release_wait);
    grace->ending = grace->releasing = false;
    while (!list_is_empty(&grace->known))
        free_known(state, list_first(&grace->known, struct known_client, link));
    hashtable_free(&grace->known_table);
}

uint64_t recovery_writes(const struct state *state)
{
    return state->grace.writes;
}

uint64_t recovery_boot(const struct state *state)
{
    return state->grace.boot;
}

/* ---- records of front-ends ---- */

static void wait_for_release(struct grace *grace);

static void on_released(struct recovery_wait *wait, enum err err)
{
    struct grace *grace = container_of(wait, struct grace, release_wait);

    (void)err; /* a store that failed makes nothing durable any more, and no reply goes */
    grace->releasing = false;
    if (grace->release_again)
        wait_for_release(grace);
}

static void wait_for_release(struct grace *grace)
{
    grace->release_again = false;
    grace->release_wait.done = on_released;
    grace->releasing = grace->store.wait(grace->store.data, &grace->release_wait) == ERR_WAIT;
}

void recovery_released(struct state *state)
{
    struct grace *grace = &state->grace;

    if (!grace->has_recovery || grace->store.wait == NULL || state->closing)
        return;
    if (grace->releasing)
        grace->release_again = true;
    else
        wait_for_release(grace);
}

/* ---- a client's way ---- */

void recovery__returned(struct client *client)
{
    struct known_client *known;

    if (!client->state->grace.active || !client->recoverable)
        return;
    known = find_known(client->state, client->family, client->owner, client->owner_length);
    if (known == NULL || known->done)
        return;
    known->client = client;
    client->known = known;
    client->reclaimed_ms = state__now();
}

/* New state in a boot is what its record stands for. What is reclaimed in grace has one of an earlier boot,
 * which is as good until grace ends; who is done by then gets one of this boot. */
enum err recovery__note(struct client *client, bool reclaim)
{
    struct state *state = client->state;

    if (state->grace.releasing)
        state->grace.writes++;
    if (reclaim)
        client->reclaimed_ms = state__now();
    if (!client->recoverable || client->recorded || !state->grace.has_recovery || reclaim)
        return ERR_OK;
    return put_client(client);
}

enum err recovery__forget(struct client *client)
{
    struct state *state = client->state;
    struct known_client *known = client->known;
    bool has_record = client->recorded || known != NULL;
    enum err err;

    if (!has_record || state->closing)
        return ERR_OK;
    err = remove_client(state, client->family, client->owner, client->owner_length);
    if (err != ERR_OK)
        return err;
    client->recorded = false;
    if (known != NULL) {
        set_done(state, known);
        free_known(state, known);
    }
    return ERR_OK;
}

void recovery__gone(struct client *client)
{
    if (client->known != NULL)
        client->known->client = NULL;
    client->known = NULL;
}

/* ---- grace ---- */

bool grace_is_active(const struct state *state)
{
    return state->grace.active;
}

bool grace_may_reclaim(const struct client *client)
{
    return client->state->grace.active && client->known != NULL && !client->known->done;
}

enum err grace_check(const struct client *client, bool reclaim)
{
    const struct state *state = client->state;

    if (!reclaim)
        return state->grace.active ? ERR_GRACE : ERR_OK;
    if (!state->grace.active || client->complete || (client->known != NULL && client->known->done))
        return ERR_NO_GRACE;
    return client->known != NULL ? ERR_OK : ERR_RECLAIM_BAD;
}

bool grace_is_complete(const struct client *client)
{
    return client->complete;
}

static void end_if_done(struct state *state)
{
    if (state->grace.active && state->grace.waiting_for == 0)
        grace_end(state);
}

enum err grace_complete(struct client *client)
{
    struct state *state = client->state;
    enum err err = ERR_OK;

    if (client->complete)
        return ERR_EXIST;
    if (client->known != NULL) {
        /* What it has reclaimed is all that it has now. */
        if (client_has_state(client))
            err = put_client(client);
        else
            err = remove_client(state, client->family, client->owner, client->owner_length);
        if (err != ERR_OK)
            return err;
        set_done(state, client->known);
    } else if (client_has_state(client)) {
        err = recovery__note(client, false);
        if (err != ERR_OK)
            return err;
    }
    client->complete = true;
    end_if_done(state);
    return ERR_OK;
}

/* The end of grace is durable. */
static void grace_over(struct recovery_wait *wait, enum err err)
{
    struct grace *grace = container_of(wait, struct grace, wait);
    struct state *state = container_of(grace, struct state, grace);

    grace->ending = false;
    if (err != ERR_OK) {
        grace->retry_ms = state__now() + RETRY_MS;
        log_error("state: the end of grace could not be recorded: %s", err_text(err));
        return;
    }
    while (!list_is_empty(&grace->known)) {
        struct known_client *known = list_first(&grace->known, struct known_client, link);

        if (!known->done && remove_client(state, known->family, known->owner, known->owner_length) != ERR_OK)
            log_error("state: the record of a client that did not return could not be removed");
        free_known(state, known);
    }
    grace->waiting_for = 0;
    grace->active = false;
    log_info("state: grace is over");
}

/* Those who reclaimed and whose silence says that they are done keep what they have; who `completes` and has
 * not said so may have lost something to others from now on. */
static enum err record_returned(struct state *state)
{
    struct list *link;

    list_for_each(link, &state->grace.known)
    {
        struct known_client *known = container_of(link, struct known_client, link);
        struct client *client = known->client;
        enum err err;

        if (known->done || client == NULL || client->completes || !client_has_state(client))
            continue;
        err = put_client(client);
        if (err != ERR_OK)
            return err;
        set_done(state, known);
    }
    return ERR_OK;
}

void grace_end(struct state *state)
{
    struct grace *grace = &state->grace;
    enum err err;

    if (!grace->active || grace->ending || state__now() < grace->retry_ms)
        return;
    err = record_returned(state);
    if (err == ERR_OK)
        err = put_boot(state, grace->boot);
    if (err == ERR_OK && grace->store.wait != NULL) {
        grace->ending = true;
        grace->wait.done = grace_over;
        err = grace->store.wait(grace->store.data, &grace->wait);
        if (err == ERR_WAIT)
            return;
    }
    grace_over(&grace->wait, err);
}

/* For how long CLIENT must not have reclaimed anything, to be done. */
static uint64_t quiet_ms(const struct client *client)
{
    const struct state_options *options = &client->state->options;

    return client->renewed_ms > client->reclaimed_ms ? options->reclaim_quiet_ms : options->reclaim_silent_ms;
}

/* A client that does not say so is done when it has reclaimed and then nothing more for a while. */
static void look_for_silence(struct state *state, uint64_t now_ms)
{
    struct list *link;

    list_for_each(link, &state->grace.known)
    {
        struct known_client *known = container_of(link, struct known_client, link);
        struct client *client = known->client;

        if (known->done || client == NULL || client->completes ||
            now_ms - client->reclaimed_ms < quiet_ms(client))
            continue;
        if (client_has_state(client) && put_client(client) != ERR_OK)
            continue;
        set_done(state, known);
    }
}

void recovery__tick(struct state *state, uint64_t now_ms)
{
    if (!state->grace.active)
        return;
    look_for_silence(state, now_ms);
    if (now_ms >= state->grace.end_ms)
        grace_end(state);
    else
        end_if_done(state);
}

uint64_t grace_left_ms(const struct state *state)
{
    uint64_t now = state__now();

    return state->grace.active && state->grace.end_ms > now ? state->grace.end_ms - now : 0;
}

void grace_missing_each(const struct state *state,
                        bool (*each)(void *data, const struct grace_missing *missing), void *data)
{
    const struct list *link;

    for (link = state->grace.known.next; link != &state->grace.known; link = link->next) {
        const struct known_client *known = container_of(link, struct known_client, link);
        struct grace_missing missing = {.family = known->family,
                                        .owner = known->owner,
                                        .owner_length = known->owner_length,
                                        .returned = known->client != NULL};
        if (!known->done && !each(data, &missing))
            return;
    }
}
