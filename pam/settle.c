#include "pam/settle.h"

#include "lib/linux/schedule.h"

#include <string.h>
#include <unistd.h>

int settle(const struct wire_verdict *verdict, struct fail *f)
{
	struct schedule_cpus cpus;

	if (schedule_score(verdict->score, f) < 0)
		return -1;
	/* What root runs as a service, the host has given its place in the queue. */
	if ((getuid() == 0 ? schedule_unpin(f) : schedule_reset(f)) < 0)
		return -1;
	if (!verdict->pinned)
		return 0;
	memcpy(cpus.bits, verdict->cpus, sizeof(cpus.bits));
	return schedule_pin(&cpus, f);
}
