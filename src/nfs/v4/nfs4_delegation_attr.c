/*
 * nfs4_delegation_attr.c - size, change and times of a file that a client may be writing in its cache: the
 * client is asked (RFC 7530 10.4.3, RFC 8881 10.4.3, 20.1).
 *
 * The happy path: GETATTR finds a write delegation of another client; CB_GETATTR goes to that one, and
 * whoever asks meanwhile waits for the same answer. A change value other than the one it was given with says
 * that the holder has something that we have not: the file's change and times move on at each such answer,
 * and its size is the holder's. Holders that don't answer lose the delegation: it is recalled.
 *
 * A question may outlive its delegation. Then the holder has written back what it had, and those who asked
 * get what the file says.
 */
#include "nfs/v4/nfs4_delegation.h"
#include "nfs/v4/nfs4_server.h"
#include <stdlib.h>

enum { PATIENCE_MOST_MS = 3000, ATTRIBUTES_MAX = 4096 };

struct nfs4_question {
    struct nfs4_delegation *delegation; /* NULL: it has ended */
    struct inode *inode;                /* a reference */
    struct nfs4_server *server;
    struct list askers;
};

/* ---- the answer ---- */

bool nfs4__delegation_decode_attributes(struct reader *reader, uint64_t *change_r, uint64_t *size_r)
{
    struct nfs4_bitmap mask;
    struct reader values;
    const uint8_t *bytes;
    uint32_t length;

    if (!nfs4__decode_bitmap(reader, &mask) || !reader_xdr_opaque(reader, ATTRIBUTES_MAX, &bytes, &length))
        return false;
    values = reader_of(bytes, length);
    /* Attributes stand in order of number: none may be before these two. */
    return (mask.words[0] & ((1u << FATTR4_CHANGE) - 1)) == 0 && nfs4_bitmap_has(&mask, FATTR4_CHANGE) &&
           nfs4_bitmap_has(&mask, FATTR4_SIZE) && reader_be64(&values, change_r) &&
           reader_be64(&values, size_r);
}

/* The holder does not say: then it has to give the delegation back. */
static void recall(const struct nfs4_delegation *delegation)
{
    enum err err = grant_break(grant_file(delegation->grant), GRANT_OP_READ, NULL, NULL, 0, NULL);

    invariant(err != ERR_WAIT);
}

static void asked(void *data, enum err err, uint32_t status, struct reader *results)
{
    struct nfs4_question *question = data;
    struct nfs4_delegation *delegation = question->delegation;
    uint64_t change = 0, size = 0;
    uint32_t answer = NFS4_OK;
    bool has_size = false;
    struct inode_attr attr;

    if (delegation != NULL) {
        delegation->question = NULL;
        if (err != ERR_OK || status != NFS4_OK ||
            !nfs4__delegation_decode_attributes(results, &change, &size)) {
            recall(delegation);
            answer = NFS4ERR_DELAY;
        } else {
            vfs_getattr(question->inode, &attr);
            has_size = change != delegation->change || size != attr.size;
            if (has_size)
                vfs_note_change(question->server->vfs, question->inode);
        }
    }
    while (!list_is_empty(&question->askers)) {
        struct nfs4_asker *asker = list_first(&question->askers, struct nfs4_asker, link);

        list_remove(&asker->link);
        asker->done(asker, answer, has_size, size);
    }
    vfs_unref(&question->inode);
    free(question);
}

void nfs4__question_leave(struct nfs4_delegation *delegation)
{
    if (delegation->question != NULL)
        delegation->question->delegation = NULL;
    delegation->question = NULL;
}

/* ---- the question ---- */

