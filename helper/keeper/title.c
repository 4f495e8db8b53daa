#include "helper/keeper/title.h"

#include <string.h>
#include <sys/prctl.h>

/* Where the kernel looks for the arguments of this process; it does not change. */
static char *room;
static size_t room_size;
/* The environment lies behind them, and /proc/PID/environ shows it when it is cleared, too. */
static size_t env_size;

void title_take(int argc, char **argv)
{
	char *end;

	if (argc < 1)
		return;
	room = argv[0];
	end = argv[0];
	for (int i = 0; i < argc; i++)
		if (argv[i] == end)
			end = argv[i] + strlen(argv[i]) + 1;
	room_size = (size_t)(end - room);
	for (char **pair = argv + argc + 1; *pair; pair++)
		if (*pair == room + room_size + env_size)
			env_size += strlen(*pair) + 1;
}

void title_set(const char *title)
{
	prctl(PR_SET_NAME, title, 0, 0, 0);
	if (!room_size)
		return;
	size_t n = strnlen(title, room_size - 1);
	memset(room, 0, room_size + env_size);
	memcpy(room, title, n);
}
