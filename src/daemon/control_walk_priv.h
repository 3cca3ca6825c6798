/*
 * control_walk_priv.h - a request of the control socket on its way: what the files of commands share.
 *
 * A command's row has `begin`, which judges the arguments and acts, or prepares a listing, and `page`, which
 * is called until it says that it has no more. Items go out with control__item. The walk lives in its
 * connection and has no memory of its own.
 */
#ifndef DITTOFS_DAEMON_CONTROL_WALK_H
#define DITTOFS_DAEMON_CONTROL_WALK_H

#include "daemon/control_priv.h"
#include "daemon/control_request_priv.h"
#include "dittofs/client.h"
#include "dittofs/lock.h"
#include "dittofs/stateid.h"
#include <jansson.h>

enum {
    CONTROL_PAGE_BYTES = 32768, /* a page ends when it has as many */
    CONTROL_OUT_MAX = 262144,
    CONTROL_ERROR_MAX = 256,
    CONTROL_PATH_MAX = 4096
};

struct control_walk {
    const struct control_subject *subject;
    const struct control_request *request;
    const struct control_row *row;
    uint32_t uid; /* of the peer, for the log */
    struct writer *out;
    uint64_t deadline_ns; /* of this page */
    uint64_t items;       /* so far */
    char error[CONTROL_ERROR_MAX];
    struct store_waiter durable;
    /* where a listing is */
    uint64_t smb_session;
    uint64_t client; /* the id of the last one */
    uint32_t index;  /* of stateids */
    bool in_holder;  /* the holder before INDEX has more */
    bool waits;      /* its ranges are done, its waits come */
    struct lock_cursor lock;
    size_t number; /* of exports and users; sessions of the client so far */
    /* what it is of */
    bool has_file, has_client;
    uint32_t file_tree;
    uint64_t file_ino, client_id;
    /* the last directory whose path was made */
    uint64_t dir_ino;
    uint32_t dir_tree;
    char dir_path[CONTROL_PATH_MAX];
};

enum control_step {
    CONTROL_MORE, /* the next page follows */
    CONTROL_DONE,
    CONTROL_FAILED,  /* walk->error says why */
    CONTROL_DURABLE, /* done when the store has what was changed */
};

struct control_row {
    const char *words[3]; /* "grace", "end"; NULL behind the last */
    unsigned least, most; /* words behind */
    bool acts;            /* is logged */
    bool has_secret;      /* ... without its arguments */
    enum control_step (*begin)(struct control_walk *walk, char *const *arguments, unsigned count);
    enum control_step (*page)(struct control_walk *walk); /* NULL: begin does all */
};
/* Ends with a row without words. */
extern const struct control_row control__listings[], control__actions[], control__users[], control__figures[];

/* Writes ITEM as a line and frees it. */
void control__item(struct control_walk *walk, json_t *item);
/* Has the page come to its end? */
bool control__is_full(const struct control_walk *walk);
enum control_step control__fail(struct control_walk *walk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* JSON values of what needs care: bytes that may be no UTF-8; numbers above 2^63 (as strings). */
json_t *control__text(const void *bytes, size_t length);
json_t *control__number(uint64_t number);

/* Ids as listings show them. */
enum { CONTROL_ID_TEXT = 40 };
const char *control__id(char text[CONTROL_ID_TEXT], char kind, const struct stateid *stateid);
/* False when it is none. */
bool control__parse_id(struct state *state, const char *text, char kind, struct stateid *stateid_r);

/* The path of the file (TREE, INO), as far as it is known, into PATH: "/export/dir/name", "/export/#12". */
void control__path(struct control_walk *walk, uint32_t tree, uint64_t ino, char path[CONTROL_PATH_MAX]);
/* The file that PATH leads to; false: there is none. */
bool control__find_path(const struct control_subject *subject, const char *path, uint32_t *tree_r,
                        uint64_t *ino_r);

#endif
