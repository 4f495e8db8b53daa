/* faulty HOW: a plain program with a fault of memory, for those who look for such. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	if (strcmp(how, "unwritten") == 0) {
		char *text = malloc(8);
		/* For all the compiler knows, somebody wrote it. */
		__asm__ volatile("" : "+r"(text));
		return text && text[3] == 'x' ? 1 : 0;
	}
	if (strcmp(how, "crash") == 0)
		raise(SIGSEGV);
	return 0;
}
