/*
 * fuzz_mount.c - the argument decoder of MOUNT: the first byte chooses the procedure.
 */
#include "nfs/mount/mount_priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mount_args args = {.path_length = 0};
    struct reader reader;

    if (size == 0)
        return 0;
    reader = reader_of(data + 1, size - 1);
    if (mount__decode_call(data[0] % MOUNT_PROCEDURES, &reader, &args) && args.path_length > 0 &&
        (args.path < data || args.path_length > MOUNT_PATH_MAX || args.path + args.path_length > data + size))
        abort();
    return 0;
}
