/*
 * session.c - sessions: slots, connections, the back channel.
 *
 * A slot's life: free -check NEW-> busy -session_slot_done-> free, with the reply of its last request, or
 * without one when it was not to be cached. Bytes of replies are promised for all slots when the session is
 * made (counters.reply_bytes), and taken from the heap only as replies come.
 *
 * A connection may be attached to several sessions, and a session have several connections; each pair is an
 * attachment, found from both sides.
 */
#include "dittofs/session.h"
#include "state/state_priv.h"

#include "dittofs/random.h"

#include <stdlib.h>
#include <string.h>

struct attachment {
    struct hashlink hashlink; /* in state->connections, by connection */
    struct list link;         /* in session->attachments, newest first */
    struct session *session;
    void *connection;
    unsigned directions;
};

struct back_slot {
    uint32_t seqid;
    bool busy;
};

struct session {
    struct state *state;
    struct hashlink hashlink;
    struct list client_link;
    struct client *client; /* NULL when destroyed */
    uint32_t holds;
    uint8_t id[SESSION_ID_SIZE];
    uint32_t slot_count, cached_reply_max, back_slot_count, attachment_count;
    struct reply_slot *slots;
    struct back_slot *back_slots;
    struct list attachments;
    void (*gone)(struct session *session, void *user);
    void *user;
};

/* ---- making, finding, ending ---- */

/* Ids in the table are ours alone: nobody can choose them so that they collide. */
static uint64_t id_hash(const uint8_t id[SESSION_ID_SIZE])
{
    uint64_t halves[2];

    _Static_assert(sizeof halves == SESSION_ID_SIZE, "all of it counts");
    memcpy(halves, id, sizeof halves);
    return hash_u64(halves[0] ^ hash_u64(halves[1]));
}

struct session *session_find(struct state *state, const uint8_t id[SESSION_ID_SIZE])
{
    struct hashlink *link = hashtable_find(&state->sessions, id_hash(id));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct session *session = container_of(link, struct session, hashlink);
        if (memcmp(session->id, id, SESSION_ID_SIZE) == 0)
            return session;
    }
    return NULL;
}

/* As many slots as wanted and as fit into what may be cached; 0 when not even one does. A session takes at
 * most an eighth of what is left, so that the last ones get some too. */
static uint32_t slots_that_fit(const struct state *state, const struct session_spec *spec)
{
    uint64_t left = state->options.max_reply_bytes - state->counters.reply_bytes;
    uint64_t wanted = spec->slots == 0 ? 1 : spec->slots;
    uint64_t size = spec->cached_reply_max;

    if (wanted > SESSION_SLOTS_MAX)
        wanted = SESSION_SLOTS_MAX;
    if (size == 0)
        return (uint32_t)wanted;
    if (wanted * size <= left / 8)
        return (uint32_t)wanted;
    if (left / 8 >= size)
        return (uint32_t)(left / 8 / size);
    return size <= left ? 1 : 0;
}

static uint64_t promised(const struct session *session)
{
    return (uint64_t)session->slot_count * session->cached_reply_max;
}

static void free_memory(struct session *session)
{
    for (uint32_t i = 0; session->slots != NULL && i < session->slot_count; i++)
        reply_slot__free(&session->slots[i]);
    free(session->slots);
    free(session->back_slots);
    free(session);
}

static struct session *make(uint32_t slots, uint32_t back_slots)
{
    struct session *session = calloc(1, sizeof *session);

    if (session == NULL)
        return NULL;
    session->slot_count = slots;
    session->back_slot_count = back_slots;
    session->slots = calloc(slots, sizeof *session->slots);
    session->back_slots = calloc(back_slots + 1, sizeof *session->back_slots);
    list_init(&session->attachments);
    if (session->slots == NULL || session->back_slots == NULL) {
        free_memory(session);
        return NULL;
    }
    return session;
}

enum err session_new(struct client *client, const struct session_spec *spec, struct session **session_r)
{
    struct state *state = client->state;
    uint32_t back_slots = spec->back_slots < SESSION_SLOTS_MAX ? spec->back_slots : SESSION_SLOTS_MAX;
    uint32_t slots = slots_that_fit(state, spec);
    struct session *session;

    if (client->status == CLIENT_GONE)
        return ERR_EXPIRED;
    if (slots == 0)
        return ERR_LIMIT;
    if (state->counters.sessions >= state->options.max_sessions && !state__make_room(state, client))
        return ERR_LIMIT;
    session = make(slots, back_slots);
    if (session == NULL)
        return ERR_NOMEM;
    random_bytes(session->id, sizeof session->id);
    if (!hashtable_insert(&state->sessions, &session->hashlink, id_hash(session->id))) {
        free_memory(session);
        return ERR_NOMEM;
    }
    session->state = state;
    session->client = client;
    session->cached_reply_max = spec->cached_reply_max;
    session->gone = spec->gone;
    session->user = spec->user;
    list_push_back(&client->sessions, &session->client_link);
    state->counters.sessions++;
    state->counters.reply_bytes += promised(session);
    *session_r = session;
    return ERR_OK;
}

