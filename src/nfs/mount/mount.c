/*
 * mount.c - the MOUNT protocol: version 3 (RFC 1813 appendix I), and of versions 1 and 2 (RFC 1094
 * appendix A) what showmount and umount use.
 *
 * MNT turns "/export" or "/export/a/directory" into a file handle. It checks the host and the caller's
 * right to walk the path; everything else is checked again at each operation with the handle. MNT of
 * versions 1 and 2 would give a handle for NFS version 2, which is not served: PROC_UNAVAIL.
 */
#include "nfs/mount/mount_priv.h"

#include "dittofs/log.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum {
    PROGRAM = 100005,
    NOBODY = 65534,
    REPLY_SMALL = 256,
    REPLY_LISTS = 256 * 1024,    /* DUMP, EXPORT */
    REPLY_LISTS_DATAGRAM = 8192, /* the most that old clients take over UDP is 8,800 */
    RULE_TEXT = 64,
};

/* mountstat3 */
enum {
    MNT3_OK = 0,
    MNT3ERR_NOENT = 2,
    MNT3ERR_IO = 5,
    MNT3ERR_ACCES = 13,
    MNT3ERR_NOTDIR = 20,
    MNT3ERR_INVAL = 22,
    MNT3ERR_NAMETOOLONG = 63,
    MNT3ERR_NOTSUPP = 10004,
    MNT3ERR_SERVERFAULT = 10006
};

/* mountstat3 is a part of nfsstat3. */
static uint32_t mount_status(enum err err)
{
    uint32_t status = err_to_nfs3(err);

    switch (status) {
    case MNT3_OK:
    case MNT3ERR_NOENT:
    case MNT3ERR_IO:
    case MNT3ERR_ACCES:
    case MNT3ERR_NOTDIR:
    case MNT3ERR_INVAL:
    case MNT3ERR_NAMETOOLONG:
    case MNT3ERR_NOTSUPP:
        return status;
    default:
        return MNT3ERR_SERVERFAULT;
    }
}

/* ---- arguments ---- */

static bool decode(struct onc_call *call, uint32_t procedure, struct mount_args *args_r)
{
    if (mount__decode_call(procedure, &call->arguments, args_r))
        return true;
    onc_call_reject(call, ONC_REJECT_GARBAGE_ARGS);
    return false;
}

/* ---- MNT ---- */

/* The next component of what is left of a path, slashes passed over; false at its end. */
static bool next_name(struct reader *path, struct store_name *name_r)
{
    const uint8_t *start;
    size_t length = 0;

    while (path->left > 0 && path->at[0] == '/') {
        if (!reader_skip(path, 1))
            return false;
    }
    while (length < path->left && path->at[length] != '/')
        length++;
    if (length == 0 || !reader_bytes(path, length, &start))
        return false;
    *name_r = (struct store_name){.bytes = start, .length = length};
    return true;
}

/* The caller's view of EXPORT for the walk. Any flavour may ask for the handle of a directory (it is
 * checked when the handle is used, RFC 2623 2.7); one that the export does not take walks as nobody. */
static enum err init_context(struct nfs_server *server, struct onc_call *call, struct vfs_export *export,
                             struct vfs_context *context_r)
{
    unsigned accepted = vfs_export_config(export)->security;
    unsigned security = nfs__security(&call->credential) & accepted;
    struct vfs_user user = {.uid = NOBODY, .gid = NOBODY};

    if (security != 0)
        user = nfs__user(&call->credential);
    else
        security = accepted & (~accepted + 1);
    return vfs_context_init(context_r, server->vfs, export, VFS_NFS3, security, &call->peer, &user);
}

/* PATH within the export from ROOT; takes over the reference of *INODE and gives one back. */
static enum err walk(struct vfs_context *context, struct reader *path, struct inode **inode)
{
    struct store_name name;
    struct inode_attr attr;

    while (next_name(path, &name)) {
        struct inode *next;
        enum err err = vfs_lookup(context, *inode, name, &next);
        if (err != ERR_OK)
            return err;
        vfs_unref(inode);
        *inode = next;
    }
    vfs_getattr(*inode, &attr);
    return attr.type == INODE_DIRECTORY ? ERR_OK : ERR_NOTDIR;
}

