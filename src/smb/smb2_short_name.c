/*
 * smb2_short_name.c - short names (MS-FSCC 2.1.5.2.1) for programs that can't do without.
 *
 * A name that is not of eight and three characters itself has one made from its first letters and a hash of
 * the whole: nothing is kept, it is the same at every start and on every name of equal letters. It is looked
 * for when no entry has the name that was asked for and it could be one of ours, among the first entries of
 * the directory only: in a directory of millions nobody is found by it.
 */
#include "smb/smb2_file_priv.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { STEM_MAX = 8, EXTENSION_MAX = 3, PREFIX_MAX = 4, HASH_DIGITS = 3, SEARCHED_MAX = 10000 };

static bool is_short_character(uint8_t c)
{
    return c > 0x20 && c < 0x7f && strchr("\"*+,./:;<=>?[\\]|", c) == NULL;
}

static const uint8_t *last_dot(struct store_name name)
{
    const uint8_t *dot = NULL;

    for (size_t i = 1; i < name.length; i++)
        if (name.bytes[i] == '.')
            dot = name.bytes + i;
    return dot;
}

static bool all_short(const uint8_t *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!is_short_character(text[i]))
            return false;
    return true;
}

static bool is_short(struct store_name name)
{
    const uint8_t *dot = last_dot(name);
    size_t stem = dot != NULL ? (size_t)(dot - name.bytes) : name.length;
    size_t extension = dot != NULL ? name.length - stem - 1 : 0;

    return stem > 0 && stem <= STEM_MAX && extension <= EXTENSION_MAX && (dot == NULL || extension > 0) &&
           all_short(name.bytes, stem) && (dot == NULL || all_short(dot + 1, extension));
}

/* Up to MOST of the characters that a short name may have. */
static size_t take(const uint8_t *text, size_t length, size_t most, char *to)
{
    size_t count = 0;

    for (size_t i = 0; i < length && count < most; i++)
        if (is_short_character(text[i]) && text[i] != '~')
            to[count++] = (char)toupper(text[i]);
    return count;
}

/* FNV-1a over the folded name: what differs in case alone has the same. */
static uint32_t hash_of(struct store_name name)
{
    uint8_t folded[STORE_NAME_MAX * 3];
    size_t length = store_fold_name(name, folded, sizeof folded);
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ folded[i]) * 16777619u;
    return hash;
}

bool smb2__short_name(struct store_name name, char text_r[SMB2_SHORT_NAME_MAX + 1])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const uint8_t *dot = last_dot(name);
    size_t stem = dot != NULL ? (size_t)(dot - name.bytes) : name.length, at = 0;
    uint32_t hash;

    if (is_short(name)) {
        for (size_t i = 0; i < name.length; i++)
            text_r[i] = (char)toupper(name.bytes[i]);
        text_r[name.length] = '\0';
        return false;
    }
    at = take(name.bytes, stem, PREFIX_MAX, text_r);
    text_r[at++] = '~';
    hash = hash_of(name);
    for (unsigned i = 0; i < HASH_DIGITS; i++, hash /= 36)
        text_r[at++] = digits[hash % 36];
    if (dot != NULL) {
        text_r[at++] = '.';
        at += take(dot + 1, name.length - stem - 1, EXTENSION_MAX, text_r + at);
        if (text_r[at - 1] == '.')
            at--;
    }
    text_r[at] = '\0';
    return true;
}

struct search {
    struct store_name wanted;
    unsigned left;
    uint8_t name[STORE_NAME_MAX];
    size_t length; /* 0: not found */
};

static bool search_one(void *data, const struct vfs_dirent *entry)
{
    struct search *search = data;
    char text[SMB2_SHORT_NAME_MAX + 1];

    if (search->left == 0)
        return false;
    search->left--;
    if (!smb2__short_name(entry->name, text) || strlen(text) != search->wanted.length ||
        strncasecmp(text, (const char *)search->wanted.bytes, search->wanted.length) != 0)
        return true;
    memcpy(search->name, entry->name.bytes, entry->name.length);
    search->length = entry->name.length;
    return false;
}

/* Could it be one that was made above? */
static bool could_be_made(struct store_name name)
{
    const uint8_t *tilde = memchr(name.bytes, '~', name.length);

    return tilde != NULL && is_short(name) && tilde - name.bytes <= PREFIX_MAX &&
           name.length >= (size_t)(tilde - name.bytes) + 1 + HASH_DIGITS;
}

enum err smb2__lookup(struct vfs_context *context, struct inode *dir, struct store_name name,
                      struct inode **inode_r, uint8_t *stored_r, size_t *length_r)
{
    struct search search = {.wanted = name, .left = SEARCHED_MAX};
    enum err err = vfs_lookup_folded(context, dir, name, inode_r, stored_r, length_r), found;
    bool end;

    if (err != ERR_NOENT || !could_be_made(name))
        return err;
    found = vfs_readdir(context, dir, 0, false, search_one, &search, &end);
    if (found != ERR_OK || search.length == 0)
        return err;
    name = (struct store_name){.bytes = search.name, .length = search.length};
    return vfs_lookup_folded(context, dir, name, inode_r, stored_r, length_r);
}
