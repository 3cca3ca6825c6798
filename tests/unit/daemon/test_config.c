/*
 * test_config.c - the configuration file: what it says, and where a wrong one is wrong.
 */
#include "daemon/config_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/test_config.XXXXXX";
static char reason[CONFIG_REASON_MAX];

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static enum err load(const char *text, size_t length, struct config **config_r)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    return config_load(path, config_r, reason);
}

static struct config *load_good(const char *text)
{
    struct config *config = NULL;

    if (load(text, strlen(text), &config) != ERR_OK)
        fail_msg("refused: %s", reason);
    return config;
}

static void defaults(void **state)
{
    struct config *config = load_good("");

    (void)state;
    assert_string_equal(config->state_dir, "/var/lib/dittofs");
    assert_int_equal(config->listen.count, 2);
    assert_string_equal(config->listen.addresses[0], "0.0.0.0");
    assert_string_equal(config->listen.addresses[1], "::");
    assert_true(config->nfs_port.on);
    assert_int_equal(config->nfs_port.number, 2049);
    assert_int_equal(config->mountd_port.number, 20048);
    assert_true(config->nlm_port.on && config->statd_port.on);
    assert_int_equal(config->nlm_port.number, 0);
    assert_int_equal(config->statd_port.number, 0);
    assert_null(config->id_domain);
    assert_int_equal(config->rpcbind, ONC_PORTMAP_AUTO);
    assert_int_equal(config->log_level, LOG_LEVEL_INFO);
    assert_int_equal(config->export_count, 0);
    config_free(&config);
    assert_null(config);
}

static void global(void **state)
{
    struct config *config = load_good("\xEF\xBB\xBF[global] ; first\r\n"
                                      "  State Dir = /srv/state\n"
                                      "id domain = Example.org\n"
                                      "# a comment\n"
                                      "\tlisten = 127.0.0.1,\n"
                                      "\t\t::1 ; here too\n"
                                      "\n"
                                      "nfs port = 0\n"
                                      "mountd port = any\n"
                                      "nlm port = 4045\n"
                                      "statd port = 0\n"
                                      "rpcbind: no\n"
                                      "log level = DEBUG\n"
                                      "idle timeout = 30\n"
                                      "block cache = 2g\n"
                                      "inode cache = 1234");

    (void)state;
    assert_string_equal(config->state_dir, "/srv/state");
    assert_string_equal(config->id_domain, "Example.org");
    assert_int_equal(config->listen.count, 2);
    assert_string_equal(config->listen.addresses[0], "127.0.0.1");
    assert_string_equal(config->listen.addresses[1], "::1");
    assert_false(config->nfs_port.on);
    assert_true(config->mountd_port.on);
    assert_int_equal(config->mountd_port.number, 0);
    assert_int_equal(config->nlm_port.number, 4045);
    assert_false(config->statd_port.on);
    assert_int_equal(config->rpcbind, ONC_PORTMAP_OFF);
    assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config->rpc.idle_ms, 30000);
    assert_true(config->store.block_cache_bytes == (size_t)2 << 30);
    assert_int_equal(config->store.inode_cache, 1234);
    config_free(&config);
}

