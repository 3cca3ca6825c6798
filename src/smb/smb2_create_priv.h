/*
 * smb2_create_priv.h - a CREATE from its arguments to its reply, for the files that do its parts.
 *
 * Create contexts have a table (smb2_create_contexts.c): a row says how a context's data is read into struct
 * smb2_create, and whether and how it is answered. smb2_create.c looks at the outcome where it counts.
 */
#ifndef DITTOFS_SMB_SMB2_CREATE_H
#define DITTOFS_SMB_SMB2_CREATE_H

#include "smb/smb2_priv.h"

/* What a CREATE asks of a lease, and what it gets. */
struct smb2_lease_wish {
    uint8_t given_version; /* of the context; 0: there is none */
    uint8_t version;       /* the same, when the oplock asked for is a lease; else 0 */
    uint8_t key[SMB2_LEASE_KEY];
    uint32_t state, flags;
    bool has_parent;
    uint8_t parent[SMB2_LEASE_KEY];
    uint16_t epoch;
    uint8_t granted_version; /* an older lease of the key may be of another one */
    uint32_t granted;        /* the state that it has now */
    bool is_breaking;
    uint16_t granted_epoch;
};

enum smb2_disposition {
    SMB2_FILE_SUPERSEDE,    /* there: replaced; else made */
    SMB2_FILE_OPEN,         /* there: opened; else failed */
    SMB2_FILE_CREATE,       /* there: failed; else made */
    SMB2_FILE_OPEN_IF,      /* there: opened; else made */
    SMB2_FILE_OVERWRITE,    /* there: truncated; else failed */
    SMB2_FILE_OVERWRITE_IF, /* there: truncated; else made */
    SMB2_DISPOSITIONS
};

/* MS-SMB2 2.2.14: CreateAction */
enum { SMB2_ACTION_SUPERSEDED, SMB2_ACTION_OPENED, SMB2_ACTION_CREATED, SMB2_ACTION_OVERWRITTEN };

/* MS-SMB2 2.2.13: CreateOptions */
enum {
    SMB2_OPTION_DIRECTORY = 0x1,
    SMB2_OPTION_WRITE_THROUGH = 0x2,
    SMB2_OPTION_NON_DIRECTORY = 0x40,
    SMB2_OPTION_COMPLETE_IF_OPLOCKED = 0x100,
    SMB2_OPTION_DELETE_ON_CLOSE = 0x1000,
    SMB2_OPTION_REQUIRING_OPLOCK = 0x10000,
    SMB2_OPTION_OPEN_REPARSE_POINT = 0x200000,
    SMB2_OPTIONS_REFUSED = 0x102080,
    SMB2_OPTIONS = 0xffffff,
    SMB2_MAXIMUM_ALLOWED = 0x02000000,
};

/* What a CREATE asks of opens that outlive their connection (smb2_durable.c). */
struct smb2_durable_wish {
    bool asks_v1, asks_v2, reconnects_v1, reconnects_v2;
    bool has_app, has_app_version;
    bool is_persistent; /* SMB2_DHANDLE_FLAG_PERSISTENT, of either */
    uint32_t timeout_ms;
    uint64_t persistent_id;
    uint8_t create_guid[16], app[16];
    uint64_t app_version[2];
    bool is_answered;
};

struct smb2_create {
    struct smb2_request *request;
    /* the arguments; access with generic rights mapped */
    uint8_t oplock; /* enum smb2_oplock_level */
    uint32_t impersonation, access, attributes, share, disposition, options;
    struct reader name, contexts;
    /* of contexts */
    bool wants_maximal, wants_disk_id, has_timewarp, has_ea;
    bool has_security, has_allocation, asks_apple;
    uint64_t apple_wishes; /* smb2_apple.c */
    uint64_t allocation;
    struct reader ea, security;
    struct smb2_lease_wish lease;
    struct smb2_durable_wish durable;
    uint8_t granted_oplock; /* what the reply says */
    /* on the way */
    struct smb2_place place;
    struct inode *file;  /* of the path; a reference */
    struct inode *inode; /* it, or its stream that is opened; a reference, until the open has it */
    uint32_t maximal;
    uint32_t action;
    bool does_not_wait; /* FILE_COMPLETE_IF_OPLOCKED: breaks were begun, and it goes on beside them */
};

