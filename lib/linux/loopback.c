#include "lib/linux/loopback.h"

#include "lib/base/own.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int loopback_up(struct fail *f)
{
	struct ifreq lo = { .ifr_name = "lo" };
	OWN_FD sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0 || ioctl(sock, SIOCGIFFLAGS, &lo) < 0)
		return fail_sys(f, "look at link", "lo");
	lo.ifr_flags |= IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, &lo) < 0)
		return fail_sys(f, "bring link up", "lo");
	if (ioctl(sock, SIOCGIFFLAGS, &lo) < 0)
		return fail_sys(f, "look at link", "lo");
	if (!(lo.ifr_flags & IFF_UP))
		return fail_say(f, FAIL_SYSTEM, "bring link up", "lo", "the kernel has it down");
	return 0;
}
