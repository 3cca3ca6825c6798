/*
 * ctl.c - asks the daemon over its control socket.
 */
#include "daemon/ctl_priv.h"

#include "daemon/control_priv.h"
#include "daemon/control_request_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct ctl {
    FILE *in;
    int fd; /* of `in` */
    char *line;
    size_t line_size;
};

/* By way of the folder's descriptor: its path may be longer than a socket's may. */
static int connect_in(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int saved;

    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" CONTROL_SOCKET, folder_fd);
    if (folder_fd < 0 || fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        saved = errno;
        if (fd >= 0)
            close(fd);
        fd = -1;
        errno = saved;
    }
    saved = errno;
    if (folder_fd >= 0)
        close(folder_fd);
    errno = saved;
    return fd;
}

enum err ctl_open(const char *state_dir, struct ctl **ctl_r)
{
    struct ctl *ctl;
    int fd = connect_in(state_dir);

    if (fd < 0)
        return errno == ECONNREFUSED ? ERR_NOENT : err_from_errno(errno);
    ctl = calloc(1, sizeof *ctl);
    if (ctl != NULL)
        ctl->in = fdopen(fd, "r");
    if (ctl == NULL || ctl->in == NULL) {
        close(fd);
        free(ctl);
        return ERR_NOMEM;
    }
    ctl->fd = fd;
    *ctl_r = ctl;
    return ERR_OK;
}

void ctl_close(struct ctl **ctl_p)
{
    struct ctl *ctl = *ctl_p;

    *ctl_p = NULL;
    if (ctl == NULL)
        return;
    fclose(ctl->in);
    free(ctl->line);
    free(ctl);
}

static enum err send_all(struct ctl *ctl, const char *line, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(ctl->fd, line, length, MSG_NOSIGNAL);

        if (sent < 0 && errno != EINTR)
            return ERR_NETWORK;
        if (sent > 0) {
            line += sent;
            length -= (size_t)sent;
        }
    }
    return ERR_OK;
}

static enum err send_request(struct ctl *ctl, char *const *words, unsigned count)
{
    char line[CONTROL_LINE_MAX + 1] = "";
    enum err err = ERR_OK;
    size_t length;

    for (unsigned i = 0; err == ERR_OK && i < count; i++)
        err = control_request_add(line, sizeof line - 1, words[i]);
    if (err != ERR_OK)
        return err;
    length = strlen(line);
    line[length++] = '\n';
    err = send_all(ctl, line, length);
    explicit_bzero(line, sizeof line);
    return err;
}

/* The last line of an answer. */
static enum err conclude(const json_t *object, char *reason)
{
    const char *message = json_string_value(json_object_get(object, "message"));

    if (json_is_true(json_object_get(object, "ok")))
        return ERR_OK;
    snprintf(reason, CTL_REASON_MAX, "%s", message != NULL ? message : "refused");
    return ERR_FAILED;
}

enum err ctl_ask(struct ctl *ctl, char *const *words, unsigned count,
                 void (*each)(void *data, const json_t *item), void *data, char *reason)
{
    enum err err = send_request(ctl, words, count);

    while (err == ERR_OK) {
        ssize_t length = getline(&ctl->line, &ctl->line_size, ctl->in);
        json_t *object = length <= 0 ? NULL : json_loadb(ctl->line, (size_t)length, 0, NULL);

        if (!json_is_object(object)) {
            err = ERR_NETWORK;
        } else if (json_is_boolean(json_object_get(object, "ok"))) {
            err = conclude(object, reason);
            json_decref(object);
            break;
        } else {
            each(data, object);
        }
        json_decref(object);
    }
    return err;
}
