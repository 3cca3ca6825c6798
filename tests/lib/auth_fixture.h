/*
 * auth_fixture.h - a storage for users in memory, and a machine with some of them.
 */
#ifndef TESTS_AUTH_FIXTURE_H
#define TESTS_AUTH_FIXTURE_H

#include "dittofs/identity.h"
#include "dittofs/log.h"
#include "dittofs/random.h"
#include <stdlib.h>
#include <string.h>

enum { FIXTURE_RECORDS = 64 };

struct fixture_record {
    char table[16];
    uint8_t key[400], value[1024];
    size_t key_length, value_length;
};

static struct {
    struct fixture_record records[FIXTURE_RECORDS];
    size_t count;
    enum err fail; /* what writing answers */
} fixture_store;

static struct fixture_record *fixture_find(const char *table, const void *key, size_t length)
{
    for (size_t i = 0; i < fixture_store.count; i++) {
        struct fixture_record *record = &fixture_store.records[i];

        if (strcmp(record->table, table) == 0 && record->key_length == length &&
            memcmp(record->key, key, length) == 0)
            return record;
    }
    return NULL;
}

static enum err fixture_put(void *data, const char *table, const void *key, size_t key_length,
                            const void *value, size_t value_length)
{
    struct fixture_record *record = fixture_find(table, key, key_length);

    (void)data;
    if (fixture_store.fail != ERR_OK)
        return fixture_store.fail;
    if (record == NULL) {
        invariant(fixture_store.count < FIXTURE_RECORDS);
        record = &fixture_store.records[fixture_store.count++];
    }
    invariant(strlen(table) < sizeof record->table && key_length <= sizeof record->key &&
              value_length <= sizeof record->value);
    memset(record, 0, sizeof *record);
    memcpy(record->table, table, strlen(table));
    memcpy(record->key, key, key_length);
    memcpy(record->value, value, value_length);
    record->key_length = key_length;
    record->value_length = value_length;
    return ERR_OK;
}

static enum err fixture_remove(void *data, const char *table, const void *key, size_t key_length)
{
    struct fixture_record *record = fixture_find(table, key, key_length);

    (void)data;
    if (fixture_store.fail != ERR_OK)
        return fixture_store.fail;
    if (record != NULL)
        *record = fixture_store.records[--fixture_store.count];
    return ERR_OK;
}

static enum err fixture_scan(void *data, const char *table,
                             bool (*each)(void *each_data, const void *key, size_t key_length,
                                          const void *value, size_t value_length),
                             void *each_data)
{
    (void)data;
    for (size_t i = 0; i < fixture_store.count; i++) {
        const struct fixture_record *record = &fixture_store.records[i];

        if (strcmp(record->table, table) == 0 &&
            !each(each_data, record->key, record->key_length, record->value, record->value_length))
            break;
    }
    return ERR_OK;
}

static const struct ident_storage fixture_storage = {
    .put = fixture_put, .remove = fixture_remove, .scan = fixture_scan};

static inline void fixture_add_user(struct identity *identity, const char *name, const char *password,
                                    uint32_t uid, bool disabled)
{
    struct ident_user user = {
        .uid = uid, .gid = 100, .groups = {200, 300}, .group_count = 2, .disabled = disabled};

    invariant(strlen(name) < sizeof user.name);
    memcpy(user.name, name, strlen(name));
    invariant(cred_nt_hash(password, user.nt_hash) == ERR_OK);
    invariant(ident_user_put(identity, &user) == ERR_OK);
}

/* SERVER with the users alice (1000), Ünal (1001) and mallory (1002, disabled), all with the password
 * "Passw0rd". */
static inline struct identity *fixture_identity(void)
{
    struct identity *identity = NULL;

    memset(&fixture_store, 0, sizeof fixture_store);
    random_set_seed(42);
    invariant(ident_open(&fixture_storage, "server", &identity) == ERR_OK);
    fixture_add_user(identity, "alice", "Passw0rd", 1000, false);
    fixture_add_user(identity, "\xc3\x9cnal", "Passw0rd", 1001, false);
    fixture_add_user(identity, "mallory", "Passw0rd", 1002, true);
    return identity;
}

#endif
