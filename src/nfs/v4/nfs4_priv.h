/*
 * nfs4_priv.h - a COMPOUND of NFSv4.0, 4.1 or 4.2 from its decoding to its reply (RFC 7530 15, RFC 8881 2.10,
 * 16.2).
 *
 * The engine (nfs4_compound.c) takes one operation after another: it looks up the row of nfs4_operations,
 * applies the row's flags, reserves room in the reply, decodes the arguments and runs the operation. A row's
 * `run` writes the operation's results behind its status, which the engine puts in, and returns that
 * status. An operation that has to wait returns NFS4_WAIT and later calls nfs4__resume exactly once, on the
 * loop, never inside `run`. What an operation writes before it fails is taken back, unless its row says
 * that it has a body for its error too.
 *
 * Durability: calls of vfs merge into the compound's ticket; the reply is held until that is durable.
 */
#ifndef DITTOFS_NFS4_PRIV_H
#define DITTOFS_NFS4_PRIV_H

#include "dittofs/log.h"
#include "dittofs/rpc.h"
#include "dittofs/vfs.h"
#include "nfs/nfs_server_priv.h"
#include "nfs/v4/nfs4_idmap.h"
#include "nfs/v4/nfs4_wire.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct client;
struct session;
struct nfs4_server; /* nfs4_server.h: what v4 keeps between compounds */
struct nfs4_compound;

enum {
    NFS4_IO_MAX = 1024 * 1024,            /* bytes of a READ or WRITE */
    NFS4_OPERATIONS_MAX = 256,            /* of a compound; more are NFS4ERR_RESOURCE or TOO_MANY_OPS */
    NFS4_TAG_MAX = 1024,                  /* bytes */
    NFS4_REPLY_MAX = NFS4_IO_MAX + 65536, /* bytes of a reply */
    NFS4_DIR_MAX = 128 * 1024,            /* bytes of results of READDIR */
    NFS4_ATTRIBUTES_MAX = 1024,           /* bytes of a fattr4 without lists */
    NFS4_BITMAP_WORDS = 3                 /* of attribute bitmaps that we keep; later words are ignored */
};

/* A set of attributes. */
struct nfs4_bitmap {
    uint32_t words[NFS4_BITMAP_WORDS];
    bool beyond; /* bits were set that no word above holds */
};
static inline bool nfs4_bitmap_has(const struct nfs4_bitmap *bitmap, unsigned attr)
{
    return attr / 32 < NFS4_BITMAP_WORDS && (bitmap->words[attr / 32] >> (attr % 32) & 1);
}
static inline void nfs4_bitmap_add(struct nfs4_bitmap *bitmap, unsigned attr)
{
    bitmap->words[attr / 32] |= (uint32_t)1 << (attr % 32);
}

/* stateid4 as on the wire: state/ says what OTHER means. */
struct nfs4_stateid {
    uint32_t seqid;
    uint8_t other[12];
};

/* ---- filehandles ---- */

enum nfs4_place {
    NFS4_NOWHERE,     /* no filehandle */
    NFS4_PSEUDO_ROOT, /* the directory of all exports */
    NFS4_IN_EXPORT,   /* INODE of the export with id EXPORT_ID */
    NFS4_ATTR_DIR     /* the directory of INODE's named attributes, which are its streams */
};
struct nfs4_filehandle {
    enum nfs4_place place;
    uint32_t export_id;
    struct inode *inode; /* a reference */
};

/* ---- the table ---- */

enum nfs4_operation_flags {
    NFS4_NEEDS_FH = 1,          /* NOFILEHANDLE without a current one */
    NFS4_NEEDS_SAVED_FH = 2,    /* NOFILEHANDLE (RESTOREFH: NFS4ERR_RESTOREFH by itself) */
    NFS4_CHANGES = 4,           /* must not run twice: cached for exactly-once, held for durability */
    NFS4_OUTSIDE_SESSION = 8,   /* 4.1+: may be the first operation without SEQUENCE */
    NFS4_ONLY_OPERATION = 16,   /* 4.1+: without SEQUENCE it must stand alone: NOT_ONLY_OP */
    NFS4_BODY_ON_ERROR = 32,    /* its results have a body for its errors, too: what it wrote stays */
    NFS4_PSEUDO = 64,           /* knows what to do at the pseudo root; without it the engine answers there
                                   NFS4ERR_ISDIR (NFS4_FILE), NFS4ERR_ROFS (changes) or NFS4ERR_NOTSUPP */
    NFS4_FILE = 256,            /* is for regular files */
    NFS4_SHOWS_OWNERS = 512,    /* may be run again when the names of owners are there */
    NFS4_NAMED = 1024,          /* knows what to do at a directory of named attributes; without it the engine
                                   answers there NFS4ERR_ISDIR (NFS4_FILE) or NFS4ERR_WRONG_TYPE */
    NFS4_BITMAP_ON_ERROR = 128, /* the body for its errors is an empty bitmap (SETATTR) */
};

