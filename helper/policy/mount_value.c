#include "helper/policy/mount_value.h"

#include "lib/base/text.h"

#include <linux/mount.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What is being read, and where a complaint goes. */
struct reading {
	struct mount_value *out;
	bool ro;
	char *why;
	size_t size;
};

static bool no(struct reading *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool no(struct reading *r, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(r->why, r->size, format, args);
	va_end(args);
	return false;
}

/* An option that is a mount attribute, or 0. */
static uint64_t attr_of(const char *word)
{
	static const struct {
		const char *name;
		uint64_t attr;
	} names[] = {
		{ "ro", MOUNT_ATTR_RDONLY },
		{ "noexec", MOUNT_ATTR_NOEXEC },
		{ "nosuid", MOUNT_ATTR_NOSUID },
		{ "nodev", MOUNT_ATTR_NODEV },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(word, names[i].name) == 0)
			return names[i].attr;
	return 0;
}

static bool bind_option(struct reading *r, const char *word)
{
	uint64_t attr = attr_of(word);

	r->ro |= strcmp(word, "ro") == 0;
	r->out->writable |= strcmp(word, "rw") == 0;
	r->out->attr |= attr;
	if (strcmp(word, "optional") == 0)
		r->out->optional = true;
	else if (!attr && strcmp(word, "rw") != 0)
		return no(r, "'%s' is no option: ro, rw, noexec, nosuid, nodev, optional", word);
	return r->ro && r->out->writable ? no(r, "'ro' and 'rw' contradict each other") : true;
}

static bool tmpfs_mode(struct reading *r, const char *s)
{
	mode_t mode = 0;

	if (!*s || strlen(s) > 5 || s[strspn(s, "01234567")])
		return no(r, "'%s' is no mode: octal digits", s);
	for (; *s; s++)
		mode = mode * 8 + (mode_t)(*s - '0');
	if (mode == 0 || mode > 07777)
		return no(r, "mode=%o is not between 1 and 7777", mode);
	r->out->mode = mode;
	return true;
}

static bool tmpfs_option(struct reading *r, const char *word)
{
	if (text_starts(word, "size=")) {
		if (word_size(word + 5, &r->out->size, &r->out->percent))
			return true;
		return no(r, "'%s' is no size: bytes, or with K M G T, or N%% of memory; never 0",
			word + 5);
	}
	if (text_starts(word, "mode="))
		return tmpfs_mode(r, word + 5);
	if (strcmp(word, "copy-up") == 0)
		return r->out->copy_up = true;
	r->out->attr |= attr_of(word);
	return attr_of(word) ? true
			     : no(r, "'%s' is no option: size=, mode=, copy-up, ro, noexec, nosuid, "
				     "nodev", word);
}

static bool home_option(struct reading *r, const char *word)
{
	r->out->attr |= attr_of(word);
	return attr_of(word) ? true : no(r, "'%s' is no option: ro, noexec, nosuid, nodev", word);
}

typedef bool option(struct reading *r, const char *word);

static bool read_options(struct reading *r, char *list, option *each)
{
	while (list) {
		char *word = strsep(&list, ",");
		word += strspn(word, " ");
		for (size_t n = strlen(word); n > 0 && word[n - 1] == ' '; n--)
			word[n - 1] = '\0';
		if (!*word)
			return no(r, "an empty option");
		if (!each(r, word))
			return false;
	}
	return true;
}

static bool read_path(struct reading *r, char *out, size_t size, const char *path)
{
	if (!path || !word_is_path_with_tokens(path) || !text_copy(out, size, path))
		return no(r, "'%s' is no plain absolute path", path ? path : "");
	return true;
}

bool mount_value_bind(struct mount_value *out, const char *text, char *why, size_t size)
{
	struct reading r = { .out = out, .why = why, .size = size };
	char copy[2 * WORD_PATH_MAX + 64], *rest = copy;

	*out = (struct mount_value){ .attr = 0 };
	if (!text_copy(copy, sizeof(copy), text))
		return no(&r, "it is too long");
	char *source = strsep(&rest, ":");
	char *target = strsep(&rest, ":");
	if (!target)
		return no(&r, "'%s' is no source:target[:options]", text);
	return read_path(&r, out->source, sizeof(out->source), source) &&
		read_path(&r, out->target, sizeof(out->target), target) &&
		read_options(&r, rest, bind_option);
}

bool mount_value_tmpfs(struct mount_value *out, const char *text, char *why, size_t size)
{
	struct reading r = { .out = out, .why = why, .size = size };
	char copy[WORD_PATH_MAX + 128], *rest = copy;

	*out = (struct mount_value){ .attr = 0 };
	if (!text_copy(copy, sizeof(copy), text))
		return no(&r, "it is too long");
	if (!read_path(&r, out->target, sizeof(out->target), strsep(&rest, ":")) ||
		!read_options(&r, rest, tmpfs_option))
		return false;
	return out->copy_up && out->mode
		? no(&r, "'copy-up' keeps the mode of what is covered: mode= contradicts it")
		: true;
}

bool mount_value_options(uint64_t *attr, const char *text, char *why, size_t size)
{
	struct mount_value value = { .attr = 0 };
	struct reading r = { .out = &value, .why = why, .size = size };
	char copy[256];

	if (!text_copy(copy, sizeof(copy), text) || !read_options(&r, copy, home_option))
		return *why ? false : no(&r, "it is too long");
	*attr = value.attr;
	return true;
}
