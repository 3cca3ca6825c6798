/*
 * test_control.c - the control socket: its lines, good and bad; peers that send halves, nothing, too much, or
 * never read; listings of what clients hold, and what is taken away by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/control_priv.h"
#include "daemon/control_request_priv.h"
#include "dittofs/grant.h"
#include "dittofs/lock.h"
#include "dittofs/owner.h"
#include "dittofs/recovery.h"
#include "dittofs/session.h"
#include "nfsworld.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ---- requests ---- */

struct request_row {
    const char *line;
    size_t length; /* 0: that of the string */
    enum err err;
    unsigned count;
    const char *last;
};

static const struct request_row rows[] = {
    {"status", 0, ERR_OK, 1, "status"},
    {"  user   list\r", 0, ERR_OK, 2, "list"},
    {"opens /a/b%20c", 0, ERR_OK, 2, "/a/b c"},
    {"opens %c3%A9", 0, ERR_OK, 2, "\xc3\xa9"},
    {"opens \xc3\xa9", 0, ERR_OK, 2, "\xc3\xa9"},
    {"", 0, ERR_INVAL, 0, NULL},
    {"   ", 0, ERR_INVAL, 0, NULL},
    {"\r", 0, ERR_INVAL, 0, NULL},
    {"a\tb", 0, ERR_INVAL, 0, NULL},
    {"a\0b", 3, ERR_INVAL, 0, NULL},
    {"a%", 0, ERR_INVAL, 0, NULL},
    {"a%4", 0, ERR_INVAL, 0, NULL},
    {"a%4 1", 0, ERR_INVAL, 0, NULL},
    {"a%00", 0, ERR_INVAL, 0, NULL},
    {"a%zz", 0, ERR_INVAL, 0, NULL},
    {"\x7f", 0, ERR_INVAL, 0, NULL},
};

static void requests(void **state)
{
    struct control_request request;
    char line[CONTROL_LINE_MAX + 2];
    uint64_t number;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t length = rows[i].length != 0 ? rows[i].length : strlen(rows[i].line);

        assert_int_equal(control_request_parse(rows[i].line, length, &request), rows[i].err);
        if (rows[i].err != ERR_OK)
            continue;
        assert_int_equal(request.count, rows[i].count);
        assert_string_equal(request.words[request.count - 1], rows[i].last);
    }
    memset(line, 'a', sizeof line);
    assert_int_equal(control_request_parse(line, CONTROL_LINE_MAX, &request), ERR_OK);
    assert_int_equal(control_request_parse(line, CONTROL_LINE_MAX + 1, &request), ERR_NAMETOOLONG);
    for (size_t i = 0; i < sizeof line; i++)
        line[i] = i % 2 ? ' ' : 'a';
    assert_int_equal(control_request_parse(line, 2 * CONTROL_WORDS_MAX, &request), ERR_OK);
    assert_int_equal(control_request_parse(line, 2 * CONTROL_WORDS_MAX + 1, &request), ERR_INVAL);
    line[0] = '\0';
    assert_int_equal(control_request_add(line, sizeof line, "opens"), ERR_OK);
    assert_int_equal(control_request_add(line, sizeof line, "/a %\n"), ERR_OK);
    assert_string_equal(line, "opens /a%20%25%0a");
    assert_true(control_parse_hex("ff", &number) && number == 255);
    assert_false(control_parse_hex("", &number));
    assert_false(control_parse_hex("0x1", &number));
    assert_false(control_parse_hex("11112222333344445", &number));
    assert_false(control_parse_number("-1", UINT64_MAX, &number));
    assert_false(control_parse_number("5", 4, &number));
    assert_false(control_parse_number(" 1", 4, &number));
}

/* ---- the world ---- */

static struct nfsworld *world;
static struct services services;
static struct smb_service smb;
static struct config config;
static struct control *control;
static char folder[64];
static int reloads;

static enum err reload(void *owner, char *reason)
{
    (void)owner;
    snprintf(reason, CONFIG_REASON_MAX, "a reason");
    return reloads++ == 0 ? ERR_OK : ERR_CONFIG;
}

