/*
 * test_smb2_names_and_rights.c - what files are beside their data, on the wire: streams, extended attributes,
 * links, reparse points, names of opens, renames, deletion, security descriptors, times; and what NFS sees of
 * them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/security_descriptor.h"
#include "dittofs/utf16.h"
#include "smbworld.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct smbworld *world;
static struct smb2client *client;
static struct rpcclient *nfs;
static struct nfs3_handle root;

static int set_up(void **state)
{
    (void)state;
    world = smbworld_open(NULL, NULL);
    client = smbworld_client(world, "alice");
    nfs = nfsworld_client(world->nfs, 1000, 1000);
    root = nfsworld_mount(nfs, "/a");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    smb2client_close(&client);
    rpcclient_close(&nfs);
    smbworld_close(&world);
    return 0;
}

enum { ALL = 0x1f01ff, MAXIMUM = 0x02000000, OPEN_LINK = 0x200000, FILE_INFO = 1, SECURITY_INFO = 3 };
enum { MOST = 65536 };

static uint32_t try_open(const char *name, uint32_t access, uint32_t disposition, uint32_t options,
                         struct smb2c_opened *opened)
{
    struct smb2c_create create = {.name = name,
                                  .access = access,
                                  .share = SMB2C_SHARE_ALL,
                                  .disposition = disposition,
                                  .options = options};

    return smb2client_create(client, &create, opened);
}

static struct smb2c_opened open_as(const char *name, uint32_t access, uint32_t disposition, uint32_t options)
{
    struct smb2c_opened opened;
    uint32_t status = try_open(name, access, disposition, options, &opened);

    if (status != STATUS_SUCCESS)
        fail_msg("%s: %x", name, status);
    return opened;
}

static struct smb2c_opened make(const char *name)
{
    return open_as(name, ALL, SMB2C_OPEN_IF, 0);
}

static void shut(struct smb2c_opened *opened)
{
    assert_int_equal(smb2client_close_file(client, opened->file), STATUS_SUCCESS);
}

/* The status of opening NAME for reading its attributes. */
static uint32_t there(const char *name)
{
    struct smb2c_opened opened;
    uint32_t status = try_open(name, SMB2C_READ_ATTRIBUTES, SMB2C_OPEN, 0, &opened);

    if (status == STATUS_SUCCESS)
        shut(&opened);
    return status;
}

static uint32_t query(const struct smb2c_opened *opened, uint8_t type, uint8_t class, uint32_t additional,
                      uint32_t most, struct reader *data)
{
    return smb2client_query_info(client, opened->file, type, class, additional, most, data);
}

/* LENGTH bytes of UTF-16 as text. */
static const char *text_of(const uint8_t *bytes, size_t length)
{
    static char text[600];

    assert_true(utf16_to_string(text, sizeof text, bytes, length));
    return text;
}

/* FileNameInformation, or FileNormalizedNameInformation */
static const char *name_of(const struct smb2c_opened *opened, uint8_t class)
{
    struct reader data;
    uint32_t length = 0;

    assert_int_equal(query(opened, FILE_INFO, class, 0, MOST, &data), STATUS_SUCCESS);
    assert_true(reader_le32(&data, &length));
    assert_int_equal(data.left, length);
    return text_of(data.at, length);
}

/* FileStreamInformation as "name=size ..". */
static const char *streams_of(const struct smb2c_opened *opened)
{
    static char all[600];
    struct reader data;
    uint32_t next = 0, length = 0;
    uint64_t size = 0, allocation;

    all[0] = '\0';
    assert_int_equal(query(opened, FILE_INFO, 22, 0, MOST, &data), STATUS_SUCCESS);
    while (data.left > 0) {
        struct reader entry = data;
        size_t at = strlen(all);

        assert_true(reader_le32(&entry, &next) && reader_le32(&entry, &length) &&
                    reader_le64(&entry, &size) && reader_le64(&entry, &allocation) && entry.left >= length);
        assert_in_range(
            snprintf(all + at, sizeof all - at, "%s=%u ", text_of(entry.at, length), (unsigned)size), 1,
            sizeof all - at - 1);
        if (next == 0)
            break;
        assert_true(reader_skip(&data, next));
    }
    return all;
}

