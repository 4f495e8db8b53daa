#include "helper/policy/expand.h"

#include "lib/base/text.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static int refuse(const struct setting *s, struct fail *f, const char *what, const char *value)
{
	return fail_say(f, FAIL_REFUSED, "make the plan", s->at ? s->at : s->key->name,
		"%s = %.100s gives %s%.100s", s->key->name, s->text, what, value);
}

void expand_home(const struct account *account, char *out, size_t size)
{
	struct text t = text_in(out, size);

	for (const char *p = account->home; *p; p++)
		if (*p != '/' || (p[1] && p[1] != '/'))
			text_add(&t, "%c", *p);
	if (t.cut || !value_is_path(out))
		text_copy(out, size, "/");
}

/* The value of one token in `out`; NULL when there is none. */
static const char *token(char letter, const struct account *account, char *out, size_t size)
{
	struct utsname host;

	switch (letter) {
	case 'u':
		return account->name;
	case 'U':
		snprintf(out, size, "%u", account->uid);
		return out;
	case 'g':
		for (size_t i = 0; i < account->n_groups; i++)
			if (account->groups[i] == account->gid)
				return account->group_names[i];
		return NULL;
	case 'G':
		snprintf(out, size, "%u", account->gid);
		return out;
	case 'h':
		expand_home(account, out, size);
		return out;
	case 'H':
		if (uname(&host) < 0)
			return NULL;
		host.nodename[strcspn(host.nodename, ".")] = '\0';
		snprintf(out, size, "%s", host.nodename);
		return out;
	default:
		return "%";
	}
}

int expand_text(const struct setting *s, const char *text, const struct account *account, char *out,
	size_t size, struct fail *f)
{
	struct text t = text_in(out, size);
	char value[80];

	for (const char *p = text; *p; p++) {
		if (*p != '%') {
			text_add(&t, "%c", *p);
			continue;
		}
		const char *v = token(*++p, account, value, sizeof(value));
		if (!v)
			return refuse(s, f, "no value", "");
		text_add(&t, "%s", v);
	}
	return t.cut ? refuse(s, f, "too long a text", "") : 0;
}

int expand_setting(const struct setting *s, const struct account *account, char *out, size_t size,
	struct fail *f)
{
	return expand_text(s, s->text, account, out, size, f);
}

int expand_path_text(const struct setting *s, const char *text, const struct account *account,
	char *out, size_t size, struct fail *f)
{
	if (expand_text(s, text, account, out, size, f) < 0)
		return -1;
	return value_is_path(out) ? 0 : refuse(s, f, "no plain absolute path: ", out);
}

int expand_path(const struct setting *s, const struct account *account, char *out, size_t size,
	struct fail *f)
{
	return expand_path_text(s, s->text, account, out, size, f);
}

int expand_host(const struct setting *s, const struct account *account, char *out, size_t size,
	struct fail *f)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_.";

	if (expand_setting(s, account, out, size, f) < 0)
		return -1;
	if (!out[0] || strlen(out) > 64 || out[strspn(out, bytes)])
		return refuse(s, f, "no host name: ", out);
	return 0;
}
