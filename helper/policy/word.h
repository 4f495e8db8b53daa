/*
 * word.h - paths, sizes and tokens as the policy writes them: what a single word means.
 *
 * Uses: lib/base/text.
 */
#ifndef HELPER_POLICY_WORD_H
#define HELPER_POLICY_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORD_PATH_MAX 900 /* bytes of a path in the policy */

/* Whether `s` is an absolute path without "//", ".", ".." and without a slash at its
 * end, whose names have at most 255 bytes. */
bool word_is_path(const char *s);

/* Whether every % begins one of the tokens %u %U %g %G %h %H %%. */
bool word_has_known_tokens(const char *s);

/* Whether `s` is a plain path, or becomes one when its tokens get their values. */
bool word_is_path_with_tokens(const char *s);

/* Reads bytes with K M G T, or N% (1 to 100). False for anything else, and for 0. */
bool word_size(const char *s, uint64_t *number, bool *percent);

/* Whether `path` is `top` or lies below it; strictly below it. Both are plain paths. */
bool word_is_at_or_below(const char *path, const char *top);
bool word_is_below(const char *path, const char *top);

/* The directory that `path` is in; "/" for "/". Cuts nothing: `size` is that of `path`. */
void word_parent(const char *path, char *out, size_t size);

#endif
