/*
 * smb2_path.c - names and paths of SMB, and what is said of a file.
 *
 * Names are UTF-8 inside. Those that SMB can't say (MS-FSCC 2.1.5) are neither made nor shown.
 */
#include "smb/smb2_file_priv.h"
#include "smb/smb2_share.h"
#include "smb/smb2_time.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool smb2__name_is_usable(struct store_name name)
{
    for (size_t i = 0; i < name.length; i++) {
        if (name.bytes[i] < 0x20 || strchr("\"*/:<>?\\|", name.bytes[i]) != NULL)
            return false;
    }
    return name.length > 0 && name.length <= STORE_NAME_MAX;
}

void smb2__place_free(struct smb2_place *place)
{
    vfs_unref(&place->dir);
    vfs_unref(&place->link);
    free(place->dir_path);
    place->dir_path = NULL;
}

struct path_walk {
    struct vfs_context *context;
    struct smb2_place *place;
    struct inode *dir;     /* with a reference */
    struct writer visited; /* the names of the directories on the way, as stored */
};

static uint32_t stop_at_link(struct path_walk *walk, struct inode *link, const uint8_t *rest, size_t length)
{
    uint8_t unparsed[2 * SMB2_PATH_MAX];
    struct writer writer;

    writer_init(&writer, unparsed, sizeof unparsed);
    if (!utf16_from_utf8(&writer, rest, length) || writer.failed)
        return STATUS_OBJECT_NAME_INVALID;
    walk->place->link = vfs_ref(link);
    walk->place->unparsed = writer.length;
    return STATUS_STOPPED_ON_SYMLINK;
}

/* A part of the path that must be a directory; REST is what lies behind it, with its separator. */
static uint32_t step_down(struct path_walk *walk, struct store_name part, const uint8_t *rest, size_t length)
{
    uint8_t stored[STORE_NAME_MAX];
    struct inode_attr attr;
    struct inode *next;
    uint32_t status = STATUS_SUCCESS;
    size_t stored_length;
    enum err err = smb2__lookup(walk->context, walk->dir, part, &next, stored, &stored_length);

    if (err == ERR_NOENT || err == ERR_NOTDIR)
        return STATUS_OBJECT_PATH_NOT_FOUND;
    if (err != ERR_OK)
        return smb2__status(err);
    vfs_getattr(next, &attr);
    if (attr.type == INODE_SYMLINK)
        status = stop_at_link(walk, next, rest, length);
    else if (attr.type != INODE_DIRECTORY)
        status = STATUS_OBJECT_PATH_NOT_FOUND;
    if (status != STATUS_SUCCESS) {
        vfs_unref(&next);
        return status;
    }
    vfs_unref(&walk->dir);
    walk->dir = next;
    if (walk->visited.length > 0)
        writer_u8(&walk->visited, '\\');
    writer_bytes(&walk->visited, stored, stored_length);
    return STATUS_SUCCESS;
}

static bool is_type(struct store_name type, const char *text)
{
    return type.length == strlen(text) && strncasecmp((const char *)type.bytes, text, type.length) == 0;
}

/* MS-FSCC 2.1.5: what is behind the first colon. */
static uint32_t take_stream(struct smb2_place *place, const uint8_t *text, size_t length)
{
    const uint8_t *colon = memchr(text, ':', length);
    struct store_name name = {.bytes = text, .length = colon == NULL ? length : (size_t)(colon - text)};
    struct store_name type = {.bytes = colon, .length = 0};

    if (colon != NULL) {
        type.bytes++;
        type.length = length - name.length - 1;
    }
    if (name.length > STORE_NAME_MAX || (colon == NULL && name.length == 0))
        return STATUS_OBJECT_NAME_INVALID;
    if (memchr(name.bytes, '/', name.length) != NULL || memchr(name.bytes, 0, name.length) != NULL)
        return STATUS_OBJECT_NAME_INVALID;
    if (colon != NULL && is_type(type, "$INDEX_ALLOCATION") && (name.length == 0 || is_type(name, "$I30"))) {
        place->is_index = true;
        return STATUS_SUCCESS;
    }
    if (colon != NULL && !is_type(type, "$DATA"))
        return STATUS_OBJECT_NAME_INVALID;
    place->is_data = true;
    memcpy(place->stream, name.bytes, name.length);
    place->stream_length = name.length;
    return STATUS_SUCCESS;
}

static bool is_dots(struct store_name part)
{
    return part.length == 2 && memcmp(part.bytes, "..", 2) == 0;
}

static struct store_name first_part(const uint8_t *text, size_t length)
{
    const uint8_t *end = memchr(text, '\\', length);

    return (struct store_name){.bytes = text, .length = end == NULL ? length : (size_t)(end - text)};
}

static size_t without_last(const uint8_t *text, size_t length)
{
    while (length > 0 && text[length - 1] != '\\')
        length--;
    return length > 0 ? length - 1 : 0;
}

/* MS-FSCC 2.1.5.1: clients should not send "." and "..", which mean this directory and the one above. Takes
 * them out of TEXT, without looking at what is there. What would lead out of the share is refused, as Windows
 * does (there it would mean the root). */
