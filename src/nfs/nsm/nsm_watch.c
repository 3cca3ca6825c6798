/*
 * nsm_watch.c - hosts that programs of this machine want to be told about (MON), as the lock manager of a
 * kernel does that is an NFS client itself.
 *
 * The host is named by its address; other names would have to be looked up, which blocks. The program is
 * called on this machine only, whatever my_name says: else MON would be a way to make us call anybody
 * (a well-known hole of statd). A watch is recorded, and its host told of our restart like those of NLM.
 */
#include "nfs/nsm/nsm_priv.h"

#include "nfs/nlm/nlm_priv.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define TABLE "nsm"
enum {
    WATCHES_MAX = 1024,
    CALLS_MAX = 1024,
    CALL_MS = 30000,
    ARGUMENTS_MAX = NSM_STRING_MAX + 64,
    KEY_MAX = 1 + 2 * 4 + 2 * NSM_NAME_MAX + 3 * 4
};

struct told {
    struct list link;
    struct onc_client_call call;
};

static const char *name_of(const struct nsm_watch *watch)
{
    return watch->names;
}

static const char *owner_of(const struct nsm_watch *watch)
{
    return watch->names + watch->name_length;
}

static bool is_of(const struct nsm_watch *watch, const struct nsm_bytes *name, const struct nsm_id *id)
{
    return watch->owner_length == id->name.length &&
           memcmp(owner_of(watch), id->name.data, id->name.length) == 0 && watch->program == id->program &&
           watch->version == id->version &&
           (name == NULL || (watch->procedure == id->procedure && watch->name_length == name->length &&
                             memcmp(name_of(watch), name->data, name->length) == 0));
}

static bool parse_name(struct nsm_bytes name, struct net_address *address_r)
{
    char text[NSM_NAME_MAX + 1];

    if (name.length == 0 || name.length > NSM_NAME_MAX)
        return false;
    memcpy(text, name.data, name.length);
    text[name.length] = '\0';
    return net_address_parse(text, 0, address_r) == ERR_OK;
}

static struct nsm_watch *add(struct nsm *nsm, struct nsm_bytes name, const struct nsm_id *id,
                             const uint8_t private_data[NSM_PRIVATE_SIZE])
{
    struct nsm_watch *watch;
    struct net_address address;

    if (nsm->watch_count >= WATCHES_MAX || id->name.length > NSM_NAME_MAX || !parse_name(name, &address))
        return NULL;
    watch = calloc(1, sizeof *watch + name.length + id->name.length);
    if (watch == NULL)
        return NULL;
    watch->address = address;
    watch->program = id->program;
    watch->version = id->version;
    watch->procedure = id->procedure;
    memcpy(watch->private_data, private_data, NSM_PRIVATE_SIZE);
    watch->name_length = name.length;
    watch->owner_length = id->name.length;
    memcpy(watch->names, name.data, name.length);
    if (id->name.length > 0)
        memcpy(watch->names + name.length, id->name.data, id->name.length);
    list_push_back(&nsm->watches, &watch->link);
    nsm->watch_count++;
    return watch;
}

static void drop(struct nsm *nsm, struct nsm_watch *watch)
{
    list_remove(&watch->link);
    nsm->watch_count--;
    free(watch);
}

/* ---- records: the key has all but the private data ---- */

static size_t write_key(uint8_t key[KEY_MAX], const struct nsm_watch *watch)
{
    struct writer writer;

    writer_init(&writer, key, KEY_MAX);
    writer_u8(&writer, 'w');
    writer_be32(&writer, watch->name_length);
    writer_bytes(&writer, name_of(watch), watch->name_length);
    writer_be32(&writer, watch->owner_length);
    writer_bytes(&writer, owner_of(watch), watch->owner_length);
    writer_be32(&writer, watch->program);
    writer_be32(&writer, watch->version);
    writer_be32(&writer, watch->procedure);
    return writer.length;
}

bool nsm__load_watch(struct nsm *nsm, struct reader *key, struct reader *value)
{
    struct nsm_bytes name;
    struct nsm_id id;
    uint8_t private_data[NSM_PRIVATE_SIZE];

    return reader_be32(key, &name.length) && reader_bytes(key, name.length, &name.data) &&
           reader_be32(key, &id.name.length) && reader_bytes(key, id.name.length, &id.name.data) &&
           reader_be32(key, &id.program) && reader_be32(key, &id.version) &&
           reader_be32(key, &id.procedure) && reader_is_done(key) &&
           reader_copy(value, private_data, sizeof private_data) && reader_is_done(value) &&
           add(nsm, name, &id, private_data) != NULL;
}

static struct nsm_subject subject_of(const struct nsm_watch *watch)
{
    return (struct nsm_subject){
        .address = watch->address, .name = name_of(watch), .length = watch->name_length};
}