static void open_control(const struct control_limits *limits)
{
    struct control_subject subject = {.config = &config,
                                      .loop = world->loop,
                                      .store = world->store,
                                      .vfs = world->vfs,
                                      .state = world->state,
                                      .services = &services,
                                      .smb = &smb,
                                      .reload = reload};

    assert_int_equal(control_open(&subject, 0600, limits, &control), ERR_OK);
}

static int set_up(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/dittofs-control-XXXXXX");
    assert_non_null(mkdtemp(folder));
    config.path = config.state_dir = folder;
    world = nfsworld_open(&export, 1, NULL);
    services = (struct services){.onc = world->rpc, .nfs = world->nfs, .nfs_port = world->port};
    reloads = 0;
    open_control(NULL);
    return 0;
}

static int tear_down(void **state)
{
    char path[128];

    (void)state;
    control_close(&control);
    nfsworld_close(&world);
    snprintf(path, sizeof path, "%s/control", folder);
    (void)unlink(path);
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

/* ---- a peer ---- */

struct peer {
    int fd;
    char *bytes; /* came and not yet taken */
    size_t length, capacity;
    bool ended;
};

static struct peer *connect_peer(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct peer *peer = calloc(1, sizeof *peer);

    assert_non_null(peer);
    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/control", folder);
    assert_int_equal(connect(peer->fd, (const struct sockaddr *)&address, sizeof address), 0);
    return peer;
}

static void close_peer(struct peer **peer)
{
    close((*peer)->fd);
    free((*peer)->bytes);
    free(*peer);
    *peer = NULL;
    nfsworld_turn(world, 4);
}

static void put(struct peer *peer, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(peer->fd, bytes, length, MSG_NOSIGNAL);

        assert_true(sent > 0 || errno == EAGAIN);
        if (sent > 0) {
            bytes += sent;
            length -= (size_t)sent;
        }
        loop_run_once(world->loop, false);
    }
}

static void put_line(struct peer *peer, const char *line)
{
    put(peer, line, strlen(line));
    put(peer, "\n", 1);
}

static void take_in(struct peer *peer)
{
    ssize_t got;

    if (peer->capacity - peer->length < 65536) {
        peer->capacity = peer->capacity * 2 + 131072;
        peer->bytes = realloc(peer->bytes, peer->capacity);
        assert_non_null(peer->bytes);
    }
    got = recv(peer->fd, peer->bytes + peer->length, peer->capacity - peer->length, 0);
    if (got > 0)
        peer->length += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        peer->ended = true;
}

/* The next line as an object, a new reference; NULL when the connection ended. */
static json_t *get_line(struct peer *peer)
{
    time_t end = time(NULL) + 60;
    json_t *object;
    size_t length;
    char *at;

    while (peer->length == 0 || (at = memchr(peer->bytes, '\n', peer->length)) == NULL) {
        assert_true(time(NULL) < end);
        if (peer->ended)
            return NULL;
        loop_run_once(world->loop, false);
        take_in(peer);
    }
    length = (size_t)(at - peer->bytes);
    object = json_loadb(peer->bytes, length, 0, NULL);
    assert_true(json_is_object(object));
    memmove(peer->bytes, at + 1, peer->length - length - 1);
    peer->length -= length + 1;
    return object;
}

/* Asks and takes the answer: items into a new array (NULL when it was refused). */
static json_t *ask(struct peer *peer, const char *line)
{
    json_t *items = json_array();

    put_line(peer, line);
    for (;;) {
        json_t *object = get_line(peer), *ok;

        assert_non_null(object);
        ok = json_object_get(object, "ok");
        if (ok == NULL) {
            json_array_append_new(items, object);
            continue;
        }
        if (json_is_true(ok)) {
            assert_int_equal(json_integer_value(json_object_get(object, "items")), json_array_size(items));
        } else {
            json_decref(items);
            items = NULL;
        }
        json_decref(object);
        return items;
    }
}

static void expect(struct peer *peer, const char *line, int items)
{
    json_t *got = ask(peer, line);

    if (items < 0)
        assert_null(got);
    else
        assert_int_equal(json_array_size(got), items);
    json_decref(got);
}

