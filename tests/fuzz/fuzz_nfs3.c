/*
 * fuzz_nfs3.c - the argument decoders of NFS version 3: the first byte chooses the procedure.
 */
#include "dittofs/nfs.h"
#include "nfs/v3/nfs3_args.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All bytes that decoded arguments refer to lie within the input. */
static void check_part(const uint8_t *data, size_t size, const uint8_t *part, size_t length)
{
    if (length > size || (length > 0 && (part < data || part > data + (size - length))))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    union nfs3_args args;
    struct reader reader;
    uint32_t procedure;

    if (size == 0)
        return 0;
    procedure = data[0] % (NFS3_PROCEDURES + 1);
    reader = reader_of(data + 1, size - 1);
    if (!nfs3__decode_call(procedure, &reader, &args) || procedure == NFS3_NULL)
        return 0;
    /* The first handle lies at the same place in every member of the union. */
    check_part(data, size, args.handle.data, args.handle.length);
    if (args.handle.length > NFS3_FHSIZE)
        abort();
    if (procedure == NFS3_LOOKUP || procedure == NFS3_RENAME || procedure == NFS3_MKDIR)
        check_part(data, size, args.where.name.bytes, args.where.name.length);
    if (procedure == NFS3_RENAME)
        check_part(data, size, args.rename.to.name.bytes, args.rename.to.name.length);
    if (procedure == NFS3_WRITE)
        check_part(data, size, args.write.data, args.write.data_length);
    if (procedure == NFS3_SYMLINK)
        check_part(data, size, args.symlink.target, args.symlink.target_length);
    return 0;
}
