#include "lib/base/ini.h"

#include "lib/base/own.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <iniparser/iniparser.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* What the scan carries from line to line. */
struct scan {
	struct ini *ini;
	const char *file;
	unsigned line;
	size_t entries;
	struct fail *f;
};

static void at(const struct scan *s, unsigned line, char *out, size_t size)
{
	struct text t = text_in(out, size);
	text_add(&t, "%s:%u", s->file, line);
}


static int wrong(struct scan *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int wrong(struct scan *s, const char *format, ...)
{
	char where[256], what[256];
	va_list args;

	at(s, s->line, where, sizeof(where));
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return fail_say(s->f, FAIL_POLICY, "read the policy", where, "%s", what);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Appends room for one zeroed element to an array of `n` elements of `size` bytes. */
static void *grow(void **array, size_t *n, size_t size)
{
	/* Doubles at powers of two, so that no capacity needs to be kept. */
	if ((*n & (*n - 1)) == 0) {
		void *bigger = reallocarray(*array, *n ? *n * 2 : 1, size);
		if (!bigger)
			return NULL;
		*array = bigger;
	}
	char *element = (char *)*array + *n * size;
	memset(element, 0, size);
	(*n)++;
	return element;
}

static int check_entries(struct scan *s)
{
	if (++s->entries > INI_ENTRIES_MAX)
		return wrong(s, "more than %d sections and keys in one file", INI_ENTRIES_MAX);
	return 0;
}

/* One lower-case name of `n` bytes at `p`, for the words "section" or "key". */
static int check_name(struct scan *s, const char *what, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == ':')
			return wrong(s, "a colon in the name of a %s", what);
		if (p[i] >= 'A' && p[i] <= 'Z')
			return wrong(s, "upper case in the name '%.*s' of a %s", (int)(n > 64 ? 64 : n), p, what);
		if (!is_name_byte(p[i]))
			return wrong(s, "the name '%.*s' of a %s has other bytes than a-z 0-9 - _",
				(int)(n > 64 ? 64 : n), p, what);
	}
	if (n == 0)
		return wrong(s, "a %s without a name", what);
	if (n > INI_NAME_MAX)
		return wrong(s, "the name '%.*s...' of a %s is longer than %d bytes", 16, p, what,
			INI_NAME_MAX);
	return 0;
}

static int scan_section(struct scan *s, const char *p, size_t n)
{
	if (p[n - 1] != ']')
		return wrong(s, "a section is [KIND] or [KIND NAME] and nothing else on its line");
	p++;
	n -= 2;
	const char *space = memchr(p, ' ', n);
	size_t kind = space ? (size_t)(space - p) : n;
	size_t name = space ? n - kind - 1 : 0;

	if (memchr(p, '[', n) || memchr(p, ']', n) || memchr(p, '\t', n) || kind == 0 ||
		(space && (name == 0 || memchr(space + 1, ' ', name))))
		return wrong(s, "a section is [KIND] or [KIND NAME] and nothing else on its line");
	if (check_name(s, "section", p, kind) < 0 ||
		(space && check_name(s, "section", space + 1, name) < 0) || check_entries(s) < 0)
		return -1;

	struct ini_section *section = grow((void **)&s->ini->sections, &s->ini->n_sections,
		sizeof(*section));
	if (!section)
		return fail_sys(s->f, "read the policy", s->file);
	section->line = s->line;
	section->kind = strndup(p, kind);
	section->name = strndup(space ? space + 1 : "", name);
	if (!section->kind || !section->name)
		return fail_sys(s->f, "read the policy", s->file);
	return 0;
}

static int check_key(struct scan *s, const char *p, size_t n)
{
	const char *dot = memchr(p, '.', n);
	size_t name = dot ? (size_t)(dot - p) : n;

	if (check_name(s, "key", p, name) < 0)
		return -1;
	return dot ? check_name(s, "label", dot + 1, n - name - 1) : 0;
}

/* Bytes that iniparser would cut at, unwrap or join lines by. */
static int check_value(struct scan *s, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '#' || p[i] == ';')
			return wrong(s, "a '%c' inside a value; a comment has its own line", p[i]);
		if (p[i] == '\t')
			return wrong(s, "a control byte (0x09) inside a value");
	}
	return n ? 0 : wrong(s, "a key without a value");
}

