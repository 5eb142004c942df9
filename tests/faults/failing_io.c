/* Makes one system call of a process fail, for test_failing_io.py, or all of them slow, for test_stops.py. Loaded by
 * LD_PRELOAD; without its variables it does nothing.
 *
 *   FAILING_IO_BELOW   an absolute folder: calls count that concern a file in it, or the folder itself
 *   FAILING_IO_CALLS   which calls count: "open", "write", "sync", "rename", "close", "mkdir", "flock", or several by
 *                      commas. open and close: of files opened for writing; write: also truncation
 *   FAILING_IO_AT      the number of the call that fails, from 1, counted in each process by itself; 0: none; "every"
 *   FAILING_IO_ERRNO   with what, as a number
 *   FAILING_IO_SLOW    how many milliseconds each call that counts waits before it begins
 *   FAILING_IO_LOG     a file outside, to which each call that counts adds a line "<process> <call> <path>"
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_below(const char* path) {
    const char* folder = getenv("FAILING_IO_BELOW");
    const size_t length = folder ? strlen(folder) : 0;
    return length > 0 && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* Past the calls below, so that it counts itself as little as it can fail. */
static void note(const char* call, const char* path) {
    const char* log = getenv("FAILING_IO_LOG");
    if (!log) return;
    char line[PATH_MAX + 64];
    const int length = snprintf(line, sizeof line, "%d %s %s\n", (int)getpid(), call, path);
    const int file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (file < 0 || syscall(SYS_write, file, line, length) != length) abort();
    syscall(SYS_close, file);
}

/* Whether this call, which concerns an absolute path, is the one to fail. */
static int fails(const char* call, const char* path) {
    static int count = 0;
    const char *calls = getenv("FAILING_IO_CALLS"), *at = getenv("FAILING_IO_AT"), *error = getenv("FAILING_IO_ERRNO");
    const char* slow = getenv("FAILING_IO_SLOW");
    if (!calls || !strstr(calls, call) || !is_below(path)) return 0;
    note(call, path);
    if (slow) usleep(1000 * atoi(slow));
    if (!at || !error) return 0;
    if (__atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST) != atoi(at) && strcmp(at, "every") != 0) return 0;
    errno = atoi(error);
    return 1;
}

static int fails_at(const char* call, int folder, const char* path) {
    char base[PATH_MAX] = "", whole[2 * PATH_MAX + 2];
    if (path[0] != '/') {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        const ssize_t n = readlink(folder == AT_FDCWD ? "/proc/self/cwd" : link, base, sizeof base - 1);
        base[n < 0 ? 0 : n] = '\0';
    }
    snprintf(whole, sizeof whole, path[0] == '/' ? "%s%s" : "%s/%s", base, path);
    return fails(call, whole);
}

static int is_for_writing(int flags) {
    return (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
}

/* Of a descriptor that is open for writing or, for sync and flock, of any. */
static int fails_open(const char* call, int file) {
    const int saved = errno, flags = fcntl(file, F_GETFL);
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const int of_any = strcmp(call, "sync") == 0 || strcmp(call, "flock") == 0;
    const ssize_t n = flags < 0 || !(of_any || is_for_writing(flags)) ? -1 : readlink(link, path, sizeof path - 1);
    errno = saved;
    if (n < 0) return 0;
    path[n] = '\0';
    return fails(call, path);
}

#define OPEN(name, parameters, folder, ...)                                    \
    int name parameters {                                                      \
        mode_t mode = 0;                                                       \
        if (flags & (O_CREAT | O_TMPFILE)) {                                   \
            va_list more;                                                      \
            va_start(more, flags);                                             \
            mode = va_arg(more, mode_t);                                       \
            va_end(more);                                                      \
        }                                                                      \
        if (is_for_writing(flags) && fails_at("open", folder, path)) return -1; \
        return REAL(name)(__VA_ARGS__, flags, mode);                           \
    }
OPEN(open, (const char* path, int flags, ...), AT_FDCWD, path)
OPEN(open64, (const char* path, int flags, ...), AT_FDCWD, path)
OPEN(openat, (int folder, const char* path, int flags, ...), folder, folder, path)
OPEN(openat64, (int folder, const char* path, int flags, ...), folder, folder, path)

FILE* fopen(const char* path, const char* mode) {
    if (strpbrk(mode, "wa+") && fails_at("open", AT_FDCWD, path)) return NULL;
    return REAL(fopen)(path, mode);
}
FILE* fopen64(const char* path, const char* mode) {
    if (strpbrk(mode, "wa+") && fails_at("open", AT_FDCWD, path)) return NULL;
    return REAL(fopen64)(path, mode);
}

ssize_t write(int file, const void* data, size_t size) {
    return fails_open("write", file) ? -1 : REAL(write)(file, data, size);
}
ssize_t writev(int file, const struct iovec* parts, int n) {
    return fails_open("write", file) ? -1 : REAL(writev)(file, parts, n);
}
ssize_t pwrite(int file, const void* data, size_t size, off_t at) {
    return fails_open("write", file) ? -1 : REAL(pwrite)(file, data, size, at);
}
ssize_t pwrite64(int file, const void* data, size_t size, off64_t at) {
    return fails_open("write", file) ? -1 : REAL(pwrite64)(file, data, size, at);
}
int ftruncate(int file, off_t size) {
    return fails_open("write", file) ? -1 : REAL(ftruncate)(file, size);
}
int ftruncate64(int file, off64_t size) {
    return fails_open("write", file) ? -1 : REAL(ftruncate64)(file, size);
}
int fsync(int file) {
    return fails_open("sync", file) ? -1 : REAL(fsync)(file);
}
int fdatasync(int file) {
    return fails_open("sync", file) ? -1 : REAL(fdatasync)(file);
}
int flock(int file, int operation) {
    return fails_open("flock", file) ? -1 : REAL(flock)(file, operation);
}
int rename(const char* from, const char* to) {
    return fails_at("rename", AT_FDCWD, to) ? -1 : REAL(rename)(from, to);
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) {
    return fails_at("rename", to_folder, to) ? -1 : REAL(renameat)(from_folder, from, to_folder, to);
}
int mkdir(const char* path, mode_t mode) {
    return fails_at("mkdir", AT_FDCWD, path) ? -1 : REAL(mkdir)(path, mode);
}

/* It closes all the same, as close(2) does. */
int close(int file) {
    const int failed = fails_open("close", file), error = errno;
    const int result = REAL(close)(file);
    if (!failed) return result;
    errno = error;
    return -1;
}
