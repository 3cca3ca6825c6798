/*
 * bigdir.c - one very large directory, seen over the wire.
 *
 *     bigdir HOST NFS_PORT MOUNT_PORT EXPORT COUNT
 *
 * Makes COUNT files in a directory with many calls in flight, lists all of it while another connection makes
 * and removes files there, and looks random names up in it and in a directory with one entry. Every file that
 * was there all the time must be listed exactly once; no other more than once. Prints "name value" lines:
 *
 *     creates_per_second, list_seconds, list_entries, lookups_per_second, lookups_per_second_small,
 *     lookup_percent (of the small directory's rate)
 */
#include "toolkit.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IN_FLIGHT = 64, NAME_BYTES = 32, LOOKUPS = 20000, REPLY_BYTES = 65536, CHURN_NAMES = 50000 };

struct target {
    const char *host;
    uint16_t port;
    struct nfs3_handle big, small;
    uint32_t count;
};

static void put_name(struct writer *writer, const struct nfs3_handle *dir, const char *prefix,
                     uint32_t number)
{
    char name[NAME_BYTES];
    int length = snprintf(name, sizeof name, "%s%08" PRIu32, prefix, number);

    writer_truncate(writer, 0);
    nfs3_put_handle(writer, dir);
    writer_xdr_opaque(writer, name, (size_t)length);
}

/* Takes one reply and looks at its status only. */
static void receive_ok(struct rpcclient *client, const char *what)
{
    enum rpcclient_status status;
    struct reader results;
    uint32_t xid, nfs_status;

    status = rpcclient_receive(client, &xid, &results);
    if (status != RPCCLIENT_SUCCESS || !reader_be32(&results, &nfs_status))
        tool_fail("%s: no reply (%d)", what, (int)status);
    if (nfs_status != 0)
        tool_fail("%s: status %" PRIu32, what, nfs_status);
}

/* Calls PROCEDURE for names of DIR, CALLS of them, IN_FLIGHT at a time; returns the calls a second. */
static double run_calls(struct rpcclient *client, uint32_t procedure, const struct nfs3_handle *dir,
                        const char *prefix, uint32_t calls, uint32_t (*number)(uint32_t i, uint32_t count),
                        uint32_t count)
{
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0644};
    struct writer arguments;
    double start = tool_seconds();

    writer_init_growing(&arguments, REPLY_BYTES);
    for (uint32_t i = 0; i < calls; i++) {
        put_name(&arguments, dir, prefix, number(i, count));
        if (procedure == NFS3C_CREATE) {
            writer_be32(&arguments, 1); /* GUARDED */
            nfs3_put_attr(&arguments, &attr);
        }
        if (rpcclient_send(client, procedure, &arguments) == 0)
            tool_fail("the connection is gone after %" PRIu32 " calls", i);
        if (i >= IN_FLIGHT)
            receive_ok(client, prefix);
    }
    for (uint32_t i = 0; i < calls && i < IN_FLIGHT; i++)
        receive_ok(client, prefix);
    writer_free(&arguments);
    return calls / (tool_seconds() - start);
}

static uint32_t in_order(uint32_t i, uint32_t count)
{
    (void)count;
    return i;
}

static uint32_t at_random(uint32_t i, uint32_t count)
{
    return (uint32_t)(((uint64_t)i * 2654435761u + 12345) % count);
}

/* Makes and removes files in the big directory until it is killed. */
static pid_t start_churn(const struct target *target)
{
    pid_t child = fork();

    if (child == 0) {
        struct rpcclient *client = tool_connect(target->host, target->port);

        for (;;) {
            run_calls(client, NFS3C_CREATE, &target->big, "churn", CHURN_NAMES, in_order, 0);
            run_calls(client, NFS3C_REMOVE, &target->big, "churn", CHURN_NAMES, in_order, 0);
        }
    }
    if (child < 0)
        tool_fail("fork");
    return child;
}

static void stop_churn(pid_t child)
{
    int status;

    if (waitpid(child, &status, WNOHANG) != 0)
        tool_fail("the process that changes the directory has ended");
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
}

