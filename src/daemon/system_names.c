/*
 * system_names.c - names of users and groups as this host knows them.
 *
 * Called on workers: what nsswitch.conf(5) names may ask other machines. The functions used are those that
 * are safe on several threads; their buffer grows as they ask for it.
 */
#include "daemon/system_names_priv.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_FIRST = 4096, BUFFER_MOST = 1 << 20 };

/* One question in one of four forms. */
struct question {
    bool is_group, by_name;
    uint32_t id;      /* the question, or the answer */
    const char *name; /* the question, or the answer, in the buffer */
};

static int ask_user(struct question *question, char *buffer, size_t size, bool *found_r)
{
    struct passwd entry, *found = NULL;
    int error = question->by_name ? getpwnam_r(question->name, &entry, buffer, size, &found)
                                  : getpwuid_r(question->id, &entry, buffer, size, &found);

    *found_r = error == 0 && found != NULL;
    if (*found_r) {
        question->id = entry.pw_uid;
        question->name = entry.pw_name;
    }
    return error;
}

static int ask_group(struct question *question, char *buffer, size_t size, bool *found_r)
{
    struct group entry, *found = NULL;
    int error = question->by_name ? getgrnam_r(question->name, &entry, buffer, size, &found)
                                  : getgrgid_r(question->id, &entry, buffer, size, &found);

    *found_r = error == 0 && found != NULL;
    if (*found_r) {
        question->id = entry.gr_gid;
        question->name = entry.gr_name;
    }
    return error;
}

/* What getpwnam(3) says of errors: some are ways to say "not found". */
static enum err answer_of(int error, bool found)
{
    if (found)
        return ERR_OK;
    switch (error) {
    case 0:
    case ENOENT:
    case ESRCH:
    case EBADF:
    case EPERM:
        return ERR_NOENT;
    default:
        return ERR_AGAIN;
    }
}

/* *BUFFER_R, which the caller frees, holds the name. */
static enum err ask(struct question *question, char **buffer_r)
{
    char *buffer = NULL;
    bool found = false;
    int error = ERANGE;

    for (size_t size = BUFFER_FIRST; error == ERANGE && size <= BUFFER_MOST; size *= 4) {
        char *more = realloc(buffer, size);

        if (more == NULL)
            break;
        buffer = more;
        error = question->is_group ? ask_group(question, buffer, size, &found)
                                   : ask_user(question, buffer, size, &found);
    }
    *buffer_r = buffer;
    return answer_of(error, found);
}

static enum err name_of(void *data, bool is_group, uint32_t id, char name_r[NFS4_NAME_MAX])
{
    struct question question = {.is_group = is_group, .id = id};
    char *buffer;
    enum err err = ask(&question, &buffer);

    (void)data;
    if (err == ERR_OK && strlen(question.name) >= NFS4_NAME_MAX)
        err = ERR_NOENT;
    if (err == ERR_OK)
        memcpy(name_r, question.name, strlen(question.name) + 1);
    free(buffer);
    return err;
}

static enum err id_of(void *data, bool is_group, const char *name, uint32_t *id_r)
{
    struct question question = {.is_group = is_group, .by_name = true, .name = name};
    char *buffer;
    enum err err = ask(&question, &buffer);

    (void)data;
    if (err == ERR_OK)
        *id_r = question.id;
    free(buffer);
    return err;
}

const struct nfs4_names system_names = {.name_of = name_of, .id_of = id_of};
