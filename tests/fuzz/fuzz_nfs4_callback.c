/*
 * fuzz_nfs4_callback.c - the decoder of what a client answers over the back channel: the first byte chooses
 * the operation that it was asked for.
 */
#include "nfs/v4/nfs4_delegation.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t opnums[] = {OP_CB_GETATTR, OP_CB_RECALL, OP_CB_NOTIFY_LOCK, OP_CB_NOTIFY};
    enum { OPNUMS = sizeof opnums / sizeof *opnums };
    struct nfs4_callback_reply reply;
    struct reader reader;
    uint64_t change, length;
    uint32_t minor;

    if (size == 0)
        return 0;
    reader = reader_of(data + 1, size - 1);
    minor = data[0] / OPNUMS % 2;
    if (!nfs4__callback_decode(&reader, minor, opnums[data[0] % OPNUMS], &reply))
        return 0;
    /* An operation is answered only behind a SEQUENCE that was. */
    if (minor > 0 && reply.has_status && reply.sequence_status != NFS4_OK)
        abort();
    if (data[0] % OPNUMS == 0 && nfs4__delegation_decode_attributes(&reader, &change, &length) &&
        change == 0 && length == UINT64_MAX)
        return 0;
    if (reader.at > data + size || reader.left > size)
        abort();
    return 0;
}
