/*
 * The module's two entries. It runs inside a stranger's process, as root: it asks the
 * helper, moves its own process into the box, and refuses the login if anything is
 * uncertain. It decides nothing but what must hold when the helper is broken: root is never
 * boxed, the break-glass file counts, and whoever is inside a box is not boxed again.
 */
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/caps.h"
#include "lib/linux/ns.h"
#include "lib/linux/tty.h"
#include "pam/args.h"
#include "pam/ask.h"
#include "pam/enter.h"
#include "pam/identity.h"
#include "pam/environment.h"
#include "pam/inside.h"
#include "pam/poison.h"
#include "pam/tell.h"

#include <errno.h>
#include <pwd.h>
#include <security/pam_modutil.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA "pam_loginbox"
#define EXPORT __attribute__((visibility("default")))

enum state { STATE_NONE, STATE_ENTERED, STATE_CLOSED, STATE_POISONED };

/* One per PAM handle, freed at pam_end. */
struct data {
	enum state state;
	int refused; /* with which code, while poisoned */
	pid_t opener;  /* what it forks has no box to close */
	int sock;      /* to the keeper */
	ino_t sock_ino; /* an application that closes all descriptors may reuse the number */
	struct poison poison;
	struct identity had;
	struct environment environment;
	struct wire_verdict verdict;
};

static void data_free(pam_handle_t *pamh, void *p, int status)
{
	struct data *data = p;

	(void)pamh;
	(void)status;
	if (data->state == STATE_POISONED && data->opener == getpid())
		poison_lift(&data->poison);
	/* su's child ends the handle as well, and is about to become the user's shell. */
	if (data->opener == getpid())
		environment_restore(&data->environment);
	environment_free(&data->environment);
	own_fd_close(&data->sock);
	free(data);
}

static struct data *data_find(pam_handle_t *pamh)
{
	const void *p = NULL;
	return pam_get_data(pamh, DATA, &p) == PAM_SUCCESS ? (struct data *)(uintptr_t)p : NULL;
}

/* What has to be remembered is made before anything is done that must be undone. */
static struct data *data_make(pam_handle_t *pamh)
{
	struct data *data = data_find(pamh);

	if (data)
		return data;
	data = calloc(1, sizeof(*data));
	if (!data)
		return NULL;
	*data = (struct data){ .sock = -1,
		.opener = getpid(),
		.poison = { .mnt = -1, .root = -1, .pid = -1 } };
	if (pam_set_data(pamh, DATA, data, data_free) != PAM_SUCCESS) {
		free(data);
		return NULL;
	}
	return data;
}

static const char *item(pam_handle_t *pamh, int which)
{
	const void *value = NULL;
	return pam_get_item(pamh, which, &value) == PAM_SUCCESS && value ? value : "";
}

/* What does not fit is not carried; the helper judges the rest. */
static void fill_carried(struct wire_open *open, pam_handle_t *pamh)
{
	static const char *const names[WIRE_CARRIES] = WIRE_CARRIED;

	for (size_t i = 0; i < WIRE_CARRIES; i++) {
		const char *value = pam_getenv(pamh, names[i]);
		if (value)
			text_copy(open->carry[i], sizeof(open->carry[i]), value);
	}
}

static bool fill_request(struct wire_open *open, pam_handle_t *pamh, const struct tell *tell,
	const struct args *args)
{
	*open = (struct wire_open){ .deadline_ms = args->deadline_ms };
	fill_carried(open, pamh);
	return text_copy(open->user, sizeof(open->user), tell->user) &&
		text_copy(open->service, sizeof(open->service), tell->service) &&
		text_copy(open->rhost, sizeof(open->rhost), tell->rhost) &&
		text_copy(open->tty, sizeof(open->tty), item(pamh, PAM_TTY)) &&
		text_copy(open->conf, sizeof(open->conf), args->conf);
}

/* Refused: nothing may run for this user in this process, whoever ignores the code. */
static int refuse(struct tell *tell, struct data *data, int code)
{
	struct fail f = FAIL_BY("module");
	char words[700];

	if (!data || poison_take(&data->poison, &f) < 0)
		tell_alarm(tell, "cannot keep the application from going on",
			data ? fail_word(&f, words, sizeof(words)) : "out of memory");
	else {
		data->state = STATE_POISONED;
		data->refused = code;
	}
	return code;
}

static int refuse_failed(struct tell *tell, struct data *data, const struct fail *f)
{
	static const struct wire_verdict none;
	struct fail named = *f;

	caps_add_lacking(&named);
	int code = tell_failed(tell, data ? &data->verdict : &none, &named);
	return refuse(tell, data, code);
}