static void exports(void **state)
{
    struct config *config = load_good("[export plain]\n"
                                      "[export a name with spaces, longer than the fifty bytes of libinih]\n"
                                      "read only = yes\n"
                                      "async = yes\n"
                                      "squash = all\n"
                                      "anonuid = 1000\n"
                                      "anongid = 4294967294\n"
                                      "sec = sys\n"
                                      "protocols = nfs3\n"
                                      "root owner = 5\n"
                                      "root group = 6\n"
                                      "root mode = 1777\n");
    const struct vfs_export_config *plain = &config->exports[0]->config;
    const struct vfs_export_config *full = &config->exports[1]->config;

    (void)state;
    assert_int_equal(config->export_count, 2);
    assert_string_equal(plain->name, "plain");
    assert_false(plain->read_only);
    assert_true(plain->sync);
    assert_int_equal(plain->squash, VFS_SQUASH_ROOT);
    assert_int_equal(plain->anonymous_uid, 65534);
    assert_int_equal(plain->security, VFS_SEC_SYS);
    assert_int_equal(plain->protocols, VFS_NFS3 | VFS_NFS4);
    assert_int_equal(plain->root_mode, 0755);
    assert_int_equal(plain->hosts_allow_count, 0);
    assert_string_equal(full->name, "a name with spaces, longer than the fifty bytes of libinih");
    assert_true(full->read_only);
    assert_false(full->sync);
    assert_int_equal(full->squash, VFS_SQUASH_ALL);
    assert_int_equal(full->anonymous_uid, 1000);
    assert_true(full->anonymous_gid == 4294967294u);
    assert_int_equal(full->root_uid, 5);
    assert_int_equal(full->root_gid, 6);
    assert_int_equal(full->root_mode, 01777);
    config_free(&config);
}

static void hosts(void **state)
{
    static const struct {
        const char *text;
        uint8_t address[16];
        unsigned bits;
    } cases[] = {
        {"10.1.2.3", {[10] = 255, 255, 10, 1, 2, 3}, 128},
        {"10.1.2.3/8", {[10] = 255, 255, 10}, 104},
        {"10.1.255.0/20", {[10] = 255, 255, 10, 1, 240}, 116},
        {"0.0.0.0/0", {[10] = 255, 255}, 96},
        {"192.168.7.0/255.255.255.0", {[10] = 255, 255, 192, 168, 7}, 120},
        {"192.168.", {[10] = 255, 255, 192, 168}, 112},
        {"fd00::1", {0xfd, [15] = 1}, 128},
        {"2001:db8::ff/33", {0x20, 0x01, 0x0d, 0xb8}, 33},
        {"ALL", {0}, 0},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *config;
        const struct vfs_export_config *export;

        snprintf(text, sizeof text, "[export e]\nhosts allow = localhost\n   %s\nhosts deny = %s\n",
                 cases[i].text, cases[i].text);
        config = load_good(text);
        export = &config->exports[0]->config;
        assert_int_equal(export->hosts_allow_count, 3);
        assert_int_equal(export->hosts_allow[0].prefix_bits, 104);
        assert_int_equal(export->hosts_allow[0].address[12], 127);
        assert_int_equal(export->hosts_allow[1].prefix_bits, 128);
        assert_int_equal(export->hosts_allow[1].address[15], 1);
        assert_int_equal(export->hosts_allow[2].prefix_bits, cases[i].bits);
        assert_memory_equal(export->hosts_allow[2].address, cases[i].address, 16);
        assert_int_equal(export->hosts_deny_count, 1);
        assert_int_equal(export->hosts_deny[0].prefix_bits, cases[i].bits);
        config_free(&config);
    }
}

