/*
 * smb2_query_directory.c - QUERY_DIRECTORY (MS-SMB2 2.2.33, 3.3.5.18; MS-FSCC 2.4).
 *
 * The place in the listing is the cookie of the last entry given, so that a directory that changes meanwhile
 * loses and repeats nothing that stays. A pattern without wildcards is one look-up. Names that SMB can't say
 * are left out. A pattern that fits few entries of a large directory is looked for turn by turn.
 */
#include "smb/smb2_file_priv.h"
#include "smb/smb2_share.h"

#include <stdlib.h>
#include <string.h>

enum { FLAG_RESTART = 1, FLAG_SINGLE = 2, FLAG_REOPEN = 0x10, BODY_FIXED = 8, ENTRIES_A_TURN = 2000 };

struct query_args {
    uint8_t class, flags;
    uint16_t name_offset, name_length;
    uint32_t room;
    struct reader pattern;
};

/* What an entry has between its attributes and its name, beside the length of the name. */
struct layout {
    bool known, has_attributes, has_ea_size, has_short_name, has_tag;
    uint8_t before_id; /* zero bytes */
    uint8_t id;        /* bytes of the file's number, 8 or 16 */
    bool short_name_last;
};

/* MS-FSCC 2.4, by class. */
static const struct layout layouts[] = {
    [1] = {.known = true, .has_attributes = true},                      /* FileDirectoryInformation */
    [2] = {.known = true, .has_attributes = true, .has_ea_size = true}, /* FileFullDirectoryInformation */
    [3] = {.known = true, .has_attributes = true, .has_ea_size = true, .has_short_name = true}, /* ..Both.. */
    [12] = {.known = true}, /* FileNamesInformation */
    [37] = {.known = true,
            .has_attributes = true,
            .has_ea_size = true,
            .has_short_name = true,
            .before_id = 2,
            .id = 8}, /* FileIdBothDirectoryInformation */
    [38] = {.known = true, .has_attributes = true, .has_ea_size = true, .before_id = 4, .id = 8},
    /* FileIdExtd.., FileIdExtdBoth.., FileId64Extd.., FileId64ExtdBoth.. */
    [60] = {.known = true, .has_attributes = true, .has_ea_size = true, .has_tag = true, .id = 16},
    [63] = {.known = true,
            .has_attributes = true,
            .has_ea_size = true,
            .has_tag = true,
            .id = 16,
            .short_name_last = true},
    [78] = {.known = true, .has_attributes = true, .has_ea_size = true, .has_tag = true, .id = 8},
    [79] = {.known = true,
            .has_attributes = true,
            .has_ea_size = true,
            .has_tag = true,
            .id = 8,
            .short_name_last = true},
};

