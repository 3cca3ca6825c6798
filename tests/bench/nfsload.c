/*
 * nfsload - a closed-loop load generator for NFSv3 and NFSv4.1 servers.
 *
 * It speaks the wire protocol itself over plain TCP with AUTH_SYS, keeps a fixed number of
 * requests in flight on each connection, and checks every reply's status, so that what it
 * measures is the server and as little as possible of a client. With -P PID it also prints the
 * server's CPU time for each operation, which is steadier than wall time on a busy machine.
 *
 *   cc -O2 -o nfsload nfsload.c
 *   ./nfsload -p 2049 -m 2049 -e /export -v 3 -c 4 -q 16 [-P SERVER_PID] create randread ...
 *
 * One line per test: name, version, operations, seconds, ops/s, MB/s, p50/p99/max latency in
 * microseconds, server CPU microseconds per operation ('-' without -P).
 * With -w MIB that much memory is touched and given back before each test that writes: a virtual machine
 * may have to get free memory from its host first (3 ms a MiB were seen), which says nothing of a server.
 * Test "verify" reads the file back and checks every page's content and place. Written pages are all
 * different.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAXBUF = 1100 * 1024, FHMAX = 128, MAXSLOT = 256, MAXCONN = 256 };

struct fh {
    uint32_t len;
    uint8_t data[FHMAX];
};
struct slot {
    double sent;
    uint32_t seq;
    uint64_t item;
    int busy;
};
struct conn {
    int fd;
    int inflight;
    uint8_t *in;
    size_t inlen;
    uint8_t *out;
    size_t outoff, outlen;
    struct slot slot[MAXSLOT];
    uint8_t session[16];
    uint64_t clientid;
    uint8_t stateid[16]; /* of the data file: each connection is a client of its own */
};
struct x {
    uint8_t *p, *end;
}; /* XDR cursor */

static const char *host = "127.0.0.1", *export_path = "/export";
static int port = 2049, mountport = 0, vers = 3, nconn = 1, depth = 16, server_pid = 0;
static long nfiles = 5000, iosize = 1 << 20;
static uint64_t fsize = 256ull << 20, warm_bytes;
static double maxsecs = 10;
static struct conn conns[MAXCONN];
static struct fh root, dir, file;
static char dirname_[64];
static int failed;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}
static void die(const char *m)
{
    fprintf(stderr, "nfsload: %s (%s)\n", m, strerror(errno));
    exit(2);
}

static void u32(struct x *x, uint32_t v)
{
    v = htonl(v);
    memcpy(x->p, &v, 4);
    x->p += 4;
}
static void u64(struct x *x, uint64_t v)
{
    u32(x, v >> 32);
    u32(x, (uint32_t)v);
}
static void fixed(struct x *x, const void *d, size_t n)
{
    memcpy(x->p, d, n);
    memset(x->p + n, 0, -n & 3);
    x->p += (n + 3) & ~3u;
}
static void opaque(struct x *x, const void *d, size_t n)
{
    u32(x, n);
    fixed(x, d, n);
}
static void str(struct x *x, const char *s)
{
    opaque(x, s, strlen(s));
}
/* File data: a pattern, and in front of every 4 KiB page its file offset and a number that never
 * repeats, so that no two pages are equal and a server that deduplicates gains nothing from it. */
