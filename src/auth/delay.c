/*
 * delay.c - how long answers to logons are held back (identity.h says by what rule).
 *
 * An entry counts the failures of a host and a user, or of a host and all users (no name). Its penalty is in
 * force until a point in time; each failure adds its own behind what is in force, so attempts made in
 * parallel are not cheaper than one after the other.
 */
#include "dittofs/clock.h"
#include "dittofs/hash.h"
#include "dittofs/hashtable.h"
#include "dittofs/identity.h"
#include "dittofs/log.h"
#include "dittofs/random.h"

#include <stdlib.h>
#include <string.h>

enum { FREE_FAILURES = 2, FREE_FAILURES_HOST = 10, FIRST_DELAY_MS = 250, NETWORK_BYTES = 8 };
enum { FORGET_MS = 15 * 60 * 1000, KEY_HOST = 17 };

/* The address with its length before it, and a hash of the user's name: the name itself may be long, and
 * that two names meet in 128 bits of a keyed hash does not happen. */
struct key {
    uint8_t host[KEY_HOST];
    uint8_t user[16];
};

struct entry {
    struct hashlink hash;
    struct list recent; /* the last one was used longest ago */
    struct key key;
    uint32_t failures;
    uint64_t until_ms; /* the penalty's end */
    uint64_t last_ms;  /* the last failure */
};

struct cred_delays {
    struct hashtable table;
    struct list recent;
    size_t most;
    struct siphash_key secret;
};

enum err cred_delays_open(size_t most, struct cred_delays **delays_r)
{
    struct cred_delays *delays;

    if (most < 2)
        return ERR_INVAL;
    delays = calloc(1, sizeof *delays);
    if (delays == NULL)
        return ERR_NOMEM;
    hashtable_init(&delays->table);
    list_init(&delays->recent);
    delays->most = most;
    random_bytes(&delays->secret, sizeof delays->secret);
    *delays_r = delays;
    return ERR_OK;
}

static void forget(struct cred_delays *delays, struct entry *entry)
{
    hashtable_remove(&delays->table, &entry->hash);
    list_remove(&entry->recent);
    free(entry);
}

void cred_delays_close(struct cred_delays **delays)
{
    if (*delays == NULL)
        return;
    while (!list_is_empty(&(*delays)->recent))
        forget(*delays, list_first(&(*delays)->recent, struct entry, recent));
    hashtable_free(&(*delays)->table);
    free(*delays);
    *delays = NULL;
}

/* USER NULL: all of them. Without ASCII case, so that "bob" and "BOB" are not two chances each. */
static void make_key(const struct cred_delays *delays, const void *host, size_t host_length, const char *user,
                     struct key *key)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *bytes = host;
    char name[256];
    size_t length = 0;

    invariant(host_length == 4 || host_length == 16);
    memset(key, 0, sizeof *key);
    if (host_length == 16 && memcmp(bytes, mapped, sizeof mapped) == 0) {
        bytes += sizeof mapped;
        host_length = 4;
    } else if (host_length == 16) {
        host_length = NETWORK_BYTES;
    }
    key->host[0] = (uint8_t)host_length;
    memcpy(key->host + 1, bytes, host_length);
    if (user == NULL)
        return;
    for (; user[length] != 0 && length < sizeof name; length++)
        name[length] = (char)(user[length] >= 'A' && user[length] <= 'Z' ? user[length] + 32 : user[length]);
    siphash128(&delays->secret, name, length, key->user);
    key->user[0] |= 1; /* never all zeros */
}

static struct entry *find(const struct cred_delays *delays, const struct key *key, uint64_t hash)
{
    struct hashlink *link = hashtable_find(&delays->table, hash);

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct entry *entry = container_of(link, struct entry, hash);

        if (memcmp(&entry->key, key, sizeof *key) == 0)
            return entry;
    }
    return NULL;
}

static uint64_t hash_of(const struct cred_delays *delays, const struct key *key)
{
    return siphash64(&delays->secret, key, sizeof *key);
}

/* The entry, made when it is not there: NULL only when memory is out. */
static struct entry *obtain(struct cred_delays *delays, const struct key *key)
{
    uint64_t hash = hash_of(delays, key);
    struct entry *entry = find(delays, key, hash);

    if (entry != NULL) {
        list_remove(&entry->recent);
        list_push_front(&delays->recent, &entry->recent);
        return entry;
    }
    if (delays->table.count >= delays->most)
        forget(delays, list_last(&delays->recent, struct entry, recent));
    entry = calloc(1, sizeof *entry);
    if (entry == NULL || !hashtable_insert(&delays->table, &entry->hash, hash)) {
        free(entry);
        return NULL;
    }
    entry->key = *key;
    list_push_front(&delays->recent, &entry->recent);
    return entry;
}

static uint32_t left_ms(const struct entry *entry, uint64_t now)
{
    uint64_t left;

    if (entry == NULL || entry->until_ms <= now)
        return 0;
    left = entry->until_ms - now;
    return left < CRED_DELAY_MAX_MS ? (uint32_t)left : CRED_DELAY_MAX_MS;
}

uint32_t cred_delays_wait_ms(const struct cred_delays *delays, const void *host, size_t host_length,
                             const char *user)
{
    uint64_t now = clock_monotonic_ms();
    struct key key;
    uint32_t both, all;

    make_key(delays, host, host_length, user, &key);
    both = left_ms(find(delays, &key, hash_of(delays, &key)), now);
    make_key(delays, host, host_length, NULL, &key);
    all = left_ms(find(delays, &key, hash_of(delays, &key)), now);
    return both > all ? both : all;
}

static void count_failure(struct entry *entry, uint32_t free_failures, uint64_t now)
{
    uint64_t from = entry->until_ms > now ? entry->until_ms : now;
    uint32_t beyond;

    if (now - entry->last_ms > FORGET_MS && entry->until_ms <= now)
        entry->failures = 0;
    entry->last_ms = now;
    if (entry->failures < UINT32_MAX)
        entry->failures++;
    if (entry->failures <= free_failures)
        return;
    beyond = entry->failures - free_failures - 1;
    from += beyond < 7 ? (uint64_t)FIRST_DELAY_MS << beyond : CRED_DELAY_MAX_MS;
    entry->until_ms = from < now + CRED_DELAY_MAX_MS ? from : now + CRED_DELAY_MAX_MS;
}

uint32_t cred_delays_done(struct cred_delays *delays, const void *host, size_t host_length, const char *user,
                          bool succeeded)
{
    uint64_t now = clock_monotonic_ms();
    uint32_t wait = cred_delays_wait_ms(delays, host, host_length, user);
    struct key key;
    struct entry *entry;

    make_key(delays, host, host_length, user, &key);
    if (succeeded) {
        /* What others from that host did wrong stays. */
        entry = find(delays, &key, hash_of(delays, &key));
        if (entry != NULL)
            forget(delays, entry);
        return wait;
    }
    entry = obtain(delays, &key);
    if (entry != NULL)
        count_failure(entry, FREE_FAILURES, now);
    make_key(delays, host, host_length, NULL, &key);
    entry = obtain(delays, &key);
    if (entry != NULL)
        count_failure(entry, FREE_FAILURES_HOST, now);
    return cred_delays_wait_ms(delays, host, host_length, user);
}