enum err nsm__watch(struct nsm *nsm, const struct nsm_args *args)
{
    struct net_address any = {.sa.any.sa_family = AF_INET};
    struct nsm_watch *watch;
    struct nsm_subject subject;
    uint8_t key[KEY_MAX];
    enum err err;

    nsm__unwatch(nsm, &args->name, &args->id);
    watch = add(nsm, args->name, &args->id, args->private_data);
    if (watch == NULL)
        return ERR_INVAL;
    subject = subject_of(watch);
    err = nsm__monitor(nsm, &subject, &any, 0);
    if (err == ERR_OK && nsm->records.put != NULL) {
        nsm->writes++;
        err = nsm->records.put(nsm->records.data, TABLE, key, write_key(key, watch), watch->private_data,
                               NSM_PRIVATE_SIZE);
    }
    if (err != ERR_OK)
        drop(nsm, watch);
    return err;
}

static bool is_watched(const struct nsm *nsm, const struct nsm_subject *subject)
{
    const struct list *link;

    for (link = nsm->watches.next; link != &nsm->watches; link = link->next) {
        const struct nsm_watch *watch = container_of(link, const struct nsm_watch, link);

        if (watch->name_length == subject->length &&
            memcmp(name_of(watch), subject->name, subject->length) == 0)
            return true;
    }
    return false;
}

void nsm__unwatch(struct nsm *nsm, const struct nsm_bytes *name, const struct nsm_id *id)
{
    struct list *link, *following;

    list_for_each_safe(link, following, &nsm->watches)
    {
        struct nsm_watch *watch = container_of(link, struct nsm_watch, link);
        char host[NSM_NAME_MAX];
        struct nsm_subject subject = subject_of(watch);
        uint8_t key[KEY_MAX];

        if (!is_of(watch, name, id))
            continue;
        memcpy(host, subject.name, subject.length);
        subject.name = host;
        if (nsm->records.put != NULL) {
            nsm->writes++;
            if (nsm->records.remove(nsm->records.data, TABLE, key, write_key(key, watch)) != ERR_OK)
                log_error("nsm: the record of a watch can't be removed");
        }
        drop(nsm, watch);
        if (!is_watched(nsm, &subject))
            nsm__unmonitor(nsm, &subject);
    }
}

enum err nsm__watches_renew(struct nsm *nsm)
{
    struct net_address any = {.sa.any.sa_family = AF_INET};
    struct list *link;
    enum err err = ERR_OK;

    for (link = nsm->watches.next; err == ERR_OK && link != &nsm->watches; link = link->next) {
        struct nsm_subject subject = subject_of(container_of(link, struct nsm_watch, link));

        err = nsm__monitor(nsm, &subject, &any, 0);
    }
    return err;
}

/* ---- telling ---- */

static void on_told(struct onc_client_call *call, enum err err, struct reader *results)
{
    struct told *told = container_of(call, struct told, call);

    (void)results;
    if (err != ERR_OK)
        log_debug("nsm: a watcher did not answer: %s", err_text(err));
    list_remove(&told->link);
    free(told);
}

/* struct status: mon_name, state, priv. */
static void tell(struct nsm *nsm, const struct nsm_watch *watch, uint32_t state)
{
    struct told *told = calloc(1, sizeof *told);
    uint8_t arguments[ARGUMENTS_MAX];
    struct writer writer;

    if (told == NULL)
        return;
    writer_init(&writer, arguments, sizeof arguments);
    writer_xdr_opaque(&writer, name_of(watch), watch->name_length);
    writer_be32(&writer, state);
    writer_bytes(&writer, watch->private_data, NSM_PRIVATE_SIZE);
    told->call = (struct onc_client_call){
        .done = on_told,
        .to.sa.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
        .transport = ONC_UDP,
        .program = watch->program,
        .version = watch->version,
        .procedure = watch->procedure,
        .timeout_ms = CALL_MS,
        .credential = {.flavor = ONC_AUTH_SYS},
    };
    if (onc_client_call(nsm->outgoing, &told->call, arguments, writer.length) == ERR_OK)
        list_push_back(&nsm->told, &told->link);
    else
        free(told);
}

void nsm__tell_watchers(struct nsm *nsm, const struct net_address *address, uint32_t state)
{
    struct list *link;
    size_t under_way = 0;

    list_for_each(link, &nsm->told) under_way++;
    list_for_each(link, &nsm->watches)
    {
        const struct nsm_watch *watch = container_of(link, struct nsm_watch, link);

        if (net_address_same_host(&watch->address, address) && under_way++ < CALLS_MAX)
            tell(nsm, watch, state);
    }
}

void nsm__watches_free(struct nsm *nsm)
{
    while (!list_is_empty(&nsm->told)) {
        struct told *told = list_first(&nsm->told, struct told, link);

        onc_client_cancel(&told->call);
        list_remove(&told->link);
        free(told);
    }
    while (!list_is_empty(&nsm->watches))
        drop(nsm, list_first(&nsm->watches, struct nsm_watch, link));
}
