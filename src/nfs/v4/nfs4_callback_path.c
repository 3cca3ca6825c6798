/*
 * nfs4_callback_path.c - can a client be called? The address of 4.0 and its test by CB_NULL; what calls tell
 * of either (RFC 7530 10.2.1, 10.4; RFC 8881 10.2.1).
 *
 * A test is a call with memory of its own, which the client's record owns: both go together. What a call
 * tells is noted by the client's id and the record's generation: another address may have come meanwhile.
 */
#include "nfs/v4/nfs4_callback.h"
#include "nfs/v4/nfs4_server.h"
#include "dittofs/clock.h"
#include "dittofs/rpc_client.h"
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, CB_NULL = 0, TEST_AGAIN_MS = 5000 };

struct nfs4_path_test {
    struct onc_client_call call;
    struct nfs4_client *user;
};

/* ---- the address ---- */

/* 0..255, with nothing else in it. */
static bool decode_octet(const char *text, size_t length, unsigned *octet_r)
{
    unsigned value = 0;

    if (length == 0 || length > 3)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *octet_r = value;
    return value <= 255;
}

bool nfs4__universal_address(const char *netid, const char *text, struct net_address *address_r)
{
    const char *low = strrchr(text, '.'), *high;
    char host[NFS4_ADDRESS_MAX + 1];
    unsigned first, second;
    size_t length;

    if ((strcmp(netid, "tcp") != 0 && strcmp(netid, "tcp6") != 0) || low == NULL)
        return false;
    for (high = low; high > text && high[-1] != '.';)
        high--;
    if (high == text || !decode_octet(high, (size_t)(low - high), &first) ||
        !decode_octet(low + 1, strlen(low + 1), &second) || (first == 0 && second == 0))
        return false;
    length = (size_t)(high - 1 - text);
    if (length >= sizeof host)
        return false;
    memcpy(host, text, length);
    host[length] = '\0';
    return net_address_parse(host, (uint16_t)(first << 8 | second), address_r) == ERR_OK;
}

static bool is_same_host(const struct net_address *a, const struct net_address *b)
{
    uint8_t a_bytes[NFS_ADDRESS_SIZE], b_bytes[NFS_ADDRESS_SIZE];

    nfs__address_bytes(a, a_bytes);
    nfs__address_bytes(b, b_bytes);
    return memcmp(a_bytes, b_bytes, sizeof a_bytes) == 0;
}

void nfs4__path_init(const struct nfs4_compound *compound, struct nfs4_client *user)
{
    const struct onc_call *call = compound->call;

    user->generation = ++compound->server->path_generation;
    user->path = NFS4_PATH_UNKNOWN;
    user->callback_flavor = call->credential.flavor;
    user->callback_uid = call->credential.uid;
    user->callback_gid = call->credential.gid;
    user->has_callback = nfs4__universal_address(user->netid, user->address, &user->callback_address) &&
                         is_same_host(&user->callback_address, &call->peer);
}

/* ---- the test ---- */

static void test_done(struct onc_client_call *call, enum err err, struct reader *results)
{
    struct nfs4_path_test *test = container_of(call, struct nfs4_path_test, call);

    (void)results;
    test->user->path = err == ERR_OK ? NFS4_PATH_UP : NFS4_PATH_DOWN;
    test->user->test = NULL;
    free(test);
}

static enum err begin_test(struct nfs4_server *server, struct nfs4_client *user)
{
    struct nfs4_path_test *test = calloc(1, sizeof *test);
    enum err err;

    if (test == NULL)
        return ERR_NOMEM;
    test->user = user;
    test->call.done = test_done;
    test->call.to = user->callback_address;
    test->call.transport = ONC_TCP;
    test->call.program = user->callback_program;
    test->call.version = VERSION;
    test->call.procedure = CB_NULL;
    test->call.timeout_ms = nfs4__callback_patience_ms(server);
    test->call.credential.flavor = user->callback_flavor;
    test->call.credential.uid = user->callback_uid;
    test->call.credential.gid = user->callback_gid;
    err = onc_client_call(server->outgoing, &test->call, NULL, 0);
    if (err == ERR_OK)
        user->test = test;
    else
        free(test);
    return err;
}

void nfs4__path_test(struct nfs4_server *server, struct client *client)
{
    struct nfs4_client *user = client_user(client);
    uint64_t now_ms = clock_monotonic_ms();

    if (!server->delegations || client_family(client) != NFS4_FAMILY_0 || !user->has_callback ||
        user->test != NULL)
        return;
    if (user->path != NFS4_PATH_UNKNOWN && now_ms - user->tested_ms < TEST_AGAIN_MS)
        return;
    user->tested_ms = now_ms;
    if (begin_test(server, user) != ERR_OK)
        user->path = NFS4_PATH_DOWN;
}

void nfs4__path_release(struct nfs4_client *user)
{
    if (user->test == NULL)
        return;
    onc_client_cancel(&user->test->call);
    free(user->test);
    user->test = NULL;
}

/* ---- what is known ---- */

bool nfs4__path_is_up(struct nfs4_server *server, struct client *client)
{
    const struct nfs4_client *user = client_user(client);

    if (client_family(client) != NFS4_FAMILY_0)
        return user->path != NFS4_PATH_DOWN && nfs4__callback_is_possible(client);
    if (user->path != NFS4_PATH_UP)
        nfs4__path_test(server, client);
    return user->path == NFS4_PATH_UP;
}

bool nfs4__path_is_down(const struct client *client)
{
    const struct nfs4_client *user = client_user(client);

    if (client_family(client) == NFS4_FAMILY_0)
        return user->path == NFS4_PATH_DOWN || !user->has_callback;
    return user->path == NFS4_PATH_DOWN || !nfs4__callback_is_possible(client);
}

void nfs4__path_note(struct nfs4_server *server, uint64_t clientid, uint64_t generation, bool answered)
{
    struct nfs4_client *user;
    struct client *client;

    if (client_by_id(server->state, clientid, &client) != ERR_OK)
        return;
    user = client_user(client);
    if (user != NULL && user->generation == generation)
        user->path = answered ? NFS4_PATH_UP : NFS4_PATH_DOWN;
}
