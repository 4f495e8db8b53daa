#include "helper/keeper/init.h"

#include "helper/keeper/title.h"
#include "lib/base/fail.h"
#include "lib/linux/caps.h"
#include "lib/linux/fds.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTROL_FD 3

/* Init inherits what the application had: no tty signal, no alarm of a caller's, nothing. */
static void wait_for_children(void)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		sigwaitinfo(&child, NULL);
	}
}

void init_live(int control)
{
	struct fail f = FAIL_BY("inside");
	sigset_t all;

	/* Before the first child can end: a SIGCHLD that is lost leaves a zombie. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	title_set("loginbox-init");
	if (control != CONTROL_FD && dup2(control, CONTROL_FD) < 0)
		_exit(1);
	if (fds_close_from(CONTROL_FD + 1, &f) < 0)
		_exit(1);
	/* The bounding set too: nothing that init is made to execute could have anything. */
	if (caps_bound(0, &f) < 0 || caps_no_new_privs(&f) < 0 || caps_clear(&f) < 0)
		_exit(1);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		_exit(1);
	wait_for_children();
	_exit(1);
}
