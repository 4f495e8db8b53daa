#include "helper/policy/plan_reach.h"

#include "helper/policy/word.h"
#include "lib/base/text.h"

#include <errno.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as the kernel has it, path_resolution(7) */

/* How a step changes what one finds. */
enum effect {
	NONE,
	SHOWS, /* `source` of the host, at and below `target` */
	FRESH, /* what later steps make there, and nothing else */
	MAKES, /* one name */
	HIDES,
};

static enum effect effect_of(const struct step *s)
{
	switch (s->op) {
	case STEP_TREE:
	case STEP_LAYER:
	case STEP_HOME:
	case STEP_THAW:
	case STEP_OVERLAY:
		return SHOWS;
	case STEP_ROOT:
		return s->source[0] ? SHOWS : FRESH;
	case STEP_TMPFS:
	case STEP_SCRATCH:
	case STEP_COVER:
	case STEP_PROC:
	case STEP_SYSFS:
	case STEP_DEVPTS:
	case STEP_MQUEUE:
	case STEP_MARKER:
		return FRESH;
	case STEP_DIR:
	case STEP_FILE:
	case STEP_LINK:
	case STEP_NODE:
	case STEP_TEXT:
	case STEP_ALSO:
	case STEP_LOG_SOCKET:
		return MAKES;
	case STEP_HIDE:
		return HIDES;
	default:
		return NONE;
	}
}

static bool covers(const struct step *s, const char *path)
{
	struct stat st;

	switch (effect_of(s)) {
	case NONE:
		return false;
	case MAKES:
		return strcmp(path, s->target) == 0;
	case SHOWS:
		if ((s->flags & STEP_OPTIONAL) && word_is_at_or_below(path, s->target) &&
			lstat(s->source, &st) < 0)
			return false;
		break;
	default:
		break;
	}
	return word_is_at_or_below(path, s->target) ||
	       (s->op == STEP_SCRATCH && s->source[0] && word_is_at_or_below(path, s->source));
}

/* Whether a later step has its place below the path, which is made for it. */
static bool holds_place(const struct plan *plan, size_t from, size_t n, const char *path)
{
	for (size_t i = from; i < n; i++)
		if (effect_of(&plan->steps[i]) != NONE &&
			word_is_below(plan->steps[i].target, path))
			return true;
	return false;
}

static void look_at_host(struct reach *out, char *link, size_t size)
{
	struct statvfs fs;
	struct stat st;

	if (lstat(out->host, &st) < 0) {
		out->kind = errno == ENOENT || errno == ENOTDIR ? REACH_NOTHING : REACH_UNKNOWN;
		return;
	}
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlink(out->host, link, size - 1);
		link[n > 0 ? n : 0] = '\0';
	}
	out->kind = S_ISDIR(st.st_mode)   ? REACH_DIRECTORY
		    : S_ISREG(st.st_mode) ? REACH_FILE
					  : REACH_OTHER;
	if (out->kind == REACH_FILE && statvfs(out->host, &fs) == 0)
		out->noexec |= (fs.f_flag & ST_NOEXEC) != 0;
}

static void look_made(const struct step *s, struct reach *out, char *link, size_t size)
{
	out->kind = s->op == STEP_DIR ? REACH_DIRECTORY : REACH_OTHER;
	if (s->op == STEP_LINK && !text_copy(link, size, s->source))
		out->kind = REACH_NOTHING;
}

/* In the host's tree, or what a step shows of it. */
static void look_shown(
	const struct step *s, const char *path, struct reach *out, char *link, size_t size)
{
	const char *source = s ? s->source : "", *rest = path;
	struct text words = text_in(out->host, sizeof(out->host));

	if (s && (s->op == STEP_HOME || (s->flags & STEP_USERS_SOURCE))) {
		out->kind = REACH_UNKNOWN;
		return;
	}
	if (s)
		rest += strcmp(s->target, "/") == 0 ? 0 : strlen(s->target);
	text_add(&words, "%s%s", strcmp(source, "/") == 0 ? "" : source,
		strcmp(rest, "/") == 0 ? "" : rest);
	if (words.cut)
		out->kind = REACH_UNKNOWN;
	else
		look_at_host(out, link, size);
}

/*
 * What the first `n` steps have at the path, whose directories are no links. Where that is a
 * link, `link` is what it says.
 */