struct nfs4_operation {
    const char *name;
    /* Decodes the arguments, reading COMPOUND->arguments; keeps them in memory of compound->call->arena or in
     * compound->operation_state (nfs4_new_args); false: BADXDR. NULL: there are none. */
    bool (*decode)(struct nfs4_compound *compound);
    uint32_t (*run)(struct nfs4_compound *compound);
    unsigned flags;
    uint8_t first_minor, last_minor;
    uint32_t reply_max; /* most bytes of results behind the status; READ and READDIR bound themselves by what
                           is left */
};
/* By number; a row without a name is NFS4ERR_NOTSUPP when the minor version has such an operation, else
 * OP_ILLEGAL. */
extern const struct nfs4_operation nfs4_operations[OP_COUNT];

/* ---- the compound ---- */

/* The SEQUENCE that a 4.1 compound runs under (nfs4_sequence.c). Both are held. */
struct nfs4_session_state {
    struct session *session;
    struct client *client;
    uint32_t slot, seqid;
};

struct nfs4_compound {
    struct nfs4_server *server;
    struct onc_call *call;
    struct reader arguments; /* behind what is decoded */
    struct list link;        /* of the server's list of compounds under way */

    /* From here to `minor` a new compound is all zero. */
    uint32_t operation_index; /* of the one at hand */
    uint32_t opnum;           /* of the one at hand */
    const struct nfs4_operation *operation;
    uint32_t results;         /* operations answered so far */
    uint32_t durable_opnum;   /* of the first change that waits to be durable; 0: there is none */
    uint32_t durable_results; /* results before it */
    uint32_t sync_export_id;  /* export whose changes wait; 0: none */
    size_t durable_from;      /* reply length before that change */
    struct nfs4_filehandle current, saved;
    struct store_ticket ticket; /* of all operations */
    bool has_current_stateid, has_saved_stateid;
    bool in_run;      /* inside run: resume may not come */
    bool cache_reply; /* 4.1+: the client asked for it (sa_cachethis): nothing is attached */
    bool has_changed; /* an operation with NFS4_CHANGES was run */
    bool has_session; /* 4.1+: SEQUENCE was the first operation */
    struct nfs4_session_state *session; /* when has_session: points to session_memory */
    uint64_t clientid; /* of the session; in 4.0 of the last stateid or id in it; 0: not known yet */

    /* From here on nothing is cleared: it is filled in before it is read. */
    uint32_t minor;
    uint32_t operation_count;
    uint32_t status; /* of the last */
    const uint8_t *tag;
    uint32_t tag_length;
    size_t status_at, count_at; /* in the reply: the compound's status, its number of results */
    size_t reply_limit;         /* bytes: of the transport or the session */
    size_t result_at;           /* in the reply's writer: the operation's status */
    size_t result_begin;        /* reply length before the operation's result */
    struct vfs_context context; /* of the operation at hand: see nfs4__context; its export is NULL before */
    struct nfs4_stateid current_stateid, saved_stateid; /* when there is one */
    struct nfs4_session_state session_memory;
    struct store_waiter waiter;
    struct nfs4_idmap_waiter names;             /* for names of owners */
    _Alignas(16) uint8_t operation_state[1024]; /* the operation's own: see nfs4_args */
    struct nfs4_compound *next_free;
};

/* The operation's own state as a struct of TYPE; new, and all zero, for its decode. */
#define nfs4_args(compound, type)                                                                            \
    ((void)sizeof(char[sizeof(type) <= sizeof((compound)->operation_state) ? 1 : -1]),                       \
     (type *)(void *)(compound)->operation_state)
