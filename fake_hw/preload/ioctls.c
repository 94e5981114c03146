/* What a program asks of an opened node, as packets and back. */

#include "shim.h"

#include <linux/gpio.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <linux/spi/spidev.h>
#include <string.h>
#include <sys/ioctl.h>

/* ---- I2C: for each message address, flags and length, then what is written ---- */

/* What bcm2835's adapter can: plain I2C, and SMBus by emulation but for block reads whose length the part tells. */
static const unsigned long FUNCTIONS = I2C_FUNC_I2C | (I2C_FUNC_SMBUS_EMUL & ~I2C_FUNC_SMBUS_READ_BLOCK_DATA);
#define I2C_DEV_MAX 8192 /* of a plain read() or write() */

static int transfer(struct node *node, struct i2c_msg *messages, size_t count) {
    struct { uint16_t address, flags, length; } heads[I2C_RDWR_IOCTL_MAX_MSGS];
    struct iovec out[2 * I2C_RDWR_IOCTL_MAX_MSGS], in[1 + I2C_RDWR_IOCTL_MAX_MSGS];
    size_t written = 0, read = 0;
    int32_t code = 0;
    if (!count || count > I2C_RDWR_IOCTL_MAX_MSGS)
        return fail(EINVAL);
    in[read++] = (struct iovec){&code, sizeof code};
    for (size_t each = 0; each < count; each++) {
        struct i2c_msg *message = &messages[each];
        struct iovec data = {message->buf, message->len};
        heads[each].address = message->addr;
        heads[each].flags = message->flags;
        heads[each].length = message->len;
        out[written++] = (struct iovec){&heads[each], sizeof heads[each]};
        if (message->flags & I2C_M_RD)
            in[read++] = data;
        else
            out[written++] = data;
    }
    return ask(node, out, written, in, read) ? -1 : (int)count;
}

/* How many bytes of data the transfer carries besides the command; -1 and errno when the adapter can't do it. */
static int data_length(const struct i2c_smbus_ioctl_data *argument) {
    switch (argument->size) {
    case I2C_SMBUS_QUICK:
        return 0;
    case I2C_SMBUS_BYTE:
        return argument->read_write == I2C_SMBUS_READ; /* what is written is the command */
    case I2C_SMBUS_BYTE_DATA:
        return 1;
    case I2C_SMBUS_WORD_DATA:
    case I2C_SMBUS_PROC_CALL:
        return 2;
    case I2C_SMBUS_I2C_BLOCK_BROKEN:
    case I2C_SMBUS_I2C_BLOCK_DATA:
        return argument->data->block[0] <= I2C_SMBUS_BLOCK_MAX ? argument->data->block[0] : fail(EINVAL);
    }
    return fail(EOPNOTSUPP);
}

/* SMBus as the kernel's emulation makes it out of plain messages. */
static int smbus(struct node *node, struct i2c_smbus_ioctl_data *argument) {
    uint8_t buffer[1 + I2C_SMBUS_BLOCK_MAX] = {argument->command};
    int length = data_length(argument), reads = argument->read_write == I2C_SMBUS_READ;
    if (length < 0)
        return -1;
    int is_block = argument->size >= I2C_SMBUS_BLOCK_DATA; /* the first byte of a block is its length */
    uint8_t *data = length ? argument->data->block + is_block : NULL;
    struct i2c_msg both[] = {{node->address, 0, 1, buffer}, {node->address, I2C_M_RD, length, data}};
    if (argument->size == I2C_SMBUS_QUICK)
        both[0].len = 0;
    if (length && (!reads || argument->size == I2C_SMBUS_PROC_CALL)) {
        memcpy(buffer + 1, data, length);
        both[0].len += length;
    }
    if (!reads && argument->size != I2C_SMBUS_PROC_CALL)
        return transfer(node, both, 1) < 0 ? -1 : 0;
    int alone = argument->size == I2C_SMBUS_BYTE || argument->size == I2C_SMBUS_QUICK; /* no command before the read */
    return transfer(node, both + alone, 2 - alone) < 0 ? -1 : 0;
}

static int i2c_ioctl(struct node *node, unsigned long request, void *argument) {
    struct i2c_rdwr_ioctl_data *combined = argument;
    switch (request) {
    case I2C_RDWR:
        return transfer(node, combined->msgs, combined->nmsgs);
    case I2C_SMBUS:
        return smbus(node, argument);
    case I2C_SLAVE:
    case I2C_SLAVE_FORCE:
        node->address = (uint16_t)(uintptr_t)argument;
        return 0;
    case I2C_FUNCS:
        memcpy(argument, &FUNCTIONS, sizeof FUNCTIONS);
        return 0;
    case I2C_TENBIT:
    case I2C_PEC:
    case I2C_RETRIES:
    case I2C_TIMEOUT:
        return 0;
    }
    return fail(ENOTTY);
}

/* ---- SPI: for each transfer its length, clock, mode, word and whether it deselects, then what is written ---- */

#define SPI_MOST (((1 << _IOC_SIZEBITS) - 1) / sizeof(struct spi_ioc_transfer))
#define SPIDEV_BUFFER 4096

