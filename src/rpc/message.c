/*
 * message.c - headers of calls and replies (RFC 5531 9), credentials (RFC 5531 8.2, appendix A).
 *
 * Order of checks: RPC version, credentials, program, version, procedure, length of the arguments. Each
 * flavour of credentials is a row of `flavors`.
 */
#include "rpc/rpc_priv.h"
#include <string.h>

enum { NOBODY = 65534 };

static enum onc__auth_status check_empty_verifier(uint32_t flavor, struct reader verifier)
{
    return flavor == ONC_AUTH_NONE && reader_is_done(&verifier) ? ONC__AUTH_OK : ONC__AUTH_BADVERF;
}

static enum onc__auth_status decode_none(struct onc_credential *credential_r, struct reader body,
                                         uint32_t verifier_flavor, struct reader verifier)
{
    if (!reader_is_done(&body))
        return ONC__AUTH_BADCRED;
    credential_r->uid = credential_r->gid = NOBODY;
    credential_r->group_count = 0;
    credential_r->machine_name[0] = '\0';
    return check_empty_verifier(verifier_flavor, verifier);
}

/* RFC 5531 appendix A. */
static enum onc__auth_status decode_sys(struct onc_credential *credential_r, struct reader body,
                                        uint32_t verifier_flavor, struct reader verifier)
{
    const uint8_t *name;
    uint32_t stamp, name_length;

    if (!reader_be32(&body, &stamp) || !reader_xdr_opaque(&body, ONC_MACHINE_NAME_MAX, &name, &name_length) ||
        !reader_be32(&body, &credential_r->uid) || !reader_be32(&body, &credential_r->gid) ||
        !reader_be32(&body, &credential_r->group_count) || credential_r->group_count > ONC_GROUPS_MAX)
        return ONC__AUTH_BADCRED;
    for (uint32_t i = 0; i < credential_r->group_count; i++) {
        if (!reader_be32(&body, &credential_r->groups[i]))
            return ONC__AUTH_BADCRED;
    }
    if (!reader_is_done(&body) || memchr(name, '\0', name_length) != NULL)
        return ONC__AUTH_BADCRED;
    memcpy(credential_r->machine_name, name, name_length);
    credential_r->machine_name[name_length] = '\0';
    return check_empty_verifier(verifier_flavor, verifier);
}

/* We hand out no short-hand credentials: the client has to begin again (RFC 5531 9, AUTH_REJECTEDCRED). */
static enum onc__auth_status decode_short(struct onc_credential *credential_r, struct reader body,
                                          uint32_t verifier_flavor, struct reader verifier)
{
    (void)credential_r;
    (void)body;
    (void)verifier_flavor;
    (void)verifier;
    return ONC__AUTH_REJECTEDCRED;
}

static void write_empty_verifier(struct writer *writer)
{
    writer_be32(writer, ONC_AUTH_NONE);
    writer_be32(writer, 0);
}

static const struct onc__flavor flavors[] = {
    {.number = ONC_AUTH_SYS, .decode = decode_sys, .write_verifier = write_empty_verifier},
    {.number = ONC_AUTH_NONE, .decode = decode_none, .write_verifier = write_empty_verifier},
    {.number = ONC_AUTH_SHORT, .decode = decode_short, .write_verifier = write_empty_verifier},
};

static const struct onc__flavor *find_flavor(uint32_t number)
{
    for (size_t i = 0; i < sizeof flavors / sizeof *flavors; i++) {
        if (flavors[i].number == number)
            return &flavors[i];
    }
    return NULL;
}

/* An opaque_auth: flavour and a body of at most 400 bytes. */
static bool read_auth(struct reader *reader, uint32_t *flavor_r, struct reader *body_r)
{
    const uint8_t *data;
    uint32_t length;

    if (!reader_be32(reader, flavor_r) || !reader_xdr_opaque(reader, ONC__OPAQUE_AUTH_MAX, &data, &length))
        return false;
    *body_r = reader_of(data, length);
    return true;
}

static enum onc__auth_status decode_auth(struct reader *reader, struct onc_call *call)
{
    struct reader credential, verifier;
    uint32_t verifier_flavor;
    const struct onc__flavor *flavor;

    if (!read_auth(reader, &call->credential.flavor, &credential))
        return ONC__AUTH_BADCRED;
    if (!read_auth(reader, &verifier_flavor, &verifier))
        return ONC__AUTH_BADVERF;
    flavor = find_flavor(call->credential.flavor);
    if (flavor == NULL)
        return ONC__AUTH_BADCRED;
    onc__call_of(call)->flavor = flavor;
    return flavor->decode(&call->credential, credential, verifier_flavor, verifier);
}