static void shares(void **state)
{
    struct config *config = load_good("[global]\n"
                                      "smb encrypt = desired\n"
                                      "smb signing = enabled\n"
                                      "map to guest = Bad User\n"
                                      "server string = what it is\n"
                                      "[export plain]\n"
                                      "[export full]\n"
                                      "valid users = alice, @staff\n"
                                      "   @500\n"
                                      "guest ok = yes\n"
                                      "browseable = no\n"
                                      "persistent handles = yes\n"
                                      "comment = two words\n"
                                      "hide dot files = yes\n"
                                      "hide files = /~*/two words/\n"
                                      "hide unreadable = yes\n"
                                      "smb encrypt = required\n");
    const struct smb_share_config *plain = &config->exports[0]->share, *full = &config->exports[1]->share;

    (void)state;
    assert_int_equal(config->smb.encryption, SMB_ENCRYPT_DESIRED);
    assert_true(config->smb.signing_optional && config->smb.guests);
    assert_string_equal(config->smb.comment, "what it is");
    assert_string_equal(plain->name, "plain");
    assert_null(plain->comment);
    assert_false(plain->hidden || plain->guest_ok || plain->persistent);
    assert_int_equal(plain->encryption, SMB_ENCRYPT_OFF);
    assert_int_equal(plain->valid_user_count, 0);
    assert_false(plain->hide_dot_files || plain->hide_unreadable);
    assert_int_equal(plain->hide_file_count, 0);
    assert_true(full->hide_dot_files && full->hide_unreadable);
    assert_int_equal(full->hide_file_count, 2);
    assert_string_equal(full->hide_files[0], "~*");
    assert_string_equal(full->hide_files[1], "two words");
    assert_string_equal(full->comment, "two words");
    assert_true(full->hidden && full->guest_ok && full->persistent);
    assert_int_equal(full->encryption, SMB_ENCRYPT_REQUIRED);
    assert_int_equal(full->valid_user_count, 3);
    assert_string_equal(full->valid_users[0], "alice");
    assert_string_equal(full->valid_users[1], "@staff");
    assert_string_equal(full->valid_users[2], "@500");
    config_free(&config);
    config = load_good("[global]\nsmb port = 445\n");
    assert_int_equal(config->smb.encryption, SMB_ENCRYPT_OFF);
    assert_false(config->smb.signing_optional || config->smb.guests);
    config_free(&config);
}

/* Every wrong file names its line and says what is wrong there. */
static void refused(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *words; /* of the reason */
    } cases[] = {
        {"state dir = /x\n", 1, "before the first section"},
        {"[global]\n\nstate dirr = /x\n", 3, "state dirr: unknown key"},
        {"[global]\nstate dir =\nlisten = ::\n", 2, "value is missing"},
        {"[global]\nafp port = 548\n", 2, "unknown key"},
        {"[globals]\n", 1, "unknown section"},
        {"[export]\n", 1, "unknown section"},
        {"[exporta]\n", 1, "unknown section"},
        {"[global\n", 1, "\"]\" is missing"},
        {"[global] x\n", 1, "stands behind"},
        {"[global]\n[export a]\n[global]\n", 3, "first in line 1"},
        {"[export a]\n[export A]\n", 2, "first in line 1"},
        {"[export a/b]\n", 1, "no \"/\""},
        {"[export ..]\n", 1, "can't be called"},
        {"[export 0123456789012345678901234567890123456789012345678901234567890123456789012345678901]\n", 1,
         "1 to 80 bytes"},
        {"[global]\nnonsense\n", 2, "neither a section"},
        {"[global]\nnfs port = 2049\nnfs port = 2049\n", 3, "nfs port: given twice, first in line 2"},
        {"[export a]\nsync = yes\nasync = yes\n", 3, "given twice, first in line 2 as sync"},
        {"[export a]\nhide files = *.tmp\n", 2, "not of the form"},
        {"[export a]\nhide files = ///\n", 2, "there is no pattern"},
        {"[export a]\nhide dot files = maybe\n", 2, "hide dot files"},
        {"[global]\nnfs port = 65536\n", 2, "not a port"},
        {"[global]\nnfs port = -1\n", 2, "not a port"},
        {"[global]\nnfs port = 20 49\n", 2, "not a port"},
        {"[global]\nlease time = 0\n", 2, "from 1 to 3600"},
        {"[global]\nlease time = 18446744073709551617\n", 2, "from 1 to 3600"},
        {"[global]\nlease time = 9s\n", 2, "from 1 to 3600"},
        {"[global]\nid domain = a domain\n", 2, "not the name of a domain"},
        {"[global]\nid domain = a@b.org\n", 2, "not the name of a domain"},
        {"[global]\nid domain = b..org\n", 2, "not the name of a domain"},
        {"[global]\nid domain = b.org.\n", 2, "not the name of a domain"},
        {"[global]\nblock cache = 16777216T\n", 2, "not a size"},
        {"[global]\nblock cache = 1GB\n", 2, "not a size"},
        {"[global]\nrpcbind = maybe\n", 2, "not one of: auto yes serve no"},
        {"[global]\nlisten = localhost\n", 2, "not a numeric address"},
        {"[global]\nlisten = 127.0.0.1\n  ::1\n  nowhere\n", 2, "\"nowhere\" is not a numeric"},
        {"[export a]\nread only = 2\n", 2, "neither yes nor no"},
        {"[export a]\nstate dir = /x\n", 2, "state dir: unknown key"},
        {"[export a]\nsquash = everybody\n", 2, "not one of: none root all"},
        {"[export a]\nsec = sys krb5\n", 2, "\"krb5\" is not one of: sys"},
        {"[export a]\nprotocols = nfs3 afp\n", 2, "\"afp\" is not one of: nfs3"},
        {"[export a]\nanonuid = 4294967295\n", 2, "from 0 to 4294967294"},
        {"[export a]\nroot mode = 888\n", 2, "not an octal mode"},
        {"[export a]\nroot mode = 17777\n", 2, "not an octal mode"},
        {"[export a]\nhosts allow = example.org\n", 2, "not an address"},
        {"[export a]\nhosts allow = ALL EXCEPT 10.0.0.1\n", 2, "\"EXCEPT\" is not"},
        {"[export a]\nhosts allow = 10.0.0.0/33\n", 2, "not an address"},
        {"[export a]\nhosts allow = 10.0.0.0/255.0.255.0\n", 2, "not an address"},
        {"[export a]\nhosts allow = fd00::/129\n", 2, "not an address"},
        {"[export a]\nhosts allow = fd00::/255.0.0.0\n", 2, "not an address"},
        {"[export a]\nhosts deny = 10.0.0.\n[export b]\nhosts deny = 300.\n", 4, "\"300.\" is not"},
        {"[export a]\nhosts deny = ,\n", 2, "not an address"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *config = NULL;
        char start[64];

        assert_int_equal(load(cases[i].text, strlen(cases[i].text), &config), ERR_CONFIG);
        assert_null(config);
        snprintf(start, sizeof start, "%s:%u: ", path, cases[i].line);
        if (strncmp(reason, start, strlen(start)) != 0 || strstr(reason, cases[i].words) == NULL)
            fail_msg("case %zu: \"%s\" does not begin with \"%s\" and say \"%s\"", i, reason, start,
                     cases[i].words);
    }
}

