#include "lib/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text text_in(char *buffer, size_t size)
{
	buffer[0] = '\0';
	return (struct text){ .at = buffer, .size = size };
}

void text_add(struct text *t, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(t->at + t->len, t->size - t->len, format, args);
	va_end(args);

	if (n < 0 || (size_t)n >= t->size - t->len) {
		t->cut = true;
		t->len = strlen(t->at);
	} else {
		t->len += (size_t)n;
	}
}

void text_clean(char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c < 32 || (c >= 127 && c < 160))
			*s = '?';
	}
}

bool text_copy(char *to, size_t size, const char *from)
{
	size_t n = strlen(from);
	if (n >= size) {
		to[0] = '\0';
		return false;
	}
	memcpy(to, from, n + 1);
	return true;
}

bool text_to_u64(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		uint64_t digit = (uint64_t)(*s - '0');
		if (n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (n > max)
		return false;
	*out = n;
	return true;
}

bool text_to_u64_unit(const char *s, const char *units, uint64_t max, uint64_t *out, int *unit)
{
	char digits[24]; /* the largest number has 20 */
	size_t n = strspn(s, "0123456789");
	const char *letter = s[n] ? strchr(units, s[n]) : NULL;

	if (n >= sizeof(digits) || (s[n] && (!letter || s[n + 1])))
		return false;
	memcpy(digits, s, n);
	digits[n] = '\0';
	*unit = letter ? (int)(letter - units) : -1;
	return text_to_u64(digits, max, out);
}

bool text_starts(const char *s, const char *start)
{
	return strncmp(s, start, strlen(start)) == 0;
}
