/* Tier T1: device nodes of the simulated machine for programs that know nothing of it, C libraries included.
 *
 * Preloaded (LD_PRELOAD) with KG_SHIM_ROOT naming the simulator's root, it answers just below the C library's calls:
 *  - shim.c   paths below the root, and the calls that are replaced;
 *  - nodes.c  opened nodes, and the conversation with the simulator: a connection per open(), a packet per ioctl();
 *  - ioctls.c what is in the packets. They are those of the in-process tier (`fake_hw.inject`).
 *
 * A process's death closes its connections, which is how the simulator learns of it. A granted GPIO line request has a
 * connection of its own; the descriptor the program gets is the socket on which the simulator sends edge events.
 * Without KG_SHIM_ROOT every call passes through. Not answered: duplicates of a descriptor, descriptors that came
 * through exec(), two processes that use one forked descriptor at the same time.
 */

#ifndef SHIM_H
#define SHIM_H

#define _GNU_SOURCE
#undef _FORTIFY_SOURCE /* it would turn some of the functions defined here into inline ones */

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
/* The C library's own function of that name. */
#define REAL(name)                                               \
    ({                                                           \
        static __typeof__(name) *own;                            \
        if (!own)                                                \
            own = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);   \
        own;                                                     \
    })

#pragma GCC visibility push(hidden) /* no program's `find` is to be mistaken for ours */

enum kind { NOTHING, FILES, I2C, SPI, CHIP, REQUEST };

#define SPI_SETTINGS 5
struct node {
    enum kind kind;
    int connection; /* the descriptor itself, but for a line request */
    ino_t inode, connection_inode; /* whether the numbers still mean the same sockets */
    pid_t owner;
    char path[32]; /* as the program named it */
    uint16_t address; /* I2C_SLAVE */
    uint32_t spi[SPI_SETTINGS]; /* by the number of the ioctl that reads it */
    pthread_mutex_t lock; /* one question at a time */
};

/* The path itself, or in `room` (PATH_MAX) where it leads below the root. */
const char *below(const char *path, char *room);

/* Open a node at a path that is none on this machine: a descriptor, or -1 and errno. */
int open_node(const char *path, enum kind kind, int flags);
/* The node behind a descriptor, NULL when it is none of ours (any more). */
struct node *find(int fd);
/* The node behind a descriptor that this process opened, not its parent. */
struct node *find_own(int fd);
/* Let go of a node whose descriptor is closed by the caller. */
void forget(struct node *node, int fd);
/* One packet; its answer, an errno (int32_t) and what follows, is scattered over `in`. 0, or -1 and errno. */
int ask(struct node *node, struct iovec *out, size_t out_count, struct iovec *in, size_t in_count);
/* The same on a new connection to a chip; the descriptor that comes with the answer, which is a node from then on. */
int ask_for_lines(struct node *chip, struct iovec *out, size_t out_count, struct iovec *in, size_t in_count);

int node_ioctl(struct node *node, unsigned long request, void *argument);
ssize_t node_read(struct node *node, void *buffer, size_t size);
ssize_t node_write(struct node *node, const void *buffer, size_t size);
void release_lines(struct node *node);

static inline int fail(int code) {
    errno = code;
    return -1;
}

#pragma GCC visibility pop
#endif
