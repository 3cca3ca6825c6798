/*
 * disk.c - the calls through the door to the disk.
 */
#include "dittofs/disk.h"

void disk_destroy(struct disk **disk)
{
    if (*disk != NULL)
        (*disk)->operations->destroy(*disk);
    *disk = NULL;
}

enum err disk_open(struct disk *disk, const char *name, unsigned flags, struct disk_file **file_r)
{
    return disk->operations->open(disk, name, flags, file_r);
}

void disk_close(struct disk_file **file)
{
    if (*file != NULL)
        (*file)->disk->operations->close(*file);
    *file = NULL;
}

enum err disk_pread(struct disk_file *file, void *buffer, size_t length, uint64_t offset, size_t *got_r)
{
    return file->disk->operations->pread(file, buffer, length, offset, got_r);
}

enum err disk_pread_nowait(struct disk_file *file, void *buffer, size_t length, uint64_t offset,
                           size_t *got_r)
{
    return file->disk->operations->pread_nowait(file, buffer, length, offset, got_r);
}

enum err disk_pwritev(struct disk_file *file, const struct iovec *vector, int count, uint64_t offset)
{
    return file->disk->operations->pwritev(file, vector, count, offset);
}

enum err disk_pwrite(struct disk_file *file, const void *data, size_t length, uint64_t offset)
{
    struct iovec vector = {.iov_base = (void *)data, .iov_len = length};

    return disk_pwritev(file, &vector, 1, offset);
}

enum err disk_sync(struct disk_file *file)
{
    return file->disk->operations->sync(file);
}

void disk_write_back(struct disk_file *file, uint64_t offset, uint64_t length)
{
    if (file->disk->operations->write_back != NULL)
        file->disk->operations->write_back(file, offset, length);
}

enum err disk_sync_names(struct disk *disk)
{
    return disk->operations->sync_names(disk);
}

enum err disk_truncate(struct disk_file *file, uint64_t size)
{
    return file->disk->operations->truncate(file, size);
}

enum err disk_allocate(struct disk_file *file, uint64_t offset, uint64_t length)
{
    return file->disk->operations->allocate(file, offset, length);
}

enum err disk_punch(struct disk_file *file, uint64_t offset, uint64_t length)
{
    return file->disk->operations->punch(file, offset, length);
}

enum err disk_size(struct disk_file *file, uint64_t *size_r)
{
    return file->disk->operations->size(file, size_r);
}

enum err disk_unlink(struct disk *disk, const char *name)
{
    return disk->operations->unlink(disk, name);
}

enum err disk_rename(struct disk *disk, const char *from, const char *to)
{
    return disk->operations->rename(disk, from, to);
}

enum err disk_list(struct disk *disk, void (*each)(void *data, const char *name), void *data)
{
    return disk->operations->list(disk, each, data);
}

enum err disk_space(struct disk *disk, struct disk_space *space_r)
{
    return disk->operations->space(disk, space_r);
}
