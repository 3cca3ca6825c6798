/*
 * test_smb2_nfs4_acl.c - one list, two protocols: what SMB sets NFSv4 shows, and the other way round, and
 * both hold everybody to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/security_descriptor.h"
#include "nfs4wire.h"
#include "smbworld.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALL = 0x1f01ff, R = 1, W = 2, SECURITY_INFO = 3, MOST = 65536, ALICE = 1000, OTHER = 1001, GID = 100 };

static struct smbworld *world;
static struct smb2client *alice, *other;
static struct rpcclient *alice_rpc, *other_rpc;
static struct wire4 *alice_nfs, *other_nfs;
static struct wire4_handle top;

static int set_up(void **state)
{
    (void)state;
    world = smbworld_open(NULL, NULL);
    alice = smbworld_client(world, "alice");
    other = smbworld_client(world, "\xc3\x9cnal");
    alice_rpc = nfsworld_client(world->nfs, ALICE, GID);
    other_rpc = nfsworld_client(world->nfs, OTHER, GID);
    alice_nfs = wire4_open(alice_rpc, 2);
    other_nfs = wire4_open(other_rpc, 2);
    wire4_introduce(alice_nfs, "alice", 1, true);
    wire4_introduce(other_nfs, "other", 1, true);
    top = wire4_walk(alice_nfs, "a");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wire4_close(&alice_nfs);
    wire4_close(&other_nfs);
    rpcclient_close(&alice_rpc);
    rpcclient_close(&other_rpc);
    smb2client_close(&alice);
    smb2client_close(&other);
    smbworld_close(&world);
    return 0;
}

/* ---- SMB ---- */

static uint32_t open_file(struct smb2client *client, const char *name, uint32_t access, uint32_t disposition,
                          uint32_t options, struct smb2c_opened *opened)
{
    struct smb2c_create create = {.name = name,
                                  .access = access,
                                  .share = SMB2C_SHARE_ALL,
                                  .disposition = disposition,
                                  .options = options};

    return smb2client_create(client, &create, opened);
}

/* Makes NAME, if it is not there. */
static void make(const char *name, uint32_t options)
{
    struct smb2c_opened opened;

    assert_int_equal(open_file(alice, name, ALL, SMB2C_OPEN_IF, options, &opened), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(alice, opened.file), STATUS_SUCCESS);
}

static void set_by_smb(const char *name, struct sec_ace *aces, uint16_t count)
{
    struct sec_acl acl = {.count = count, .aces = aces};
    struct sec_descriptor descriptor = {.control = SEC_DACL_PRESENT, .dacl = &acl};
    struct smb2c_opened opened;
    struct writer writer;
    uint8_t bytes[1000];

    writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(sec_descriptor_write(&writer, &descriptor), ERR_OK);
    assert_int_equal(open_file(alice, name, 0x40000, SMB2C_OPEN, 0, &opened), STATUS_SUCCESS);
    assert_int_equal(
        smb2client_set_info(alice, opened.file, SECURITY_INFO, 0, 4, bytes, (uint32_t)writer.length),
        STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(alice, opened.file), STATUS_SUCCESS);
}

/* "A:flags:mask:SID " for each entry. */
static const char *by_smb(struct smb2client *client, const char *name)
{
    static char text[2000];
    struct sec_descriptor descriptor;
    struct smb2c_opened opened;
    struct arena arena;
    struct reader data;
    size_t at = 0;

    assert_int_equal(open_file(client, name, 0x20000, SMB2C_OPEN, 0, &opened), STATUS_SUCCESS);
    assert_int_equal(smb2client_query_info(client, opened.file, SECURITY_INFO, 0, 4, MOST, &data),
                     STATUS_SUCCESS);
    arena_init(&arena, 0);
    assert_int_equal(sec_descriptor_read(&arena, data.at, data.left, &descriptor), ERR_OK);
    text[0] = '\0';
    for (uint16_t i = 0; i < descriptor.dacl->count; i++) {
        const struct sec_ace *ace = &descriptor.dacl->aces[i];
        char sid[SID_TEXT_MAX];

        ident_sid_format(&ace->sid, sid);
        at += (size_t)snprintf(text + at, sizeof text - at, "%c:%x:%x:%s ",
                               ace->type == SEC_ACE_DENIED ? 'D' : 'A', ace->flags, ace->mask, sid);
        assert_true(at < sizeof text);
    }
    arena_reset(&arena);
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
    return text;
}

