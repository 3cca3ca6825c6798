/*
 * users.c - `dittofsctl user` and `dittofsd user`: the local users that SMB clients log on as.
 *
 * A daemon that serves is asked over its control socket; else the store is opened here. A password comes from
 * the terminal, unseen and twice, or as one line from stdin; only its hash goes on from here.
 */
#include "daemon/control_request_priv.h"
#include "daemon/ctl_priv.h"
#include "daemon/server_priv.h"
#include "daemon/smb_service_priv.h"
#include "dittofs/disk.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { PASSWORD_MAX = 1024, USAGE = 2 };

struct command {
    struct identity *identity;
    struct store *store;
    const char *name;
    char **rest; /* behind the name */
    int rest_count;
    bool json;
};

static int fail(const char *what, enum err err)
{
    fprintf(stderr, "%s: %s\n", what, err_text(err));
    return EXIT_FAILURE;
}

/* ---- passwords ---- */

static bool read_line(const char *prompt, char *line, size_t size)
{
    struct termios before, quiet;
    bool is_terminal = isatty(STDIN_FILENO) != 0 && tcgetattr(STDIN_FILENO, &before) == 0;
    char *got;

    if (is_terminal) {
        fputs(prompt, stderr);
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    got = fgets(line, (int)size, stdin);
    if (is_terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    if (got == NULL)
        return false;
    line[strcspn(line, "\r\n")] = '\0';
    return line[0] != '\0';
}

static bool read_hash(uint8_t hash[IDENT_NT_HASH_SIZE])
{
    char password[PASSWORD_MAX], again[PASSWORD_MAX];
    bool good = read_line("Password: ", password, sizeof password);

    if (!good)
        fprintf(stderr, "no password was given\n");
    if (good && isatty(STDIN_FILENO) != 0) {
        good = read_line("Again: ", again, sizeof again) && strcmp(password, again) == 0;
        if (!good)
            fprintf(stderr, "the two are not the same\n");
    }
    if (good) {
        enum err err = cred_nt_hash(password, hash);

        good = err == ERR_OK;
        if (!good)
            fail("the password", err);
    }
    OPENSSL_cleanse(password, sizeof password);
    OPENSSL_cleanse(again, sizeof again);
    return good;
}

/* ---- commands ---- */

static bool parse_id(const char *text, uint32_t *id)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value >= UINT32_MAX) {
        fprintf(stderr, "\"%s\" is not a number of a user or group\n", text);
        return false;
    }
    *id = (uint32_t)value;
    return true;
}

static int put_user(struct command *command, struct ident_user *user)
{
    enum err err;

    if (!read_hash(user->nt_hash))
        return EXIT_FAILURE;
    err = ident_user_put(command->identity, user);
    OPENSSL_cleanse(user->nt_hash, sizeof user->nt_hash);
    return err == ERR_OK ? EXIT_SUCCESS : fail(command->name, err);
}

static int add(struct command *command)
{
    struct ident_user user = {.uid = 0};

    if (command->rest_count < 2 || command->rest_count > 2 + IDENT_GROUPS_MAX)
        return USAGE;
    if (ident_user_find(command->identity, command->name) != NULL || strlen(command->name) > IDENT_NAME_MAX)
        return fail(command->name, strlen(command->name) > IDENT_NAME_MAX ? ERR_NAMETOOLONG : ERR_EXIST);
    memcpy(user.name, command->name, strlen(command->name) + 1);
    if (!parse_id(command->rest[0], &user.uid) || !parse_id(command->rest[1], &user.gid))
        return EXIT_FAILURE;
    for (int i = 2; i < command->rest_count; i++) {
        if (!parse_id(command->rest[i], &user.groups[user.group_count++]))
            return EXIT_FAILURE;
    }
    return put_user(command, &user);
}

static int passwd(struct command *command)
{
    const struct ident_user *found = ident_user_find(command->identity, command->name);
    struct ident_user user;

    if (command->rest_count != 0)
        return USAGE;
    if (found == NULL)
        return fail(command->name, ERR_NOENT);
    user = *found;
    return put_user(command, &user);
}

static int take_away(struct command *command)
{
    enum err err;

    if (command->rest_count != 0)
        return USAGE;
    err = ident_user_remove(command->identity, command->name);
    return err == ERR_OK ? EXIT_SUCCESS : fail(command->name, err);
}

static int list(struct command *command)
{
    struct ctl_output output = {.file = stdout, .json = command->json, .view = ctl_view_of("user")};
    const struct ident_user *user;

    for (size_t i = 0; (user = ident_user_at(command->identity, i)) != NULL; i++) {
        json_t *item = control_user_value(user);

        ctl_show(&output, item);
        json_decref(item);
    }
    ctl_show_end(&output);
    return EXIT_SUCCESS;
}

static const struct {
    const char *word;
    bool has_name;
    int (*run)(struct command *command);
} commands[] = {
    {"add", true, add}, {"passwd", true, passwd}, {"remove", true, take_away}, {"list", false, list}};

