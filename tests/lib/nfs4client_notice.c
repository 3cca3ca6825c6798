/*
 * nfs4client_notice.c - what CB_NOTIFY brings to a client of NFS version 4 (RFC 8881 20.4), taken apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4client.h"

#include <string.h>

enum { CHILD_ATTRS, DIR_ATTRS, REMOVE_ENTRY, ADD_ENTRY, RENAME_ENTRY };

static void read_name(struct reader *reader, char name[NFS4C_NAME_MAX])
{
    const uint8_t *bytes = NULL;
    uint32_t length = 0;

    assert_true(reader_xdr_opaque(reader, NFS4C_NAME_MAX - 1, &bytes, &length));
    memcpy(name, bytes, length);
    name[length] = '\0';
}

/* The attributes that tests ask for, or none. */
static void read_attributes(struct reader *reader, struct nfs4c_notice *notice)
{
    uint32_t count = 9, words[2] = {0}, length = 1;

    assert_true(reader_be32(reader, &count) && count <= 2);
    for (uint32_t i = 0; i < count; i++)
        assert_true(reader_be32(reader, &words[i]));
    assert_true(reader_be32(reader, &length));
    if (count == 0) {
        assert_int_equal(length, 0);
        return;
    }
    assert_int_equal(words[0], 1u << FATTR4_CHANGE | 1u << FATTR4_SIZE);
    assert_int_equal(words[1], 1u << (FATTR4_MODE - 32));
    assert_int_equal(length, 20);
    assert_true(reader_be64(reader, &notice->change) && reader_be64(reader, &notice->size) &&
                reader_be32(reader, &notice->mode));
    notice->has_attributes = true;
}

static void read_entry(struct reader *reader, char name[NFS4C_NAME_MAX], struct nfs4c_notice *notice)
{
    read_name(reader, name);
    read_attributes(reader, notice);
}

static void read_added(struct reader *reader, char name[NFS4C_NAME_MAX], struct nfs4c_notice *notice)
{
    struct nfs4c_notice other;
    uint32_t count = 9, last = 9;
    uint64_t cookie;

    assert_true(reader_be32(reader, &count) && count <= 1);
    if (count == 1) {
        read_entry(reader, notice->replaced, &other);
        assert_true(reader_be64(reader, &cookie));
    }
    read_entry(reader, name, notice);
    assert_true(reader_be32(reader, &count) && count == 1 && reader_be64(reader, &notice->new_cookie));
    if (notice->replaced[0] != '\0')
        assert_true(cookie == notice->new_cookie);
    assert_true(reader_be32(reader, &count) && count <= 1);
    if (count == 1) {
        read_entry(reader, notice->previous, &other);
        assert_true(reader_be64(reader, &notice->previous_cookie));
    }
    assert_true(reader_be32(reader, &last) && last <= 1);
    notice->last = last;
}

static void read_notice(struct reader *reader, struct nfs4c_notice *notice)
{
    struct nfs4c_notice old;

    switch (notice->type) {
    case CHILD_ATTRS:
    case DIR_ATTRS:
        read_entry(reader, notice->name, notice);
        break;
    case REMOVE_ENTRY:
        read_entry(reader, notice->name, notice);
        assert_true(reader_be64(reader, &notice->cookie));
        break;
    case ADD_ENTRY:
        read_added(reader, notice->name, notice);
        break;
    case RENAME_ENTRY:
        read_entry(reader, notice->name, &old);
        assert_true(reader_be64(reader, &notice->cookie));
        read_added(reader, notice->new_name, notice);
        break;
    default:
        fail_msg("notified of %u", notice->type);
    }
    assert_true(reader_is_done(reader));
}

void nfs4_read_notices(struct nfs4c *c, struct reader *arguments)
{
    uint32_t count = 0, words, mask = 0, length;
    const uint8_t *values;

    assert_true(reader_be32(arguments, &count) && count > 0);
    for (uint32_t i = 0; i < count; i++) {
        struct nfs4c_notice *notice = &c->notices[c->notice_count];
        struct reader reader;

        assert_true(c->notice_count < NFS4C_NOTICES);
        memset(notice, 0, sizeof *notice);
        assert_true(reader_be32(arguments, &words) && words == 1 && reader_be32(arguments, &mask));
        assert_true(mask != 0 && (mask & (mask - 1)) == 0);
        notice->type = (uint32_t)__builtin_ctz(mask);
        assert_true(reader_xdr_opaque(arguments, 4096, &values, &length));
        reader = reader_of(values, length);
        read_notice(&reader, notice);
        c->notice_count++;
    }
}
