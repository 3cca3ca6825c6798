/*
 * smbload - a closed-loop load generator for SMB 2 and 3 servers.
 *
 * It speaks the protocol itself (smb2wire.h), signed or encrypted, keeps a fixed number of operations in
 * flight on each connection and checks every reply, so that what it measures is the server and as little as
 * possible of a client. With -P PID it prints the processor time of that process and all of its children for
 * each operation, which is steadier than wall time on a busy machine.
 *
 *   smbload -p 445 -s share -U user%password [OPTION...] TEST...
 *     -c CONNECTIONS (2)  -q operations in flight of each (16)  -d DIALECT in hex (0311)
 *     -e encrypt  -m sign with CMAC, not GMAC  -u leave signatures out, where the server lets us
 *     -n files (2000)  -S MiB of the data file (256)  -t seconds of a timed test (5)  -b bytes of a listing's
 * reply
 *     -w MiB of memory touched before a test that writes large pieces, so that no server pays for cold memory
 *
 * Tests: create (CREATE of a new file, CLOSE), open (of one that is there, CLOSE), stat (CREATE, QUERY_INFO
 * and CLOSE as a compound), delete (CREATE with delete-on-close, CLOSE), list (QUERY_DIRECTORY of all files;
 * an operation is an entry), fill (1 MiB each into a new file, FLUSH at the end), seqwrite (the same, over
 * what is there but in the first run), seqread, randread and randwrite (4 KiB; FLUSH at the end), syncwrite
 * (4 KiB with write-through). Data is stamped page by page, and held against that when read. The last figure
 * of a line is the processor time of smbload itself for an operation.
 *
 * A message goes out from where it was built, and no more are built while the socket takes none, so that the
 * bytes are still in the processor's cache; of a large reply the rest is received by itself, so that nothing
 * has to be moved.
 */
#include "smb2wire.h"
#include "dittofs/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNS_MAX = 64,
    DEPTH_MAX = 128,
    IDS = 4096, /* message ids that are told apart */
    IN_SIZE = 4 << 20,
    IN_PIECE = 65536,  /* read ahead, when no large reply has begun */
    OUT_MOST = 131072, /* built and not sent: enough */
    OUT_MESSAGES = 512,
    OUT_SPARE = 4,
    OUT_PARTS = 64,
    PAGE = 4096,
    MEGABYTE = 1 << 20,
    FRAME_HEAD = 4,
    SAMPLES_MAX = 4 << 20,
    END_OF_LIST = (int)0x80000006
};

struct slot {
    bool busy;
    unsigned stage, replies; /* replies still to come of this stage */
    uint64_t item;
    double began;
    struct smb2wire_file file;
};
/* A message on its way; HEAD is used up when the bytes hold their frame's themselves. */
struct outgoing {
    uint8_t head[FRAME_HEAD];
    size_t head_length;
    struct writer bytes;
};
struct conn {
    struct smb2wire *wire;
    struct smb2wire_file data;
    struct slot slots[DEPTH_MAX];
    unsigned inflight;
    uint8_t of_id[IDS]; /* which slot */
    uint8_t *in;
    size_t in_length;
    struct outgoing out[OUT_MESSAGES]; /* a ring */
    size_t out_first, out_count, out_bytes;
    size_t out_at; /* of the first, sent */
    struct writer spare[OUT_SPARE];
    unsigned spares;
};

struct test {
    const char *name;
    void (*begin)(struct conn *conn, struct slot *slot);
    /* True when the operation has ended; else it has begun another request. */
    bool (*next)(struct conn *conn, struct slot *slot, const struct smb2wire_reply *reply);
    size_t io;      /* bytes of an operation */
    bool timed;     /* runs for so many seconds, over items by chance */
    bool on_files;  /* items are files, else parts of the data file */
    bool is_write;  /* FLUSH at the end */
    bool is_new;    /* into a new data file */
    bool is_single; /* one connection, one in flight */
};

static const char *host = "127.0.0.1", *share = "bench", *user = "bench", *password = "bench";
static uint16_t port = 445, dialect = 0x0311;
static unsigned conn_count = 2, depth = 16;
static uint64_t file_count = 2000, data_size = UINT64_C(256) << 20, warm_size;
static double most_seconds = 5;
static uint32_t listing_bytes = 65536;
static bool encrypts, cmac, plain;
static int server_pid;