#define nfs4_new_args(compound, type) ((type *)memset(nfs4_args(compound, type), 0, sizeof(type)))
/* The other way round, for callbacks: the compound whose operation's own state ARGS is. */
static inline struct nfs4_compound *nfs4_compound_of(void *args)
{
    return (struct nfs4_compound *)(void *)((uint8_t *)args -
                                            offsetof(struct nfs4_compound, operation_state));
}

/* The procedure COMPOUND of the NFS program's version 4. */
void nfs4__compound(struct onc_call *call);
/* The operation at hand waited and ends with STATUS now. */
void nfs4__resume(struct nfs4_compound *compound, uint32_t status);

/* Fills in compound->context for FH (which must be in an export): host, protocol, security flavour and squash
 * are checked anew. NFS4ERR_WRONGSEC, NFS4ERR_ACCESS, NFS4ERR_STALE. */
uint32_t nfs4__context_for(struct nfs4_compound *compound, const struct nfs4_filehandle *fh);
/* The same for the current filehandle. */
uint32_t nfs4__context(struct nfs4_compound *compound);
/* What CLIENT holds (delegations) is no obstacle to what compound->context is used for; done by nfs4__context
 * where there is a session. */
void nfs4__set_grant_client(struct nfs4_compound *compound, struct client *client);
/* Takes what compound->context's ticket says into the compound's. Called by the engine after each run; an
 * operation that prepares a second context calls it before. */
void nfs4__merge_ticket(struct nfs4_compound *compound);

/* Makes FH the current filehandle; takes FH's reference over and clears the current stateid. */
void nfs4__set_current(struct nfs4_compound *compound, struct nfs4_filehandle *fh);
/* nfs4_fh4 of FH, which must be somewhere. */
void nfs4__filehandle_encode(struct nfs4_server *server, const struct nfs4_filehandle *fh,
                             uint8_t handle[VFS_HANDLE_SIZE]);
void nfs4__filehandle_release(struct nfs4_filehandle *fh);

/* Sends LENGTH bytes of results kept from an earlier run of the same request (exactly-once semantics) instead
 * of running anything; `run` then returns NFS4_ANSWERED. */
void nfs4__answer_with(struct nfs4_compound *compound, const void *results, size_t length);

/* nfs4_sequence.c: keeps the reply, which is complete, in the slot; frees the slot. */
void nfs4__session_finish(struct nfs4_compound *compound);

/* Bytes that the reply may still take. */
size_t nfs4__room(const struct nfs4_compound *compound);

/* Makes sure that LENGTH bytes of what is left can be written: for results over their row's reply_max. */
bool nfs4__reserve(struct nfs4_compound *compound, size_t length) MUST_CHECK;
/* The same for all RESULTS bytes of the operation at hand, before any is written: NFS4_OK, or what says that
 * the reply, or memory, is too small. */
uint32_t nfs4__check_room(struct nfs4_compound *compound, size_t results);

/* The status of a core error, in this compound's minor version (NFS4ERR_SYMLINK and WRONG_TYPE, for example,
 * differ). */
uint32_t nfs4__status(const struct nfs4_compound *compound, enum err err);

/* ---- decoding and encoding that operations share ---- */

bool nfs4__decode_bitmap(struct reader *reader, struct nfs4_bitmap *bitmap_r) MUST_CHECK;
bool nfs4__decode_stateid(struct reader *reader, struct nfs4_stateid *stateid_r) MUST_CHECK;
void nfs4__encode_bitmap(struct writer *writer, const struct nfs4_bitmap *bitmap);
void nfs4__encode_stateid(struct writer *writer, const struct nfs4_stateid *stateid);
/* INODE's inode_attr.change. */
uint64_t nfs4__change_of(struct inode *inode);
/* change_info4: BEFORE and AFTER are values of nfs4__change_of. */
void nfs4__encode_change_info(struct writer *writer, bool atomic, uint64_t before, uint64_t after);
/* component4: NAME_R refers to the arguments. Only a length over the whole message is BADXDR (false). */
bool nfs4__decode_component(struct reader *reader, struct store_name *name_r) MUST_CHECK;
bool nfs4__is_utf8(const void *text, size_t length);
/* NFS4ERR_INVAL (empty, bad UTF-8), NAMETOOLONG, BADNAME (".", "..", '/'), BADCHAR (NUL). */
uint32_t nfs4__check_component(struct store_name name);

#endif