static uint8_t *pattern;
static uint64_t stamp; /* begins with the time, so that it repeats in no later run either */
static void put_data(struct x *x, uint64_t offset, size_t n)
{
    u32(x, n);
    memcpy(x->p, pattern, n);
    for (size_t i = 0; i + 16 <= n; i += 4096) {
        uint64_t at = offset + i, unique = stamp++ * 0x9E3779B97F4A7C15ull;
        memcpy(x->p + i, &at, 8);
        memcpy(x->p + i + 8, &unique, 8);
    }
    x->p += n;
}
static int data_is_right(const uint8_t *p, uint64_t offset, size_t n)
{
    for (size_t i = 0; i + 16 <= n; i += 4096) {
        uint64_t at = offset + i;
        size_t len = n - i < 4096 ? n - i : 4096;
        if (memcmp(p + i, &at, 8) || memcmp(p + i + 16, pattern + i + 16, len - 16))
            return 0;
    }
    return 1;
}
static uint32_t g32(struct x *x)
{
    uint32_t v;
    if (x->p + 4 > x->end)
        die("short reply");
    memcpy(&v, x->p, 4);
    x->p += 4;
    return ntohl(v);
}
static uint64_t g64(struct x *x)
{
    uint64_t h = g32(x);
    return h << 32 | g32(x);
}
static uint8_t *gfix(struct x *x, size_t n)
{
    uint8_t *p = x->p;
    if (x->p + n > x->end)
        die("short reply");
    x->p += (n + 3) & ~3u;
    return p;
}
static void gfh(struct x *x, struct fh *f)
{
    f->len = g32(x);
    if (f->len > FHMAX)
        die("file handle too long");
    memcpy(f->data, gfix(x, f->len), f->len);
}

static void rpc_header(struct x *x, uint32_t xid, uint32_t prog, uint32_t v, uint32_t proc)
{
    u32(x, 0);
    u32(x, xid);
    u32(x, 0);
    u32(x, 2);
    u32(x, prog);
    u32(x, v);
    u32(x, proc);
    uint8_t cred[64];
    struct x c = {cred, cred + 64};
    u32(&c, 1);
    str(&c, "nfsload");
    u32(&c, 0);
    u32(&c, 0);
    u32(&c, 0);
    u32(x, 1);
    opaque(x, cred, c.p - cred);
    u32(x, 0);
    u32(x, 0);
}
static void rpc_finish(uint8_t *start, struct x *x)
{
    uint32_t n = htonl(0x80000000u | (uint32_t)(x->p - start - 4));
    memcpy(start, &n, 4);
}
static void rpc_reply(struct x *x)
{ /* leaves x at the procedure's results */
    g32(x);
    if (g32(x) != 1)
        die("not a reply");
    if (g32(x) != 0)
        die("RPC denied");
    g32(x);
    gfix(x, g32(x));
    if (g32(x) != 0)
        die("RPC not accepted");
}
static int tcp(int prt)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(prt)};
    inet_pton(AF_INET, host, &a.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (int p = 1000; p > 600 && getuid() == 0; p--) {
        struct sockaddr_in l = {.sin_family = AF_INET, .sin_port = htons(p)};
        if (!bind(fd, (void *)&l, sizeof l))
            break;
    }
    if (connect(fd, (void *)&a, sizeof a))
        die("connect");
    return fd;
}
static void xfer(int fd, void *b, size_t n, int out)
{
    while (n) {
        ssize_t r = out ? write(fd, b, n) : read(fd, b, n);
        if (r <= 0)
            die(out ? "write" : "connection closed");
        b = (char *)b + r;
        n -= r;
    }
}
static uint8_t sbuf[MAXBUF], rbuf[MAXBUF];
static struct x call(int fd, struct x *q)
{ /* one blocking call */
    rpc_finish(sbuf, q);
    xfer(fd, sbuf, q->p - sbuf, 1);
    uint32_t m, n = 0, last;
    do {
        xfer(fd, &m, 4, 0);
        m = ntohl(m);
        last = m >> 31;
        m &= 0x7fffffff;
        if (n + m > MAXBUF)
            die("reply too long");
        xfer(fd, rbuf + n, m, 0);
        n += m;
    } while (!last);
    struct x r = {rbuf, rbuf + n};
    rpc_reply(&r);
    return r;
}
static struct x begin(uint32_t prog, uint32_t v, uint32_t proc)
{
    struct x q = {sbuf, sbuf + MAXBUF};
    rpc_header(&q, 1, prog, v, proc);
    return q;
}

