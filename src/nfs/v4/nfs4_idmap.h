/*
 * nfs4_idmap.h - owners and groups as text: "name@domain", or the number (RFC 8881 5.9, RFC 7530 5.9).
 */
#ifndef DITTOFS_NFS4_IDMAP_H
#define DITTOFS_NFS4_IDMAP_H

#include "dittofs/cursor.h"
#include "dittofs/err.h"
#include "dittofs/list.h"
#include "dittofs/loop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nfs4_idmap;
struct nfs4_names;

/* "name@domain" is never longer; a name with which it would be is sent as its number. */
enum { NFS4_OWNER_TEXT_MAX = 200 };

/* DOMAIN NULL: numbers are sent, and names of any domain are understood. NAMES NULL: there are no names. Both
 * are copied. */
enum err nfs4__idmap_open(struct loop *loop, const char *domain, const struct nfs4_names *names,
                          struct nfs4_idmap **map_r) ERR_MUST_CHECK;
/* Waits for a question that is being asked. NULL is fine. */
void nfs4__idmap_close(struct nfs4_idmap **map);

/* The text of ID; returns its length (no NUL follows). The number when it has no name, or its name is not
 * known yet; the latter is a miss. */
size_t nfs4__idmap_text(struct nfs4_idmap *map, bool is_group, uint32_t id, char text_r[NFS4_OWNER_TEXT_MAX]);
size_t nfs4__idmap_number(uint32_t id, char text_r[NFS4_OWNER_TEXT_MAX]);
/* What TEXT says: NFS4_OK, NFS4ERR_INVAL (it is empty), NFS4ERR_BADOWNER, NFS4ERR_DELAY (being asked). MAP
 * may be NULL: numbers only. */
uint32_t nfs4__idmap_parse(struct nfs4_idmap *map, bool is_group, const uint8_t *text, uint32_t length,
                           uint32_t *id_r);

/* Names that were missed so far. */
uint64_t nfs4__idmap_misses(const struct nfs4_idmap *map);

/* Waits for answers to all misses so far. */
struct nfs4_idmap_waiter {
    void (*done)(struct nfs4_idmap_waiter *waiter); /* once, later, on the loop */
    struct list link;
    uint64_t upto;
};
/* False: there is nothing that is worth waiting for. */
bool nfs4__idmap_wait(struct nfs4_idmap *map, struct nfs4_idmap_waiter *waiter);

#endif
