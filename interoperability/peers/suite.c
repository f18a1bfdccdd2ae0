/*
 * Runs one test of libfreefare's own suite, by the name of its function, on the card in the reader, and prints how
 * many assertions held.
 */
#include <dlfcn.h>

#include "cutter.h"

unsigned long cut_assertions;

int
main (int argc, char *argv[])
{
    if (argc != 2) {
	fprintf (stderr, "usage: %s TEST\n", argv[0]);
	return 2;
    }
    void (*test) (void);
    *(void **) &test = dlsym (RTLD_DEFAULT, argv[1]);
    if (!test) {
	fprintf (stderr, "%s has no test %s\n", argv[0], argv[1]);
	return 2;
    }
    cut_setup ();
    test ();
    cut_teardown ();
    printf ("%lu\n", cut_assertions);
    return 0;
}
