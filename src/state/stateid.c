/*
 * stateid.c - the table of (index, generation) behind stateids.
 *
 * Entries are made in chunks that stay until the end; a freed one goes to the end of the free list and is
 * used again when STATEID_FREE_MIN others are free too, or the table is at its limit. Its generation grows
 * then, so that an old stateid never finds a new object.
 *
 * Status of an entry:
 *   FREE -stateid__add-> LIVE -stateid__end-> FREE
 *   LIVE -stateid__revoke-> ADMIN_REVOKED or GRANT_REVOKED -stateid_free, client gone-> FREE
 */
#include "dittofs/stateid.h"
#include "state/state_priv.h"

#include "dittofs/cursor.h"

#include <stdlib.h>
#include <string.h>

void stateid__init(struct state *state)
{
    struct stateid_table *table = &state->stateids;
    uint64_t limit = (uint64_t)state->options.max_opens + state->options.max_locks +
                     state->options.max_grants + STATEID_FREE_MIN;

    list_init(&table->free);
    table->limit = limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX;
}

void stateid__free_table(struct state *state)
{
    struct stateid_table *table = &state->stateids;

    for (uint32_t i = 0; i < table->chunk_count; i++)
        free(table->chunks[i]);
    free(table->chunks);
    *table = (struct stateid_table){0};
}

static bool add_chunk(struct stateid_table *table)
{
    if (table->chunk_count == table->chunk_capacity) {
        uint32_t capacity = table->chunk_capacity == 0 ? 16 : table->chunk_capacity * 2;
        struct stateid_entry **chunks = realloc(table->chunks, capacity * sizeof(struct stateid_entry *));

        if (chunks == NULL)
            return false;
        table->chunks = chunks;
        table->chunk_capacity = capacity;
    }
    table->chunks[table->chunk_count] = calloc(STATEID_CHUNK, sizeof(struct stateid_entry));
    if (table->chunks[table->chunk_count] == NULL)
        return false;
    table->chunk_count++;
    return true;
}

static struct stateid_entry *entry_at(const struct stateid_table *table, uint32_t index)
{
    return index < table->used ? &table->chunks[index / STATEID_CHUNK][index % STATEID_CHUNK] : NULL;
}

static struct stateid_entry *reuse(struct stateid_table *table)
{
    struct stateid_entry *entry;

    if (list_is_empty(&table->free))
        return NULL;
    entry = list_first(&table->free, struct stateid_entry, link);
    list_remove(&entry->link);
    table->free_count--;
    if (entry->closer != NULL)
        entry->closer->closed = NULL;
    entry->closer = NULL;
    return entry;
}

static struct stateid_entry *take(struct stateid_table *table)
{
    struct stateid_entry *entry;

    if (table->free_count >= STATEID_FREE_MIN || table->used >= table->limit)
        return reuse(table);
    if (table->used == table->chunk_count * STATEID_CHUNK && !add_chunk(table))
        return reuse(table);
    table->used++;
    entry = entry_at(table, table->used - 1);
    entry->index = table->used - 1;
    list_init(&entry->link);
    return entry;
}

enum err stateid__add(struct client *client, enum stateid_kind kind, void *object,
                      struct stateid_entry **entry_r)
{
    struct stateid_entry *entry = take(&client->state->stateids);

    if (entry == NULL)
        return ERR_LIMIT;
    entry->generation++;
    entry->seqid = 1;
    entry->status = ENTRY_LIVE;
    entry->kind = (uint8_t)kind;
    entry->client = client;
    entry->object = object;
    *entry_r = entry;
    return ERR_OK;
}

static void count_revoked(struct stateid_entry *entry, int change)
{
    if (entry->status == ENTRY_GRANT_REVOKED)
        entry->client->revoked_grants += (uint32_t)change;
    else if (entry->status == ENTRY_ADMIN_REVOKED)
        entry->client->revoked_others += (uint32_t)change;
}

void stateid__end(struct state *state, struct stateid_entry *entry, enum end_reason reason)
{
    count_revoked(entry, -1);
    list_remove(&entry->link);
    entry->status = ENTRY_FREE;
    entry->end = (uint8_t)reason;
    entry->client = NULL;
    entry->object = NULL;
    list_push_back(&state->stateids.free, &entry->link);
    state->stateids.free_count++;
}

void stateid__revoke(struct state *state, struct stateid_entry *entry, enum stateid_entry_status status)
{
    (void)state;
    entry->status = (uint8_t)status;
    entry->object = NULL;
    count_revoked(entry, 1);
    list_push_back(&entry->client->revoked, &entry->link);
}

void stateid__client_gone(struct client *client, enum end_reason reason)
{
    while (!list_is_empty(&client->others))
        stateid__end(client->state, list_first(&client->others, struct stateid_entry, link), reason);
    while (!list_is_empty(&client->revoked))
        stateid__end(client->state, list_first(&client->revoked, struct stateid_entry, link), reason);
}

void stateid__set_closer(struct stateid_entry *entry, struct owner *owner)
{
    if (owner->closed != NULL)
        owner->closed->closer = NULL;
    owner->closed = entry;
    entry->closer = owner;
}

/* ---- to and from the wire's form ---- */

struct stateid stateid__get(const struct state *state, const struct stateid_entry *entry)
{
    struct stateid stateid = {.seqid = entry->seqid};
    struct writer writer;

