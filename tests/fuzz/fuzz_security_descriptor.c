/*
 * fuzz_security_descriptor.c - any bytes as a security descriptor: what is read is written, read and written
 * again, the same. And as the text of a SID.
 */
#include "dittofs/log.h"
#include "dittofs/security_descriptor.h"

#include <stdlib.h>
#include <string.h>

static void check_text(const uint8_t *data, size_t size)
{
    char text[SID_TEXT_MAX], *copy = malloc(size + 1);
    struct sid sid, again;

    invariant(copy != NULL);
    memcpy(copy, data, size);
    copy[size] = 0;
    if (ident_sid_parse(copy, &sid)) {
        ident_sid_format(&sid, text);
        invariant(ident_sid_parse(text, &again) && ident_sid_equal(&sid, &again));
    }
    free(copy);
}

static void check_descriptor(struct arena *arena, const uint8_t *data, size_t size)
{
    struct sec_descriptor first, second;
    struct writer one, two;

    if (sec_descriptor_read(arena, data, size, &first) != ERR_OK)
        return;
    writer_init_growing(&one, SEC_DESCRIPTOR_MAX);
    writer_init_growing(&two, SEC_DESCRIPTOR_MAX);
    /* ACEs may share bytes in what was read (two ACLs in one place), so writing can need more than reading.
     */
    if (sec_descriptor_write(&one, &first) == ERR_OK) {
        invariant(one.length == sec_descriptor_size(&first));
        invariant(sec_descriptor_read(arena, one.data, one.length, &second) == ERR_OK);
        invariant(sec_descriptor_write(&two, &second) == ERR_OK);
        invariant(one.length == two.length && memcmp(one.data, two.data, one.length) == 0);
    }
    writer_free(&one);
    writer_free(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;

    arena_init(&arena, 8 << 20);
    check_text(data, size);
    check_descriptor(&arena, data, size);
    arena_reset(&arena);
    return 0;
}
