/*
 * control_list.c - listings: what clients hold.
 *
 * Opens, locks and grants are walked by the table of stateids, a few hundred entries at a time, so that a
 * page costs the same wherever it begins. A holder's ranges are walked within it.
 */
#include "daemon/control_walk_priv.h"

#include "dittofs/grant.h"
#include "dittofs/recovery.h"
#include "dittofs/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 512 };

/* ---- values ---- */

json_t *control__number(uint64_t number)
{
    char text[24];

    if (number <= INT64_MAX)
        return json_integer((json_int_t)number);
    snprintf(text, sizeof text, "%" PRIu64, number);
    return json_string(text);
}

/* Bytes that are no UTF-8 become question marks. */
json_t *control__text(const void *bytes, size_t length)
{
    json_t *value = json_stringn(bytes, length);
    char *copy;

    if (value != NULL)
        return value;
    copy = malloc(length + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, bytes, length);
    for (size_t i = 0; i < length; i++) {
        if ((uint8_t)copy[i] >= 0x80)
            copy[i] = '?';
    }
    value = json_stringn(copy, length);
    free(copy);
    return value;
}

static json_t *string(const char *text)
{
    return control__text(text, strlen(text));
}

const char *control__id(char text[CONTROL_ID_TEXT], char kind, const struct stateid *stateid)
{
    struct reader reader = reader_of(stateid->other, sizeof stateid->other);
    uint32_t instance, index = 0, generation = 0;

    if (!reader_be32(&reader, &instance) || !reader_be32(&reader, &index) ||
        !reader_be32(&reader, &generation))
        index = generation = 0;
    snprintf(text, CONTROL_ID_TEXT, "%c%x-%x", kind, index, generation);
    return text;
}

bool control__parse_id(struct state *state, const char *text, char kind, struct stateid *stateid_r)
{
    uint64_t index, generation;
    char first[16];
    size_t length = strcspn(text, "-");
    struct writer writer;

    if (text[0] != kind || length < 2 || length > 9 || text[length] != '-')
        return false;
    memcpy(first, text + 1, length - 1);
    first[length - 1] = '\0';
    if (!control_parse_hex(first, &index) || !control_parse_hex(text + length + 1, &generation) ||
        generation > UINT32_MAX)
        return false;
    stateid_r->seqid = 0;
    writer_init(&writer, stateid_r->other, sizeof stateid_r->other);
    writer_be32(&writer, state_instance(state));
    writer_be32(&writer, (uint32_t)index);
    writer_be32(&writer, (uint32_t)generation);
    return true;
}

static json_t *client_id_value(const struct client *client)
{
    char text[20];

    snprintf(text, sizeof text, "%" PRIx64, client_id(client));
    return json_string(text);
}

static void add_client(json_t *item, const struct client *client)
{
    struct client_description description;

    client_describe(client, &description);
    json_object_set_new(item, "client", client_id_value(client));
    json_object_set_new(item, "protocol", string(description.protocol));
    json_object_set_new(item, "name", string(description.name));
}

static void add_file(struct control_walk *walk, json_t *item, const struct state_file *file)
{
    char path[CONTROL_PATH_MAX];

    control__path(walk, state_file_tree(file), state_file_ino(file), path);
    json_object_set_new(item, "path", string(path));
    json_object_set_new(item, "ino", control__number(state_file_ino(file)));
}

/* ---- clients, sessions ---- */

static json_t *status_value(const struct client *client)
{
    switch (client_status(client)) {
    case CLIENT_UNCONFIRMED:
        return json_string("unconfirmed");
    case CLIENT_CONFIRMED:
        return json_string("confirmed");
    case CLIENT_COURTESY:
        return json_string("expired");
    case CLIENT_GONE:
        break;
    }
    return json_string("gone");
}

static enum control_step clients_page(struct control_walk *walk)
{
    struct client *client;

    while (!control__is_full(walk)) {
        struct client_description description;
        json_t *item;

        client = client_next_id(walk->subject->state, walk->client);
        if (client == NULL)
            return CONTROL_DONE;
        walk->client = client_id(client);
        client_describe(client, &description);
        item = json_object();
        add_client(item, client);
        json_object_set_new(item, "address", string(description.address));
        json_object_set_new(item, "status", status_value(client));
        json_object_set_new(item, "holds", json_boolean(client_has_state(client)));
        json_object_set_new(item, "idle_s", control__number(client_idle_ms(client) / 1000));
        control__item(walk, item);
    }
    return CONTROL_MORE;
}

