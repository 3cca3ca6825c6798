/*
 * rpcload.c - how much of a CPU an RPC call costs: NULL calls over the loopback against an RPC server.
 *
 *     rpcload [-c CONNECTIONS] [-d DEPTH] [-s SECONDS] [-a BYTES] [-p PROGRAM:VERSION] [HOST PORT PID]
 *
 * Without a host it forks a server of its own, with an echo program. With one, PID is the server's process,
 * whose CPU time is taken from /proc. Prints calls a second, and user and system time of the server a call.
 */
#include "dittofs/rpc.h"
#include "rpcclient.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROGRAM = 0x20000001, VERSION = 1, CONNECTIONS_MAX = 64, REPLY_BUFFER = 1 << 20 };

struct options {
    int connections, depth, seconds;
    size_t argument_bytes;
    uint32_t program, version, procedure;
    const char *host;
    uint16_t port;
    pid_t pid;
};

/* ---- the server ---- */

static void run_null(struct onc_call *call)
{
    onc_call_reply(call);
}

static void run_echo(struct onc_call *call)
{
    writer_bytes(&call->reply, call->arguments.at, call->arguments.left);
    onc_call_reply(call);
}

static const struct onc_procedure procedures[] = {
    {.name = "NULL", .run = run_null},
    {.name = "ECHO", .run = run_echo, .reply_max = 2 << 20},
};
static const struct onc_program program = {.name = "load",
                                           .number = PROGRAM,
                                           .version = VERSION,
                                           .procedures = procedures,
                                           .procedure_count = 2,
                                           .arguments_max = 1 << 20};

static int serve(int port_fd)
{
    struct loop *loop;
    struct onc_server *server;
    struct onc_service *service;
    struct net_address address;
    uint16_t port;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (loop_open(&loop) != ERR_OK || onc_server_open(loop, NULL, &server) != ERR_OK ||
        onc_service_open(server, "load", &service) != ERR_OK ||
        onc_service_add_program(service, &program) != ERR_OK ||
        net_address_parse("127.0.0.1", 0, &address) != ERR_OK ||
        onc_service_listen(service, ONC_TCP, &address, &port) != ERR_OK ||
        write(port_fd, &port, sizeof port) != sizeof port)
        return 1;
    loop_run(loop);
    return 0;
}

static bool start_server(struct options *options)
{
    int pipe_fds[2];

    if (pipe(pipe_fds) != 0)
        return false;
    options->pid = fork();
    if (options->pid == 0)
        _exit(serve(pipe_fds[1]));
    close(pipe_fds[1]);
    options->host = "127.0.0.1";
    return read(pipe_fds[0], &options->port, sizeof options->port) == sizeof options->port;
}