static int usage(void)
{
    fprintf(stderr,
            "usage: user add NAME UID GID [GID]... | user passwd NAME | user remove NAME | user list\n");
    return USAGE;
}

static int run(struct command *command, int count, char **words)
{
    for (size_t i = 0; count > 0 && i < sizeof commands / sizeof *commands; i++) {
        int used = commands[i].has_name ? 2 : 1, status;

        if (strcmp(words[0], commands[i].word) != 0 || count < used || (!commands[i].has_name && count > 1))
            continue;
        command->name = commands[i].has_name ? words[1] : NULL;
        command->rest = words + used;
        command->rest_count = count - used;
        status = commands[i].run(command);
        return status == USAGE ? usage() : status;
    }
    return usage();
}

/* ---- by way of the daemon that serves ---- */

enum { HASH_TEXT = 2 * IDENT_NT_HASH_SIZE + 1, FIRST_GROUP = 4, WORDS_MAX = 6 + IDENT_GROUPS_MAX };

/* The same words with the hash of a password where the daemon wants it: "user add NAME UID GID HASH
 * [GID]...", "user passwd NAME HASH". False when there is none. */
static bool add_hash(char **asked, int *count, char hash_text[HASH_TEXT])
{
    uint8_t hash[IDENT_NT_HASH_SIZE];
    int at = strcmp(asked[1], "add") == 0 ? 1 + FIRST_GROUP : 3;

    if (strcmp(asked[1], "add") != 0 && strcmp(asked[1], "passwd") != 0)
        return true;
    if (*count < at) /* the daemon says what is missing */
        return true;
    if (!read_hash(hash))
        return false;
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(hash_text + 2 * i, 3, "%02x", hash[i]);
    OPENSSL_cleanse(hash, sizeof hash);
    memmove(asked + at + 1, asked + at, (size_t)(*count - at) * sizeof *asked);
    asked[at] = hash_text;
    ++*count;
    return true;
}

static int ask_daemon(struct ctl *ctl, int count, char **words, bool json)
{
    static char user[] = "user";
    struct ctl_output output = {.file = stdout, .json = json, .view = ctl_view_of(user)};
    char hash_text[HASH_TEXT], reason[CTL_REASON_MAX];
    char *asked[WORDS_MAX + 1];
    int asked_count = count + 1;
    enum err err;

    if (count < 1 || asked_count >= WORDS_MAX)
        return usage();
    asked[0] = user;
    memcpy(asked + 1, words, (size_t)count * sizeof *words);
    if (!add_hash(asked, &asked_count, hash_text))
        return EXIT_FAILURE;
    err = ctl_ask(ctl, asked, (unsigned)asked_count, ctl_show, &output, reason);
    OPENSSL_cleanse(hash_text, sizeof hash_text);
    if (err != ERR_OK) {
        fprintf(stderr, "%s\n", err == ERR_FAILED ? reason : err_text(err));
        return EXIT_FAILURE;
    }
    if (strcmp(words[0], "list") == 0)
        ctl_show_end(&output);
    return EXIT_SUCCESS;
}

/* ---- the store around them ---- */

struct ending {
    struct loop *loop;
    enum err err;
};

static void on_store_done(void *data, enum err err)
{
    struct ending *ending = data;

    ending->err = err;
    loop_stop(ending->loop);
}

static int with_store(struct store *store, struct loop *loop, int count, char **words, bool json)
{
    struct command command = {.store = store, .json = json};
    struct ending ending = {.loop = loop};
    struct ident_storage storage;
    enum err err = smb_service_identity(store, &storage, &command.identity);
    int status = err == ERR_OK ? run(&command, count, words) : fail("the users can't be read", err);

    ident_close(&command.identity);
    store_shutdown(store, on_store_done, &ending);
    loop_run(loop);
    return ending.err == ERR_OK ? status : fail("the store did not end well", ending.err);
}

static int offline(const struct config *config, int count, char **words, bool json)
{
    struct loop *loop = NULL;
    struct disk *disk = NULL;
    struct store *store = NULL;
    int status;
    enum err err = loop_open(&loop);

    if (err == ERR_OK)
        err = disk_open_folder(config->state_dir, &disk);
    if (err == ERR_OK)
        err = store_open(disk, loop, &config->store, &store);
    status = err == ERR_OK ? with_store(store, loop, count, words, json) : fail(config->state_dir, err);
    store_close(&store);
    disk_destroy(&disk);
    if (loop != NULL)
        loop_close(&loop);
    return status;
}

int server_users(const struct config *config, int count, char **words, bool json)
{
    struct ctl *ctl;
    int status;

    if (ctl_open(config->state_dir, &ctl) != ERR_OK)
        return offline(config, count, words, json);
    status = ask_daemon(ctl, count, words, json);
    ctl_close(&ctl);
    return status;
}
