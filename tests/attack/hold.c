/* hold: a user's program that waits to be looked at from outside, and ends when killed. */
#include <unistd.h>

int main(void)
{
	for (;;)
		pause();
}
