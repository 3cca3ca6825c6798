/*
 * toolkit.h - what the wire-level tools of the integration tests share: an export reached over TCP.
 *
 * A tool does one thing and ends with a message when anything is not as it should be.
 */
#ifndef DITTOFS_TESTS_TOOLKIT_H
#define DITTOFS_TESTS_TOOLKIT_H

#include "dittofs/clock.h"
#include "nfs3client.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static inline void tool_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static inline void tool_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("failed: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

/* A connection to the NFS program, as root. */
static inline struct rpcclient *tool_connect(const char *host, uint16_t port)
{
    struct rpcclient *client = rpcclient_open(host, port, RPCCLIENT_TCP);

    if (client == NULL)
        tool_fail("can't connect to %s port %u", host, port);
    rpcclient_program(client, 100003, 3);
    rpcclient_sys(client, 0, 0, NULL, 0);
    client->timeout_ms = 60000;
    return client;
}

/* The root of EXPORT, by MOUNT. */
static inline struct nfs3_handle tool_mount(const char *host, uint16_t port, const char *path)
{
    struct rpcclient *client = rpcclient_open(host, port, RPCCLIENT_TCP);
    struct mount3_result result;

    if (client == NULL)
        tool_fail("can't connect to %s port %u", host, port);
    rpcclient_program(client, 100005, 3);
    rpcclient_sys(client, 0, 0, NULL, 0);
    if (mount3_mnt(client, path, &result) != RPCCLIENT_SUCCESS || result.status != 0)
        tool_fail("MNT of %s: status %u", path, result.status);
    rpcclient_close(&client);
    return result.handle;
}

/* Ends the program unless a call went through and was answered NFS3_OK. */
#define TOOL_OK(call, result) tool_check(#call, (call), (result))

static inline void tool_check(const char *what, enum rpcclient_status status,
                              const struct nfs3_result *result)
{
    if (status != RPCCLIENT_SUCCESS || result->status != 0)
        tool_fail("%s: RPC %d, status %u", what, (int)status, result->status);
}

static inline struct nfs3_handle tool_make_dir(struct rpcclient *client, const struct nfs3_handle *parent,
                                               const char *name)
{
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0777};
    struct nfs3_result result;

    TOOL_OK(nfs3_mkdir(client, parent, name, &attr, &result), &result);
    if (!result.has_handle)
        tool_fail("MKDIR %s gave no handle", name);
    return result.handle;
}

static inline double tool_seconds(void)
{
    return (double)clock_monotonic_ns() / 1e9;
}

#endif
