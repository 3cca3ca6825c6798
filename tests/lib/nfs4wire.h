/*
 * nfs4wire.h - NFSv4 compounds as bytes, our own from RFC 7531, 5662, 7863 and 8276: a client that puts
 * operations one after another, right or wrong, sends them, and shows everything of each result.
 *
 *     wire4_begin(wire);                 (minor 1 and 2: with SEQUENCE, when there is a session)
 *     wire4_putfh(wire, &dir);
 *     wire4_lookup(wire, "name");
 *     wire4_getfh(wire);
 *     status = wire4_send(wire);         (fails the test when the reply is not well-formed to the last byte)
 *     handle = wire4_last(wire)->handle;
 *
 * Operations on files stand in nfs4wire.c, on opens and locks in nfs4wire_state.c, on clients and sessions in
 * nfs4wire_session.c, all results in nfs4wire_reply.c. nfs4client.h makes a client of it that loses its
 * connection, sends again, and is called back.
 *
 * Results refer to the reply: good until the next wire4_send. Everything fails the test by itself (cmocka).
 */
#ifndef DITTOFS_TESTS_NFS4WIRE_H
#define DITTOFS_TESTS_NFS4WIRE_H

#include "dittofs/clock.h"
#include "dittofs/cursor.h"
#include "nfs/v4/nfs4_wire.h"
#include "rpcclient.h"
#include <stdbool.h>
#include <stdint.h>

enum { WIRE4_RESULTS = 32 };

struct wire4_handle {
    uint32_t length;
    uint8_t data[NFS4_FHSIZE];
};

struct wire4_stateid {
    uint32_t seqid;
    uint8_t other[12];
};
extern const struct wire4_stateid wire4_anonymous, wire4_bypass, wire4_current;

struct wire4_bitmap {
    uint32_t words[3];
};
struct wire4_bitmap wire4_bits(int count, ...); /* the attributes with these numbers */
bool wire4_has(const struct wire4_bitmap *bitmap, unsigned attr);

/* Attributes as they came; those whose bit is not in MASK are zero. */
struct wire4_attrs {
    struct wire4_bitmap mask, supported, exclusive;
    struct wire4_bitmap open_arguments[5]; /* access, deny, wishes, claims, ways to create */
    uint32_t type, fh_expire_type, lease_time, rdattr_error, aclsupport, maxlink, maxname, mode, numlinks;
    uint32_t rawdev_major, rawdev_minor, charset_cap, clone_blksize, change_attr_type;
    uint64_t change, size, fsid_major, fsid_minor, fileid, files_avail, files_free, files_total;
    uint64_t maxfilesize, maxread, maxwrite, space_avail, space_free, space_total, space_used;
    uint64_t mounted_on_fileid;
    bool link_support, symlink_support, named_attr, unique_handles, archive, cansettime, case_insensitive;
    bool case_preserving, chown_restricted, hidden, homogeneous, no_trunc, system, xattr_support;
    struct wire4_handle handle;
    char owner[128], group[128];
    struct timestamp atime, btime, time_delta, ctime, mtime;
    struct reader acl, dacl; /* their entries, as many as */
    uint32_t acl_count, dacl_count, dacl_flags;
};

/* nfsace4 */
struct wire4_ace {
    uint32_t type, flags, mask;
    const char *who;
};
/* Takes the next entry off LIST; its name into WHO. False: there is none. */
bool wire4_next_ace(struct reader *list, struct wire4_ace *ace_r, char who[256]);

