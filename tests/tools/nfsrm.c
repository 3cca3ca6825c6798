/*
 * nfsrm.c - removes files from the top of an export.
 *
 *     nfsrm HOST NFS_PORT MOUNT_PORT EXPORT NAME...
 */
#include "toolkit.h"

#include <string.h>

int main(int argc, char **argv)
{
    struct rpcclient *client;
    struct nfs3_handle root;
    struct nfs3_result result;

    if (argc < 6)
        tool_fail("usage: nfsrm HOST NFS_PORT MOUNT_PORT EXPORT NAME...");
    root = tool_mount(argv[1], (uint16_t)atoi(argv[3]), argv[4]);
    client = tool_connect(argv[1], (uint16_t)atoi(argv[2]));
    for (int i = 5; i < argc; i++)
        TOOL_OK(nfs3_name_call(client, NFS3C_REMOVE, &root, argv[i], (uint32_t)strlen(argv[i]), &result),
                &result);
    rpcclient_close(&client);
    return 0;
}
