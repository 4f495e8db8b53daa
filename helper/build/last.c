#include "helper/build/last.h"

#include "lib/linux/fds.h"
#include "lib/linux/seccomp.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#define FILTER_FD 3

int last_exec(const struct last_exec *program, struct fail *f)
{
	const bool filtered = program->filter >= 0;

	signal(SIGXFSZ, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	if (filtered && program->filter != FILTER_FD &&
		dup3(program->filter, FILTER_FD, O_CLOEXEC) < 0)
		return fail_sys(f, "keep the filter of system calls", "");
	if (fds_close_from(filtered ? FILTER_FD + 1 : FILTER_FD, f) < 0)
		return -1;
	/* From here on every call but the exec may be one that kills. */
	if (filtered && seccomp_apply(FILTER_FD, f) < 0)
		return -1;
	execve(program->path, program->argv, program->env);
	return fail_sys(f, "run program", program->path);
}
