/*
 * fuzz_nfs4_callback.c - the decoder of what a client answers over the back channel: the first byte chooses
 * the operation that it was asked for.
 */
#include "nfs/v4/nfs4_callback.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t opnums[] = {OP_CB_GETATTR, OP_CB_RECALL, OP_CB_NOTIFY_LOCK};
    struct nfs4_callback_reply reply;
    struct reader reader;

    if (size == 0)
        return 0;
    reader = reader_of(data + 1, size - 1);
    if (!nfs4__callback_decode(&reader, opnums[data[0] % 3], &reply))
        return 0;
    /* An operation is answered only behind a SEQUENCE that was. */
    if (reply.has_status && reply.sequence_status != NFS4_OK)
        abort();
    if (reader.at > data + size || reader.left > size)
        abort();
    return 0;
}
