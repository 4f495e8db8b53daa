/*
 * loginbox-systemd: asks systemd for the control groups of one box, and ends.
 *
 * Started by a box's keeper as root in the host's namespaces, with a fixed environment; it is
 * not set-user-ID, and for anybody else the bus says no. It exists so that libsystemd and
 * what that loads is in no other process of loginbox.
 *
 * Uses: helper/systemd/words, libsystemd; sd-bus(3), org.freedesktop.systemd1(5).
 */
#include "helper/systemd/words.h"
#include "lib/base/text.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define MANAGER                                                                                    \
	"org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"

#define EXIT_PAM 224 /* systemd.exec(5), "Process Exit Codes" */

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The bus's own words, where it has some. */
static int fail_bus(
	struct fail *f, int r, const sd_bus_error *error, const char *step, const char *subject)
{
	if (error && error->message)
		return fail_say(f, FAIL_SYSTEM, step, subject, "%.200s", error->message);
	return fail_err(f, -r, step, subject);
}

/* "TasksMax=40", "IOReadBandwidthMax=/dev/block/8:0 1000" */
static int append_property(sd_bus_message *m, char *word)
{
	char *value = strchr(word, '='), *device = NULL;
	uint64_t number;

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	if (*value == '/') {
		device = value;
		value = strchr(value, ' ');
		if (!value)
			return -EINVAL;
		*value++ = '\0';
	}
	if (!text_to_u64(value, UINT64_MAX, &number))
		return -EINVAL;
	return device ? sd_bus_message_append(m, "(sv)", word, "a(st)", 1, device, number)
		      : sd_bus_message_append(m, "(sv)", word, "t", number);
}

static int append_properties(sd_bus_message *m, char **words)
{
	int r = 0;

	for (; *words && r >= 0; words++)
		r = append_property(m, *words);
	return r;
}

/* ---- the end of a job ------------------------------------------------------------------------ */

struct job {
	const char *path; /* NULL until systemd has told it */
	bool ended, done;
};

static int on_removed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct job *job = arg;
	const char *path, *unit, *result;
	uint32_t id;

	(void)error;
	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0 || !job->path ||
		strcmp(path, job->path) != 0)
		return 0;
	job->ended = true;
	job->done = strcmp(result, "done") == 0;
	return 0;
}

static int await(sd_bus *bus, struct job *job, uint64_t end_us, const char *unit, struct fail *f)
{
	while (!job->ended) {
		uint64_t now = now_us();
		int r = sd_bus_process(bus, NULL);
		if (r > 0)
			continue;
		if (r == 0 && now < end_us)
			r = sd_bus_wait(bus, end_us - now);
		if (r < 0 && r != -EINTR)
			return fail_err(f, -r, "start scope", unit);
		if (now >= end_us)
			return fail_err(f, ETIMEDOUT, "start scope", unit);
	}
	return job->done ? 0
			 : fail_say(f, FAIL_SYSTEM, "start scope", unit, "systemd's job failed");
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static int put_scope(sd_bus_message *m, char **words)
{
	uint64_t pid;
	int r;

	if (!text_to_u64(words[2], INT32_MAX, &pid))
		return -EINVAL;
	if ((r = sd_bus_message_append(m, "ss", words[0], "fail")) < 0 ||
		(r = sd_bus_message_open_container(m, 'a', "(sv)")) < 0 ||
		(r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)", "PIDs", "au", 1,
			 (uint32_t)pid, "Slice", "s", words[1], "Description", "s",
			 "A box of loginbox",
			 /* Joining sessions are moved in by its keeper. */
			 "Delegate", "b", 1, "CollectMode", "s", "inactive-or-failed")) < 0 ||
		(r = append_properties(m, words + 3)) < 0 ||
		(r = sd_bus_message_close_container(m)) < 0)
		return r;
	return sd_bus_message_append(m, "a(sa(sv))", 0);
}

static int start(sd_bus *bus, char **words, uint64_t end_us, struct fail *f)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL, *reply = NULL;
	struct job job = { .path = NULL };
	int r;

	/* Asked in one go; the answers to the first two are of no interest. Until the path of the
	 * job is known nothing is taken from the queue, so its end is not missed. */
	if ((r = sd_bus_match_signal_async(
		     bus, NULL, MANAGER, "JobRemoved", on_removed, NULL, &job)) < 0 ||
		(r = sd_bus_call_method_async(bus, NULL, MANAGER, "Subscribe", NULL, NULL, NULL)) <
			0 ||
		(r = sd_bus_message_new_method_call(bus, &m, MANAGER, "StartTransientUnit")) < 0 ||
		(r = put_scope(m, words)) < 0 || (r = sd_bus_call(bus, m, 0, &error, &reply)) < 0 ||
		(r = sd_bus_message_read(reply, "o", &job.path)) < 0)
		fail_bus(f, r, &error, "start scope", words[0]);
	else
		await(bus, &job, end_us, words[0], f);
	sd_bus_error_free(&error);
	sd_bus_message_unref(m);
	sd_bus_message_unref(reply);
	return fail_is_set(f) ? -1 : 0;
}