static void streams(void **state)
{
    struct smb2c_opened base = make("file"), one, two;
    struct nfs3_result result;
    struct reader got;

    (void)state;
    one = open_as("FILE:One", ALL, SMB2C_OPEN_IF, 0);
    assert_int_equal(one.action, 2);
    assert_int_equal(smb2client_write(client, one.file, 0, "stream", 6), STATUS_SUCCESS);
    assert_int_equal(smb2client_write(client, base.file, 0, "base", 4), STATUS_SUCCESS);
    assert_string_equal(streams_of(&base), "::$DATA=4 :One:$DATA=6 ");
    assert_string_equal(streams_of(&one), "::$DATA=4 :One:$DATA=6 ");
    assert_string_equal(name_of(&one, 9), "\\file:One");
    two = open_as("file:oNE:$data", SMB2C_READ_ONLY, SMB2C_OPEN, 0);
    assert_int_equal(smb2client_read(client, two.file, 0, 100, &got), STATUS_SUCCESS);
    assert_int_equal(got.left, 6);
    shut(&two);
    two = open_as("file::$DATA", SMB2C_READ_ONLY, SMB2C_OPEN, 0);
    assert_int_equal(smb2client_read(client, two.file, 0, 100, &got), STATUS_SUCCESS);
    assert_int_equal(got.left, 4);
    shut(&two);
    /* Another name, also of what is open. */
    assert_int_equal(smb2client_rename(client, one.file, ":Two", false), STATUS_SUCCESS);
    assert_string_equal(name_of(&one, 9), "\\file:Two");
    assert_int_equal(there("file:One"), STATUS_OBJECT_NAME_NOT_FOUND);
    /* Names that are none. */
    assert_int_equal(there("file:"), STATUS_OBJECT_NAME_INVALID);
    assert_int_equal(there("file:x:$ELSE"), STATUS_OBJECT_NAME_INVALID);
    assert_int_equal(there("file:x:y:z"), STATUS_OBJECT_NAME_INVALID);
    /* A file that is replaced loses its streams; one in use goes when nobody has it any more. */
    two = open_as("file:three", ALL, SMB2C_MAKE, 0);
    shut(&two);
    two = open_as("file:three", ALL | SMB2C_DELETE, SMB2C_OPEN, SMB2C_DELETE_ON_CLOSE);
    shut(&two);
    assert_int_equal(there("file:three"), STATUS_OBJECT_NAME_NOT_FOUND);
    shut(&base);
    base = open_as("file", ALL, SMB2C_OVERWRITE, 0);
    assert_string_equal(streams_of(&base), "::$DATA=0 ");
    shut(&base);
    shut(&one);
    /* One makes its file, and goes with it; NFS sees the file alone. */
    one = open_as("other:s", ALL, SMB2C_MAKE, 0);
    assert_int_equal(smb2client_write(client, one.file, 0, "x", 1), STATUS_SUCCESS);
    assert_int_equal(nfs3_lookup(nfs, &root, "other", &result), RPCCLIENT_SUCCESS);
    assert_int_equal(result.status, 0);
    assert_int_equal(nfs3_lookup(nfs, &root, "other:s", &result), RPCCLIENT_SUCCESS);
    assert_int_equal(result.status, 2);
    shut(&one);
    one = open_as("other", ALL, SMB2C_OPEN, 0);
    two = open_as("other:s", SMB2C_READ_ONLY, SMB2C_OPEN, 0);
    assert_int_equal(smb2client_delete(client, one.file, true), STATUS_SUCCESS);
    shut(&one);
    assert_int_equal(there("other"), STATUS_DELETE_PENDING);
    assert_int_equal(there("other:s"), STATUS_DELETE_PENDING);
    shut(&two);
    assert_int_equal(there("other"), STATUS_OBJECT_NAME_NOT_FOUND);
}

static void put_ea(struct writer *writer, bool last, const char *name, const char *value)
{
    size_t at = writer->length;

    writer_le32(writer, 0);
    writer_u8(writer, 0);
    writer_u8(writer, (uint8_t)strlen(name));
    writer_le16(writer, (uint16_t)strlen(value));
    writer_bytes(writer, name, strlen(name) + 1);
    writer_bytes(writer, value, strlen(value));
    writer_align(writer, 4);
    if (!last)
        writer_patch_le32(writer, at, (uint32_t)(writer->length - at));
}

static uint32_t set_ea(const struct smb2c_opened *opened, const char *name, const char *value)
{
    uint8_t bytes[400];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    put_ea(&writer, true, name, value);
    return smb2client_set_info(client, opened->file, FILE_INFO, 15, 0, bytes, (uint32_t)writer.length);
}

/* "name=value .." */
static const char *eas_of(const struct smb2c_opened *opened)
{
    static char all[600];
    struct reader data;

    all[0] = '\0';
    if (query(opened, FILE_INFO, 15, 0, MOST, &data) != STATUS_SUCCESS)
        return all;
    while (data.left > 0) {
        struct reader entry = data;
        size_t at = strlen(all);
        uint32_t next = 0;
        uint16_t value_length = 0;
        uint8_t flags, length = 0;

        assert_true(reader_le32(&entry, &next) && reader_u8(&entry, &flags) && reader_u8(&entry, &length) &&
                    reader_le16(&entry, &value_length) && entry.left >= length + 1u + value_length);
        snprintf(all + at, sizeof all - at, "%.*s=%.*s ", length, (const char *)entry.at, value_length,
                 (const char *)entry.at + length + 1);
        if (next == 0)
            break;
        assert_true(reader_skip(&data, next));
    }
    return all;
}

