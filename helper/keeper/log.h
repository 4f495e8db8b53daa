/*
 * log.h - the box's /dev/log: what is written inside is handed to the host's syslog, at a
 * bounded rate and in the sender's name, and survives a restart of it.
 *
 * Uses: lib/base; syslog(3), unix(7).
 */
#ifndef HELPER_KEEPER_LOG_H
#define HELPER_KEEPER_LOG_H

#include <stdint.h>

struct log {
	int inside; /* the bound socket of the box, or -1 */
	int host;   /* connected to the host's /dev/log, or -1 */
	int64_t filled_ms;
	unsigned tokens, dropped;
};

/* Starts with the box's socket, which becomes the log's own. */
void log_start(struct log *log, int inside);

/* Forwards what waits, some at a time; never blocks. Call when `inside` is readable. */
void log_pump(struct log *log);

/* Forwards what still waits and closes both sockets. */
void log_stop(struct log *log);

#endif