static ssize_t spi_message(struct node *node, const struct spi_ioc_transfer *transfers, size_t count) {
    static const uint8_t zeros[SPIDEV_BUFFER];
    uint8_t unwanted[SPIDEV_BUFFER];
    struct { uint32_t length, speed_hz; uint8_t mode, bits; uint16_t deselects; } heads[SPI_MOST];
    struct iovec out[2 * SPI_MOST], in[1 + SPI_MOST];
    int32_t code = 0;
    size_t total = 0;
    in[0] = (struct iovec){&code, sizeof code};
    for (size_t each = 0; each < count; each++) {
        const struct spi_ioc_transfer *one = &transfers[each];
        if ((total += one->len) > SPIDEV_BUFFER)
            return fail(EMSGSIZE);
        heads[each].length = one->len;
        heads[each].speed_hz = one->speed_hz ? one->speed_hz : node->spi[_IOC_NR(SPI_IOC_RD_MAX_SPEED_HZ)];
        heads[each].mode = node->spi[_IOC_NR(SPI_IOC_RD_MODE)];
        heads[each].bits = one->bits_per_word ? one->bits_per_word : node->spi[_IOC_NR(SPI_IOC_RD_BITS_PER_WORD)];
        heads[each].deselects = one->cs_change & 1;
        out[2 * each] = (struct iovec){&heads[each], sizeof heads[each]};
        out[2 * each + 1] = (struct iovec){one->tx_buf ? (void *)(uintptr_t)one->tx_buf : (void *)zeros, one->len};
        in[1 + each] = (struct iovec){one->rx_buf ? (void *)(uintptr_t)one->rx_buf : unwanted, one->len};
    }
    return count && ask(node, out, 2 * count, in, 1 + count) ? -1 : (ssize_t)total;
}

/* The kernel keeps the settings per chip select, here each descriptor has its own. */
static int spi_ioctl(struct node *node, uint32_t request, void *argument) {
    size_t number = _IOC_NR(request), size = _IOC_SIZE(request);
    if (number == _IOC_NR(SPI_IOC_MESSAGE(1)) && _IOC_DIR(request) == _IOC_WRITE)
        return spi_message(node, argument, size / sizeof(struct spi_ioc_transfer));
    if (number == _IOC_NR(SPI_IOC_RD_MODE32))
        number = _IOC_NR(SPI_IOC_RD_MODE);
    if (!number || number >= COUNT(node->spi) || size > sizeof *node->spi)
        return fail(ENOTTY);
    uint32_t set = 0;
    if (_IOC_DIR(request) == _IOC_READ)
        memcpy(argument, &node->spi[number], size); /* both ends are little-endian */
    else
        node->spi[number] = *(uint32_t *)memcpy(&set, argument, size);
    return 0;
}

/* ---- GPIO: the request's code, then its structure ---- */

static int gpio_ioctl(struct node *node, uint32_t request, void *argument) {
    int32_t code = 0;
    struct iovec out[] = {{&request, sizeof request}, {argument, _IOC_SIZE(request)}};
    struct iovec in[] = {{&code, sizeof code}, {argument, _IOC_SIZE(request)}};
    if (node->kind != CHIP || request != GPIO_V2_GET_LINE_IOCTL)
        return ask(node, out, COUNT(out), in, COUNT(in));
    struct gpio_v2_line_request *lines = argument;
    lines->fd = ask_for_lines(node, out, COUNT(out), in, COUNT(in));
    return lines->fd < 0 ? -1 : 0;
}

/* No ioctl: the program's close() is announced, so that its lines are free when it returns. */
void release_lines(struct node *node) {
    uint32_t close = 0;
    int32_t code;
    struct iovec out = {&close, sizeof close}, in = {&code, sizeof code};
    ask(node, &out, 1, &in, 1); /* fails when the chip is gone, and so are its requests */
}

/* ---- by kind ---- */

int node_ioctl(struct node *node, unsigned long request, void *argument) {
    if (node->kind == I2C)
        return i2c_ioctl(node, request, argument);
    if (node->kind == SPI && _IOC_TYPE(request) == SPI_IOC_MAGIC)
        return spi_ioctl(node, (uint32_t)request, argument);
    if (node->kind >= CHIP && _IOC_TYPE(request) == 0xB4)
        return gpio_ioctl(node, (uint32_t)request, argument);
    return fail(ENOTTY);
}

static ssize_t plain(struct node *node, void *sent, void *received, size_t size) {
    if (node->kind == SPI) {
        struct spi_ioc_transfer transfer = {
            .tx_buf = (uintptr_t)sent, .rx_buf = (uintptr_t)received, .len = size <= SPIDEV_BUFFER ? size : UINT32_MAX};
        return spi_message(node, &transfer, 1);
    }
    uint16_t length = size < I2C_DEV_MAX ? size : I2C_DEV_MAX;
    struct i2c_msg message = {node->address, sent ? 0 : I2C_M_RD, length, sent ? sent : received};
    return transfer(node, &message, 1) < 0 ? -1 : length;
}

ssize_t node_read(struct node *node, void *buffer, size_t size) {
    return plain(node, NULL, buffer, size);
}

ssize_t node_write(struct node *node, const void *buffer, size_t size) {
    return plain(node, (void *)buffer, NULL, size);
}
