/* A disk that fails: stands between petrel and the C library, for the journal's files only.
 *
 * FAULTY_AT=N     the N-th write, sync or truncation from the start of the process on
 * FAULTY_HOW=kill  kills the process before it, `torn` after half of what was to be written
 * FAULTY_EIO=F    where the file F is there, the next sync removes it and fails
 * FAULTY_FULL=F   as long as the file F is there, no write has room
 * FAULTY_SLOW=F   as long as the file F is there, a sync takes half a second
 * FAULTY_NOTES=F  each N that killed is written there
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long operations;

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

static int is_journal(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "/journal.db") != NULL;
}

static int there(const char *variable) {
    const char *path = getenv(variable);
    return path && access(path, F_OK) == 0;
}

static void end(long number) {
    const char *path = getenv("FAULTY_NOTES");
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", number);
    int notes = path ? open(path, O_WRONLY | O_APPEND | O_CREAT, 0644) : -1;
    ssize_t (*real)(int, const void *, size_t) = next("write");
    if (notes >= 0 && real(notes, text, length) < 0) abort();
    kill(getpid(), SIGKILL);
    pause();
}

/* The number of the operation that is to be the last; else nothing. */
static long last(int fd) {
    const char *at = getenv("FAULTY_AT");
    if (!at || !is_journal(fd)) return 0;
    long number = atomic_fetch_add(&operations, 1) + 1;
    return number == atol(at) ? number : 0;
}

static int is_torn(void) {
    const char *how = getenv("FAULTY_HOW");
    return how && strcmp(how, "torn") == 0;
}

static ssize_t written(const char *name, int fd, const void *data, size_t size, off64_t place) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = next(name);
    long number = last(fd);
    if (number && is_torn() && real(fd, data, size / 2, place) < 0) abort();
    if (number) end(number);
    if (is_journal(fd) && there("FAULTY_FULL")) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, data, size, place);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t place) {
    return written("pwrite", fd, data, size, place);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place) {
    return written("pwrite64", fd, data, size, place);
}

static int synced(const char *name, int fd) {
    int (*real)(int) = next(name);
    long number = last(fd);
    if (number) end(number);
    if (is_journal(fd) && there("FAULTY_EIO")) {
        unlink(getenv("FAULTY_EIO"));
        errno = EIO;
        return -1;
    }
    if (is_journal(fd) && there("FAULTY_SLOW")) usleep(500000);
    return real(fd);
}

int fsync(int fd) { return synced("fsync", fd); }

int fdatasync(int fd) { return synced("fdatasync", fd); }

int ftruncate(int fd, off_t size) {
    int (*real)(int, off_t) = next("ftruncate");
    long number = last(fd);
    if (number) end(number);
    return real(fd, size);
}

int ftruncate64(int fd, off64_t size) {
    int (*real)(int, off64_t) = next("ftruncate64");
    long number = last(fd);
    if (number) end(number);
    return real(fd, size);
}
