#include "helper/build/environment.h"

#include <stdlib.h>
#include <string.h>

static size_t name_length(const char *pair)
{
	return strcspn(pair, "=");
}

static void drop(char **env, const char *word)
{
	size_t n = name_length(word);
	char **to = env;

	for (char **from = env; *from; from++)
		if (name_length(*from) != n || strncmp(*from, word, n) != 0)
			*to++ = *from;
	*to = NULL;
}

char **environment_of(const struct plan *plan, char *const *env)
{
	size_t n = 0, words = 0;

	while (env[n])
		n++;
	for (size_t i = 0; i < plan->env_size; i++)
		words += !plan->env[i];
	char **out = calloc(n + words + 1, sizeof(*out));
	if (!out)
		return NULL;
	memcpy(out, env, n * sizeof(*out));
	for (const char *word = plan->env; word < plan->env + plan->env_size;
		word += strlen(word) + 1) {
		drop(out, word);
		if (!strchr(word, '='))
			continue;
		for (n = 0; out[n]; n++)
			;
		out[n] = (char *)(uintptr_t)word;
	}
	return out;
}

gid_t *environment_groups(const struct plan *plan, size_t *n)
{
	const struct account *who = plan->account;
	gid_t *out = calloc(who->n_groups + plan->n_groups + 1, sizeof(*out));

	*n = 0;
	for (size_t i = 0; out && i < who->n_groups; i++)
		out[(*n)++] = who->groups[i];
	for (size_t i = 0; out && i < plan->n_groups; i++)
		out[(*n)++] = plan->groups[i];
	return out;
}
