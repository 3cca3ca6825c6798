/*
 * identity.h - who is who: local users and groups, and the one mapping between names, SIDs, uids and gids.
 *
 * Files belong to uids and gids; SMB shows and sets SIDs. The mapping needs no table of its own:
 *   a known user    S-1-5-21-X-Y-Z-(1000 + 2 * uid)      X-Y-Z: this server's, made once
 *   a known group   S-1-5-21-X-Y-Z-(1001 + 2 * gid)
 *   any other uid   S-1-22-1-uid
 *   any other gid   S-1-22-2-gid
 * Back again both forms of an id are understood, whether it is known or not, so that a SID that a client has
 * kept goes on meaning the same file owner when a user is removed or added.
 *
 * The lists are in memory; each change is first given to the storage. Names are compared without case.
 * Everything is of the loop. Pointers to users and groups are good until the next change of the list.
 */
#ifndef DITTOFS_IDENTITY_H
#define DITTOFS_IDENTITY_H

#include "dittofs/cursor.h"
#include "dittofs/err.h"

/* ---- SIDs (MS-DTYP 2.4.2) ---- */

enum {
    SID_SUBAUTHORITIES_MAX = 15,
    SID_SIZE_MAX = 8 + 4 * SID_SUBAUTHORITIES_MAX, /* in its binary form */
    SID_TEXT_MAX = 2 + 2 + 15 + 11 * SID_SUBAUTHORITIES_MAX + 1,
};

struct sid {
    uint64_t authority; /* 48 bits */
    uint8_t count;      /* of sub */
    uint32_t sub[SID_SUBAUTHORITIES_MAX];
};

bool ident_sid_equal(const struct sid *a, const struct sid *b);
/* The binary form, MS-DTYP 2.4.2.2. False for a revision other than 1, too many parts, or too few bytes. */
bool ident_sid_read(struct reader *reader, struct sid *sid_r) MUST_CHECK;
void ident_sid_write(struct writer *writer, const struct sid *sid);
size_t ident_sid_size(const struct sid *sid);
/* The text form, "S-1-5-32-544" (MS-DTYP 2.4.2.1): decimal numbers, the authority also as 0x and 12 digits.
 */
bool ident_sid_parse(const char *text, struct sid *sid_r) MUST_CHECK;
void ident_sid_format(const struct sid *sid, char text_r[SID_TEXT_MAX]);
/* Is SID BASE with one more part? That one in RID_R. */
bool ident_sid_is_below(const struct sid *sid, const struct sid *base, uint32_t *rid_r);
/* BASE must have room for one more part. */
struct sid ident_sid_below(const struct sid *base, uint32_t rid);

extern const struct sid sid_everyone;            /* S-1-1-0 */
extern const struct sid sid_creator_owner;       /* S-1-3-0 */
extern const struct sid sid_creator_group;       /* S-1-3-1 */
extern const struct sid sid_owner_rights;        /* S-1-3-4 */
extern const struct sid sid_network;             /* S-1-5-2 */
extern const struct sid sid_anonymous;           /* S-1-5-7 */
extern const struct sid sid_authenticated_users; /* S-1-5-11 */
extern const struct sid sid_system;              /* S-1-5-18 */
extern const struct sid sid_administrators;      /* S-1-5-32-544 */
extern const struct sid sid_users;               /* S-1-5-32-545 */
extern const struct sid sid_guests;              /* S-1-5-32-546 */
extern const struct sid sid_unix_users;          /* S-1-22-1, uids are below it */
extern const struct sid sid_unix_groups;         /* S-1-22-2, gids are below it */

/* ---- users and groups ---- */

enum {
    IDENT_NAME_MAX = 128,  /* bytes of UTF-8, without the zero byte */
    IDENT_GROUPS_MAX = 64, /* of a user, beside the first one */
    IDENT_USERS_MAX = 100000,
    IDENT_COMPUTER_MAX = 15, /* bytes of a NetBIOS name */
    IDENT_NT_HASH_SIZE = 16,
};

struct ident_user {
    char name[IDENT_NAME_MAX + 1];
    uint8_t nt_hash[IDENT_NT_HASH_SIZE]; /* MD4 of the password: a secret as good as the password */
    uint32_t uid;
    uint32_t gid;
    uint32_t groups[IDENT_GROUPS_MAX];
    uint32_t group_count;
    bool disabled; /* may not log on; the name still maps */
};

struct ident_group {
    char name[IDENT_NAME_MAX + 1];
    uint32_t gid;
};

/* Where the lists are kept: over store_record_* in the daemon, in memory in tests. Tables are "users",
 * "groups" and "identity". A scan's EACH returns false to stop. */
struct ident_storage {
    void *data;
    enum err (*put)(void *data, const char *table, const void *key, size_t key_length, const void *value,
                    size_t value_length);
    enum err (*remove)(void *data, const char *table, const void *key, size_t key_length);
    enum err (*scan)(void *data, const char *table,
                     bool (*each)(void *each_data, const void *key, size_t key_length, const void *value,
                                  size_t value_length),
                     void *each_data);
};

struct identity;

