/*
 * test_dcerpc.c - binding, fragments and faults of a pipe, and what the three services answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth_fixture.h"
#include "smb/pipe/dcerpc.h"
#include "smb/pipe/pipe_priv.h"

#include <stdio.h>

enum {
    REQUEST = 0,
    RESPONSE = 2,
    FAULT = 3,
    BIND = 11,
    BIND_ACK = 12,
    BIND_NAK = 13,
    ALTER = 14,
    ALTERED = 15
};
enum { FIRST = 1, LAST = 2, WHOLE = 3 };
enum { SHARES = 300 };

static const uint8_t ndr_syntax[20] = {0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8,
                                       0x08, 0x00, 0x2b, 0x10, 0x48, 0x60, 0x02, 0x00, 0x00, 0x00};

static struct peer {
    struct identity *identity;
    struct dcerpc_world world;
    struct dcerpc_pipe *pipe;
    struct writer sent;
    struct ndr_out stub;
    uint8_t reply[DCERPC_REPLY_MAX];
    size_t reply_length;
    size_t share_count;
} peer;
static char share_names[SHARES][16];

static const void *next_share(void *data, const void *at, struct dcerpc_share *share_r)
{
    size_t next = at == NULL ? 0 : (size_t)((const char(*)[16])at - share_names) + 1;

    (void)data;
    if (next >= peer.share_count)
        return NULL;
    *share_r = (struct dcerpc_share){.name = share_names[next], .comment = "a comment", .hidden = next == 1};
    return share_names[next];
}

static int set_up(void **state)
{
    (void)state;
    memset(&peer, 0, sizeof peer);
    peer.identity = fixture_identity();
    peer.world = (struct dcerpc_world){
        .identity = peer.identity, .user = "alice", .comment = "its comment", .next_share = next_share};
    peer.share_count = 3;
    for (size_t i = 0; i < SHARES; i++)
        snprintf(share_names[i], sizeof share_names[i], "share%zu", i);
    writer_init_growing(&peer.sent, 1 << 20);
    writer_init_growing(&peer.stub.writer, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dcerpc_pipe_free(&peer.pipe);
    writer_free(&peer.sent);
    writer_free(&peer.stub.writer);
    ident_close(&peer.identity);
    return 0;
}

/* ---- what a client writes ---- */

static void head(uint8_t type, uint8_t flags, size_t length, uint16_t auth_length)
{
    writer_truncate(&peer.sent, 0);
    writer_u8(&peer.sent, 5);
    writer_u8(&peer.sent, 0);
    writer_u8(&peer.sent, type);
    writer_u8(&peer.sent, flags);
    writer_le32(&peer.sent, 0x10);
    writer_le16(&peer.sent, (uint16_t)length);
    writer_le16(&peer.sent, auth_length);
    writer_le32(&peer.sent, 77);
}

static enum err send_in_pieces(size_t piece)
{
    size_t at = 0;

    while (at < peer.sent.length) {
        size_t part = peer.sent.length - at < piece ? peer.sent.length - at : piece;
        enum err err = dcerpc_pipe_write(peer.pipe, &peer.world, peer.sent.data + at, part);

        if (err != ERR_OK)
            return err;
        at += part;
    }
    return ERR_OK;
}

/* All messages that wait; each must be one fragment. */
static size_t take_all(void)
{
    size_t count = 0, left, message;

    peer.reply_length = 0;
    while (dcerpc_pipe_peek(peer.pipe, NULL, 0, &message) > 0) {
        size_t got = dcerpc_pipe_read(peer.pipe, peer.reply + peer.reply_length, message, &left);

        assert_int_equal(got, message);
        assert_int_equal(left, 0);
        assert_int_equal(peer.reply[peer.reply_length + 8] | peer.reply[peer.reply_length + 9] << 8, message);
        peer.reply_length += got;
        count++;
    }
    return count;
}

