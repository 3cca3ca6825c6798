/*
 * idle.c - clients that do nothing, and one that never reads, beside one that works.
 *
 *     idle HOST NFS_PORT MOUNT_PORT EXPORT CONNECTIONS
 *
 * Measures GETATTRs one at a time on a connection of its own: first alone, then with CONNECTIONS idle ones
 * open and one that asks for far more data than the sockets hold and takes none of it. At the end every
 * idle connection must answer a NULL call. Prints "name value" lines, latencies in microseconds:
 *
 *     alone_p50, alone_p99, crowded_p50, crowded_p99, crowded_max, idle_answered
 */
#include "toolkit.h"

#include <inttypes.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { CALLS = 4000, WRITE_BYTES = 1 << 20, FILE_WRITES = 8, GREEDY_READS = 2000 };

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorted latencies of CALLS calls in microseconds. */
static void measure(struct rpcclient *client, const struct nfs3_handle *object, double latencies[CALLS])
{
    struct nfs3_result result;

    for (int i = 0; i < CALLS; i++) {
        double start = tool_seconds();

        TOOL_OK(nfs3_getattr(client, object, &result), &result);
        latencies[i] = (tool_seconds() - start) * 1e6;
    }
    qsort(latencies, CALLS, sizeof *latencies, compare_doubles);
}

static struct nfs3_handle make_file(struct rpcclient *client, const struct nfs3_handle *root)
{
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0644};
    uint8_t *data = calloc(1, WRITE_BYTES);
    struct nfs3_handle file;
    struct nfs3_result result;

    if (data == NULL)
        tool_fail("out of memory");
    TOOL_OK(nfs3_create(client, root, "greedy", 0, &attr, 0, &result), &result);
    file = result.handle;
    for (uint64_t i = 0; i < FILE_WRITES; i++)
        TOOL_OK(nfs3_write(client, &file, i * WRITE_BYTES, data, WRITE_BYTES, 0, &result), &result);
    TOOL_OK(nfs3_commit(client, &file, 0, 0, &result), &result);
    free(data);
    return file;
}

/* Asks for GREEDY_READS mebibytes and never looks at them. Ends when the server stops reading. */
static uint32_t send_greedy_reads(struct rpcclient *client, const struct nfs3_handle *file)
{
    struct timeval patience = {.tv_sec = 1};
    struct writer arguments;
    uint32_t sent = 0;

    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    writer_init_growing(&arguments, 1024);
    while (sent < GREEDY_READS) {
        writer_truncate(&arguments, 0);
        nfs3_put_handle(&arguments, file);
        writer_be64(&arguments, (uint64_t)(sent % FILE_WRITES) * WRITE_BYTES);
        writer_be32(&arguments, WRITE_BYTES);
        if (rpcclient_send(client, NFS3C_READ, &arguments) == 0)
            break;
        sent++;
    }
    writer_free(&arguments);
    return sent;
}

static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    static double latencies[CALLS];
    struct rpcclient **idle, *worker, *greedy;
    struct nfs3_handle root, file;
    uint32_t count, answered = 0;
    struct reader results;
    uint16_t port;

    if (argc != 6)
        tool_fail("usage: idle HOST NFS_PORT MOUNT_PORT EXPORT CONNECTIONS");
    raise_limit();
    port = (uint16_t)atoi(argv[2]);
    count = (uint32_t)strtoul(argv[5], NULL, 10);
    root = tool_mount(argv[1], (uint16_t)atoi(argv[3]), argv[4]);
    worker = tool_connect(argv[1], port);
    file = make_file(worker, &root);
    measure(worker, &file, latencies);
    printf("alone_p50 %.0f\nalone_p99 %.0f\n", latencies[CALLS / 2], latencies[CALLS * 99 / 100]);

    idle = calloc(count, sizeof(struct rpcclient *));
    if (idle == NULL)
        tool_fail("out of memory");
    for (uint32_t i = 0; i < count; i++)
        idle[i] = tool_connect(argv[1], port);
    greedy = tool_connect(argv[1], port);
    printf("greedy_calls %" PRIu32 "\n", send_greedy_reads(greedy, &file));
    measure(worker, &file, latencies);
    printf("crowded_p50 %.0f\ncrowded_p99 %.0f\ncrowded_max %.0f\n", latencies[CALLS / 2],
           latencies[CALLS * 99 / 100], latencies[CALLS - 1]);
    for (uint32_t i = 0; i < count; i++) {
        if (rpcclient_call(idle[i], NFS3C_NULL, NULL, &results) == RPCCLIENT_SUCCESS)
            answered++;
        rpcclient_close(&idle[i]);
    }
    printf("idle_answered %" PRIu32 "\n", answered);
    free(idle);
    rpcclient_close(&greedy);
    rpcclient_close(&worker);
    return 0;
}
