#include "helper/policy/plan_userns.h"

#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/subid.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#define RANGES 512 /* before neighbours become one */
#define SUBID_ROOM 64 /* of one user in one file */
#define MAP_ROOM 4096 /* the kernel takes less than a page at once */
#define MAP_LINES 340 /* and no more than these: user_namespaces(7) */

struct ranges {
	struct id_range at[RANGES];
	size_t n;
};

static int add_id(struct ranges *r, uint32_t id, const struct plan *plan, struct fail *f)
{
	if (r->n == RANGES)
		return fail_say(f, FAIL_REFUSED, "map the ids of", plan->account->name,
			"they are more than %d groups and ranges", RANGES);
	r->at[r->n++] = (struct id_range){ id, 1 };
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct id_range *x = a, *y = b;
	return (x->first > y->first) - (x->first < y->first);
}

/* The kernel refuses ranges that overlap; every id is itself, so neighbours may be one. */
static void merge(struct ranges *r)
{
	size_t kept = 0;

	qsort(r->at, r->n, sizeof(r->at[0]), compare);
	for (size_t i = 0; i < r->n; i++) {
		struct id_range *last = kept ? &r->at[kept - 1] : NULL;
		uint64_t end = (uint64_t)r->at[i].first + r->at[i].count;
		if (last && r->at[i].first <= (uint64_t)last->first + last->count) {
			if (end > (uint64_t)last->first + last->count)
				last->count = (uint32_t)(end - last->first);
		} else {
			r->at[kept++] = r->at[i];
		}
	}
	r->n = kept;
}

static int print_map(char **out, struct ranges *r, const struct plan *plan, struct fail *f)
{
	OWN_STR room = malloc(MAP_ROOM);

	if (!room)
		return fail_err(f, ENOMEM, "map the ids of", plan->account->name);
	merge(r);
	struct text t = text_in(room, MAP_ROOM);
	for (size_t i = 0; i < r->n; i++)
		text_add(&t, "%u %u %u\n", r->at[i].first, r->at[i].first, r->at[i].count);
	if (t.cut || r->n > MAP_LINES)
		return fail_say(f, FAIL_REFUSED, "map the ids of", plan->account->name,
			"the user's groups and ranges are more than a map of the kernel holds");
	*out = take_str(&room);
	return 0;
}

static int read_more(
	struct ranges *r, const char *path, const struct account *account, struct fail *f)
{
	size_t n = 0, room = RANGES - r->n < SUBID_ROOM ? RANGES - r->n : SUBID_ROOM;

	if (subid_read(path, account->name, account->uid, r->at + r->n, room, &n, f) < 0)
		return -1;
	r->n += n;
	return 0;
}

static int map_uids(struct plan *plan, struct ranges *r, struct fail *f)
{
	r->n = 0;
	if (add_id(r, plan->account->uid, plan, f) < 0 ||
		read_more(r, SUBID_UIDS, plan->account, f) < 0)
		return -1;
	return print_map(&plan->uid_map, r, plan, f);
}

/* All groups that the user has anyway, so that files show whose they are. */
static int map_gids(struct plan *plan, struct ranges *r, struct fail *f)
{
	const struct account *account = plan->account;

	r->n = 0;
	if (add_id(r, account->gid, plan, f) < 0)
		return -1;
	for (size_t i = 0; i < account->n_groups; i++)
		if (add_id(r, account->groups[i], plan, f) < 0)
			return -1;
	for (size_t i = 0; i < plan->n_groups; i++)
		if (add_id(r, plan->groups[i], plan, f) < 0)
			return -1;
	if (read_more(r, SUBID_GIDS, account, f) < 0)
		return -1;
	return print_map(&plan->gid_map, r, plan, f);
}

int plan_userns(struct plan *plan, const struct box *box, enum door door, struct fail *f)
{
	if (strcmp(box->all.by_key[KEY_USERNS]->text, "self") != 0)
		return 0;
	if (door == DOOR_PAM)
		return fail_say(f, FAIL_REFUSED, "open box", box->name,
			"it has userns = self, which needs the shell door alone: an application in "
			"it "
			"would be nobody's root and could never leave");
	OWN_STR room = malloc(sizeof(struct ranges));
	if (!room)
		return fail_err(f, ENOMEM, "map the ids of", plan->account->name);
	struct ranges *r = (struct ranges *)(void *)room;
	plan->userns_nested = strcmp(box->all.by_key[KEY_USER_NAMESPACES]->text, "yes") == 0;
	plan->userns_setgroups = plan->capabilities >> CAP_SETGID & 1;
	if (subid_check_source(SUBID_NSSWITCH, f) < 0 || map_uids(plan, r, f) < 0)
		return -1;
	return map_gids(plan, r, f);
}

int plan_userns_has_more(const struct account *account, struct fail *f)
{
	struct id_range at[SUBID_ROOM];
	size_t uids = 0, gids = 0;

	if (subid_check_source(SUBID_NSSWITCH, f) < 0 ||
		subid_read(SUBID_UIDS, account->name, account->uid, at, SUBID_ROOM, &uids, f) < 0 ||
		subid_read(SUBID_GIDS, account->name, account->uid, at, SUBID_ROOM, &gids, f) < 0)
		return -1;
	return uids && gids;
}