static void list_smb_session(struct control_walk *walk, const struct smb_session_info *info)
{
    char text[NET_ADDRESS_TEXT];
    json_t *item = json_object();

    snprintf(text, sizeof text, "s%" PRIx64, info->id);
    json_object_set_new(item, "id", json_string(text));
    json_object_set_new(item, "protocol", string(info->dialect));
    json_object_set_new(item, "name", string(info->user));
    json_object_set_new(item, "address", string(net_address_format(&info->peer, text)));
    json_object_set_new(item, "channels", json_integer(info->channels));
    json_object_set_new(item, "trees", json_integer(info->trees));
    json_object_set_new(item, "opens", json_integer(info->opens));
    control__item(walk, item);
}

static enum control_step smb_sessions_page(struct control_walk *walk)
{
    const struct smb_server *server = walk->subject->smb->server;
    struct smb_session_info info;

    while (!control__is_full(walk)) {
        if (server == NULL || !smb_session_next(server, walk->smb_session, &info))
            return CONTROL_DONE;
        walk->smb_session = info.id;
        list_smb_session(walk, &info);
    }
    return CONTROL_MORE;
}

static void list_session(struct control_walk *walk, const struct client *client,
                         const struct session *session)
{
    const uint8_t *id = session_id(session);
    char text[2 * SESSION_ID_SIZE + 1];
    json_t *item = json_object();

    for (size_t i = 0; i < SESSION_ID_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", id[i]);
    json_object_set_new(item, "id", json_string(text));
    add_client(item, client);
    json_object_set_new(item, "slots", json_integer(session_slot_count(session)));
    json_object_set_new(item, "back_slots", json_integer(session_back_slot_count(session)));
    json_object_set_new(item, "back_channel", json_boolean(session_back_connection(session) != NULL));
    control__item(walk, item);
}

/* Sessions of a client go on by their number within it; the list of those of one client is short. */
static enum control_step sessions_page(struct control_walk *walk)
{
    struct state *state = walk->subject->state;

    if (walk->smb_session != 0)
        return smb_sessions_page(walk);
    while (!control__is_full(walk)) {
        struct client *client = client_next_id(state, walk->client);
        const struct session *session = NULL;
        size_t number = 0;

        if (client == NULL)
            return smb_sessions_page(walk);
        while ((session = session_next_of_client(client, session)) != NULL && !control__is_full(walk)) {
            if (number++ < walk->number)
                continue;
            list_session(walk, client, session);
            walk->number = number;
        }
        if (session != NULL)
            return CONTROL_MORE;
        walk->number = 0;
        walk->client = client_id(client);
    }
    return CONTROL_MORE;
}

/* ---- what hangs on stateids ---- */

/* "opens", "locks" or "grants" may be followed by a path or a client's id. */
static enum control_step begin_of(struct control_walk *walk, char *const *arguments, unsigned count)
{
    if (count == 0)
        return CONTROL_MORE;
    if (arguments[0][0] == '/') {
        walk->has_file = true;
        if (!control__find_path(walk->subject, arguments[0], &walk->file_tree, &walk->file_ino))
            return control__fail(walk, "%.200s: no such file", arguments[0]);
        return CONTROL_MORE;
    }
    walk->has_client = true;
    if (!control_parse_hex(arguments[0], &walk->client_id))
        return control__fail(walk, "neither a path nor a client");
    return CONTROL_MORE;
}

static bool is_wanted(const struct control_walk *walk, const struct client *client,
                      const struct state_file *file)
{
    if (walk->has_client && client_id(client) != walk->client_id)
        return false;
    return !walk->has_file ||
           (state_file_ino(file) == walk->file_ino && state_file_tree(file) == walk->file_tree);
}

static const char *share_text(unsigned bits, char text[8])
{
    snprintf(text, 8, "%s%s%s", bits & OPEN_READ ? "r" : "", bits & OPEN_WRITE ? "w" : "",
             bits & OPEN_DELETE ? "d" : "");
    return text;
}

static json_t *new_item(struct control_walk *walk, char kind, const struct stateid *stateid,
                        const struct client *client, const struct state_file *file)
{
    char id[CONTROL_ID_TEXT];
    json_t *item = json_object();

    json_object_set_new(item, "id", json_string(control__id(id, kind, stateid)));
    add_client(item, client);
    add_file(walk, item, file);
    return item;
}

static void list_open(struct control_walk *walk, const struct stateid *stateid,
                      const struct stateid_object *object)
{
    const struct open *open = object->open;
    char text[8];
    json_t *item;

    if (!is_wanted(walk, object->client, open_file(open)))
        return;
    item = new_item(walk, 'o', stateid, object->client, open_file(open));
    json_object_set_new(item, "access", json_string(share_text(open_access(open), text)));
    json_object_set_new(item, "deny", json_string(share_text(open_deny(open), text)));
    json_object_set_new(item, "owner", control__number(owner_id(open_owner(open))));
    json_object_set_new(item, "locks", json_boolean(open_has_locks(open)));
    control__item(walk, item);
}

static void list_grant(struct control_walk *walk, const struct stateid *stateid,
                       const struct stateid_object *object)
{
    const struct grant *grant = object->grant;
    unsigned kinds = grant_kinds(grant);
    char text[8];
    json_t *item;

    if (!is_wanted(walk, object->client, grant_file(grant)))
        return;
    item = new_item(walk, 'g', stateid, object->client, grant_file(grant));
    snprintf(text, sizeof text, "%s%s%s", kinds & GRANT_READ ? "R" : "", kinds & GRANT_WRITE ? "W" : "",
             kinds & GRANT_HANDLE ? "H" : "");
    json_object_set_new(item, "kinds", json_string(text));
    json_object_set_new(item, "breaking", json_boolean(grant_status(grant) == GRANT_BREAKING));
    control__item(walk, item);
}

static void list_range(struct control_walk *walk, const struct stateid *stateid,
                       const struct lock_holder *holder, const struct lock_conflict *range)
{
    const struct owner *owner = lock_holder_owner(holder);
    json_t *item = new_item(walk, 'l', stateid, owner_client(owner), lock_holder_file(holder));

    json_object_set_new(item, "owner", control__number(owner_id(owner)));
    json_object_set_new(item, "offset", control__number(range->offset));
    json_object_set_new(item, "length",
                        range->length == LOCK_TO_END ? json_null() : control__number(range->length));
    json_object_set_new(item, "kind", json_string(range->exclusive ? "exclusive" : "shared"));
    json_object_set_new(item, "waiting", json_boolean(walk->waits));
    control__item(walk, item);
}

/* Ranges of a holder, then its waits. False when the page is full before their end. */
static bool list_holder(struct control_walk *walk, const struct stateid *stateid,
                        const struct lock_holder *holder)
{
    struct lock_conflict range;

    for (; !walk->waits; walk->waits = true, walk->lock = (struct lock_cursor){0}) {
        while (!control__is_full(walk) && lock_holder_next_range(holder, &walk->lock, &range))
            list_range(walk, stateid, holder, &range);
        if (control__is_full(walk))
            return false;
    }
    while (!control__is_full(walk) && lock_holder_next_wait(holder, &walk->lock, &range))
        list_range(walk, stateid, holder, &range);
    return !control__is_full(walk);
}

/* True when there may be more in this turn. */
static bool list_next(struct control_walk *walk, enum stateid_kind kind, unsigned *steps)
{
    struct stateid stateid;
    struct stateid_object object;

    if (!stateid_walk(walk->subject->state, &walk->index, steps, &stateid, &object))
        return false;
    if (object.kind != kind) {
        walk->in_holder = false;
        return true;
    }
    switch (kind) {
    case STATEID_OPEN:
        list_open(walk, &stateid, &object);
        break;
    case STATEID_GRANT:
        list_grant(walk, &stateid, &object);
        break;
    case STATEID_LOCK:
        if (!walk->in_holder) {
            walk->lock = (struct lock_cursor){0};
            walk->waits = false;
        }
        walk->in_holder = is_wanted(walk, object.client, lock_holder_file(object.holder)) &&
                          !list_holder(walk, &stateid, object.holder);
        if (walk->in_holder)
            walk->index--; /* the same one again */
        break;
    case STATEID_OTHER:
        break;
    }
    return true;
}

static enum control_step stateids_page(struct control_walk *walk, enum stateid_kind kind)
{
    unsigned steps = STEPS;

    while (!control__is_full(walk) && list_next(walk, kind, &steps))
        ;
    return control__is_full(walk) || steps == 0 ? CONTROL_MORE : CONTROL_DONE;
}

static enum control_step opens_page(struct control_walk *walk)
{
    return stateids_page(walk, STATEID_OPEN);
}

static enum control_step locks_page(struct control_walk *walk)
{
    return stateids_page(walk, STATEID_LOCK);
}

static enum control_step grants_page(struct control_walk *walk)
{
    return stateids_page(walk, STATEID_GRANT);
}

/* ---- exports ---- */

static json_t *words_value(unsigned bits, const char *const *words)
{
    json_t *list = json_array();

    for (unsigned i = 0; words[i] != NULL; i++) {
        if (bits & 1u << i)
            json_array_append_new(list, json_string(words[i]));
    }
    return list;
}

static enum control_step exports_page(struct control_walk *walk)
{
    static const char *const protocols[] = {"nfs3", "nfs4", "smb", NULL};
    static const char *const securities[] = {"sys", "krb5", "krb5i", "krb5p", "none", NULL};
    const struct vfs_export *export = NULL;
    size_t number = 0;

    while ((export = vfs_export_next(walk->subject->vfs, export)) != NULL && !control__is_full(walk)) {
        const struct vfs_export_config *config = vfs_export_config(export);
        json_t *item;

        if (number++ < walk->number)
            continue;
        walk->number = number;
        item = json_object();
        json_object_set_new(item, "export", string(config->name));
        json_object_set_new(item, "id", json_integer(vfs_export_id(export)));
        json_object_set_new(item, "protocols", words_value(config->protocols, protocols));
        json_object_set_new(item, "sec", words_value(config->security, securities));
        json_object_set_new(item, "read_only", json_boolean(config->read_only));
        json_object_set_new(item, "sync", json_boolean(config->sync));
        control__item(walk, item);
    }
    return export == NULL ? CONTROL_DONE : CONTROL_MORE;
}

/* ---- grace ---- */

enum { MISSING_MAX = 1000 };

static bool list_missing(void *data, const struct grace_missing *missing)
{
    struct control_walk *walk = data;
    char text[CLIENT_TEXT_MAX];
    size_t length = missing->owner_length < sizeof text ? missing->owner_length : sizeof text;
    json_t *item = json_object();

    for (size_t i = 0; i < length; i++)
        text[i] = missing->owner[i] >= 0x20 && missing->owner[i] < 0x7f ? (char)missing->owner[i] : '.';
    json_object_set_new(item, "missing", json_stringn(text, length));
    json_object_set_new(item, "family", json_integer(missing->family));
    json_object_set_new(item, "returned", json_boolean(missing->returned));
    control__item(walk, item);
    return walk->items <= MISSING_MAX;
}

/* What they hold stands already, so that grace does not wait for them. */
static bool list_smb_missing(void *data, const struct smb_missing *missing)
{
    struct control_walk *walk = data;
    char text[IDENT_NAME_MAX + NET_ADDRESS_TEXT + 8], address[NET_ADDRESS_TEXT];
    json_t *item = json_object();

    snprintf(text, sizeof text, "%s at %s", missing->user, net_address_format(missing->peer, address));
    json_object_set_new(item, "missing", string(text));
    json_object_set_new(item, "protocol", json_string("SMB"));
    json_object_set_new(item, "returned", json_false());
    json_object_set_new(item, "opens", json_integer(missing->opens));
    json_object_set_new(item, "left_s", control__number((missing->left_ms + 999) / 1000));
    control__item(walk, item);
    return walk->items <= MISSING_MAX;
}

/* One item of grace itself, and one for each client that it waits for, up to a thousand; then those of SMB
 * that have not come back for what stands for them. */
static enum control_step grace_begin(struct control_walk *walk, char *const *arguments, unsigned count)
{
    const struct state *state = walk->subject->state;
    bool active = grace_is_active(state);
    json_t *item = json_object();

    (void)arguments;
    (void)count;
    json_object_set_new(item, "active", json_boolean(active));
    json_object_set_new(item, "left_s", control__number(active ? (grace_left_ms(state) + 999) / 1000 : 0));
    json_object_set_new(item, "boot", control__number(recovery_boot(state)));
    control__item(walk, item);
    if (active)
        grace_missing_each(state, list_missing, walk);
    if (walk->subject->smb->server != NULL)
        smb_missing_each(walk->subject->smb->server, list_smb_missing, walk);
    return CONTROL_DONE;
}

static enum control_step begin_all(struct control_walk *walk, char *const *arguments, unsigned count)
{
    (void)walk;
    (void)arguments;
    (void)count;
    return CONTROL_MORE;
}

const struct control_row control__listings[] = {
    {.words = {"clients"}, .begin = begin_all, .page = clients_page},
    {.words = {"sessions"}, .begin = begin_all, .page = sessions_page},
    {.words = {"opens"}, .most = 1, .begin = begin_of, .page = opens_page},
    {.words = {"locks"}, .most = 1, .begin = begin_of, .page = locks_page},
    {.words = {"grants"}, .most = 1, .begin = begin_of, .page = grants_page},
    {.words = {"exports"}, .begin = begin_all, .page = exports_page},
    {.words = {"grace"}, .begin = grace_begin},
    {.words = {NULL}},
};