/* ---- NFSv4 ---- */

static const char *by_nfs(const char *name)
{
    static char text[2000];
    struct wire4_attrs attrs;
    struct wire4_ace ace;
    char who[256];
    size_t at = 0;

    expect4(alice_nfs, NFS4_OK, wire4_putfh(alice_nfs, &top), wire4_lookup(alice_nfs, name),
            wire4_getattr(alice_nfs, wire4_bits(1, FATTR4_ACL)));
    attrs = wire4_last(alice_nfs)->attrs;
    text[0] = '\0';
    while (wire4_next_ace(&attrs.acl, &ace, who)) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%c:%x:%x:%s ", ace.type == 1 ? 'D' : 'A',
                               ace.flags, ace.mask, who);
        assert_true(at < sizeof text);
    }
    return text;
}

static void set_by_nfs(const char *name, const struct wire4_ace *aces, uint32_t count)
{
    struct wire4_fattr fattr = wire4_fattr();

    wire4_add_acl(&fattr, FATTR4_ACL, 0, aces, count);
    expect4(alice_nfs, NFS4_OK, wire4_putfh(alice_nfs, &top), wire4_lookup(alice_nfs, name),
            wire4_setattr(alice_nfs, &wire4_anonymous, &fattr));
}

/* What by_nfs told, set again. */
static void set_again(const char *name, const char *told)
{
    struct wire4_ace aces[20];
    char whos[20][64], type;
    uint32_t count = 0;
    int length;

    for (; *told != '\0'; told += length, count++) {
        assert_true(count < 20);
        assert_int_equal(sscanf(told, "%c:%x:%x:%63s %n", &type, &aces[count].flags, &aces[count].mask,
                                whos[count], &length),
                         4);
        aces[count].type = type == 'D';
        aces[count].who = whos[count];
    }
    set_by_nfs(name, aces, count);
}

/* ---- */

static void shown_by_both(void **state)
{
    const struct sid uid = ident_uid_to_sid(world->identity, ALICE);
    const struct sid second = ident_uid_to_sid(world->identity, OTHER);
    const struct sid gid = ident_gid_to_sid(world->identity, 4321);
    const struct sid nobody = {.authority = 5, .count = 2, .sub = {77, 78}};
    const struct sid foreign = {.authority = 5, .count = 5, .sub = {21, 1, 2, 3, 4}};
    struct wire4_fattr stranger = wire4_fattr();
    struct sec_ace aces[] = {{.type = SEC_ACE_DENIED, .mask = W, .sid = second},
                             {.mask = ALL, .sid = uid},
                             {.mask = 0x12008b, .sid = second},
                             {.mask = R, .sid = gid},
                             {.mask = ALL, .sid = sid_system},
                             {.mask = R, .sid = nobody},
                             {.mask = R, .sid = foreign},
                             {.mask = 0x80, .sid = sid_authenticated_users},
                             {.mask = 0x20, .sid = sid_everyone},
                             {.mask = R, .sid = sid_owner_rights}};
    char before[2000];

    (void)state;
    make("f", 0);
    set_by_smb("f", aces, sizeof aces / sizeof *aces);
    assert_string_equal(by_nfs("f"),
                        "D:0:2:1001 A:0:1f01ff:1000 A:0:12008b:1001 A:40:1:4321 "
                        "A:0:1f01ff:S-1-5-18 A:0:1:S-1-5-77-78 A:0:1:S-1-5-21-1-2-3-4 A:0:80:AUTHENTICATED@ "
                        "A:0:20:EVERYONE@ A:0:1:S-1-3-4 ");
    /* A client that writes it back has changed nothing. */
    snprintf(before, sizeof before, "%s", by_smb(alice, "f"));
    set_again("f", by_nfs("f"));
    assert_string_equal(by_smb(alice, "f"), before);
    /* Of a domain only those that were there: any other could be somebody's here. */
    wire4_add_acl(&stranger, FATTR4_ACL, 0, &(struct wire4_ace){0, 0, R, "S-1-5-21-1-2-3-5"}, 1);
    expect4(alice_nfs, NFS4ERR_BADOWNER, wire4_putfh(alice_nfs, &top), wire4_lookup(alice_nfs, "f"),
            wire4_setattr(alice_nfs, &wire4_anonymous, &stranger));
    expect4(alice_nfs, NFS4ERR_BADOWNER, wire4_putfh(alice_nfs, &top),
            wire4_create(alice_nfs, NF4DIR, NULL, "d", &stranger));
    assert_string_equal(by_smb(alice, "f"), before);
}