static void look(const struct plan *plan, size_t n, const char *path, struct reach *out, char *link,
	size_t size)
{
	size_t i = n;

	link[0] = '\0';
	while (i > 0 && !covers(&plan->steps[i - 1], path))
		i--;
	const struct step *s = i ? &plan->steps[i - 1] : NULL;
	out->by = s;
	out->noexec = s && (s->attr & MOUNT_ATTR_NOEXEC);
	switch (s ? effect_of(s) : SHOWS) {
	case MAKES:
		look_made(s, out, link, size);
		break;
	case FRESH:
		out->kind = strcmp(path, s->target) == 0 || holds_place(plan, i, n, path) ||
					    (s->op == STEP_SCRATCH && strcmp(path, s->source) == 0)
				    ? REACH_DIRECTORY
				    : REACH_NOTHING;
		break;
	case HIDES:
		out->kind = REACH_NOTHING;
		if (strcmp(path, s->target) != 0)
			break;
		look(plan, i - 1, path, out, link, size);
		out->by = s;
		if (out->kind == REACH_FILE || out->kind == REACH_OTHER)
			out->kind = REACH_HIDDEN;
		break;
	default:
		look_shown(s, path, out, link, size);
		if (out->kind == REACH_NOTHING && holds_place(plan, i, n, path))
			out->kind = REACH_DIRECTORY;
		break;
	}
}

/* Cuts the last component. */
static void go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		*slash = '\0';
}

/* Takes the first component off `rest`; false when there is none. */
static bool next(char *rest, char *name, size_t size)
{
	char *at = rest + strspn(rest, "/");
	size_t n = strcspn(at, "/");

	snprintf(name, size, "%.*s", (int)n, at);
	memmove(rest, at + n, strlen(at + n) + 1);
	return n > 0;
}

/* One component more; false when the way is at its end. */
static bool step_into(
	const struct plan *plan, const char *name, struct reach *out, char *rest, unsigned *links)
{
	char link[PATH_MAX], more[PATH_MAX];
	size_t n = strlen(out->at);
	struct text words = text_in(more, sizeof(more));

	if (n + strlen(name) + 2 > sizeof(out->at))
		return out->kind = REACH_UNKNOWN, false;
	snprintf(out->at + n, sizeof(out->at) - n, "/%s", name);
	look(plan, plan->n_steps, out->at, out, link, sizeof(link));
	if (!link[0])
		return out->kind == REACH_DIRECTORY;
	text_add(&words, "%s%s", link, rest);
	if (words.cut || ++*links > LINKS_MAX)
		return out->kind = REACH_NOTHING, false;
	memcpy(rest, more, words.len + 1);
	link[0] == '/' ? (void)(out->at[0] = '\0') : go_up(out->at);
	out->kind = REACH_DIRECTORY;
	return true;
}

void plan_reach(const struct plan *plan, const char *path, struct reach *out)
{
	char rest[PATH_MAX], name[PATH_MAX];
	unsigned links = 0;

	*out = (struct reach){ .kind = REACH_DIRECTORY };
	if (!text_copy(rest, sizeof(rest), path)) {
		out->kind = REACH_UNKNOWN;
		return;
	}
	while (next(rest, name, sizeof(name))) {
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			go_up(out->at);
			continue;
		}
		if (!step_into(plan, name, out, rest, &links))
			break;
	}
	/* A file on the way is the end of it. */
	if (rest[strspn(rest, "/")] &&
		(out->kind == REACH_FILE || out->kind == REACH_OTHER || out->kind == REACH_HIDDEN))
		out->kind = REACH_NOTHING;
}

/* Whether names can be made in what is there without changing the host. */
static bool is_of_box(const struct step *by)
{
	if (by && by->op == STEP_COVER)
		return (by->flags & STEP_UNSEALED) != 0;
	return by && (effect_of(by) == FRESH || by->op == STEP_OVERLAY || by->op == STEP_DIR);
}

/* An absent target is fine for what only takes away. */
static bool needs_place(const struct step *s)
{
	return s->op == STEP_TREE || s->op == STEP_TMPFS || s->op == STEP_LAYER ||
		s->op == STEP_THAW;
}

bool plan_reach_place(const struct plan *plan, size_t i, struct reach *out)
{
	const struct step *s = &plan->steps[i];
	char rest[PATH_MAX], name[PATH_MAX], link[PATH_MAX];

	*out = (struct reach){ .kind = REACH_DIRECTORY };
	if ((s->flags & STEP_USERS_TARGET) || !text_copy(rest, sizeof(rest), s->target) ||
		((s->flags & STEP_OPTIONAL) && !covers(s, s->target)))
		return true;
	while (out->kind != REACH_UNKNOWN && next(rest, name, sizeof(name))) {
		size_t n = strlen(out->at);
		snprintf(out->at + n, sizeof(out->at) - n, "/%s", name);
		look(plan, i, out->at, out, link, sizeof(link));
		if (link[0])
			return out->kind = REACH_OTHER, false;
		if (out->kind == REACH_NOTHING)
			return is_of_box(out->by) || !needs_place(s);
	}
	return true;
}
