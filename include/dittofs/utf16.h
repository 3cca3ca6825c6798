/*
 * utf16.h - UTF-16LE, the form of text in SMB and NTLM, to and from UTF-8, the form of all text in here.
 *
 * Both directions are strict: overlong and truncated UTF-8, surrogates in UTF-8 and unpaired surrogates in
 * UTF-16 are refused, so that two different names never become one. A zero character is text like any other;
 * who forbids it says so.
 */
#ifndef DITTOFS_UTF16_H
#define DITTOFS_UTF16_H

#include "dittofs/cursor.h"

/* Appends LENGTH bytes of UTF-8 as UTF-16LE. False when it is not valid; what was written of it is taken back
 * then. That it did not fit shows in WRITER. */
bool utf16_from_utf8(struct writer *writer, const void *text, size_t length) MUST_CHECK;
/* Appends LENGTH bytes of UTF-16LE as UTF-8, without a zero byte behind. False as above, also for an odd
 * LENGTH. */
bool utf16_to_utf8(struct writer *writer, const void *text, size_t length) MUST_CHECK;
/* The same into a string of SIZE bytes, ended with a zero byte: false when it is not valid, does not fit, or
 * has a zero character in it. */
bool utf16_to_string(char *to, size_t size, const void *text, size_t length) MUST_CHECK;

#endif
