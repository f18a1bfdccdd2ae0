/*
 * Stands in for the header of the test framework Cutter, which Debian does not have: what the suite of libfreefare
 * uses of it, and no more. A failed assertion ends the program; `suite.c` counts those that hold.
 */
#ifndef CUTTER_H
#define CUTTER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern unsigned long cut_assertions;

void cut_setup (void);
void cut_teardown (void);

#define cut_message(...) __VA_ARGS__

#define cut_end(status, word, ...) \
    do { \
	fprintf (stderr, "%s:%d: %s: ", __FILE__, __LINE__, word); \
	fprintf (stderr, "" __VA_ARGS__); \
	fprintf (stderr, "\n"); \
	exit (status); \
    } while (0)

#define cut_fail(...) cut_end (1, "failed", __VA_ARGS__)
#define cut_omit(...) cut_end (77, "omitted", __VA_ARGS__)

#define cut_check(holds, ...) \
    do { \
	if (!(holds)) \
	    cut_fail (__VA_ARGS__); \
	cut_assertions++; \
    } while (0)

#define cut_assert(value, ...) cut_check (value, __VA_ARGS__)
#define cut_assert_null(value, ...) cut_check (NULL == (value), __VA_ARGS__)
#define cut_assert_not_null(value, ...) cut_check (NULL != (value), __VA_ARGS__)
#define cut_assert_equal_int(a, b, ...) cut_check ((long long)(a) == (long long)(b), __VA_ARGS__)
#define cut_assert_not_equal_int(a, b, ...) cut_check ((long long)(a) != (long long)(b), __VA_ARGS__)
#define cut_assert_equal_string(a, b, ...) cut_check (!strcmp ((a), (b)), __VA_ARGS__)
#define cut_assert_equal_memory(a, n, b, m, ...) \
    cut_check ((size_t)(n) == (size_t)(m) && !memcmp ((a), (b), (n)), __VA_ARGS__)
#define cut_assert_not_equal_memory(a, n, b, m, ...) \
    cut_check (!((size_t)(n) == (size_t)(m) && !memcmp ((a), (b), (n))), __VA_ARGS__)

#endif