static void detach(struct attachment *attachment)
{
    struct session *session = attachment->session;

    hashtable_remove(&session->state->connections, &attachment->hashlink);
    list_remove(&attachment->link);
    session->attachment_count--;
    free(attachment);
}

void session_destroy(struct session *session)
{
    struct state *state = session->state;

    if (session->client == NULL)
        return;
    while (!list_is_empty(&session->attachments))
        detach(list_first(&session->attachments, struct attachment, link));
    hashtable_remove(&state->sessions, &session->hashlink);
    list_remove(&session->client_link);
    session->client = NULL;
    state->counters.sessions--;
    state->counters.reply_bytes -= promised(session);
    if (session->gone != NULL)
        session->gone(session, session->user);
    session->user = NULL;
    if (session->holds == 0)
        free_memory(session);
}

void session__client_gone(struct client *client)
{
    while (!list_is_empty(&client->sessions))
        session_destroy(list_first(&client->sessions, struct session, client_link));
}

void session__close(struct state *state)
{
    hashtable_free(&state->sessions);
    hashtable_free(&state->connections);
}

struct session *session_hold(struct session *session)
{
    session->holds++;
    return session;
}

void session_drop(struct session **session_p)
{
    struct session *session = *session_p;

    *session_p = NULL;
    if (session != NULL && --session->holds == 0 && session->client == NULL)
        free_memory(session);
}

bool session_is_alive(const struct session *session)
{
    return session->client != NULL;
}

const uint8_t *session_id(const struct session *session)
{
    return session->id;
}

struct client *session_client(const struct session *session)
{
    return session->client;
}

void *session_user(const struct session *session)
{
    return session->user;
}

uint32_t session_slot_count(const struct session *session)
{
    return session->slot_count;
}

uint32_t session_cached_reply_max(const struct session *session)
{
    return session->cached_reply_max;
}

struct session *session_next_of_client(const struct client *client, const struct session *at)
{
    struct list *next = at == NULL ? client->sessions.next : at->client_link.next;

    return next == &client->sessions ? NULL : container_of(next, struct session, client_link);
}

/* ---- slots ---- */

/* RFC 8881 2.10.6.1: the same seqid is a retry, the next one is new; 2^32-1 is followed by 0. */
static enum session_sequence check(struct reply_slot *slot, uint32_t seqid, uint64_t digest,
                                   const uint8_t **reply_r, size_t *length_r)
{
    if (slot->busy) {
        /* seqid was set when it began: what comes now is either a retry or out of order. */
        if (seqid != slot->seqid)
            return SESSION_SEQUENCE_MISORDERED;
        return slot->digest == digest ? SESSION_SEQUENCE_BUSY : SESSION_SEQUENCE_FALSE_RETRY;
    }
    if (seqid == slot->seqid + 1) {
        slot->busy = true;
        slot->used = true;
        slot->seqid = seqid;
        slot->digest = digest;
        reply_slot__free(slot);
        return SESSION_SEQUENCE_NEW;
    }
    if (seqid != slot->seqid || !slot->used)
        return SESSION_SEQUENCE_MISORDERED;
    if (slot->digest != digest)
        return SESSION_SEQUENCE_FALSE_RETRY; /* RFC 8881 2.10.6.1.3.1 */
    if (slot->reply == NULL)
        return SESSION_SEQUENCE_UNCACHED;
    *reply_r = slot->reply;
    *length_r = slot->reply_length;
    return SESSION_SEQUENCE_REPLAY;
}

static bool keep(struct reply_slot *slot, const void *reply, size_t length)
{
    slot->reply = malloc(length + 1);
    if (slot->reply == NULL)
        return false;
    memcpy(slot->reply, reply, length);
    slot->reply_length = length;
    return true;
}

enum session_sequence session_sequence_check(struct session *session, uint32_t slot, uint32_t seqid,
                                             uint32_t highest_slot, uint64_t digest, const uint8_t **reply_r,
                                             size_t *length_r)
{
    if (slot >= session->slot_count)
        return SESSION_SEQUENCE_BAD_SLOT;
    if (highest_slot < slot || highest_slot >= session->slot_count) /* RFC 8881 18.46.3 */
        return SESSION_SEQUENCE_BAD_HIGH_SLOT;
    return check(&session->slots[slot], seqid, digest, reply_r, length_r);
}

