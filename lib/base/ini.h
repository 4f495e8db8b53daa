/*
 * ini.h - sections and `key = value` lines, each with its line number, from one
 * descriptor that was checked by the caller.
 *
 * The bytes are copied once into a sealed memfd. The raw lines of that copy are scanned
 * strictly, and everything on which the scan and iniparser could differ is refused with
 * FILE:LINE. Then iniparser reads the same copy, and what it found must be equal. So no
 * second reading of the file can see another text, and no laxness of the parser counts.
 *
 * Knows the form of lines only: which sections and keys exist is the caller's matter.
 * An ini owns its strings and lives until ini_free().
 *
 * Uses: libc (memfd_create(2), fcntl(2) seals), libiniparser, lib/base.
 */
#ifndef LIB_BASE_INI_H
#define LIB_BASE_INI_H

#include "lib/base/fail.h"

#include <stddef.h>

#define INI_BYTES_MAX (1024 * 1024)
#define INI_LINE_MAX 1000    /* bytes of a line without its end; iniparser stops at 1024 */
#define INI_ENTRIES_MAX 16384 /* keys and sections: iniparser's time grows with the square */
#define INI_NAME_MAX 32

struct ini_key {
	unsigned line;
	char *name;  /* "key" or "key.label" */
	char *value; /* never empty, no blanks around it */
};

struct ini_section {
	unsigned line;
	char *kind; /* "box" of [box student] */
	char *name; /* "student"; "" in [global] */
	struct ini_key *keys;
	size_t n_keys;
};

struct ini {
	struct ini_section *sections; /* in the order of the file */
	size_t n_sections;
};

/*
 * Reads all of `fd`, which stays the caller's. `file` names it in messages. A wrong line
 * is FAIL_POLICY with the subject FILE:LINE; a file over INI_BYTES_MAX is FAIL_POLICY too.
 */
int ini_read(struct ini *out, int fd, const char *file, struct fail *f);

void ini_free(struct ini *ini);

#endif