static void write_bind(uint8_t type, const uint8_t uuid[16], uint16_t major, uint16_t id,
                       const uint8_t *transfer)
{
    head(type, WHOLE, 72, 0);
    writer_le16(&peer.sent, 4280);
    writer_le16(&peer.sent, 2000);
    writer_le32(&peer.sent, 0);
    writer_le32(&peer.sent, 1);
    writer_le16(&peer.sent, id);
    writer_le16(&peer.sent, 1);
    writer_bytes(&peer.sent, uuid, 16);
    writer_le16(&peer.sent, major);
    writer_le16(&peer.sent, 0);
    writer_bytes(&peer.sent, transfer, 20);
    assert_int_equal(peer.sent.length, 72);
}

static void open_pipe(const struct dcerpc_interface *interface)
{
    dcerpc_pipe_free(&peer.pipe);
    peer.pipe = dcerpc_pipe_new(interface);
    assert_non_null(peer.pipe);
    write_bind(BIND, interface->uuid, interface->major, 0, ndr_syntax);
    assert_int_equal(send_in_pieces(72), ERR_OK);
    assert_int_equal(take_all(), 1);
    assert_int_equal(peer.reply[2], BIND_ACK);
}

static void write_request(uint8_t flags, uint16_t context, uint16_t operation, const void *stub,
                          size_t length)
{
    head(REQUEST, flags, 24 + length, 0);
    writer_le32(&peer.sent, (uint32_t)length);
    writer_le16(&peer.sent, context);
    writer_le16(&peer.sent, operation);
    if (length > 0)
        writer_bytes(&peer.sent, stub, length);
}

/* Sends what is in peer.stub, puts the answer's fragments together; the stub of the reply. A fault fails. */
static struct ndr_in call(uint16_t operation)
{
    static uint8_t stub[DCERPC_REPLY_MAX];
    size_t length = 0, at = 0;

    write_request(WHOLE, 0, operation, peer.stub.writer.data, peer.stub.writer.length);
    assert_int_equal(send_in_pieces(SIZE_MAX), ERR_OK);
    writer_truncate(&peer.stub.writer, 0);
    assert_true(take_all() > 0);
    while (at < peer.reply_length) {
        size_t fragment = (size_t)(peer.reply[at + 8] | peer.reply[at + 9] << 8);

        assert_int_equal(peer.reply[at + 2], RESPONSE);
        assert_int_equal((peer.reply[at + 3] & FIRST) != 0, at == 0);
        assert_int_equal((peer.reply[at + 3] & LAST) != 0, at + fragment == peer.reply_length);
        assert_true(fragment <= 2000);
        memcpy(stub + length, peer.reply + at + 24, fragment - 24);
        length += fragment - 24;
        at += fragment;
    }
    return ndr_in_of(stub, length);
}

static uint32_t call_for_fault(uint16_t operation)
{
    struct reader reader;
    uint32_t status = 0;

    write_request(WHOLE, 0, operation, peer.stub.writer.data, peer.stub.writer.length);
    assert_int_equal(send_in_pieces(SIZE_MAX), ERR_OK);
    writer_truncate(&peer.stub.writer, 0);
    assert_int_equal(take_all(), 1);
    assert_int_equal(peer.reply[2], FAULT);
    reader = reader_of(peer.reply + 24, peer.reply_length - 24);
    assert_true(reader_le32(&reader, &status));
    return status;
}

static void put_server_name(void)
{
    ndr_put_pointer(&peer.stub, true);
    ndr_put_string(&peer.stub, "\\\\server");
}

static void expect_text(struct ndr_in *in, const char *text)
{
    char got[256];

    ndr_get_string(in, got, sizeof got);
    assert_string_equal(got, text);
}

static void expect_all_read(struct ndr_in *in)
{
    assert_false(in->failed);
    assert_int_equal(in->reader.left, 0);
}

/* ---- the pipe ---- */