static int scan_key(struct scan *s, const char *p, size_t n)
{
	const char *equals = memchr(p, '=', n);
	if (!equals)
		return wrong(s, "neither a [section], nor 'key = value', nor a comment");

	size_t key = (size_t)(equals - p);
	const char *value = equals + 1, *end = p + n;
	while (key > 0 && is_blank(p[key - 1]))
		key--;
	while (value < end && is_blank(*value))
		value++;
	if (check_key(s, p, key) < 0 || check_value(s, value, (size_t)(end - value)) < 0)
		return -1;
	if (s->ini->n_sections == 0)
		return wrong(s, "a key before any section");
	if (check_entries(s) < 0)
		return -1;

	struct ini_section *section = &s->ini->sections[s->ini->n_sections - 1];
	struct ini_key *k = grow((void **)&section->keys, &section->n_keys, sizeof(*k));
	if (!k)
		return fail_sys(s->f, "read the policy", s->file);
	k->line = s->line;
	k->name = strndup(p, key);
	k->value = strndup(value, (size_t)(end - value));
	if (!k->name || !k->value)
		return fail_sys(s->f, "read the policy", s->file);
	return 0;
}

/* What no line may hold, comments included: iniparser's own line is a C string. */
static int check_bytes(struct scan *s, const char *p, size_t n)
{
	if (n > INI_LINE_MAX)
		return wrong(s, "a line of more than %d bytes", INI_LINE_MAX);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		if ((c < 32 && c != '\t') || c == 127)
			return wrong(s, "a control byte (0x%02x)", c);
	}
	return 0;
}

static int scan_line(struct scan *s, const char *p, size_t n)
{
	if (check_bytes(s, p, n) < 0)
		return -1;
	while (n > 0 && is_blank(p[n - 1]))
		n--;
	/* At the end of a line, also of a comment, it joins the next line to this one. */
	if (n > 0 && p[n - 1] == '\\')
		return wrong(s, "a backslash");
	while (n > 0 && is_blank(*p))
		p++, n--;
	if (n == 0 || *p == '#' || *p == ';')
		return 0;
	if (memchr(p, '\\', n))
		return wrong(s, "a backslash");
	if (memchr(p, '"', n) || memchr(p, '\'', n))
		return wrong(s, "a quote; values are written without");
	return *p == '[' ? scan_section(s, p, n) : scan_key(s, p, n);
}

static int scan_all(struct scan *s, const char *p, size_t n)
{
	s->line = 1;
	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		return wrong(s, "a byte-order mark");
	for (; n > 0; s->line++) {
		const char *end = memchr(p, '\n', n);
		if (!end && check_bytes(s, p, n) == 0)
			return wrong(s, "the last line has no end");
		if (!end || scan_line(s, p, (size_t)(end - p)) < 0)
			return -1;
		n -= (size_t)(end - p) + 1;
		p = end + 1;
	}
	return 0;
}

/* For the duplicates: what is compared, and where it stands. */
struct named {
	const char *a, *b;
	unsigned line;
};

static int by_name(const void *x, const void *y)
{
	const struct named *l = x, *r = y;
	int order = strcmp(l->a, r->a);

	if (order == 0)
		order = strcmp(l->b, r->b);
	return order ? order : (l->line > r->line) - (l->line < r->line);
}

/* Sorts, so that a file of many lines costs no square of them. */
static int refuse_twice(struct scan *s, const char *what, struct named *all, size_t n)
{
	const struct named *first = NULL;
	unsigned line = 0;

	qsort(all, n, sizeof(*all), by_name);
	for (size_t i = 1; i < n; i++) {
		bool same = strcmp(all[i - 1].a, all[i].a) == 0 &&
			strcmp(all[i - 1].b, all[i].b) == 0;
		if (same && (!first || all[i].line < line)) {
			first = &all[i - 1];
			line = all[i].line;
		}
	}
	if (!first)
		return 0;
	s->line = line;
	return wrong(s, "%s%s%s%s stands in line %u already", what, first->a,
		*first->b ? " " : "", first->b, first->line);
}

static int refuse_duplicates(struct scan *s)
{
	OWN_STR memory = calloc(s->entries + 1, sizeof(struct named));
	struct named *all = (void *)memory;
	size_t n = s->ini->n_sections;

	if (!all)
		return fail_sys(s->f, "read the policy", s->file);
	for (size_t i = 0; i < n; i++) {
		const struct ini_section *section = &s->ini->sections[i];
		all[i] = (struct named){ section->kind, section->name, section->line };
	}
	if (refuse_twice(s, "section ", all, n) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct ini_section *section = &s->ini->sections[i];
		for (size_t k = 0; k < section->n_keys; k++)
			all[k] = (struct named){ section->keys[k].name, "", section->keys[k].line };
		if (refuse_twice(s, "key ", all, section->n_keys) < 0)
			return -1;
	}
	return 0;
}

