/*
 * ctl_priv.h - the other end of the control socket: asking, and showing what was answered. For dittofsctl,
 * and for `dittofsd user` beside a daemon that serves.
 */
#ifndef DITTOFS_DAEMON_CTL_H
#define DITTOFS_DAEMON_CTL_H

#include "dittofs/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct ctl;

/* The daemon's socket in the folder STATE_DIR. ERR_NOENT: nobody serves there; ERR_ACCES. */
enum err ctl_open(const char *state_dir, struct ctl **ctl_r) ERR_MUST_CHECK;
/* NULL is fine; leaves NULL. */
void ctl_close(struct ctl **ctl);

/* Sends a request and calls EACH with every item of the answer. ERR_OK; ERR_FAILED: the daemon says no, and
 * REASON of CTL_REASON_MAX bytes says why; ERR_NETWORK: it has gone, or says what is no answer;
 * ERR_NAMETOOLONG: no request can hold the words. */
enum { CTL_REASON_MAX = 512 };
enum err ctl_ask(struct ctl *ctl, char *const *words, unsigned count,
                 void (*each)(void *data, const json_t *item), void *data, char *reason) ERR_MUST_CHECK;

/* ---- showing ---- */

/* An item of a listing. */
struct ident_user;
json_t *control_user_value(const struct ident_user *user);

struct ctl_output {
    FILE *file;
    bool json;
    const struct ctl_view *view;
    unsigned long items;
};
/* How items of the command WORD are shown as text: a table, or names and values. */
const struct ctl_view *ctl_view_of(const char *word);
/* EACH of ctl_ask; DATA is a struct ctl_output. */
void ctl_show(void *output, const json_t *item);
/* Ends what is shown: as JSON an array, or the one object of a view that has one. */
void ctl_show_end(struct ctl_output *output);

#endif