static void extended_attributes(void **state)
{
    uint8_t bytes[400];
    struct writer writer;
    struct smb2c_context contexts[] = {{"ExtA", bytes, 0}, {NULL, NULL, 0}};
    struct smb2c_create create = {.name = "f",
                                  .access = ALL,
                                  .share = SMB2C_SHARE_ALL,
                                  .disposition = SMB2C_MAKE,
                                  .contexts = contexts};
    struct smb2c_opened opened;
    struct reader data;
    uint32_t size = 0;

    (void)state;
    writer_init(&writer, bytes, sizeof bytes);
    put_ea(&writer, false, "One", "1");
    put_ea(&writer, true, "TWO", "22");
    contexts[0].length = writer.length;
    assert_int_equal(smb2client_create(client, &create, &opened), STATUS_SUCCESS);
    assert_string_equal(eas_of(&opened), "One=1 TWO=22 ");
    assert_int_equal(set_ea(&opened, "one", "other"), STATUS_SUCCESS);
    assert_string_equal(eas_of(&opened), "One=other TWO=22 ");
    assert_int_equal(set_ea(&opened, "two", ""), STATUS_SUCCESS);
    assert_string_equal(eas_of(&opened), "One=other ");
    assert_int_equal(query(&opened, FILE_INFO, 7, 0, MOST, &data), STATUS_SUCCESS);
    assert_true(reader_le32(&data, &size));
    assert_int_equal(size, 4 + 4 + 4 + 5);
    assert_int_equal(set_ea(&opened, "a:b", "x"), STATUS_INVALID_EA_NAME);
    assert_int_equal(set_ea(&opened, "One", ""), STATUS_SUCCESS);
    assert_int_equal(query(&opened, FILE_INFO, 15, 0, MOST, &data), STATUS_NO_EAS_ON_FILE);
    shut(&opened);
    /* A file whose attributes can't be made is not made. */
    writer_init(&writer, bytes, sizeof bytes);
    put_ea(&writer, true, "bad*", "1");
    contexts[0].length = writer.length;
    create.name = "g";
    assert_int_equal(smb2client_create(client, &create, &opened), STATUS_INVALID_EA_NAME);
    assert_int_equal(there("g"), STATUS_OBJECT_NAME_NOT_FOUND);
}

/* ---- links ---- */

static void put_reparse_link(struct writer *writer, const char *target)
{
    size_t start;

    writer_le32(writer, 0xA000000C);
    writer_le32(writer, 0);
    start = writer->length;
    writer_zeros(writer, 8);
    writer_le32(writer, 1);
    assert_true(utf16_from_utf8(writer, target, strlen(target)));
    writer_patch_le16(writer, start + 2, (uint16_t)(writer->length - start - 12));
    writer_patch_le16(writer, start - 4, (uint16_t)(writer->length - start));
}

