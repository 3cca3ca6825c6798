/*
 * wkssvc.c - the workstation service (MS-WKST): what the server calls itself.
 */
#include "smb/pipe/pipe_priv.h"

enum { LEVEL_NAME = 100, LEVEL_ROOT = 101, LEVEL_USERS = 102 };

/* MS-WKST 3.2.4.1 NetrWkstaGetInfo */
static uint32_t get_info(struct dcerpc_call *call)
{
    const char *computer = ident_computer(call->world->identity);
    struct ndr_out *out = &call->out;
    uint32_t level;

    ndr_get_unique_string(&call->in, NULL, 0);
    level = ndr_get_u32(&call->in);
    if (call->in.failed)
        return DCERPC_FAULT_BAD_STUB;
    ndr_put_u32(out, level);
    if (level < LEVEL_NAME || level > LEVEL_USERS) {
        ndr_put_pointer(out, false);
        ndr_put_u32(out, WERROR_INVALID_LEVEL);
        return 0;
    }
    ndr_put_pointer(out, true);
    ndr_put_u32(out, PIPE_PLATFORM_NT);
    ndr_put_pointer(out, true);
    ndr_put_pointer(out, true);
    ndr_put_u32(out, PIPE_VERSION_MAJOR);
    ndr_put_u32(out, PIPE_VERSION_MINOR);
    if (level >= LEVEL_ROOT)
        ndr_put_pointer(out, true);
    if (level == LEVEL_USERS)
        ndr_put_u32(out, 0);
    ndr_put_string(out, computer);
    ndr_put_string(out, PIPE_WORKGROUP);
    if (level >= LEVEL_ROOT)
        ndr_put_string(out, "");
    ndr_put_u32(out, WERROR_OK);
    return 0;
}

static const struct dcerpc_operation operations[] = {
    [0] = {"NetrWkstaGetInfo", get_info},
};

/* 6bffd098-a112-3610-9833-46c3f87e345a, 1.0 */
const struct dcerpc_interface dcerpc_wkssvc = {
    .name = "wkssvc",
    .uuid = {0x98, 0xd0, 0xff, 0x6b, 0x12, 0xa1, 0x10, 0x36, 0x98, 0x33, 0x46, 0xc3, 0xf8, 0x7e, 0x34, 0x5a},
    .major = 1,
    .operations = operations,
    .operation_count = sizeof operations / sizeof *operations,
};
