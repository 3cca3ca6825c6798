/*
 * dirent.c - the names in directories.
 *
 * An entry's key is also its cookie: 40 bits of a keyed hash of the case-folded name, then 23 bits of a keyed
 * hash of the exact name, moved up by at most PROBES - 1 when that place is taken. So
 *   - an exact look-up reads the PROBES keys from the name's place on: nearly always one row or none,
 *     however many entries share the folded name;
 *   - a folded look-up reads the keys of the folded name's hash until one is equal;
 *   - a listing goes by key, and a cookie stays what it is until its entry is removed.
 * The key of the hashes is kept in the database. No key is below 1 << 23, which leaves small cookies free.
 *
 * Each change is one statement, so nothing half stays behind when it fails. The name cache is told after
 * the statement.
 */
#include "store/dirent_priv.h"
#include "dittofs/log.h"
#include "store/data_priv.h"
#include "store/inode_priv.h"
#include "store/name_cache_priv.h"
#include "store/sql_priv.h"
#include <inttypes.h>
#include <string.h>

enum {
    EXACT_BITS = 23,
    FOLDED_BITS = 40,
    PROBES = 16,
};
#define EXACT_MASK (((uint64_t)1 << EXACT_BITS) - 1)

struct place {
    uint64_t key;         /* where the name belongs */
    uint64_t first, last; /* all keys of its folded name */
};

struct folded {
    uint8_t bytes[3 * STORE_NAME_MAX];
    size_t length;
};

static enum err check(const struct inode *dir, struct store_name name)
{
    if (dir->attr.type != INODE_DIRECTORY)
        return ERR_NOTDIR;
    if (name.length == 0)
        return ERR_INVAL;
    return name.length <= STORE_NAME_MAX ? ERR_OK : ERR_NAMETOOLONG;
}

static struct name_key exact_key(const struct inode *dir, struct store_name name)
{
    return name_cache_key(dir->store->names, dir->attr.ino, NAME_EXACT, name.bytes, name.length);
}

static struct name_key folded_key(const struct inode *dir, const struct folded *folded)
{
    return name_cache_key(dir->store->names, dir->attr.ino, NAME_FOLDED, folded->bytes, folded->length);
}

static void find_place(const struct siphash_key *secret, struct store_name name, struct folded *folded,
                       struct place *place_r)
{
    uint64_t hash, low;

    folded->length = store_fold_name(name, folded->bytes, sizeof folded->bytes);
    hash = siphash64(secret, folded->bytes, folded->length) >> (64 - FOLDED_BITS);
    if (hash == 0)
        hash = 1;
    low = siphash64(secret, name.bytes, name.length) & EXACT_MASK;
    if (low > EXACT_MASK - (PROBES - 1))
        low = EXACT_MASK - (PROBES - 1);
    place_r->first = hash << EXACT_BITS;
    place_r->last = place_r->first | EXACT_MASK;
    place_r->key = place_r->first | low;
}

bool dirent_key_fits(const struct siphash_key *secret, struct store_name name, uint64_t key)
{
    struct folded folded;
    struct place place;

    find_place(secret, name, &folded, &place);
    return key >= place.key && key < place.key + PROBES;
}

static bool is_name(sqlite3_stmt *statement, int column, struct store_name name)
{
    const void *bytes = sqlite3_column_blob(statement, column);

    return (size_t)sqlite3_column_bytes(statement, column) == name.length &&
           (name.length == 0 || memcmp(bytes, name.bytes, name.length) == 0);
}

/* Looks for the exact name in the database. *INO_R 0: there is none. FREE_R (may be NULL): the first free key
 * from the name's place on, 0 when all are taken. */
static enum err query_exact(struct store *store, uint64_t dir, struct store_name name, uint64_t place,
                            uint64_t *ino_r, uint64_t *free_r)
{
    sqlite3_stmt *statement =
        store__prepare(store, "SELECT key, ino, name FROM dirent WHERE dir = ? AND key BETWEEN ? AND ?"
                              " ORDER BY key");
    uint64_t free_key = place;
    enum err err;
    bool row;

    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, dir);
    sql_bind_u64(statement, 2, place);
    sql_bind_u64(statement, 3, place + PROBES - 1);
    *ino_r = 0;
    do {
        err = store__step(store, statement, &row);
        if (err != ERR_OK || !row)
            break;
        if (sql_u64(statement, 0) == free_key)
            free_key++;
        if (is_name(statement, 2, name))
            *ino_r = sql_u64(statement, 1);
    } while (*ino_r == 0);
    store__release(store, statement);
    if (free_r != NULL)
        *free_r = free_key < place + PROBES ? free_key : 0;
    return err;
}

