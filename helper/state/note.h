/*
 * note.h - what is known on disk of one box: written before the thing it names is made, by
 * rename, so that a reader sees the old note or the new one.
 *
 * Lines `key value`. Processes are named by pid and start time, under one boot id.
 *
 * Uses: helper/state/place, lib/base; proc_pid_stat(5).
 */
#ifndef HELPER_STATE_NOTE_H
#define HELPER_STATE_NOTE_H

#include "helper/state/place.h"
#include "lib/base/fail.h"

#include <stdint.h>
#include <sys/types.h>

struct note_process {
	pid_t pid;      /* 0: none */
	uint64_t start; /* clock ticks after boot, proc_pid_stat(5) field 22 */
};

struct note {
	char boot[40];
	uint64_t made; /* seconds since the epoch */
	char box[33], rule[340], user[256], hash[33];
	struct note_process keeper, init;
};

/* Fills pid and start time of a living process; -1 and errno, ESRCH when it has ended. */
int note_process_of(pid_t pid, struct note_process *out);

/* Whether that very process is still there; one that its parent has not waited for is not. */
bool note_process_lives(const struct note_process *process);

/* The boot id of this kernel into out[40]. */
int note_boot(char *out, size_t size);

int note_write(int boxdir, const struct note *note, struct fail *f);

/* Reads strictly: an unknown line, a line twice, garbage or more than 4 KiB is a failure. */
int note_read(int boxdir, struct note *out, struct fail *f);

#endif
