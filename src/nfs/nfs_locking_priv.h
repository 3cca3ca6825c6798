/*
 * nfs_locking_priv.h - how the server opens and closes NLM and NSM, and what the two share.
 */
#ifndef DITTOFS_NFS_LOCKING_PRIV_H
#define DITTOFS_NFS_LOCKING_PRIV_H

#include "dittofs/nfs.h"
#include "dittofs/rpc_client.h"

struct nlm;
struct nsm;

/* OUTGOING and NSM must outlive it. */
enum err nlm__open_server(struct nfs_server *server, const struct nfs_locking_options *options,
                          struct onc_client *outgoing, struct nsm *nsm, struct nlm **nlm_r) ERR_MUST_CHECK;
void nlm__close_server(struct nlm **nlm);
enum err nlm__add_programs(struct nlm *nlm, struct onc_service *service) ERR_MUST_CHECK;

/* Reads the records, makes the new state number, and from the loop tells who is to be told. */
enum err nsm__open_server(struct nfs_server *server, const struct nfs_locking_options *options,
                          struct onc_client *outgoing, struct nsm **nsm_r) ERR_MUST_CHECK;
/* Whom clients' notices are told. */
void nsm__set_nlm(struct nsm *nsm, struct nlm *nlm);
void nsm__close_server(struct nsm **nsm);
enum err nsm__add_program(struct nsm *nsm, struct onc_service *service) ERR_MUST_CHECK;

#endif