enum err dir_cookie(struct inode *dir, struct store_name name, uint64_t *cookie_r)
{
    sqlite3_stmt *statement;
    struct folded folded;
    struct place place;
    bool row = false;
    enum err err = check(dir, name);

    if (err != ERR_OK)
        return err;
    statement = store__prepare(dir->store, "SELECT key FROM dirent WHERE dir = ? AND key BETWEEN ? AND ?"
                                           " AND name = ?");
    if (statement == NULL)
        return ERR_NOMEM;
    find_place(&dir->store->name_key, name, &folded, &place);
    sql_bind_u64(statement, 1, dir->attr.ino);
    sql_bind_u64(statement, 2, place.key);
    sql_bind_u64(statement, 3, place.key + PROBES - 1);
    sql_bind_bytes(statement, 4, name.bytes, name.length);
    err = store__step(dir->store, statement, &row);
    if (err == ERR_OK && row)
        *cookie_r = sql_u64(statement, 0);
    store__release(dir->store, statement);
    return err == ERR_OK && !row ? ERR_NOENT : err;
}

/* The exact name, from the cache or the database. */
static enum err find_exact(struct inode *dir, struct store_name name, uint64_t *ino_r)
{
    struct store *store = dir->store;
    struct name_key key = exact_key(dir, name);
    struct folded folded;
    struct place place;
    enum err err;

    if (name_cache_find(store->names, key, ino_r)) {
        store->counters.name_hits++;
        return ERR_OK;
    }
    store->counters.name_misses++;
    find_place(&store->name_key, name, &folded, &place);
    err = query_exact(store, dir->attr.ino, name, place.key, ino_r, NULL);
    if (err == ERR_OK)
        name_cache_put(store->names, key, *ino_r);
    return err;
}

/* Is the name in COLUMN equal to FOLDED after folding? */
static bool is_folded(sqlite3_stmt *statement, int column, const struct folded *folded)
{
    struct store_name stored = {sqlite3_column_blob(statement, column),
                                (size_t)sqlite3_column_bytes(statement, column)};
    struct folded other;

    if (stored.length == 0 || stored.length > STORE_NAME_MAX)
        return false;
    other.length = store_fold_name(stored, other.bytes, sizeof other.bytes);
    return other.length == folded->length && memcmp(other.bytes, folded->bytes, folded->length) == 0;
}

/* The first entry equal after folding. */
static enum err query_folded(struct store *store, uint64_t dir, const struct folded *folded,
                             const struct place *place, uint64_t *ino_r, uint8_t *name_r, size_t *length_r)
{
    sqlite3_stmt *statement = store__prepare(
        store, "SELECT ino, name FROM dirent WHERE dir = ? AND key BETWEEN ? AND ? ORDER BY key");
    enum err err;
    bool row;

    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, dir);
    sql_bind_u64(statement, 2, place->first);
    sql_bind_u64(statement, 3, place->last);
    *ino_r = 0;
    do {
        err = store__step(store, statement, &row);
        if (err != ERR_OK || !row)
            break;
        if (!is_folded(statement, 1, folded))
            continue;
        *ino_r = sql_u64(statement, 0);
        *length_r = (size_t)sqlite3_column_bytes(statement, 1);
        memcpy(name_r, sqlite3_column_blob(statement, 1), *length_r);
    } while (*ino_r == 0);
    store__release(store, statement);
    return err;
}

static enum err find_folded(struct inode *dir, struct store_name name, uint64_t *ino_r, uint8_t *name_r,
                            size_t *length_r)
{
    struct store *store = dir->store;
    struct folded folded;
    struct name_key key;
    struct place place;
    enum err err;

    find_place(&store->name_key, name, &folded, &place);
    key = folded_key(dir, &folded);
    if (name_cache_find(store->names, key, ino_r))
        return ERR_OK;
    err = query_folded(store, dir->attr.ino, &folded, &place, ino_r, name_r, length_r);
    if (err == ERR_OK && *ino_r == 0)
        name_cache_put(store->names, key, 0);
    return err;
}

