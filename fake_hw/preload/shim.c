/* Paths below the simulator's root, and the C library's calls that are replaced. */

#include "shim.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* What lies below the root. major: as the kernel numbers such nodes (GPIO's is dynamic, from 254 downwards). */
static const struct place {
    const char *prefix;
    enum kind kind;
    unsigned major;
} PLACES[] = {
    {"/dev/i2c-", I2C, 89},       {"/dev/gpiochip", CHIP, 254},   {"/dev/spidev", SPI, 153},
    {"/dev/serial", FILES, 0},    {"/sys/bus/w1", FILES, 0},      {"/sys/bus/iio", FILES, 0},
    {"/sys/class/pwm", FILES, 0}, {"/sys/class/hwmon", FILES, 0}, {"/proc/device-tree", FILES, 0},
};
static const struct place NOWHERE;
static char root[PATH_MAX];

__attribute__((constructor)) static void begin(void) {
    const char *given = getenv("KG_SHIM_ROOT");
    if (given && *given && !REAL(realpath)(given, root))
        snprintf(root, sizeof root, "%s", given); /* not there (yet) */
}

static const struct place *place_of(const char *path) {
    for (size_t each = 0; *root && path && each < COUNT(PLACES); each++)
        if (!strncmp(path, PLACES[each].prefix, strlen(PLACES[each].prefix)))
            return &PLACES[each];
    return &NOWHERE;
}

const char *below(const char *path, char *room) {
    if (place_of(path)->kind == NOTHING)
        return path;
    return snprintf(room, PATH_MAX, "%s%s", root, path) < PATH_MAX ? room : ""; /* "": never the real one */
}

/* After an open(). A socket refuses it with ENXIO, and one at a node's place is the simulator's. A file that the kernel
 * would not let be read is a link to nowhere, `errno:110`. */
static int opened(int fd, const char *path, int flags) {
    enum kind kind = place_of(path)->kind;
    char room[PATH_MAX], target[16] = "";
    int code = errno, told;
    if (fd >= 0 || kind == NOTHING)
        return fd;
    if (code == ENXIO && kind >= I2C)
        return open_node(path, kind, flags);
    if (code == ENOENT && REAL(readlink)(below(path, room), target, sizeof target - 1) > 0 &&
        sscanf(target, "errno:%d", &told) == 1)
        code = told;
    return fail(code);
}

/* After a stat(): a node is a character device, its minor the number in its name. */
static int disguised(int result, const char *path, void *answer) {
    const struct place *place = place_of(path);
    struct stat *found = answer;
    if (!result && place->kind >= I2C && S_ISSOCK(found->st_mode)) {
        found->st_mode = S_IFCHR | (found->st_mode & 07777);
        found->st_rdev = makedev(place->major, atoi(path + strlen(place->prefix)));
    }
    return result;
}

static int disguised_x(int result, const char *path, struct statx *found) {
    struct stat same = {.st_mode = found->stx_mode, .st_rdev = makedev(found->stx_rdev_major, found->stx_rdev_minor)};
    disguised(result, path, &same);
    found->stx_mode = same.st_mode;
    found->stx_rdev_major = major(same.st_rdev);
    found->stx_rdev_minor = minor(same.st_rdev);
    return result;
}

static mode_t mode_of(int flags, va_list rest) {
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

/* ---- calls with a `path`: `there` is where it leads, `real` the C library's own ---- */

#define REPLACE(type, name, parameters, result)                    \
    type name parameters {                                         \
        char room[PATH_MAX];                                       \
        const char *there = below(path, room);                     \
        __typeof__(name) *real = REAL(name);                       \
        return result;                                             \
    }
#define REPLACE_OPEN(name, parameters, arguments)                  \
    int name parameters {                                          \
        char room[PATH_MAX];                                       \
        const char *there = below(path, room);                     \
        va_list rest;                                              \
        va_start(rest, flags);                                     \
        mode_t mode = mode_of(flags, rest);                        \
        va_end(rest);                                              \
        return opened(REAL(name) arguments, path, flags);          \
    }
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "disguised() takes both: a 64-bit machine is needed");

REPLACE_OPEN(open, (const char *path, int flags, ...), (there, flags, mode))
REPLACE_OPEN(open64, (const char *path, int flags, ...), (there, flags, mode))
REPLACE_OPEN(openat, (int at, const char *path, int flags, ...), (at, there, flags, mode))
REPLACE_OPEN(openat64, (int at, const char *path, int flags, ...), (at, there, flags, mode))
/* What programs call that were built with _FORTIFY_SOURCE. */
REPLACE(int, __open_2, (const char *path, int flags), opened(real(there, flags), path, flags))
REPLACE(int, __open64_2, (const char *path, int flags), opened(real(there, flags), path, flags))
REPLACE(int, __openat_2, (int at, const char *path, int flags), opened(real(at, there, flags), path, flags))
REPLACE(int, __openat64_2, (int at, const char *path, int flags), opened(real(at, there, flags), path, flags))