/* ---- the load ---- */

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* User and system time of a process, in seconds: the scheduler's count, which is finer than stat's ticks. */
static bool process_cpu(pid_t pid, double *user_r, double *system_r)
{
    char path[64], line[1024];
    unsigned long user, system;
    FILE *file;
    char *at;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    if (file == NULL)
        return false;
    at = fgets(line, sizeof line, file);
    fclose(file);
    at = at != NULL ? strrchr(line, ')') : NULL;
    if (at == NULL ||
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return false;
    *user_r = (double)user / (double)sysconf(_SC_CLK_TCK);
    *system_r = (double)system / (double)sysconf(_SC_CLK_TCK);
    return true;
}

struct connection {
    struct rpcclient *client;
    uint8_t *buffer;
    size_t buffered;
};

/* Takes whole replies out of what came; gives their number. */
static int take_replies(struct connection *connection)
{
    struct reader reader;
    ssize_t got = recv(connection->client->fd, connection->buffer + connection->buffered,
                       REPLY_BUFFER - connection->buffered, MSG_DONTWAIT);
    int count = 0;

    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    connection->buffered += (size_t)got;
    reader = reader_of(connection->buffer, connection->buffered);
    for (;;) {
        struct reader ahead = reader;
        uint32_t marker;

        if (!reader_be32(&ahead, &marker) || !reader_skip(&ahead, marker & 0x7fffffff))
            break;
        reader = ahead;
        count++;
    }
    memmove(connection->buffer, reader.at, reader.left);
    connection->buffered = reader.left;
    return count;
}

static bool send_calls(struct connection *connection, const struct writer *message, int count)
{
    static uint8_t bytes[4 << 20];
    size_t length = 0;

    for (int i = 0; i < count; i++) {
        if (length + message->length > sizeof bytes) {
            if (!rpcclient_send_raw(connection->client, bytes, length))
                return false;
            length = 0;
        }
        memcpy(bytes + length, message->data, message->length);
        length += message->length;
    }
    return rpcclient_send_raw(connection->client, bytes, length);
}

static uint64_t run_load(const struct options *options, struct connection *connections,
                         const struct writer *message, double end_s)
{
    struct pollfd polled[CONNECTIONS_MAX];
    uint64_t calls = 0;

    for (int i = 0; i < options->connections; i++) {
        polled[i] = (struct pollfd){.fd = connections[i].client->fd, .events = POLLIN};
        if (!send_calls(&connections[i], message, options->depth))
            return 0;
    }
    while (now_s() < end_s) {
        if (poll(polled, (nfds_t)options->connections, 1000) <= 0)
            return 0;
        for (int i = 0; i < options->connections; i++) {
            int count;

            if (polled[i].revents == 0)
                continue;
            count = take_replies(&connections[i]);
            if (count < 0 || !send_calls(&connections[i], message, count))
                return 0;
            calls += (uint64_t)count;
        }
    }
    return calls;
}

static int measure(const struct options *options)
{
    struct connection connections[CONNECTIONS_MAX] = {0};
    struct writer message;
    double user[2], system[2], start_s;
    uint64_t calls;

    writer_init_growing(&message, 2 << 20);
    for (int i = 0; i < options->connections; i++) {
        connections[i].client = rpcclient_open(options->host, options->port, RPCCLIENT_TCP);
        connections[i].buffer = malloc(REPLY_BUFFER);
        if (connections[i].client == NULL || connections[i].buffer == NULL)
            return 1;
        rpcclient_program(connections[i].client, options->program, options->version);
        rpcclient_sys(connections[i].client, 1000, 1000, NULL, 0);
    }
    writer_be32(&message, 0);
    rpcclient_build(connections[0].client, &message, 1, options->procedure, NULL);
    writer_zeros(&message, options->argument_bytes);
    writer_patch_be32(&message, 0, 0x80000000u | (uint32_t)(message.length - 4));
    if (message.failed || !process_cpu(options->pid, &user[0], &system[0]))
        return 1;
    start_s = now_s();
    calls = run_load(options, connections, &message, start_s + options->seconds);
    if (calls == 0 || !process_cpu(options->pid, &user[1], &system[1])) {
        fprintf(stderr, "rpcload: the server does not answer\n");
        return 1;
    }
    printf("%d connections, %d in flight each, %zu bytes: %.0f calls/s, server CPU %.2f us/call (user %.2f, "
           "system %.2f)\n",
           options->connections, options->depth, message.length - 4, (double)calls / (now_s() - start_s),
           (user[1] - user[0] + system[1] - system[0]) * 1e6 / (double)calls,
           (user[1] - user[0]) * 1e6 / (double)calls, (system[1] - system[0]) * 1e6 / (double)calls);
    for (int i = 0; i < options->connections; i++) {
        rpcclient_close(&connections[i].client);
        free(connections[i].buffer);
    }
    writer_free(&message);
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: rpcload [-c CONNECTIONS] [-d DEPTH] [-s SECONDS] [-a BYTES] [-p PROGRAM:VERSION] "
                    "[HOST PORT PID]\n");
    return 2;
}

int main(int count, char **arguments)
{
    struct options options = {
        .connections = 2, .depth = 16, .seconds = 3, .program = PROGRAM, .version = VERSION};
    bool own;
    int option, result;

    while ((option = getopt(count, arguments, "c:d:s:a:p:")) != -1) {
        switch (option) {
        case 'c':
            options.connections = atoi(optarg);
            break;
        case 'd':
            options.depth = atoi(optarg);
            break;
        case 's':
            options.seconds = atoi(optarg);
            break;
        case 'a':
            options.argument_bytes = (size_t)atol(optarg) / 4 * 4;
            options.procedure = 1;
            break;
        case 'p':
            if (sscanf(optarg, "%u:%u", &options.program, &options.version) != 2)
                return usage();
            break;
        default:
            return usage();
        }
    }
    own = count == optind;
    if (options.connections < 1 || options.connections > CONNECTIONS_MAX || options.depth < 1 ||
        (!own && count != optind + 3))
        return usage();
    if (own && !start_server(&options))
        return 1;
    if (!own) {
        options.host = arguments[optind];
        options.port = (uint16_t)atoi(arguments[optind + 1]);
        options.pid = atoi(arguments[optind + 2]);
    }
    result = measure(&options);
    if (own) {
        kill(options.pid, SIGKILL);
        waitpid(options.pid, NULL, 0);
    }
    return result;
}