static void test_bind(void **state)
{
    static const uint8_t other[20] = {1};

    (void)state;
    assert_null(dcerpc_find("spoolss"));
    assert_ptr_equal(dcerpc_find("SRVSVC"), &dcerpc_srvsvc);
    open_pipe(&dcerpc_srvsvc);
    /* an interface that is not behind this pipe, and a transfer syntax that nobody has */
    write_bind(ALTER, dcerpc_lsarpc.uuid, 0, 1, ndr_syntax);
    assert_int_equal(send_in_pieces(1), ERR_OK);
    assert_int_equal(take_all(), 1);
    assert_int_equal(peer.reply[2], ALTERED);
    assert_memory_equal(peer.reply + 32, "\2\0\1\0", 4);
    write_bind(ALTER, dcerpc_srvsvc.uuid, 3, 1, other);
    assert_int_equal(send_in_pieces(7), ERR_OK);
    assert_int_equal(take_all(), 1);
    assert_memory_equal(peer.reply + 32, "\2\0\2\0", 4);
    write_bind(ALTER, dcerpc_srvsvc.uuid, 3, 1, ndr_syntax);
    assert_int_equal(send_in_pieces(72), ERR_OK);
    assert_int_equal(take_all(), 1);
    assert_memory_equal(peer.reply + 32, "\0\0\0\0", 4);
    /* a context that was not agreed on */
    put_server_name();
    write_request(WHOLE, 9, 28, peer.stub.writer.data, peer.stub.writer.length);
    assert_int_equal(send_in_pieces(5), ERR_OK);
    assert_int_equal(take_all(), 1);
    assert_int_equal(peer.reply[2], FAULT);
    /* a second BIND breaks it */
    write_bind(BIND, dcerpc_srvsvc.uuid, 3, 0, ndr_syntax);
    assert_int_equal(send_in_pieces(72), ERR_BADXDR);
    assert_true(dcerpc_pipe_is_broken(peer.pipe));
}

static void test_bind_with_authentication(void **state)
{
    (void)state;
    peer.pipe = dcerpc_pipe_new(&dcerpc_srvsvc);
    head(BIND, WHOLE, 32, 8);
    writer_zeros(&peer.sent, 16);
    assert_int_equal(send_in_pieces(100), ERR_OK);
    assert_int_equal(take_all(), 1);
    assert_int_equal(peer.reply[2], BIND_NAK);
    assert_int_equal(peer.reply[16], 8);
}

static void test_broken_streams(void **state)
{
    static const struct {
        uint8_t type, flags, version, representation;
        uint16_t length;
    } cases[] = {
        {REQUEST, WHOLE, 5, 0x10, 15},  {REQUEST, WHOLE, 4, 0x10, 24},  {REQUEST, WHOLE, 5, 0x00, 24},
        {RESPONSE, WHOLE, 5, 0x10, 24}, {REQUEST, LAST, 5, 0x10, 24},   {REQUEST, WHOLE, 5, 0x10, 20},
        {99, WHOLE, 5, 0x10, 16},       {ALTERED, WHOLE, 5, 0x10, 100},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_pipe(&dcerpc_srvsvc);
        head(cases[i].type, cases[i].flags, cases[i].length, 0);
        peer.sent.data[0] = cases[i].version;
        peer.sent.data[4] = cases[i].representation;
        if (cases[i].length > 16)
            writer_zeros(&peer.sent, cases[i].length - 16U);
        assert_int_equal(send_in_pieces(11), ERR_BADXDR);
        assert_int_equal(send_in_pieces(11), ERR_BADXDR);
        assert_int_equal(take_all(), 0);
    }
}

static void test_request_in_fragments(void **state)
{
    uint8_t *stub;
    size_t length;

    (void)state;
    open_pipe(&dcerpc_srvsvc);
    put_server_name();
    ndr_put_string(&peer.stub, "a name");
    ndr_put_u32(&peer.stub, 9);
    ndr_put_u32(&peer.stub, 0);
    stub = peer.stub.writer.data;
    length = peer.stub.writer.length;
    write_request(FIRST, 0, 33, stub, 10);
    assert_int_equal(send_in_pieces(3), ERR_OK);
    write_request(0, 0, 33, stub + 10, 20);
    assert_int_equal(send_in_pieces(3), ERR_OK);
    assert_int_equal(take_all(), 0);
    write_request(LAST, 0, 33, stub + 30, length - 30);
    assert_int_equal(send_in_pieces(3), ERR_OK);
    assert_int_equal(take_all(), 1);
    assert_int_equal(peer.reply[2], RESPONSE);
    assert_memory_equal(peer.reply + 24, "\0\0\0\0", 4);
}