/* Loads everything and makes the machine SID the first time. COMPUTER (1 to IDENT_COMPUTER_MAX bytes of
 * ASCII) is the domain of local names; STORAGE must stay good. ERR_CORRUPT, ERR_INVAL, ERR_NOMEM, the
 * storage's. */
enum err ident_open(const struct ident_storage *storage, const char *computer,
                    struct identity **identity_r) ERR_MUST_CHECK;
/* NULL is fine; leaves NULL. Wipes the hashes. */
void ident_close(struct identity **identity);

const struct sid *ident_machine_sid(const struct identity *identity);
const char *ident_computer(const struct identity *identity);

/* The NT hash of a password in UTF-8 (MS-NLMP 3.3.1 NTOWFv1): ERR_BADCHAR, ERR_NAMETOOLONG (256 characters),
 * ERR_NOTSUPP when libcrypto has no MD4. */
enum err cred_nt_hash(const char *password, uint8_t hash_r[IDENT_NT_HASH_SIZE]) ERR_MUST_CHECK;

/* Adds the user, or replaces the one of that name. ERR_BADNAME, ERR_EXIST (another name has that uid),
 * ERR_INVAL, ERR_LIMIT, ERR_NOMEM, the storage's. Nothing is changed when it fails. */
enum err ident_user_put(struct identity *identity, const struct ident_user *user) ERR_MUST_CHECK;
enum err ident_user_remove(struct identity *identity, const char *name) ERR_MUST_CHECK;
/* NULL when there is none. */
const struct ident_user *ident_user_find(const struct identity *identity, const char *name);
const struct ident_user *ident_user_find_uid(const struct identity *identity, uint32_t uid);
/* In order of names; NULL at the end. INDEX counts from 0. */
const struct ident_user *ident_user_at(const struct identity *identity, size_t index);

enum err ident_group_put(struct identity *identity, const struct ident_group *group) ERR_MUST_CHECK;
enum err ident_group_remove(struct identity *identity, const char *name) ERR_MUST_CHECK;
const struct ident_group *ident_group_find(const struct identity *identity, const char *name);
const struct ident_group *ident_group_find_gid(const struct identity *identity, uint32_t gid);
const struct ident_group *ident_group_at(const struct identity *identity, size_t index);

/* ---- mapping ---- */

struct sid ident_uid_to_sid(const struct identity *identity, uint32_t uid);
struct sid ident_gid_to_sid(const struct identity *identity, uint32_t gid);

enum ident_kind {
    IDENT_NONE, /* not a user or group of ours: a well-known SID, or a foreign one */
    IDENT_UID,
    IDENT_GID
};
/* ID_R is left alone for IDENT_NONE. */
enum ident_kind ident_sid_to_id(const struct identity *identity, const struct sid *sid, uint32_t *id_r);

/* MS-SAMR 2.2.2.3, MS-LSAT 2.2.13 */
enum sid_use {
    SID_USE_USER = 1,
    SID_USE_GROUP = 2,
    SID_USE_DOMAIN = 3,
    SID_USE_ALIAS = 4,
    SID_USE_WELL_KNOWN = 5,
    SID_USE_UNKNOWN = 8,
};

struct ident_account {
    struct sid sid;
    enum sid_use use;
    char domain[IDENT_NAME_MAX + 1];
    char name[IDENT_NAME_MAX + 1];
};

/* ERR_NOENT when it has no name. Unknown uids and gids have one: "Unix User\1234". */
enum err ident_lookup_sid(const struct identity *identity, const struct sid *sid,
                          struct ident_account *account_r) ERR_MUST_CHECK;
/* NAME is "name", "DOMAIN\name", or a SID's text. */
enum err ident_lookup_name(const struct identity *identity, const char *name,
                           struct ident_account *account_r) ERR_MUST_CHECK;

/* ---- growing delays for failed logons ---- */

/*
 * The first failures of a user from a host cost nothing (people mistype); from then on each one doubles the
 * time in which answers to that pair are held back, up to a most. The same goes, with more free failures, for
 * all users from one host, so that trying many names is slow as well. A user alone is not counted: that would
 * let anybody keep anybody else out. The table is bounded; the entry that was used longest ago goes first.
 *
 * For an attempt: check the password at once, then hold the answer, good or bad, for delay_done()'s time.
 */
struct cred_delays;

enum { CRED_DELAY_MAX_MS = 30000 };

/* MOST entries (at least 2). */
enum err cred_delays_open(size_t most, struct cred_delays **delays_r) ERR_MUST_CHECK;
void cred_delays_close(struct cred_delays **delays);
/* How long an attempt that starts now has to wait for those before it; when that is CRED_DELAY_MAX_MS, refuse
 * it without looking. HOST: an address of 4 or 16 bytes; of an IPv6 one only the network (8 bytes) counts. */
uint32_t cred_delays_wait_ms(const struct cred_delays *delays, const void *host, size_t host_length,
                             const char *user);
/* Counts the attempt, and says for how long its answer is to be held. */
uint32_t cred_delays_done(struct cred_delays *delays, const void *host, size_t host_length, const char *user,
                          bool succeeded);

#endif
