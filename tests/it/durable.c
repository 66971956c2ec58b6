/* A disk that forgets what was not synced.
 *
 * Preloaded into the server, it copies a file into DURABLE_TO each time that file is synced. What lies there when the
 * process is killed is what a power cut would have left: nothing that was only written or unlinked. Only files below DURABLE_FROM
 * count. The copy is renamed into place, so a kill in the middle of it leaves the last whole one. */

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t copying = PTHREAD_MUTEX_INITIALIZER;

static void copy(int from, int to) {
    static char buffer[1 << 16];
    off_t at = 0;
    ssize_t got;
    while ((got = pread(from, buffer, sizeof buffer, at)) > 0) {
        if (write(to, buffer, got) != got) abort();
        at += got;
    }
}

/* A deletion lasts once the folder is synced. */
static void forget_deleted(const char *path, const char *folder) {
    char name[2 * PATH_MAX];
    struct dirent *entry;
    DIR *kept = opendir(folder);
    if (!kept) abort();
    while ((entry = readdir(kept))) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (access(name, F_OK) == 0) continue;
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        unlink(name);
    }
    closedir(kept);
}

/* Reads through the descriptor itself: closing another one of the same file would drop SQLite's locks on it. */
static void keep(int fd) {
    const char *below = getenv("DURABLE_FROM"), *folder = getenv("DURABLE_TO");
    char link[64], path[PATH_MAX], whole[2 * PATH_MAX], part[2 * PATH_MAX + 8];
    struct stat status;
    if (!below || !folder || fstat(fd, &status) != 0) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    if (strncmp(path, below, strlen(below)) != 0) return;
    if (S_ISDIR(status.st_mode)) {
        forget_deleted(path, folder);
        return;
    }
    if (!S_ISREG(status.st_mode)) return;
    snprintf(whole, sizeof whole, "%s/%s", folder, strrchr(path, '/') + 1);
    snprintf(part, sizeof part, "%s.part", whole);

    pthread_mutex_lock(&copying);
    int to = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0) abort();
    copy(fd, to);
    close(to);
    if (rename(part, whole) != 0) abort();
    pthread_mutex_unlock(&copying);
}

int fsync(int fd) {
    int failed = syscall(SYS_fsync, fd);
    if (!failed) keep(fd);
    return failed;
}

int fdatasync(int fd) {
    int failed = syscall(SYS_fdatasync, fd);
    if (!failed) keep(fd);
    return failed;
}
