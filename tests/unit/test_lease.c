#include "helper/state/lease.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "tests/unit/private.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NETWORK "lab"
#define MANY 100 /* more than one reading of the directory holds */

static struct place place = { .dir = -1 };

static struct lease lease_at(uint64_t slot)
{
	struct lease lease = { .network = NETWORK, .slot = slot, .index = 7, .group = 0x6c000001,
		.box = { .uid = 2001, .id = "0123abcd" } };

	snprintf(lease.address[0], sizeof(lease.address[0]), "10.0.0.%u", (unsigned)slot + 2);
	return lease;
}

static int count(const struct place *in, const struct lease *lease, void *arg)
{
	unsigned *n = arg;

	(void)in;
	CHECK_TEXT(lease->network, NETWORK);
	return ++*n == 0;
}

static int first(const struct place *in, const struct lease *lease, void *arg)
{
	unsigned *n = arg;

	(void)in;
	(void)lease;
	++*n;
	return 1;
}

static void take_many(void)
{
	struct fail f = { 0 };

	for (uint64_t slot = 0; slot < MANY; slot++) {
		struct lease lease = lease_at(slot);
		CHECK_NUMBER(lease_take(&place, &lease, &f), 0);
	}
}

static void every_lease_is_visited_once_until_one_is_enough(void)
{
	unsigned n = 0;

	CHECK_NUMBER(lease_each(&place, NETWORK, count, &n), 0);
	CHECK_NUMBER(n, MANY);
	n = 0;
	CHECK_NUMBER(lease_each(&place, NULL, count, &n), 0);
	CHECK_NUMBER(n, MANY);
	n = 0;
	CHECK_NUMBER(lease_each(&place, NETWORK, first, &n), 1);
	CHECK_NUMBER(n, 1);
	n = 0;
	CHECK_NUMBER(lease_each(&place, "nowhere", count, &n), 0);
	CHECK_NUMBER(n, 0);
}

static void what_is_no_lease_is_passed_over(void)
{
	static const char *const odd[] = { "leases/" NETWORK "/rules-6c000001", "leases/" NETWORK "/4711" };
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		OWN_FD fd = openat(place.dir, odd[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		CHECK(fd >= 0 && write(fd, "x\n", 2) == 2);
	}
	CHECK_NUMBER(mkdirat(place.dir, "leases/" NETWORK "/4712", 0700), 0);
	CHECK_NUMBER(lease_each(&place, NETWORK, count, &n), 0);
	CHECK_NUMBER(n, MANY);
}

/* Who takes "none left" for an answer removes rules of boxes that live. */
static void who_cannot_read_all_is_told(void)
{
	struct lease lease = lease_at(0);
	struct rlimit was, none;
	unsigned n = 0;
	int spare = dup(place.dir);

	CHECK(spare >= 0 && getrlimit(RLIMIT_NOFILE, &was) == 0);
	close(spare);
	none = was;
	none.rlim_cur = (rlim_t)spare;
	CHECK_NUMBER(setrlimit(RLIMIT_NOFILE, &none), 0);
	CHECK_NUMBER(lease_each(&place, NETWORK, count, &n), -1);
	CHECK_NUMBER(lease_each(&place, NULL, count, &n), -1);
	none.rlim_cur = (rlim_t)spare + 1; /* the directory opens, no lease in it does */
	CHECK_NUMBER(setrlimit(RLIMIT_NOFILE, &none), 0);
	CHECK_NUMBER(lease_each(&place, NETWORK, count, &n), -1);
	lease_free(&place, &lease);
	CHECK_NUMBER(setrlimit(RLIMIT_NOFILE, &was), 0);
	CHECK_NUMBER(n, 0);
	CHECK_NUMBER(lease_read(&place, NETWORK, lease.slot, &lease), 0);
}

static void a_port_has_the_address_of_its_place(void)
{
	struct lease lease = lease_at(0x010203);
	const uint8_t line[6] = { 0x02, 0x6c, 0x6c, 0, 0, 1 }, port[6] = { 0x02, 0x6c, 0, 1, 2, 3 };
	uint8_t mac[6];

	lease_mac(&lease, mac);
	CHECK(memcmp(mac, line, sizeof(mac)) == 0);
	strcpy(lease.bridge, "br0");
	lease_mac(&lease, mac);
	CHECK(memcmp(mac, port, sizeof(mac)) == 0);
}

/* Of two who free what a dead box left, the second must not free what another has taken since. */
static void a_place_is_freed_only_of_the_box_that_had_it(void)
{
	struct lease dead = lease_at(MANY + 5), next = lease_at(MANY + 5), seen;
	struct fail f = { 0 };

	memcpy(next.box.id, "76543210", sizeof("76543210"));
	CHECK_NUMBER(lease_take(&place, &dead, &f), 0);
	CHECK(!lease_is_anothers(&place, &dead));
	lease_free(&place, &dead);
	CHECK_NUMBER(lease_take(&place, &next, &f), 0);
	CHECK(lease_is_anothers(&place, &dead));
	lease_free(&place, &dead);
	CHECK_NUMBER(lease_read(&place, NETWORK, MANY + 5, &seen), 0);
	CHECK_TEXT(seen.box.id, "76543210");
	lease_free(&place, &next);
	CHECK_NUMBER(lease_read(&place, NETWORK, MANY + 5, &seen), -1);
}

int main(void)
{
	struct fail f = { 0 };

	if (!private_run() || !private_over("/run") || place_open(&place, &f) < 0)
		return 1;
	take_many();
	RUN(every_lease_is_visited_once_until_one_is_enough);
	RUN(what_is_no_lease_is_passed_over);
	RUN(who_cannot_read_all_is_told);
	RUN(a_port_has_the_address_of_its_place);
	RUN(a_place_is_freed_only_of_the_box_that_had_it);
	return test_end();
}
