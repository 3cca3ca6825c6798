/*
 * smb2_path.c - names and paths of SMB, and what is said of a file.
 *
 * Names are UTF-8 inside. Those that SMB can't say (MS-FSCC 2.1.5) are neither made nor shown.
 */
#include "smb/smb2_priv.h"
#include "smb/smb2_time.h"

#include <string.h>

bool smb2__name_is_usable(struct store_name name)
{
    for (size_t i = 0; i < name.length; i++) {
        if (name.bytes[i] < 0x20 || strchr("\"*/:<>?\\|", name.bytes[i]) != NULL)
            return false;
    }
    return name.length > 0 && name.length <= STORE_NAME_MAX;
}

/* A part of the path that must be a directory. */
static uint32_t step_down(struct vfs_context *context, struct inode **dir, struct store_name part)
{
    uint8_t stored[STORE_NAME_MAX];
    struct inode_attr attr;
    struct inode *next;
    size_t length;
    enum err err = vfs_lookup_folded(context, *dir, part, &next, stored, &length);

    if (err == ERR_NOENT || err == ERR_NOTDIR)
        return STATUS_OBJECT_PATH_NOT_FOUND;
    if (err != ERR_OK)
        return smb2__status(err);
    vfs_unref(dir);
    *dir = next;
    vfs_getattr(next, &attr);
    return attr.type == INODE_DIRECTORY ? STATUS_SUCCESS : STATUS_OBJECT_PATH_NOT_FOUND;
}

static uint32_t walk(struct vfs_context *context, struct inode **dir, const uint8_t *text, size_t length,
                     struct smb2_place *place)
{
    for (;;) {
        const uint8_t *end = memchr(text, '\\', length);
        struct store_name part = {.bytes = text, .length = end == NULL ? length : (size_t)(end - text)};
        uint32_t status;

        if (!smb2__name_is_usable(part))
            return STATUS_OBJECT_NAME_INVALID;
        if (end == NULL) {
            memcpy(place->name, part.bytes, part.length);
            place->length = part.length;
            return STATUS_SUCCESS;
        }
        status = step_down(context, dir, part);
        if (status != STATUS_SUCCESS)
            return status;
        text = end + 1;
        length -= part.length + 1;
    }
}

uint32_t smb2__path_walk(struct vfs_context *context, const void *path, size_t length,
                         struct smb2_place *place_r)
{
    uint8_t text[SMB2_PATH_MAX];
    struct writer writer;
    struct inode *dir = NULL;
    uint32_t status;
    enum err err;

    *place_r = (struct smb2_place){.dir = NULL};
    writer_init(&writer, text, sizeof text);
    if (!utf16_to_utf8(&writer, path, length) || writer.failed)
        return STATUS_OBJECT_NAME_INVALID;
    if (writer.length == 0)
        return STATUS_SUCCESS;
    /* MS-SMB2 3.3.5.9: a path is relative to the share. */
    if (text[0] == '\\')
        return STATUS_INVALID_PARAMETER;
    /* Clients close the name of a directory with a separator at times. */
    if (text[writer.length - 1] == '\\')
        writer.length--;
    err = vfs_root(context, &dir);
    if (err != ERR_OK)
        return smb2__status(err);
    status = walk(context, &dir, text, writer.length, place_r);
    if (status == STATUS_SUCCESS)
        place_r->dir = dir;
    else
        vfs_unref(&dir);
    return status;
}

uint32_t smb2__maximal_access(struct vfs_context *context, struct inode *inode, struct inode *dir)
{
    unsigned all =
        VFS_ACCESS_READ | VFS_ACCESS_WRITE | VFS_ACCESS_EXECUTE | VFS_ACCESS_DELETE | VFS_ACCESS_SETATTR;
    unsigned have = vfs_access(context, inode, all);
    uint32_t access = SMB2_ACCESS_READ_ATTRIBUTES | SMB2_ACCESS_READ_CONTROL | SMB2_ACCESS_SYNCHRONIZE |
                      SMB2_ACCESS_READ_EA;

    if (have & VFS_ACCESS_READ)
        access |= SMB2_ACCESS_READ_DATA;
    if (have & VFS_ACCESS_WRITE)
        access |= SMB2_ACCESS_ANY_WRITE | SMB2_ACCESS_WRITE_EA | SMB2_ACCESS_WRITE_ATTRIBUTES;
    if (have & VFS_ACCESS_EXECUTE)
        access |= SMB2_ACCESS_EXECUTE;
    if (have & VFS_ACCESS_DELETE)
        access |= SMB2_ACCESS_DELETE_CHILD;
    if (have & VFS_ACCESS_SETATTR)
        access |= SMB2_ACCESS_WRITE_ATTRIBUTES | SMB2_ACCESS_WRITE_DAC | SMB2_ACCESS_WRITE_OWNER;
    if (dir != NULL && (vfs_access(context, dir, VFS_ACCESS_DELETE) & VFS_ACCESS_DELETE))
        access |= SMB2_ACCESS_DELETE;
    return access;
}

