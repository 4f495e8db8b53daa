/*
 * propagation = autofs: a copy of what lies on or below an automounter's directory goes on
 * following it, so that what is mounted there later is in the box too; nothing else does.
 */
#include "helper/policy/plan_parts.h"
#include "lib/base/own.h"
#include "lib/linux/mountinfo.h"

#include <stdio.h>
#include <stdlib.h>

static bool is_reached_through(const struct step *s, const char *automount)
{
	return (s->op == STEP_TREE || s->op == STEP_HOME) && s->source[0] == '/' &&
		(word_is_at_or_below(s->source, automount) ||
			word_is_at_or_below(automount, s->source));
}

int plan_follow(struct tree *t, struct fail *f)
{
	OWN_STR line = NULL;
	size_t room = 0;
	struct mountinfo m;

	if (!tree_is(t, KEY_PROPAGATION, "autofs"))
		return 0;
	OWN_FILE table = fopen("/proc/self/mountinfo", "re");
	if (!table)
		return fail_sys(f, "open", "/proc/self/mountinfo");
	while (getline(&line, &room, table) > 0) {
		if (!mountinfo_read(line, &m) || strcmp(m.type, "autofs") != 0)
			continue;
		for (size_t i = 0; i < t->plan->n_steps; i++)
			if (is_reached_through(&t->plan->steps[i], m.target))
				t->plan->steps[i].flags |= STEP_FOLLOWS;
	}
	return 0;
}