static void odd_bytes(void **state)
{
    static const char zero[] = "[global]\nlisten = ::\0x\n[export a]\n";
    struct config *config = NULL;
    char text[600];

    (void)state;
    assert_int_equal(load(zero, sizeof zero - 1, &config), ERR_CONFIG);
    assert_non_null(strstr(reason, ":2: longer than"));
    memset(text, '#', sizeof text);
    assert_int_equal(load(text, sizeof text, &config), ERR_CONFIG);
    assert_non_null(strstr(reason, ":1: longer than"));
    assert_int_equal(config_load("/nonexistent/dittofs.conf", &config, reason), ERR_CONFIG);
    assert_string_equal(reason, "/nonexistent/dittofs.conf: can't be opened: No such file or directory");
}

static void note_key(void *data, const char *key)
{
    char *names = data;

    strcat(names, key);
    strcat(names, ";");
}

static void differences(void **state)
{
    struct config *from = load_good("[global]\nnfs port = 1\nlog level = info\n");
    struct config *to = load_good("[global]\nlog level = debug\nlease time = 9\n[export a]\n");
    char names[128] = "";

    (void)state;
    config_differences(from, to, note_key, names);
    assert_string_equal(names, "nfs port;lease time;");
    config_free(&from);
    config_free(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),  cmocka_unit_test(global),      cmocka_unit_test(exports),
        cmocka_unit_test(hosts),     cmocka_unit_test(shares),      cmocka_unit_test(refused),
        cmocka_unit_test(odd_bytes), cmocka_unit_test(differences),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