/* Notes one listed name: stable ones in SEEN by number, churned ones behind them. */
static void note_entry(const struct target *target, uint8_t *seen, const struct nfs3_entry *entry)
{
    char name[NAME_BYTES];
    uint64_t index;

    if (entry->name_length >= sizeof name)
        tool_fail("a name of %" PRIu32 " bytes", entry->name_length);
    memcpy(name, entry->name, entry->name_length);
    name[entry->name_length] = '\0';
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return;
    if (strncmp(name, "file", 4) == 0)
        index = strtoul(name + 4, NULL, 10);
    else if (strncmp(name, "churn", 5) == 0)
        index = target->count + strtoul(name + 5, NULL, 10);
    else
        tool_fail("nobody made \"%s\"", name);
    if (index >= (uint64_t)target->count + CHURN_NAMES)
        tool_fail("nobody made \"%s\"", name);
    /* A file that was removed and made again may come twice; one that stayed may not. */
    if (seen[index]++ != 0 && index < target->count)
        tool_fail("\"%s\" is listed twice", name);
}

static void list_all(const struct target *target, struct rpcclient *client)
{
    uint8_t *seen = calloc((size_t)target->count + CHURN_NAMES, 1);
    uint64_t cookie = 0, verifier = 0, entries = 0;
    double start = tool_seconds();
    struct nfs3_result result = {.eof = false};
    struct nfs3_entry entry;

    if (seen == NULL)
        tool_fail("out of memory");
    while (!result.eof) {
        uint64_t before = entries;

        TOOL_OK(nfs3_readdirplus(client, &target->big, cookie, verifier, REPLY_BYTES, REPLY_BYTES, &result),
                &result);
        verifier = result.verifier;
        while (nfs3_next_entry(&result, true, &entry)) {
            note_entry(target, seen, &entry);
            cookie = entry.cookie;
            entries++;
        }
        if (entries == before && !result.eof)
            tool_fail("a listing that does not go on, after %" PRIu64 " entries", entries);
    }
    for (uint32_t i = 0; i < target->count; i++) {
        if (seen[i] == 0)
            tool_fail("file%08" PRIu32 " is not listed", i);
    }
    printf("list_seconds %.1f\nlist_entries %" PRIu64 "\n", tool_seconds() - start, entries);
    free(seen);
}

int main(int argc, char **argv)
{
    struct target target;
    struct nfs3_handle root;
    struct rpcclient *client;
    double big, small;
    pid_t churn;

    if (argc != 6)
        tool_fail("usage: bigdir HOST NFS_PORT MOUNT_PORT EXPORT COUNT");
    target.host = argv[1];
    target.port = (uint16_t)atoi(argv[2]);
    target.count = (uint32_t)strtoul(argv[5], NULL, 10);
    root = tool_mount(target.host, (uint16_t)atoi(argv[3]), argv[4]);
    client = tool_connect(target.host, target.port);
    target.big = tool_make_dir(client, &root, "big");
    target.small = tool_make_dir(client, &root, "small");
    run_calls(client, NFS3C_CREATE, &target.small, "file", 1, in_order, 0);
    printf("creates_per_second %.0f\n",
           run_calls(client, NFS3C_CREATE, &target.big, "file", target.count, in_order, 0));
    fflush(stdout);

    churn = start_churn(&target);
    list_all(&target, client);
    stop_churn(churn);

    /* In turns, and the better of each: other work on the machine slows one down, nothing speeds it up. */
    big = small = 0;
    for (int round = 0; round < 5; round++) {
        double rate = run_calls(client, NFS3C_LOOKUP, &target.small, "file", LOOKUPS, at_random, 1);

        small = rate > small ? rate : small;
        rate = run_calls(client, NFS3C_LOOKUP, &target.big, "file", LOOKUPS, at_random, target.count);
        big = rate > big ? rate : big;
    }
    printf("lookups_per_second %.0f\nlookups_per_second_small %.0f\nlookup_percent %.0f\n", big, small,
           100 * big / small);
    rpcclient_close(&client);
    return 0;
}