/* What OWNER@ and GROUP@ are on Windows depends on for whom they are. */
static void owners_of_children(void **state)
{
    static const struct wire4_ace aces[] = {
        {0, 0, ALL, "EVERYONE@"}, {0, 0, R, "OWNER@"}, {0, 0xb, ALL, "OWNER@"}, {1, 0x3, W, "GROUP@"}};
    char uid[SID_TEXT_MAX], gid[SID_TEXT_MAX], second[SID_TEXT_MAX], wanted[2000];
    const struct sid uid_sid = ident_uid_to_sid(world->identity, ALICE);
    const struct sid second_sid = ident_uid_to_sid(world->identity, OTHER);
    struct wire4_attrs attrs;
    struct smb2c_opened opened;
    struct sid gid_sid;

    (void)state;
    make("d", SMB2C_DIRECTORY);
    expect4(alice_nfs, NFS4_OK, wire4_putfh(alice_nfs, &top), wire4_lookup(alice_nfs, "d"),
            wire4_getattr(alice_nfs, wire4_bits(1, FATTR4_OWNER_GROUP)));
    attrs = wire4_last(alice_nfs)->attrs;
    gid_sid = ident_gid_to_sid(world->identity, (uint32_t)strtoul(attrs.group, NULL, 10));
    ident_sid_format(&uid_sid, uid);
    ident_sid_format(&second_sid, second);
    ident_sid_format(&gid_sid, gid);
    set_by_nfs("d", aces, 4);
    snprintf(wanted, sizeof wanted, "A:0:1f01ff:S-1-1-0 A:0:1:%s A:b:1f01ff:S-1-3-0 D:0:2:%s D:b:2:S-1-3-1 ",
             uid, gid);
    assert_string_equal(by_smb(alice, "d"), wanted);
    /* What others make in it is theirs. */
    assert_int_equal(open_file(other, "d\\f", ALL, SMB2C_MAKE, 0, &opened), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(other, opened.file), STATUS_SUCCESS);
    snprintf(wanted, sizeof wanted, "A:0:1f01ff:%s D:0:2:", second);
    assert_memory_equal(by_smb(other, "d\\f"), wanted, strlen(wanted));
    /* CREATOR OWNER is OWNER@ of children, and what Windows writes back means the same. */
    set_by_smb("d",
               (struct sec_ace[]){{.mask = ALL, .sid = sid_everyone},
                                  {.flags = 3, .mask = R, .sid = sid_creator_owner}},
               2);
    assert_string_equal(by_nfs("d"), "A:0:1f01ff:EVERYONE@ A:b:1:OWNER@ ");
}

static bool may_by_smb(uint32_t access)
{
    struct smb2c_opened opened;
    uint32_t status = open_file(other, "f", access, SMB2C_OPEN, 0, &opened);

    if (status == STATUS_SUCCESS)
        assert_int_equal(smb2client_close_file(other, opened.file), STATUS_SUCCESS);
    else
        assert_int_equal(status, STATUS_ACCESS_DENIED);
    return status == STATUS_SUCCESS;
}

