/*
 * smb2_persist.h - records of persistent opens, for the files that write and read them.
 *
 * Table "smb open", integers big-endian:
 *   key 'o' id (8)                                  value: struct smb2_record
 *   key 'r' id (8) kind (1) offset (8) length (8)   value: how many such ranges (4); kind 0 is exclusive, 1
 *                                                   shared: an exclusive one never comes on top of another
 *   key 's' id (8)                                  value: the numbers of LOCK requests (64)
 */
#ifndef DITTOFS_SMB_SMB2_PERSIST_H
#define DITTOFS_SMB_SMB2_PERSIST_H

#include "smb/smb2_priv.h"
#include "smb/smb2_grants.h"

#define SMB2_PERSIST_TABLE "smb open"

enum {
    SMB2_RECORD_MAX = 2048,    /* bytes of a record */
    SMB2_RECORD_KEY = 1 + 8,   /* of the keys of an open and its numbers */
    SMB2_RECORD_RANGE = 26,    /* of the key of a range */
    SMB2_RECORD_EXCLUSIVE = 0, /* kinds of ranges */
    SMB2_RECORD_SHARED = 1
};

enum smb2_record_flags {
    SMB2_RECORD_DELETE_ON_CLOSE = 1,
    SMB2_RECORD_DELETE_PENDING = 2,
    SMB2_RECORD_DELETE_POSIX = 4,
    SMB2_RECORD_BASE_PENDING = 8,
    SMB2_RECORD_PARENT_KEY = 0x10,
    SMB2_RECORD_APP = 0x20,
    SMB2_RECORD_APP_VERSION = 0x40,
    SMB2_RECORD_HAS_DIR = 0x80,
    SMB2_RECORD_DURABLE = 0x100,
};

/* An open as its record has it. Pointers go into the record. */
struct smb2_record {
    uint64_t id;
    uint32_t export_id;
    uint32_t flags; /* enum smb2_record_flags */
    uint8_t file[VFS_HANDLE_SIZE], dir[VFS_HANDLE_SIZE];
    const uint8_t *name, *stream, *user;
    uint8_t name_length, stream_length, user_length;
    uint32_t uid;
    uint8_t guid[16]; /* of the machine */
    uint16_t dialect;
    uint8_t peer[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint32_t access, share, action, durable_ms, mode;
    uint8_t create_guid[16], parent_key[SMB2_LEASE_KEY], app[16];
    uint64_t app_version[2];
    uint8_t oplock_level;
    uint8_t oplock_kinds; /* of an oplock; those of a lease are in it */
    struct smb2_lease_kept lease;
};

void smb2__record_write(const struct smb2_record *kept, struct writer *writer);
/* Both are without the key. False: it is none that this version writes. */
bool smb2__record_read(struct smb2_record *kept, struct reader *reader) MUST_CHECK;
size_t smb2__record_key(uint8_t key[SMB2_RECORD_KEY], char kind, uint64_t id);

#endif
