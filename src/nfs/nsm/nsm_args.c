/*
 * nsm_args.c - the arguments of NSM's procedures (X/Open XNFS chapter 11).
 */
#include "nfs/nsm/nsm_priv.h"

static bool read_string(struct reader *reader, struct nsm_bytes *bytes_r)
{
    return reader_xdr_opaque(reader, NSM_STRING_MAX, &bytes_r->data, &bytes_r->length);
}

/* my_id */
static bool read_id(struct reader *reader, struct nsm_id *id_r)
{
    return read_string(reader, &id_r->name) && reader_be32(reader, &id_r->program) &&
           reader_be32(reader, &id_r->version) && reader_be32(reader, &id_r->procedure);
}

static bool read_args(enum nsm_procedure procedure, struct reader *reader, struct nsm_args *args)
{
    switch (procedure) {
    case NSM_STAT: /* sm_name */
        return read_string(reader, &args->name);
    case NSM_MON: /* mon */
        return read_string(reader, &args->name) && read_id(reader, &args->id) &&
               reader_copy(reader, args->private_data, NSM_PRIVATE_SIZE);
    case NSM_UNMON: /* mon_id */
        return read_string(reader, &args->name) && read_id(reader, &args->id);
    case NSM_UNMON_ALL: /* my_id */
        return read_id(reader, &args->id);
    case NSM_NOTIFY: /* stat_chge */
        return read_string(reader, &args->name) && reader_be32(reader, &args->state);
    case NSM_NULL:
    case NSM_SIMU_CRASH:
    case NSM_PROCEDURES:
        break;
    }
    return true;
}

bool nsm__decode_call(uint32_t procedure, struct reader *reader, struct nsm_args *args_r)
{
    *args_r = (struct nsm_args){.state = 0};
    return read_args((enum nsm_procedure)procedure, reader, args_r) && reader_is_done(reader);
}
