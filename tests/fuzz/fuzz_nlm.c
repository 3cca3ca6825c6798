/*
 * fuzz_nlm.c - the argument decoders of NLM and NSM: the first byte chooses the version (0: NSM), the second
 * the procedure. What NLM's decoders take is encoded again where there is an encoder, and must be the same.
 */
#include "nfs/nlm/nlm_wire.h"
#include "nfs/nsm/nsm_priv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All bytes that decoded arguments refer to lie within the input. */
static void check_part(const uint8_t *data, size_t size, const uint8_t *part, size_t length, size_t most)
{
    if (length > most || length > size || (length > 0 && (part < data || part > data + (size - length))))
        abort();
}

static void check_nsm(const uint8_t *data, size_t size, uint32_t procedure)
{
    struct reader reader = reader_of(data, size);
    struct nsm_args args;

    if (!nsm__decode_call(procedure, &reader, &args))
        return;
    check_part(data, size, args.name.data, args.name.length, NSM_STRING_MAX);
    check_part(data, size, args.id.name.data, args.id.name.length, NSM_STRING_MAX);
}

/* Padding may differ: it is decoded again and compared. */
static void check_again(uint32_t version, const struct nlm_args *args)
{
    static uint8_t bytes[8192];
    struct writer writer;
    struct reader reader;
    struct nlm_args again;

    writer_init(&writer, bytes, sizeof bytes);
    nlm__encode_testargs(&writer, version, args->cookie, args->exclusive, &args->lock);
    reader = reader_of(bytes, writer.length);
    if (writer.failed || !nlm__decode_call(version, NLM_GRANTED, &reader, &again) ||
        again.exclusive != args->exclusive || again.lock.svid != args->lock.svid ||
        again.lock.offset != args->lock.offset || again.lock.length != args->lock.length ||
        again.lock.owner.length != args->lock.owner.length ||
        (again.lock.owner.length > 0 &&
         memcmp(again.lock.owner.data, args->lock.owner.data, again.lock.owner.length) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t versions[] = {0, 1, 3, 4};
    struct nlm_args args;
    struct reader reader;
    uint32_t version, procedure;

    if (size < 2)
        return 0;
    version = versions[data[0] % 4];
    procedure = data[1];
    data += 2;
    size -= 2;
    if (version == 0) {
        check_nsm(data, size, procedure % (NSM_PROCEDURES + 1));
        return 0;
    }
    procedure %= NLM_PROCEDURES + 1;
    reader = reader_of(data, size);
    if (!nlm__decode_call(version, procedure, &reader, &args))
        return 0;
    check_part(data, size, args.cookie.data, args.cookie.length, NLM_COOKIE_MAX);
    check_part(data, size, args.lock.caller_name.data, args.lock.caller_name.length, NLM_NAME_MAX);
    check_part(data, size, args.lock.handle.data, args.lock.handle.length, NLM_HANDLE_MAX);
    check_part(data, size, args.lock.owner.data, args.lock.owner.length, NLM_OWNER_MAX);
    if (procedure == NLM_TEST || procedure == NLM_LOCK || procedure == NLM_CANCEL || procedure == NLM_UNLOCK)
        check_again(version, &args);
    return 0;
}