/* A request that grows without end is a fault, and the pipe goes on. */
static void test_request_too_large(void **state)
{
    static uint8_t zeros[4000];

    (void)state;
    open_pipe(&dcerpc_srvsvc);
    for (size_t i = 0; i <= DCERPC_REQUEST_MAX / sizeof zeros + 1; i++) {
        write_request(i == 0 ? FIRST : 0, 0, 33, zeros, sizeof zeros);
        assert_int_equal(send_in_pieces(SIZE_MAX), ERR_OK);
    }
    write_request(LAST, 0, 33, zeros, 4);
    assert_int_equal(send_in_pieces(SIZE_MAX), ERR_OK);
    assert_int_equal(take_all(), 1);
    assert_int_equal(peer.reply[2], FAULT);
    put_server_name();
    call(28);
}

/* Replies that nobody reads are bounded. */
static void test_unread_replies(void **state)
{
    enum err err = ERR_OK;
    size_t i;

    (void)state;
    peer.share_count = SHARES;
    open_pipe(&dcerpc_srvsvc);
    put_server_name();
    for (i = 0; i < 1000000 && err == ERR_OK; i++) {
        write_request(WHOLE, 0, 28, peer.stub.writer.data, peer.stub.writer.length);
        err = send_in_pieces(SIZE_MAX);
    }
    assert_int_equal(err, ERR_LIMIT);
    assert_in_range(i, 1000, DCERPC_REPLY_MAX / 60);
}

static void test_faults(void **state)
{
    (void)state;
    open_pipe(&dcerpc_srvsvc);
    assert_int_equal(call_for_fault(999), DCERPC_FAULT_NO_OPERATION);
    assert_int_equal(call_for_fault(0), DCERPC_FAULT_NO_OPERATION);
    assert_int_equal(call_for_fault(15), DCERPC_FAULT_BAD_STUB);
    open_pipe(&dcerpc_lsarpc);
    assert_int_equal(call_for_fault(77), DCERPC_FAULT_ACCESS_DENIED);
    assert_int_equal(call_for_fault(14), DCERPC_FAULT_BAD_STUB);
}

/* ---- srvsvc ---- */

static struct ndr_in enumerate(uint32_t level, uint32_t most, uint32_t resume)
{
    put_server_name();
    ndr_put_u32(&peer.stub, level);
    ndr_put_u32(&peer.stub, level);
    ndr_put_pointer(&peer.stub, true);
    ndr_put_u32(&peer.stub, 0);
    ndr_put_pointer(&peer.stub, false);
    ndr_put_u32(&peer.stub, most);
    ndr_put_pointer(&peer.stub, true);
    ndr_put_u32(&peer.stub, resume);
    return call(15);
}

static void expect_end(struct ndr_in *in, uint32_t total, uint32_t resume, uint32_t status)
{
    assert_int_equal(ndr_get_u32(in), total);
    assert_true(ndr_get_pointer(in));
    assert_int_equal(ndr_get_u32(in), resume);
    assert_int_equal(ndr_get_u32(in), status);
    expect_all_read(in);
}

static void test_share_enum(void **state)
{
    struct ndr_in in;

    (void)state;
    open_pipe(&dcerpc_srvsvc);
    in = enumerate(1, UINT32_MAX, 0);
    ndr_skip(&in, 12);
    assert_int_equal(ndr_get_u32(&in), 3); /* IPC$ and two of three: one is hidden */
    assert_true(ndr_get_pointer(&in));
    assert_int_equal(ndr_get_u32(&in), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(ndr_get_pointer(&in));
        assert_int_equal(ndr_get_u32(&in), i == 0 ? UINT32_C(0x80000003) : 0);
        assert_true(ndr_get_pointer(&in));
    }
    expect_text(&in, "IPC$");
    expect_text(&in, "Remote IPC");
    expect_text(&in, "share0");
    expect_text(&in, "a comment");
    expect_text(&in, "share2");
    expect_text(&in, "a comment");
    expect_end(&in, 3, 0, WERROR_OK);
}