static void symbolic_links(void **state)
{
    struct smb2c_opened opened = open_as("d", ALL, SMB2C_MAKE, SMB2C_DIRECTORY);
    struct nfs3_result result;
    struct nfs3_handle handle;
    uint8_t bytes[400];
    struct writer writer;
    struct reader data;
    uint32_t tag = 0, attributes, length, id = 0;
    uint16_t unparsed = 0;

    (void)state;
    shut(&opened);
    assert_int_equal(nfs3_symlink(nfs, &root, "l", "d/sub", &result), RPCCLIENT_SUCCESS);
    assert_int_equal(result.status, 0);
    /* Whoever goes through it is told where it leads. */
    assert_int_equal(there("l"), STATUS_STOPPED_ON_SYMLINK);
    assert_int_equal(there("l\\rest"), STATUS_STOPPED_ON_SYMLINK);
    data = smb2client_body(client);
    assert_true(reader_skip(&data, 8 + 8)); /* MS-SMB2 2.2.2, an error context, 2.2.2.2.1 */
    assert_true(reader_le32(&data, &length) && reader_le32(&data, &tag));
    assert_int_equal(tag, 0x4C4D5953);
    assert_true(reader_le32(&data, &tag) && reader_skip(&data, 2) && reader_le16(&data, &unparsed));
    assert_int_equal(tag, 0xA000000C);
    assert_int_equal(unparsed, 2 * strlen("\\rest"));
    assert_true(reader_skip(&data, 8) && reader_le32(&data, &id));
    assert_int_equal(id, 1); /* relative */
    assert_string_equal(text_of(data.at, 2 * strlen("d\\sub")), "d\\sub");
    /* Opened as itself. */
    opened = open_as("l", SMB2C_READ_ONLY, SMB2C_OPEN, OPEN_LINK);
    assert_int_equal(opened.attributes & 0x400, 0x400);
    assert_int_equal(query(&opened, FILE_INFO, 35, 0, MOST, &data), STATUS_SUCCESS);
    assert_true(reader_le32(&data, &attributes) && reader_le32(&data, &tag));
    assert_int_equal(tag, 0xA000000C);
    assert_int_equal(smb2client_ioctl(client, opened.file, 0x000900A8, NULL, 0, MOST, &data), STATUS_SUCCESS);
    assert_true(reader_le32(&data, &tag));
    assert_int_equal(tag, 0xA000000C);
    shut(&opened);
    /* One made here is one there. */
    opened = open_as("m", ALL, SMB2C_MAKE, OPEN_LINK);
    writer_init(&writer, bytes, sizeof bytes);
    put_reparse_link(&writer, "d\\other");
    assert_int_equal(
        smb2client_ioctl(client, opened.file, 0x000900A4, bytes, (uint32_t)writer.length, 0, &data),
        STATUS_SUCCESS);
    shut(&opened);
    assert_int_equal(nfs3_lookup(nfs, &root, "m", &result), RPCCLIENT_SUCCESS);
    assert_int_equal(result.status, 0);
    handle = result.handle;
    assert_int_equal(nfs3_handle_call(nfs, NFS3C_READLINK, &handle, &result), RPCCLIENT_SUCCESS);
    assert_int_equal(result.status, 0);
    assert_int_equal(result.data_length, 7);
    assert_memory_equal(result.data, "d/other", 7);
    /* A kind that means nothing here is kept; taking it away needs its tag. */
    opened = make("n");
    writer_init(&writer, bytes, sizeof bytes);
    writer_le32(&writer, 0x80000099);
    writer_le16(&writer, 4);
    writer_le16(&writer, 0);
    writer_bytes(&writer, "data", 4);
    assert_int_equal(
        smb2client_ioctl(client, opened.file, 0x000900A4, bytes, (uint32_t)writer.length, 0, &data),
        STATUS_SUCCESS);
    assert_int_equal(there("n"), STATUS_IO_REPARSE_TAG_NOT_HANDLED);
    assert_int_equal(smb2client_ioctl(client, opened.file, 0x000900A8, NULL, 0, MOST, &data), STATUS_SUCCESS);
    assert_int_equal(data.left, writer.length);
    assert_memory_equal(data.at, bytes, writer.length);
    writer_patch_le32(&writer, 0, 0x80000098);
    assert_int_equal(smb2client_ioctl(client, opened.file, 0x000900AC, bytes, 8, 0, &data),
                     STATUS_IO_REPARSE_TAG_MISMATCH);
    writer_patch_le32(&writer, 0, 0x80000099);
    assert_int_equal(smb2client_ioctl(client, opened.file, 0x000900AC, bytes, 8, 0, &data), STATUS_SUCCESS);
    assert_int_equal(there("n"), STATUS_SUCCESS);
    shut(&opened);
}

/* FileRenameInformation, FileLinkInformation and the former's extended form are alike. */
static uint32_t give_name(const struct smb2c_opened *opened, uint8_t class, const char *name, uint32_t flags)
{
    uint8_t bytes[400];
    struct writer writer;
    size_t at;

    writer_init(&writer, bytes, sizeof bytes);
    writer_le32(&writer, flags);
    writer_zeros(&writer, 12);
    at = writer.length;
    writer_le32(&writer, 0);
    assert_true(utf16_from_utf8(&writer, name, strlen(name)));
    writer_patch_le32(&writer, at, (uint32_t)(writer.length - at - 4));
    return smb2client_set_info(client, opened->file, FILE_INFO, class, 0, bytes, (uint32_t)writer.length);
}

