/*
 * identity.c - the lists of users and groups, and where they are kept.
 *
 * Records: table "users" and "groups", key the folded name; table "identity", key "machine". Values begin
 * with a version; a newer one is refused (ERR_TOO_NEW), a damaged one too (ERR_CORRUPT).
 *
 * Invariants: both arrays of a list hold the same entries; a name and an id are there once. A change reaches
 * memory only after the storage took it, and what memory needs is there before the storage is asked.
 */
#include "auth/identity_priv.h"
#include "dittofs/log.h"
#include "dittofs/random.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_VERSION = 1, RECORD_MAX = 1024, FLAG_DISABLED = 1 };

static const char users_table[] = "users", groups_table[] = "groups", machine_table[] = "identity";
static const char machine_key[] = "machine";

/* ---- sorted lists ---- */

/* Where NAME is or belongs. */
static size_t place_by_name(const struct ident__list *list, const char *folded, bool *found_r)
{
    size_t low = 0, high = list->count;

    *found_r = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(list->by_name[middle]->folded, folded);

        if (order == 0) {
            *found_r = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t place_by_id(const struct ident__list *list, uint32_t id, bool *found_r)
{
    size_t low = 0, high = list->count;

    *found_r = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (list->by_id[middle]->id == id) {
            *found_r = true;
            return middle;
        }
        if (list->by_id[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct ident__entry *find_name(const struct ident__list *list, const char *name)
{
    char folded[IDENT__FOLDED_MAX + 1];
    bool found;
    size_t at;

    if (!ident__fold(name, folded))
        return NULL;
    at = place_by_name(list, folded, &found);
    return found ? list->by_name[at] : NULL;
}

static const struct ident__entry *find_id(const struct ident__list *list, uint32_t id)
{
    bool found;
    size_t at = place_by_id(list, id, &found);

    return found ? list->by_id[at] : NULL;
}

static bool list_reserve(struct ident__list *list)
{
    size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
    struct ident__entry **grown;

    if (list->count < list->capacity)
        return true;
    grown = realloc(list->by_name, capacity * sizeof(struct ident__entry *));
    if (grown == NULL)
        return false;
    list->by_name = grown;
    grown = realloc(list->by_id, capacity * sizeof(struct ident__entry *));
    if (grown == NULL)
        return false;
    list->by_id = grown;
    list->capacity = capacity;
    return true;
}

static void insert_at(struct ident__entry **array, size_t count, size_t at, struct ident__entry *entry)
{
    memmove(array + at + 1, array + at, (count - at) * sizeof(struct ident__entry *));
    array[at] = entry;
}

static void remove_at(struct ident__entry **array, size_t count, size_t at)
{
    memmove(array + at, array + at + 1, (count - at - 1) * sizeof(struct ident__entry *));
}

static void entry_free(struct ident__entry *entry)
{
    OPENSSL_cleanse(entry, sizeof *entry);
    free(entry);
}

/* The entry must be in LIST. */
static void list_drop(struct ident__list *list, struct ident__entry *entry)
{
    bool found;
    size_t at = place_by_name(list, entry->folded, &found);

    invariant(found);
    remove_at(list->by_name, list->count, at);
    at = place_by_id(list, entry->id, &found);
    invariant(found);
    remove_at(list->by_id, list->count, at);
    list->count--;
    entry_free(entry);
}

/* Takes ENTRY; the one that had its name goes. Room was reserved, no other name has its id. */
static void list_put(struct ident__list *list, struct ident__entry *entry)
{
    bool found;
    size_t at = place_by_name(list, entry->folded, &found);

    if (found)
        list_drop(list, list->by_name[at]);
    at = place_by_name(list, entry->folded, &found);
    insert_at(list->by_name, list->count, at, entry);
    at = place_by_id(list, entry->id, &found);
    invariant(!found);
    insert_at(list->by_id, list->count, at, entry);
    list->count++;
}

static void list_free(struct ident__list *list)
{
    for (size_t i = 0; i < list->count; i++)
        entry_free(list->by_name[i]);
    free(list->by_name);
    free(list->by_id);
}

/* May an entry be put? Nothing has changed when it may not. */
static enum err list_admit(struct ident__list *list, const struct ident__entry *entry)
{
    const struct ident__entry *same_id = find_id(list, entry->id);
    bool found;

    if (same_id != NULL && strcmp(same_id->folded, entry->folded) != 0)
        return ERR_EXIST;
    place_by_name(list, entry->folded, &found);
    if (!found && list->count >= IDENT_USERS_MAX)
        return ERR_LIMIT;
    return list_reserve(list) ? ERR_OK : ERR_NOMEM;
}

/* ---- records ---- */

static void write_string(struct writer *writer, const char *text)
{
    writer_le16(writer, (uint16_t)strlen(text));
    writer_bytes(writer, text, strlen(text));
}

static bool read_string(struct reader *reader, char *to, size_t size)
{
    uint16_t length;

    if (!reader_le16(reader, &length) || length >= size || !reader_copy(reader, to, length))
        return false;
    to[length] = 0;
    return memchr(to, 0, length) == NULL || length == 0;
}

static void write_user(struct writer *writer, const struct ident_user *user)
{
    writer_u8(writer, RECORD_VERSION);
    writer_u8(writer, user->disabled ? FLAG_DISABLED : 0);
    write_string(writer, user->name);
    writer_bytes(writer, user->nt_hash, sizeof user->nt_hash);
    writer_le32(writer, user->uid);
    writer_le32(writer, user->gid);
    writer_le32(writer, user->group_count);
    for (uint32_t i = 0; i < user->group_count; i++)
        writer_le32(writer, user->groups[i]);
}

static bool read_user(struct reader *reader, struct ident_user *user)
{
    uint8_t flags;

    if (!reader_u8(reader, &flags) || !read_string(reader, user->name, sizeof user->name) ||
        !reader_copy(reader, user->nt_hash, sizeof user->nt_hash) || !reader_le32(reader, &user->uid) ||
        !reader_le32(reader, &user->gid) || !reader_le32(reader, &user->group_count) ||
        user->group_count > IDENT_GROUPS_MAX)
        return false;
    for (uint32_t i = 0; i < user->group_count; i++)
        if (!reader_le32(reader, &user->groups[i]))
            return false;
    user->disabled = (flags & FLAG_DISABLED) != 0;
    return reader_is_done(reader);
}

struct loading {
    struct identity *identity;
    enum err err;
};

/* Reads the version and says why the rest can't be read. */
static bool read_version(struct reader *reader, struct loading *loading)
{
    uint8_t version;

    if (!reader_u8(reader, &version) || version == 0)
        loading->err = ERR_CORRUPT;
    else if (version > RECORD_VERSION)
        loading->err = ERR_TOO_NEW;
    return loading->err == ERR_OK;
}

/* Takes ENTRY, which was decoded, or frees it. */
static bool load_entry(struct loading *loading, struct ident__list *list, struct ident__entry *entry, bool ok,
                       const char *name, const void *key, size_t key_length)
{
    if (loading->err == ERR_OK &&
        (!ok || !ident__fold(name, entry->folded) || strlen(entry->folded) != key_length ||
         memcmp(entry->folded, key, key_length) != 0))
        loading->err = ERR_CORRUPT;
    if (loading->err == ERR_OK)
        loading->err = list_admit(list, entry);
    if (loading->err == ERR_OK)
        list_put(list, entry);
    else
        entry_free(entry);
    return loading->err == ERR_OK;
}

static bool load_user(void *data, const void *key, size_t key_length, const void *value, size_t value_length)
{
    struct loading *loading = data;
    struct reader reader = reader_of(value, value_length);
    struct ident__entry *entry = calloc(1, sizeof *entry);
    bool ok;

    if (entry == NULL) {
        loading->err = ERR_NOMEM;
        return false;
    }
    ok = read_version(&reader, loading) && read_user(&reader, &entry->u.user);
    entry->id = entry->u.user.uid;
    return load_entry(loading, &loading->identity->users, entry, ok, entry->u.user.name, key, key_length);
}

static bool load_group(void *data, const void *key, size_t key_length, const void *value, size_t value_length)
{
    struct loading *loading = data;
    struct reader reader = reader_of(value, value_length);
    struct ident__entry *entry = calloc(1, sizeof *entry);
    struct ident_group *group;
    bool ok;

    if (entry == NULL) {
        loading->err = ERR_NOMEM;
        return false;
    }
    group = &entry->u.group;
    ok = read_version(&reader, loading) && read_string(&reader, group->name, sizeof group->name) &&
         reader_le32(&reader, &group->gid) && reader_is_done(&reader);
    entry->id = group->gid;
    return load_entry(loading, &loading->identity->groups, entry, ok, group->name, key, key_length);
}

static bool load_machine(void *data, const void *key, size_t key_length, const void *value,
                         size_t value_length)
{
    struct loading *loading = data;
    struct reader reader = reader_of(value, value_length);

    if (key_length != sizeof machine_key - 1 || memcmp(key, machine_key, key_length) != 0)
        return true;
    if (read_version(&reader, loading) && (!ident_sid_read(&reader, &loading->identity->machine) ||
                                           !reader_is_done(&reader) || loading->identity->machine.count != 4))
        loading->err = ERR_CORRUPT;
    return loading->err == ERR_OK;
}

static enum err load(struct identity *identity, const char *table,
                     bool (*each)(void *data, const void *key, size_t key_length, const void *value,
                                  size_t value_length))
{
    struct loading loading = {.identity = identity, .err = ERR_OK};
    enum err err = identity->storage.scan(identity->storage.data, table, each, &loading);

    return loading.err != ERR_OK ? loading.err : err;
}

/* ---- opening ---- */

/* S-1-5-21 and 96 random bits (MS-DTYP 2.4.2.4: the form of a machine's SID). */
static enum err make_machine_sid(struct identity *identity)
{
    uint8_t record[1 + SID_SIZE_MAX];
    struct writer writer;

    identity->machine = (struct sid){.authority = 5, .count = 4, .sub = {21}};
    random_bytes(&identity->machine.sub[1], 3 * sizeof identity->machine.sub[1]);
    writer_init(&writer, record, sizeof record);
    writer_u8(&writer, RECORD_VERSION);
    ident_sid_write(&writer, &identity->machine);
    invariant(!writer.failed);
    return identity->storage.put(identity->storage.data, machine_table, machine_key, sizeof machine_key - 1,
                                 record, writer.length);
}

static bool is_computer_name(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!letter && c != '-' && c != '_')
            return false;
    }
    return length >= 1 && length <= IDENT_COMPUTER_MAX;
}

enum err ident_open(const struct ident_storage *storage, const char *computer, struct identity **identity_r)
{
    struct identity *identity;
    enum err err;

    if (!is_computer_name(computer))
        return ERR_INVAL;
    identity = calloc(1, sizeof *identity);
    if (identity == NULL)
        return ERR_NOMEM;
    identity->storage = *storage;
    memcpy(identity->computer, computer, strlen(computer));
    for (char *c = identity->computer; *c != 0; c++)
        *c = (char)ident__upper((uint16_t)*c);
    err = load(identity, machine_table, load_machine);
    if (err == ERR_OK && identity->machine.count == 0)
        err = make_machine_sid(identity);
    if (err == ERR_OK)
        err = load(identity, users_table, load_user);
    if (err == ERR_OK)
        err = load(identity, groups_table, load_group);
    if (err != ERR_OK) {
        ident_close(&identity);
        return err;
    }
    *identity_r = identity;
    return ERR_OK;
}

void ident_close(struct identity **identity)
{
    if (*identity == NULL)
        return;
    list_free(&(*identity)->users);
    list_free(&(*identity)->groups);
    free(*identity);
    *identity = NULL;
}

const struct sid *ident_machine_sid(const struct identity *identity)
{
    return &identity->machine;
}

const char *ident_computer(const struct identity *identity)
{
    return identity->computer;
}

/* ---- users ---- */

/* Gives ENTRY to the storage and then to LIST; frees it when that fails. */
static enum err put_entry(struct identity *identity, struct ident__list *list, const char *table,
                          struct ident__entry *entry, const struct writer *record)
{
    enum err err = record->failed ? ERR_INVAL : list_admit(list, entry);

    if (err == ERR_OK)
        err = identity->storage.put(identity->storage.data, table, entry->folded, strlen(entry->folded),
                                    record->data, record->length);
    if (err == ERR_OK)
        list_put(list, entry);
    else
        entry_free(entry);
    return err;
}

static enum err remove_entry(struct identity *identity, struct ident__list *list, const char *table,
                             const char *name)
{
    char folded[IDENT__FOLDED_MAX + 1];
    bool found;
    size_t at;
    enum err err;

    if (!ident__fold(name, folded))
        return ERR_NOENT;
    at = place_by_name(list, folded, &found);
    if (!found)
        return ERR_NOENT;
    err = identity->storage.remove(identity->storage.data, table, folded, strlen(folded));
    if (err == ERR_OK)
        list_drop(list, list->by_name[at]);
    return err;
}

enum err ident_user_put(struct identity *identity, const struct ident_user *user)
{
    struct ident__entry *entry;
    uint8_t record[RECORD_MAX];
    struct writer writer;
    enum err err;

    /* 2^32-1 means "no such id" in setattr and chown. */
    if (user->group_count > IDENT_GROUPS_MAX || user->uid == UINT32_MAX || user->gid == UINT32_MAX)
        return ERR_INVAL;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return ERR_NOMEM;
    if (memchr(user->name, 0, sizeof user->name) == NULL || !ident__fold(user->name, entry->folded)) {
        entry_free(entry);
        return ERR_BADNAME;
    }
    entry->id = user->uid;
    entry->u.user = *user;
    writer_init(&writer, record, sizeof record);
    write_user(&writer, user);
    err = put_entry(identity, &identity->users, users_table, entry, &writer);
    OPENSSL_cleanse(record, sizeof record);
    return err;
}

enum err ident_user_remove(struct identity *identity, const char *name)
{
    return remove_entry(identity, &identity->users, users_table, name);
}

const struct ident_user *ident_user_find(const struct identity *identity, const char *name)
{
    const struct ident__entry *entry = find_name(&identity->users, name);

    return entry != NULL ? &entry->u.user : NULL;
}

const struct ident_user *ident_user_find_uid(const struct identity *identity, uint32_t uid)
{
    const struct ident__entry *entry = find_id(&identity->users, uid);

    return entry != NULL ? &entry->u.user : NULL;
}

const struct ident_user *ident_user_at(const struct identity *identity, size_t index)
{
    return index < identity->users.count ? &identity->users.by_name[index]->u.user : NULL;
}

/* ---- groups ---- */

enum err ident_group_put(struct identity *identity, const struct ident_group *group)
{
    struct ident__entry *entry;
    uint8_t record[RECORD_MAX];
    struct writer writer;

    if (group->gid == UINT32_MAX)
        return ERR_INVAL;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return ERR_NOMEM;
    if (memchr(group->name, 0, sizeof group->name) == NULL || !ident__fold(group->name, entry->folded)) {
        entry_free(entry);
        return ERR_BADNAME;
    }
    entry->id = group->gid;
    entry->u.group = *group;
    writer_init(&writer, record, sizeof record);
    writer_u8(&writer, RECORD_VERSION);
    write_string(&writer, group->name);
    writer_le32(&writer, group->gid);
    return put_entry(identity, &identity->groups, groups_table, entry, &writer);
}

enum err ident_group_remove(struct identity *identity, const char *name)
{
    return remove_entry(identity, &identity->groups, groups_table, name);
}

const struct ident_group *ident_group_find(const struct identity *identity, const char *name)
{
    const struct ident__entry *entry = find_name(&identity->groups, name);

    return entry != NULL ? &entry->u.group : NULL;
}

const struct ident_group *ident_group_find_gid(const struct identity *identity, uint32_t gid)
{
    const struct ident__entry *entry = find_id(&identity->groups, gid);

    return entry != NULL ? &entry->u.group : NULL;
}

const struct ident_group *ident_group_at(const struct identity *identity, size_t index)
{
    return index < identity->groups.count ? &identity->groups.by_name[index]->u.group : NULL;
}