static void test_share_enum_levels(void **state)
{
    static const struct {
        uint32_t level, user, admin; /* status */
    } cases[] = {{0, 0, 0},
                 {1, 0, 0},
                 {2, 0, 0},
                 {501, 0, 0},
                 {502, WERROR_ACCESS_DENIED, 0},
                 {503, WERROR_INVALID_LEVEL, WERROR_INVALID_LEVEL}};

    (void)state;
    open_pipe(&dcerpc_srvsvc);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        uint32_t status;
        struct ndr_in in;

        peer.world.is_admin = i % 2 == 1;
        in = enumerate(cases[i / 2].level, UINT32_MAX, 0);
        in.reader.at += in.reader.left - 4;
        in.reader.left = 4;
        status = ndr_get_u32(&in);
        assert_int_equal(status, i % 2 == 1 ? cases[i / 2].admin : cases[i / 2].user);
    }
}

/* More than one fragment, and more than one call. */
static void test_share_enum_in_parts(void **state)
{
    uint32_t resume = 0, seen = 0, status;

    (void)state;
    peer.share_count = SHARES;
    open_pipe(&dcerpc_srvsvc);
    do {
        struct ndr_in in = enumerate(0, 20000, resume);
        uint32_t count, total;

        ndr_skip(&in, 12);
        count = ndr_get_u32(&in);
        assert_in_range(count, 1, SHARES - 1);
        ndr_skip(&in, 8 + 4 * count);
        for (uint32_t i = 0; i < count; i++)
            ndr_get_string(&in, NULL, 0);
        total = ndr_get_u32(&in);
        assert_int_equal(total, SHARES - seen);
        seen += count;
        assert_true(ndr_get_pointer(&in));
        resume = ndr_get_u32(&in);
        status = ndr_get_u32(&in);
        expect_all_read(&in);
    } while (status == WERROR_MORE_DATA);
    assert_int_equal(status, WERROR_OK);
    assert_int_equal(seen, SHARES);
}

static uint32_t share_info(const char *name, uint32_t level)
{
    struct ndr_in in;

    put_server_name();
    ndr_put_string(&peer.stub, name);
    ndr_put_u32(&peer.stub, level);
    in = call(16);
    assert_int_equal(ndr_get_u32(&in), level);
    if (ndr_get_pointer(&in) && level == 2) {
        ndr_skip(&in, 8 * 4);
        expect_text(&in, "share1");
        expect_text(&in, "a comment");
        expect_text(&in, "C:\\share1");
        assert_int_equal(ndr_get_u32(&in), 0);
        expect_all_read(&in);
        return 0;
    }
    in.reader.at += in.reader.left - 4;
    in.reader.left = 4;
    return ndr_get_u32(&in);
}

static void test_share_info(void **state)
{
    (void)state;
    open_pipe(&dcerpc_srvsvc);
    assert_int_equal(share_info("SHARE1", 2), 0);
    assert_int_equal(share_info("ipc$", 1), 0);
    assert_int_equal(share_info("share1", 1005), 0);
    assert_int_equal(share_info("none", 1), WERROR_NET_NAME_NOT_FOUND);
    assert_int_equal(share_info("share1", 502), WERROR_ACCESS_DENIED);
    assert_int_equal(share_info("share1", 77), WERROR_INVALID_LEVEL);
}

static void test_server_info(void **state)
{
    struct ndr_in in;

    (void)state;
    open_pipe(&dcerpc_srvsvc);
    put_server_name();
    ndr_put_u32(&peer.stub, 102);
    in = call(21);
    ndr_skip(&in, 4 * 15);
    expect_text(&in, "SERVER");
    expect_text(&in, "its comment");
    expect_text(&in, "C:\\");
    assert_int_equal(ndr_get_u32(&in), WERROR_OK);
    expect_all_read(&in);
    put_server_name();
    ndr_put_u32(&peer.stub, 103);
    in = call(21);
    ndr_skip(&in, 8);
    assert_int_equal(ndr_get_u32(&in), WERROR_INVALID_LEVEL);
    expect_all_read(&in);
}

