/*
 * nfs4_state.h - what operations ask of the state that a client holds: stateids of I/O.
 */
#ifndef DITTOFS_NFS4_STATE_H
#define DITTOFS_NFS4_STATE_H

#include "nfs/v4/nfs4_priv.h"

enum nfs4_io { NFS4_IO_READ = 1, NFS4_IO_WRITE = 2 };

/* May the holder of STATEID (a special one, an open's or a lock's, or the current one) do IO to the current
 * filehandle's file? Checks deny modes and mandatory locks of others, too. *RIGHT_R says what vfs still has
 * to check. The five answers for wrong stateids (RFC 8881 8.2.4), NFS4ERR_OPENMODE, NFS4ERR_LOCKED,
 * NFS4ERR_GRACE. */
uint32_t nfs4__stateid_for_io(struct nfs4_compound *compound, const struct nfs4_stateid *stateid,
                              enum nfs4_io io, enum vfs_io_right *right_r);
/* Deny modes alone, for what carries no stateid (SETATTR of size by path, REMOVE, RENAME). */

#endif