static const char *member(const json_t *items, size_t index, const char *key)
{
    const char *text = json_string_value(json_object_get(json_array_get(items, index), key));

    assert_non_null(text);
    return text;
}

/* ---- who holds something ---- */

enum { FAMILY = 7 };

static struct client *new_client(const char *name)
{
    struct client_spec spec = {.family = FAMILY, .owner = name, .owner_length = strlen(name)};
    struct client *client;

    assert_int_equal(client_new(world->state, &spec, NULL, &client), ERR_OK);
    return client_confirm(client);
}

static struct open *new_open(struct client *client, const char *key, uint64_t ino, unsigned deny)
{
    struct open_spec spec = {.access = OPEN_READ, .deny = deny};
    struct open *open;

    assert_int_equal(owner_get(client, 1, key, strlen(key), &spec.owner), ERR_OK);
    assert_int_equal(state_file_get(world->state, 1, ino, &spec.file), ERR_OK);
    assert_int_equal(open_add(&spec, &open), ERR_OK);
    owner_unref(&spec.owner);
    state_file_unref(&spec.file);
    return open;
}

static struct lock_holder *holder_of(struct open *open)
{
    struct lock_holder *holder;

    assert_int_equal(lock_holder_get(open_file(open), open_owner(open), open, LOCK_POSIX, &holder), ERR_OK);
    return holder;
}

static void lock(struct lock_holder *holder, uint64_t offset, uint64_t length)
{
    struct lock_request request = {.offset = offset, .length = length, .exclusive = true};

    assert_int_equal(lock_set(holder, &request, NULL), ERR_OK);
}

/* ---- bad peers ---- */

static void garbage(void **state)
{
    struct peer *peer = connect_peer();
    json_t *object;

    (void)state;
    expect(peer, "nonsense", -1);
    expect(peer, "", -1);
    expect(peer, "\x01\x02\xff", -1);
    expect(peer, "status now", -1);
    expect(peer, "grace begin", -1);
    expect(peer, "GET / HTTP/1.0", -1);
    expect(peer, "status", 1);
    /* Several requests at once are answered one after another. */
    put(peer, "status\nexports\nx", 16);
    for (int i = 0; i < 4; i++)
        json_decref(get_line(peer));
    put(peer, "yz\n", 3);
    object = get_line(peer);
    assert_string_equal(json_string_value(json_object_get(object, "message")), "no such command");
    json_decref(object);
    close_peer(&peer);
}

static void halves(void **state)
{
    static const char line[] = "status\r\n";
    struct peer *peer = connect_peer(), *gone = connect_peer();

    (void)state;
    for (size_t i = 0; i < sizeof line - 1; i++) {
        nfsworld_turn(world, 2);
        take_in(peer);
        assert_int_equal(peer->length, 0);
        put(peer, line + i, 1);
    }
    for (int i = 0; i < 2; i++)
        json_decref(get_line(peer));
    put(gone, "stat", 4);
    close_peer(&gone);
    expect(peer, "status", 1);
    close_peer(&peer);
}

static void too_long(void **state)
{
    struct peer *peer = connect_peer();
    char bytes[CONTROL_LINE_MAX + 2];
    json_t *object;

    (void)state;
    memset(bytes, 'a', sizeof bytes);
    put(peer, bytes, sizeof bytes);
    object = get_line(peer);
    assert_string_equal(json_string_value(json_object_get(object, "error")), "NAMETOOLONG");
    json_decref(object);
    assert_null(get_line(peer));
    close_peer(&peer);
}

static void hundred_connections(void **state)
{
    enum { MANY = 100, ALLOWED = 64 };
    struct peer *peers[MANY];
    int refused = 0;

    (void)state;
    for (int i = 0; i < MANY; i++) {
        peers[i] = connect_peer();
        nfsworld_turn(world, 4);
    }
    for (int i = 0; i < MANY; i++) {
        json_t *object;

        if (i < ALLOWED) {
            expect(peers[i], "status", 1);
            continue;
        }
        object = get_line(peers[i]);
        assert_string_equal(json_string_value(json_object_get(object, "error")), "LIMIT");
        json_decref(object);
        assert_null(get_line(peers[i]));
        refused++;
    }
    assert_int_equal(refused, MANY - ALLOWED);
    for (int i = 0; i < MANY; i++)
        close_peer(&peers[i]);
    peers[0] = connect_peer();
    expect(peers[0], "status", 1);
    close_peer(&peers[0]);
}

