/*
 * smb2_lock.c - LOCK (MS-SMB2 2.2.26, 3.3.5.14): byte ranges by the rules LOCK_EXACT of lock.h.
 *
 * All elements unlock, or all lock. A lock that may wait stands alone: STATUS_PENDING goes out, and the reply
 * when it is granted, cancelled, or its open closed. When one of several can't be had, those before it are
 * given back. What a persistent open locks is recorded, and durable before the reply (smb2_persist.c).
 */
#include "smb/smb2_priv.h"

enum { FLAG_SHARED = 1, FLAG_EXCLUSIVE = 2, FLAG_UNLOCK = 4, FLAG_FAIL = 0x10, LOCKS_MAX = 256 };
#define STATUS_INVALID_LOCK_RANGE UINT32_C(0xC00001A1)

struct element {
    uint64_t offset, length;
    uint32_t flags;
};

static bool decode_element(struct reader *reader, struct element *element)
{
    return reader_le64(reader, &element->offset) && reader_le64(reader, &element->length) &&
           reader_le32(reader, &element->flags) && reader_skip(reader, 4);
}

static bool is_good(const struct element *element)
{
    switch (element->flags) {
    case FLAG_SHARED:
    case FLAG_EXCLUSIVE:
    case FLAG_SHARED | FLAG_FAIL:
    case FLAG_EXCLUSIVE | FLAG_FAIL:
    case FLAG_UNLOCK:
        return true;
    default:
        return false;
    }
}

/* As the first element, all are. */
static bool is_unlock(struct reader elements)
{
    struct element element;

    return decode_element(&elements, &element) && element.flags == FLAG_UNLOCK;
}

static uint32_t status_of(enum err err)
{
    return err == ERR_INVAL ? STATUS_INVALID_LOCK_RANGE : smb2__status(err);
}

static uint32_t reply(struct smb2_request *request)
{
    smb2__replay_lock_done(request, request->lock_sequence);
    writer_le16(smb2_reply(request), 4);
    writer_le16(smb2_reply(request), 0);
    return STATUS_SUCCESS;
}

/* Records the ranges of ELEMENTS as they are now, and the LOCK's number. */
static enum err record(const struct smb2_open *open, struct reader elements, uint16_t count)
{
    struct element element;
    enum err err = ERR_OK;

    for (unsigned i = 0; i < count && err == ERR_OK; i++) {
        if (!decode_element(&elements, &element))
            break;
        err = smb2__persist_range(open, element.offset, element.length);
    }
    return err == ERR_OK ? smb2__persist_numbers(open) : err;
}

static void give_back(struct lock_holder *holder, struct reader elements, unsigned count)
{
    struct element element;

    for (unsigned i = 0; i < count; i++) {
        if (!decode_element(&elements, &element) ||
            lock_unset(holder, element.offset, element.length) != ERR_OK)
            break;
    }
}

/* ELEMENTS are done. */
static uint32_t conclude(struct smb2_request *request, struct reader elements, uint16_t count)
{
    struct smb2_open *open = request->open;
    struct lock_holder *holder;
    uint32_t status;
    enum err err;

    if (!open->is_persistent)
        return reply(request);
    status = reply(request);
    err = record(open, elements, count);
    if (is_unlock(elements))
        recovery_released(open->server->state);
    else if (err == ERR_OK)
        vfs_wait_for_metadata(&request->context);
    if (err == ERR_OK)
        return smb2__request_durable(request, status);
    holder = lock_holder_find(open->file, open->owner);
    if (holder != NULL && !is_unlock(elements))
        give_back(holder, elements, count);
    return smb2__status(err);
}

/* The one range of a LOCK that had to wait. */
static void granted(struct smb2_request *request)
{
    struct reader elements = request->body;
    uint32_t status;

    request->cancel = NULL;
    status = conclude(request, elements, 1);
    if (status != SMB2_WAIT)
        smb2__request_done(request, status);
}

static void on_granted(struct lock_waiter *waiter, enum err err)
{
    struct smb2_request *request = container_of(waiter, struct smb2_request, lock);

    if (err == ERR_OK)
        granted(request);
    /* An open that was closed under a waiting lock (MS-SMB2 3.3.4.8). */
    else if (err == ERR_CANCELLED)
        smb2__request_done(request, STATUS_RANGE_NOT_LOCKED);
    else
        smb2__request_done(request, status_of(err));
}