static enum err mount(struct onc_call *call, const struct mount_args *args, struct vfs_export **export_r,
                      uint8_t handle_r[VFS_HANDLE_SIZE])
{
    struct nfs_server *server = call->program->data;
    struct reader path = reader_of(args->path, args->path_length);
    struct inode *inode = NULL;
    struct vfs_context context;
    struct vfs_export *export;
    struct store_name name;
    enum err err;

    if (args->path_length == 0 || args->path[0] != '/' || !next_name(&path, &name))
        return ERR_NOENT;
    export = vfs_export_find(server->vfs, (const char *)name.bytes, name.length);
    if (export == NULL)
        return ERR_NOENT;
    err = init_context(server, call, export, &context);
    if (err == ERR_OK)
        err = vfs_root(&context, &inode);
    if (err == ERR_OK)
        err = walk(&context, &path, &inode);
    if (err == ERR_OK) {
        vfs_handle_encode(server->vfs, export, inode, handle_r);
        *export_r = export;
    }
    vfs_unref(&inode);
    return err;
}

/* The flavours (RFC 2623 2.1: pseudo flavours) of an export, those first that need the least of a client. */
static void write_flavors(struct writer *writer, unsigned security)
{
    static const struct {
        unsigned bit;
        uint32_t flavor;
    } rows[] = {
        {VFS_SEC_SYS, ONC_AUTH_SYS}, {VFS_SEC_KRB5, 390003},        {VFS_SEC_KRB5I, 390004},
        {VFS_SEC_KRB5P, 390005},     {VFS_SEC_NONE, ONC_AUTH_NONE},
    };
    size_t position = writer->length;
    uint32_t count = 0;

    writer_be32(writer, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((security & rows[i].bit) != 0) {
            writer_be32(writer, rows[i].flavor);
            count++;
        }
    }
    writer_patch_be32(writer, position, count);
}

/* The path for a log line: printable ASCII only, and not all of a long one. */
static const char *printable(const struct mount_args *args, char *text, size_t size)
{
    size_t length = args->path_length < size - 1 ? args->path_length : size - 1;

    for (size_t i = 0; i < length; i++)
        text[i] = args->path[i] > ' ' && args->path[i] < 127 ? (char)args->path[i] : '?';
    text[length] = '\0';
    return text;
}

static void run_mnt(struct onc_call *call)
{
    struct nfs_server *server = call->program->data;
    struct writer *writer = &call->reply;
    uint8_t handle[VFS_HANDLE_SIZE];
    char peer[NET_ADDRESS_TEXT], text[128];
    struct vfs_export *export;
    struct mount_args args;
    enum err err;

    if (!decode(call, MOUNT_MNT, &args))
        return;
    err = mount(call, &args, &export, handle);
    log_debug("mount: %s asks for %s: %s", net_address_format(&call->peer, peer),
              printable(&args, text, sizeof text), err_text(err));
    writer_be32(writer, mount_status(err));
    if (err == ERR_OK) {
        writer_xdr_opaque(writer, handle, sizeof handle);
        write_flavors(writer, vfs_export_config(export)->security);
        mount__list_add(server, &call->peer, args.path, args.path_length);
    }
    onc_call_reply(call);
}

/* ---- the others ---- */

static void run_null(struct onc_call *call)
{
    struct mount_args args;

    if (decode(call, MOUNT_NULL, &args))
        onc_call_reply(call);
}

static void run_umnt(struct onc_call *call)
{
    struct mount_args args;

    if (!decode(call, MOUNT_UMNT, &args))
        return;
    mount__list_remove(call->program->data, &call->peer, args.path, args.path_length);
    onc_call_reply(call);
}

static void run_umntall(struct onc_call *call)
{
    struct mount_args args;

    if (!decode(call, MOUNT_UMNTALL, &args))
        return;
    mount__list_remove(call->program->data, &call->peer, NULL, 0);
    onc_call_reply(call);
}

/* May the list get LENGTH more bytes and its end? A list that is too long for a reply ends early. */
static bool list_has_room(const struct onc_call *call, size_t length)
{
    size_t most = call->transport == ONC_UDP ? REPLY_LISTS_DATAGRAM : REPLY_LISTS;

    return onc_call_reply_length(call) + length + 4 <= most;
}

/* The host without the port that net_address_format gives it. */
static const char *host_text(const struct net_address *address, char *text)
{
    char *colon;

    net_address_format(address, text);
    if (text[0] == '[') {
        text[strcspn(text, "]")] = '\0';
        return text + 1;
    }
    colon = strrchr(text, ':');
    if (colon != NULL)
        *colon = '\0';
    return text;
}

static void run_dump(struct onc_call *call)
{
    struct nfs_server *server = call->program->data;
    struct writer *writer = &call->reply;
    struct mount_args args;
    struct list *link;

    if (!decode(call, MOUNT_DUMP, &args))
        return;
    list_for_each(link, &server->mounts)
    {
        const struct mount_entry *entry = container_of(link, struct mount_entry, link);
        char text[NET_ADDRESS_TEXT];
        const char *host = host_text(&entry->peer, text);
        if (!list_has_room(call, 3 * 4 + NET_ADDRESS_TEXT + MOUNT_PATH_MAX))
            break;
        writer_be32(writer, 1);
        writer_xdr_opaque(writer, host, strlen(host));
        writer_xdr_opaque(writer, entry->path, entry->path_length);
    }
    writer_be32(writer, 0);
    onc_call_reply(call);
}

