/*
 * nfs4_idmap.c - owners and groups as text.
 *
 * Names are asked on a worker and kept: who they belong to may be answered by a machine elsewhere, and the
 * loop never waits for it. The happy path: the answer is here and fresh. An old one is good for a while
 * longer, and is asked again meanwhile. One that is missing is queued; a request that shows owners waits for
 * it (nfs4__idmap_wait), one that sets an owner is answered DELAY. When names are slow to come nobody waits:
 * numbers are sent, which every client understands.
 *
 * Invariants: one job is under way at most; an entry that is `asked` is in the queue or in the job, and
 * stays; the others are in the list of use, and the one used longest ago goes when the table is full.
 */
#include "nfs/v4/nfs4_idmap.h"
#include "dittofs/clock.h"
#include "dittofs/hash.h"
#include "dittofs/hashtable.h"
#include "dittofs/log.h"
#include "dittofs/nfs.h"
#include "dittofs/random.h"
#include "nfs/v4/nfs4_priv.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    ENTRIES_MAX = 8192,
    QUEUED_MAX = 1024,
    JOB_QUESTIONS = 32,
    FRESH_MS = 300000,      /* a name or id that there is */
    FRESH_NONE_MS = 30000,  /* that there is not */
    FRESH_FAILED_MS = 2000, /* that could not be asked for */
    STALE_FACTOR = 4,       /* so much longer an old answer is given while the new one is asked for */
    PATIENCE_MS = 1000,     /* of those who wait */
};

/* A question and its answer. */
struct idmap_entry {
    struct hashlink hashlink;
    struct list link; /* in map->used, map->queue or nowhere (in the job) */
    bool is_group, by_name;
    bool asked;
    bool known; /* ERR is an answer, which was given at known_ms */
    enum err err;
    uint64_t known_ms;
    uint64_t number; /* of the question, when asked */
    uint32_t id;
    char name[NFS4_NAME_MAX];
};

struct idmap_question {
    struct idmap_entry *entry;
    bool is_group, by_name;
    enum err err;
    uint32_t id;
    char name[NFS4_NAME_MAX];
};

struct idmap_job {
    struct loop_job job;
    const struct nfs4_names *names;
    size_t count;
    struct idmap_question questions[JOB_QUESTIONS];
};

struct nfs4_idmap {
    struct loop *loop;
    struct nfs4_names names;
    bool has_names;
    char *domain; /* NULL: numbers are sent */
    struct siphash_key key;
    struct hashtable entries;
    struct list used;  /* longest ago first */
    struct list queue; /* oldest question first */
    size_t queued;
    uint64_t last_number, answered; /* questions: asked so far, answered up to */
    uint64_t misses;
    struct list waiters; /* by what they wait for */
    struct loop_timer timer;
    bool is_slow; /* somebody's patience has ended, and the job is not back */
    bool job_runs;
    struct idmap_job job;
};

/* ---- entries ---- */

static uint64_t question_hash(const struct nfs4_idmap *map, bool is_group, bool by_name, uint32_t id,
                              const char *name)
{
    uint64_t kind = (uint64_t)is_group << 33 | (uint64_t)by_name << 32;

    return by_name ? siphash64(&map->key, name, strlen(name)) ^ hash_u64(kind) : hash_u64(kind | id);
}

static struct idmap_entry *entry_find(const struct nfs4_idmap *map, bool is_group, bool by_name, uint32_t id,
                                      const char *name)
{
    struct hashlink *link = hashtable_find(&map->entries, question_hash(map, is_group, by_name, id, name));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct idmap_entry *entry = container_of(link, struct idmap_entry, hashlink);

        if (entry->is_group == is_group && entry->by_name == by_name &&
            (by_name ? strcmp(entry->name, name) == 0 : entry->id == id))
            return entry;
    }
    return NULL;
}

static void entry_free(struct nfs4_idmap *map, struct idmap_entry *entry)
{
    hashtable_remove(&map->entries, &entry->hashlink);
    list_remove(&entry->link);
    free(entry);
}

static struct idmap_entry *entry_new(struct nfs4_idmap *map, bool is_group, bool by_name, uint32_t id,
                                     const char *name)
{
    struct idmap_entry *entry;

    if (map->entries.count >= ENTRIES_MAX && !list_is_empty(&map->used))
        entry_free(map, list_first(&map->used, struct idmap_entry, link));
    if (map->entries.count >= ENTRIES_MAX)
        return NULL;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    if (!hashtable_insert(&map->entries, &entry->hashlink, question_hash(map, is_group, by_name, id, name))) {
        free(entry);
        return NULL;
    }
    list_init(&entry->link);
    entry->is_group = is_group;
    entry->by_name = by_name;
    entry->id = id;
    if (by_name)
        snprintf(entry->name, sizeof entry->name, "%s", name);
    list_push_back(&map->used, &entry->link);
    return entry;
}

static uint64_t fresh_ms(const struct idmap_entry *entry)
{
    return entry->err == ERR_OK ? FRESH_MS : entry->err == ERR_NOENT ? FRESH_NONE_MS : FRESH_FAILED_MS;
}