/* One operation's result; what it does not have is zero. */
struct wire4_result {
    uint32_t opnum, status;
    struct wire4_handle handle;   /* GETFH */
    struct wire4_stateid stateid; /* OPEN and the like, LOCK, LOCKU */
    bool atomic;                  /* change_info4 */
    uint64_t before, after;       /* of the directory, or of the source's in a RENAME */
    uint64_t to_before, to_after; /* RENAME */
    struct wire4_attrs attrs;     /* GETATTR */
    struct wire4_bitmap set;      /* SETATTR, CREATE, OPEN: attributes set */
    uint32_t supported, access;   /* ACCESS */
    const uint8_t *data;          /* READ, READLINK, GETXATTR, READ_PLUS's data */
    uint32_t length;              /* of it; WRITE: count */
    bool eof;                     /* READ, READDIR, READ_PLUS, SEEK, LISTXATTRS */
    uint32_t committed;           /* WRITE, COPY */
    uint64_t verifier;            /* WRITE, COMMIT, READDIR, COPY, SETCLIENTID's to confirm */
    uint64_t offset;              /* SEEK; READ_PLUS: of the segment */
    uint64_t count;               /* COPY; LISTXATTRS, READDIR: entries; READ_PLUS: segments */
    bool hole;                    /* READ_PLUS: the segment is a hole, */
    uint64_t hole_length;         /* so long */
    struct reader entries;        /* READDIR, LISTXATTRS */
    uint32_t bytes;               /* of the whole result behind the status */
    uint64_t cookie;              /* LISTXATTRS */
    uint32_t flags;               /* OPEN */
    uint32_t flavor_count;        /* SECINFO: flavours, and services of GSS */
    uint32_t flavors[16], services[16];
    uint32_t delegation, why;           /* OPEN, WANT_DELEGATION: open_delegation_type4, why_no_delegation4 */
    struct wire4_stateid delegation_id; /* and GET_DIR_DELEGATION, if DELEGATION is not 0 */
    struct wire4_bitmap notifications[3]; /* GET_DIR_DELEGATION, and attributes of children and itself */
    bool recall;
    uint64_t space_limit;
    uint64_t clientid; /* SETCLIENTID, EXCHANGE_ID; LOCK, LOCKT that are denied */
    uint32_t seqid;    /* EXCHANGE_ID, CREATE_SESSION, SEQUENCE */
    uint64_t minor_id; /* EXCHANGE_ID */
    char major_id[128], scope[128];
    uint8_t session[16];                /* CREATE_SESSION, SEQUENCE */
    uint32_t highest_slot, target_slot; /* SEQUENCE */
    uint32_t channel[6];                /* CREATE_SESSION: of the fore channel, as the protocol orders them */
    uint64_t lock_offset, lock_length;  /* denied */
    uint32_t lock_type;
    const uint8_t *lock_owner;
    uint32_t lock_owner_length;
    uint32_t status_flags; /* SEQUENCE, EXCHANGE_ID's flags */
};

struct wire4_entry {
    uint64_t cookie;
    const uint8_t *name;
    uint32_t length;
    struct wire4_attrs attrs;
};
/* Takes the next entry off a READDIR's RESULT, or the next name off a LISTXATTRS'; false: there is none. */
bool wire4_next_entry(struct wire4_result *result, struct wire4_entry *entry_r);
bool wire4_next_name(struct wire4_result *result, const uint8_t **name_r, uint32_t *length_r);

/* An open or lock owner: in 4.0 with the sequence of its requests. */
struct wire4_owner {
    char key[64];
    uint32_t seqid;
};
struct wire4_owner wire4_owner(const char *key);

enum { WIRE4_SLOTS = 64 };
struct wire4_session {
    uint8_t id[16];
    uint32_t slots;                                                    /* as granted */
    uint32_t seqid[WIRE4_SLOTS];                                       /* of the next request */
    uint32_t highest_slot, target_slot, status_flags;                  /* of the last SEQUENCE */
    uint32_t request_max, reply_max, reply_cached_max, operations_max; /* as granted */
    uint32_t flags;
};

struct wire4 {
    struct rpcclient *rpc;
    uint32_t minor;
    uint64_t clientid;
    bool has_session;
    struct wire4_session session;
    uint32_t slot; /* of it, for what is begun next */
    bool cache_this;
    /* the request */
    struct writer request;
    size_t count_at; /* in it: the number of operations */
    uint32_t put;    /* operations put */
    const char *tag;
    uint32_t xid; /* as it was sent */
    /* the reply */
    struct reader reply;                        /* all of it, from the compound's status on */
    uint32_t status, count;                     /* results in the reply */
    struct wire4_result results[WIRE4_RESULTS]; /* of the first so many */
    struct wire4_result last;
};

/* Over RPC (stays the caller's), without client id or session. */
struct wire4 *wire4_open(struct rpcclient *rpc, uint32_t minor);
void wire4_close(struct wire4 **wire);
/* The same in memory of the caller's. */
void wire4_init(struct wire4 *wire, struct rpcclient *rpc, uint32_t minor);
void wire4_free(struct wire4 *wire);
/* Makes itself known under NAME, this life of it having VERIFIER: SETCLIENTID and its confirmation, or
 * EXCHANGE_ID, CREATE_SESSION and, when COMPLETE, RECLAIM_COMPLETE. */
void wire4_introduce(struct wire4 *wire, const char *name, uint64_t verifier, bool complete);
void wire4_reclaim_complete(struct wire4 *wire);

/* ---- compounds ---- */

/* Starts a request; _bare: without SEQUENCE, whatever there is. */
void wire4_begin(struct wire4 *wire);
void wire4_begin_bare(struct wire4 *wire);
/* Sends what was put and takes the reply apart: the compound's status. The last operation that was put must
 * be the one that failed when STATUS is not NFS4_OK: so a table's preparations can't be what is seen. */