static struct conn conns[CONNS_MAX];
static const struct test *test;
static uint64_t next_item, done, bytes_done, last_item, failures, stamp;
static double *samples;
static size_t sample_count;
static uint8_t pattern[MEGABYTE];

static _Noreturn void die(const char *text)
{
    fprintf(stderr, "smbload: %s (%s)\n", text, strerror(errno));
    exit(2);
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void failed(const char *what, const struct smb2wire_reply *reply, uint64_t item)
{
    if (failures++ < 5)
        fprintf(stderr, "smbload: %s: %s of item %llu: status %#x\n", test->name, what,
                (unsigned long long)item, reply->status);
}

/* ---- data: each page begins with its place and a number that never repeats ---- */

static void stamp_pages(uint64_t offset, size_t length)
{
    for (size_t i = 0; i < length; i += PAGE) {
        uint64_t at = offset + i, unique = stamp++ * UINT64_C(0x9E3779B97F4A7C15);

        memcpy(pattern + i, &at, sizeof at);
        memcpy(pattern + i + sizeof at, &unique, sizeof unique);
    }
}

static bool pages_are_right(const uint8_t *data, uint64_t offset, size_t length)
{
    for (size_t i = 0; i < length; i += PAGE) {
        uint64_t at = offset + i;

        if (memcmp(data + i, &at, sizeof at) != 0)
            return false;
    }
    return true;
}

/* ---- tests ---- */

static void name_of(const struct slot *slot, char name[64])
{
    snprintf(name, 64, "files\\file-%06llu", (unsigned long long)slot->item);
}

static void begin_open(struct conn *conn, struct slot *slot, uint32_t access, uint32_t disposition,
                       uint32_t options)
{
    char name[64];

    name_of(slot, name);
    smb2wire_begin_create(
        conn->wire, &(struct smb2wire_create){
                        .name = name, .access = access, .disposition = disposition, .options = options});
    slot->replies = 1;
}

static void create_begin(struct conn *conn, struct slot *slot)
{
    begin_open(conn, slot, 0x12019f, 2, 0x40);
}
static void open_begin(struct conn *conn, struct slot *slot)
{
    begin_open(conn, slot, 0x120089, 1, 0x40);
}
static void delete_begin(struct conn *conn, struct slot *slot)
{
    begin_open(conn, slot, 0x10080, 1, 0x1040);
}
/* The second stage of these. */
static bool then_close(struct conn *conn, struct slot *slot, const struct smb2wire_reply *reply)
{
    if (reply->status != 0) {
        failed(slot->stage == 0 ? "CREATE" : "CLOSE", reply, slot->item);
        return true;
    }
    if (slot->stage == 1)
        return true;
    slot->file = smb2wire_created(reply);
    slot->replies = 1;
    smb2wire_begin_close(conn->wire, slot->file);
    return false;
}

static void relate(struct smb2wire *wire)
{
    wire->request.data[wire->request_at + 16] |= WIRE2_RELATED;
}

static void stat_begin(struct conn *conn, struct slot *slot)
{
    begin_open(conn, slot, 0x80, 1, 0);
    smb2wire_begin_query_info(conn->wire, smb2wire_same_file, 1, 18, 1024);
    relate(conn->wire);
    smb2wire_begin_close(conn->wire, smb2wire_same_file);
    relate(conn->wire);
    slot->replies = 3;
}
static bool all_good(struct conn *conn, struct slot *slot, const struct smb2wire_reply *reply)
{
    (void)conn;
    if (reply->status != 0 && !(reply->command == WIRE2_QUERY_INFO && reply->status == 0x80000005))
        failed("a request", reply, slot->item);
    return true;
}

static void list_begin(struct conn *conn, struct slot *slot)
{
    smb2wire_begin_create(
        conn->wire,
        &(struct smb2wire_create){.name = "files", .access = 0x120089, .disposition = 1, .options = 1});
    slot->replies = 1;
}
static uint64_t entries_of(const struct smb2wire_reply *reply)
{
    struct reader data;
    uint64_t count = 0;

    if (!smb2wire_info_data(reply, &data))
        die("a listing is not well-formed");
    for (;;) {
        struct reader entry = data;
        uint32_t next;

        if (!reader_le32(&entry, &next))
            die("an entry is not well-formed");
        count++;
        if (next == 0)
            return count;
        if (!reader_skip(&data, next))
            die("an entry is not well-formed");
    }
}
static bool list_next(struct conn *conn, struct slot *slot, const struct smb2wire_reply *reply)
{
    slot->replies = 1;
    if (reply->command == WIRE2_CLOSE)
        return true;
    if (reply->command == WIRE2_CREATE && reply->status == 0) {
        slot->file = smb2wire_created(reply);
    } else if (reply->command == WIRE2_QUERY_DIRECTORY && reply->status == 0) {
        done += entries_of(reply);
        bytes_done += reply->length;
    } else {
        if (reply->status != (uint32_t)END_OF_LIST) {
            failed("a request", reply, slot->item);
            return true;
        }
        smb2wire_begin_close(conn->wire, slot->file);
        return false;
    }
    smb2wire_begin_query_directory(conn->wire, slot->file, 37, 0, "*", listing_bytes);
    return false;
}

static void read_begin(struct conn *conn, struct slot *slot)
{
    smb2wire_begin_read(conn->wire, conn->data, slot->item * test->io, (uint32_t)test->io);
    slot->replies = 1;
}
static bool read_next(struct conn *conn, struct slot *slot, const struct smb2wire_reply *reply)
{
    struct reader data;

    (void)conn;
    if (reply->status != 0 || !smb2wire_read_data(reply, &data) || data.left != test->io)
        failed("READ", reply, slot->item);
    else if (!pages_are_right(data.at, slot->item * test->io, data.left))
        failed("wrong data", reply, slot->item);
    bytes_done += test->io;
    return true;
}

static void write_with(struct conn *conn, struct slot *slot, uint32_t flags)
{
    stamp_pages(slot->item * test->io, test->io);
    smb2wire_begin_write(conn->wire, conn->data, slot->item * test->io, pattern, (uint32_t)test->io, flags);
    slot->replies = 1;
}
static void write_begin(struct conn *conn, struct slot *slot)
{
    write_with(conn, slot, 0);
}
static void through_begin(struct conn *conn, struct slot *slot)
{
    write_with(conn, slot, 1);
}
static bool write_next(struct conn *conn, struct slot *slot, const struct smb2wire_reply *reply)
{
    (void)conn;
    if (reply->status != 0)
        failed("WRITE", reply, slot->item);
    bytes_done += test->io;
    return true;
}

static const struct test tests[] = {
    {.name = "create", .begin = create_begin, .next = then_close, .on_files = true},
    {.name = "open", .begin = open_begin, .next = then_close, .on_files = true, .timed = true},
    {.name = "stat", .begin = stat_begin, .next = all_good, .on_files = true, .timed = true},
    {.name = "list", .begin = list_begin, .next = list_next, .is_single = true},
    {.name = "delete", .begin = delete_begin, .next = then_close, .on_files = true},
    {.name = "seqwrite", .begin = write_begin, .next = write_next, .io = MEGABYTE, .is_write = true},
    {.name = "fill",
     .begin = write_begin,
     .next = write_next,
     .io = MEGABYTE,
     .is_write = true,
     .is_new = true},
    {.name = "seqread", .begin = read_begin, .next = read_next, .io = MEGABYTE},
    {.name = "randread", .begin = read_begin, .next = read_next, .io = PAGE, .timed = true},
    {.name = "randwrite",
     .begin = write_begin,
     .next = write_next,
     .io = PAGE,
     .timed = true,
     .is_write = true},
    {.name = "syncwrite", .begin = through_begin, .next = write_next, .io = PAGE, .timed = true},
};

/* ---- the wheel ---- */

/* Puts what was begun on its way: the writer goes with it, a used one takes its place. */
static void put_out(struct conn *conn)
{
    struct outgoing *out = &conn->out[(conn->out_first + conn->out_count) % OUT_MESSAGES];
    struct smb2wire *wire = conn->wire;
    struct writer head, *from = encrypts ? &wire->sealed : &wire->request;

    if (conn->out_count == OUT_MESSAGES)
        die("too many requests");
    if (encrypts ? !smb2wire_seal(wire) : !smb2wire_sign(wire))
        die("a request can't be sealed");
    out->head_length = encrypts ? 0 : FRAME_HEAD;
    writer_init(&head, out->head, FRAME_HEAD);
    writer_be32(&head, (uint32_t)wire->request.length);
    out->bytes = *from;
    conn->out_count++;
    conn->out_bytes += out->head_length + from->length;
    if (conn->spares > 0)
        *from = conn->spare[--conn->spares];
    else
        writer_init_growing(from, 64 << 20);
    smb2wire_drop(wire);
}

/* Seals what was begun, and notes whose its replies are. */
static void submit(struct conn *conn, const struct slot *slot, uint64_t first_id)
{
    for (uint64_t id = first_id; id < conn->wire->next_message; id++)
        conn->of_id[id % IDS] = (uint8_t)(slot - conn->slots);
    put_out(conn);
}

static uint64_t choose_item(void)
{
    static uint64_t seed = 42;

    if (!test->timed)
        return next_item++;
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    next_item++;
    return (seed >> 20) % last_item;
}

static bool has_more(double end)
{
    if (test->is_single)
        return next_item == 0;
    return test->timed ? now() < end : next_item < last_item;
}

static void start_some(struct conn *conn, double end)
{
    unsigned most = test->is_single ? 1 : depth;
    uint32_t needs = test->io > 65536 ? (uint32_t)(test->io / 65536) : 3;

    for (unsigned i = 0; i < most && conn->inflight < most && has_more(end); i++) {
        struct slot *slot = &conn->slots[i];
        uint64_t first = conn->wire->next_message;

        if (slot->busy)
            continue;
        if (conn->wire->credits < needs || conn->out_bytes > OUT_MOST)
            return;
        *slot = (struct slot){.busy = true, .item = choose_item(), .began = now()};
        conn->inflight++;
        test->begin(conn, slot);
        submit(conn, slot, first);
    }
}

/* LENGTH bytes of the ring were sent. */
static void forget_out(struct conn *conn, size_t length)
{
    conn->out_bytes -= length;
    length += conn->out_at;
    while (conn->out_count > 0) {
        struct outgoing *out = &conn->out[conn->out_first];
        size_t whole = out->head_length + out->bytes.length;

        if (length < whole)
            break;
        length -= whole;
        if (conn->spares < OUT_SPARE) {
            writer_truncate(&out->bytes, 0);
            conn->spare[conn->spares++] = out->bytes;
        } else {
            writer_free(&out->bytes);
        }
        conn->out_first = (conn->out_first + 1) % OUT_MESSAGES;
        conn->out_count--;
    }
    conn->out_at = length;
}

static void add_part(struct msghdr *message, void *data, size_t length, size_t *skip)
{
    size_t passed = length < *skip ? length : *skip;

    *skip -= passed;
    if (length > passed)
        message->msg_iov[message->msg_iovlen++] =
            (struct iovec){.iov_base = (uint8_t *)data + passed, .iov_len = length - passed};
}

static void flush_out(struct conn *conn)
{
    while (conn->out_count > 0) {
        struct iovec vector[OUT_PARTS];
        struct msghdr message = {.msg_iov = vector};
        size_t skip = conn->out_at;
        ssize_t sent;

        for (size_t i = 0; i < conn->out_count && message.msg_iovlen + 2 <= OUT_PARTS; i++) {
            struct outgoing *out = &conn->out[(conn->out_first + i) % OUT_MESSAGES];

            add_part(&message, out->head, out->head_length, &skip);
            add_part(&message, out->bytes.data, out->bytes.length, &skip);
        }
        sent = sendmsg(conn->wire->fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0)
            die("send");
        forget_out(conn, (size_t)sent);
    }
}

static void take_reply(struct conn *conn, const struct smb2wire_reply *reply)
{
    struct slot *slot = &conn->slots[conn->of_id[reply->message_id % IDS]];
    uint64_t first = conn->wire->next_message;

    if (reply->status == 0x103 || reply->message_id == UINT64_MAX)
        return;
    if (!slot->busy || slot->replies == 0)
        die("a reply to nothing");
    if (--slot->replies > 0) {
        if (reply->status != 0)
            failed("a part of a compound", reply, slot->item);
        return;
    }
    if (!test->next(conn, slot, reply)) {
        slot->stage++;
        submit(conn, slot, first);
        return;
    }
    slot->busy = false;
    conn->inflight--;
    if (!test->is_single)
        done++;
    if (sample_count < SAMPLES_MAX)
        samples[sample_count++] = now() - slot->began;
}

static void take_frames(struct conn *conn)
{
    size_t at = 0;

    for (;;) {
        struct reader reader = reader_of(conn->in + at, conn->in_length - at);
        struct smb2wire_reply reply;
        uint8_t *frame = conn->in + at + FRAME_HEAD;
        size_t length, taken = 0;
        uint32_t size;
        bool was_encrypted;

        if (!reader_be32(&reader, &size) || reader.left < size)
            break;
        at += FRAME_HEAD + size;
        length = size;
        if (!smb2wire_unseal(conn->wire, &frame, &length, &was_encrypted))
            die("a message can't be decrypted");
        while (taken < length) {
            if (!smb2wire_take(conn->wire, frame, length, &taken, was_encrypted, &reply))
                die("a reply is not well-formed or badly signed");
            take_reply(conn, &reply);
        }
    }
    conn->in_length -= at;
    memmove(conn->in, conn->in + at, conn->in_length);
}

/* How much to ask for: the rest of the frame that has begun, or what there may be of small ones. */
static size_t wanted(const struct conn *conn)
{
    struct reader reader = reader_of(conn->in, conn->in_length);
    uint32_t size;

    if (!reader_be32(&reader, &size) || size <= reader.left)
        return IN_PIECE;
    if (size > IN_SIZE - FRAME_HEAD)
        die("a frame is too large");
    return size - reader.left;
}

static void receive_some(struct conn *conn)
{
    size_t length = wanted(conn);
    ssize_t got = recv(conn->wire->fd, conn->in + conn->in_length, length, MSG_DONTWAIT);

    if (got == 0 || (got < 0 && errno != EAGAIN))
        die("the server has closed the connection");
    if (got > 0) {
        conn->in_length += (size_t)got;
        take_frames(conn);
    }
}

static void turn(unsigned used, double end)
{
    struct pollfd polled[CONNS_MAX];

    for (unsigned i = 0; i < used; i++) {
        unsigned before;

        do {
            before = conns[i].inflight;
            start_some(&conns[i], end);
            flush_out(&conns[i]);
        } while (conns[i].inflight > before && conns[i].out_count == 0);
        polled[i] = (struct pollfd){.fd = conns[i].wire->fd,
                                    .events = (short)(POLLIN | (conns[i].out_count > 0 ? POLLOUT : 0))};
    }
    if (poll(polled, used, 30000) <= 0)
        die("no reply in 30 s");
    for (unsigned i = 0; i < used; i++) {
        /* What follows a short read in the socket is most often the rest of a large reply. */
        for (unsigned pieces = 0; pieces < 2 && (polled[i].revents & ~POLLOUT); pieces++)
            receive_some(&conns[i]);
    }
}

static bool is_idle(unsigned used)
{
    for (unsigned i = 0; i < used; i++) {
        if (conns[i].inflight > 0)
            return false;
    }
    return true;
}

/* ---- what it cost ---- */

/* Fields of /proc/PID/stat: the parent and the ticks of it and of its children that have ended. */
static bool read_stat(int pid, int *parent, double *ticks)
{
    char path[64], text[1024], *at;
    unsigned long used[4];
    ssize_t length;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    at = strrchr(text, ')');
    if (at == NULL || sscanf(at + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", parent,
                             &used[0], &used[1], &used[2], &used[3]) != 5)
        return false;
    *ticks = (double)(used[0] + used[1] + used[2] + used[3]);
    return true;
}

/* Seconds of PID and all below it. */
static double cpu_of(int pid)
{
    DIR *dir = opendir("/proc");
    double sum = 0, ticks;
    const struct dirent *entry;
    int parent;

    if (dir == NULL)
        return 0;
    if (read_stat(pid, &parent, &ticks))
        sum = ticks / (double)sysconf(_SC_CLK_TCK);
    while ((entry = readdir(dir)) != NULL) {
        int child = atoi(entry->d_name);

        if (child > 0 && child != pid && read_stat(child, &parent, &ticks) && parent == pid)
            sum += cpu_of(child);
    }
    closedir(dir);
    return sum;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double sample_at(double part)
{
    return sample_count == 0 ? 0 : samples[(size_t)((double)(sample_count - 1) * part)] * 1e6;
}

static void flush_data(void)
{
    for (unsigned i = 0; i < conn_count; i++) {
        smb2wire_begin_flush(conns[i].wire, conns[i].data);
        if (smb2wire_call(conns[i].wire, NULL) != 0)
            die("FLUSH");
    }
}

/* A virtual machine may have to get free memory from its host first. */
static void warm_memory(void)
{
    uint8_t *at = mmap(NULL, warm_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        die("-w");
    for (size_t i = 0; i < warm_size; i += PAGE)
        at[i] = 1;
    munmap(at, warm_size);
}

static double own_cpu(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void open_data(void)
{
    for (unsigned i = 0; i < conn_count; i++) {
        if (smb2wire_create(conns[i].wire, &(struct smb2wire_create){.name = "data", .access = 0x12019f},
                            &conns[i].data) != 0)
            die("the data file can't be opened");
    }
}

/* The data file as a new one. What a server does later about the old one is not to fall into the test. */
static void renew_data(void)
{
    struct smb2wire_create deletion = {
        .name = "data", .access = 0x10080, .disposition = 1, .options = 0x1040};
    struct smb2wire_file old;

    for (unsigned i = 0; i < conn_count; i++) {
        if (smb2wire_close_file(conns[i].wire, conns[i].data) != 0)
            die("CLOSE");
    }
    if (smb2wire_create(conns[0].wire, &deletion, &old) != 0 || smb2wire_close_file(conns[0].wire, old) != 0)
        die("the data file can't be deleted");
    sleep(3);
    open_data();
}

static void run(void)
{
    unsigned used = test->is_single ? 1 : conn_count;
    double began, cpu, own, seconds;
    char cost[32] = "-";

    if (test->is_new)
        renew_data();
    if (warm_size > 0 && test->io == MEGABYTE && test->is_write)
        warm_memory();
    began = now();
    cpu = server_pid != 0 ? cpu_of(server_pid) : 0;
    own = own_cpu();

    next_item = done = bytes_done = 0;
    sample_count = 0;
    last_item = test->on_files ? file_count : test->io > 0 ? data_size / test->io : 1;
    while (has_more(began + most_seconds) || !is_idle(used))
        turn(used, began + most_seconds);
    if (test->is_write)
        flush_data();
    seconds = now() - began;
    own = (own_cpu() - own) / (double)(done > 0 ? done : 1) * 1e6;
    if (server_pid != 0)
        snprintf(cost, sizeof cost, "%.2f", (cpu_of(server_pid) - cpu) / (double)(done > 0 ? done : 1) * 1e6);
    qsort(samples, sample_count, sizeof *samples, compare);
    printf("%-10s %x%s %9llu ops %7.2f s %10.0f ops/s %8.1f MB/s  p50 %7.0f p99 %7.0f max %8.0f us  cpu/op "
           "%s us  own %.2f us\n",
           test->name, dialect,
           encrypts ? "e"
           : plain  ? "u"
                    : "s",
           (unsigned long long)done, seconds, (double)done / seconds, (double)bytes_done / seconds / 1e6,
           sample_at(0.5), sample_at(0.99), sample_at(1), cost, own);
    fflush(stdout);
}

/* ---- the beginning ---- */

static void connect_one(struct conn *conn)
{
    struct smb2wire *wire = smb2wire_open(host, port, NULL, NULL);

    if (wire == NULL)
        die("connect");
    conn->wire = wire;
    wire->dialect = dialect;
    wire->asks = 64;
    wire->cipher = encrypts ? SMB2_CIPHER_AES128_GCM : SMB2_CIPHER_NONE;
    wire->signing = cmac ? SMB2_SIGNING_AES_CMAC : SMB2_SIGNING_AES_GMAC;
    wire->guid[0] = (uint8_t)(conn - conns);
    wire->guid[1] = (uint8_t)getpid();
    if (smb2wire_negotiate(wire) != 0)
        die("NEGOTIATE");
    if (encrypts && wire->cipher == SMB2_CIPHER_NONE)
        die("the server does not encrypt");
    if (smb2wire_logon(wire, user, password) != 0)
        die("the logon is refused");
    wire->encrypts = encrypts;
    if (smb2wire_tree_connect(wire, share) != 0)
        die("no such share");
    wire->unsigned_ = plain;      /* TREE_CONNECT is signed always */
    for (int i = 0; i < 8; i++) { /* credits */
        smb2wire_begin(wire, WIRE2_ECHO);
        writer_le32(&wire->request, 4);
        if (smb2wire_call(wire, NULL) != 0)
            die("ECHO");
    }
    conn->in = malloc(IN_SIZE);
    if (conn->in == NULL)
        die("out of memory");
}

static void open_files(void)
{
    struct smb2wire_file dir;
    uint32_t status =
        smb2wire_create(conns[0].wire, &(struct smb2wire_create){.name = "files", .options = 1}, &dir);

    if (status != 0 || smb2wire_close_file(conns[0].wire, dir) != 0)
        die("the folder can't be made");
    open_data();
}

static void choose(const char *name)
{
    test = NULL;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (strcmp(tests[i].name, name) == 0)
            test = &tests[i];
    }
    if (test == NULL) {
        fprintf(stderr, "smbload: there is no test \"%s\"\n", name);
        exit(2);
    }
}

static void take_user(char *text)
{
    char *mark = strchr(text, '%');

    if (mark == NULL)
        die("-U wants user%password");
    *mark = '\0';
    user = text;
    password = mark + 1;
}

static void options(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "h:p:s:U:c:q:d:emun:S:t:b:w:P:")) != -1) {
        switch (option) {
        case 'h':
            host = optarg;
            break;
        case 'p':
            port = (uint16_t)atoi(optarg);
            break;
        case 's':
            share = optarg;
            break;
        case 'U':
            take_user(optarg);
            break;
        case 'c':
            conn_count = (unsigned)atoi(optarg);
            break;
        case 'q':
            depth = (unsigned)atoi(optarg);
            break;
        case 'd':
            dialect = (uint16_t)strtoul(optarg, NULL, 16);
            break;
        case 'e':
            encrypts = true;
            break;
        case 'm':
            cmac = true;
            break;
        case 'u':
            plain = true;
            break;
        case 'n':
            file_count = strtoull(optarg, NULL, 10);
            break;
        case 'S':
            data_size = strtoull(optarg, NULL, 10) << 20;
            break;
        case 't':
            most_seconds = atof(optarg);
            break;
        case 'b':
            listing_bytes = (uint32_t)atoi(optarg);
            break;
        case 'w':
            warm_size = strtoull(optarg, NULL, 10) << 20;
            break;
        case 'P':
            server_pid = atoi(optarg);
            break;
        default:
            fprintf(stderr, "smbload: see the head of smbload.c\n");
            exit(2);
        }
    }
    if (conn_count == 0 || conn_count > CONNS_MAX || depth == 0 || depth > DEPTH_MAX || optind == argc)
        die("bad options, or no test");
}

int main(int argc, char **argv)
{
    options(argc, argv);
    samples = malloc(SAMPLES_MAX * sizeof *samples);
    if (samples == NULL)
        die("out of memory");
    stamp = (uint64_t)(now() * 1e9); /* no page is written twice, not in another run either */
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 2654435761u >> 13);
    for (unsigned i = 0; i < conn_count; i++)
        connect_one(&conns[i]);
    open_files();
    for (unsigned i = 0; i < conn_count; i++) /* blocking calls wait for themselves */
        fcntl(conns[i].wire->fd, F_SETFL, O_NONBLOCK);
    for (int i = optind; i < argc; i++) {
        choose(argv[i]);
        run();
    }
    return failures > 0;
}
