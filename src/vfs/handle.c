/*
 * handle.c - file handles.
 *
 * 32 bytes, little endian: version (1), what of the inode it is (1: itself 0, the directory of its streams
 * 1), two zeros, export id (4), inode (8), its generation (4), and the first 96 bits of a SipHash-2-4-128 of
 * these 20 bytes under a secret that the store keeps. So a handle can't be made up, and it means the same
 * after a restart.
 *
 * What does not carry our MAC was never made here: ERR_BADHANDLE, whatever it names. Only then is it looked
 * up, so that a stranger can't find out which inodes there are: what is gone is ERR_STALE.
 */
#include "vfs/vfs_priv.h"

#include "dittofs/cursor.h"
#include <string.h>

enum { ITSELF = 0, STREAMS = 1 };
enum { HANDLE_VERSION = 1, HANDLE_BODY = 20, HANDLE_MAC = VFS_HANDLE_SIZE - HANDLE_BODY };

static void handle_mac(const struct vfs *vfs, const uint8_t *body, uint8_t mac[16])
{
    siphash128(&vfs->handle_key, body, HANDLE_BODY, mac);
}

static void encode(struct vfs *vfs, const struct vfs_export *export, const struct inode *inode, uint8_t what,
                   uint8_t handle[VFS_HANDLE_SIZE])
{
    const struct inode_attr *attr = inode_attr(inode);
    struct writer writer;
    uint8_t mac[16];

    writer_init(&writer, handle, VFS_HANDLE_SIZE);
    writer_u8(&writer, HANDLE_VERSION);
    writer_u8(&writer, what);
    writer_zeros(&writer, 2);
    writer_le32(&writer, export->id);
    writer_le64(&writer, attr->ino);
    writer_le32(&writer, attr->generation);
    handle_mac(vfs, handle, mac);
    writer_bytes(&writer, mac, HANDLE_MAC);
}

void vfs_handle_encode(struct vfs *vfs, const struct vfs_export *export, const struct inode *inode,
                       uint8_t handle[VFS_HANDLE_SIZE])
{
    encode(vfs, export, inode, ITSELF, handle);
}

void vfs_handle_encode_streams(struct vfs *vfs, const struct vfs_export *export, const struct inode *inode,
                               uint8_t handle[VFS_HANDLE_SIZE])
{
    encode(vfs, export, inode, STREAMS, handle);
}

enum err vfs_handle_decode_any(struct vfs *vfs, const uint8_t *handle, size_t length,
                               struct vfs_export **export_r, struct inode **inode_r, bool *streams_r)
{
    struct reader reader = reader_of(handle, length);
    struct vfs_export *export;
    struct inode *inode;
    uint8_t version, what, mac[16];
    uint32_t id, generation;
    uint64_t ino;
    enum err err;

    if (length != VFS_HANDLE_SIZE)
        return ERR_BADHANDLE;
    handle_mac(vfs, handle, mac);
    if (!constant_time_equal(mac, handle + HANDLE_BODY, HANDLE_MAC))
        return ERR_BADHANDLE;
    if (!reader_u8(&reader, &version) || version != HANDLE_VERSION || !reader_u8(&reader, &what) ||
        what > STREAMS || !reader_skip(&reader, 2) || !reader_le32(&reader, &id) ||
        !reader_le64(&reader, &ino) || !reader_le32(&reader, &generation))
        return ERR_BADHANDLE;
    export = vfs_export_by_id(vfs, id);
    if (export == NULL)
        return ERR_STALE;
    err = inode_get(vfs->store, ino, generation, &inode);
    if (err != ERR_OK)
        return err;
    if (inode_attr(inode)->tree != export->id) {
        inode_unref(&inode);
        return ERR_STALE;
    }
    *export_r = export;
    *inode_r = inode;
    *streams_r = what == STREAMS;
    return ERR_OK;
}

enum err vfs_handle_decode(struct vfs *vfs, const uint8_t *handle, size_t length,
                           struct vfs_export **export_r, struct inode **inode_r)
{
    struct vfs_export *export;
    struct inode *inode;
    bool streams;
    enum err err = vfs_handle_decode_any(vfs, handle, length, &export, &inode, &streams);

    if (err != ERR_OK)
        return err;
    if (streams) {
        inode_unref(&inode);
        return ERR_BADHANDLE;
    }
    *export_r = export;
    *inode_r = inode;
    return ERR_OK;
}