static uint64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

enum { LOCKS = 100000 };

static void fill(struct lock_holder *holder)
{
    for (uint64_t i = 0; i < LOCKS; i++)
        lock(holder, i * 2, 1);
}

/* 100,000 locks: one who never reads holds up nobody, takes one page's memory, and is cut. */
static void never_reads(void **state)
{
    struct control_limits limits = {.stalled_ms = 3000};
    struct peer *mute, *other;
    time_t end = time(NULL) + 60;

    (void)state;
    control_close(&control);
    nfsworld_turn(world, 4);
    open_control(&limits);
    fill(holder_of(new_open(new_client("c"), "o", 9, 0)));
    mute = connect_peer();
    put_line(mute, "locks");
    other = connect_peer();
    for (int i = 0; i < 20; i++)
        expect(other, "status", 1);
    close_peer(&other);
    /* What the kernel holds for it, the pages before the cut: then nothing more comes. */
    while (send(mute->fd, "x", 1, MSG_NOSIGNAL) > 0 || errno == EAGAIN) {
        assert_true(time(NULL) < end);
        loop_run_once(world->loop, true);
    }
    while (!mute->ended)
        take_in(mute);
    assert_true(mute->length > 0 && mute->length < 2 * 1024 * 1024);
    close_peer(&mute);
}

/* All of them come, in pages that cost a turn little, while others are served and ranges go. */
static void many_locks(void **state)
{
    struct peer *peer = connect_peer(), *other = connect_peer();
    struct lock_holder *holder;
    json_t *object;
    uint64_t longest_ns = 0;
    size_t lines = 0;
    bool ended = false;

    (void)state;
    holder = holder_of(new_open(new_client("c"), "o", 9, 0));
    fill(holder);
    put_line(peer, "locks");
    while (!ended) {
        uint64_t start_ns = cpu_ns(), taken_ns;
        char *line, *at;

        loop_run_once(world->loop, false);
        taken_ns = cpu_ns() - start_ns;
        longest_ns = taken_ns > longest_ns ? taken_ns : longest_ns;
        take_in(peer);
        for (line = peer->bytes;
             (at = memchr(line, '\n', peer->length - (size_t)(line - peer->bytes))) != NULL; line = at + 1) {
            lines++;
            ended = memmem(line, (size_t)(at - line), "\"ok\":true", 9) != NULL;
        }
        peer->length -= (size_t)(line - peer->bytes);
        memmove(peer->bytes, line, peer->length);
    }
    assert_int_equal(lines, LOCKS + 1);
    /* A page ends after a millisecond, or with the item that is being made: 20 leaves room for sanitizers. */
    assert_true(longest_ns < 20 * 1000000);
    /* Half of them go in the midst of a listing. */
    put_line(peer, "locks");
    nfsworld_turn(world, 10);
    assert_int_equal(lock_unset(holder, LOCKS, LOCK_TO_END), ERR_OK);
    expect(other, "status", 1);
    lines = 0;
    for (object = get_line(peer); json_object_get(object, "ok") == NULL; object = get_line(peer)) {
        json_decref(object);
        if (++lines == LOCKS / 4)
            lock_unset_all(holder);
    }
    json_decref(object);
    assert_true(lines >= LOCKS / 4 && lines <= LOCKS / 2 + 1000);
    close_peer(&peer);
    close_peer(&other);
}

/* ---- listings ---- */

