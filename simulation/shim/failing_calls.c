/* Makes one call to the file system fail, or kills the process there, always at the same place.
 *
 * Preloaded (LD_PRELOAD) into a program as built. Every open for writing, write, pwrite, fsync, fdatasync, ftruncate
 * and rename of a file below a folder is counted, from 1; reads, sockets and files elsewhere are not. By environment
 * variables:
 *
 *   FAILING_CALLS_FOLDER  the folder, an absolute path without symbolic links
 *   FAILING_CALLS_NTH     which call
 *   FAILING_CALLS_HOW     EIO     that call fails, the next ones do not
 *                         ENOSPC  that call and every later one fails: a full disk stays full
 *                         EROFS   the same: a disk that turned read-only stays so
 *                         KILL    SIGKILL before that call is made
 *   FAILING_CALLS_ARMED   a file, where it is set: calls are counted only once it exists
 *
 * What happens is told on standard error, once, as `failing_calls: call 17, write of /folder/books.sqlite-wal: EIO`.
 * Without a folder nothing is counted. Linux with glibc.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* The functions that are replaced have two names each where files may be large; both are one. */
#undef open
#undef open64
#undef openat
#undef openat64
#undef pwrite
#undef pwrite64
#undef ftruncate
#undef ftruncate64

static const char *folder;
static const char *armed; /* NULL: from the start */
static long nth;
static int error_number; /* 0 kills */
static const char *how;
static atomic_long calls;

__attribute__((constructor)) static void read_environment(void) {
    const char *number = getenv("FAILING_CALLS_NTH");
    how = getenv("FAILING_CALLS_HOW");
    if (number == NULL || how == NULL) return;
    nth = atol(number);
    if (strcmp(how, "EIO") == 0) error_number = EIO;
    if (strcmp(how, "ENOSPC") == 0) error_number = ENOSPC;
    if (strcmp(how, "EROFS") == 0) error_number = EROFS;
    armed = getenv("FAILING_CALLS_ARMED");
    folder = getenv("FAILING_CALLS_FOLDER");
}

static int is_below_folder(const char *path) {
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && path[length] == '/';
}

/* Counts a call if it concerns the folder; whether it is to fail, with errno set. */
static int fails(const char *function, const char *path) {
    if (folder == NULL || !is_below_folder(path)) return 0;
    if (armed != NULL && access(armed, F_OK) != 0) return 0;
    long call = atomic_fetch_add(&calls, 1) + 1;
    int stays = error_number == ENOSPC || error_number == EROFS;
    if (call < nth || (call > nth && !stays)) return 0;
    if (call == nth) {
        dprintf(STDERR_FILENO, "failing_calls: call %ld, %s of %s: %s\n", call, function, path, how);
        if (error_number == 0) raise(SIGKILL);
    }
    errno = error_number;
    return 1;
}

static int fails_descriptor(const char *function, int descriptor) {
    if (folder == NULL) return 0;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return fails(function, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_to_write(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0; }

#define MODE(flags, mode)                                                                                              \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                               \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        MODE(flags, mode)                                                                                              \
        if (is_to_write(flags) && fails("open", path)) return -1;                                                      \
        return REAL(name)(path, flags, mode);                                                                          \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
    int name(int directory, const char *path, int flags, ...) {                                                        \
        MODE(flags, mode)                                                                                              \
        if (is_to_write(flags) && fails("open", path)) return -1;                                                      \
        return REAL(name)(directory, path, flags, mode);                                                               \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int descriptor, const void *bytes, size_t count) {
    if (fails_descriptor("write", descriptor)) return -1;
    return REAL(write)(descriptor, bytes, count);
}

#define PWRITE(name, offset_type)                                                                                      \
    ssize_t name(int descriptor, const void *bytes, size_t count, offset_type offset) {                                \
        if (fails_descriptor("pwrite", descriptor)) return -1;                                                         \
        return REAL(name)(descriptor, bytes, count, offset);                                                           \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define SYNC(name)                                                                                                     \
    int name(int descriptor) {                                                                                         \
        if (fails_descriptor(#name, descriptor)) return -1;                                                            \
        return REAL(name)(descriptor);                                                                                 \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name, length_type)                                                                                    \
    int name(int descriptor, length_type length) {                                                                     \
        if (fails_descriptor("ftruncate", descriptor)) return -1;                                                      \
        return REAL(name)(descriptor, length);                                                                         \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int rename(const char *from, const char *to) {
    if (fails("rename", from)) return -1;
    return REAL(rename)(from, to);
}
