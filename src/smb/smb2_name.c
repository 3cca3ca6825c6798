/*
 * smb2_name.c - the path of an open, for those who ask for its name.
 *
 * An open knows its directory and its name there, both kept up to date by smb2_delete.c, and the directory's
 * path when it was opened. Directories on the way may have been renamed since: the path is walked, and when
 * it does not lead to the directory any more it is put together from there up to the root.
 */
#include "smb/smb2_file_priv.h"

#include <stdlib.h>
#include <string.h>

enum { SEARCHED_MAX = 100000, DEPTH_MAX = 256 };

/* Does PATH lead from the root to DIR, by exact names? */
static bool leads_to(struct vfs_context *context, const char *path, const struct inode *dir)
{
    struct inode *at, *next;
    bool good = vfs_root(context, &at) == ERR_OK;

    while (good && *path != '\0') {
        size_t length = strcspn(path, "\\");
        struct store_name name = {.bytes = (const uint8_t *)path, .length = length};

        if (vfs_lookup(context, at, name, &next) != ERR_OK) {
            vfs_unref(&at);
            return false;
        }
        vfs_unref(&at);
        at = next;
        path += length + (path[length] == '\\');
    }
    if (!good)
        return false;
    good = at == dir;
    vfs_unref(&at);
    return good;
}

struct search {
    uint64_t ino;
    unsigned left; /* entries that may still be looked at */
    bool found;
    uint8_t name[STORE_NAME_MAX];
    size_t length;
};

static bool search_one(void *data, const struct vfs_dirent *entry)
{
    struct search *search = data;

    if (search->left == 0)
        return false;
    search->left--;
    if (entry->ino != search->ino)
        return true;
    memcpy(search->name, entry->name.bytes, entry->name.length);
    search->length = entry->name.length;
    search->found = true;
    return false;
}

/* Puts NAME and a separator in front of PATH. */
static char *prepend(const struct search *search, char *path)
{
    size_t behind = strlen(path);
    char *longer = malloc(search->length + 1 + behind + 1);

    if (longer != NULL) {
        memcpy(longer, search->name, search->length);
        longer[search->length] = '\\';
        memcpy(longer + search->length + (behind > 0), path, behind + 1);
        if (behind == 0)
            longer[search->length] = '\0';
    }
    free(path);
    return longer;
}

/* The path of DIR from the root down; NULL when it can't be found. */
static char *build(struct vfs_context *context, struct inode *dir)
{
    struct inode *at = vfs_ref(dir), *parent;
    char *path = strdup("");
    unsigned left = SEARCHED_MAX;

    for (unsigned depth = 0; path != NULL && depth < DEPTH_MAX; depth++) {
        struct search search = {.left = left};
        struct inode_attr attr;
        bool end;

        vfs_getattr(at, &attr);
        if (attr.parent == attr.ino) {
            vfs_unref(&at);
            return path;
        }
        search.ino = attr.ino;
        if (vfs_parent(context, at, &parent) != ERR_OK)
            break;
        vfs_unref(&at);
        at = parent;
        if (vfs_readdir(context, at, 0, false, search_one, &search, &end) != ERR_OK || !search.found)
            break;
        left = search.left;
        path = prepend(&search, path);
    }
    vfs_unref(&at);
    free(path);
    return NULL;
}

uint32_t smb2__open_path(struct vfs_context *context, struct smb2_open *open, struct writer *path)
{
    if (open->dir != NULL) {
        bool by_handle = context->by_handle;

        context->by_handle = true;
        if (open->dir_path == NULL || !leads_to(context, open->dir_path, open->dir)) {
            free(open->dir_path);
            open->dir_path = build(context, open->dir);
        }
        context->by_handle = by_handle;
        if (open->dir_path == NULL)
            return STATUS_OBJECT_PATH_NOT_FOUND;
        writer_bytes(path, open->dir_path, strlen(open->dir_path));
        if (open->dir_path[0] != '\0')
            writer_u8(path, '\\');
        writer_bytes(path, open->name, open->name_length);
    }
    if (open->base != NULL) {
        writer_u8(path, ':');
        writer_bytes(path, open->stream, open->stream_length);
    }
    return path->failed ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}