uint32_t wire4_send(struct wire4 *wire);
/* The same, but any operation may be the one that failed. */
uint32_t wire4_send_any(struct wire4 *wire);
/* The same, without an answer that must be well-formed: what RPC says of it. */
enum rpcclient_status wire4_send_raw(struct wire4 *wire);
/* The halves of wire4_send_any: sends, without looking for the answer (SAME_XID: once more, as the same
 * call); waits for that. A slot's sequence goes on when SEQUENCE is answered with OK. */
void wire4_post(struct wire4 *wire);
void wire4_post_again(struct wire4 *wire, bool same_xid);
uint32_t wire4_receive(struct wire4 *wire);
uint32_t wire4_receive_again(struct wire4 *wire); /* what is no sign that the slot goes on */
const struct wire4_result *wire4_last(const struct wire4 *wire);
/* Of the INDEX-th operation that the test has put (SEQUENCE does not count). */
struct wire4_result *wire4_at(struct wire4 *wire, uint32_t index);
/* Results that COMPOUND4res at READER holds, into WIRE; false when it is not well-formed. */
bool wire4_decode(struct wire4 *wire, struct reader reader);
/* The next result at READER. */
bool wire4_get_result(struct reader *reader, struct wire4_result *result) MUST_CHECK;
bool wire4_get_stateid(struct reader *reader, struct wire4_stateid *stateid) MUST_CHECK;

/* ---- operations ---- */

void wire4_op(struct wire4 *wire, uint32_t opnum); /* the number alone: arguments follow in wire->request */
void wire4_putfh(struct wire4 *wire, const struct wire4_handle *handle);
void wire4_putrootfh(struct wire4 *wire);
void wire4_lookup(struct wire4 *wire, const char *name);
void wire4_name(struct wire4 *wire, uint32_t opnum, const void *name,
                uint32_t length);                    /* LOOKUP, REMOVE .. */
void wire4_void(struct wire4 *wire, uint32_t opnum); /* GETFH, SAVEFH, RESTOREFH, LOOKUPP, READLINK .. */
void wire4_getfh(struct wire4 *wire);
void wire4_savefh(struct wire4 *wire);
void wire4_restorefh(struct wire4 *wire);
void wire4_remove(struct wire4 *wire, const char *name);
void wire4_put_stateid(struct wire4 *wire, const struct wire4_stateid *stateid);
/* PUTROOTFH, and a LOOKUP for each name of PATH ("a/b/c"). */
void wire4_path(struct wire4 *wire, const char *path);
void wire4_access(struct wire4 *wire, uint32_t bits);
void wire4_getattr(struct wire4 *wire, struct wire4_bitmap wanted);

/* fattr4 to set: numbers of attributes in ascending order with their bytes. */
struct wire4_fattr {
    struct wire4_bitmap mask;
    uint32_t length;
    uint8_t bytes[1024];
};
struct wire4_fattr wire4_fattr(void);
void wire4_add32(struct wire4_fattr *fattr, unsigned attr, uint32_t value);
void wire4_add64(struct wire4_fattr *fattr, unsigned attr, uint64_t value);
void wire4_add_text(struct wire4_fattr *fattr, unsigned attr, const char *text);
/* FATTR4_ACL, or FATTR4_DACL with FLAGS in front. */
void wire4_add_acl(struct wire4_fattr *fattr, unsigned attr, uint32_t flags, const struct wire4_ace *aces,
                   uint32_t count);
void wire4_put_aces(struct writer *writer, const struct wire4_ace *aces, uint32_t count);
/* settime4; HOW 0: the server's. TIME_CREATE has no HOW: pass -1. */
void wire4_add_time(struct wire4_fattr *fattr, unsigned attr, int how, struct timestamp time);
struct wire4_fattr wire4_mode(uint32_t mode);
struct wire4_fattr wire4_size(uint64_t size);
void wire4_put_fattr(struct wire4 *wire, const struct wire4_fattr *fattr);

void wire4_setattr(struct wire4 *wire, const struct wire4_stateid *stateid, const struct wire4_fattr *fattr);
void wire4_verify(struct wire4 *wire, uint32_t opnum, const struct wire4_fattr *fattr); /* or NVERIFY */
/* TYPE: NF4DIR, NF4LNK (to TARGET), NF4BLK, NF4CHR (5, 7), others. FATTR NULL: none. */
void wire4_create(struct wire4 *wire, uint32_t type, const char *target, const char *name,
                  const struct wire4_fattr *fattr);