enum err dir_lookup(struct inode *dir, struct store_name name, enum store_match match, uint64_t *ino_r,
                    uint8_t *name_r, size_t *length_r)
{
    uint8_t found[STORE_NAME_MAX];
    size_t length = name.length;
    uint64_t ino;
    enum err err = check(dir, name);

    if (err == ERR_OK)
        err = find_exact(dir, name, &ino);
    if (err != ERR_OK)
        return err;
    if (ino == 0 && match == STORE_FOLDED) {
        err = find_folded(dir, name, &ino, found, &length);
        if (err != ERR_OK)
            return err;
        if (ino != 0 && name_r != NULL)
            memcpy(name_r, found, length);
    } else if (ino != 0 && name_r != NULL) {
        memcpy(name_r, name.bytes, length);
    }
    if (ino == 0)
        return ERR_NOENT;
    *ino_r = ino;
    if (length_r != NULL)
        *length_r = length;
    return ERR_OK;
}

/* ERR_EXIST when KEY is taken. */
static enum err insert_row(struct inode *dir, struct store_name name, uint64_t key, const struct inode *inode)
{
    sqlite3_stmt *statement =
        store__prepare(dir->store, "INSERT INTO dirent(dir, key, ino, type, name) VALUES(?, ?, ?, ?, ?)");

    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, dir->attr.ino);
    sql_bind_u64(statement, 2, key);
    sql_bind_u64(statement, 3, inode->attr.ino);
    sqlite3_bind_int(statement, 4, (int)inode->attr.type);
    sql_bind_bytes(statement, 5, name.bytes, name.length);
    return store__run(dir->store, statement);
}

/* Inserts NAME, which may be there, at its place or behind it. */
static enum err insert_checked(struct inode *dir, struct store_name name, uint64_t place,
                               const struct inode *inode)
{
    uint64_t ino, key;
    enum err err = query_exact(dir->store, dir->attr.ino, name, place, &ino, &key);

    if (err != ERR_OK)
        return err;
    if (ino != 0)
        return ERR_EXIST;
    if (key == 0) {
        log_error("store: directory %" PRIu64 " has too many names that differ in case alone", dir->attr.ino);
        return ERR_LIMIT;
    }
    return insert_row(dir, name, key, inode);
}

enum err dir_insert(struct inode *dir, struct store_name name, struct inode *inode)
{
    struct store *store = dir->store;
    struct name_key exact;
    struct folded folded;
    struct place place;
    uint64_t ino;
    bool known;
    enum err err = store__writable(store);

    if (err == ERR_OK)
        err = check(dir, name);
    if (err == ERR_OK)
        err = data_room(store, INODE_ROOM_BYTES);
    if (err != ERR_OK)
        return err;
    exact = exact_key(dir, name);
    known = name_cache_find(store->names, exact, &ino);
    if (known && ino != 0)
        return ERR_EXIST;
    err = store__begin(store);
    if (err != ERR_OK)
        return err;
    find_place(&store->name_key, name, &folded, &place);
    /* Known to be missing, as after the look-up that comes before every create: no need to ask again,
     * unless another name has its place. */
    err = known ? insert_row(dir, name, place.key, inode) : ERR_EXIST;
    if (err == ERR_EXIST)
        err = insert_checked(dir, name, place.key, inode);
    if (err == ERR_EXIST)
        name_cache_forget(store->names, exact);
    if (err != ERR_OK)
        return err;
    name_cache_put(store->names, exact, inode->attr.ino);
    name_cache_forget(store->names, folded_key(dir, &folded));
    return ERR_OK;
}

/* Runs a statement on the one row with NAME that has DIR, the key range and NAME as its first parameters.
 * ERR_NOENT when it changed none. */
static enum err change_row(struct inode *dir, struct store_name name, sqlite3_stmt *statement)
{
    struct store *store = dir->store;
    struct folded folded;
    struct place place;
    enum err err;

    find_place(&store->name_key, name, &folded, &place);
    sql_bind_u64(statement, 1, dir->attr.ino);
    sql_bind_u64(statement, 2, place.key);
    sql_bind_u64(statement, 3, place.key + PROBES - 1);
    sql_bind_bytes(statement, 4, name.bytes, name.length);
    err = store__run(store, statement);
    if (err == ERR_OK && sqlite3_changes(store->db) == 0)
        err = ERR_NOENT;
    return err;
}

enum err dir_remove(struct inode *dir, struct store_name name, uint64_t ino)
{
    struct store *store = dir->store;
    sqlite3_stmt *statement;
    enum err err = store__writable(store);

    if (err == ERR_OK)
        err = check(dir, name);
    if (err == ERR_OK)
        err = store__begin(store);
    if (err != ERR_OK)
        return err;
    statement = store__prepare(store, "DELETE FROM dirent WHERE dir = ?1 AND key BETWEEN ?2 AND ?3"
                                      " AND name = ?4 AND ino = ?5");
    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 5, ino);
    err = change_row(dir, name, statement);
    if (err == ERR_OK)
        name_cache_put(store->names, exact_key(dir, name), 0);
    return err;
}