/* ---- NFSv4.1 pieces ---- */
static void seqop(struct x *x, struct conn *c, int s)
{
    u32(x, 53);
    fixed(x, c->session, 16);
    u32(x, ++c->slot[s].seq);
    u32(x, s);
    u32(x, depth - 1);
    u32(x, 0);
}
static void compound(struct x *x, int nops)
{
    u32(x, 0);
    u32(x, 1);
    u32(x, nops);
}
static void putfh(struct x *x, struct fh *f)
{
    u32(x, 22);
    opaque(x, f->data, f->len);
}
static uint32_t cstatus(struct x *x, uint32_t *nops)
{
    uint32_t st = g32(x);
    gfix(x, g32(x));
    *nops = g32(x);
    return st;
}
static void skipseq(struct x *x)
{
    if (g32(x) != 53 || g32(x))
        die("SEQUENCE failed");
    gfix(x, 16 + 20);
}
static void v41_session(struct conn *c, int id)
{
    uint32_t n;
    struct x q = begin(100003, 4, 1);
    compound(&q, 1);
    u32(&q, 42);
    char v[8];
    memset(v, id, 8);
    fixed(&q, v, 8);
    char owner[64];
    sprintf(owner, "nfsload-%d-%d", getpid(), id);
    str(&q, owner);
    u32(&q, 0);
    u32(&q, 0);
    u32(&q, 0);
    struct x r = call(c->fd, &q);
    if (cstatus(&r, &n))
        die("EXCHANGE_ID");
    g32(&r);
    g32(&r);
    c->clientid = g64(&r);
    uint32_t seq = g32(&r);
    q = begin(100003, 4, 1);
    compound(&q, 1);
    u32(&q, 43);
    u64(&q, c->clientid);
    u32(&q, seq);
    u32(&q, 0);
    for (int i = 0; i < 2; i++) {
        u32(&q, 0);
        u32(&q, 1100000);
        u32(&q, 1100000);
        u32(&q, 8192);
        u32(&q, 16);
        u32(&q, i ? 1 : depth);
        u32(&q, 0);
    }
    u32(&q, 0x40000000);
    u32(&q, 1);
    u32(&q, 0);
    r = call(c->fd, &q);
    if (cstatus(&r, &n))
        die("CREATE_SESSION");
    g32(&r);
    g32(&r);
    memcpy(c->session, gfix(&r, 16), 16);
    g32(&r);
    g32(&r);
    g32(&r);
    g32(&r);
    g32(&r);
    g32(&r);
    g32(&r);
    uint32_t got = g32(&r);
    if ((int)got < depth) {
        fprintf(stderr, "nfsload: the server granted %u slots\n", got);
        depth = got;
    }
    q = begin(100003, 4, 1);
    compound(&q, 2);
    seqop(&q, c, 0);
    u32(&q, 58);
    u32(&q, 0);
    call(c->fd, &q);
}
static void openop(struct x *x, struct conn *c, const char *name, int create)
{
    u32(x, 18);
    u32(x, 0);
    u32(x, 3);
    u32(x, 0);
    u64(x, c->clientid);
    str(x, "nfsload-owner");
    if (create) {
        u32(x, 1);
        u32(x, 0);
        u32(x, 2);
        u32(x, 0);
        u32(x, 1 << 1);
        u32(x, 4);
        u32(x, 0644);
    } else
        u32(x, 0);
    u32(x, 0);
    str(x, name);
}
static int v4_lookup(struct conn *c, struct fh *from, const char *name, struct fh *out)
{
    uint32_t n;
    struct x q = begin(100003, 4, 1);
    compound(&q, 4);
    seqop(&q, c, 0);
    if (from)
        putfh(&q, from);
    else
        u32(&q, 24);
    u32(&q, 15);
    str(&q, name);
    u32(&q, 10);
    struct x r = call(c->fd, &q);
    uint32_t st = cstatus(&r, &n);
    if (st)
        return st;
    skipseq(&r);
    gfix(&r, 16);
    g32(&r);
    g32(&r);
    gfh(&r, out);
    return 0;
}