static struct onc__verdict find_procedure(const struct onc_service *service, struct onc_call *call,
                                          uint32_t number, uint32_t version, uint32_t procedure)
{
    struct onc__verdict verdict = {.status = ONC__PROG_UNAVAIL, .low = UINT32_MAX};

    for (size_t i = 0; i < service->program_count; i++) {
        const struct onc_program *program = service->programs[i];

        if (program->number != number)
            continue;
        if (program->version != version) {
            verdict.status = ONC__PROG_MISMATCH;
            if (program->version < verdict.low)
                verdict.low = program->version;
            if (program->version > verdict.high)
                verdict.high = program->version;
            continue;
        }
        call->program = program;
        if (procedure >= program->procedure_count || program->procedures[procedure].name == NULL)
            return (struct onc__verdict){.status = ONC__PROC_UNAVAIL};
        call->procedure = &program->procedures[procedure];
        return (struct onc__verdict){.status = ONC__SUCCESS};
    }
    return verdict;
}

struct onc__verdict onc__call_decode(const struct onc_service *service, struct reader *reader,
                                     struct onc_call *call)
{
    uint32_t rpc_version, number, version, procedure;
    enum onc__auth_status auth;

    if (!reader_be32(reader, &rpc_version))
        return (struct onc__verdict){.status = ONC__UNINTELLIGIBLE};
    if (rpc_version != ONC__VERSION)
        return (struct onc__verdict){.status = ONC__RPC_MISMATCH};
    if (!reader_be32(reader, &number) || !reader_be32(reader, &version) || !reader_be32(reader, &procedure))
        return (struct onc__verdict){.status = ONC__UNINTELLIGIBLE};
    auth = decode_auth(reader, call);
    if (auth != ONC__AUTH_OK)
        return (struct onc__verdict){.status = ONC__AUTH_ERROR, .auth = auth};
    return find_procedure(service, call, number, version, procedure);
}

void onc__reply_write(struct writer *writer, uint32_t xid, struct onc__verdict verdict)
{
    writer_be32(writer, xid);
    writer_be32(writer, ONC__REPLY);
    switch (verdict.status) {
    case ONC__RPC_MISMATCH:
        writer_be32(writer, ONC__DENIED);
        writer_be32(writer, ONC__DENIED_MISMATCH);
        writer_be32(writer, ONC__VERSION);
        writer_be32(writer, ONC__VERSION);
        return;
    case ONC__AUTH_ERROR:
        writer_be32(writer, ONC__DENIED);
        writer_be32(writer, ONC__DENIED_AUTH);
        writer_be32(writer, verdict.auth);
        return;
    case ONC__SUCCESS:
    case ONC__PROG_UNAVAIL:
    case ONC__PROG_MISMATCH:
    case ONC__PROC_UNAVAIL:
    case ONC__GARBAGE_ARGS:
    case ONC__SYSTEM_ERR:
    case ONC__UNINTELLIGIBLE:
        break;
    }
    writer_be32(writer, ONC__ACCEPTED);
    write_empty_verifier(writer);
    writer_be32(writer, verdict.status);
    if (verdict.status == ONC__PROG_MISMATCH) {
        writer_be32(writer, verdict.low);
        writer_be32(writer, verdict.high);
    }
}

/* ---- calls of our own ---- */

static void write_sys_credential(struct writer *writer, const struct onc_credential *credential)
{
    size_t name_length = strnlen(credential->machine_name, ONC_MACHINE_NAME_MAX);
    size_t length_at = writer->length;

    writer_be32(writer, 0);
    writer_be32(writer, 0); /* the stamp, which nobody looks at */
    writer_xdr_opaque(writer, credential->machine_name, name_length);
    writer_be32(writer, credential->uid);
    writer_be32(writer, credential->gid);
    writer_be32(writer, 0);
    if (!writer->failed)
        writer_patch_be32(writer, length_at, (uint32_t)(writer->length - length_at - 4));
}

void onc__call_write(struct writer *writer, const struct onc_callback *callback)
{
    writer_be32(writer, callback->xid);
    writer_be32(writer, ONC__CALL);
    writer_be32(writer, ONC__VERSION);
    writer_be32(writer, callback->program);
    writer_be32(writer, callback->version);
    writer_be32(writer, callback->procedure);
    writer_be32(writer, callback->credential.flavor);
    if (callback->credential.flavor == ONC_AUTH_SYS)
        write_sys_credential(writer, &callback->credential);
    else
        writer_be32(writer, 0);
    write_empty_verifier(writer);
}

enum err onc__reply_read(struct reader *reader)
{
    uint32_t stat, verifier_flavor, status;
    struct reader verifier;

    if (!reader_be32(reader, &stat) || stat > ONC__DENIED)
        return ERR_BADXDR;
    if (stat == ONC__DENIED) {
        if (!reader_be32(reader, &status))
            return ERR_BADXDR;
        return status == ONC__DENIED_AUTH ? ERR_ACCES : ERR_NOTSUPP;
    }
    if (!read_auth(reader, &verifier_flavor, &verifier) || !reader_be32(reader, &status))
        return ERR_BADXDR;
    switch (status) {
    case ONC__SUCCESS:
        return ERR_OK;
    case ONC__PROG_UNAVAIL:
    case ONC__PROG_MISMATCH:
    case ONC__PROC_UNAVAIL:
        return ERR_NOTSUPP;
    case ONC__GARBAGE_ARGS:
        return ERR_BADXDR;
    default:
        return ERR_SERVERFAULT;
    }
}
