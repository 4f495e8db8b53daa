#include "helper/policy/value_process.h"

#include "lib/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TASKS_LEAST 3
#define TASKS_MOST (1u << 22) /* PID_MAX_LIMIT */
#define WEIGHT_MOST 10000
#define PERCENT_MOST 1000000

struct why {
	char *at;
	size_t size;
};

static bool no(const struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool no(const struct why *why, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why->at, why->size, format, args);
	va_end(args);
	return false;
}

static bool read_amount(struct value *v, const struct key *key, const char *s, const struct why *why)
{
	int unit;

	if (!text_to_u64_unit(s, "KMGT%", INT64_MAX, &v->number, &unit) ||
		(unit >= 0 && unit < 4 && v->number > ((uint64_t)INT64_MAX >> (10 * (unit + 1)))))
		return no(why, "'%s' is no size: bytes, with K M G T, N%% of memory, or unlimited", s);
	v->percent = unit == 4;
	if (v->percent && (v->number < 1 || v->number > 100))
		return no(why, "'%s' is not between 1%% and 100%%", s);
	if (unit >= 0 && unit < 4)
		v->number <<= 10 * (unit + 1);
	/* No swap is a limit; no memory is no login. */
	if (strcmp(key->name, "swap_max") != 0 && !v->percent && v->number < (1 << 20))
		return no(why, "%s = %s is less than 1M: no login would live", key->name, s);
	return true;
}

static bool read_tasks(struct value *v, const char *s, const struct why *why)
{
	if (strcmp(s, "-1") == 0) {
		v->number = VALUE_UNLIMITED;
		return true;
	}
	if (!text_to_u64(s, TASKS_MOST, &v->number))
		return no(why, "'%s' is no number of processes", s);
	/* The box's init, what starts the shell, and the shell. */
	return v->number >= TASKS_LEAST
		? true
		: no(why, "tasks_max = %s would let nobody in; -1 means no limit", s);
}

static bool read_percent(struct value *v, const char *s, const struct why *why)
{
	int unit;

	if (!text_to_u64_unit(s, "%", INT64_MAX, &v->number, &unit) || unit != 0 || v->number < 1 ||
		v->number > PERCENT_MOST)
		return no(why, "'%s' is no share: 50%% is half a processor, 200%% are two", s);
	return true;
}

static bool is_variable(const char *s, size_t n)
{
	return n > 0 && (*s < '0' || *s > '9') &&
		strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") >= n;
}

bool value_is_variable(const char *s)
{
	return is_variable(s, strlen(s));
}

static bool read_umask(struct value *v, const char *s, const struct why *why)
{
	size_t n = strspn(s, "01234567");

	if (n < 3 || n > 4 || s[n])
		return no(why, "'%s' is no umask: three octal digits, as 077", s);
	for (v->number = 0; *s; s++)
		v->number = v->number * 8 + (uint64_t)(*s - '0');
	return v->number <= 0777 ? true : no(why, "umask = %llo is beyond 0777",
						 (unsigned long long)v->number);
}

static bool read_one_rate(struct cgroup_rate *out, const char *s, const struct why *why)
{
	for (size_t i = 0; i < CGROUP_RATE_KINDS; i++) {
		size_t n = strlen(cgroup_rate_names[i]);
		uint64_t number;
		int unit;

		if (strncmp(s, cgroup_rate_names[i], n) != 0 || s[n] != '=')
			continue;
		bool bytes = i == CGROUP_READ_BYTES || i == CGROUP_WRITE_BYTES;
		if (!text_to_u64_unit(s + n + 1, bytes ? "KMGT" : "", INT64_MAX, &number, &unit) ||
			!number ||
			(unit >= 0 && number > ((uint64_t)INT64_MAX >> (10 * (unit + 1)))))
			return no(why, "'%s' is no rate", s);
		out->at[i] = unit >= 0 ? number << (10 * (unit + 1)) : number;
		return true;
	}
	return no(why, "'%s' is no rate: rbps=10M, wbps=10M, riops=100 or wiops=100", s);
}

