/*
 * mount_args.c - the arguments of MOUNT: a path or nothing.
 */
#include "nfs/mount/mount_priv.h"

bool mount__decode_call(uint32_t procedure, struct reader *reader, struct mount_args *args_r)
{
    if ((procedure == MOUNT_MNT || procedure == MOUNT_UMNT) &&
        !reader_xdr_opaque(reader, MOUNT_PATH_MAX, &args_r->path, &args_r->path_length))
        return false;
    return reader_is_done(reader);
}