static int keep_silent(const char *format, ...)
{
	(void)format;
	return 0;
}

/* What iniparser knows must be exactly what the scan knows. */
static int compare(struct scan *s, const dictionary *dict)
{
	char name[INI_NAME_MAX * 4 + 8];
	struct text t;

	if (dict->n < 0 || (size_t)dict->n != s->entries)
		return wrong(s, "the parser finds %d sections and keys where the scan finds %zu",
			dict->n, s->entries);
	for (size_t i = 0; i < s->ini->n_sections; i++) {
		const struct ini_section *section = &s->ini->sections[i];
		for (size_t k = 0; k < section->n_keys; k++) {
			const struct ini_key *key = &section->keys[k];
			t = text_in(name, sizeof(name));
			text_add(&t, "%s%s%s:%s", section->kind, *section->name ? " " : "",
				section->name, key->name);
			const char *value = dictionary_get(dict, name, NULL);
			s->line = key->line;
			if (t.cut || !value || strcmp(value, key->value) != 0)
				return wrong(s, "the parser reads another value of %s", key->name);
		}
	}
	return 0;
}

/* Re-opening the file itself could see an edit in between; the sealed copy cannot change. */
static int parse_again(struct scan *s, int copy)
{
	char path[64];
	struct text t = text_in(path, sizeof(path));

	text_add(&t, "/proc/self/fd/%d", copy);
	iniparser_set_error_callback(keep_silent);
	errno = 0;
	dictionary *dict = iniparser_load(path);
	iniparser_set_error_callback(NULL);
	if (!dict)
		return fail_err(s->f, errno ? errno : EIO, "parse the policy", s->file);
	int result = compare(s, dict);
	iniparser_freedict(dict);
	return result;
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

/* Reads to the end, or one byte more than is allowed. */
static ssize_t read_all(int fd, char *p, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t got = read(fd, p + n, size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

static int sealed_copy(int *out, const char *p, size_t n)
{
	OWN_FD copy = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (copy < 0 || write_all(copy, p, n) < 0 ||
		fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -1;
	*out = take_fd(&copy);
	return 0;
}

/* Takes the room that the size asks for: a page that is not touched costs nothing, an
 * allocation of the largest size does. One that grows meanwhile is read to its new end. */
static ssize_t read_whole(int fd, char **bytes)
{
	struct stat st;
	size_t room = INI_BYTES_MAX + 1;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < INI_BYTES_MAX)
		room = (size_t)st.st_size + 1;
	*bytes = malloc(room);
	ssize_t n = *bytes ? read_all(fd, *bytes, room) : -1;
	if (n != (ssize_t)room || room > INI_BYTES_MAX)
		return n;
	char *more = realloc(*bytes, INI_BYTES_MAX + 1);
	if (!more)
		return -1;
	*bytes = more;
	ssize_t rest = read_all(fd, more + n, INI_BYTES_MAX + 1 - room);
	return rest < 0 ? -1 : n + rest;
}

int ini_read(struct ini *out, int fd, const char *file, struct fail *f)
{
	struct ini ini = { 0 };
	struct scan s = { .ini = &ini, .file = file, .line = 1, .f = f };
	OWN_FD copy = -1;
	OWN_STR bytes = NULL;
	ssize_t n = read_whole(fd, &bytes);

	if (n < 0)
		return fail_sys(f, "read the policy", file);
	if (n > INI_BYTES_MAX)
		return wrong(&s, "more than %d bytes", INI_BYTES_MAX);
	if (sealed_copy(&copy, bytes, (size_t)n) < 0)
		return fail_sys(f, "copy the policy", file);
	if (scan_all(&s, bytes, (size_t)n) < 0 || refuse_duplicates(&s) < 0 ||
		parse_again(&s, copy) < 0) {
		ini_free(&ini);
		return -1;
	}
	*out = ini;
	return 0;
}

void ini_free(struct ini *ini)
{
	for (size_t i = 0; i < ini->n_sections; i++) {
		struct ini_section *section = &ini->sections[i];
		for (size_t k = 0; k < section->n_keys; k++) {
			free(section->keys[k].name);
			free(section->keys[k].value);
		}
		free(section->keys);
		free(section->kind);
		free(section->name);
	}
	free(ini->sections);
	*ini = (struct ini){ 0 };
}