static enum err send_question(struct nfs4_question *question)
{
    struct nfs4_server *server = question->server;
    uint64_t patience_ms = nfs4__callback_patience_ms(server);
    struct nfs4_callback_spec spec = {.opnum = OP_CB_GETATTR,
                                      .timeout_ms =
                                          patience_ms < PATIENCE_MOST_MS ? patience_ms : PATIENCE_MOST_MS,
                                      .done = asked,
                                      .data = question};
    struct nfs4_bitmap wanted = {{1u << FATTR4_CHANGE | 1u << FATTR4_SIZE, 0, 0}, false};
    struct nfs4_delegation *delegation = question->delegation;
    struct nfs4_callback *callback;
    uint8_t bytes[64];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    writer_xdr_opaque(&writer, delegation->handle, sizeof delegation->handle);
    nfs4__encode_bitmap(&writer, &wanted);
    invariant(!writer.failed);
    spec.arguments = bytes;
    spec.length = writer.length;
    return nfs4__callback_send(server, grant_client(delegation->grant), &spec, &callback);
}

static enum err begin_question(struct nfs4_compound *compound, struct nfs4_delegation *delegation)
{
    struct nfs4_question *question = calloc(1, sizeof *question);
    enum err err;

    if (question == NULL)
        return ERR_NOMEM;
    question->delegation = delegation;
    question->server = compound->server;
    list_init(&question->askers);
    err = send_question(question);
    if (err != ERR_OK) {
        free(question);
        return err;
    }
    question->inode = vfs_ref(compound->current.inode);
    delegation->question = question;
    return ERR_OK;
}

/* The write delegation of FILE that another client than SELF has, or NULL. */
static struct nfs4_delegation *find_writer(const struct state_file *file, const struct client *self)
{
    struct grant *grant = NULL;

    while ((grant = grant_next_of_file(file, grant)) != NULL) {
        const struct client *holder = grant_client(grant);

        if ((grant_kinds(grant) & GRANT_WRITE) && holder != self &&
            (client_family(holder) == NFS4_FAMILY_0 || client_family(holder) == NFS4_FAMILY_1))
            return grant_user(grant);
    }
    return NULL;
}

/* Attributes that writing changes. */
static bool depends(const struct nfs4_bitmap *wanted)
{
    return nfs4_bitmap_has(wanted, FATTR4_CHANGE) || nfs4_bitmap_has(wanted, FATTR4_SIZE) ||
           nfs4_bitmap_has(wanted, FATTR4_SPACE_USED) || nfs4_bitmap_has(wanted, FATTR4_TIME_MODIFY) ||
           nfs4_bitmap_has(wanted, FATTR4_TIME_METADATA);
}

static struct nfs4_delegation *find_holder(const struct nfs4_compound *compound,
                                           const struct nfs4_bitmap *wanted)
{
    struct state_file *file;

    if (compound->current.place != NFS4_IN_EXPORT || !depends(wanted))
        return NULL;
    file = nfs4__state_file_find(compound, &compound->current);
    return file == NULL ? NULL : find_writer(file, nfs4__compound_client(compound));
}

enum err nfs4__settle_attributes(struct nfs_server *server, struct inode *inode)
{
    const struct inode_attr *attr = vfs_attr(inode);
    struct state_file *file;

    if (server->nfs4 == NULL)
        return ERR_OK;
    file = state_file_find(server->nfs4->state, attr->tree, attr->ino);
    if (file == NULL || find_writer(file, NULL) == NULL)
        return ERR_OK;
    return grant_break(file, GRANT_OP_READ, NULL, NULL, 0, NULL);
}

uint32_t nfs4__delegation_settle(struct nfs4_compound *compound, const struct nfs4_bitmap *wanted)
{
    enum err err;

    if (find_holder(compound, wanted) == NULL)
        return NFS4_OK;
    err = grant_break(nfs4__state_file_find(compound, &compound->current), GRANT_OP_READ,
                      nfs4__compound_client(compound), NULL, 0, NULL);
    return err == ERR_OK ? NFS4_OK : nfs4__status(compound, err);
}

uint32_t nfs4__delegation_ask(struct nfs4_compound *compound, const struct nfs4_bitmap *wanted,
                              struct nfs4_asker *asker)
{
    struct nfs4_delegation *delegation = find_holder(compound, wanted);

    if (delegation == NULL || delegation->server == NULL)
        return NFS4_OK;
    if (delegation->question == NULL && begin_question(compound, delegation) != ERR_OK)
        return nfs4__delegation_settle(compound, wanted);
    list_push_back(&delegation->question->askers, &asker->link);
    return NFS4_WAIT;
}