/* ---- asking ---- */

static void ask_next(struct nfs4_idmap *map);

static void job_work(struct loop_job *base)
{
    struct idmap_job *job = container_of(base, struct idmap_job, job);

    for (size_t i = 0; i < job->count; i++) {
        struct idmap_question *question = &job->questions[i];

        if (question->by_name)
            question->err =
                job->names->id_of(job->names->data, question->is_group, question->name, &question->id);
        else
            question->err =
                job->names->name_of(job->names->data, question->is_group, question->id, question->name);
    }
}

static void take_answer(struct nfs4_idmap *map, const struct idmap_question *question)
{
    struct idmap_entry *entry = question->entry;

    entry->asked = false;
    entry->known = true;
    entry->err = question->err;
    entry->known_ms = clock_monotonic_ms();
    if (question->err == ERR_OK && question->by_name)
        entry->id = question->id;
    else if (question->err == ERR_OK)
        memcpy(entry->name, question->name, sizeof entry->name);
    map->answered = entry->number;
    list_push_back(&map->used, &entry->link);
}

/* Calls those back whose questions are answered; ALL: everybody. */
static void wake(struct nfs4_idmap *map, bool all)
{
    while (!list_is_empty(&map->waiters)) {
        struct nfs4_idmap_waiter *waiter = list_first(&map->waiters, struct nfs4_idmap_waiter, link);

        if (!all && waiter->upto > map->answered)
            return;
        list_remove(&waiter->link);
        waiter->done(waiter);
    }
    loop_timer_stop(&map->timer);
}

static void job_done(struct loop_job *base)
{
    struct idmap_job *job = container_of(base, struct idmap_job, job);
    struct nfs4_idmap *map = container_of(job, struct nfs4_idmap, job);

    map->job_runs = false;
    map->is_slow = false;
    for (size_t i = 0; i < job->count; i++)
        take_answer(map, &job->questions[i]);
    ask_next(map);
    wake(map, false);
}

static void patience_ends(struct loop_timer *timer)
{
    struct nfs4_idmap *map = container_of(timer, struct nfs4_idmap, timer);

    map->is_slow = map->job_runs;
    wake(map, true);
}

static void ask_next(struct nfs4_idmap *map)
{
    struct idmap_job *job = &map->job;

    if (map->job_runs || list_is_empty(&map->queue))
        return;
    for (job->count = 0; job->count < JOB_QUESTIONS && !list_is_empty(&map->queue); job->count++) {
        struct idmap_entry *entry = list_first(&map->queue, struct idmap_entry, link);
        struct idmap_question *question = &job->questions[job->count];

        list_remove(&entry->link);
        map->queued--;
        *question = (struct idmap_question){
            .entry = entry, .is_group = entry->is_group, .by_name = entry->by_name, .id = entry->id};
        memcpy(question->name, entry->name, sizeof question->name);
    }
    job->job = (struct loop_job){.work = job_work, .done = job_done};
    job->names = &map->names;
    if (loop_submit(map->loop, &job->job) == ERR_OK) {
        map->job_runs = true;
        return;
    }
    for (size_t i = 0; i < job->count; i++) {
        job->questions[i].err = ERR_NOMEM;
        take_answer(map, &job->questions[i]);
    }
}

static void ask(struct nfs4_idmap *map, struct idmap_entry *entry)
{
    if (entry->asked || map->queued >= QUEUED_MAX)
        return;
    entry->asked = true;
    entry->number = ++map->last_number;
    list_remove(&entry->link);
    list_push_back(&map->queue, &entry->link);
    map->queued++;
    ask_next(map);
}

/* The answer to a question, asked for if it is missing or old. NULL: there is none yet. */
static const struct idmap_entry *answer(struct nfs4_idmap *map, bool is_group, bool by_name, uint32_t id,
                                        const char *name)
{
    struct idmap_entry *entry = entry_find(map, is_group, by_name, id, name);
    uint64_t age_ms;

    if (entry == NULL)
        entry = entry_new(map, is_group, by_name, id, name);
    if (entry == NULL)
        return NULL;
    age_ms = clock_monotonic_ms() - entry->known_ms;
    if (!entry->known || age_ms >= fresh_ms(entry))
        ask(map, entry);
    if (!entry->asked) {
        list_remove(&entry->link);
        list_push_back(&map->used, &entry->link);
    }
    if (entry->known && age_ms < STALE_FACTOR * fresh_ms(entry))
        return entry;
    map->misses += entry->asked;
    return NULL;
}

uint64_t nfs4__idmap_misses(const struct nfs4_idmap *map)
{
    return map->misses;
}

bool nfs4__idmap_wait(struct nfs4_idmap *map, struct nfs4_idmap_waiter *waiter)
{
    if (map->is_slow || map->answered >= map->last_number)
        return false;
    waiter->upto = map->last_number;
    if (list_is_empty(&map->waiters))
        loop_timer_start(map->loop, &map->timer, PATIENCE_MS, 0);
    list_push_back(&map->waiters, &waiter->link);
    return true;
}

/* ---- text ---- */