uint32_t smb2__attributes(const struct inode_attr *attr)
{
    uint32_t attributes = attr->dos_attributes & (SMB2_ATTRIBUTE_SETTABLE | SMB2_ATTRIBUTE_SPARSE);

    if (attr->type == INODE_DIRECTORY)
        return attributes | SMB2_ATTRIBUTE_DIRECTORY;
    return attributes != 0 ? attributes : SMB2_ATTRIBUTE_NORMAL;
}

uint64_t smb2__allocation(const struct inode_attr *attr)
{
    return attr->type == INODE_FILE ? (attr->used + 4095) & ~UINT64_C(4095) : 0;
}

uint64_t smb2__end_of_file(const struct inode_attr *attr)
{
    return attr->type == INODE_DIRECTORY ? 0 : attr->size;
}

void smb2__write_times(struct writer *writer, const struct inode_attr *attr)
{
    writer_le64(writer, smb2_filetime(attr->btime));
    writer_le64(writer, smb2_filetime(attr->atime));
    writer_le64(writer, smb2_filetime(attr->mtime));
    writer_le64(writer, smb2_filetime(attr->ctime));
}

/* ---- wildcards ---- */

/* MS-FSA 2.1.4.4 over code points, folded by the caller. '"', '<' and '>' are DOS_DOT, DOS_STAR, DOS_QM.
 * The search goes back to the last star only, so the cost is bounded by the product of the lengths. */
struct matcher {
    const uint8_t *at, *end;
};

static uint32_t next_character(struct matcher *text)
{
    uint32_t first = *text->at++;

    if (first < 0x80)
        return first;
    while (text->at < text->end && (*text->at & 0xc0) == 0x80)
        first = first << 6 ^ *text->at++;
    return first;
}

static bool is_last_dot(const struct matcher *name)
{
    return *name->at == '.' && memchr(name->at + 1, '.', (size_t)(name->end - name->at) - 1) == NULL;
}

/* One step without a star: does the next of PATTERN take the next of NAME? */
static bool takes(struct matcher *pattern, struct matcher *name)
{
    uint32_t wanted = next_character(pattern);

    if (name->at == name->end)
        return wanted == '>' || wanted == '"';
    if (wanted == '>' && *name->at == '.')
        return true;
    if (wanted == '"')
        wanted = '.';
    return next_character(name) == wanted || wanted == '?' || wanted == '>';
}

static bool matches(struct matcher pattern, struct matcher name)
{
    struct matcher star = {.at = NULL, .end = NULL}, retry = name;
    bool dos_star = false;

    for (;;) {
        struct matcher pattern_after = pattern, name_after = name;

        if (pattern.at < pattern.end && (*pattern.at == '*' || *pattern.at == '<')) {
            dos_star = *pattern.at++ == '<';
            star = pattern;
            retry = name;
        } else if (pattern.at < pattern.end && takes(&pattern_after, &name_after)) {
            pattern = pattern_after;
            name = name_after;
        } else if (pattern.at == pattern.end && name.at == name.end) {
            return true;
        } else if (star.at == NULL || retry.at == retry.end || (dos_star && is_last_dot(&retry))) {
            /* DOS_STAR does not go over the last dot. */
            return false;
        } else {
            (void)next_character(&retry);
            pattern = star;
            name = retry;
        }
    }
}

bool smb2__name_matches(struct store_name name, struct store_name pattern)
{
    uint8_t folded[2][STORE_NAME_MAX * 3];
    size_t name_length, pattern_length;

    if (pattern.length == 1 && pattern.bytes[0] == '*')
        return true;
    if (name.length > STORE_NAME_MAX || pattern.length > STORE_NAME_MAX)
        return false;
    name_length = store_fold_name(name, folded[0], sizeof folded[0]);
    pattern_length = store_fold_name(pattern, folded[1], sizeof folded[1]);
    return matches((struct matcher){.at = folded[1], .end = folded[1] + pattern_length},
                   (struct matcher){.at = folded[0], .end = folded[0] + name_length});
}