static void listings(void **state)
{
    struct peer *peer = connect_peer();
    struct client *one = new_client("one\x1b[1m"), *two = new_client("two");
    struct session_spec session_spec = {.slots = 4};
    struct lock_waiter waiter = {.done = NULL};
    struct lock_request wanted = {.offset = 0, .length = LOCK_TO_END};
    struct session *session;
    struct open *open = new_open(one, "o", 9, OPEN_WRITE);
    json_t *items;
    char line[64];

    (void)state;
    items = ask(peer, "clients");
    assert_int_equal(json_array_size(items), 2);
    assert_string_equal(member(items, 0, "name"), "one.[1m");
    assert_string_equal(member(items, 0, "status"), "confirmed");
    snprintf(line, sizeof line, "opens %s", member(items, 1, "client"));
    json_decref(items);
    expect(peer, line, 0);
    items = ask(peer, "opens");
    assert_int_equal(json_array_size(items), 1);
    assert_string_equal(member(items, 0, "access"), "r");
    assert_string_equal(member(items, 0, "deny"), "w");
    assert_string_equal(member(items, 0, "path"), "/a/#9");
    json_decref(items);
    assert_int_equal(session_new(two, &session_spec, &session), ERR_OK);
    expect(peer, "sessions", 1);
    lock(holder_of(open), 10, 5);
    lock(holder_of(open), 20, LOCK_TO_END);
    assert_int_equal(lock_wait(holder_of(new_open(two, "p", 9, 0)), &wanted, &waiter, NULL), ERR_WAIT);
    items = ask(peer, "locks");
    assert_int_equal(json_array_size(items), 3);
    assert_string_equal(member(items, 0, "kind"), "exclusive");
    assert_true(json_is_null(json_object_get(json_array_get(items, 1), "length")));
    assert_true(json_is_true(json_object_get(json_array_get(items, 2), "waiting")));
    json_decref(items);
    assert_true(lock_wait_cancel(&waiter));
    expect(peer, "grants", 0);
    expect(peer, "exports", 1);
    expect(peer, "grace", 1);
    expect(peer, "stats", 1);
    expect(peer, "opens /a", 0);
    expect(peer, "opens /b", -1);
    expect(peer, "opens xyz", -1);
    close_peer(&peer);
}

/* The name by which a file was opened, as long as it leads there, and the one it has got since. */
static void paths(void **state)
{
    struct peer *peer = connect_peer();
    struct rpcclient *rpc = nfsworld_client(world, 0, 0);
    struct nfs3_handle top = nfsworld_mount(rpc, "/a");
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0777};
    struct nfs3_result dir, file, r;
    struct open *open;
    json_t *items;

    (void)state;
    assert_int_equal(nfs3_mkdir(rpc, &top, "d", &attr, &dir), RPCCLIENT_SUCCESS);
    assert_int_equal(nfs3_create(rpc, &dir.handle, "f", 1, &attr, 0, &file), RPCCLIENT_SUCCESS);
    open = new_open(new_client("c"), "o", file.attr.fileid, 0);
    state_file_set_name(open_file(open), dir.attr.fileid, "f", 1);
    expect(peer, "opens /a/d/f", 1);
    expect(peer, "opens /a//d/f/", 1);
    expect(peer, "opens /a/d", 0);
    expect(peer, "opens /a/d/g", -1);
    items = ask(peer, "opens");
    assert_string_equal(member(items, 0, "path"), "/a/d/f");
    json_decref(items);
    assert_int_equal(nfs3_rename(rpc, &dir.handle, "f", &top, "g h", &r), RPCCLIENT_SUCCESS);
    items = ask(peer, "opens /a/g%20h");
    assert_int_equal(json_array_size(items), 1);
    assert_string_equal(member(items, 0, "path"), "/a/g h");
    json_decref(items);
    assert_int_equal(nfs3_name_call(rpc, NFS3C_REMOVE, &top, "g h", 3, &r), RPCCLIENT_SUCCESS);
    items = ask(peer, "opens");
    assert_memory_equal(member(items, 0, "path"), "/a/#", 4);
    json_decref(items);
    rpcclient_close(&rpc);
    close_peer(&peer);
}

/* ---- actions ---- */

static void act(struct peer *peer, const char *command, const char *list, const char *key)
{
    json_t *items = ask(peer, list);
    char line[128];

    assert_true(json_array_size(items) > 0);
    snprintf(line, sizeof line, "%s %s", command, member(items, 0, key));
    json_decref(items);
    expect(peer, line, 0);
    expect(peer, line, -1); /* not twice */
}

