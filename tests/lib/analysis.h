/*
 * analysis.h - what static analysis cannot see across files; tests/lint alone includes it.
 *
 * Every way to record a failure answers -1. Without this the analyzers follow callers that
 * go on after a failure as if nothing had happened.
 */
#ifndef TESTS_LIB_ANALYSIS_H
#define TESTS_LIB_ANALYSIS_H

#include "lib/base/fail.h"

#define fail_sys(...) (fail_sys(__VA_ARGS__), -1)
#define fail_err(...) (fail_err(__VA_ARGS__), -1)
#define fail_say(...) (fail_say(__VA_ARGS__), -1)

#endif
