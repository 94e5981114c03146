/* Opened nodes by descriptor, and the conversation with the simulator behind each. */

#include "shim.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define DESCRIPTORS 4096

static struct node nodes[DESCRIPTORS];

static void after_fork(void) { /* threads that held a lock are not there any more */
    for (size_t each = 0; each < COUNT(nodes); each++)
        if (nodes[each].kind)
            pthread_mutex_init(&nodes[each].lock, NULL);
}

__attribute__((constructor)) static void begin(void) {
    pthread_atfork(NULL, NULL, after_fork);
}

static ino_t inode_of(int fd) {
    struct stat found;
    return REAL(fstat)(fd, &found) ? 0 : found.st_ino;
}

/* ---- the wire ---- */

/* A socket's address for the path, also when that is longer than an address: then through its directory's descriptor,
 * which is returned (else -1) and is to be closed after use. */
static int address_of(const char *path, struct sockaddr_un *address) {
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    address->sun_family = AF_UNIX;
    if (strlen(path) < sizeof address->sun_path) {
        strcpy(address->sun_path, path);
        return -1;
    }
    snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
    int way = REAL(open)(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%.64s", way, slash + 1);
    return way;
}

/* -1 and errno as open(2) of a device node has them: ENOENT, EACCES, ENODEV when nobody is behind it. */
static int connect_to(const char *path, int flags) {
    struct sockaddr_un address;
    char room[PATH_MAX];
    int result, code, way;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | (flags & O_CLOEXEC ? SOCK_CLOEXEC : 0), 0);
    if (fd < 0)
        return -1;
    way = address_of(below(path, room), &address);
    do
        result = connect(fd, (struct sockaddr *)&address, sizeof address);
    while (result && errno == EINTR);
    code = errno == ECONNREFUSED ? ENODEV : errno;
    if (way >= 0)
        REAL(close)(way);
    if (!result)
        return fd;
    REAL(close)(fd);
    return fail(code);
}

static ssize_t receive(int connection, struct msghdr *message) {
    for (;;) {
        ssize_t got = recvmsg(connection, message, MSG_CMSG_CLOEXEC);
        if (got >= 0 || (errno != EINTR && errno != EAGAIN))
            return got;
        if (errno == EAGAIN) /* the program made its descriptor non-blocking; an ioctl waits all the same */
            poll(&(struct pollfd){.fd = connection, .events = POLLIN}, 1, -1);
    }
}

static int exchange(int connection, struct iovec *out, size_t out_count, struct iovec *in, size_t in_count,
                    int *handed) {
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct msghdr question = {.msg_iov = out, .msg_iovlen = out_count};
    struct msghdr answer = {
        .msg_iov = in, .msg_iovlen = in_count, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t sent, got = -1;
    do
        sent = sendmsg(connection, &question, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        got = receive(connection, &answer);
    if (got < (ssize_t)sizeof(int32_t))
        return fail(ENODEV); /* the simulator has gone */
    struct cmsghdr *along = CMSG_FIRSTHDR(&answer);
    if (along)
        memcpy(handed, CMSG_DATA(along), sizeof *handed);
    errno = *(int32_t *)in[0].iov_base;
    return errno ? -1 : 0;
}

int ask(struct node *node, struct iovec *out, size_t out_count, struct iovec *in, size_t in_count) {
    int cancel, result, handed;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* lgpio cancels threads, which must not keep the lock */
    pthread_mutex_lock(&node->lock);
    result = exchange(node->connection, out, out_count, in, in_count, &handed);
    pthread_mutex_unlock(&node->lock);
    pthread_setcancelstate(cancel, NULL);
    return result;
}

/* ---- the table ---- */

static int adopt(int fd, enum kind kind, int connection, const char *path) {
    if (fd < 0 || fd >= DESCRIPTORS) {
        REAL(close)(fd);
        return fail(EMFILE);
    }
    struct node *node = &nodes[fd];
    if (node->kind)
        forget(node, fd);
    node->connection = connection;
    node->inode = inode_of(fd);
    node->connection_inode = inode_of(connection);
    node->owner = getpid();
    node->address = 0;
    memcpy(node->spi, (uint32_t[SPI_SETTINGS]){[3] = 8, [4] = 125000000}, sizeof node->spi); /* word, clock */
    snprintf(node->path, sizeof node->path, "%s", path);
    pthread_mutex_init(&node->lock, NULL);
    node->kind = kind;
    return fd;
}

int open_node(const char *path, enum kind kind, int flags) {
    int fd = connect_to(path, flags);
    return fd < 0 ? -1 : adopt(fd, kind, fd, path);
}

int ask_for_lines(struct node *chip, struct iovec *out, size_t out_count, struct iovec *in, size_t in_count) {
    int code, handed = -1, connection = connect_to(chip->path, O_CLOEXEC);
    if (connection < 0)
        return fail(ENODEV);
    if (!exchange(connection, out, out_count, in, in_count, &handed) &&
        adopt(handed, REQUEST, connection, chip->path) >= 0)
        return handed;
    code = errno;
    REAL(close)(connection);
    return fail(code);
}

void forget(struct node *node, int fd) {
    node->kind = NOTHING;
    if (node->connection != fd && inode_of(node->connection) == node->connection_inode)
        REAL(close)(node->connection);
}

struct node *find(int fd) {
    struct node *node = fd >= 0 && fd < DESCRIPTORS ? &nodes[fd] : NULL;
    if (!node || !node->kind)
        return NULL;
    if (inode_of(fd) == node->inode)
        return node;
    forget(node, fd); /* closed behind our back, by fclose() or close_range() */
    return NULL;
}

struct node *find_own(int fd) {
    int known = fd >= 0 && fd < DESCRIPTORS && nodes[fd].kind && nodes[fd].owner == getpid();
    return known ? find(fd) : NULL;
}
