/*
 * fuzz_dcerpc.c - what a client writes to a pipe, and the services behind it.
 *
 * The input: a byte that picks the service, a byte with the size of the pieces that are written (0: all at
 * once), and the stream.
 */
#include "auth_fixture.h"
#include "simclock.h"
#include "smb/pipe/dcerpc.h"

static struct identity *identity;

static const struct dcerpc_share shares[] = {
    {.name = "data", .comment = "all of it"},
    {.name = "hidden", .comment = "", .hidden = true},
    {.name = "\xc3\x9c"
             "bung",
     .comment = ""},
};

static const void *next_share(void *data, const void *at, struct dcerpc_share *share_r)
{
    size_t next = at == NULL ? 0 : (size_t)((const struct dcerpc_share *)at - shares) + 1;

    (void)data;
    if (next == sizeof shares / sizeof *shares)
        return NULL;
    *share_r = shares[next];
    return &shares[next];
}

/* Every message is a fragment whose length is its own. */
static void read_all(struct dcerpc_pipe *pipe, size_t piece)
{
    uint8_t buffer[DCERPC_FRAGMENT];
    size_t left, got, message;

    while (dcerpc_pipe_peek(pipe, buffer, 16, &message) > 0) {
        size_t whole = 0;

        invariant(message >= 16 && message <= DCERPC_FRAGMENT);
        do {
            got = dcerpc_pipe_read(pipe, buffer, piece == 0 ? sizeof buffer : piece, &left);
            invariant(got > 0);
            whole += got;
        } while (left > 0);
        invariant(whole == message);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dcerpc_interface *const interfaces[] = {&dcerpc_srvsvc, &dcerpc_wkssvc,
                                                                &dcerpc_lsarpc};
    struct dcerpc_world world = {.user = "alice", .comment = "a server", .next_share = next_share};
    struct reader reader = reader_of(data, size);
    struct dcerpc_pipe *pipe;
    uint8_t which, piece;

    if (identity == NULL) {
        log_set_level(LOG_LEVEL_ERROR);
        simclock_install();
        identity = fixture_identity();
    }
    if (!reader_u8(&reader, &which) || !reader_u8(&reader, &piece))
        return 0;
    world.identity = identity;
    world.is_admin = (which & 0x80) != 0;
    random_set_seed(7);
    pipe = dcerpc_pipe_new(interfaces[which % 3]);
    invariant(pipe != NULL);
    while (reader.left > 0) {
        size_t part = piece == 0 || piece > reader.left ? reader.left : piece;
        uint8_t *copy = malloc(part);

        invariant(copy != NULL && reader_copy(&reader, copy, part));
        if (dcerpc_pipe_write(pipe, &world, copy, part) != ERR_OK)
            invariant(dcerpc_pipe_is_broken(pipe));
        free(copy);
        read_all(pipe, piece);
    }
    dcerpc_pipe_free(&pipe);
    return 0;
}
