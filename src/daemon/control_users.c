/*
 * control_users.c - the users that SMB clients log on as, while the daemon serves.
 *
 * A password comes as its NT hash in hexadecimal, made by the asking program: the daemon never sees it. When
 * SMB is off there is no list of users in memory: it is read from the store for the request.
 */
#include "daemon/control_walk_priv.h"
#include "daemon/ctl_priv.h"

#include <openssl/crypto.h>
#include <string.h>

struct users {
    struct ident_storage storage;
    struct identity *own; /* to be closed again */
    struct identity *identity;
};

static enum err open_users(struct control_walk *walk, struct users *users)
{
    *users = (struct users){.identity = walk->subject->smb->identity};
    if (users->identity != NULL)
        return ERR_OK;
    return smb_service_identity(walk->subject->store, &users->storage, &users->own);
}

static struct identity *of(const struct users *users)
{
    return users->own != NULL ? users->own : users->identity;
}

static bool parse_hash(const char *text, uint8_t hash[IDENT_NT_HASH_SIZE])
{
    char digits[3] = "";
    uint64_t byte;

    if (strlen(text) != 2 * (size_t)IDENT_NT_HASH_SIZE)
        return false;
    for (size_t i = 0; i < IDENT_NT_HASH_SIZE; i++) {
        memcpy(digits, text + 2 * i, 2);
        if (!control_parse_hex(digits, &byte))
            return false;
        hash[i] = (uint8_t)byte;
    }
    return true;
}

static bool parse_id(const char *text, uint32_t *id_r)
{
    uint64_t number;

    if (!control_parse_number(text, UINT32_MAX - 1, &number))
        return false;
    *id_r = (uint32_t)number;
    return true;
}

static enum control_step ended(struct control_walk *walk, struct users *users, enum err err)
{
    ident_close(&users->own);
    return err == ERR_OK ? CONTROL_DURABLE : control__fail(walk, "%s", err_text(err));
}

/* user add NAME UID GID HASH [GID]... */
static enum control_step add(struct control_walk *walk, char *const *arguments, unsigned count)
{
    struct ident_user user = {.uid = 0};
    struct users users;
    enum control_step step;
    enum err err;

    if (strlen(arguments[0]) > IDENT_NAME_MAX || !parse_id(arguments[1], &user.uid) ||
        !parse_id(arguments[2], &user.gid) || !parse_hash(arguments[3], user.nt_hash))
        return control__fail(walk, "not a user: NAME UID GID HASH [GID]...");
    memcpy(user.name, arguments[0], strlen(arguments[0]) + 1);
    for (unsigned i = 4; i < count; i++) {
        if (!parse_id(arguments[i], &user.groups[user.group_count++]))
            return control__fail(walk, "not a number of a group");
    }
    err = open_users(walk, &users);
    if (err == ERR_OK)
        err = ident_user_find(of(&users), user.name) != NULL ? ERR_EXIST : ident_user_put(of(&users), &user);
    step = ended(walk, &users, err);
    OPENSSL_cleanse(&user, sizeof user);
    return step;
}

static enum control_step passwd(struct control_walk *walk, char *const *arguments, unsigned count)
{
    const struct ident_user *found;
    struct ident_user user;
    struct users users;
    enum control_step step;
    enum err err = open_users(walk, &users);

    (void)count;
    if (err != ERR_OK)
        return ended(walk, &users, err);
    found = ident_user_find(of(&users), arguments[0]);
    if (found == NULL)
        return ended(walk, &users, ERR_NOENT);
    user = *found;
    err = parse_hash(arguments[1], user.nt_hash) ? ident_user_put(of(&users), &user) : ERR_INVAL;
    step = ended(walk, &users, err);
    OPENSSL_cleanse(&user, sizeof user);
    return step;
}

/* user remove NAME: his sessions end with it. */
static enum control_step take_away(struct control_walk *walk, char *const *arguments, unsigned count)
{
    struct smb_server *server = walk->subject->smb->server;
    const struct ident_user *found = NULL;
    char name[IDENT_NAME_MAX + 1] = "";
    struct users users;
    enum err err = open_users(walk, &users);

    (void)count;
    if (err == ERR_OK)
        found = ident_user_find(of(&users), arguments[0]);
    if (found != NULL)
        memcpy(name, found->name, sizeof name);
    if (err == ERR_OK)
        err = ident_user_remove(of(&users), arguments[0]);
    if (err == ERR_OK && server != NULL)
        smb_user_disconnect(server, name);
    return ended(walk, &users, err);
}

json_t *control_user_value(const struct ident_user *user)
{
    json_t *item = json_object(), *groups = json_array();

    for (uint32_t i = 0; i < user->group_count; i++)
        json_array_append_new(groups, json_integer(user->groups[i]));
    json_object_set_new(item, "user", control__text(user->name, strlen(user->name)));
    json_object_set_new(item, "uid", json_integer(user->uid));
    json_object_set_new(item, "gid", json_integer(user->gid));
    json_object_set_new(item, "groups", groups);
    json_object_set_new(item, "disabled", json_boolean(user->disabled));
    return item;
}

static enum control_step list_page(struct control_walk *walk)
{
    const struct ident_user *user = NULL;
    struct users users;
    enum err err = open_users(walk, &users);

    if (err != ERR_OK)
        return control__fail(walk, "%s", err_text(err));
    while (!control__is_full(walk) && (user = ident_user_at(of(&users), walk->number)) != NULL) {
        walk->number++;
        control__item(walk, control_user_value(user));
    }
    ident_close(&users.own);
    return user == NULL && !control__is_full(walk) ? CONTROL_DONE : CONTROL_MORE;
}

static enum control_step list(struct control_walk *walk, char *const *arguments, unsigned count)
{
    (void)walk;
    (void)arguments;
    (void)count;
    return CONTROL_MORE;
}

const struct control_row control__users[] = {
    {.words = {"user", "add"},
     .least = 4,
     .most = 4 + IDENT_GROUPS_MAX,
     .acts = true,
     .has_secret = true,
     .begin = add},
    {.words = {"user", "passwd"}, .least = 2, .most = 2, .acts = true, .has_secret = true, .begin = passwd},
    {.words = {"user", "remove"}, .least = 1, .most = 1, .acts = true, .begin = take_away},
    {.words = {"user", "list"}, .begin = list, .page = list_page},
    {.words = {NULL}},
};
