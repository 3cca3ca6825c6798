/*
 * nfs4world.h - what the scenario tests of NFS version 4 begin with: an export "a" with one object of every
 * type in it, and two users who have made themselves known at one minor version.
 */
#ifndef DITTOFS_TESTS_NFS4WORLD_H
#define DITTOFS_TESTS_NFS4WORLD_H

#include "nfs4wire.h"
#include "nfsworld.h"

enum nfs4world_object { N4_FILE, N4_DIR, N4_LINK, N4_FIFO, N4_SOCKET, N4_BLOCK, N4_CHARACTER, N4_OBJECTS };
extern const char *const nfs4world_names[N4_OBJECTS]; /* "file", "dir" .. */

enum { N4_USER = 1000, N4_GROUP = 100 };

struct nfs4world {
    struct nfsworld *world;
    struct rpcclient *root_rpc, *user_rpc;
    struct wire4 *root, *user; /* uid 0, uid N4_USER */
    struct wire4_handle top;   /* of the export */
    struct wire4_handle objects[N4_OBJECTS];
};

/* "file" is 0666 and holds "hello world"; "dir" is 0777 and empty; "link" leads to "target". */
void nfs4world_open(struct nfs4world *world, uint32_t minor, const struct nfsworld_options *options);
void nfs4world_close(struct nfs4world *world);
/* Another client, on a connection of its own, known as NAME. */
struct wire4 *nfs4world_client(struct nfs4world *world, uint32_t minor, uint32_t uid, const char *name);
/* Ends one of these with its connection. */
void nfs4world_end(struct wire4 **wire);

#endif
