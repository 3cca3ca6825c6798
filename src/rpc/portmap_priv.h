/*
 * portmap_priv.h - what portmap.c and portmap_serve.c share.
 */
#ifndef DITTOFS_RPC_PORTMAP_PRIV_H
#define DITTOFS_RPC_PORTMAP_PRIV_H

#include "rpc/rpc_priv.h"

enum { ONC__PORTMAP_PORT = 111, ONC__PORTMAP_PROGRAM = 100000, ONC__PORTMAP_VERSIONS = 3 };

/* What is told: copied, and good for itself, as a thread may use it. */
struct onc__map {
    struct net_address *addresses;
    size_t address_count;
    struct onc_mapping *mappings;
    size_t mapping_count;
};

/* "10.0.0.1.8.1" (RFC 5665 5.2.3.3, 5.2.3.4) for the host of ADDRESS with PORT. */
enum { ONC__UADDR_TEXT = 80 };
const char *onc__uaddr_format(const struct net_address *address, uint16_t port, char *text);
/* "tcp", "udp6" and so on. */
const char *onc__netid(enum onc_transport transport, int family);
/* Is any of the addresses of this family? */
bool onc__map_has_family(const struct onc__map *map, int family);

/* Adds the programs that answer out of MAP, which must stay good, to SERVICE. PROGRAMS has room for
 * ONC__PORTMAP_VERSIONS. */
enum err onc__portmap_serve(struct onc_service *service, const struct onc__map *map,
                            struct onc_program *programs) ERR_MUST_CHECK;

#endif