/* Opens by name: other owners each time, so that nothing is left over. */
static bool may_by_nfs(uint32_t access)
{
    static unsigned number;
    struct wire4_stateid stateid;
    struct wire4_owner owner;
    char key[20];

    snprintf(key, sizeof key, "owner %u", number++);
    owner = wire4_owner(key);
    wire4_begin(other_nfs);
    wire4_putfh(other_nfs, &top);
    wire4_open_name(other_nfs, &owner, "f", access, 0, WIRE4_NOCREATE, NULL, 0);
    if (wire4_send(other_nfs) != NFS4_OK) {
        assert_int_equal(other_nfs->status, NFS4ERR_ACCESS);
        return false;
    }
    stateid = wire4_last(other_nfs)->stateid;
    wire4_begin(other_nfs);
    wire4_putfh(other_nfs, &top);
    wire4_lookup(other_nfs, "f");
    wire4_close_file(other_nfs, &owner, &stateid);
    assert_int_equal(wire4_send(other_nfs), NFS4_OK);
    return true;
}

/* Whom SMB calls what NFS calls WHO; OWNER@ is alice. */
static struct sid sid_of(const char *who)
{
    static const struct sid administrators = {.authority = 5, .count = 2, .sub = {32, 544}};

    if (strcmp(who, "EVERYONE@") == 0)
        return sid_everyone;
    if (strcmp(who, "AUTHENTICATED@") == 0)
        return sid_authenticated_users;
    if (strcmp(who, "S-1-5-32-544") == 0)
        return administrators;
    if (strcmp(who, "100") == 0)
        return ident_gid_to_sid(world->identity, GID);
    return ident_uid_to_sid(world->identity, strcmp(who, "1001") == 0 ? OTHER : ALICE);
}

/* Who may what, whichever protocol has set the list and whichever he comes by. */
static void obeyed_by_both(void **state)
{
    static const struct {
        struct wire4_ace aces[2];
        bool reads, writes;
    } rows[] = {
        {{{0, 0, ALL, "1000"}, {0, 0, R, "1001"}}, true, false},
        {{{0, 0, ALL, "1000"}, {0, 0, W | 0x4, "1001"}}, false, true},
        /* Who may execute reads, with NFS (RFC 8881 6.2.1.3.2). */
        {{{1, 0, R | 0x20, "1001"}, {0, 0, ALL, "EVERYONE@"}}, false, true},
        {{{0, 0, ALL, "EVERYONE@"}, {1, 0, R, "1001"}}, true, true},
        {{{0, 0, ALL, "OWNER@"}, {0, 0x40, R, "100"}}, true, false},
        {{{0, 0, ALL, "OWNER@"}, {0, 0xb, ALL, "EVERYONE@"}}, false, false},
        {{{0, 0, ALL, "OWNER@"}, {0, 0, ALL, "S-1-5-32-544"}}, false, false},
        {{{0, 0, ALL, "OWNER@"}, {0, 0, R | W | 0x4, "AUTHENTICATED@"}}, true, true},
    };

    (void)state;
    make("f", 0);
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        const struct wire4_ace *aces = rows[i / 2].aces;
        bool reads = rows[i / 2].reads, writes = rows[i / 2].writes;
        struct sec_ace same[2];

        for (int n = 0; n < 2; n++)
            same[n] = (struct sec_ace){.type = (uint8_t)aces[n].type,
                                       .flags = aces[n].flags & 0xf,
                                       .mask = aces[n].mask,
                                       .sid = sid_of(aces[n].who)};
        if (i % 2 == 0)
            set_by_nfs("f", aces, 2);
        else
            set_by_smb("f", same, 2);
        if (may_by_smb(SMB2C_READ_DATA) != reads || may_by_smb(SMB2C_WRITE_DATA) != writes ||
            may_by_nfs(1) != reads || may_by_nfs(2) != writes || may_by_nfs(3) != (reads && writes))
            fail_msg("row %zu, set by %s", i / 2, i % 2 == 0 ? "NFS" : "SMB");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shown_by_both, set_up, tear_down),
        cmocka_unit_test_setup_teardown(owners_of_children, set_up, tear_down),
        cmocka_unit_test_setup_teardown(obeyed_by_both, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