struct smb2_create_context_row {
    const char *tag;
    size_t tag_length; /* 4, or 16 for those that are known by a GUID */
    /* Reads DATA: STATUS_SUCCESS, or what the whole CREATE is answered. NULL: there is nothing to read. */
    uint32_t (*read)(struct smb2_create *create, struct reader data);
    /* Is the reply to have one, once request->open is there? NULL: never. */
    bool (*is_answered)(const struct smb2_create *create);
    /* Writes its data. */
    void (*write)(const struct smb2_create *create, struct writer *writer);
};

/* MS-SMB2 2.2.13.2: reads create->contexts. Unknown ones are passed over. */
uint32_t smb2__create_contexts_read(struct smb2_create *create);
/* Appends the reply's contexts; BODY_AT is where the reply's body begins. */
void smb2__create_contexts_write(const struct smb2_create *create, size_t body_at);

/* smb2_lease.c. Once the file is known (INODE; NULL: it is still to be made): does the key stand for another
 * one? */
uint32_t smb2__lease_read(struct smb2_create *create, struct reader data);
uint32_t smb2__lease_check(const struct smb2_create *create, struct inode *inode);
/* Finds or makes OPEN's lease. */
void smb2__lease_grant(struct smb2_create *create, struct smb2_open *open);
/* What the lease of an open that is there already has now. */
void smb2__lease_tell(struct smb2_create *create, const struct smb2_open *open);
bool smb2__lease_is_answered(const struct smb2_create *create);
void smb2__lease_write(const struct smb2_create *create, struct writer *writer);

/* smb2_create_file.c: opens what the path, walked, leads to, or makes it. */
uint32_t smb2__create_open(struct smb2_create *create, struct smb2_open **open_r);

/* smb2_durable.c */
uint32_t smb2__durable_read_v1(struct smb2_create *create, struct reader data);
uint32_t smb2__durable_read_reconnect_v1(struct smb2_create *create, struct reader data);
uint32_t smb2__durable_read_v2(struct smb2_create *create, struct reader data);
uint32_t smb2__durable_read_reconnect_v2(struct smb2_create *create, struct reader data);
uint32_t smb2__durable_read_app(struct smb2_create *create, struct reader data);
uint32_t smb2__durable_read_app_version(struct smb2_create *create, struct reader data);
bool smb2__durable_is_answered_v1(const struct smb2_create *create);
bool smb2__durable_is_answered_v2(const struct smb2_create *create);
void smb2__durable_write_v1(const struct smb2_create *create, struct writer *writer);
void smb2__durable_write_v2(const struct smb2_create *create, struct writer *writer);
/* May the contexts stand together? */
uint32_t smb2__durable_judge(const struct smb2_create *create);
/* The parked open that the CREATE asks for, in its session again. */
uint32_t smb2__durable_reconnect(struct smb2_create *create, struct smb2_open **open_r);
/* What the application has open of create->inode from another machine is closed. */
uint32_t smb2__durable_take_over(struct smb2_create *create);
/* Once the open has its oplock or lease: is it durable? */
void smb2__durable_grant(struct smb2_create *create);

/* smb2_apple.c */
uint32_t smb2__apple_read(struct smb2_create *create, struct reader data);
bool smb2__apple_is_answered(const struct smb2_create *create);
void smb2__apple_write(const struct smb2_create *create, struct writer *writer);

/* smb2_replay.c. The open that the CREATE has made already, or NULL; why it can't be had. */
uint32_t smb2__replay_create(struct smb2_create *create, struct smb2_open **open_r);
/* OPEN may be asked for again. */
void smb2__replay_note(const struct smb2_create *create, struct smb2_open *open);

#endif