static void end_break(struct grant *grant, unsigned to, bool acknowledge)
{
    (void)grant;
    (void)to;
    (void)acknowledge;
}

static void actions(void **state)
{
    static const struct grant_operations operations = {.breaking = end_break};
    struct peer *peer = connect_peer();
    struct client *client = new_client("c");
    struct session_spec session_spec = {.slots = 1};
    struct grant_spec grant_spec = {
        .client = client, .key = "k", .key_length = 1, .kinds = GRANT_READ, .operations = &operations};
    struct lock_holder *holder = holder_of(new_open(client, "o", 9, 0));
    struct session *session;
    struct grant *grant;
    struct state_counters counters;
    char line[128];
    json_t *items;

    (void)state;
    lock(holder, 0, 10);
    items = ask(peer, "locks");
    snprintf(line, sizeof line, "unlock %s 2 3", member(items, 0, "id"));
    json_decref(items);
    expect(peer, line, 0);
    expect(peer, "locks", 2);
    act(peer, "unlock", "locks", "id");
    expect(peer, "locks", 0);
    act(peer, "close", "opens", "id");
    expect(peer, "opens", 0);
    assert_int_equal(client_revoked_others(client), 2);
    assert_int_equal(state_file_get(world->state, 1, 9, &grant_spec.file), ERR_OK);
    assert_int_equal(grant_add(&grant_spec, &grant), ERR_OK);
    state_file_unref(&grant_spec.file);
    expect(peer, "grants", 1);
    act(peer, "revoke", "grants", "id");
    expect(peer, "grants", 0);
    assert_int_equal(session_new(client, &session_spec, &session), ERR_OK);
    act(peer, "disconnect", "sessions", "id");
    act(peer, "disconnect", "clients", "client");
    state_counters(world->state, &counters);
    assert_int_equal(counters.clients, 0);
    assert_int_equal(counters.opens + counters.locks + counters.grants + counters.sessions, 0);
    expect(peer, "close l1-1", -1);
    expect(peer, "close o", -1);
    expect(peer, "close o1", -1);
    expect(peer, "close o1-", -1);
    expect(peer, "close offffffff1-1", -1);
    expect(peer, "grace end", -1);
    expect(peer, "reload", 0);
    expect(peer, "reload", -1);
    close_peer(&peer);
}

#define HASH "0123456789abcdef0123456789ABCDEF"

static void users(void **state)
{
    struct peer *peer = connect_peer();
    json_t *items;

    (void)state;
    expect(peer, "user list", 0);
    expect(peer, "user add alice 1000 100 " HASH " 5 6", 0);
    expect(peer, "user add alice 1001 100 " HASH, -1);
    expect(peer, "user add bob 1000 100 " HASH, -1);
    expect(peer, "user add bob 1001 100 0123", -1);
    expect(peer, "user add bob x 100 " HASH, -1);
    expect(peer, "user passwd alice " HASH, 0);
    expect(peer, "user passwd alice 12", -1);
    expect(peer, "user passwd bob " HASH, -1);
    items = ask(peer, "user list");
    assert_int_equal(json_array_size(items), 1);
    assert_string_equal(member(items, 0, "user"), "alice");
    assert_null(json_object_get(json_array_get(items, 0), "hash"));
    json_decref(items);
    expect(peer, "user remove alice", 0);
    expect(peer, "user remove alice", -1);
    close_peer(&peer);
}

static void the_socket(void **state)
{
    char path[128];
    struct stat status;
    struct peer *peer;

    (void)state;
    snprintf(path, sizeof path, "%s/control", folder);
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0600);
    /* One that was left behind is replaced; peers of the old one are cut. */
    peer = connect_peer();
    nfsworld_turn(world, 4);
    control_close(&control);
    assert_null(get_line(peer));
    close_peer(&peer);
    open_control(NULL);
    peer = connect_peer();
    expect(peer, "status", 1);
    close_peer(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test_setup_teardown(garbage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(halves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hundred_connections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(never_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_locks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(listings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(actions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(users, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_socket, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