static void hard_links(void **state)
{
    struct smb2c_opened opened = make("f"), other;
    struct reader data;
    uint32_t count = 0;

    (void)state;
    assert_int_equal(give_name(&opened, 11, "g", 0), STATUS_SUCCESS);
    assert_int_equal(give_name(&opened, 11, "g", 0), STATUS_OBJECT_NAME_COLLISION);
    other = make("h");
    assert_int_equal(give_name(&opened, 11, "h", 0), STATUS_OBJECT_NAME_COLLISION);
    assert_int_equal(give_name(&opened, 11, "h", 1), STATUS_ACCESS_DENIED); /* it is open */
    shut(&other);
    assert_int_equal(give_name(&opened, 11, "h", 1), STATUS_SUCCESS);
    assert_int_equal(query(&opened, FILE_INFO, 5, 0, MOST, &data), STATUS_SUCCESS);
    assert_true(reader_skip(&data, 16) && reader_le32(&data, &count));
    assert_int_equal(count, 3);
    /* The name that goes is the one by which it was opened. */
    other = open_as("g", ALL, SMB2C_OPEN, SMB2C_DELETE_ON_CLOSE);
    shut(&other);
    shut(&opened);
    assert_int_equal(there("g"), STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(there("f"), STATUS_SUCCESS);
    assert_int_equal(there("h"), STATUS_SUCCESS);
}

static void renames(void **state)
{
    struct smb2c_opened dir = open_as("d", ALL, SMB2C_MAKE, SMB2C_DIRECTORY), file, other;
    struct nfs3_result result;

    (void)state;
    file = open_as("d\\file", ALL, SMB2C_MAKE, 0);
    assert_string_equal(name_of(&file, 9), "\\d\\file");
    assert_string_equal(name_of(&file, 48), "d\\file");
    /* Something in it is open. */
    assert_int_equal(smb2client_rename(client, dir.file, "e", false), STATUS_ACCESS_DENIED);
    other = make("target");
    assert_int_equal(smb2client_rename(client, file.file, "target", false), STATUS_OBJECT_NAME_COLLISION);
    assert_int_equal(smb2client_rename(client, file.file, "target", true), STATUS_ACCESS_DENIED);
    assert_int_equal(give_name(&file, 65, "target", 3), STATUS_SUCCESS); /* POSIX's way */
    shut(&other);
    assert_string_equal(name_of(&file, 9), "\\target");
    assert_int_equal(smb2client_rename(client, file.file, "TARGET", false), STATUS_SUCCESS);
    assert_string_equal(name_of(&file, 9), "\\TARGET");
    /* Who has the directory open for deleting it is in the way (MS-FSA 2.1.5.14.11). */
    assert_int_equal(smb2client_rename(client, file.file, "d\\again", false), STATUS_SHARING_VIOLATION);
    shut(&dir);
    dir = open_as("d", SMB2C_READ_ONLY, SMB2C_OPEN, SMB2C_DIRECTORY);
    assert_int_equal(smb2client_rename(client, file.file, "d\\again", false), STATUS_SUCCESS);
    /* Names follow what NFS does, with the file and with the directories above it. */
    assert_int_equal(nfs3_rename(nfs, &root, "d", &root, "D2", &result), RPCCLIENT_SUCCESS);
    assert_int_equal(result.status, 0);
    assert_string_equal(name_of(&file, 9), "\\D2\\again");
    assert_string_equal(name_of(&dir, 9), "\\D2");
    assert_int_equal(nfs3_lookup(nfs, &root, "D2", &result), RPCCLIENT_SUCCESS);
    assert_int_equal(nfs3_rename(nfs, &result.handle, "again", &root, "up", &result), RPCCLIENT_SUCCESS);
    assert_int_equal(result.status, 0);
    assert_string_equal(name_of(&file, 9), "\\up");
    /* The mark of deletion, too. */
    assert_int_equal(smb2client_delete(client, file.file, true), STATUS_SUCCESS);
    assert_int_equal(nfs3_rename(nfs, &root, "up", &root, "down", &result), RPCCLIENT_SUCCESS);
    assert_int_equal(result.status, 0);
    shut(&file);
    assert_int_equal(there("down"), STATUS_OBJECT_NAME_NOT_FOUND);
    shut(&dir);
    dir = open_as("D2", ALL, SMB2C_OPEN, SMB2C_DIRECTORY);
    assert_int_equal(smb2client_rename(client, dir.file, "D2\\in", false), STATUS_SHARING_VIOLATION);
    shut(&dir);
    /* No rights, no other name. */
    file = open_as("D2\\f", SMB2C_READ_WRITE, SMB2C_MAKE, 0);
    assert_int_equal(smb2client_rename(client, file.file, "x", false), STATUS_ACCESS_DENIED);
    assert_int_equal(smb2client_delete(client, file.file, true), STATUS_ACCESS_DENIED);
    shut(&file);
}

static uint32_t dispose(const struct smb2c_opened *opened, uint32_t flags)
{
    uint8_t bytes[4] = {(uint8_t)flags, 0, 0, 0};

    return smb2client_set_info(client, opened->file, FILE_INFO, 64, 0, bytes, sizeof bytes);
}

static void deletion(void **state)
{
    struct smb2c_opened one = make("f"), two = make("f"), dir;
    struct reader got;

    (void)state;
    assert_int_equal(smb2client_write(client, one.file, 0, "text", 4), STATUS_SUCCESS);
    assert_int_equal(smb2client_delete(client, one.file, true), STATUS_SUCCESS);
    assert_int_equal(there("f"), STATUS_DELETE_PENDING);
    assert_int_equal(smb2client_delete(client, two.file, false), STATUS_SUCCESS); /* anybody may */
    assert_int_equal(there("f"), STATUS_SUCCESS);
    /* POSIX: the name goes at once, the data stays for who has it open. */
    assert_int_equal(dispose(&one, 3), STATUS_SUCCESS);
    shut(&one);
    assert_int_equal(there("f"), STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(smb2client_read(client, two.file, 0, 10, &got), STATUS_SUCCESS);
    assert_int_equal(got.left, 4);
    one = open_as("f", ALL, SMB2C_MAKE, 0);
    shut(&two);
    shut(&one);
    assert_int_equal(there("f"), STATUS_SUCCESS);
    dir = open_as("d", ALL, SMB2C_MAKE, SMB2C_DIRECTORY);
    one = open_as("d\\f", ALL, SMB2C_MAKE, 0);
    shut(&one);
    assert_int_equal(smb2client_delete(client, dir.file, true), STATUS_DIRECTORY_NOT_EMPTY);
    shut(&dir);
}

/* ---- security ---- */

static uint32_t set_dacl(const struct smb2c_opened *opened, struct sec_ace *aces, uint16_t count)
{
    struct sec_acl acl = {.count = count, .aces = aces};
    struct sec_descriptor descriptor = {.control = SEC_DACL_PRESENT, .dacl = &acl};
    uint8_t bytes[1000];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(sec_descriptor_write(&writer, &descriptor), ERR_OK);
    return smb2client_set_info(client, opened->file, SECURITY_INFO, 0, 4, bytes, (uint32_t)writer.length);
}

static uint32_t mode_by_nfs(const char *name)
{
    struct nfs3_result result;

    assert_int_equal(nfs3_lookup(nfs, &root, name, &result), RPCCLIENT_SUCCESS);
    assert_int_equal(result.status, 0);
    return result.attr.mode & 0777;
}

static void security(void **state)
{
    const struct sid alice = ident_uid_to_sid(world->identity, 1000);
    const struct sid other = ident_uid_to_sid(world->identity, 1001);
    const struct sid foreign = {.authority = 5, .count = 2, .sub = {77, 78}};
    struct sec_ace aces[] = {{.type = SEC_ACE_DENIED, .mask = 0x2, .sid = other},
                             {.type = SEC_ACE_ALLOWED, .mask = ALL, .sid = alice},
                             {.type = SEC_ACE_ALLOWED, .mask = 0x120089 | 0x2, .sid = other},
                             {.type = SEC_ACE_ALLOWED, .mask = 0x1, .sid = foreign}};
    struct smb2c_opened opened = make("f"), again;
    struct smb2client *second = smbworld_client(world, "\xc3\x9cnal");
    struct smb2c_create create = {.name = "f", .share = SMB2C_SHARE_ALL, .disposition = SMB2C_OPEN};
    struct sec_descriptor descriptor;
    struct nfs3_new_attr chmod = {.set = NFS3_SET_MODE, .mode = 0600};
    struct nfs3_result result;
    struct arena arena;
    struct reader data;

    (void)state;
    assert_int_equal(set_dacl(&opened, aces, 4), STATUS_SUCCESS);
    /* It comes back as it was, with SIDs of nobody. */
    assert_int_equal(query(&opened, SECURITY_INFO, 0, 7, MOST, &data), STATUS_SUCCESS);
    arena_init(&arena, 0);
    assert_int_equal(sec_descriptor_read(&arena, data.at, data.left, &descriptor), ERR_OK);
    assert_true(ident_sid_equal(descriptor.owner, &alice));
    assert_int_equal(descriptor.dacl->count, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(descriptor.dacl->aces[i].type, aces[i].type);
        assert_int_equal(descriptor.dacl->aces[i].mask, aces[i].mask);
        assert_true(ident_sid_equal(&descriptor.dacl->aces[i].sid, &aces[i].sid));
    }
    arena_reset(&arena);
    assert_int_equal(query(&opened, SECURITY_INFO, 0, 7, 10, &data), STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(query(&opened, SECURITY_INFO, 0, 8, MOST, &data), STATUS_ACCESS_DENIED);
    /* It is obeyed, by SMB and by NFS. */
    create.access = SMB2C_READ_ONLY;
    assert_int_equal(smb2client_create(second, &create, &again), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(second, again.file), STATUS_SUCCESS);
    create.access = SMB2C_WRITE_DATA;
    assert_int_equal(smb2client_create(second, &create, &again), STATUS_ACCESS_DENIED);
    create.access = 0x40000; /* WRITE_DAC */
    assert_int_equal(smb2client_create(second, &create, &again), STATUS_ACCESS_DENIED);
    assert_int_equal(mode_by_nfs("f"), 0700);
    /* chmod changes what it means: a user with a name has no more than the group. */
    assert_int_equal(nfs3_lookup(nfs, &root, "f", &result), RPCCLIENT_SUCCESS);
    assert_int_equal(nfs3_setattr(nfs, &result.handle, &chmod, NULL, &result), RPCCLIENT_SUCCESS);
    assert_int_equal(result.status, 0);
    create.access = SMB2C_READ_DATA;
    assert_int_equal(smb2client_create(second, &create, &again), STATUS_ACCESS_DENIED);
    assert_int_equal(mode_by_nfs("f"), 0600);
    shut(&opened);
    /* Who may not change it, may not. */
    opened = open_as("f", SMB2C_READ_ONLY, SMB2C_OPEN, 0);
    assert_int_equal(set_dacl(&opened, aces, 4), STATUS_ACCESS_DENIED);
    shut(&opened);
    smb2client_close(&second);
}

/* A mode of which a class has less than those behind it needs denials. */
static void modes_as_lists(void **state)
{
    struct smb2c_opened opened = make("f");
    static const struct {
        uint32_t mode;
        const char *entries; /* who in turn: u, g, o; with '-' before it: denied */
    } rows[] = {{0644, "ugo"}, {0077, "-uugo"}, {0604, "ug-go"}, {0407, "-uug-go"}, {0777, "ugo"}};
    struct sec_descriptor descriptor;
    struct nfs3_result result;
    struct arena arena;
    struct reader data;

    (void)state;
    assert_int_equal(nfs3_lookup(nfs, &root, "f", &result), RPCCLIENT_SUCCESS);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct nfs3_new_attr chmod = {.set = NFS3_SET_MODE, .mode = rows[i].mode};
        struct nfs3_handle handle = result.handle;
        struct nfs3_result changed;
        unsigned at = 0;

        assert_int_equal(nfs3_setattr(nfs, &handle, &chmod, NULL, &changed), RPCCLIENT_SUCCESS);
        assert_int_equal(changed.status, 0);
        assert_int_equal(query(&opened, SECURITY_INFO, 0, 7, MOST, &data), STATUS_SUCCESS);
        arena_init(&arena, 0);
        assert_int_equal(sec_descriptor_read(&arena, data.at, data.left, &descriptor), ERR_OK);
        for (const char *entry = rows[i].entries; *entry != '\0'; entry++, at++) {
            bool denied = *entry == '-';
            const struct sec_ace *ace = &descriptor.dacl->aces[at];

            entry += denied;
            assert_in_range(at, 0, descriptor.dacl->count - 1);
            if (ace->type != (denied ? SEC_ACE_DENIED : SEC_ACE_ALLOWED) ||
                !ident_sid_equal(&ace->sid, *entry == 'u'   ? descriptor.owner
                                            : *entry == 'g' ? descriptor.group
                                                            : &sid_everyone))
                fail_msg("mode %o, entry %u", rows[i].mode, at);
        }
        assert_int_equal(at, descriptor.dacl->count);
        arena_reset(&arena);
    }
    shut(&opened);
}

static void inheritance(void **state)
{
    struct sec_ace aces[] = {
        {.mask = ALL, .sid = sid_everyone},
        {.mask = ALL, .flags = SEC_ACE_OBJECT_INHERIT | SEC_ACE_CONTAINER_INHERIT, .sid = sid_creator_owner},
        {.mask = 0x1, .flags = SEC_ACE_OBJECT_INHERIT, .sid = sid_everyone}};
    struct smb2c_opened dir = open_as("d", ALL, SMB2C_MAKE, SMB2C_DIRECTORY), opened;
    struct sec_descriptor descriptor;
    struct arena arena;
    struct reader data;

    (void)state;
    assert_int_equal(set_dacl(&dir, aces, 3), STATUS_SUCCESS);
    opened = open_as("d\\f", ALL, SMB2C_MAKE, 0);
    assert_int_equal(query(&opened, SECURITY_INFO, 0, 5, MOST, &data), STATUS_SUCCESS);
    arena_init(&arena, 0);
    assert_int_equal(sec_descriptor_read(&arena, data.at, data.left, &descriptor), ERR_OK);
    assert_int_equal(descriptor.dacl->count, 2);
    assert_true(ident_sid_equal(&descriptor.dacl->aces[0].sid, descriptor.owner));
    assert_int_equal(descriptor.dacl->aces[0].mask, ALL);
    assert_int_equal(descriptor.dacl->aces[0].flags, 0);
    assert_int_equal(descriptor.dacl->aces[1].mask, 0x1);
    arena_reset(&arena);
    shut(&opened);
    shut(&dir);
}

/* ---- attributes and listings ---- */

static uint64_t written_of(const struct smb2c_opened *opened)
{
    struct reader data;
    uint64_t time = 0;

    assert_int_equal(query(opened, FILE_INFO, 4, 0, MOST, &data), STATUS_SUCCESS);
    assert_true(reader_skip(&data, 16) && reader_le64(&data, &time));
    return time;
}

static uint32_t set_written(const struct smb2c_opened *opened, uint64_t time)
{
    uint8_t bytes[40];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    writer_zeros(&writer, 16);
    writer_le64(&writer, time);
    writer_zeros(&writer, 16);
    return smb2client_set_info(client, opened->file, FILE_INFO, 4, 0, bytes, sizeof bytes);
}

static void times(void **state)
{
    struct smb2c_opened one = make("f"), two = make("f");
    uint64_t before;

    (void)state;
    assert_int_equal(set_written(&one, UINT64_C(130000000000000000)), STATUS_SUCCESS);
    assert_int_equal(written_of(&two), UINT64_C(130000000000000000));
    /* The handle that set it leaves it alone, others don't. */
    assert_int_equal(smb2client_write(client, one.file, 0, "x", 1), STATUS_SUCCESS);
    assert_int_equal(written_of(&two), UINT64_C(130000000000000000));
    assert_int_equal(smb2client_write(client, two.file, 0, "x", 1), STATUS_SUCCESS);
    before = written_of(&two);
    assert_int_not_equal(before, UINT64_C(130000000000000000));
    assert_int_equal(set_written(&two, UINT64_MAX), STATUS_SUCCESS);
    assert_int_equal(smb2client_write(client, two.file, 0, "x", 1), STATUS_SUCCESS);
    assert_int_equal(written_of(&two), before);
    assert_int_equal(set_written(&two, UINT64_MAX - 1), STATUS_SUCCESS);
    nfsworld_advance(world->nfs, 1000);
    assert_int_equal(smb2client_write(client, two.file, 0, "x", 1), STATUS_SUCCESS);
    assert_int_not_equal(written_of(&two), before);
    assert_int_equal(set_written(&two, UINT64_MAX - 2), STATUS_INVALID_PARAMETER);
    shut(&one);
    shut(&two);
}

/* What fits is told, the rest is cut off. */
static void small_buffers(void **state)
{
    struct smb2c_opened opened = make("a name of some length");
    struct reader data;

    (void)state;
    assert_int_equal(query(&opened, FILE_INFO, 18, 0, 103, &data), STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(query(&opened, FILE_INFO, 18, 0, 104, &data), STATUS_BUFFER_OVERFLOW);
    assert_int_equal(query(&opened, FILE_INFO, 18, 0, MOST, &data), STATUS_SUCCESS);
    assert_int_equal(query(&opened, 2, 5, 0, 15, &data), STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(query(&opened, 2, 5, 0, 17, &data), STATUS_BUFFER_OVERFLOW);
    assert_int_equal(query(&opened, 2, 6, 0, MOST, &data), STATUS_SUCCESS);
    assert_int_equal(query(&opened, 2, 8, 0, MOST, &data), STATUS_SUCCESS);
    assert_int_equal(query(&opened, 2, 99, 0, MOST, &data), STATUS_INVALID_INFO_CLASS);
    /* By its short name as well. */
    assert_int_equal(query(&opened, FILE_INFO, 21, 0, MOST, &data), STATUS_SUCCESS);
    assert_true(reader_skip(&data, 4));
    assert_int_equal(there(text_of(data.at, data.left)), STATUS_SUCCESS);
    assert_int_equal(there("ANAM~000"), STATUS_OBJECT_NAME_NOT_FOUND);
    shut(&opened);
}

/* One of thousands, looked for by a pattern: over several turns, and the connection may go meanwhile. */
static void large_directory(void **state)
{
    enum { FILES = 5000 };
    struct smb2c_opened dir;
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0644};
    struct nfs3_result result;
    struct reader data;
    uint32_t length = 0;

    (void)state;
    for (unsigned i = 0; i < FILES; i++) {
        char name[20];

        snprintf(name, sizeof name, i == FILES / 2 ? "needle%u" : "straw%u", i);
        assert_int_equal(nfs3_create(nfs, &root, name, 0, &attr, 0, &result), RPCCLIENT_SUCCESS);
        assert_int_equal(result.status, 0);
    }
    dir = open_as("", SMB2C_READ_ONLY, SMB2C_OPEN, SMB2C_DIRECTORY);
    assert_int_equal(smb2client_query_directory(client, dir.file, 12, 0, "nee*", MOST, &data),
                     STATUS_SUCCESS);
    assert_true(reader_skip(&data, 8) && reader_le32(&data, &length));
    assert_string_equal(text_of(data.at, length), "needle2500");
    assert_int_equal(smb2client_query_directory(client, dir.file, 12, 0, "nee*", MOST, &data),
                     STATUS_NO_MORE_FILES);
    assert_int_equal(smb2client_query_directory(client, dir.file, 12, 1, "none*", MOST, &data),
                     STATUS_NO_SUCH_FILE);
    for (unsigned class = 1; class < 80; class ++) {
        static const uint8_t known[] = {1, 2, 3, 12, 37, 38, 60, 63, 78, 79};
        uint32_t status =
            smb2client_query_directory(client, dir.file, (uint8_t) class, 1, "needle2500", MOST, &data);

        assert_int_equal(status, memchr(known, (int)class, sizeof known) != NULL ? STATUS_SUCCESS
                                                                                 : STATUS_INVALID_INFO_CLASS);
    }
    shut(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(streams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(extended_attributes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(symbolic_links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hard_links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(renames, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deletion, set_up, tear_down),
        cmocka_unit_test_setup_teardown(security, set_up, tear_down),
        cmocka_unit_test_setup_teardown(inheritance, set_up, tear_down),
        cmocka_unit_test_setup_teardown(modes_as_lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(small_buffers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_directory, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