static uint32_t remove_dots(uint8_t *text, size_t *length, bool *any_r)
{
    size_t at = 0, to = 0;
    bool any = false;

    while (at < *length) {
        struct store_name part = first_part(text + at, *length - at);
        size_t next = at + part.length + 1;

        if (is_dots(part) && to == 0)
            return STATUS_OBJECT_PATH_SYNTAX_BAD;
        if (is_dots(part)) {
            to = without_last(text, to);
            any = true;
        } else if (part.length == 1 && *part.bytes == '.') {
            any = true;
        } else {
            if (to > 0)
                text[to++] = '\\';
            memmove(text + to, part.bytes, part.length);
            to += part.length;
        }
        at = next;
    }
    if (any)
        *length = to;
    *any_r = any;
    return STATUS_SUCCESS;
}

static uint32_t take_last(struct smb2_place *place, struct store_name part)
{
    const uint8_t *colon = memchr(part.bytes, ':', part.length);
    uint32_t status = STATUS_SUCCESS;

    if (colon != NULL) {
        size_t before = (size_t)(colon - part.bytes);

        status = take_stream(place, colon + 1, part.length - before - 1);
        part.length = before;
    }
    if (status != STATUS_SUCCESS)
        return status;
    if (is_dots(part))
        return STATUS_OBJECT_PATH_SYNTAX_BAD;
    if (!smb2__name_is_usable(part))
        return STATUS_OBJECT_NAME_INVALID;
    memcpy(place->name, part.bytes, part.length);
    place->length = part.length;
    return STATUS_SUCCESS;
}

static uint32_t walk_parts(struct path_walk *walk, const uint8_t *text, size_t length)
{
    for (;;) {
        const uint8_t *end = memchr(text, '\\', length);
        struct store_name part = first_part(text, length);
        uint32_t status;

        if (end == NULL)
            return take_last(walk->place, part);
        if (!smb2__name_is_usable(part))
            return STATUS_OBJECT_NAME_INVALID;
        status = step_down(walk, part, end, length - part.length);
        if (status != STATUS_SUCCESS)
            return status;
        text = end + 1;
        length -= part.length + 1;
    }
}

/* ":stream" of the root itself. */
static bool is_of_root(const uint8_t *text, size_t length)
{
    return length > 0 && text[0] == ':' && memchr(text, '\\', length) == NULL;
}

uint32_t smb2__path_walk(struct vfs_context *context, const void *path, size_t length,
                         struct smb2_place *place_r)
{
    uint8_t text[SMB2_PATH_MAX];
    struct path_walk walk = {.context = context, .place = place_r};
    struct writer writer;
    bool had_dots;
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
    status = remove_dots(text, &writer.length, &had_dots);
    if (status != STATUS_SUCCESS || writer.length == 0)
        return status;
    if (is_of_root(text, writer.length))
        return take_stream(place_r, text + 1, writer.length - 1);
    /* Clients close the name of a directory with a separator at times. */
    if (text[writer.length - 1] == '\\')
        writer.length--;
    err = vfs_root(context, &walk.dir);
    if (err != ERR_OK)
        return smb2__status(err);
    writer_init_growing(&walk.visited, 2 * SMB2_PATH_MAX);
    status = walk_parts(&walk, text, writer.length);
    writer_u8(&walk.visited, 0);
    /* How much of its path is behind the link the client could not tell. */
    if (status == STATUS_STOPPED_ON_SYMLINK && had_dots)
        status = STATUS_OBJECT_PATH_SYNTAX_BAD;
    if (status == STATUS_SUCCESS) {
        place_r->dir_path = walk.visited.failed ? NULL : strdup((const char *)walk.visited.data);
        if (place_r->dir_path == NULL)
            status = STATUS_INSUFFICIENT_RESOURCES;
    }
    writer_free(&walk.visited);
    if (status == STATUS_SUCCESS)
        place_r->dir = walk.dir;
    else
        vfs_unref(&walk.dir);
    return status;
}

void smb2__open_attr(const struct smb2_open *open, struct inode_attr *attr_r)
{
    struct inode_attr stream;

    vfs_getattr(smb2_open_file(open), attr_r);
    if (smb2__share_hides(open->server, open->tree,
                          (struct store_name){.bytes = open->name, .length = open->name_length}))
        attr_r->dos_attributes |= SMB2_ATTRIBUTE_HIDDEN;
    if (open->base == NULL)
        return;
    vfs_getattr(open->inode, &stream);
    attr_r->type = INODE_STREAM;
    attr_r->size = stream.size;
    attr_r->used = stream.used;
}

uint32_t smb2__attributes(const struct inode_attr *attr)
{
    const uint32_t stored = SMB2_ATTRIBUTE_SETTABLE | SMB2_ATTRIBUTE_SPARSE | SMB2_ATTRIBUTE_REPARSE_POINT;
    uint32_t attributes = attr->dos_attributes & stored;

    if (attr->type == INODE_DIRECTORY)
        return attributes | SMB2_ATTRIBUTE_DIRECTORY;
    /* A symbolic link that was made as one to a directory says so. */
    if (attr->type != INODE_FILE && attr->type != INODE_STREAM)
        attributes |= SMB2_ATTRIBUTE_REPARSE_POINT | (attr->dos_attributes & SMB2_ATTRIBUTE_DIRECTORY);
    return attributes != 0 ? attributes : SMB2_ATTRIBUTE_NORMAL;
}

uint64_t smb2__allocation(const struct inode_attr *attr)
{
    return attr->type == INODE_FILE || attr->type == INODE_STREAM ? (attr->used + 4095) & ~UINT64_C(4095) : 0;
}

uint64_t smb2__end_of_file(const struct inode_attr *attr)
{
    return attr->type == INODE_FILE || attr->type == INODE_STREAM ? attr->size : 0;
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