/* Half-way in: out again by the keeper's help, and the session is told to be over. */
static void leave_again(struct ask *ask, bool entered)
{
	struct fdio_fds back;
	struct fail f = FAIL_BY("module");

	if (ask_back(ask->sock, &back, &f) == 0) {
		if (entered)
			enter_host(&back, &f);
		else
			fdio_fds_close(&back);
	}
	own_fd_close(&ask->sock);
}

/*
 * One login(1) opens its terminal again by name. Inside, that name is nobody's or, worse,
 * another user's pty of the same number. The other login(1) does not, and nothing tells the
 * two apart; a console has the same name inside.
 */
static bool reopens_terminal(const struct tell *tell, const struct args *args)
{
	if (args->tty_pts ||
		(strcmp(tell->service, "login") != 0 && strcmp(tell->service, "remote") != 0))
		return false;
	int tty = tty_find_stdio();
	const char *name = item(tell->pamh, PAM_TTY);
	return (tty >= 0 && tty_kind_of(tty) == TTY_PTS) || text_starts(name, "pts/") ||
		text_starts(name, "/dev/pts/");
}

/*
 * systemd executes a unit that has PAMName= (user@.service, the shell of machinectl) in the
 * very process that opened the session. Of a pid namespace that was entered only children are
 * members: such a unit would stay among the host's processes, in a /proc without itself. Until
 * then it calls itself "(unit)".
 */
static bool is_unit(void)
{
	return getppid() == 1 && program_invocation_short_name[0] == '(';
}

static int come_in(struct tell *tell, struct data *data, struct ask *ask,
	const struct args *args)
{
	struct fail f = FAIL_BY("module");
	struct stat st;
	bool entered = false;

	if (reopens_terminal(tell, args)) {
		leave_again(ask, false);
		return refuse(tell, data,
			tell_denied(tell, &data->verdict,
				"login on a pseudo-terminal of the host needs tty_pts=allow"));
	}
	if (is_unit()) {
		leave_again(ask, false);
		return refuse(tell, data,
			tell_denied(tell, &data->verdict,
				"systemd starts a unit in the process that opened its session, "
				"which cannot be in a box"));
	}
	/* setns(2) would move the root of every thread. Who is not boxed may have threads. */
	if (ns_threads() != 1) {
		leave_again(ask, false);
		fail_say(&f, FAIL_SYSTEM, "open a box", tell->user,
			"the application has more than one thread");
		return refuse_failed(tell, data, &f);
	}
	tell_prepare(tell);
	/* Before entering: the filter of system calls may forbid it after. */
	int result = fstat(ask->sock, &st) < 0
		? fail_sys(&f, "look at own socket", "")
		: identity_take(&data->had, tell->pamh, &data->verdict, &f);
	if (result == 0)
		result = enter_box(ask->init, ask->filter, &data->verdict, &entered, &f);
	own_fd_close(&ask->init);
	own_fd_close(&ask->filter);
	if (result < 0) {
		identity_give_back(&data->had);
		leave_again(ask, entered);
		return refuse_failed(tell, data, &f);
	}
	data->state = STATE_ENTERED;
	data->opener = getpid();
	data->sock = take_fd(&ask->sock);
	data->sock_ino = st.st_ino;
	environment_drop(&data->environment, tell->pamh);
	tell_log(tell, &data->verdict, "entered", "");
	return PAM_SUCCESS;
}

static int act_on(struct tell *tell, struct data *data, struct ask *ask,
	const struct args *args)
{
	const struct wire_verdict *v = &data->verdict;
	char words[700];

	switch (v->answer) {
	case WIRE_ENTER:
		return come_in(tell, data, ask, args);
	case WIRE_IGNORE:
		if (args->debug)
			tell_log(tell, v, "ignored", v->why);
		return PAM_IGNORE;
	case WIRE_MONITOR:
		tell_log(tell, v, "monitored", v->why);
		return PAM_IGNORE;
	case WIRE_ALLOWED:
		tell_log(tell, v, "allowed-unboxed", fail_word(&v->fail, words, sizeof(words)));
		return PAM_IGNORE;
	case WIRE_DENY:
		return refuse(tell, data, tell_denied(tell, v, v->why));
	default:
		break;
	}
	if (v->fail.kind == FAIL_REFUSED)
		return refuse(tell, data,
			tell_denied(tell, v, fail_word(&v->fail, words, sizeof(words))));
	return refuse_failed(tell, data, &v->fail);
}