/* Kept with the request while it goes on turn by turn. */
struct listing {
    struct smb2_request *request;
    struct smb2_open *open;
    const struct layout *layout;
    struct writer *writer;
    size_t body_at, start; /* of the reply's body, of the entries */
    size_t room;
    size_t last;   /* the entry before, for its NextEntryOffset */
    unsigned left; /* entries that may be looked at in this turn */
    bool single, any, full, paused;
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

/* Those of names that are short themselves are left out. */
static void write_short_name(const struct listing *listing, struct store_name name)
{
    char text[SMB2_SHORT_NAME_MAX + 1];
    size_t at = listing->writer->length;

    writer_zeros(listing->writer, 2);
    if (smb2__short_name(name, text) && utf16_from_utf8(listing->writer, text, strlen(text)) &&
        !listing->writer->failed)
        listing->writer->data[at] = (uint8_t)(listing->writer->length - at - 2);
    if (!listing->writer->failed)
        writer_zeros(listing->writer, 2 + 24 - (listing->writer->length - at));
}

static void write_fields(const struct listing *listing, struct store_name name, struct inode *inode,
                         const struct inode_attr *attr)
{
    const struct layout *layout = listing->layout;
    struct writer *writer = listing->writer;
    uint32_t tag = smb2__reparse_tag(inode, attr);

    if (layout->has_attributes) {
        smb2__write_times(writer, attr);
        writer_le64(writer, smb2__end_of_file(attr));
        writer_le64(writer, smb2__allocation(attr));
        writer_le32(writer, smb2__attributes(attr));
    }
    writer_le32(writer, 0); /* the name's length */
    /* MS-FSCC 2.4.17: of a reparse point its tag, where that has no place of its own */
    if (layout->has_ea_size && tag != 0 && !layout->has_tag)
        writer_le32(writer, tag);
    else if (layout->has_ea_size)
        writer_le32(writer, inode != NULL ? smb2__ea_size(&listing->request->context, inode) : 0);
    if (layout->has_tag)
        writer_le32(writer, tag);
    if (layout->has_short_name)
        write_short_name(listing, name);
    writer_zeros(writer, layout->before_id);
    if (layout->id > 0)
        writer_le64(writer, attr->ino);
    if (layout->id > 8)
        writer_le64(writer, 0);
    if (layout->short_name_last)
        write_short_name(listing, name);
}

/* False: it did not fit, and nothing of it is there. */
static bool add_entry(struct listing *listing, struct store_name name, struct inode *inode,
                      const struct inode_attr *attr)
{
    struct writer *writer = listing->writer;
    size_t before = writer->length, at, name_at, length_at;

    while ((writer->length - listing->start) % 8 != 0 && !writer->failed)
        writer_u8(writer, 0);
    at = writer->length;
    writer_le32(writer, 0);
    writer_le32(writer, 0);
    length_at = writer->length + (listing->layout->has_attributes ? 52 : 0);
    write_fields(listing, name, inode, attr);
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

/* An entry of the directory, with what the share says of its name. */
static bool add_named(struct listing *listing, struct store_name name, struct inode *inode,
                      struct inode_attr *attr)
{
    const struct smb2_request *request = listing->request;

    if (smb2__share_hides(request->message->server, request->tree, name))
        attr->dos_attributes |= SMB2_ATTRIBUTE_HIDDEN;
    return add_entry(listing, name, inode, attr);
}

static struct store_name pattern_of(const struct smb2_open *open)
{
    return (struct store_name){.bytes = open->pattern, .length = open->pattern_length};
}

static bool takes_all(const struct smb2_open *open)
{
    return open->pattern_length == 1 && open->pattern[0] == '*';
}

/* An entry that matches. */
static bool list_entry(struct listing *listing, const struct vfs_dirent *entry)
{
    struct vfs_context *context = &listing->request->context;
    struct inode_attr attr = {.ino = entry->ino};
    struct inode *inode = entry->inode != NULL ? vfs_ref(entry->inode) : NULL;
    bool taken;

    if (inode == NULL && (listing->layout->has_attributes || listing->request->tree->hides_unreadable) &&
        vfs_lookup(context, listing->open->inode, entry->name, &inode) != ERR_OK)
        inode = NULL;
    if (inode != NULL)
        vfs_getattr(inode, &attr);
    taken = !smb2__share_lists(listing->request, inode) || add_named(listing, entry->name, inode, &attr);
    vfs_unref(&inode);
    return taken;
}

static bool on_entry(void *data, const struct vfs_dirent *entry)
{
    struct listing *listing = data;

    if (listing->full)
        return false;
    if (listing->left == 0) {
        listing->paused = true;
        return false;
    }
    listing->left--;
    if (smb2__name_is_usable(entry->name) && smb2__name_matches(entry->name, pattern_of(listing->open)) &&
        !list_entry(listing, entry))
        return false;
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
            bool taken;

            vfs_getattr(open->inode, &attr);
            if (open->listed == 1 && open->dir != NULL &&
                vfs_parent(&listing->request->context, open->inode, &parent) == ERR_OK)
                vfs_getattr(parent, &attr);
            taken = add_entry(listing, name, parent != NULL ? parent : open->inode, &attr);
            vfs_unref(&parent);
            if (!taken)
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
        smb2__lookup(context, listing->open->inode, pattern_of(listing->open), &inode, stored, &length);

    if (err == ERR_NOENT)
        listing->open->listing_ended = true;
    if (err != ERR_OK)
        return err == ERR_NOENT ? STATUS_SUCCESS : smb2__status(err);
    vfs_getattr(inode, &attr);
    if (!smb2__share_lists(listing->request, inode) ||
        add_named(listing, (struct store_name){.bytes = stored, .length = length}, inode, &attr))
        listing->open->listing_ended = true;
    vfs_unref(&inode);
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
    listing->left = ENTRIES_A_TURN;
    listing->paused = false;
    /* Of entries that the pattern leaves out nothing is asked. */
    err = vfs_readdir(&listing->request->context, open->inode, open->cookie,
                      (listing->layout->has_attributes || listing->request->tree->hides_unreadable) &&
                          takes_all(open),
                      on_entry, listing, &end);
    if (err != ERR_OK)
        return smb2__status(err);
    open->listing_ended = end && !listing->full && !listing->paused;
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

static uint32_t finish(struct listing *listing, uint32_t status)
{
    struct writer *writer = listing->writer;

    if (status == STATUS_SUCCESS)
        status = outcome(listing);
    if (status == STATUS_SUCCESS && !writer->failed)
        writer_patch_le32(writer, listing->body_at + 4, (uint32_t)(writer->length - listing->start));
    return status;
}

static void on_turn(struct loop_timer *timer);

/* Looks at some entries. When none of them is one to be told, it goes on in the next turn. */
static uint32_t go_on(struct smb2_request *request)
{
    struct listing *listing = request->scratch;
    struct smb2_open *open = listing->open;
    uint32_t status = STATUS_SUCCESS;

    if (!open->listing_ended)
        status = has_wildcards(pattern_of(open)) ? list_all(listing) : list_one(listing);
    if (status != STATUS_SUCCESS || !listing->paused || listing->any || listing->full)
        return finish(listing, status);
    request->timer.callback = on_turn;
    loop_timer_start(request->message->server->loop, &request->timer, 0, 0);
    return SMB2_WAIT;
}

static void on_turn(struct loop_timer *timer)
{
    struct smb2_request *request = container_of(timer, struct smb2_request, timer);
    /* Nobody is there any more who would read it. */
    bool given_up = request->message->conn == NULL || request->open->dead;
    uint32_t status = given_up ? STATUS_CANCELLED : go_on(request);

    if (status != SMB2_WAIT)
        smb2__request_done(request, status);
}

uint32_t smb2__query_directory(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);
    size_t body_at = writer->length;
    struct query_args args;
    struct listing *listing;
    uint32_t status;

    if (!decode(request, &args) || !smb2__is_paid(request, args.room))
        return STATUS_INVALID_PARAMETER;
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
    listing = malloc(sizeof *listing);
    if (listing == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    request->scratch = listing;
    writer_le16(writer, 9);
    writer_le16(writer, SMB2_HEADER_SIZE + BODY_FIXED);
    writer_le32(writer, 0);
    *listing = (struct listing){.request = request,
                                .open = request->open,
                                .layout = &layouts[args.class],
                                .writer = writer,
                                .body_at = body_at,
                                .start = writer->length,
                                .room = args.room,
                                .single = (args.flags & FLAG_SINGLE) != 0};
    return go_on(request);
}