static void test_refused(void **state)
{
    struct ndr_in in;

    (void)state;
    open_pipe(&dcerpc_srvsvc);
    put_server_name();
    ndr_put_pointer(&peer.stub, false);
    ndr_put_pointer(&peer.stub, true);
    ndr_put_string(&peer.stub, "");
    ndr_put_u32(&peer.stub, 10);
    ndr_put_u32(&peer.stub, 10);
    ndr_put_pointer(&peer.stub, true);
    ndr_put_u32(&peer.stub, 0);
    ndr_put_pointer(&peer.stub, false);
    ndr_put_u32(&peer.stub, UINT32_MAX);
    ndr_put_pointer(&peer.stub, true);
    ndr_put_u32(&peer.stub, 0);
    in = call(12);
    ndr_skip(&in, 20);
    expect_end(&in, 0, 0, WERROR_ACCESS_DENIED);
    in = call(18);
    assert_int_equal(ndr_get_u32(&in), WERROR_ACCESS_DENIED);
    expect_all_read(&in);
}

static uint32_t validate(const char *name, uint32_t type, uint32_t flags)
{
    struct ndr_in in;

    ndr_put_pointer(&peer.stub, false);
    ndr_put_string(&peer.stub, name);
    ndr_put_u32(&peer.stub, type);
    ndr_put_u32(&peer.stub, flags);
    in = call(33);
    return ndr_get_u32(&in);
}

static void test_name_validate(void **state)
{
    char longer[82];

    (void)state;
    memset(longer, 'x', 81);
    longer[81] = '\0';
    open_pipe(&dcerpc_srvsvc);
    assert_int_equal(validate("data", 9, 0), WERROR_OK);
    assert_int_equal(validate(longer + 1, 9, 0), WERROR_OK);
    assert_int_equal(validate(longer, 9, 0), WERROR_INVALID_NAME);
    assert_int_equal(validate("", 9, 0), WERROR_INVALID_NAME);
    assert_int_equal(validate("a\\b", 9, 0), WERROR_INVALID_NAME);
    assert_int_equal(validate("a", 17, 0), WERROR_INVALID_PARAMETER);
    assert_int_equal(validate("a", 9, 1), WERROR_INVALID_PARAMETER);
}

/* ---- wkssvc ---- */

static void test_workstation(void **state)
{
    struct ndr_in in;

    (void)state;
    open_pipe(&dcerpc_wkssvc);
    put_server_name();
    ndr_put_u32(&peer.stub, 102);
    in = call(0);
    ndr_skip(&in, 4 * 9);
    expect_text(&in, "SERVER");
    expect_text(&in, "WORKGROUP");
    expect_text(&in, "");
    assert_int_equal(ndr_get_u32(&in), WERROR_OK);
    expect_all_read(&in);
}

/* ---- lsarpc ---- */

static uint8_t policy[DCERPC_HANDLE_SIZE];

static uint32_t open_policy(uint32_t access)
{
    struct ndr_in in;

    put_server_name();
    ndr_put_u32(&peer.stub, 24);
    ndr_put_u32(&peer.stub, 0);
    ndr_put_u32(&peer.stub, 0);
    ndr_put_u32(&peer.stub, 0);
    ndr_put_u32(&peer.stub, 0);
    ndr_put_pointer(&peer.stub, true);
    ndr_put_u32(&peer.stub, 12);
    ndr_put_u16(&peer.stub, 2);
    ndr_put_u16(&peer.stub, 1);
    ndr_put_u32(&peer.stub, access);
    in = call(44);
    ndr_get_bytes(&in, policy, sizeof policy);
    return ndr_get_u32(&in);
}

static void test_policies(void **state)
{
    uint8_t first[DCERPC_HANDLE_SIZE];
    struct ndr_in in;

    (void)state;
    open_pipe(&dcerpc_lsarpc);
    assert_int_equal(open_policy(0x02000000), 0);
    memcpy(first, policy, sizeof first);
    assert_int_equal(open_policy(0x801), 0);
    assert_int_equal(open_policy(0xf0fff), 0xC0000022);
    for (unsigned i = 2; i < DCERPC_HANDLES_MAX; i++)
        assert_int_equal(open_policy(0x801), 0);
    assert_int_equal(open_policy(0x801), 0xC000009A);
    for (unsigned i = 0; i < 2; i++) {
        ndr_put_bytes(&peer.stub, first, sizeof first);
        in = call(0);
        ndr_skip(&in, DCERPC_HANDLE_SIZE);
        assert_int_equal(ndr_get_u32(&in), i == 0 ? 0 : 0xC0000008);
    }
    assert_int_equal(open_policy(0x801), 0);
    ndr_put_bytes(&peer.stub, policy, sizeof policy);
    ndr_put_u16(&peer.stub, 5);
    in = call(7);
    assert_true(ndr_get_pointer(&in));
    assert_int_equal(ndr_get_u32(&in), 5);
    assert_true(ndr_get_unicode_head(&in));
    assert_true(ndr_get_pointer(&in));
    expect_text(&in, "SERVER");
    {
        struct sid sid;

        ndr_get_sid(&in, &sid);
        assert_true(ident_sid_equal(&sid, ident_machine_sid(peer.identity)));
    }
    assert_int_equal(ndr_get_u32(&in), 0);
    expect_all_read(&in);
}

