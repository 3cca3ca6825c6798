/*
 * disk_system.c - the system's disk: one folder, held open and locked.
 *
 * Every file is opened relative to the folder's descriptor. The lock is an flock(2) on the file "lock" in
 * it, which goes with the process; that file belongs to this one here and is not listed.
 * Calls that a signal interrupted are made again. The host's quota counts as a full disk.
 */
#include "dittofs/disk.h"
#include "dittofs/list.h"
#include "dittofs/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LOCK_NAME "lock"

enum {
    VECTOR_MOST = 256, /* parts handed to one system call; below IOV_MAX (1024) */
    PAGE_BYTES = 4096,
};

struct system_disk {
    struct disk disk;
    int folder_fd;
    int lock_fd;
    atomic_bool no_nowait; /* the file system can't RWF_NOWAIT: do not ask again */
};

struct system_file {
    struct disk_file file;
    int fd;
};

static struct system_disk *disk_of(struct disk *disk)
{
    return container_of(disk, struct system_disk, disk);
}

static int fd_of(struct disk_file *file)
{
    return container_of(file, struct system_file, file)->fd;
}

static enum err err_of(int value)
{
    enum err err = err_from_errno(value);

    return err == ERR_DQUOT ? ERR_NOSPC : err;
}

/* Does [OFFSET, OFFSET + LENGTH) fit into an off_t? */
static bool range_is_possible(uint64_t offset, uint64_t length)
{
    return length <= INT64_MAX && offset <= INT64_MAX - length;
}

/* Names are ours: a wrong one is a fault of the program. */
static void check_name(const char *name)
{
    invariant(name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL && strcmp(name, LOCK_NAME) != 0);
}

static enum err system_open(struct disk *disk, const char *name, unsigned flags, struct disk_file **file_r)
{
    struct system_disk *own = disk_of(disk);
    int open_flags = O_CLOEXEC | O_NOFOLLOW;
    struct system_file *file;

    check_name(name);
    open_flags |= !(flags & DISK_WRITE) ? O_RDONLY : flags & DISK_READ ? O_RDWR : O_WRONLY;
    if (flags & DISK_CREATE)
        open_flags |= O_CREAT | (flags & DISK_EXCLUSIVE ? O_EXCL : 0);
    file = malloc(sizeof *file);
    if (file == NULL)
        return ERR_NOMEM;
    file->file.disk = disk;
    do
        file->fd = openat(own->folder_fd, name, open_flags, 0600);
    while (file->fd < 0 && errno == EINTR);
    if (file->fd < 0) {
        enum err err = err_of(errno);
        free(file);
        return err;
    }
    *file_r = &file->file;
    return ERR_OK;
}

static void system_close(struct disk_file *file)
{
    struct system_file *own = container_of(file, struct system_file, file);

    close(own->fd);
    free(own);
}

static enum err system_pread(struct disk_file *file, void *buffer, size_t length, uint64_t offset,
                             size_t *got_r)
{
    size_t got = 0;

    if (!range_is_possible(offset, length))
        return ERR_INVAL;
    while (got < length) {
        ssize_t part = pread(fd_of(file), (uint8_t *)buffer + got, length - got, (off_t)(offset + got));
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return err_of(errno);
        if (part == 0)
            break;
        got += (size_t)part;
    }
    *got_r = got;
    return ERR_OK;
}

static enum err system_pread_nowait(struct disk_file *file, void *buffer, size_t length, uint64_t offset,
                                    size_t *got_r)
{
    struct system_disk *own = disk_of(file->disk);
    struct iovec vector = {.iov_base = buffer, .iov_len = length};
    ssize_t got;

    if (!range_is_possible(offset, length))
        return ERR_INVAL;
    if (atomic_load_explicit(&own->no_nowait, memory_order_relaxed))
        return ERR_AGAIN;
    do
        got = preadv2(fd_of(file), &vector, 1, (off_t)offset, RWF_NOWAIT);
    while (got < 0 && errno == EINTR);
    if (got >= 0) {
        *got_r = (size_t)got;
        return ERR_OK;
    }
    if (errno == EOPNOTSUPP || errno == ENOSYS) {
        atomic_store_explicit(&own->no_nowait, true, memory_order_relaxed);
        return ERR_AGAIN;
    }
    return err_of(errno);
}

