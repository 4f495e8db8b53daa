#include "lib/linux/sys.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <sys/wait.h>

#define STACK 65536

/* What the process that was handed the memory says of the C library's locks. */
struct heir {
	int go, out; /* the reading end of `go` ends with the first process */
	int go_in; /* which holds this end */
	pthread_rwlock_t lock;
};

static int use_locks(void *arg)
{
	struct heir *heir = arg;
	char word, says = 'y';

	close(heir->go_in);
	if (read(heir->go, &word, 1) != 0)
		says = 'e';
	/* Twice: an unlocking that took nobody for the owner would leave it locked. */
	for (int i = 0; i < 2; i++) {
		if (pthread_rwlock_wrlock(&heir->lock) != 0)
			says = 'l';
		if (pthread_rwlock_unlock(&heir->lock) != 0)
			says = 'u';
		if (pthread_rwlock_tryrdlock(&heir->lock) != 0)
			says = 'r';
		if (pthread_rwlock_unlock(&heir->lock) != 0)
			says = 'u';
	}
	_exit(write(heir->out, &says, 1) != 1);
}

static void locks_work_after_the_process_that_handed_its_memory_over_has_ended(void)
{
	static struct heir heir = { .lock = PTHREAD_RWLOCK_INITIALIZER };
	static char stack[STACK] __attribute__((aligned(64)));
	int go[2], out[2];
	char says = 0;

	CHECK(pipe(go) == 0 && pipe(out) == 0);
	heir.go = go[0], heir.go_in = go[1], heir.out = out[1];
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		close(out[0]);
		_exit(sys_hand_over(use_locks, stack + STACK, &heir) < 0);
	}
	close(go[0]);
	close(go[1]);
	close(out[1]);
	CHECK_NUMBER(waitpid(pid, NULL, 0), pid);
	CHECK_NUMBER(read(out[0], &says, 1), 1);
	CHECK_NUMBER(says, 'y');
	close(out[0]);
}

int main(void)
{
	RUN(locks_work_after_the_process_that_handed_its_memory_over_has_ended);
	return test_end();
}
