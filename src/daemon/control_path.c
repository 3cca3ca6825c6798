/*
 * control_path.c - from inode numbers to paths, and back, for listings.
 *
 * A file's name is that by which it was last opened or to which it was renamed (state_file_name), if it still
 * leads there. Directories know their parents; their names are looked for there, among the first so many
 * entries. What can't be found that way is "#" and the inode number.
 */
#include "daemon/control_walk_priv.h"

#include "dittofs/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 64, ENTRIES_MAX = 1024 };

struct seek {
    uint64_t ino;
    unsigned left;
    uint8_t name[STORE_NAME_MAX];
    size_t length;
};

static bool seek_entry(void *data, const struct dirent *entry)
{
    struct seek *seek = data;

    if (entry->ino == seek->ino && entry->name.length <= sizeof seek->name) {
        memcpy(seek->name, entry->name.bytes, entry->name.length);
        seek->length = entry->name.length;
        return false;
    }
    return --seek->left > 0;
}

/* A path is written from its end. */
struct backwards {
    char *text;
    size_t at;
};

static bool prepend(struct backwards *path, const void *bytes, size_t length)
{
    if (path->at < length + 1)
        return false;
    path->at -= length;
    memcpy(path->text + path->at, bytes, length);
    path->text[--path->at] = '/';
    return true;
}

static bool prepend_number(struct backwards *path, uint64_t ino)
{
    char text[32];
    int length = snprintf(text, sizeof text, "#%" PRIu64, ino);

    return prepend(path, text, (size_t)length);
}

static bool prepend_export(const struct control_subject *subject, struct backwards *path, uint32_t tree)
{
    const struct vfs_export *export = vfs_export_by_id(subject->vfs, tree);
    const char *name = export == NULL ? "?" : vfs_export_config(export)->name;

    return prepend(path, name, strlen(name));
}

/* The path of the directory DIR; it is "#.." where it can't be found. */
static void directory_path(struct control_walk *walk, uint32_t tree, uint64_t dir)
{
    struct backwards path = {.text = walk->dir_path, .at = sizeof walk->dir_path - 1};
    uint64_t ino = dir;
    bool more = true;

    path.text[path.at] = '\0';
    for (unsigned depth = 0; more && depth < DEPTH_MAX; depth++) {
        struct seek seek = {.ino = ino, .left = ENTRIES_MAX};
        struct inode *inode = NULL, *parent = NULL;
        bool end;

        more = false;
        if (inode_get(walk->subject->store, ino, 0, &inode) != ERR_OK) {
            (void)prepend_number(&path, ino);
        } else if (inode_attr(inode)->parent != ino) {
            if (inode_get(walk->subject->store, inode_attr(inode)->parent, 0, &parent) == ERR_OK &&
                dir_scan(parent, 0, seek_entry, &seek, &end) == ERR_OK && seek.length > 0)
                more = prepend(&path, seek.name, seek.length);
            else
                (void)prepend_number(&path, ino);
            ino = inode_attr(inode)->parent;
        }
        inode_unref(&parent);
        inode_unref(&inode);
    }
    (void)prepend_export(walk->subject, &path, tree);
    memmove(walk->dir_path, path.text + path.at, sizeof walk->dir_path - path.at);
    walk->dir_tree = tree;
    walk->dir_ino = dir;
}

/* Does NAME in DIR lead to INO? */
static bool leads_to(struct store *store, uint64_t dir, struct store_name name, uint64_t ino)
{
    struct inode *inode;
    uint64_t found = 0;
    bool leads;

    if (inode_get(store, dir, 0, &inode) != ERR_OK)
        return false;
    leads = dir_lookup(inode, name, STORE_EXACT, &found, NULL, NULL) == ERR_OK && found == ino;
    inode_unref(&inode);
    return leads;
}

static bool is_directory(struct store *store, uint64_t ino)
{
    struct inode *inode;
    bool is;

    if (inode_get(store, ino, 0, &inode) != ERR_OK)
        return false;
    is = inode_attr(inode)->type == INODE_DIRECTORY;
    inode_unref(&inode);
    return is;
}

static void join(char path[CONTROL_PATH_MAX], const char *dir, struct store_name name)
{
    size_t length = strlen(dir);

    if (length + 1 + name.length >= CONTROL_PATH_MAX) {
        path[0] = '\0';
        return;
    }
    memcpy(path, dir, length);
    path[length++] = '/';
    memcpy(path + length, name.bytes, name.length);
    path[length + name.length] = '\0';
}

void control__path(struct control_walk *walk, uint32_t tree, uint64_t ino, char path[CONTROL_PATH_MAX])
{
    const struct state_file *file = state_file_find(walk->subject->state, tree, ino);
    struct store_name name = {.bytes = NULL};
    struct backwards plain = {.text = path, .at = CONTROL_PATH_MAX - 1};
    uint64_t dir = 0;

    if (file != NULL)
        name.bytes = state_file_name(file, &dir, &name.length);
    if (name.bytes != NULL && leads_to(walk->subject->store, dir, name, ino)) {
        if (walk->dir_ino != dir || walk->dir_tree != tree)
            directory_path(walk, tree, dir);
        join(path, walk->dir_path, name);
        return;
    }
    if (is_directory(walk->subject->store, ino)) {
        directory_path(walk, tree, ino);
        snprintf(path, CONTROL_PATH_MAX, "%s", walk->dir_path);
        return;
    }
    path[plain.at] = '\0';
    (void)prepend_number(&plain, ino);
    (void)prepend_export(walk->subject, &plain, tree);
    memmove(path, path + plain.at, CONTROL_PATH_MAX - plain.at);
}

/* ---- back ---- */

static struct inode *tree_root(const struct control_subject *subject, const struct vfs_export *export)
{
    const struct vfs_export_config *config = vfs_export_config(export);
    struct inode *root;
    uint64_t ino;
    uint32_t tree;

    if (store_tree_open(subject->store, config->name, config->root_uid, config->root_gid, &tree, &ino) !=
            ERR_OK ||
        inode_get(subject->store, ino, 0, &root) != ERR_OK)
        return NULL;
    return root;
}

bool control__find_path(const struct control_subject *subject, const char *path, uint32_t *tree_r,
                        uint64_t *ino_r)
{
    const struct vfs_export *export;
    struct inode *inode;
    size_t length;

    if (path[0] != '/')
        return false;
    length = strcspn(++path, "/");
    export = vfs_export_find(subject->vfs, path, length);
    inode = export == NULL ? NULL : tree_root(subject, export);
    for (path += length; inode != NULL && *path != '\0'; path += length) {
        struct store_name name;
        uint64_t ino;

        if (*path == '/') {
            length = 1;
            continue;
        }
        length = strcspn(path, "/");
        name = (struct store_name){.bytes = (const uint8_t *)path, .length = length};
        if (length > STORE_NAME_MAX || inode_attr(inode)->type != INODE_DIRECTORY ||
            dir_lookup(inode, name, STORE_EXACT, &ino, NULL, NULL) != ERR_OK) {
            inode_unref(&inode);
            break;
        }
        inode_unref(&inode);
        if (inode_get(subject->store, ino, 0, &inode) != ERR_OK)
            inode = NULL;
    }
    if (inode == NULL)
        return false;
    *tree_r = inode_attr(inode)->tree;
    *ino_r = inode_attr(inode)->ino;
    inode_unref(&inode);
    return true;
}