bool session_slot_done(struct session *session, uint32_t slot, const void *reply, size_t length)
{
    struct reply_slot *at = &session->slots[slot];

    invariant(slot < session->slot_count && at->busy);
    at->busy = false;
    if (reply == NULL)
        return true;
    if (length > session->cached_reply_max || session->client == NULL)
        return false;
    return keep(at, reply, length);
}

bool session_slot_is_at(const struct session *session, uint32_t slot, uint32_t seqid)
{
    return slot < session->slot_count && session->slots[slot].used && session->slots[slot].seqid == seqid;
}

/* ---- CREATE_SESSION ---- */

enum session_sequence session_create_check(struct client *client, uint32_t seqid, uint64_t digest,
                                           const uint8_t **reply_r, size_t *length_r)
{
    return check(&client->create_slot, seqid, digest, reply_r, length_r);
}

void session_create_done(struct client *client, bool advance, const void *reply, size_t length)
{
    struct reply_slot *slot = &client->create_slot;

    slot->busy = false;
    if (!advance) {
        /* As if it had not come; what came before it can't be replayed any more. */
        slot->seqid--;
        slot->used = false;
    } else if (reply != NULL && length <= client->state->options.max_owner_reply) {
        (void)keep(slot, reply, length);
    }
}

uint32_t session_create_next(const struct client *client)
{
    return client->create_slot.seqid + 1;
}

/* ---- connections ---- */

static uint64_t connection_hash(const struct state *state, const void *connection)
{
    return state__hash(state, (uint64_t)(uintptr_t)connection, 0);
}

static struct attachment *find_attachment(const struct session *session, const void *connection)
{
    struct list *link;

    list_for_each(link, &session->attachments)
    {
        struct attachment *attachment = container_of(link, struct attachment, link);
        if (attachment->connection == connection)
            return attachment;
    }
    return NULL;
}

enum err session_attach(struct session *session, void *connection, unsigned directions)
{
    struct state *state = session->state;
    struct attachment *attachment = find_attachment(session, connection);

    if (session->client == NULL)
        return ERR_EXPIRED;
    if (attachment != NULL) {
        if (directions & ~attachment->directions & SESSION_BACK) {
            list_remove(&attachment->link); /* the back channel's newest */
            list_push_front(&session->attachments, &attachment->link);
        }
        attachment->directions |= directions;
        return ERR_OK;
    }
    if (session->attachment_count >= SESSION_CONNECTIONS_MAX)
        return ERR_LIMIT;
    attachment = calloc(1, sizeof *attachment);
    if (attachment == NULL)
        return ERR_NOMEM;
    if (!hashtable_insert(&state->connections, &attachment->hashlink, connection_hash(state, connection))) {
        free(attachment);
        return ERR_NOMEM;
    }
    attachment->session = session;
    attachment->connection = connection;
    attachment->directions = directions;
    list_push_front(&session->attachments, &attachment->link);
    session->attachment_count++;
    return ERR_OK;
}

unsigned session_directions(const struct session *session, const void *connection)
{
    struct attachment *attachment = find_attachment(session, connection);

    return attachment == NULL ? 0 : attachment->directions;
}

void session_detach(struct session *session, const void *connection)
{
    struct attachment *attachment = find_attachment(session, connection);

    if (attachment != NULL)
        detach(attachment);
}

void session_connection_gone(struct state *state, const void *connection)
{
    struct hashlink *link = hashtable_find(&state->connections, connection_hash(state, connection));

    while (link != NULL) {
        struct attachment *attachment = container_of(link, struct attachment, hashlink);

        link = hashtable_find_next(link);
        if (attachment->connection == connection)
            detach(attachment);
    }
}

void *session_back_connection(const struct session *session)
{
    struct list *link;

    list_for_each(link, &session->attachments)
    {
        struct attachment *attachment = container_of(link, struct attachment, link);
        if (attachment->directions & SESSION_BACK)
            return attachment->connection;
    }
    return NULL;
}

/* ---- back channel ---- */

enum err session_back_begin(struct session *session, uint32_t *slot_r, uint32_t *seqid_r)
{
    if (session->back_slot_count == 0)
        return ERR_NOTSUPP;
    for (uint32_t i = 0; i < session->back_slot_count; i++) {
        struct back_slot *slot = &session->back_slots[i];
        if (slot->busy)
            continue;
        slot->busy = true;
        *slot_r = i;
        *seqid_r = slot->seqid + 1;
        return ERR_OK;
    }
    return ERR_AGAIN;
}

void session_back_end(struct session *session, uint32_t slot, bool answered)
{
    invariant(slot < session->back_slot_count && session->back_slots[slot].busy);
    session->back_slots[slot].busy = false;
    if (answered)
        session->back_slots[slot].seqid++;
}

uint32_t session_back_slot_count(const struct session *session)
{
    return session->back_slot_count;
}