size_t nfs4__idmap_number(uint32_t id, char text_r[NFS4_OWNER_TEXT_MAX])
{
    size_t length = 1;

    for (uint32_t rest = id; rest >= 10; rest /= 10)
        length++;
    for (size_t at = length; at > 0; id /= 10)
        text_r[--at] = (char)('0' + id % 10);
    return length;
}

size_t nfs4__idmap_text(struct nfs4_idmap *map, bool is_group, uint32_t id, char text_r[NFS4_OWNER_TEXT_MAX])
{
    const struct idmap_entry *entry = NULL;
    size_t name_length, domain_length;

    if (map->has_names && map->domain != NULL)
        entry = answer(map, is_group, false, id, NULL);
    if (entry == NULL || entry->err != ERR_OK)
        return nfs4__idmap_number(id, text_r);
    name_length = strlen(entry->name);
    domain_length = strlen(map->domain);
    if (name_length == 0 || name_length + 1 + domain_length > NFS4_OWNER_TEXT_MAX ||
        !nfs4__is_utf8(entry->name, name_length))
        return nfs4__idmap_number(id, text_r);
    memcpy(text_r, entry->name, name_length);
    text_r[name_length] = '@';
    memcpy(text_r + name_length + 1, map->domain, domain_length);
    return name_length + 1 + domain_length;
}

/* RFC 7530 5.9: digits alone are the number itself, whoever it belongs to. */
static bool parse_number(const uint8_t *text, uint32_t length, uint32_t *id_r)
{
    uint64_t value = 0;

    if (length > 10)
        return false;
    for (uint32_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    /* The highest number means "no change" to POSIX. */
    if (value >= UINT32_MAX)
        return false;
    *id_r = (uint32_t)value;
    return true;
}

/* The name in front of the last '@', when what is behind it is our domain. */
static bool split(const struct nfs4_idmap *map, const uint8_t *text, uint32_t length,
                  char name_r[NFS4_NAME_MAX])
{
    const uint8_t *at = memrchr(text, '@', length);
    size_t name_length = at == NULL ? 0 : (size_t)(at - text), domain_length;

    if (at == NULL || name_length == 0 || name_length >= NFS4_NAME_MAX || memchr(text, 0, length) != NULL)
        return false;
    domain_length = length - name_length - 1;
    /* Domains are compared without case. */
    if (domain_length == 0 ||
        (map->domain != NULL && (strlen(map->domain) != domain_length ||
                                 strncasecmp(map->domain, (const char *)at + 1, domain_length) != 0)))
        return false;
    memcpy(name_r, text, name_length);
    name_r[name_length] = '\0';
    return nfs4__is_utf8(name_r, name_length);
}

uint32_t nfs4__idmap_parse(struct nfs4_idmap *map, bool is_group, const uint8_t *text, uint32_t length,
                           uint32_t *id_r)
{
    const struct idmap_entry *entry;
    char name[NFS4_NAME_MAX];

    if (length == 0)
        return NFS4ERR_INVAL;
    if (parse_number(text, length, id_r))
        return NFS4_OK;
    if (map == NULL || !map->has_names || !split(map, text, length, name))
        return NFS4ERR_BADOWNER;
    entry = answer(map, is_group, true, 0, name);
    if (entry == NULL || (entry->err != ERR_OK && entry->err != ERR_NOENT))
        return NFS4ERR_DELAY;
    if (entry->err != ERR_OK || entry->id == UINT32_MAX)
        return NFS4ERR_BADOWNER;
    *id_r = entry->id;
    return NFS4_OK;
}

/* ---- open and close ---- */

enum err nfs4__idmap_open(struct loop *loop, const char *domain, const struct nfs4_names *names,
                          struct nfs4_idmap **map_r)
{
    struct nfs4_idmap *map = calloc(1, sizeof *map);

    if (map == NULL)
        return ERR_NOMEM;
    map->loop = loop;
    map->domain = domain == NULL ? NULL : strdup(domain);
    if (domain != NULL && map->domain == NULL) {
        free(map);
        return ERR_NOMEM;
    }
    if (names != NULL) {
        map->names = *names;
        map->has_names = true;
    }
    random_bytes(&map->key, sizeof map->key);
    list_init(&map->used);
    list_init(&map->queue);
    list_init(&map->waiters);
    map->timer.callback = patience_ends;
    *map_r = map;
    return ERR_OK;
}

static void free_all(struct nfs4_idmap *map, struct list *entries)
{
    while (!list_is_empty(entries))
        entry_free(map, list_first(entries, struct idmap_entry, link));
}

void nfs4__idmap_close(struct nfs4_idmap **map)
{
    struct nfs4_idmap *given = *map;

    *map = NULL;
    if (given == NULL)
        return;
    invariant(list_is_empty(&given->waiters));
    free_all(given, &given->queue);
    given->queued = 0;
    while (given->job_runs)
        loop_run_once(given->loop, true);
    loop_timer_stop(&given->timer);
    free_all(given, &given->used);
    hashtable_free(&given->entries);
    free(given->domain);
    free(given);
}