static void put_names(const char *const *names, uint32_t count)
{
    ndr_put_bytes(&peer.stub, policy, sizeof policy);
    ndr_put_u32(&peer.stub, count);
    ndr_put_u32(&peer.stub, count);
    for (uint32_t i = 0; i < count; i++)
        ndr_put_unicode_head(&peer.stub, names[i]);
    for (uint32_t i = 0; i < count; i++)
        ndr_put_unicode_text(&peer.stub, names[i]);
    ndr_put_u32(&peer.stub, 0);
    ndr_put_pointer(&peer.stub, false);
    ndr_put_u16(&peer.stub, 1);
    ndr_put_u32(&peer.stub, 0);
}

static void skip_domains(struct ndr_in *in, uint32_t expected)
{
    struct sid sid;

    assert_true(ndr_get_pointer(in));
    assert_int_equal(ndr_get_u32(in), expected);
    ndr_skip(in, 8);
    assert_int_equal(ndr_get_u32(in), expected);
    for (uint32_t i = 0; i < expected; i++) {
        assert_true(ndr_get_unicode_head(in));
        assert_true(ndr_get_pointer(in));
    }
    for (uint32_t i = 0; i < expected; i++) {
        ndr_get_string(in, NULL, 0);
        ndr_get_sid(in, &sid);
    }
}

static void test_lookup_names(void **state)
{
    static const char *const names[] = {"alice", "nobody at all", "SERVER\\mallory", "Everyone"};
    static const uint32_t uses[] = {1, 8, 1, 5};
    struct ndr_in in;

    (void)state;
    open_pipe(&dcerpc_lsarpc);
    assert_int_equal(open_policy(0x801), 0);
    put_names(names, 4);
    in = call(14);
    skip_domains(&in, 2);
    assert_int_equal(ndr_get_u32(&in), 4);
    assert_true(ndr_get_pointer(&in));
    assert_int_equal(ndr_get_u32(&in), 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ndr_get_u32(&in) & 0xffff, uses[i]);
        assert_int_equal(ndr_get_u32(&in), i == 0 ? 3000 : i == 2 ? 3004 : 0);
        assert_int_equal(ndr_get_u32(&in), i == 1 ? UINT32_MAX : i == 3 ? 1 : 0);
    }
    assert_int_equal(ndr_get_u32(&in), 3);
    assert_int_equal(ndr_get_u32(&in), 0x107);
    expect_all_read(&in);
    /* with whole SIDs */
    put_names(names, 1);
    ndr_put_u32(&peer.stub, 0);
    ndr_put_u32(&peer.stub, 2);
    in = call(68);
    skip_domains(&in, 1);
    ndr_skip(&in, 12 + 4);
    assert_true(ndr_get_pointer(&in));
    ndr_skip(&in, 8);
    {
        struct sid sid, alice = ident_uid_to_sid(peer.identity, 1000);

        ndr_get_sid(&in, &sid);
        assert_true(ident_sid_equal(&sid, &alice));
    }
    assert_int_equal(ndr_get_u32(&in), 1);
    assert_int_equal(ndr_get_u32(&in), 0);
    expect_all_read(&in);
    put_names(names + 1, 1);
    in = call(14);
    skip_domains(&in, 0);
    ndr_skip(&in, 12 + 12 + 4);
    assert_int_equal(ndr_get_u32(&in), 0xC0000073);
    /* a handle that is none */
    memset(policy, 1, sizeof policy);
    put_names(names, 1);
    in = call(14);
    ndr_skip(&in, 16);
    assert_int_equal(ndr_get_u32(&in), 0xC0000008);
    expect_all_read(&in);
}

