/* A layer between a program and its disk (LD_PRELOAD): everything still goes to the files, and a journal says what was
 * done to those below DISK_ROOT, in which order, and what of it was synced. From that, `mod.rs` makes what a power cut
 * would have left.
 *
 * A call is made and noted under one lock, but for syncs: they take long, and what others write meanwhile is not
 * promised by them. Shared memory (SQLite's -shm) is not noted: it means nothing after a restart. A call that would
 * change files unnoticed ends the program. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK };

/* As `journal.rs` reads it; the path and the data follow. */
struct record {
    uint64_t at;        /* CLOCK_REALTIME in ns, when it was done */
    uint64_t number;    /* where a WRITE begins; the size that a TRUNCATE leaves; how many records came before a SYNC began */
    uint64_t data_size; /* what a WRITE wrote; a RENAME's new path */
    uint32_t path_size;
    uint32_t kind;
};

#define FILES 4096
static char *paths[FILES]; /* of the open files below DISK_ROOT */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;
static uint64_t records;
static const char *root;

static void give_up(const char *why) {
    dprintf(2, "disk layer: %s\n", why);
    abort();
}

__attribute__((constructor)) static void start(void) {
    const char *file = getenv("DISK_JOURNAL");
    root = getenv("DISK_ROOT");
    if (!root || !file) give_up("expected DISK_ROOT and DISK_JOURNAL");
    journal = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0) give_up("DISK_JOURNAL can't be opened");
}

static int is_ours(const char *path) {
    size_t size = root ? strlen(root) : 0, all = strlen(path);
    int below = size && !strncmp(path, root, size) && (path[size] == '/' || !path[size]);
    return below && (all < 4 || strcmp(path + all - 4, "-shm"));
}

static const char *path_of(int fd) {
    return fd >= 0 && fd < FILES ? paths[fd] : NULL;
}

static void note(enum kind kind, const char *path, uint64_t number, const void *data, uint64_t size) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct record record = {(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, number, size, (uint32_t)strlen(path), kind};
    struct iovec parts[] = {{&record, sizeof record}, {(void *)path, record.path_size}, {(void *)data, size}};
    if (syscall(SYS_writev, journal, parts, 3) != (long)(sizeof record + record.path_size + size)) give_up("the journal is full");
    records++;
}

static int opened(int at, const char *path, int flags, mode_t mode) {
    if (at != AT_FDCWD || !is_ours(path)) return (int)syscall(SYS_openat, at, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat stat;
    int was_there = !lstat(path, &stat);
    int fd = (int)syscall(SYS_openat, at, path, flags, mode), why = errno;
    if (fd >= FILES) give_up("too many files");
    if (fd >= 0) {
        paths[fd] = strdup(path);
        if (!was_there) note(CREATE, path, 0, NULL, 0);
        else if (flags & O_TRUNC) note(TRUNCATE, path, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = why;
    return fd;
}

#define MODE(flags) mode_t mode = 0; if ((flags) & O_CREAT) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags | O_LARGEFILE, mode); }

int close(int fd) {
    pthread_mutex_lock(&lock);
    if (path_of(fd)) {
        free(paths[fd]);
        paths[fd] = NULL;
    }
    /* Under the lock: another thread may get the number at once. */
    int done = (int)syscall(SYS_close, fd), why = errno;
    pthread_mutex_unlock(&lock);
    errno = why;
    return done;
}

static ssize_t written(int fd, const void *data, size_t size, int64_t offset) {
    if (!path_of(fd)) return offset < 0 ? syscall(SYS_write, fd, data, size) : syscall(SYS_pwrite64, fd, data, size, offset);
    pthread_mutex_lock(&lock);
    ssize_t done = offset < 0 ? syscall(SYS_write, fd, data, size) : syscall(SYS_pwrite64, fd, data, size, offset);
    int why = errno;
    if (done > 0) {
        /* With O_APPEND too, the place is behind what was written. */
        uint64_t from = offset < 0 ? (uint64_t)(lseek(fd, 0, SEEK_CUR) - done) : (uint64_t)offset;
        note(WRITE, paths[fd], from, data, (uint64_t)done);
    }
    pthread_mutex_unlock(&lock);
    errno = why;
    return done;
}

ssize_t write(int fd, const void *data, size_t size) { return written(fd, data, size, -1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return written(fd, data, size, offset); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) { return written(fd, data, size, offset); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (path_of(fd)) give_up("writev is not noted");
    return syscall(SYS_writev, fd, parts, count);
}

static int truncated(int fd, off64_t size) {
    if (!path_of(fd)) return (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_ftruncate, fd, size), why = errno;
    if (!done) note(TRUNCATE, paths[fd], (uint64_t)size, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = why;
    return done;
}

int ftruncate(int fd, off_t size) { return truncated(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncated(fd, size); }

static int allocated(int fd) {
    if (path_of(fd)) give_up("fallocate is not noted");
    return ENOTSUP;
}

int posix_fallocate(int fd, off_t offset, off_t size) { (void)offset, (void)size; return allocated(fd); }
int posix_fallocate64(int fd, off64_t offset, off64_t size) { (void)offset, (void)size; return allocated(fd); }

static int synced(int fd, long call) {
    pthread_mutex_lock(&lock);
    char *path = path_of(fd) ? strdup(paths[fd]) : NULL;
    uint64_t before = records;
    pthread_mutex_unlock(&lock);
    int done = (int)syscall(call, fd), why = errno;
    if (path && !done) {
        pthread_mutex_lock(&lock);
        note(SYNC, path, before, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    free(path);
    errno = why;
    return done;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int rename(const char *from, const char *to) {
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to), why = errno;
    if (!done && is_ours(from)) note(RENAME, from, 0, to, strlen(to));
    pthread_mutex_unlock(&lock);
    errno = why;
    return done;
}

int unlink(const char *path) {
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0), why = errno;
    if (!done && is_ours(path)) note(UNLINK, path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = why;
    return done;
}

int link(const char *from, const char *to) {
    if (is_ours(to)) give_up("link is not noted");
    return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}
