/*
 * smb2_query_directory.c - QUERY_DIRECTORY (MS-SMB2 2.2.33, 3.3.5.18; MS-FSCC 2.4).
 *
 * The place in the listing is the cookie of the last entry given, so that a directory that changes meanwhile
 * loses and repeats nothing that stays. A pattern without wildcards is one look-up. Names that SMB can't say
 * are left out.
 */
#include "smb/smb2_priv.h"

#include <string.h>

enum { FLAG_RESTART = 1, FLAG_SINGLE = 2, FLAG_REOPEN = 0x10, BODY_FIXED = 8 };

struct query_args {
    uint8_t class, flags;
    uint16_t name_offset, name_length;
    uint32_t room;
    struct reader pattern;
};

/* What an entry has between its attributes and its name, beside the length of the name. */
struct layout {
    bool known, has_attributes, has_ea_size, has_short_name, has_id;
    uint8_t before_id; /* zero bytes */
};

static const struct layout layouts[] = {
    [1] = {.known = true, .has_attributes = true},                      /* FileDirectoryInformation */
    [2] = {.known = true, .has_attributes = true, .has_ea_size = true}, /* FileFullDirectoryInformation */
    [3] = {.known = true, .has_attributes = true, .has_ea_size = true, .has_short_name = true}, /* ..Both.. */
    [12] = {.known = true}, /* FileNamesInformation */
    [37] = {.known = true,
            .has_attributes = true,
            .has_ea_size = true,
            .has_short_name = true,
            .has_id = true,
            .before_id = 2}, /* FileIdBothDirectoryInformation */
    [38] = {.known = true, .has_attributes = true, .has_ea_size = true, .has_id = true, .before_id = 4},
};

struct listing {
    struct smb2_request *request;
    struct smb2_open *open;
    const struct layout *layout;
    struct writer *writer;
    size_t start; /* of the entries */
    size_t room;
    size_t last; /* the entry before, for its NextEntryOffset */
    bool single, any, full;
};

static bool decode(struct smb2_request *request, struct query_args *args)
{
    struct reader *reader = &request->body;

    return reader_skip(reader, 2) && reader_u8(reader, &args->class) && reader_u8(reader, &args->flags) &&
           reader_skip(reader, 4 + 16) && reader_le16(reader, &args->name_offset) &&
           reader_le16(reader, &args->name_length) && reader_le32(reader, &args->room) &&
           smb2__request_part(request, args->name_length == 0 ? 0 : args->name_offset, args->name_length,
                              &args->pattern);
}

static void write_fields(const struct listing *listing, const struct inode_attr *attr, size_t name_at)
{
    const struct layout *layout = listing->layout;
    struct writer *writer = listing->writer;

    (void)name_at;
    if (layout->has_attributes) {
        smb2__write_times(writer, attr);
        writer_le64(writer, smb2__end_of_file(attr));
        writer_le64(writer, smb2__allocation(attr));
        writer_le32(writer, smb2__attributes(attr));
    }
    writer_le32(writer, 0); /* the name's length */
    if (layout->has_ea_size)
        writer_le32(writer, 0);
    if (layout->has_short_name)
        writer_zeros(writer, 2 + 24);
    writer_zeros(writer, layout->before_id);
    if (layout->has_id)
        writer_le64(writer, attr->ino);
}

/* False: it did not fit, and nothing of it is there. */
static bool add_entry(struct listing *listing, struct store_name name, const struct inode_attr *attr)
{
    struct writer *writer = listing->writer;
    size_t before = writer->length, at, name_at, length_at;

    while ((writer->length - listing->start) % 8 != 0 && !writer->failed)
        writer_u8(writer, 0);
    at = writer->length;
    writer_le32(writer, 0);
    writer_le32(writer, 0);
    length_at = writer->length + (listing->layout->has_attributes ? 52 : 0);
    write_fields(listing, attr, at);
    name_at = writer->length;
    /* What is not valid UTF-8 can't be said: it is passed over. */
    if (!utf16_from_utf8(writer, name.bytes, name.length) && !writer->failed) {
        writer_truncate(writer, before);
        return true;
    }
    if (writer->failed || writer->length - listing->start > listing->room) {
        writer_truncate(writer, before);
        listing->full = true;
        return false;
    }
    writer_patch_le32(writer, length_at, (uint32_t)(writer->length - name_at));
    if (listing->any)
        writer_patch_le32(writer, listing->last, (uint32_t)(at - listing->last));
    listing->last = at;
    listing->any = true;
    listing->full = listing->single;
    return true;
}

static struct store_name pattern_of(const struct smb2_open *open)
{
    return (struct store_name){.bytes = open->pattern, .length = open->pattern_length};
}

static bool on_entry(void *data, const struct vfs_dirent *entry)
{
    struct listing *listing = data;
    struct inode_attr attr = {.ino = entry->ino};

    if (listing->full)
        return false;
    if (smb2__name_is_usable(entry->name) && smb2__name_matches(entry->name, pattern_of(listing->open))) {
        if (entry->inode != NULL)
            vfs_getattr(entry->inode, &attr);
        if (!add_entry(listing, entry->name, &attr))
            return false;
    }
    listing->open->cookie = entry->cookie;
    return true;
}

