/*
 * loginbox gc: removes what dead boxes left. A login does the same for its own user, and the
 * keeper of a box that ends for all users now and then; this is for an administrator who
 * does not want to wait.
 */
#include "helper/admin/admin.h"
#include "helper/admin/boxes.h"
#include "helper/admin/screen.h"
#include "helper/build/box_systemd.h"
#include "helper/build/network_keep.h"
#include "helper/state/sweep.h"

#include <stdio.h>
#include <sys/stat.h>

struct gc {
	bool json, dry;
	unsigned n, scopes;
	struct network_gc network;
};

static void tell(const struct place_box *box, void *arg)
{
	struct gc *gc = arg;

	screen_ready();
	if (gc->json)
		printf("%s\n  {\"id\": \"%s\", \"uid\": %u}", gc->n ? "," : "", box->id, box->uid);
	else
		printf("%s box %s of uid %u\n", gc->dry ? "would remove" : "removed", box->id,
			box->uid);
	gc->n++;
}

static void print_count(const char *done, unsigned n, const char *one, const char *many)
{
	if (n)
		printf("%s %u %s\n", done, n, n == 1 ? one : many);
}

static void sum_up(const struct gc *gc, unsigned counts)
{
	const char *removed = gc->dry ? "would remove" : "removed";
	const struct network_gc *net = &gc->network;

	if (gc->json) {
		printf("%s], \"counts\": %u, \"leases\": %u, \"links\": %u, \"rules\": %u, \"repaired\": %u, \"scopes\": %u}\n",
			gc->n ? "\n" : "", counts, net->leases, net->links,
			net->rules, net->repaired, gc->scopes);
		return;
	}
	print_count(removed, counts, "mark of a box that is not there",
		"marks of boxes that are not there");
	print_count(removed, net->leases, "address and link of a network",
		"addresses and links of networks");
	print_count(removed, net->links, "link of no box", "links of no box");
	print_count(removed, net->rules, "set of rules of a network without a box",
		"sets of rules of networks without a box");
	print_count(gc->dry ? "would make again" : "made again", net->repaired,
		"set of rules that somebody flushed", "sets of rules that somebody flushed");
	print_count(gc->dry ? "would end" : "ended", gc->scopes, "scope of systemd's without a box",
		"scopes of systemd's without a box");
	if (!gc->n && !counts && !net->leases && !net->links && !net->rules && !net->repaired &&
		!gc->scopes)
		printf("no dead box left anything\n");
}

static int collect(struct gc *gc, struct fail *f)
{
	struct place place = { .dir = -1 };
	struct stat st;
	unsigned n = 0;

	if (gc->json)
		printf("{\"dry_run\": %s, \"boxes\": [", gc->dry ? "true" : "false");
	/* Nothing was ever made: it is not made now either. */
	if (stat(LOGINBOX_RUN, &st) == 0) {
		if (place_open(&place, f) < 0)
			return -1;
		screen_busy("looking for what dead boxes left ...");
		n = sweep_all(&place, gc->dry ? SWEEP_DRY : SWEEP_WAIT, tell, gc);
		gc->scopes = box_systemd_sweep(&place, gc->dry);
		gc->network.dry = gc->dry;
		network_gc(&place, NULL, &gc->network, f);
		place_close(&place);
		screen_ready();
	}
	sum_up(gc, n - gc->n);
	return fail_is_set(f) ? -1 : 0;
}

int admin_gc(const struct admin_verb *verb, int argc, char **argv)
{
	static const struct admin_option none[] = { { NULL, NULL } };
	struct gc gc = { .json = boxes_take_flag(&argc, argv, "--json"),
		.dry = boxes_take_flag(&argc, argv, "--dry-run") };
	struct fail f = FAIL_BY("");
	int code = admin_read(verb, argc, argv, none, NULL, 0);

	if (code != EXIT_DONE)
		return code;
	if (!admin_is_root(verb->name))
		return EXIT_REFUSED;
	if (boxes_inside())
		return admin_fail((fail_say(&f, FAIL_REFUSED, "look for dead boxes", "",
					   "this is the inside of a box"),
			&f));
	return collect(&gc, &f) < 0 ? admin_fail(&f) : EXIT_DONE;
}
