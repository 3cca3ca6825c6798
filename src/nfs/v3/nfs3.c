/*
 * nfs3.c - NFS version 3 (RFC 1813): the table of procedures and their dispatch.
 *
 * The happy path: rpc has checked the header and runs `dispatch`; the arguments are decoded whole, bytes
 * left over are GARBAGE_ARGS; the procedure's row is run with them and answers now or, when it waits for
 * data or durability, later.
 */
#include "nfs/v3/nfs3_priv.h"

enum {
    PROGRAM = 100003,
    VERSION = 3,
    ARGUMENTS_MAX = NFS3_IO_MAX + 1024, /* a WRITE: its data and room for its other arguments */
    REPLY = 512,                        /* CREATE, the longest of those without data, has 248 */
};

struct row {
    const char *name;
    void (*run)(struct nfs3_request *request);
    enum nfs3_failure failure;
    unsigned flags; /* enum onc_procedure_flags */
    uint32_t reply_max;
};

/* WRITE may be done twice with the same outcome, and its results are too many for a cache. */
static const struct row rows[NFS3_PROCEDURES] = {
    [NFS3_NULL] = {"NULL", NULL, NFS3_FAIL_VOID, 0, 0},
    [NFS3_GETATTR] = {"GETATTR", nfs3__getattr, NFS3_FAIL_VOID, 0, REPLY},
    [NFS3_SETATTR] = {"SETATTR", nfs3__setattr, NFS3_FAIL_WCC, ONC_CACHED, REPLY},
    [NFS3_LOOKUP] = {"LOOKUP", nfs3__lookup, NFS3_FAIL_ATTR, 0, REPLY},
    [NFS3_ACCESS] = {"ACCESS", nfs3__access, NFS3_FAIL_ATTR, 0, REPLY},
    [NFS3_READLINK] = {"READLINK", nfs3__readlink, NFS3_FAIL_ATTR, 0, REPLY + STORE_SYMLINK_MAX},
    [NFS3_READ] = {"READ", nfs3__read, NFS3_FAIL_ATTR, 0, REPLY},
    [NFS3_WRITE] = {"WRITE", nfs3__write, NFS3_FAIL_WCC, 0, REPLY},
    [NFS3_CREATE] = {"CREATE", nfs3__create, NFS3_FAIL_WCC, ONC_CACHED, REPLY},
    [NFS3_MKDIR] = {"MKDIR", nfs3__mkdir, NFS3_FAIL_WCC, ONC_CACHED, REPLY},
    [NFS3_SYMLINK] = {"SYMLINK", nfs3__symlink, NFS3_FAIL_WCC, ONC_CACHED, REPLY},
    [NFS3_MKNOD] = {"MKNOD", nfs3__mknod, NFS3_FAIL_WCC, ONC_CACHED, REPLY},
    [NFS3_REMOVE] = {"REMOVE", nfs3__remove, NFS3_FAIL_WCC, ONC_CACHED, REPLY},
    [NFS3_RMDIR] = {"RMDIR", nfs3__rmdir, NFS3_FAIL_WCC, ONC_CACHED, REPLY},
    [NFS3_RENAME] = {"RENAME", nfs3__rename, NFS3_FAIL_WCC_WCC, ONC_CACHED, REPLY},
    [NFS3_LINK] = {"LINK", nfs3__link, NFS3_FAIL_ATTR_WCC, ONC_CACHED, REPLY},
    [NFS3_READDIR] = {"READDIR", nfs3__readdir, NFS3_FAIL_ATTR, 0, NFS3_DIR_MAX + 4},
    [NFS3_READDIRPLUS] = {"READDIRPLUS", nfs3__readdirplus, NFS3_FAIL_ATTR, 0, NFS3_DIR_MAX + 4},
    [NFS3_FSSTAT] = {"FSSTAT", nfs3__fsstat, NFS3_FAIL_ATTR, 0, REPLY},
    [NFS3_FSINFO] = {"FSINFO", nfs3__fsinfo, NFS3_FAIL_ATTR, 0, REPLY},
    [NFS3_PATHCONF] = {"PATHCONF", nfs3__pathconf, NFS3_FAIL_ATTR, 0, REPLY},
    [NFS3_COMMIT] = {"COMMIT", nfs3__commit, NFS3_FAIL_WCC, 0, REPLY},
};

static void dispatch(struct onc_call *call)
{
    struct nfs_server *server = call->program->data;
    uint32_t procedure = (uint32_t)(call->procedure - server->nfs3_procedures);
    struct nfs3_request *request = nfs3__request_new(server, call, procedure, rows[procedure].failure);

    if (request == NULL) {
        onc_call_reject(call, ONC_REJECT_SYSTEM_ERROR);
        return;
    }
    server->counters.nfs3_calls[procedure]++;
    if (!nfs3__decode_call(procedure, &call->arguments, &request->args)) {
        server->counters.nfs3_failures[procedure]++;
        onc_call_reject(call, ONC_REJECT_GARBAGE_ARGS);
        nfs3__request_end(request);
        return;
    }
    if (rows[procedure].run == NULL)
        nfs3__reply(request);
    else
        rows[procedure].run(request);
}

void nfs3__program_init(struct nfs_server *server)
{
    for (size_t i = 0; i < NFS3_PROCEDURES; i++) {
        server->nfs3_procedures[i] = (struct onc_procedure){
            .name = rows[i].name,
            .run = dispatch,
            .flags = rows[i].flags,
            .reply_max = rows[i].reply_max,
        };
    }
    server->nfs3 = (struct onc_program){
        .name = "nfs",
        .number = PROGRAM,
        .version = VERSION,
        .procedures = server->nfs3_procedures,
        .procedure_count = NFS3_PROCEDURES,
        .arguments_max = ARGUMENTS_MAX,
        .data = server,
    };
}

const char *nfs3_procedure_name(uint32_t procedure)
{
    return procedure < NFS3_PROCEDURES ? rows[procedure].name : "?";
}
