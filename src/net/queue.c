/*
 * queue.c - what a connection has still to write.
 *
 * Big parts are referred to and written from where they lie; small ones, and those that are not counted,
 * are copied one behind the other into a tail buffer, so that the replies of a whole turn often are one
 * piece. Invariants: every part holds a reference to its buffer; `bytes` is the sum of the parts' lengths;
 * an empty queue holds no buffer, so that an idle connection costs none; `all_bytes` is the sum over all
 * queues, which the loop's thread alone touches.
 */
#include "net/net_priv.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    COPY_MAX = 512,           /* a smaller part is cheaper to copy than to refer to */
    TAIL_BYTES = 16384,       /* of a tail buffer */
    WRITE_PARTS = 128,        /* of one sendmsg */
    QUEUE_PARTS_MAX = 1 << 20 /* an owner that does not look at net_conn_is_congested is stopped here */
};

static size_t all_bytes;

size_t net__queues_bytes(void)
{
    return all_bytes;
}

void net__queue_init(struct net_queue *queue)
{
    queue->parts = queue->few;
    queue->first = queue->count = queue->bytes = queue->tail_used = 0;
    queue->capacity = NET_PARTS_INLINE;
    queue->tail = NULL;
}

void net__queue_free(struct net_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        buf_unref(&queue->parts[queue->first + i].buf);
    buf_unref(&queue->tail);
    all_bytes -= queue->bytes;
    if (queue->parts != queue->few)
        free(queue->parts);
    net__queue_init(queue);
}

/* Makes room for one more part behind the last one. */
static bool make_room(struct net_queue *queue)
{
    struct bufpart *parts;
    size_t capacity = queue->capacity * 2;

    if (queue->first + queue->count < queue->capacity)
        return true;
    if (queue->first >= queue->capacity / 2) {
        memmove(queue->parts, queue->parts + queue->first, queue->count * sizeof *parts);
        queue->first = 0;
        return true;
    }
    if (capacity > QUEUE_PARTS_MAX)
        return false;
    parts = malloc(capacity * sizeof *parts);
    if (parts == NULL)
        return false;
    memcpy(parts, queue->parts + queue->first, queue->count * sizeof *parts);
    if (queue->parts != queue->few)
        free(queue->parts);
    queue->parts = parts;
    queue->first = 0;
    queue->capacity = capacity;
    return true;
}

static bool add_reference(struct net_queue *queue, struct buf *buf, const uint8_t *data, size_t length)
{
    if (!make_room(queue))
        return false;
    queue->parts[queue->first + queue->count++] =
        (struct bufpart){.buf = buf_ref(buf), .data = data, .length = length};
    queue->bytes += length;
    all_bytes += length;
    return true;
}

static bool add_copy(struct net_queue *queue, const uint8_t *data, size_t length)
{
    struct bufpart *last = queue->count > 0 ? &queue->parts[queue->first + queue->count - 1] : NULL;
    uint8_t *to;

    if (queue->tail == NULL || queue->tail->capacity - queue->tail_used < length) {
        struct buf *tail = buf_new(length > TAIL_BYTES ? length : TAIL_BYTES);

        if (tail == NULL)
            return false;
        buf_unref(&queue->tail);
        queue->tail = tail;
        queue->tail_used = 0;
    }
    to = queue->tail->data + queue->tail_used;
    if (last != NULL && last->buf == queue->tail && last->data + last->length == to) {
        last->length += length;
        queue->bytes += length;
        all_bytes += length;
    } else if (!add_reference(queue, queue->tail, to, length)) {
        return false;
    }
    memcpy(to, data, length);
    queue->tail_used += length;
    return true;
}

bool net__queue_add(struct net_queue *queue, const struct bufpart *parts, int count)
{
    for (int i = 0; i < count; i++) {
        const struct bufpart *part = &parts[i];

        if (part->length == 0)
            continue;
        if (part->buf == NULL || part->length <= COPY_MAX) {
            if (!add_copy(queue, part->data, part->length))
                return false;
        } else if (!add_reference(queue, part->buf, part->data, part->length)) {
            return false;
        }
    }
    return true;
}

static void forget(struct net_queue *queue, size_t length)
{
    queue->bytes -= length;
    all_bytes -= length;
    while (queue->count > 0) {
        struct bufpart *part = &queue->parts[queue->first];

        if (part->length > length) {
            part->data += length;
            part->length -= length;
            return;
        }
        length -= part->length;
        buf_unref(&part->buf);
        queue->first++;
        queue->count--;
    }
    queue->first = 0;
    buf_unref(&queue->tail);
}

enum err net__queue_write(struct net_queue *queue, int fd, size_t *written_r)
{
    size_t written = 0;

    while (queue->count > 0) {
        struct iovec vector[WRITE_PARTS];
        struct msghdr message = {.msg_iov = vector};
        size_t asked = 0;
        ssize_t sent;

        while (message.msg_iovlen < WRITE_PARTS && message.msg_iovlen < queue->count) {
            const struct bufpart *part = &queue->parts[queue->first + message.msg_iovlen];

            vector[message.msg_iovlen].iov_base = (void *)part->data;
            vector[message.msg_iovlen++].iov_len = part->length;
            asked += part->length;
        }
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK)
                break;
            return net__error(errno);
        }
        forget(queue, (size_t)sent);
        written += (size_t)sent;
        if ((size_t)sent < asked)
            break;
    }
    *written_r = written;
    return ERR_OK;
}