void wire4_rename(struct wire4 *wire, const char *from, const char *to);
void wire4_readdir(struct wire4 *wire, uint64_t cookie, uint64_t verifier, uint32_t dircount,
                   uint32_t maxcount, struct wire4_bitmap wanted);
void wire4_read(struct wire4 *wire, uint32_t opnum, const struct wire4_stateid *stateid, uint64_t offset,
                uint32_t count); /* READ or READ_PLUS */
void wire4_write(struct wire4 *wire, const struct wire4_stateid *stateid, uint64_t offset, uint32_t stable,
                 const void *data, uint32_t length);
void wire4_commit(struct wire4 *wire, uint64_t offset, uint32_t count);
void wire4_range(struct wire4 *wire, uint32_t opnum, const struct wire4_stateid *stateid, uint64_t offset,
                 uint64_t length); /* ALLOCATE, DEALLOCATE */
void wire4_seek(struct wire4 *wire, const struct wire4_stateid *stateid, uint64_t offset, uint32_t what);
void wire4_clone(struct wire4 *wire, const struct wire4_stateid *source, const struct wire4_stateid *target,
                 uint64_t source_offset, uint64_t target_offset, uint64_t length);
void wire4_copy(struct wire4 *wire, const struct wire4_stateid *source, const struct wire4_stateid *target,
                uint64_t source_offset, uint64_t target_offset, uint64_t length);
void wire4_setxattr(struct wire4 *wire, uint32_t how, const char *name, const void *value, uint32_t length);
void wire4_listxattrs(struct wire4 *wire, uint64_t cookie, uint32_t maxcount);

/* Operations on state with every argument given. */
struct wire4_open_args {
    uint32_t seqid, access, deny;
    const char *owner;
    int how;                         /* WIRE4_ */
    const struct wire4_fattr *fattr; /* NULL: none */
    uint64_t verifier;               /* EXCLUSIVE */
    uint32_t claim;                  /* 0 NULL, 1 PREVIOUS, 4 FH, ... */
    const char *name;                /* CLAIM_NULL, CLAIM_DELEGATE_CUR, CLAIM_DELEGATE_PREV */
    struct wire4_stateid stateid;    /* CLAIM_DELEGATE_CUR, CLAIM_DELEG_CUR_FH */
    uint32_t delegated;              /* CLAIM_PREVIOUS: what it had */
};
void wire4_op_open(struct wire4 *wire, const struct wire4_open_args *args);
void wire4_op_open_confirm(struct wire4 *wire, const struct wire4_stateid *stateid, uint32_t seqid);
void wire4_op_open_downgrade(struct wire4 *wire, const struct wire4_stateid *stateid, uint32_t seqid,
                             uint32_t access, uint32_t deny);
void wire4_op_close(struct wire4 *wire, const struct wire4_stateid *stateid, uint32_t seqid);
struct wire4_lock_args {
    uint32_t type;
    bool reclaim;
    uint64_t offset, length;
    bool new_owner;
    uint32_t open_seqid, lock_seqid;
    struct wire4_stateid stateid;
    const char *owner;
};
void wire4_op_lock(struct wire4 *wire, const struct wire4_lock_args *args);
void wire4_op_lockt(struct wire4 *wire, uint32_t type, uint64_t offset, uint64_t length, const char *owner);
void wire4_op_locku(struct wire4 *wire, const struct wire4_stateid *stateid, uint32_t seqid, uint64_t offset,
                    uint64_t length);
void wire4_release_lockowner(struct wire4 *wire, const char *owner);
void wire4_test_stateid(struct wire4 *wire, const struct wire4_stateid *stateids, uint32_t count);
void wire4_free_stateid(struct wire4 *wire, const struct wire4_stateid *stateid);

/* The same for an owner that counts its requests.
 * OPEN4_NOCREATE is HOW -1; else UNCHECKED4, GUARDED4 (with FATTR or NULL), EXCLUSIVE4 or _1 (with VERIFIER).
 */
enum { WIRE4_NOCREATE = -1, WIRE4_UNCHECKED, WIRE4_GUARDED, WIRE4_EXCLUSIVE, WIRE4_EXCLUSIVE_1 };
void wire4_open_name(struct wire4 *wire, struct wire4_owner *owner, const char *name, uint32_t access,
                     uint32_t deny, int how, const struct wire4_fattr *fattr, uint64_t verifier);
/* CLAIM_PREVIOUS of the current filehandle, or CLAIM_FH (4.1). */
enum { WIRE4_CLAIM_PREVIOUS = 1, WIRE4_CLAIM_FH = 4 };
void wire4_open_fh(struct wire4 *wire, struct wire4_owner *owner, uint32_t claim, uint32_t access,
                   uint32_t deny);
