/*
 * smb2_tunnel.c - what a file leaves to the one that gets its name next (MS-FSA 2.1.1.1, TunnelCacheList;
 * 2.1.5.1.1, 2.1.5.5, 2.1.5.14.11): the time of its creation, and to one that is made by its short name the
 * long one. Programs that save by writing another file, and giving that the old one's name, so keep the date
 * on which the document was made; those that know short names alone keep the long ones.
 *
 * Only what SMB clients delete and rename is noted, and only they find it; directories and streams are not in
 * it. An entry goes when it was found, after TUNNEL_MS, or as the oldest of TUNNEL_MAX.
 */
#include "smb/smb2_file_priv.h"

#include "dittofs/clock.h"

#include <stdlib.h>
#include <string.h>

enum { TUNNEL_MAX = 256, TUNNEL_MS = 15 * 1000, KEY_HEAD = 12 };

struct entry {
    uint64_t until_ms;               /* 0: free */
    uint64_t by_name, by_short_name; /* of directory and folded name; 0: it has no other name */
    struct timestamp btime;
    uint8_t name[STORE_NAME_MAX];
    size_t length;
};

struct smb2_tunnel {
    struct entry entries[TUNNEL_MAX]; /* a ring, in order of their time */
    size_t next;
    uint64_t last_ms; /* when the last one goes */
};

static uint64_t hash_of(const struct smb_server *server, uint32_t export_id, struct inode *dir,
                        struct store_name name)
{
    uint8_t key[KEY_HEAD + STORE_NAME_MAX * 3];
    struct inode_attr attr;
    struct writer writer;

    vfs_getattr(dir, &attr);
    writer_init(&writer, key, sizeof key);
    writer_le32(&writer, export_id);
    writer_le64(&writer, attr.ino);
    return siphash64(&server->hash_key, key,
                     KEY_HEAD + store_fold_name(name, key + KEY_HEAD, sizeof key - KEY_HEAD)) |
           1;
}

void smb2__tunnel_leave(struct smb_server *server, uint32_t export_id, struct inode *dir,
                        struct store_name name, const struct inode_attr *attr)
{
    char text[SMB2_SHORT_NAME_MAX + 1];
    struct entry *entry;

    if (attr->type != INODE_FILE || name.length > STORE_NAME_MAX)
        return;
    if (server->tunnel == NULL)
        server->tunnel = calloc(1, sizeof *server->tunnel);
    if (server->tunnel == NULL)
        return;
    entry = &server->tunnel->entries[server->tunnel->next];
    server->tunnel->next = (server->tunnel->next + 1) % TUNNEL_MAX;
    *entry = (struct entry){.until_ms = clock_monotonic_ms() + TUNNEL_MS,
                            .by_name = hash_of(server, export_id, dir, name),
                            .btime = attr->btime,
                            .length = name.length};
    memcpy(entry->name, name.bytes, name.length);
    if (smb2__short_name(name, text))
        entry->by_short_name =
            hash_of(server, export_id, dir,
                    (struct store_name){.bytes = (const uint8_t *)text, .length = strlen(text)});
    server->tunnel->last_ms = entry->until_ms;
}

bool smb2__tunnel_take(struct smb_server *server, uint32_t export_id, struct inode *dir,
                       struct store_name name, struct smb2_tunneled *found_r)
{
    struct smb2_tunnel *tunnel = server->tunnel;
    uint64_t now_ms, hash;

    if (tunnel == NULL || (now_ms = clock_monotonic_ms()) >= tunnel->last_ms)
        return false;
    hash = hash_of(server, export_id, dir, name);
    for (size_t i = 1; i <= TUNNEL_MAX; i++) {
        struct entry *entry = &tunnel->entries[(tunnel->next + TUNNEL_MAX - i) % TUNNEL_MAX];

        if (entry->until_ms <= now_ms || (entry->by_name != hash && entry->by_short_name != hash))
            continue;
        found_r->btime = entry->btime;
        found_r->is_short = entry->by_name != hash;
        found_r->length = entry->length;
        memcpy(found_r->name, entry->name, entry->length);
        entry->until_ms = 0;
        return true;
    }
    return false;
}

void smb2__tunnel_free(struct smb_server *server)
{
    free(server->tunnel);
    server->tunnel = NULL;
}