    writer_init(&writer, stateid.other, sizeof stateid.other);
    writer_be32(&writer, state->instance);
    writer_be32(&writer, entry->index);
    writer_be32(&writer, entry->generation);
    return stateid;
}

struct stateid stateid__next(const struct state *state, struct stateid_entry *entry)
{
    entry->seqid = entry->seqid == UINT32_MAX ? 1 : entry->seqid + 1; /* RFC 8881 8.2.2 */
    return stateid__get(state, entry);
}

/* The entry of this generation, live or not. */
static enum err find(struct state *state, const struct stateid *stateid, struct stateid_entry **entry_r)
{
    struct reader reader = reader_of(stateid->other, sizeof stateid->other);
    uint32_t instance = 0, index = 0, generation = 0;
    struct stateid_entry *entry;

    if (!reader_be32(&reader, &instance) || !reader_be32(&reader, &index) ||
        !reader_be32(&reader, &generation))
        return ERR_BAD_STATEID;
    if (instance == 0 || instance == UINT32_MAX) /* no server makes such */
        return ERR_BAD_STATEID;
    if (instance != state->instance)
        return ERR_STALE_STATEID;
    entry = entry_at(&state->stateids, index);
    if (entry == NULL || entry->generation != generation)
        return ERR_BAD_STATEID;
    *entry_r = entry;
    return ERR_OK;
}

static enum err check_status(const struct stateid_entry *entry)
{
    switch ((enum stateid_entry_status)entry->status) {
    case ENTRY_FREE:
        return entry->end == END_CLOSED ? ERR_BAD_STATEID : ERR_EXPIRED;
    case ENTRY_ADMIN_REVOKED:
        return ERR_ADMIN_REVOKED;
    case ENTRY_GRANT_REVOKED:
        return ERR_DELEG_REVOKED;
    case ENTRY_LIVE:
        break;
    }
    return ERR_OK;
}

static enum err find_of(struct state *state, const struct stateid *stateid, const struct client *client,
                        struct stateid_entry **entry_r)
{
    enum err err = find(state, stateid, entry_r);

    if (err == ERR_OK && client != NULL && (*entry_r)->client != NULL && (*entry_r)->client != client)
        return ERR_BAD_STATEID;
    return err;
}

enum err stateid_lookup(struct state *state, const struct stateid *stateid, enum stateid_seqid rule,
                        const struct client *client, struct stateid_object *object_r)
{
    struct stateid_entry *entry = NULL;
    enum err err = find_of(state, stateid, client, &entry);

    if (err == ERR_OK)
        err = check_status(entry);
    if (err != ERR_OK)
        return err;
    if (stateid->seqid != entry->seqid && (stateid->seqid != 0 || rule == STATEID_SEQID_EXACT))
        return (int32_t)(stateid->seqid - entry->seqid) < 0 ? ERR_OLD_STATEID : ERR_BAD_STATEID;
    object_r->kind = (enum stateid_kind)entry->kind;
    object_r->client = entry->client;
    object_r->seqid = entry->seqid;
    object_r->other = entry->object;
    return ERR_OK;
}

struct owner *stateid_closed_owner(struct state *state, const struct stateid *stateid)
{
    struct stateid_entry *entry = NULL;

    if (find(state, stateid, &entry) != ERR_OK || entry->status != ENTRY_FREE)
        return NULL;
    return entry->closer;
}

enum err stateid_free(struct state *state, const struct stateid *stateid, const struct client *client)
{
    struct stateid_entry *entry = NULL;
    enum err err = find_of(state, stateid, client, &entry);

    if (err == ERR_OK)
        err = check_status(entry);
    if (err == ERR_OK)
        return ERR_LOCKS_HELD;
    if (err != ERR_ADMIN_REVOKED && err != ERR_DELEG_REVOKED)
        return err;
    stateid__end(state, entry, END_CLOSED);
    return ERR_OK;
}

enum err stateid_new(struct client *client, void *object, struct stateid *stateid_r)
{
    struct stateid_entry *entry = NULL;
    enum err err =
        client->status == CLIENT_GONE ? ERR_EXPIRED : stateid__add(client, STATEID_OTHER, object, &entry);

    if (err != ERR_OK)
        return err;
    list_push_back(&client->others, &entry->link);
    *stateid_r = stateid__get(client->state, entry);
    return ERR_OK;
}

void stateid_end(struct state *state, const struct stateid *stateid)
{
    struct stateid_entry *entry = NULL;

    if (find(state, stateid, &entry) == ERR_OK && entry->status == ENTRY_LIVE && entry->kind == STATEID_OTHER)
        stateid__end(state, entry, END_CLOSED);
}

bool stateid_walk(struct state *state, uint32_t *index, unsigned *steps, struct stateid *stateid_r,
                  struct stateid_object *object_r)
{
    const struct stateid_entry *entry;

    for (; *steps > 0 && (entry = entry_at(&state->stateids, *index)) != NULL; ++*index) {
        --*steps;
        if (entry->status != ENTRY_LIVE)
            continue;
        *stateid_r = stateid__get(state, entry);
        *object_r = (struct stateid_object){.kind = (enum stateid_kind)entry->kind,
                                            .client = entry->client,
                                            .seqid = entry->seqid,
                                            .other = entry->object};
        ++*index;
        return true;
    }
    return false;
}