/* "." and "..", which are no entries of the directory. */
static void list_dots(struct listing *listing)
{
    struct smb2_open *open = listing->open;

    while (open->listed < 2 && !listing->full) {
        struct store_name name = {.bytes = (const uint8_t *)"..", .length = open->listed + 1};
        struct inode *parent = NULL;
        struct inode_attr attr;

        if (smb2__name_matches(name, pattern_of(open))) {
            vfs_getattr(open->inode, &attr);
            if (open->listed == 1 && open->dir != NULL &&
                vfs_parent(&listing->request->context, open->inode, &parent) == ERR_OK)
                vfs_getattr(parent, &attr);
            vfs_unref(&parent);
            if (!add_entry(listing, name, &attr))
                return;
        }
        open->listed++;
    }
}

static bool has_wildcards(struct store_name pattern)
{
    for (size_t i = 0; i < pattern.length; i++) {
        if (strchr("*?<>\"", pattern.bytes[i]) != NULL)
            return true;
    }
    return false;
}

static uint32_t list_one(struct listing *listing)
{
    struct vfs_context *context = &listing->request->context;
    uint8_t stored[STORE_NAME_MAX];
    struct inode_attr attr;
    struct inode *inode;
    size_t length;
    enum err err =
        vfs_lookup_folded(context, listing->open->inode, pattern_of(listing->open), &inode, stored, &length);

    if (err == ERR_NOENT)
        listing->open->listing_ended = true;
    if (err != ERR_OK)
        return err == ERR_NOENT ? STATUS_SUCCESS : smb2__status(err);
    vfs_getattr(inode, &attr);
    vfs_unref(&inode);
    if (add_entry(listing, (struct store_name){.bytes = stored, .length = length}, &attr))
        listing->open->listing_ended = true;
    return STATUS_SUCCESS;
}

static uint32_t list_all(struct listing *listing)
{
    struct smb2_open *open = listing->open;
    bool end = false;
    enum err err;

    list_dots(listing);
    if (listing->full)
        return STATUS_SUCCESS;
    err = vfs_readdir(&listing->request->context, open->inode, open->cookie, listing->layout->has_attributes,
                      on_entry, listing, &end);
    if (err != ERR_OK)
        return smb2__status(err);
    open->listing_ended = end && !listing->full;
    return STATUS_SUCCESS;
}

static uint32_t begin(struct smb2_open *open, const struct query_args *args)
{
    bool restart = (args->flags & (FLAG_RESTART | FLAG_REOPEN)) != 0;
    struct writer writer;

    if (!restart && open->pattern_length > 0)
        return STATUS_SUCCESS;
    /* Without a pattern: the one from before, or everything. */
    if (args->pattern.left > 0) {
        uint8_t pattern[STORE_NAME_MAX];

        writer_init(&writer, pattern, sizeof pattern);
        if (!utf16_to_utf8(&writer, args->pattern.at, args->pattern.left) || writer.failed)
            return STATUS_OBJECT_NAME_INVALID;
        memcpy(open->pattern, pattern, writer.length);
        open->pattern_length = writer.length;
    } else if (open->pattern_length == 0) {
        open->pattern[0] = '*';
        open->pattern_length = 1;
    }
    open->cookie = 0;
    open->listed = 0;
    open->listing_ended = open->listing_found = false;
    return STATUS_SUCCESS;
}

static uint32_t outcome(struct listing *listing)
{
    struct smb2_open *open = listing->open;
    bool found = open->listing_found;

    if (listing->any) {
        open->listing_found = true;
        return STATUS_SUCCESS;
    }
    if (listing->full)
        return STATUS_INFO_LENGTH_MISMATCH;
    return found ? STATUS_NO_MORE_FILES : STATUS_NO_SUCH_FILE;
}

uint32_t smb2__query_directory(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);
    size_t body_at = writer->length;
    struct query_args args;
    struct listing listing;
    uint32_t status;

    if (!decode(request, &args) || !smb2__is_paid(request, args.room))
        return STATUS_INVALID_PARAMETER;
    if (args.room > SMB2_IO_MAX)
        args.room = SMB2_IO_MAX;
    if (!request->open->is_directory)
        return STATUS_INVALID_PARAMETER;
    if (!(request->open->access & SMB2_ACCESS_READ_DATA))
        return STATUS_ACCESS_DENIED;
    if (args.class >= sizeof layouts / sizeof *layouts || !layouts[args.class].known)
        return STATUS_INVALID_INFO_CLASS;
    status = smb2__request_context(request);
    if (status == STATUS_SUCCESS)
        status = begin(request->open, &args);
    if (status != STATUS_SUCCESS)
        return status;
    writer_le16(writer, 9);
    writer_le16(writer, SMB2_HEADER_SIZE + BODY_FIXED);
    writer_le32(writer, 0);
    listing = (struct listing){.request = request,
                               .open = request->open,
                               .layout = &layouts[args.class],
                               .writer = writer,
                               .start = writer->length,
                               .room = args.room,
                               .single = (args.flags & FLAG_SINGLE) != 0};
    if (!request->open->listing_ended)
        status = has_wildcards(pattern_of(request->open)) ? list_all(&listing) : list_one(&listing);
    if (status == STATUS_SUCCESS)
        status = outcome(&listing);
    if (status == STATUS_SUCCESS && !writer->failed)
        writer_patch_le32(writer, body_at + 4, (uint32_t)(writer->length - listing.start));
    return status;
}
