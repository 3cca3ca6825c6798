/*
 * control_request_priv.h - a line of the control socket, taken apart.
 *
 * A request is a line of words with blanks between them: a command and its arguments. %XX stands for any byte
 * but zero, so that words can hold blanks. Whatever is wrong with a line is said by one error.
 */
#ifndef DITTOFS_DAEMON_CONTROL_REQUEST_H
#define DITTOFS_DAEMON_CONTROL_REQUEST_H

#include "dittofs/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONTROL_LINE_MAX = 4096, CONTROL_WORDS_MAX = 80 };

struct control_request {
    char bytes[CONTROL_LINE_MAX + 1];
    const char *words[CONTROL_WORDS_MAX]; /* into bytes; no one is empty */
    unsigned count;                       /* at least 1 */
};

/* LENGTH bytes without the end of the line (a carriage return there is left out). ERR_INVAL: no words, too
 * many, a control character, a bad escape, an escaped zero; ERR_NAMETOOLONG. */
enum err control_request_parse(const void *line, size_t length,
                               struct control_request *request_r) ERR_MUST_CHECK;
/* Appends WORD, escaped, to LINE of SIZE bytes, behind a blank when the line is not empty. ERR_NAMETOOLONG.
 */
enum err control_request_add(char *line, size_t size, const char *word) ERR_MUST_CHECK;

/* Ids of listings: numbers in hexadecimal. False when it is no such number. */
bool control_parse_hex(const char *text, uint64_t *number_r);
bool control_parse_number(const char *text, uint64_t most, uint64_t *number_r);

#endif