REPLACE(FILE *, fopen, (const char *path, const char *mode), real(there, mode))
REPLACE(FILE *, fopen64, (const char *path, const char *mode), real(there, mode))
REPLACE(DIR *, opendir, (const char *path), real(there))
REPLACE(int, access, (const char *path, int mode), real(there, mode))
REPLACE(int, faccessat, (int at, const char *path, int mode, int flags), real(at, there, mode, flags))
REPLACE(ssize_t, readlink, (const char *path, char *target, size_t size), real(there, target, size))
REPLACE(ssize_t, readlinkat, (int at, const char *path, char *target, size_t size), real(at, there, target, size))

REPLACE(int, stat, (const char *path, struct stat *it), disguised(real(there, it), path, it))
REPLACE(int, stat64, (const char *path, struct stat64 *it), disguised(real(there, it), path, it))
REPLACE(int, lstat, (const char *path, struct stat *it), disguised(real(there, it), path, it))
REPLACE(int, lstat64, (const char *path, struct stat64 *it), disguised(real(there, it), path, it))
REPLACE(int, fstatat, (int at, const char *path, struct stat *it, int flags),
        disguised(real(at, there, it, flags), path, it))
REPLACE(int, fstatat64, (int at, const char *path, struct stat64 *it, int flags),
        disguised(real(at, there, it, flags), path, it))
/* What programs call that were built for a C library before 2.33. */
REPLACE(int, __xstat, (int abi, const char *path, struct stat *it), disguised(real(abi, there, it), path, it))
REPLACE(int, __xstat64, (int abi, const char *path, struct stat64 *it), disguised(real(abi, there, it), path, it))
REPLACE(int, __lxstat, (int abi, const char *path, struct stat *it), disguised(real(abi, there, it), path, it))
REPLACE(int, __lxstat64, (int abi, const char *path, struct stat64 *it), disguised(real(abi, there, it), path, it))

REPLACE(int, statx, (int at, const char *path, int flags, unsigned mask, struct statx *it),
        disguised_x(real(at, there, flags, mask, it), path, it))

/* libgpiod makes sure that a character device is a chip by what sysfs says of its number. */
char *realpath(const char *path, char *resolved) {
    static const char subsystem[] = "/sys/bus/gpio";
    char room[PATH_MAX], *found;
    size_t length = strlen(root);
    int chip, end = 0;
    if (length && path && sscanf(path, "/sys/dev/char/254:%d/subsystem%n", &chip, &end) == 1 && end && !path[end])
        return resolved ? strcpy(resolved, subsystem) : strdup(subsystem);
    found = REAL(realpath)(below(path, room), resolved);
    if (found && length && !strncmp(found, root, length) && place_of(found + length)->kind)
        memmove(found, found + length, strlen(found + length) + 1);
    return found;
}

/* ---- calls with a descriptor ---- */

int fstat(int fd, struct stat *it) {
    struct node *node = find(fd);
    return disguised(REAL(fstat)(fd, it), node && node->kind != REQUEST ? node->path : NULL, it);
}

int fstat64(int fd, struct stat64 *it) {
    return fstat(fd, (struct stat *)it);
}

int ioctl(int fd, unsigned long request, ...) {
    struct node *node = find(fd);
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    int of_every_file = request == FIONBIO || request == FIOASYNC || request == FIOCLEX || request == FIONCLEX;
    if (!node || of_every_file)
        return REAL(ioctl)(fd, request, argument);
    return node_ioctl(node, request, argument);
}

ssize_t read(int fd, void *buffer, size_t size) {
    struct node *node = find(fd);
    if (node && node->kind < CHIP)
        return node_read(node, buffer, size);
    ssize_t got = REAL(read)(fd, buffer, size);
    return node && !got && size ? fail(ENODEV) : got; /* the end of a request whose chip has gone */
}

ssize_t write(int fd, const void *buffer, size_t size) {
    struct node *node = find(fd);
    return node && node->kind < CHIP ? node_write(node, buffer, size) : REAL(write)(fd, buffer, size);
}

int close(int fd) {
    struct node *node = find_own(fd); /* a child that closes its copy must not release its parent's lines */
    if (node && node->kind == REQUEST)
        release_lines(node);
    if (node)
        forget(node, fd);
    return REAL(close)(fd);
}
