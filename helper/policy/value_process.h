/*
 * value_process.h - what the keys of limits and identity hold: amounts, weights, umask.
 *
 * Uses: helper/policy/value.
 */
#ifndef HELPER_POLICY_VALUE_PROCESS_H
#define HELPER_POLICY_VALUE_PROCESS_H

#include "helper/policy/value.h"
#include "lib/linux/cgroup.h"
#include "lib/linux/schedule.h"

/*
 * KIND_AMOUNT bytes or N% of memory, KIND_TASKS a number, KIND_PERCENT of one processor: all
 * with `unlimited` (VALUE_UNLIMITED); KIND_WEIGHT 1 to 10000; KIND_UMASK octal; KIND_SCORE
 * -1000 to 1000, as v->number - 1000. In v->number, and v->percent where it is of memory. False
 * with one clause in `why`.
 */
bool value_read_process(struct value *v, const struct key *key, const char *s, char *why,
	size_t size);

/* The rates of `DEVICE:rbps=10M,wiops=100` in `out`, and the device's path. False with one clause
 * in `why`. */
bool value_read_rate(struct cgroup_rate *out, char *device, size_t room, const char *s, char *why,
	size_t size);

/* Reads `0-3, 8`, or `all`, which sets every bit. False with one clause in `why`. */
bool value_read_cpus(struct schedule_cpus *out, const char *s, char *why, size_t size);

/* Whether it is a name that shells accept for a variable. */
bool value_is_variable(const char *s);

#endif
