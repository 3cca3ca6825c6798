/*
 * lockask.c - see lockask.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lockask.h"

static const char *const ask_names[ASKS] = {"lock shared",   "lock exclusive", "open to read",
                                            "open to write", "read",           "write",
                                            "truncate",      "remove",         "rename"};

const char *ask_name(enum ask ask)
{
    return ask_names[ask];
}

enum asker asker_of(enum actor_protocol protocol)
{
    return protocol == ACTOR_V3 ? BY_NFS3 : protocol == ACTOR_SMB ? BY_SMB : BY_NFS4;
}

static enum outcome find_for(struct actor *asker, const char *name, unsigned access)
{
    if (asker->protocol == ACTOR_SMB)
        return asker->has_open ? OUT_OK : actor_open(asker, name, access, 0);
    if (asker->protocol == ACTOR_V3)
        return actor_open(asker, name, 0, 0);
    expect4(asker->wire, NFS4_OK, wire4_putfh(asker->wire, &asker->top4), wire4_lookup(asker->wire, name),
            wire4_getfh(asker->wire));
    asker->file4 = asker->wire->last.handle;
    return OUT_OK;
}

static enum outcome lock_for(struct actor *asker, const char *name, bool exclusive)
{
    unsigned access = asker->protocol == ACTOR_V3 ? 0 : OPEN_READ | (exclusive ? OPEN_WRITE : 0u);
    enum outcome outcome = asker->has_open ? OUT_OK : actor_open(asker, name, access, 0);

    return outcome == OUT_OK ? actor_lock(asker, 5, 10, exclusive) : outcome;
}

static enum outcome io_for(struct actor *asker, const char *name, unsigned access,
                           enum outcome (*io)(struct actor *actor))
{
    enum outcome outcome = find_for(asker, name, access);

    return outcome == OUT_OK ? io(asker) : outcome;
}

enum outcome actor_ask(struct actor *asker, enum ask ask, const char *name, const char *other_name)
{
    switch (ask) {
    case ASK_LOCK_SHARED:
        return lock_for(asker, name, false);
    case ASK_LOCK_EXCLUSIVE:
        return lock_for(asker, name, true);
    case ASK_OPEN_READ:
        return actor_open(asker, name, OPEN_READ, 0);
    case ASK_OPEN_WRITE:
        return actor_open(asker, name, OPEN_WRITE, 0);
    case ASK_READ:
        return io_for(asker, name, OPEN_READ, actor_read);
    case ASK_WRITE:
        return io_for(asker, name, OPEN_WRITE, actor_write);
    case ASK_TRUNCATE:
        return io_for(asker, name, OPEN_WRITE, actor_truncate);
    case ASK_REMOVE:
        return actor_remove(asker, name);
    case ASK_RENAME:
        return actor_rename(asker, name, other_name);
    case ASKS:
        break;
    }
    return OUT_OK;
}