/* A rule as showmount prints it: "10.0.0.0/8", "fd00::1". */
static size_t rule_text(const struct vfs_host_rule *rule, char text[RULE_TEXT])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool v4 = rule->prefix_bits >= 96 && memcmp(rule->address, mapped, sizeof mapped) == 0;
    char address[INET6_ADDRSTRLEN];
    int length;

    if (inet_ntop(v4 ? AF_INET : AF_INET6, rule->address + (v4 ? 12 : 0), address, sizeof address) == NULL)
        return 0;
    if (rule->prefix_bits == 128)
        length = snprintf(text, RULE_TEXT, "%s", address);
    else
        length = snprintf(text, RULE_TEXT, "%s/%d", address, rule->prefix_bits - (v4 ? 96 : 0));
    return length > 0 && length < RULE_TEXT ? (size_t)length : 0;
}

static void write_groups(struct onc_call *call, const struct vfs_export_config *config)
{
    for (size_t i = 0; i < config->hosts_allow_count; i++) {
        char text[RULE_TEXT];
        size_t length = rule_text(&config->hosts_allow[i], text);
        if (!list_has_room(call, 2 * 4 + RULE_TEXT + 4))
            break;
        writer_be32(&call->reply, 1);
        writer_xdr_opaque(&call->reply, text, length);
    }
    writer_be32(&call->reply, 0);
}

/* Exports that the caller's host may use; no groups: everybody may. */
static void run_export(struct onc_call *call)
{
    struct nfs_server *server = call->program->data;
    struct writer *writer = &call->reply;
    struct vfs_export *export = NULL;
    struct mount_args args;

    if (!decode(call, MOUNT_EXPORT, &args))
        return;
    while ((export = vfs_export_next(server->vfs, export)) != NULL) {
        const struct vfs_export_config *config = vfs_export_config(export);
        char path[MOUNT_PATH_MAX];
        int length = snprintf(path, sizeof path, "/%s", config->name);
        if ((config->protocols & VFS_NFS3) == 0 || !vfs_export_allows_host(export, &call->peer))
            continue;
        if (length < 0 || (size_t)length >= sizeof path || !list_has_room(call, 4 * 4 + (size_t)length))
            break;
        writer_be32(writer, 1);
        writer_xdr_opaque(writer, path, (size_t)length);
        write_groups(call, config);
    }
    writer_be32(writer, 0);
    onc_call_reply(call);
}

/* ---- the programs ---- */

static const struct onc_procedure procedures_v3[MOUNT_PROCEDURES] = {
    [MOUNT_NULL] = {.name = "NULL", .run = run_null},
    [MOUNT_MNT] = {.name = "MNT", .run = run_mnt, .reply_max = REPLY_SMALL},
    [MOUNT_DUMP] = {.name = "DUMP", .run = run_dump, .reply_max = REPLY_LISTS},
    [MOUNT_UMNT] = {.name = "UMNT", .run = run_umnt},
    [MOUNT_UMNTALL] = {.name = "UMNTALL", .run = run_umntall},
    [MOUNT_EXPORT] = {.name = "EXPORT", .run = run_export, .reply_max = REPLY_LISTS},
};

static const struct onc_procedure procedures_v1[MOUNT_PROCEDURES] = {
    [MOUNT_NULL] = {.name = "NULL", .run = run_null},
    [MOUNT_DUMP] = {.name = "DUMP", .run = run_dump, .reply_max = REPLY_LISTS},
    [MOUNT_UMNT] = {.name = "UMNT", .run = run_umnt},
    [MOUNT_UMNTALL] = {.name = "UMNTALL", .run = run_umntall},
    [MOUNT_EXPORT] = {.name = "EXPORT", .run = run_export, .reply_max = REPLY_LISTS},
};

void mount__programs_init(struct nfs_server *server)
{
    for (uint32_t i = 0; i < NFS_MOUNT_VERSIONS; i++) {
        server->mount[i] = (struct onc_program){
            .name = "mount",
            .number = PROGRAM,
            .version = i + 1,
            .procedures = i == 2 ? procedures_v3 : procedures_v1,
            .procedure_count = MOUNT_PROCEDURES,
            .arguments_max = MOUNT_PATH_MAX + 64,
            .data = server,
        };
    }
}