/* Parts of VECTOR from byte SKIP of part INDEX on, at most VECTOR_MOST; gives how many. */
static int fill_parts(const struct iovec *vector, int count, int index, size_t skip, struct iovec *parts)
{
    int filled = 0;

    for (; index < count && filled < VECTOR_MOST; index++, skip = 0) {
        if (vector[index].iov_len == skip)
            continue;
        parts[filled].iov_base = (uint8_t *)vector[index].iov_base + skip;
        parts[filled].iov_len = vector[index].iov_len - skip;
        filled++;
    }
    return filled;
}

static enum err system_pwritev(struct disk_file *file, const struct iovec *vector, int count, uint64_t offset)
{
    struct iovec parts[VECTOR_MOST];
    size_t skip = 0;
    int index = 0;

    while (index < count) {
        int filled = fill_parts(vector, count, index, skip, parts);
        ssize_t done;

        if (filled == 0)
            break;
        if (offset > INT64_MAX)
            return ERR_INVAL;
        done = pwritev(fd_of(file), parts, filled, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_of(errno);
        if (done == 0)
            return ERR_IO;
        offset += (uint64_t)done;
        for (skip += (size_t)done; index < count && skip >= vector[index].iov_len; index++)
            skip -= vector[index].iov_len;
    }
    return ERR_OK;
}

static enum err system_sync(struct disk_file *file)
{
    int result;

    do
        result = fdatasync(fd_of(file));
    while (result != 0 && errno == EINTR);
    return result == 0 ? ERR_OK : err_of(errno);
}

static void system_write_back(struct disk_file *file, uint64_t offset, uint64_t length)
{
    if (range_is_possible(offset, length))
        (void)sync_file_range(fd_of(file), (off_t)offset, (off_t)length, SYNC_FILE_RANGE_WRITE);
}

static enum err system_truncate(struct disk_file *file, uint64_t size)
{
    int result;

