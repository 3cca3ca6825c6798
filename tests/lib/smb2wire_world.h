/*
 * smb2wire_world.h - connections of smb2wire.h to the server of smbworld.h.
 */
#ifndef DITTOFS_TESTS_SMB2WIRE_WORLD_H
#define DITTOFS_TESTS_SMB2WIRE_WORLD_H

#include "dittofs/log.h"
#include "loopback.h"
#include "simclock.h"
#include "smb2wire.h"
#include "smbworld.h"

#include <stdlib.h>

static void smb2wire_pump(void *data)
{
    loop_run_once(((struct smbworld *)data)->nfs->loop, false);
}

/* Another pump, with which time flies (simclock is installed): nothing that is held back takes long. */
static inline void smb2wire_hasty_pump(void *data)
{
    struct loop *loop = ((struct smbworld *)data)->nfs->loop;

    simclock_advance_ms(100);
    loop_run_timers(loop);
    loop_run_once(loop, false);
}

/* A connection that has sent nothing. */
static inline struct smb2wire *smb2wire_to(struct smbworld *world)
{
    struct smb2wire *wire = smb2wire_open(loopback_address(), world->port, smb2wire_pump, world);

    invariant(wire != NULL);
    return wire;
}

/* One with DIALECT (0: 3.1.1), logged on as alice, with the first export as tree. */
static inline struct smb2wire *smb2wire_client(struct smbworld *world, uint16_t dialect)
{
    struct smb2wire *wire = smb2wire_to(world);

    if (dialect != 0)
        wire->dialect = dialect;
    wire->asks = 64;
    invariant(smb2wire_negotiate(wire) == 0);
    invariant(smb2wire_logon(wire, "alice", "Passw0rd") == 0);
    invariant(smb2wire_tree_connect(wire, world->nfs->exports[0].name) == 0);
    return wire;
}

#endif