static void test_lookup_sids(void **state)
{
    struct sid sids[3];
    struct ndr_in in;

    (void)state;
    open_pipe(&dcerpc_lsarpc);
    assert_int_equal(open_policy(0x801), 0);
    sids[0] = ident_uid_to_sid(peer.identity, 1001);
    assert_true(ident_sid_parse("S-1-5-21-1-2-3-4", &sids[1]));
    sids[2] = sid_administrators;
    ndr_put_bytes(&peer.stub, policy, sizeof policy);
    ndr_put_u32(&peer.stub, 3);
    ndr_put_pointer(&peer.stub, true);
    ndr_put_u32(&peer.stub, 3);
    for (unsigned i = 0; i < 3; i++)
        ndr_put_pointer(&peer.stub, true);
    for (unsigned i = 0; i < 3; i++)
        ndr_put_sid(&peer.stub, &sids[i]);
    ndr_put_u32(&peer.stub, 0);
    ndr_put_pointer(&peer.stub, false);
    ndr_put_u16(&peer.stub, 1);
    ndr_put_u32(&peer.stub, 0);
    in = call(15);
    skip_domains(&in, 2);
    assert_int_equal(ndr_get_u32(&in), 3);
    ndr_skip(&in, 8 + 3 * 16);
    expect_text(&in, "\xc3\x9cnal");
    expect_text(&in, "S-1-5-21-1-2-3-4");
    expect_text(&in, "Administrators");
    assert_int_equal(ndr_get_u32(&in), 2);
    assert_int_equal(ndr_get_u32(&in), 0x107);
    expect_all_read(&in);
}

static void test_user_name(void **state)
{
    struct ndr_in in;

    (void)state;
    open_pipe(&dcerpc_lsarpc);
    put_server_name();
    ndr_put_pointer(&peer.stub, false);
    ndr_put_pointer(&peer.stub, true);
    ndr_put_pointer(&peer.stub, false);
    in = call(45);
    assert_true(ndr_get_pointer(&in));
    assert_true(ndr_get_unicode_head(&in));
    expect_text(&in, "alice");
    assert_true(ndr_get_pointer(&in));
    assert_true(ndr_get_pointer(&in));
    assert_true(ndr_get_unicode_head(&in));
    expect_text(&in, "SERVER");
    assert_int_equal(ndr_get_u32(&in), 0);
    expect_all_read(&in);
}

/* ---- reading ---- */

static void test_read_in_parts(void **state)
{
    uint8_t buffer[64];
    size_t left, message, whole;

    (void)state;
    open_pipe(&dcerpc_srvsvc);
    put_server_name();
    write_request(WHOLE, 0, 28, peer.stub.writer.data, peer.stub.writer.length);
    assert_int_equal(send_in_pieces(SIZE_MAX), ERR_OK);
    assert_int_equal(send_in_pieces(SIZE_MAX), ERR_OK);
    assert_true(dcerpc_pipe_peek(peer.pipe, NULL, 0, &whole) == 2 * whole);
    assert_int_equal(dcerpc_pipe_read(peer.pipe, buffer, 10, &left), 10);
    assert_int_equal(left, whole - 10);
    assert_int_equal(dcerpc_pipe_peek(peer.pipe, NULL, 0, &message), 2 * whole - 10);
    assert_int_equal(message, whole - 10);
    assert_int_equal(dcerpc_pipe_read(peer.pipe, peer.reply, sizeof peer.reply, &left), whole - 10);
    assert_int_equal(left, 0);
    assert_int_equal(take_all(), 1);
    assert_int_equal(dcerpc_pipe_read(peer.pipe, buffer, 10, &left), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bind_with_authentication, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_broken_streams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_request_in_fragments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_request_too_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unread_replies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_share_enum, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_share_enum_levels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_share_enum_in_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_share_info, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_info, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_name_validate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_workstation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_policies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lookup_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lookup_sids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_user_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_in_parts, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
