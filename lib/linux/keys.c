#include "lib/linux/keys.h"

#include "lib/linux/sys.h"

#include <errno.h>

int keys_renew(struct fail *f)
{
	if (sys_new_session_keyring() < 0 && errno != ENOSYS)
		return fail_sys(f, "make session keyring", "");
	return 0;
}