void wire4_open_confirm(struct wire4 *wire, struct wire4_owner *owner, const struct wire4_stateid *stateid);
void wire4_open_downgrade(struct wire4 *wire, struct wire4_owner *owner, const struct wire4_stateid *stateid,
                          uint32_t access, uint32_t deny);
void wire4_close_file(struct wire4 *wire, struct wire4_owner *owner, const struct wire4_stateid *stateid);

enum { WIRE4_READ_LT = 1, WIRE4_WRITE_LT, WIRE4_READW_LT, WIRE4_WRITEW_LT };
/* The lock owner's first lock on the file, through OPEN of OPENER. */
void wire4_lock_new(struct wire4 *wire, uint32_t type, bool reclaim, uint64_t offset, uint64_t length,
                    struct wire4_owner *opener, const struct wire4_stateid *open, struct wire4_owner *locker);
void wire4_lock(struct wire4 *wire, uint32_t type, bool reclaim, uint64_t offset, uint64_t length,
                struct wire4_owner *locker, const struct wire4_stateid *lock);
void wire4_lockt(struct wire4 *wire, uint32_t type, uint64_t offset, uint64_t length,
                 const struct wire4_owner *locker);
void wire4_locku(struct wire4 *wire, uint64_t offset, uint64_t length, struct wire4_owner *locker,
                 const struct wire4_stateid *lock);

/* ---- clients and sessions (nfs4wire_session.c) ---- */

enum { WIRE4_CALLBACK_PROGRAM = 0x40000000 };
/* Called back at PORT of 127.0.0.1 with IDENT. */
void wire4_setclientid(struct wire4 *wire, const char *name, uint64_t verifier, uint16_t port,
                       uint32_t ident);
void wire4_setclientid_confirm(struct wire4 *wire, uint64_t clientid, uint64_t confirm);
void wire4_renew(struct wire4 *wire, uint64_t clientid);
void wire4_exchange_id(struct wire4 *wire, const char *name, uint64_t verifier, uint32_t flags);
struct wire4_channel {
    uint32_t header_pad, request_max, reply_max, reply_cached_max, operations_max, requests_max;
};
struct wire4_create_session_args {
    uint64_t clientid;
    uint32_t sequence, flags;
    struct wire4_channel fore, back;
    uint32_t program;
};
void wire4_create_session(struct wire4 *wire, const struct wire4_create_session_args *args);
/* The session that RESULT, of CREATE_SESSION, has given. */
struct wire4_session wire4_session_of(const struct wire4_result *result);
void wire4_destroy_session(struct wire4 *wire, const uint8_t id[16]);
void wire4_destroy_clientid(struct wire4 *wire, uint64_t clientid);
void wire4_bind_conn(struct wire4 *wire, const uint8_t id[16], uint32_t direction);
void wire4_op_reclaim_complete(struct wire4 *wire, bool one_fs);
void wire4_sequence(struct wire4 *wire, const uint8_t id[16], uint32_t seqid, uint32_t slot, uint32_t highest,
                    bool cache);

/* ---- whole dialogues that must succeed ---- */

/* The handle behind a path of names, "a/b/c" from the pseudo root. */
struct wire4_handle wire4_walk(struct wire4 *wire, const char *path);
/* Opens NAME in DIR (confirms the owner in 4.0): its handle and stateid. */
struct wire4_stateid wire4_open_at(struct wire4 *wire, struct wire4_owner *owner,
                                   const struct wire4_handle *dir, const char *name, uint32_t access,
                                   uint32_t deny, int how, struct wire4_handle *handle_r);
/* An empty file with MODE, which nobody has open afterwards; a directory. */
struct wire4_handle wire4_make_file(struct wire4 *wire, const struct wire4_handle *dir, const char *name,
                                    uint32_t mode);
struct wire4_handle wire4_make_dir(struct wire4 *wire, const struct wire4_handle *dir, const char *name,
                                   uint32_t mode);
struct wire4_attrs wire4_attrs_of(struct wire4 *wire, const struct wire4_handle *handle,
                                  struct wire4_bitmap wanted);

/* How a case looks: the operations behind STATUS, separated by commas, are one compound. */
#define expect4(wire, wanted, ...)                                                                           \
    do {                                                                                                     \
        wire4_begin(wire);                                                                                   \
        __VA_ARGS__;                                                                                         \
        assert_int_equal(wire4_send(wire), wanted);                                                          \
    } while (0)

#endif