/* What holds without the helper; PAM_SUCCESS means "ask it". */
static int before_asking(struct tell *tell, struct fail *f)
{
	struct inside inside;
	struct passwd *pw = pam_modutil_getpwnam(tell->pamh, tell->user);

	if (!pw)
		return fail_say(f, FAIL_UNKNOWN, "look up user", tell->user, "no such user is known"),
		       PAM_USER_UNKNOWN;
	if (pw->pw_uid == 0 || inside_is_off())
		return PAM_IGNORE;
	int in = inside_box(&inside, f);
	if (in < 0)
		return PAM_SYSTEM_ERR;
	if (in > 0) {
		if (pw->pw_uid == inside.uid || inside.stays)
			return PAM_IGNORE;
		return fail_say(f, FAIL_REFUSED, "open a session", tell->user,
			       "this process is in another user's box"),
		       PAM_PERM_DENIED;
	}
	if (geteuid() != 0)
		return fail_say(f, FAIL_SYSTEM, "open a box", tell->user,
			       "the application does not run as root"),
		       PAM_SYSTEM_ERR;
	return PAM_SUCCESS;
}

static int open_session(struct tell *tell, const struct args *args)
{
	struct fail f = FAIL_BY("module");
	struct data *data = data_find(tell->pamh);
	struct wire_open request;
	struct ask ask;

	/* Included twice (su-l includes su): it is open already. */
	if (data && data->state == STATE_ENTERED && data->opener == getpid())
		return PAM_SUCCESS;
	/* Refused, and said so: from the empty root another look finds nobody. */
	if (data && data->state == STATE_POISONED)
		return data->refused;
	int code = before_asking(tell, &f);
	if (code == PAM_IGNORE)
		return code;
	data = data_make(tell->pamh);
	if (!data) {
		fail_say(&f, FAIL_SYSTEM, "open a box", tell->user, "out of memory");
		return refuse_failed(tell, data, &f);
	}
	if (code == PAM_SUCCESS && args->wrong)
		fail_say(&f, FAIL_SYSTEM, "read argument", args->wrong,
			"pam_loginbox.so does not know it");
	else if (code == PAM_SUCCESS && !fill_request(&request, tell->pamh, tell, args))
		fail_say(&f, FAIL_SYSTEM, "open a box", tell->user, "a name is too long");
	if (f.kind == FAIL_REFUSED)
		return refuse(tell, data, tell_denied(tell, &data->verdict, f.rule));
	if (fail_is_set(&f) || ask_helper(&ask, &request, &f) < 0)
		return refuse_failed(tell, data, &f);

	data->verdict = ask.verdict;
	code = act_on(tell, data, &ask, args);
	own_fd_close(&ask.sock);
	own_fd_close(&ask.init);
	own_fd_close(&ask.filter);
	return code;
}

static bool is_ours(const struct data *data)
{
	struct stat st;
	return data->sock >= 0 && fstat(data->sock, &st) == 0 && S_ISSOCK(st.st_mode) &&
		st.st_ino == data->sock_ino;
}

static int close_session(struct tell *tell)
{
	struct data *data = data_find(tell->pamh);
	struct fail f = FAIL_BY("module");
	struct fdio_fds back;
	char words[700];

	if (!data || data->opener != getpid())
		return PAM_SUCCESS;
	if (data->state == STATE_POISONED) {
		/* The other modules' close needs the host. */
		poison_lift(&data->poison);
		data->state = STATE_CLOSED;
	}
	if (data->state != STATE_ENTERED)
		return PAM_SUCCESS;
	data->state = STATE_CLOSED;
	environment_restore(&data->environment);
	identity_give_back(&data->had);
	if (!is_ours(data)) {
		data->sock = -1;
		fail_say(&f, FAIL_SYSTEM, "leave the box", "", "the application closed our socket");
	} else if (ask_back(data->sock, &back, &f) == 0 && enter_host(&back, &f) == 0) {
		/* Says that this process is out, whoever it has forked holds the socket too. */
		shutdown(data->sock, SHUT_RDWR);
		own_fd_close(&data->sock);
		return PAM_SUCCESS;
	}
	own_fd_close(&data->sock);
	/* The box is dying, and with it whatever ran in it. Its /run is not the host's. */
	tell->prepared = true;
	tell_log(tell, &data->verdict, "orphaned", fail_word(&f, words, sizeof(words)));
	return PAM_SUCCESS;
}

static struct tell tell_of(pam_handle_t *pamh, int flags)
{
	return (struct tell){ .pamh = pamh,
		.silent = flags & PAM_SILENT,
		.service = item(pamh, PAM_SERVICE),
		.user = item(pamh, PAM_USER),
		.rhost = item(pamh, PAM_RHOST),
		.began_ms = fdio_now_ms(),
		.journal = -1,
		.log = -1 };
}

EXPORT int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct args args;
	struct tell tell = tell_of(pamh, flags);

	args_read(&args, argc, argv);
	if (args.line == LINE_CLOSE)
		return PAM_SUCCESS;
	int code = open_session(&tell, &args);
	tell_end(&tell);
	return code;
}

EXPORT int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct args args;
	struct tell tell = tell_of(pamh, flags);

	args_read(&args, argc, argv);
	if (args.line == LINE_OPEN)
		return PAM_SUCCESS;
	int code = close_session(&tell);
	tell_end(&tell);
	return code;
}
