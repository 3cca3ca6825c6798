/*
 * control_actions.c - what an administrator may take away or set going.
 *
 * What is taken from a client goes as if it had never had it: where its protocol has a word for that (NFSv4's
 * ADMIN_REVOKED) it hears it, else it hears that there is no such thing.
 */
#include "daemon/control_walk_priv.h"

#include "dittofs/grant.h"
#include "dittofs/recovery.h"
#include "dittofs/session.h"

#include <string.h>

static bool find(struct control_walk *walk, const char *text, char letter, enum stateid_kind kind,
                 struct stateid_object *object_r)
{
    struct state *state = walk->subject->state;
    struct stateid stateid;

    return control__parse_id(state, text, letter, &stateid) &&
           stateid_lookup(state, &stateid, STATEID_SEQID_ZERO_CURRENT, NULL, object_r) == ERR_OK &&
           object_r->kind == kind;
}

static enum control_step close_open(struct control_walk *walk, char *const *arguments, unsigned count)
{
    struct stateid_object object;

    (void)count;
    if (!find(walk, arguments[0], 'o', STATEID_OPEN, &object))
        return control__fail(walk, "no such open");
    open_revoke(object.open);
    return CONTROL_DONE;
}

static enum control_step revoke_grant(struct control_walk *walk, char *const *arguments, unsigned count)
{
    struct stateid_object object;

    (void)count;
    if (!find(walk, arguments[0], 'g', STATEID_GRANT, &object))
        return control__fail(walk, "no such grant");
    grant_revoke(object.grant);
    return CONTROL_DONE;
}

static enum control_step unlocked(struct control_walk *walk)
{
    struct smb_server *server = walk->subject->smb->server;
    enum err err = server == NULL ? ERR_OK : smb_server_locks_taken(server);

    return err == ERR_OK ? CONTROL_DONE
                         : control__fail(walk, "it may be back at the next start: %s", err_text(err));
}

/* All ranges of a holder, or those in OFFSET, LENGTH ("end": to the end). */
static enum control_step unlock(struct control_walk *walk, char *const *arguments, unsigned count)
{
    struct stateid_object object;
    uint64_t offset, length = LOCK_TO_END;
    enum err err;

    if (!find(walk, arguments[0], 'l', STATEID_LOCK, &object))
        return control__fail(walk, "no such holder of locks");
    if (count == 1) {
        lock_holder_revoke(object.holder);
        return unlocked(walk);
    }
    if (count != 3 || !control_parse_number(arguments[1], UINT64_MAX, &offset) ||
        (strcmp(arguments[2], "end") != 0 && !control_parse_number(arguments[2], UINT64_MAX, &length)))
        return control__fail(walk, "not a range: OFFSET LENGTH, or OFFSET end");
    err = lock_unset(object.holder, offset, length);
    return err == ERR_OK ? unlocked(walk) : control__fail(walk, "%s", err_text(err));
}

static bool parse_session(const char *text, uint8_t id[SESSION_ID_SIZE])
{
    char digits[3] = "";
    uint64_t byte;

    if (strlen(text) != 2 * (size_t)SESSION_ID_SIZE)
        return false;
    for (size_t i = 0; i < SESSION_ID_SIZE; i++) {
        memcpy(digits, text + 2 * i, 2);
        if (!control_parse_hex(digits, &byte))
            return false;
        id[i] = (uint8_t)byte;
    }
    return true;
}

static enum control_step disconnect(struct control_walk *walk, char *const *arguments, unsigned count)
{
    struct state *state = walk->subject->state;
    uint8_t session_id[SESSION_ID_SIZE];
    struct session *session;
    struct client *client;
    uint64_t id;

    (void)count;
    if (arguments[0][0] == 's' && control_parse_hex(arguments[0] + 1, &id)) {
        if (walk->subject->smb->server == NULL ||
            smb_session_disconnect(walk->subject->smb->server, id) != ERR_OK)
            return control__fail(walk, "no such session");
        return CONTROL_DONE;
    }
    if (parse_session(arguments[0], session_id)) {
        session = session_find(state, session_id);
        if (session == NULL)
            return control__fail(walk, "no such session");
        session_destroy(session);
        return CONTROL_DONE;
    }
    if (!control_parse_hex(arguments[0], &id) || client_by_id(state, id, &client) != ERR_OK)
        return control__fail(walk, "no such client or session");
    client_disconnect(client);
    return CONTROL_DONE;
}

static enum control_step end_grace(struct control_walk *walk, char *const *arguments, unsigned count)
{
    (void)arguments;
    (void)count;
    if (!grace_is_active(walk->subject->state))
        return control__fail(walk, "there is no grace period");
    grace_end(walk->subject->state);
    return CONTROL_DURABLE;
}

static enum control_step reload(struct control_walk *walk, char *const *arguments, unsigned count)
{
    char reason[CONFIG_REASON_MAX] = "";

    (void)arguments;
    (void)count;
    if (walk->subject->reload(walk->subject->owner, reason) != ERR_OK)
        return control__fail(walk, "%.200s", reason);
    return CONTROL_DONE;
}

const struct control_row control__actions[] = {
    {.words = {"close"}, .least = 1, .most = 1, .acts = true, .begin = close_open},
    {.words = {"disconnect"}, .least = 1, .most = 1, .acts = true, .begin = disconnect},
    {.words = {"revoke"}, .least = 1, .most = 1, .acts = true, .begin = revoke_grant},
    {.words = {"unlock"}, .least = 1, .most = 3, .acts = true, .begin = unlock},
    {.words = {"grace", "end"}, .acts = true, .begin = end_grace},
    {.words = {"reload"}, .acts = true, .begin = reload},
    {.words = {NULL}},
};
