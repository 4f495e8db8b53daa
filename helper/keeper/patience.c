#include "helper/keeper/patience.h"

#include "lib/base/own.h"

#include <signal.h>
#include <sys/time.h>

#define STEP_US 5000

static void interrupt(int sig)
{
	(void)sig;
}

void patience_begin(void)
{
	/* No SA_RESTART: to interrupt is all that it is for. */
	const struct sigaction act = { .sa_handler = interrupt };
	const struct itimerval steps = { { 0, STEP_US }, { 0, STEP_US } };

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &steps, NULL);
}

void patience_end(void)
{
	const struct itimerval none = { 0 };

	setitimer(ITIMER_REAL, &none, NULL);
}

void patience_close(int *sock)
{
	if (*sock < 0)
		return;
	patience_begin();
	own_fd_close(sock);
	patience_end();
}
