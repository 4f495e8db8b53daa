#include "helper/policy/word.h"

#include "lib/base/text.h"

#include <limits.h>
#include <string.h>

bool word_is_path(const char *s)
{
	if (*s != '/' || strlen(s) > WORD_PATH_MAX)
		return false;
	if (!s[1])
		return true;
	while (*s == '/') {
		size_t n = strcspn(++s, "/");
		if (n == 0 || n > NAME_MAX || (n == 1 && *s == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
			return false;
		s += n;
	}
	return true;
}

bool word_has_known_tokens(const char *s)
{
	for (const char *p = strchr(s, '%'); p; p = strchr(p + 2, '%'))
		if (!p[1] || !strchr("uUgGhH%", p[1]))
			return false;
	return true;
}

bool word_is_path_with_tokens(const char *s)
{
	char whole[WORD_PATH_MAX + 8];
	struct text t = text_in(whole, sizeof(whole));

	if (!word_has_known_tokens(s))
		return false;
	/* A home is a path: what follows it must go on as one. */
	bool home = text_starts(s, "%h");
	text_add(&t, "%s%s", home ? "/h" : "", home ? s + 2 : s);
	return !t.cut && (!home || !s[2] || s[2] == '/') && word_is_path(whole);
}

bool word_size(const char *s, uint64_t *number, bool *percent)
{
	static const char units[] = "KMGT";
	char digits[24];
	size_t n = strspn(s, "0123456789");

	if (n == 0 || n >= sizeof(digits) || (s[n] && s[n + 1]))
		return false;
	memcpy(digits, s, n);
	digits[n] = '\0';
	if (!text_to_u64(digits, INT64_MAX, number))
		return false;
	*percent = s[n] == '%';
	if (*percent)
		return *number >= 1 && *number <= 100;
	if (s[n]) {
		const char *unit = strchr(units, s[n]);
		if (!unit || *number > (uint64_t)INT64_MAX >> (10 * (unit - units + 1)))
			return false;
		*number <<= 10 * (unit - units + 1);
	}
	return *number > 0;
}

bool word_is_at_or_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	if (strcmp(top, "/") == 0)
		return true;
	return strncmp(path, top, n) == 0 && (path[n] == '/' || !path[n]);
}

bool word_is_below(const char *path, const char *top)
{
	return word_is_at_or_below(path, top) && strcmp(path, top) != 0;
}

void word_parent(const char *path, char *out, size_t size)
{
	text_copy(out, size, path);
	char *slash = strrchr(out, '/');
	if (slash == out)
		slash++;
	if (slash)
		*slash = '\0';
}
