/*
 * words.h - what is said to the program that asks systemd, and what it answers.
 *
 *	loginbox-systemd MS ping
 *	loginbox-systemd MS start SCOPE SLICE PID [PROPERTY=VALUE]...
 *	loginbox-systemd MS stop SCOPE
 *	loginbox-systemd MS set UNIT [PROPERTY=VALUE]...
 *	loginbox-systemd MS forget SERVICE
 *
 * MS is how many milliseconds there are. The answer on its standard output is one struct fail,
 * empty when all is done. A VALUE is a decimal number; of rates, a block device and a number
 * with a blank between. A SERVICE is forgotten where it failed because PAM refused it; any other
 * state of it stays.
 *
 * Uses: lib/base/fail.
 */
#ifndef HELPER_SYSTEMD_WORDS_H
#define HELPER_SYSTEMD_WORDS_H

#include "lib/base/fail.h"

#define SYSTEMD_PROGRAM "loginbox-systemd"
#define SYSTEMD_WORDS_MOST 64

#endif
