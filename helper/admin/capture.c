#include "helper/admin/capture.h"

#include "helper/admin/guest.h"
#include "helper/policy/plan_hash.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

int capture_plan(struct plan *out, struct request *request, const struct policy *policy,
	const char *user, const char *service, struct fail *f)
{
	*request = (struct request){ .door = DOOR_ADMIN,
		.service = service,
		.rhost = "",
		.ruser = "root",
		.tty = "" };
	if (account_by_name(&request->account, user, f) < 0)
		return -1;
	if (plan_make(out, policy, request, f) < 0)
		return -1;
	if (!*out->box || out->verdict < VERDICT_MONITOR)
		return fail_say(f, FAIL_REFUSED, "box", user, "%s",
			*out->why ? out->why : "no rule gives a box");
	/* What would be enforced is what is to be tried. */
	out->verdict = VERDICT_BOX;
	out->mode = MODE_ENFORCE;
	/* A login of this moment must not find its way into it. */
	out->share_user = false;
	out->leftover_keep = false;
	out->leftover_ms = 0;
	plan_hash(out);
	return 0;
}

/* What is there now goes behind what is; what does not fit is lost. False at the end. */
static bool take(int fd, char *out, size_t size)
{
	char lost[4096];
	size_t len = strlen(out);
	bool fits = len < size - 1;
	ssize_t n = fits ? read(fd, out + len, size - 1 - len) : read(fd, lost, sizeof(lost));

	if (n > 0 && fits) {
		out[len + (size_t)n] = '\0';
		for (char *c = out + len; c < out + len + n; c++)
			*c = *c ? *c : '?';
	}
	return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

static void __attribute__((noreturn)) be_guest(const struct plan *plan, int out, int err,
	char **command)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(111);
	_exit(guest_run(plan, "loginbox-check", NULL, command));
}

/* Until the command has ended and all that it wrote is here: what it left running may hold
 * the pipes for longer, and goes with the box. */
static void listen_to(struct capture *c, int pidfd, int out, int err, int64_t deadline_ms)
{
	struct pollfd fds[] = { { out, POLLIN, 0 }, { err, POLLIN, 0 }, { pidfd, POLLIN, 0 } };

	for (bool ended = false;;) {
		int64_t left = deadline_ms - fdio_now_ms();
		int n = poll(fds, 3, ended ? 0 : left > 0 ? (int)left : 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 && ended)
			return;
		if (n <= 0) {
			c->late = true;
			sys_pidfd_kill(pidfd, SIGKILL);
			return;
		}
		if (fds[0].revents && !take(out, c->out, sizeof(c->out)))
			fds[0].fd = -1;
		if (fds[1].revents && !take(err, c->err, sizeof(c->err)))
			fds[1].fd = -1;
		if (fds[2].revents) {
			ended = true;
			fds[2].fd = -1;
		}
	}
}

int capture_run(struct capture *out, const struct plan *plan, char **command, int limit_ms,
	struct fail *f)
{
	int a[2], b[2];

	*out = (struct capture){ 0 };
	if (pipe2(a, O_CLOEXEC) < 0)
		return fail_sys(f, "make pipe", "");
	OWN_FD out_from = a[0];
	OWN_FD out_to = a[1];
	if (pipe2(b, O_CLOEXEC) < 0)
		return fail_sys(f, "make pipe", "");
	OWN_FD err_from = b[0];
	OWN_FD err_to = b[1];
	fflush(stdout);
	pid_t pid = fork();
	if (pid < 0)
		return fail_sys(f, "fork", "");
	if (pid == 0)
		be_guest(plan, out_to, err_to, command);
	own_fd_close(&out_to);
	own_fd_close(&err_to);
	OWN_FD pidfd = sys_pidfd_open(pid);
	if (pidfd >= 0)
		listen_to(out, pidfd, out_from, err_from, fdio_now_ms() + limit_ms);
	else
		fail_sys(f, "watch process", "");
	while (waitpid(pid, &out->status, 0) < 0 && errno == EINTR)
		;
	return fail_is_set(f) ? -1 : 0;
}