static void cancel_wait(struct smb2_request *request)
{
    if (lock_wait_cancel(&request->lock))
        smb2__request_done(request, STATUS_CANCELLED);
    else
        granted(request);
}

static uint32_t lock_one(struct smb2_request *request, struct lock_holder *holder,
                         const struct element *element, bool alone)
{
    struct lock_request wanted = {.offset = element->offset,
                                  .length = element->length,
                                  .exclusive = (element->flags & FLAG_EXCLUSIVE) != 0};
    enum err err;

    if (element->flags & FLAG_FAIL)
        return status_of(lock_set(holder, &wanted, NULL));
    if (!alone)
        return STATUS_INVALID_PARAMETER;
    request->lock = (struct lock_waiter){.done = on_granted};
    err = lock_wait(holder, &wanted, &request->lock, NULL);
    if (err != ERR_WAIT)
        return status_of(err);
    if (!smb2__request_pending(request)) {
        if (lock_wait_cancel(&request->lock))
            return STATUS_INSUFFICIENT_RESOURCES;
        return STATUS_SUCCESS;
    }
    request->cancel = cancel_wait;
    return SMB2_WAIT;
}

/* The elements one behind the other; those locked before one that fails are given back. */
static uint32_t run_elements(struct smb2_request *request, struct lock_holder *holder, struct reader elements,
                             uint16_t count)
{
    struct reader all = elements;
    struct element element;
    bool unlocks = false;
    uint32_t status = STATUS_SUCCESS;
    unsigned done = 0;

    while (done < count && status == STATUS_SUCCESS) {
        if (!decode_element(&elements, &element) || !is_good(&element))
            status = STATUS_INVALID_PARAMETER;
        else if (done == 0)
            unlocks = element.flags == FLAG_UNLOCK;
        if (status == STATUS_SUCCESS && unlocks != (element.flags == FLAG_UNLOCK))
            status = STATUS_INVALID_PARAMETER;
        if (status == STATUS_SUCCESS)
            status = unlocks ? status_of(lock_unset(holder, element.offset, element.length))
                             : lock_one(request, holder, &element, count == 1);
        if (status == STATUS_SUCCESS)
            done++;
    }
    if (status == STATUS_SUCCESS || status == SMB2_WAIT || unlocks)
        return status;
    give_back(holder, all, done);
    return status;
}

static bool has_exclusive(struct reader elements, unsigned count)
{
    struct element element;

    while (count-- > 0 && decode_element(&elements, &element)) {
        if (element.flags & FLAG_EXCLUSIVE)
            return true;
    }
    return false;
}

uint32_t smb2__lock(struct smb2_request *request)
{
    struct smb2_open *open = request->open;
    struct reader *reader = &request->body;
    struct lock_holder *holder;
    uint16_t count;
    uint32_t status;
    enum err err;

    if (!reader_skip(reader, 2) || !reader_le16(reader, &count) ||
        !reader_le32(reader, &request->lock_sequence) || !reader_skip(reader, 16) || count == 0 ||
        count > LOCKS_MAX || (size_t)count * 24 > reader->left)
        return STATUS_INVALID_PARAMETER;
    if (open->is_directory)
        return STATUS_INVALID_PARAMETER;
    if (!(open->access & (SMB2_ACCESS_READ_DATA | SMB2_ACCESS_WRITE_DATA)))
        return STATUS_ACCESS_DENIED;
    if (smb2__replay_lock_is_done(request, request->lock_sequence))
        return reply(request);
    status = smb2__request_context(request);
    if (status != STATUS_SUCCESS)
        return status;
    if (!is_unlock(*reader)) {
        err = vfs_conflict_lock(&request->context, open->inode, has_exclusive(*reader, count));
        if (err != ERR_OK)
            return smb2__status(err);
    }
    err = lock_holder_get(open->file, open->owner, open->share, LOCK_EXACT, &holder);
    if (err != ERR_OK)
        return smb2__status(err);
    status = run_elements(request, holder, *reader, count);
    return status == STATUS_SUCCESS ? conclude(request, *reader, count) : status;
}
