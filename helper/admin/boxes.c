#include "helper/admin/boxes.h"

#include "helper/admin/screen.h"
#include "helper/keeper/peer.h"
#include "helper/state/note.h"
#include "lib/base/own.h"
#include "lib/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct search {
	struct boxes *found;
	const char *which;
	struct fail *f;
};

static bool is_meant(const struct wire_state *box, const char *which)
{
	char uid[16];

	snprintf(uid, sizeof(uid), "%u", box->uid);
	return !which || strcmp(which, box->id) == 0 || strcmp(which, box->user) == 0 ||
		strcmp(which, uid) == 0;
}

static int add(struct boxes *found, const struct wire_state *box, struct fail *f)
{
	struct wire_state *more = reallocarray(found->at, found->n + 1, sizeof(*more));

	if (!more)
		return fail_err(f, ENOMEM, "list boxes", "");
	found->at = more;
	found->at[found->n++] = *box;
	return 0;
}

/* What a keeper of another version does not tell so that it is understood, its note does. */
static void fill_from_note(const struct place *place, const struct place_box *box,
	struct wire_state *state)
{
	struct note note;
	struct fail f = { 0 };
	OWN_FD dir = place_box_open(place, box);
	uint64_t now = (uint64_t)time(NULL);

	text_copy(state->id, sizeof(state->id), box->id);
	if (dir < 0 || note_read(dir, &note, &f) < 0)
		return;
	snprintf(state->user, sizeof(state->user), "%.63s", note.user);
	text_copy(state->box, sizeof(state->box), note.box);
	text_copy(state->rule, sizeof(state->rule), note.rule);
	text_copy(state->hash, sizeof(state->hash), note.hash);
	state->age_s = now > note.made ? now - note.made : 0;
}

static int look(const struct place *place, const struct place_box *box, void *arg)
{
	struct search *s = arg;
	struct wire_state state;
	struct fail gone = { 0 };
	OWN_FD sock = peer_connect(box);

	/* One that does not answer is dying: gc and the next login see to it. */
	if (sock < 0 || peer_state(sock, &state, &gone) < 0)
		return 0;
	if (state.head.version != WIRE_VERSION)
		fill_from_note(place, box, &state);
	if (!is_meant(&state, s->which))
		return 0;
	return add(s->found, &state, s->f);
}

static int find_own(struct boxes *out, const char *which, struct fail *f)
{
	struct wire_state state;
	OWN_FD sock = peer_connect_inside();

	if (sock < 0 && geteuid() != 0)
		return fail_say(f, FAIL_REFUSED, "see boxes", "",
			"only root may, and a user inside a box for that box");
	if (sock < 0)
		return 0;
	if (peer_state(sock, &state, f) < 0)
		return -1;
	return is_meant(&state, which) ? add(out, &state, f) : 0;
}

bool boxes_inside(void)
{
	struct stat st;
	return stat(LOGINBOX_RUN "/box", &st) == 0;
}

bool boxes_take_flag(int *argc, char **argv, const char *flag)
{
	bool taken = false;
	int n = 0;

	for (int i = 0; i < *argc; i++) {
		if (i && strcmp(argv[i], flag) == 0)
			taken = true;
		else
			argv[n++] = argv[i];
	}
	*argc = n;
	return taken;
}

int boxes_find(struct boxes *out, const char *which, struct fail *f)
{
	struct search search = { .found = out, .which = which, .f = f };
	struct place place = { .dir = -1 };
	struct stat st;

	*out = (struct boxes){ 0 };
	/* Inside a box the state directory is only the marker. */
	if (geteuid() != 0 || boxes_inside()) {
		if (find_own(out, which, f) < 0)
			return -1;
	} else if (stat(LOGINBOX_RUN, &st) == 0) {
		if (place_open(&place, f) < 0)
			return -1;
		/* One that is stopped is waited for. */
		screen_busy("asking the boxes ...");
		int result = place_each(&place, (uid_t)-1, look, &search);
		screen_ready();
		place_close(&place);
		if (result < 0)
			return -1;
	}
	if (which && !out->n)
		return fail_say(f, FAIL_SYSTEM, "find box", which, "no such box lives");
	return 0;
}

void boxes_free(struct boxes *boxes)
{
	free(boxes->at);
	*boxes = (struct boxes){ 0 };
}

int boxes_connect(const struct wire_state *box, struct fail *f)
{
	struct place_box at = { .uid = box->uid };
	int sock = -1;

	if (text_copy(at.id, sizeof(at.id), box->id))
		sock = peer_connect(&at);
	if (sock < 0)
		sock = peer_connect_inside();
	return sock < 0 ? fail_sys(f, "reach the box's keeper", box->id) : sock;
}

void boxes_json_text(FILE *to, const char *s)
{
	putc('"', to);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			fprintf(to, "\\%c", c);
		else if (c < 32 || c >= 127)
			fprintf(to, "\\u%04x", c);
		else
			putc(c, to);
	}
	putc('"', to);
}