/* ---- set-up: root handle, a fresh directory, a data file ---- */
static void sattr3(struct x *x, int mode)
{
    u32(x, 1);
    u32(x, mode);
    u32(x, 0);
    u32(x, 0);
    u32(x, 0);
    u32(x, 0);
    u32(x, 0);
}
static void mount_root(void)
{
    struct conn *c = &conns[0];
    if (vers == 3) {
        int fd = tcp(mountport ? mountport : port);
        struct x q = begin(100005, 3, 1);
        str(&q, export_path);
        struct x r = call(fd, &q);
        uint32_t st = g32(&r);
        if (st) {
            fprintf(stderr, "nfsload: MNT %s: status %u\n", export_path, st);
            exit(2);
        }
        gfh(&r, &root);
        close(fd);
        return;
    }
    char b[256];
    snprintf(b, sizeof b, "%s", export_path);
    struct fh *from = NULL;
    for (char *s = strtok(b, "/"); s; s = strtok(NULL, "/")) {
        int st = v4_lookup(c, from, s, &root);
        if (st) {
            fprintf(stderr, "nfsload: LOOKUP %s: status %d\n", s, st);
            exit(2);
        }
        from = &root;
    }
}
static void make_dir(const char *name, struct fh *out)
{
    struct conn *c = &conns[0];
    uint32_t st, n;
    struct x q, r;
    if (vers == 3) {
        q = begin(100003, 3, 9);
        opaque(&q, root.data, root.len);
        str(&q, name);
        sattr3(&q, 0777);
        r = call(c->fd, &q);
        st = g32(&r);
        if (st)
            goto bad;
        if (!g32(&r))
            die("MKDIR gave no handle");
        gfh(&r, out);
        return;
    }
    q = begin(100003, 4, 1);
    compound(&q, 4);
    seqop(&q, c, 0);
    putfh(&q, &root);
    u32(&q, 6);
    u32(&q, 2);
    str(&q, name);
    u32(&q, 2);
    u32(&q, 0);
    u32(&q, 1 << 1);
    u32(&q, 4);
    u32(&q, 0777);
    u32(&q, 10);
    r = call(c->fd, &q);
    st = cstatus(&r, &n);
    if (st)
        goto bad;
    if (v4_lookup(c, &root, name, out))
        die("LOOKUP of the new directory");
    return;
bad:
    fprintf(stderr, "nfsload: making %s: status %u\n", name, st);
    exit(2);
}
static void make_file(const char *name)
{
    struct conn *c = &conns[0];
    uint32_t st, n;
    struct x q, r;
    if (vers == 3) {
        q = begin(100003, 3, 8);
        opaque(&q, dir.data, dir.len);
        str(&q, name);
        u32(&q, 0);
        sattr3(&q, 0644);
        r = call(c->fd, &q);
        st = g32(&r);
        if (st || !g32(&r))
            die("CREATE of the data file");
        gfh(&r, &file);
        return;
    }
    for (int i = 0; i < nconn; i++) {
        c = &conns[i];
        q = begin(100003, 4, 1);
        compound(&q, 4);
        seqop(&q, c, 0);
        putfh(&q, &dir);
        openop(&q, c, name, 1);
        u32(&q, 10);
        r = call(c->fd, &q);
        st = cstatus(&r, &n);
        if (st) {
            fprintf(stderr, "nfsload: OPEN: status %u\n", st);
            exit(2);
        }
        skipseq(&r);
        gfix(&r, 8);
        g32(&r);
        g32(&r);
        memcpy(c->stateid, gfix(&r, 16), 16);
    }
    if (v4_lookup(&conns[0], &dir, name, &file))
        die("LOOKUP of the data file");
}

