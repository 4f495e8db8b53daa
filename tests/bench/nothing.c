/*
 * nothing.c - a static program that does nothing: what a start and an end cost by themselves.
 */
int main(void)
{
	return 0;
}
