/* pcscd asks a reader without interrupts for a card every 400 ms, a constant of its source. Readers on USB tell by
 * themselves, so a virtual reader would look slower than any real one. Preloaded into a private pcscd, this turns exactly
 * that sleep into 5 ms. */
#include <errno.h>
#include <time.h>

int nanosleep(const struct timespec *requested, struct timespec *remaining)
{
    static const struct timespec short_poll = {.tv_sec = 0, .tv_nsec = 5000000};
    if (requested->tv_sec == 0 && requested->tv_nsec == 400000000)
        requested = &short_poll;
    int error = clock_nanosleep(CLOCK_REALTIME, 0, requested, remaining);
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}