/* ---- tests ---- */
enum kind { NULLOP, GETATTR, LOOKUP, CREATE, REMOVE, WRITE_U, WRITE_S, READ, READDIR };
struct test {
    const char *name;
    enum kind kind;
    int random;
    long io;
};
static const struct test tests[] = {
    {"null", NULLOP, 0, 0},          {"getattr", GETATTR, 0, 0},      {"create", CREATE, 0, 0},
    {"lookup", LOOKUP, 1, 0},        {"readdir", READDIR, 0, 0},      {"remove", REMOVE, 0, 0},
    {"seqwrite", WRITE_U, 0, 0},     {"seqread", READ, 0, 0},         {"randread", READ, 1, 4096},
    {"randwrite", WRITE_U, 1, 4096}, {"syncwrite", WRITE_S, 1, 4096}, {"verify", READ, 0, 0},
};
static uint64_t rnd = 88172645463325252ull;
static uint64_t rand64(void)
{
    rnd ^= rnd << 13;
    rnd ^= rnd >> 7;
    rnd ^= rnd << 17;
    return rnd;
}
static uint64_t cookie;
static uint8_t cverf[8];
static long listed;

static void build(struct x *x, struct conn *c, int s, const struct test *t, uint64_t item, long io)
{
    char name[32];
    int v3 = vers == 3;
    uint32_t xid = (uint32_t)((c - conns) << 16 | s);
    sprintf(name, "f%08lu", (unsigned long)item);
    static const int proc3[] = {0, 1, 3, 8, 12, 7, 7, 6, 17};
    if (t->kind == NULLOP) {
        rpc_header(x, xid, 100003, v3 ? 3 : 4, 0);
        return;
    }
    if (v3) {
        rpc_header(x, xid, 100003, 3, proc3[t->kind]);
        struct fh *f = t->kind == WRITE_U || t->kind == WRITE_S || t->kind == READ ? &file : &dir;
        opaque(x, f->data, f->len);
        switch (t->kind) {
        case LOOKUP:
        case REMOVE:
            str(x, name);
            break;
        case CREATE:
            str(x, name);
            u32(x, 0);
            sattr3(x, 0644);
            break;
        case WRITE_U:
        case WRITE_S:
            u64(x, item * io);
            u32(x, io);
            u32(x, t->kind == WRITE_S ? 2 : 0);
            put_data(x, item * io, io);
            break;
        case READ:
            u64(x, item * io);
            u32(x, io);
            break;
        case READDIR:
            u64(x, cookie);
            fixed(x, cverf, 8);
            u32(x, 8192);
            u32(x, 65536);
            break;
        default:
            break;
        }
        return;
    }
    rpc_header(x, xid, 100003, 4, 1);
    compound(x, t->kind == CREATE ? 5 : 3);
    seqop(x, c, s);
    putfh(x, t->kind == WRITE_U || t->kind == WRITE_S || t->kind == READ ? &file : &dir);
    switch (t->kind) {
    case GETATTR:
        u32(x, 9);
        u32(x, 2);
        u32(x, 0x0010011a);
        u32(x, 0x00b0a23a);
        break;
    case LOOKUP:
        u32(x, 15);
        str(x, name);
        break;
    case REMOVE:
        u32(x, 28);
        str(x, name);
        break;
    case CREATE:
        openop(x, c, name, 1);
        u32(x, 10);
        u32(x, 4);
        u32(x, 0);
        {
            uint8_t cur[16] = {0, 0, 0, 1};
            fixed(x, cur, 16);
        }
        break;
    case WRITE_U:
    case WRITE_S:
        u32(x, 38);
        fixed(x, c->stateid, 16);
        u64(x, item * io);
        u32(x, t->kind == WRITE_S ? 2 : 0);
        put_data(x, item * io, io);
        break;
    case READ:
        u32(x, 25);
        fixed(x, c->stateid, 16);
        u64(x, item * io);
        u32(x, io);
        break;
    case READDIR:
        u32(x, 26);
        u64(x, cookie);
        fixed(x, cverf, 8);
        u32(x, 8192);
        u32(x, 65536);
        u32(x, 2);
        u32(x, 0x0010011a);
        u32(x, 0x00b0a23a);
        break;
    default:
        break;
    }
}
/* Checks a reply; for READDIR moves the cursor on and says when the listing has ended. */
static int check(struct x *r, const struct test *t, uint64_t item, long io, int verify)
{
    rpc_reply(r);
    if (t->kind == NULLOP)
        return 0;
    uint32_t n, st = vers == 3 ? g32(r) : cstatus(r, &n);
    if (st) {
        if (!failed++)
            fprintf(stderr, "nfsload: %s item %lu: status %u\n", t->name, (unsigned long)item, st);
        return 0;
    }
    if (t->kind == READ) {
        uint32_t got;
        if (vers == 3) {
            if (g32(r))
                gfix(r, 84);
            got = g32(r);
            g32(r);
            g32(r);
        } else {
            skipseq(r);
            gfix(r, 8);
            gfix(r, 8);
            g32(r);
            got = g32(r);
        }
        if ((long)got != io && !failed++)
            fprintf(stderr, "nfsload: short read of %u at %lu\n", got, (unsigned long)(item * io));
        if (verify && !data_is_right(gfix(r, got), item * io, got) && !failed++)
            fprintf(stderr, "nfsload: wrong data at %lu\n", (unsigned long)(item * io));
        return 0;
    }
    if (t->kind == READDIR) {
        if (vers == 3) {
            if (g32(r))
                gfix(r, 84);
            memcpy(cverf, gfix(r, 8), 8);
            while (g32(r)) {
                g64(r);
                gfix(r, g32(r));
                cookie = g64(r);
                if (g32(r))
                    gfix(r, 84);
                if (g32(r))
                    gfix(r, g32(r));
                listed++;
            }
        } else {
            skipseq(r);
            gfix(r, 8);
            gfix(r, 8);
            memcpy(cverf, gfix(r, 8), 8);
            while (g32(r)) {
                cookie = g64(r);
                gfix(r, g32(r));
                uint32_t w = g32(r);
                gfix(r, 4 * w);
                gfix(r, g32(r));
                listed++;
            }
        }
        return g32(r) ? 1 : 0;
    }
    return 0;
}
static double cpu_of(int pid)
{
    char p[64], b[1024];
    sprintf(p, "/proc/%d/stat", pid);
    FILE *f = fopen(p, "r");
    if (!f)
        return 0;
    size_t n = fread(b, 1, sizeof b - 1, f);
    b[n] = 0;
    fclose(f);
    unsigned long u, s;
    char *q = strrchr(b, ')');
    if (!q || sscanf(q + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &s) != 2)
        return 0;
    return (double)(u + s) / sysconf(_SC_CLK_TCK);
}
static int cmpd(const void *a, const void *b)
{
    double x = *(double *)a, y = *(double *)b;
    return (x > y) - (x < y);
}
static void flushq(struct conn *c)
{
    while (c->outoff < c->outlen) {
        ssize_t n = write(c->fd, c->out + c->outoff, c->outlen - c->outoff);
        if (n < 0) {
            if (errno == EAGAIN)
                return;
            die("write");
        }
        c->outoff += n;
    }
    c->outoff = c->outlen = 0;
}
static void run(const struct test *t)
{
    int failed_before = failed;
    long io = t->io ? t->io : iosize;
    int timed = t->random || t->kind == NULLOP || t->kind == GETATTR, q = t->kind == READDIR ? 1 : depth,
        used = t->kind == READDIR ? 1 : nconn, verify = !strcmp(t->name, "verify");
    uint64_t span =
                 t->kind == WRITE_U || t->kind == WRITE_S || t->kind == READ ? fsize / io : (uint64_t)nfiles,
             next = 0, done = 0;
    double *lat = malloc(sizeof *lat * 4000000);
    size_t nlat = 0;
    int over = 0, live = 0;
    cookie = 0;
    memset(cverf, 0, 8);
    listed = 0;
    double c0 = server_pid ? cpu_of(server_pid) : 0, t0 = now(), t1;
    struct pollfd pf[MAXCONN];
    for (;;) {
        double tn = now();
        if (timed && tn - t0 > maxsecs)
            over = 1;
        for (int i = 0; i < used; i++) {
            struct conn *c = &conns[i];
            for (int s = 0; s < q && !over && (timed || next < span || t->kind == READDIR); s++)
                if (!c->slot[s].busy) {
                    if (c->outlen + io + 4096 > (size_t)(io + 4096) * depth + 65536)
                        break;
                    uint64_t item = t->random ? rand64() % span : next++;
                    struct x x = {c->out + c->outlen, NULL};
                    uint8_t *st = x.p;
                    build(&x, c, s, t, item, io);
                    rpc_finish(st, &x);
                    c->outlen += x.p - st;
                    c->slot[s].busy = 1;
                    c->slot[s].item = item;
                    c->slot[s].sent = now();
                    live++;
                }
            if (c->outlen)
                flushq(c);
            pf[i] = (struct pollfd){c->fd, POLLIN | (c->outlen ? POLLOUT : 0), 0};
        }
        if (!live)
            break;
        if (poll(pf, used, 10000) <= 0)
            die("no reply for 10 s");
        for (int i = 0; i < used; i++) {
            struct conn *c = &conns[i];
            if (pf[i].revents & POLLOUT)
                flushq(c);
            if (!(pf[i].revents & (POLLIN | POLLHUP)))
                continue;
            ssize_t n = read(c->fd, c->in + c->inlen, 4 * MAXBUF - c->inlen);
            if (n <= 0) {
                if (n < 0 && errno == EAGAIN)
                    continue;
                die("connection closed by the server");
            }
            c->inlen += n;
            size_t off = 0;
            while (c->inlen - off >= 4) {
                uint32_t m;
                memcpy(&m, c->in + off, 4);
                m = ntohl(m);
                if (!(m >> 31))
                    die("fragmented reply: not handled");
                m &= 0x7fffffff;
                if (c->inlen - off - 4 < m)
                    break;
                struct x r = {c->in + off + 4, c->in + off + 4 + m};
                uint32_t xid;
                memcpy(&xid, r.p, 4);
                int s = ntohl(xid) & 0xffff;
                if (s >= depth || !c->slot[s].busy)
                    die("unexpected xid");
                if (check(&r, t, c->slot[s].item, io, verify))
                    over = 1;
                if (nlat < 4000000)
                    lat[nlat++] = now() - c->slot[s].sent;
                c->slot[s].busy = 0;
                live--;
                done++;
                off += 4 + m;
            }
            memmove(c->in, c->in + off, c->inlen - off);
            c->inlen -= off;
        }
    }
    if (t->kind == WRITE_U) {
        struct x qx;
        if (vers == 3) {
            qx = begin(100003, 3, 21);
            opaque(&qx, file.data, file.len);
            u64(&qx, 0);
            u32(&qx, 0);
        } else {
            qx = begin(100003, 4, 1);
            compound(&qx, 3);
            seqop(&qx, &conns[0], 0);
            putfh(&qx, &file);
            u32(&qx, 5);
            u64(&qx, 0);
            u32(&qx, 0);
        }
        int fl = fcntl(conns[0].fd, F_GETFL);
        fcntl(conns[0].fd, F_SETFL, fl & ~O_NONBLOCK);
        struct x r = call(conns[0].fd, &qx);
        uint32_t n;
        if ((vers == 3 ? g32(&r) : cstatus(&r, &n)) && !failed++)
            fprintf(stderr, "nfsload: COMMIT failed\n");
        fcntl(conns[0].fd, F_SETFL, fl);
    }
    t1 = now();
    double cpu = server_pid ? cpu_of(server_pid) - c0 : 0;
    qsort(lat, nlat, sizeof *lat, cmpd);
    uint64_t unit = t->kind == READDIR ? (uint64_t)listed : done;
    int data = t->kind == WRITE_U || t->kind == WRITE_S || t->kind == READ;
    char cs[32] = "-";
    if (server_pid && unit)
        sprintf(cs, "%.2f", cpu / unit * 1e6);
    printf("%-10s v%-3s %9lu ops %7.2f s %10.0f ops/s %8.1f MB/s  p50 %7.0f p99 %7.0f max %8.0f us  cpu/op "
           "%s us\n",
           t->name, vers == 3 ? "3" : "4.1", (unsigned long)unit, t1 - t0, unit / (t1 - t0),
           data ? done * (double)io / (t1 - t0) / 1e6 : 0.0, nlat ? lat[nlat / 2] * 1e6 : 0,
           nlat ? lat[(size_t)(nlat * .99)] * 1e6 : 0, nlat ? lat[nlat - 1] * 1e6 : 0, cs);
    if (failed > failed_before)
        printf("           %d of these failed\n", failed - failed_before);
    fflush(stdout);
    free(lat);
}
static void warm_memory(void)
{
    uint8_t *at = mmap(NULL, warm_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED) {
        perror("nfsload: -w");
        exit(1);
    }
    for (size_t i = 0; i < warm_bytes; i += 4096)
        at[i] = 1;
    munmap(at, warm_bytes);
}