    if (!range_is_possible(0, size))
        return ERR_INVAL;
    do
        result = ftruncate(fd_of(file), (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? ERR_OK : err_of(errno);
}

static enum err change_space(struct disk_file *file, int mode, uint64_t offset, uint64_t length)
{
    int result;

    if (!range_is_possible(offset, length))
        return ERR_INVAL;
    if (length == 0)
        return ERR_OK;
    do
        result = fallocate(fd_of(file), mode, (off_t)offset, (off_t)length);
    while (result != 0 && errno == EINTR);
    return result == 0 ? ERR_OK : err_of(errno);
}

static enum err system_allocate(struct disk_file *file, uint64_t offset, uint64_t length)
{
    return change_space(file, FALLOC_FL_KEEP_SIZE, offset, length);
}

static enum err system_punch(struct disk_file *file, uint64_t offset, uint64_t length)
{
    uint64_t first, end;

    if (!range_is_possible(offset, length))
        return ERR_INVAL;
    first = (offset + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    end = (offset + length) / PAGE_BYTES * PAGE_BYTES;
    if (first >= end)
        return ERR_OK;
    return change_space(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first, end - first);
}

static enum err system_size(struct disk_file *file, uint64_t *size_r)
{
    struct stat status;

    if (fstat(fd_of(file), &status) != 0)
        return err_of(errno);
    *size_r = (uint64_t)status.st_size;
    return ERR_OK;
}

static enum err system_unlink(struct disk *disk, const char *name)
{
    check_name(name);
    return unlinkat(disk_of(disk)->folder_fd, name, 0) == 0 ? ERR_OK : err_of(errno);
}

static enum err system_rename(struct disk *disk, const char *from, const char *to)
{
    int folder_fd = disk_of(disk)->folder_fd;

    check_name(from);
    check_name(to);
    if (renameat2(folder_fd, from, folder_fd, to, RENAME_NOREPLACE) == 0)
        return ERR_OK;
    return errno == EINVAL || errno == ENOSYS ? ERR_NOTSUPP : err_of(errno);
}

static enum err system_sync_names(struct disk *disk)
{
    int result;

    do
        result = fsync(disk_of(disk)->folder_fd);
    while (result != 0 && errno == EINTR);
    return result == 0 ? ERR_OK : err_of(errno);
}

static enum err system_list(struct disk *disk, void (*each)(void *data, const char *name), void *data)
{
    int fd = openat(disk_of(disk)->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *entry;
    DIR *folder;
    int failed;

    if (fd < 0)
        return err_of(errno);
    folder = fdopendir(fd);
    if (folder == NULL) {
        enum err err = err_of(errno);
        close(fd);
        return err;
    }
    for (errno = 0; (entry = readdir(folder)) != NULL; errno = 0) {
        if (entry->d_name[0] != '.' && entry->d_type != DT_DIR && strcmp(entry->d_name, LOCK_NAME) != 0)
            each(data, entry->d_name);
    }
    failed = errno;
    closedir(folder);
    return failed == 0 ? ERR_OK : err_of(failed);
}

static enum err system_space(struct disk *disk, struct disk_space *space_r)
{
    struct statvfs status;

    if (fstatvfs(disk_of(disk)->folder_fd, &status) != 0)
        return err_of(errno);
    *space_r = (struct disk_space){
        .total_bytes = (uint64_t)status.f_blocks * status.f_frsize,
        .free_bytes = (uint64_t)status.f_bavail * status.f_frsize,
    };
    return ERR_OK;
}

static void system_destroy(struct disk *disk)
{
    struct system_disk *own = disk_of(disk);

    close(own->lock_fd);
    close(own->folder_fd);
    free(own);
}

static const struct disk_operations operations = {
    .open = system_open,
    .close = system_close,
    .pread = system_pread,
    .pread_nowait = system_pread_nowait,
    .pwritev = system_pwritev,
    .sync = system_sync,
    .write_back = system_write_back,
    .truncate = system_truncate,
    .allocate = system_allocate,
    .punch = system_punch,
    .size = system_size,
    .unlink = system_unlink,
    .rename = system_rename,
    .sync_names = system_sync_names,
    .list = system_list,
    .space = system_space,
    .destroy = system_destroy,
};

/* The folder's own name must be found again, too. A parent that we may not read is the administrator's. */
static void sync_parent(int folder_fd)
{
    int parent_fd = openat(folder_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (parent_fd < 0)
        return;
    if (fsync(parent_fd) != 0)
        log_warning("the folder above the state directory can't be synced: %s", strerror(errno));
    close(parent_fd);
}

static enum err open_and_lock(struct system_disk *own, const char *path, bool is_new)
{
    enum err err;

    own->folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own->folder_fd < 0)
        return err_of(errno);
    if (is_new)
        sync_parent(own->folder_fd);
    own->lock_fd = openat(own->folder_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (own->lock_fd < 0) {
        err = err_of(errno);
        goto err_after_folder;
    }
    if (flock(own->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK ? ERR_BUSY : err_of(errno);
        goto err_after_lock_file;
    }
    return ERR_OK;

err_after_lock_file:
    close(own->lock_fd);
err_after_folder:
    close(own->folder_fd);
    return err;
}

enum err disk_open_folder(const char *path, struct disk **disk_r)
{
    struct system_disk *own;
    bool is_new = mkdir(path, 0700) == 0;
    enum err err;

    if (!is_new && errno != EEXIST)
        return err_of(errno);
    own = calloc(1, sizeof *own);
    if (own == NULL)
        return ERR_NOMEM;
    own->disk.operations = &operations;
    err = open_and_lock(own, path, is_new);
    if (err != ERR_OK) {
        free(own);
        return err;
    }
    *disk_r = &own->disk;
    return ERR_OK;
}
