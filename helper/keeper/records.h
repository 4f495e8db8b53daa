/*
 * records.h - who is logged in, for the host: utmp and wtmp with the line lb/ID.
 *
 * Inside, utmp and wtmp are the box's own, because the terminals of two boxes have the same
 * names. So the keeper tells the host of the sessions that a login program would record: of
 * sshd, login and remote ones. su, sudo, cron and their like record nothing, there as here.
 *
 * Another process may hold the lock of the host's file for as long as it likes, so a child
 * does the writing, one at a time and in order: the keeper waits for nobody.
 *
 * Uses: helper/keeper/session, libc (pututxline(3), updwtmpx(3)).
 */
#ifndef HELPER_KEEPER_RECORDS_H
#define HELPER_KEEPER_RECORDS_H

#include "helper/keeper/session.h"

#define RECORDS_MAX 32 /* what waits to be written; more are lost */

struct record {
	bool login; /* else logout */
	pid_t pid;
	char rhost[64];
};

struct records {
	const char *id, *user; /* of the box, borrowed */
	int writer; /* pidfd of the child that writes, -1: none */
	pid_t writer_pid;
	struct record waiting[RECORDS_MAX];
	size_t n;
};

/* A session came or went; what is no login is passed over. */
void records_add(struct records *records, const struct session *session, bool login);

/* Call when `writer` is readable: reaps it, and starts the next. */
void records_next(struct records *records);

/* At the end of the box: waits for the writer, and writes what still waits. */
void records_finish(struct records *records);

#endif