bool value_read_rate(struct cgroup_rate *out, char *device, size_t room, const char *s, char *at,
	size_t size)
{
	const struct why why = { at, size };
	char copy[256];
	const char *colon = strchr(s, ':');

	*out = (struct cgroup_rate){ 0 };
	if (!colon || s[0] != '/' || (size_t)(colon - s) >= room ||
		!text_copy(copy, sizeof(copy), colon + 1))
		return no(&why, "'%.100s' is not DEVICE:RATE,...", s);
	snprintf(device, room, "%.*s", (int)(colon - s), s);
	char *next = copy;
	for (char *word; (word = strsep(&next, ","));)
		if (!read_one_rate(out, word + strspn(word, " "), &why))
			return false;
	return true;
}

static bool read_score(struct value *v, const char *s, const struct why *why)
{
	uint64_t n;

	if (!text_to_u64(s + (*s == '-'), SCHEDULE_SCORE_MOST, &n))
		return no(why, "'%s' is no score: -1000 to 1000", s);
	v->number = SCHEDULE_SCORE_MOST + (*s == '-' ? -n : n);
	return true;
}

/* `3` or `0-3`, blanks around it. */
static bool read_cpus(struct schedule_cpus *out, char *word)
{
	uint64_t from, to;

	word += strspn(word, " ");
	for (size_t n = strlen(word); n > 0 && word[n - 1] == ' '; n--)
		word[n - 1] = '\0';
	char *last = word, *first = strsep(&last, "-");
	if (!text_to_u64(first, SCHEDULE_CPUS - 1, &from) ||
		!text_to_u64(last ? last : first, SCHEDULE_CPUS - 1, &to) || from > to)
		return false;
	for (; from <= to; from++)
		out->bits[from / 64] |= (uint64_t)1 << (from % 64);
	return true;
}

bool value_read_cpus(struct schedule_cpus *out, const char *s, char *at, size_t size)
{
	const struct why why = { at, size };
	char copy[1024];

	*out = (struct schedule_cpus){ 0 };
	if (strcmp(s, "all") == 0) {
		memset(out, 0xff, sizeof(*out));
		return true;
	}
	bool fine = text_copy(copy, sizeof(copy), s);
	char *next = copy;
	for (char *word; fine && (word = strsep(&next, ","));)
		fine = read_cpus(out, word);
	return fine ? true : no(&why, "'%s' is no list of processors: 0-3, 8", s);
}

bool value_read_process(struct value *v, const struct key *key, const char *s, char *at,
	size_t size)
{
	const struct why why = { at, size };

	bool amount = key->kind == KIND_AMOUNT || key->kind == KIND_TASKS || key->kind == KIND_PERCENT;

	if (amount && strcmp(s, "unlimited") == 0) {
		v->number = VALUE_UNLIMITED;
		return true;
	}
	switch (key->kind) {
	case KIND_AMOUNT:
		return read_amount(v, key, s, &why);
	case KIND_TASKS:
		return read_tasks(v, s, &why);
	case KIND_PERCENT:
		return read_percent(v, s, &why);
	case KIND_WEIGHT:
		if (text_to_u64(s, WEIGHT_MOST, &v->number) && v->number)
			return true;
		return no(&why, "'%s' is no weight: 1 to %d, 100 is usual", s, WEIGHT_MOST);
	case KIND_SCORE:
		return read_score(v, s, &why);
	case KIND_CPUS: {
		struct schedule_cpus cpus;
		return value_read_cpus(&cpus, s, at, size);
	}
	case KIND_RATE: {
		struct cgroup_rate rate;
		char device[256];
		return value_read_rate(&rate, device, sizeof(device), s, at, size);
	}
	case KIND_PAIR:
		return is_variable(s, strcspn(s, "=")) && strchr(s, '=')
			? true
			: no(&why, "'%s' is not NAME=VALUE", s);
	default:
		if (strcmp(s, key->built) == 0)
			return true;
		return read_umask(v, s, &why);
	}
}
