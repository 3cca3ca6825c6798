/*
 * lockask.h - what an actor may ask of a file that another has something of: the columns of the matrices in
 * docs/LOCKING.md.
 */
#ifndef DITTOFS_TESTS_LOCKASK_H
#define DITTOFS_TESTS_LOCKASK_H

#include "lockactor.h"

enum ask {
    ASK_LOCK_SHARED,    /* bytes 5 to 14, by way of an open for reading, where one is needed */
    ASK_LOCK_EXCLUSIVE, /* by way of one for both */
    ASK_OPEN_READ,
    ASK_OPEN_WRITE,
    ASK_READ,
    ASK_WRITE,
    ASK_TRUNCATE,
    ASK_REMOVE,
    ASK_RENAME,
    ASKS
};
const char *ask_name(enum ask ask);

/* Versions of NFSv4 are answered alike. */
enum asker { BY_NFS3, BY_NFS4, BY_SMB, ASKERS };
enum asker asker_of(enum actor_protocol protocol);

/* Asks once. An open that the actor has is used; NFS reads and writes by handle: nothing is opened for it. */
enum outcome actor_ask(struct actor *asker, enum ask ask, const char *name, const char *other_name);

#endif