int main(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "h:p:m:e:v:c:q:n:s:i:t:w:P:")) != -1)
        switch (o) {
        case 'h':
            host = optarg;
            break;
        case 'p':
            port = atoi(optarg);
            break;
        case 'm':
            mountport = atoi(optarg);
            break;
        case 'e':
            export_path = optarg;
            break;
        case 'v':
            vers = optarg[0] == '3' ? 3 : 4;
            break;
        case 'c':
            nconn = atoi(optarg);
            break;
        case 'q':
            depth = atoi(optarg);
            break;
        case 'n':
            nfiles = atol(optarg);
            break;
        case 's':
            fsize = strtoull(optarg, 0, 0) << 20;
            break;
        case 'i':
            iosize = atol(optarg);
            break;
        case 't':
            maxsecs = atof(optarg);
            break;
        case 'w':
            warm_bytes = strtoull(optarg, 0, 0) << 20;
            break;
        case 'P':
            server_pid = atoi(optarg);
            break;
        default:
            fprintf(
                stderr,
                "usage: nfsload [-h HOST] [-p PORT] [-m MOUNTPORT] [-e EXPORT] [-v 3|4] [-c CONNECTIONS] [-q "
                "DEPTH] [-n FILES] [-s FILE_MIB] [-i IO_BYTES] [-t SECONDS] [-w MIB] [-P SERVER_PID] "
                "TEST...\n");
            return 2;
        }
    if (nconn > MAXCONN || depth > MAXSLOT || nconn < 1 || depth < 1 || iosize > 1 << 20) {
        fprintf(stderr, "nfsload: out of range\n");
        return 2;
    }
    stamp = (uint64_t)(now() * 1e9);
    pattern = malloc(iosize + 8192);
    for (long i = 0; i < iosize + 8192; i++)
        pattern[i] = (uint8_t)((i % 4096 * 2654435761u) >> 13 ^ i % 4096);
    for (int i = 0; i < nconn; i++) {
        conns[i].fd = tcp(port);
        conns[i].in = malloc(4 * MAXBUF);
        if (vers == 4)
            v41_session(&conns[i], i);
    }
    for (int i = 0; i < nconn; i++)
        conns[i].out = malloc((size_t)(iosize + 4096) * depth + 131072);
    mount_root();
    sprintf(dirname_, "nfsload-%d", getpid());
    make_dir(dirname_, &dir);
    make_file("data");
    for (int i = 0; i < nconn; i++)
        fcntl(conns[i].fd, F_SETFL, O_NONBLOCK);
    for (; optind < argc; optind++) {
        const struct test *t = NULL;
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
            if (!strcmp(argv[optind], tests[i].name))
                t = &tests[i];
        if (!t) {
            fprintf(stderr, "nfsload: no test '%s'\n", argv[optind]);
            return 2;
        }
        if (warm_bytes > 0 && strstr(t->name, "write") != NULL)
            warm_memory();
        run(t);
    }
    return failed ? 1 : 0;
}