/* Its end is not waited for. */
static int stop(sd_bus *bus, const char *unit, struct fail *f)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call_method(bus, MANAGER, "StopUnit", &error, NULL, "ss", unit, "replace");

	if (r < 0)
		fail_bus(f, r, &error, "stop scope", unit);
	sd_bus_error_free(&error);
	return fail_is_set(f) ? -1 : 0;
}

static int set(sd_bus *bus, char **words, struct fail *f)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	int r;

	if ((r = sd_bus_message_new_method_call(bus, &m, MANAGER, "SetUnitProperties")) < 0 ||
		(r = sd_bus_message_append(m, "sb", words[0], 1)) < 0 ||
		(r = sd_bus_message_open_container(m, 'a', "(sv)")) < 0 ||
		(r = append_properties(m, words + 1)) < 0 ||
		(r = sd_bus_message_close_container(m)) < 0 ||
		(r = sd_bus_call(bus, m, 0, &error, NULL)) < 0)
		fail_bus(f, r, &error, "set properties of", words[0]);
	sd_bus_error_free(&error);
	sd_bus_message_unref(m);
	return fail_is_set(f) ? -1 : 0;
}

/* A unit that failed is kept by systemd, and with it all that it names. */
static int forget(sd_bus *bus, const char *unit, struct fail *f)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	char *path = NULL, *state = NULL;
	int32_t status = 0;
	int r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);

	if (r >= 0)
		r = sd_bus_get_property_string(bus, "org.freedesktop.systemd1", path,
			"org.freedesktop.systemd1.Unit", "ActiveState", &error, &state);
	if (r >= 0)
		r = sd_bus_get_property_trivial(bus, "org.freedesktop.systemd1", path,
			"org.freedesktop.systemd1.Service", "ExecMainStatus", &error, 'i', &status);
	if (r >= 0 && status == EXIT_PAM && strcmp(state, "failed") == 0)
		r = sd_bus_call_method(bus, MANAGER, "ResetFailedUnit", &error, NULL, "s", unit);
	if (r < 0)
		fail_bus(f, r, &error, "forget", unit);
	sd_bus_error_free(&error);
	free(path);
	free(state);
	return fail_is_set(f) ? -1 : 0;
}

static int ping(sd_bus *bus, struct fail *f)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	char *version = NULL;
	int r = sd_bus_get_property_string(bus, MANAGER, "Version", &error, &version);

	if (r < 0)
		fail_bus(f, r, &error, "ask", "systemd");
	sd_bus_error_free(&error);
	free(version);
	return fail_is_set(f) ? -1 : 0;
}

static int serve(int argc, char **argv, struct fail *f)
{
	uint64_t ms, end_us;
	sd_bus *bus = NULL;

	if (argc < 3 || !text_to_u64(argv[1], INT32_MAX, &ms))
		return fail_err(f, EINVAL, "understand the keeper", "");
	end_us = now_us() + ms * 1000;
	int r = sd_bus_open_system(&bus);
	if (r < 0)
		return fail_err(f, -r, "connect to the system's bus", "");
	sd_bus_set_method_call_timeout(bus, ms * 1000);
	if (argc >= 6 && strcmp(argv[2], "start") == 0)
		start(bus, argv + 3, end_us, f);
	else if (argc == 4 && strcmp(argv[2], "stop") == 0)
		stop(bus, argv[3], f);
	else if (argc >= 4 && strcmp(argv[2], "set") == 0)
		set(bus, argv + 3, f);
	else if (argc == 4 && strcmp(argv[2], "forget") == 0)
		forget(bus, argv[3], f);
	else if (argc == 3 && strcmp(argv[2], "ping") == 0)
		ping(bus, f);
	else
		fail_err(f, EINVAL, "understand the keeper", "");
	sd_bus_flush_close_unref(bus);
	return fail_is_set(f) ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct fail f = FAIL_BY("systemd");

	serve(argc, argv, &f);
	return write(STDOUT_FILENO, &f, sizeof(f)) == sizeof(f) ? 0 : 1;
}