enum err dir_replace(struct inode *dir, struct store_name name, struct inode *inode)
{
    struct store *store = dir->store;
    sqlite3_stmt *statement;
    enum err err = store__writable(store);

    if (err == ERR_OK)
        err = check(dir, name);
    if (err == ERR_OK)
        err = store__begin(store);
    if (err != ERR_OK)
        return err;
    statement = store__prepare(store, "UPDATE dirent SET ino = ?5, type = ?6 WHERE dir = ?1"
                                      " AND key BETWEEN ?2 AND ?3 AND name = ?4");
    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 5, inode->attr.ino);
    sqlite3_bind_int(statement, 6, (int)inode->attr.type);
    err = change_row(dir, name, statement);
    if (err == ERR_OK)
        name_cache_put(store->names, exact_key(dir, name), inode->attr.ino);
    return err;
}

bool dir_is_empty(struct inode *dir)
{
    struct store *store = dir->store;
    sqlite3_stmt *statement = store__prepare(store, "SELECT 1 FROM dirent WHERE dir = ? LIMIT 1");
    bool row = true;

    if (statement == NULL)
        return false;
    sql_bind_u64(statement, 1, dir->attr.ino);
    if (store__step(store, statement, &row) != ERR_OK)
        row = true; /* not known: then it can't be removed */
    store__release(store, statement);
    return !row;
}

static enum err entry_of(sqlite3_stmt *statement, struct dirent *entry)
{
    int type = sqlite3_column_int(statement, 2);

    entry->cookie = sql_u64(statement, 0);
    entry->ino = sql_u64(statement, 1);
    entry->type = (enum inode_type)type;
    entry->name.bytes = sqlite3_column_blob(statement, 3);
    entry->name.length = (size_t)sqlite3_column_bytes(statement, 3);
    if (entry->ino == 0 || type < INODE_FILE || type > INODE_STREAM || entry->name.length == 0 ||
        entry->name.length > STORE_NAME_MAX || entry->name.bytes == NULL)
        return ERR_CORRUPT;
    return ERR_OK;
}

enum err dir_scan(struct inode *dir, uint64_t cookie, bool (*each)(void *data, const struct dirent *entry),
                  void *data, bool *end_r)
{
    struct store *store = dir->store;
    sqlite3_stmt *statement;
    struct dirent entry;
    enum err err;
    bool row, more = true;

    if (dir->attr.type != INODE_DIRECTORY)
        return ERR_NOTDIR;
    if (cookie > INT64_MAX) {
        *end_r = true;
        return ERR_OK;
    }
    statement = store__prepare(
        store, "SELECT key, ino, type, name FROM dirent WHERE dir = ? AND key > ? ORDER BY key");
    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, dir->attr.ino);
    sql_bind_u64(statement, 2, cookie);
    do {
        err = store__step(store, statement, &row);
        if (err != ERR_OK || !row)
            break;
        err = entry_of(statement, &entry);
        if (err == ERR_OK)
            more = each(data, &entry);
    } while (err == ERR_OK && more);
    store__release(store, statement);
    if (err == ERR_CORRUPT)
        log_error("store: directory %" PRIu64 " has a damaged entry", dir->attr.ino);
    if (err == ERR_OK)
        *end_r = !row;
    return err;
}

enum err dir_previous(struct inode *dir, uint64_t cookie, uint64_t *cookie_r, uint8_t *name_r,
                      size_t *length_r)
{
    struct store *store = dir->store;
    struct dirent entry;
    sqlite3_stmt *statement;
    bool row = false;
    enum err err;

    if (dir->attr.type != INODE_DIRECTORY)
        return ERR_NOTDIR;
    if (cookie > INT64_MAX)
        return ERR_NOENT;
    statement = store__prepare(
        store, "SELECT key, ino, type, name FROM dirent WHERE dir = ? AND key < ? ORDER BY key DESC LIMIT 1");
    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, dir->attr.ino);
    sql_bind_u64(statement, 2, cookie);
    err = store__step(store, statement, &row);
    if (err == ERR_OK)
        err = row ? entry_of(statement, &entry) : ERR_NOENT;
    if (err == ERR_OK) {
        *cookie_r = entry.cookie;
        *length_r = entry.name.length;
        memcpy(name_r, entry.name.bytes, entry.name.length);
    }
    store__release(store, statement);
    return err;
}
