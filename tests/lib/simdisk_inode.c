/*
 * simdisk_inode.c - the content of one simulated file.
 *
 * A page has two images, live and durable; NULL stands for zeros, and a page that is clean has one image
 * for both. Of its eight sectors each is
 *   clean    both images agree,
 *   pending  live is newer, and the next sync or a lucky power cut makes it durable, or
 *   lost     live is newer, but a sync has failed on it: only another write makes it pending again.
 * Besides a whole page may be punched (its durable image has yet to become zeros) and the file truncated
 * (durable bytes from truncate_low on have yet to become zeros).
 */
#include "simdisk_inode.h"
#include "dittofs/hash.h"
#include "dittofs/log.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, SECTOR = 512, SECTORS = PAGE / SECTOR, ALL_SECTORS = 0xff };

struct page {
    struct hashlink hash;
    struct list dirty;
    uint64_t index;
    uint8_t *live;
    uint8_t *durable;
    uint8_t pending; /* a bit a sector */
    uint8_t lost;    /* a bit a sector */
    bool punched;
    bool allocated; /* counts as used */
    bool reserved;  /* by disk_allocate */
};

uint64_t sim_random_next(struct sim_random *random)
{
    random->state += 0x9e3779b97f4a7c15u;
    return hash_u64(random->state);
}

uint64_t sim_random_below(struct sim_random *random, uint64_t bound)
{
    return sim_random_next(random) % bound;
}

bool sim_random_chance(struct sim_random *random, unsigned quarters)
{
    return sim_random_below(random, 4) < quarters;
}

/* Memory of tests is taken for granted. */
static void *need(void *memory)
{
    invariant(memory != NULL);
    return memory;
}

struct sim_inode *sim_inode_new(uint64_t *used_bytes)
{
    struct sim_inode *inode = need(calloc(1, sizeof *inode));

    hashtable_init(&inode->pages);
    list_init(&inode->dirty);
    inode->references = 1;
    inode->used_bytes = used_bytes;
    return inode;
}

static void set_allocated(struct sim_inode *inode, struct page *page, bool allocated)
{
    if (page->allocated && !allocated)
        *inode->used_bytes -= PAGE;
    else if (!page->allocated && allocated)
        *inode->used_bytes += PAGE;
    page->allocated = allocated;
}

static void page_free(struct sim_inode *inode, struct page *page)
{
    set_allocated(inode, page, false);
    hashtable_remove(&inode->pages, &page->hash);
    list_remove(&page->dirty);
    if (page->live != page->durable)
        free(page->live);
    free(page->durable);
    free(page);
}

void sim_inode_unref(struct sim_inode *inode)
{
    struct hashlink *link, *following;

    if (inode == NULL || --inode->references > 0)
        return;
    for (link = hashtable_walk(&inode->pages, NULL); link != NULL; link = following) {
        following = hashtable_walk(&inode->pages, link);
        page_free(inode, container_of(link, struct page, hash));
    }
    hashtable_free(&inode->pages);
    free(inode);
}

static struct page *page_find(struct sim_inode *inode, uint64_t index)
{
    /* The mix is one-to-one: an equal hash is the same index. */
    struct hashlink *link = hashtable_find(&inode->pages, hash_u64(index));

    return link != NULL ? container_of(link, struct page, hash) : NULL;
}

static struct page *page_get(struct sim_inode *inode, uint64_t index)
{
    struct page *page = page_find(inode, index);

    if (page != NULL)
        return page;
    page = need(calloc(1, sizeof *page));
    page->index = index;
    list_init(&page->dirty);
    invariant(hashtable_insert(&inode->pages, &page->hash, hash_u64(index)));
    return page;
}

static void mark_dirty(struct sim_inode *inode, struct page *page)
{
    if (list_is_empty(&page->dirty))
        list_push_back(&inode->dirty, &page->dirty);
}

static uint8_t *image_copy(const uint8_t *image)
{
    uint8_t *copy = need(malloc(PAGE));

    if (image != NULL)
        memcpy(copy, image, PAGE);
    else
        memset(copy, 0, PAGE);
    return copy;
}

/* An image that may be changed without changing the other. */
static uint8_t *own_live(struct page *page)
{
    if (page->live == NULL || page->live == page->durable)
        page->live = image_copy(page->live);
    return page->live;
}

static uint8_t *own_durable(struct page *page)
{
    if (page->durable == NULL || page->live == page->durable)
        page->durable = image_copy(page->durable);
    return page->durable;
}

static void drop_live(struct page *page)
{
    if (page->live != page->durable)
        free(page->live);
    page->live = NULL;
}

static void drop_durable(struct page *page)
{
    if (page->live != page->durable)
        free(page->durable);
    page->durable = NULL;
}

static void sector_to_durable(struct page *page, unsigned sector)
{
    uint8_t *durable = own_durable(page);

    if (page->live != NULL)
        memcpy(durable + sector * SECTOR, page->live + sector * SECTOR, SECTOR);
    else
        memset(durable + sector * SECTOR, 0, SECTOR);
}

void sim_inode_read(struct sim_inode *inode, void *buffer, size_t length, uint64_t offset)
{
    uint8_t *to = buffer;

    while (length > 0) {
        struct page *page = page_find(inode, offset / PAGE);
        size_t within = offset % PAGE, part = PAGE - within < length ? PAGE - within : length;

        if (page != NULL && page->live != NULL)
            memcpy(to, page->live + within, part);
        else
            memset(to, 0, part);
        to += part;
        offset += part;
        length -= part;
    }
}

size_t sim_inode_fitting(struct sim_inode *inode, uint64_t offset, size_t length, uint64_t room)
{
    size_t fitting = 0;

    while (fitting < length) {
        struct page *page = page_find(inode, (offset + fitting) / PAGE);
        size_t part = PAGE - (offset + fitting) % PAGE;

        if (page == NULL || !page->allocated) {
            if (room < PAGE)
                return fitting;
            room -= PAGE;
        }
        fitting += part < length - fitting ? part : length - fitting;
    }
    return fitting;
}

static void page_write(struct sim_inode *inode, struct page *page, size_t within, const uint8_t *data,
                       size_t length, struct sim_random *random)
{
    uint8_t *live = own_live(page);

    for (size_t sector = within / SECTOR; sector * SECTOR < within + length; sector++) {
        uint8_t bit = (uint8_t)(1u << sector);
        /* The older version may have been written back by now. Not where a truncate or punch is pending:
         * the disk would have to have done that first. */
        if (page->pending & bit && !inode->truncate_pending && !page->punched && sim_random_chance(random, 1))
            sector_to_durable(page, (unsigned)sector);
        page->pending |= bit;
        page->lost &= (uint8_t)~bit;
    }
    memcpy(live + within, data, length);
    set_allocated(inode, page, true);
    mark_dirty(inode, page);
}

void sim_inode_write(struct sim_inode *inode, const void *data, size_t length, uint64_t offset,
                     struct sim_random *random)
{
    const uint8_t *from = data;

    while (length > 0) {
        size_t within = offset % PAGE, part = PAGE - within < length ? PAGE - within : length;

        page_write(inode, page_get(inode, offset / PAGE), within, from, part, random);
        from += part;
        offset += part;
        length -= part;
        if (offset > inode->live_size) {
            inode->live_size = offset;
            inode->size_pending = true;
        }
    }
}

/* Calls EACH with every page from FIRST on; it may free the page. */
static void each_page_from(struct sim_inode *inode, uint64_t first,
                           void (*each)(struct sim_inode *inode, struct page *page, uint64_t size),
                           uint64_t size)
{
    struct hashlink *link = hashtable_walk(&inode->pages, NULL);

    while (link != NULL) {
        struct page *page = container_of(link, struct page, hash);
        link = hashtable_walk(&inode->pages, link);
        if (page->index >= first)
            each(inode, page, size);
    }
}

static void cut_live(struct sim_inode *inode, struct page *page, uint64_t size)
{
    uint64_t start = page->index * PAGE;
    size_t keep = size > start ? (size_t)(size - start) : 0;

    if (keep >= PAGE)
        return;
    /* Whole sectors behind the end are not to be written any more; that they become zeros is the truncate's
     * business. A sector that has the end in it stays what it is. */
    page->pending &= (uint8_t)((1u << (keep + SECTOR - 1) / SECTOR) - 1);
    if (keep > 0) {
        if (page->live != NULL)
            memset(own_live(page) + keep, 0, PAGE - keep);
        return;
    }
    drop_live(page);
    page->reserved = false;
    set_allocated(inode, page, false);
    if (page->durable == NULL)
        page_free(inode, page);
}

void sim_inode_truncate(struct sim_inode *inode, uint64_t size)
{
    if (size <= inode->live_size) {
        each_page_from(inode, size / PAGE, cut_live, size);
        if (size < inode->live_size && (!inode->truncate_pending || size < inode->truncate_low)) {
            inode->truncate_pending = true;
            inode->truncate_low = size;
        }
    }
    if (size != inode->live_size)
        inode->size_pending = true;
    inode->live_size = size;
}

bool sim_inode_reserve(struct sim_inode *inode, uint64_t offset, uint64_t length, uint64_t room)
{
    uint64_t first, end, needed = 0;

    if (length == 0)
        return true;
    first = offset / PAGE;
    end = (offset + length - 1) / PAGE + 1;
    if ((end - first) * PAGE > room) {
        for (uint64_t index = first; index < end && needed <= room; index++) {
            struct page *page = page_find(inode, index);
            if (page == NULL || !page->allocated)
                needed += PAGE;
        }
        if (needed > room)
            return false;
    }
    for (uint64_t index = first; index < end; index++) {
        struct page *page = page_get(inode, index);
        page->reserved = true;
        set_allocated(inode, page, true);
    }
    return true;
}

static void page_punch(struct sim_inode *inode, struct page *page)
{
    page->pending = 0;
    page->reserved = false;
    set_allocated(inode, page, false);
    drop_live(page);
    if (page->durable == NULL) {
        page_free(inode, page);
        return;
    }
    page->punched = true;
    mark_dirty(inode, page);
}

void sim_inode_punch(struct sim_inode *inode, uint64_t offset, uint64_t length)
{
    uint64_t first = (offset + PAGE - 1) / PAGE, end = (offset + length) / PAGE;

    for (uint64_t index = first; index < end; index++) {
        struct page *page = page_find(inode, index);
        if (page != NULL)
            page_punch(inode, page);
    }
}

void sim_inode_flip(struct sim_inode *inode, uint64_t offset, uint8_t mask)
{
    struct page *page = page_get(inode, offset / PAGE);
    bool same = page->live == page->durable && page->live != NULL;

    if (same) {
        page->live[offset % PAGE] ^= mask;
        return;
    }
    own_live(page)[offset % PAGE] ^= mask;
    own_durable(page)[offset % PAGE] ^= mask;
}

static void cut_durable(struct sim_inode *inode, struct page *page, uint64_t size)
{
    uint64_t start = page->index * PAGE;
    size_t keep = size > start ? (size_t)(size - start) : 0;

    (void)inode;
    if (keep >= PAGE || page->durable == NULL)
        return;
    page->lost &= (uint8_t)((1u << (keep + SECTOR - 1) / SECTOR) - 1);
    if (keep > 0)
        memset(own_durable(page) + keep, 0, PAGE - keep);
    else
        drop_durable(page);
}

/* Frees a page of which nothing is left. */
static void tidy(struct sim_inode *inode, struct page *page)
{
    if (page->live == NULL && page->durable == NULL && !page->allocated)
        page_free(inode, page);
}

static void page_sync(struct sim_inode *inode, struct page *page)
{
    list_remove(&page->dirty);
    if (page->punched) {
        drop_durable(page);
        page->lost = 0;
    }
    if (page->pending != 0 && page->lost == 0) {
        drop_durable(page);
        page->durable = page->live;
    }
    for (unsigned sector = 0; sector < SECTORS && page->lost != 0; sector++) {
        if (page->pending >> sector & 1)
            sector_to_durable(page, sector);
    }
    page->pending = 0;
    page->punched = false;
    tidy(inode, page);
}

static void tidy_from(struct sim_inode *inode, struct page *page, uint64_t size)
{
    (void)size;
    tidy(inode, page);
}

void sim_inode_sync(struct sim_inode *inode)
{
    struct list *link, *following;

    if (inode->truncate_pending) {
        each_page_from(inode, inode->truncate_low / PAGE, cut_durable, inode->truncate_low);
        each_page_from(inode, inode->truncate_low / PAGE, tidy_from, 0);
    }
    if (inode->size_pending || !list_is_empty(&inode->dirty))
        inode->durable_size = inode->live_size;
    list_for_each_safe(link, following, &inode->dirty)
        page_sync(inode, container_of(link, struct page, dirty));
    inode->size_pending = inode->truncate_pending = false;
}

/* The durable size after a failed sync or a power cut, and whether a pending truncate has happened. */
static uint64_t choose_size(struct sim_inode *inode, struct sim_random *random, bool *truncated_r)
{
    uint64_t base = inode->durable_size;

    *truncated_r = inode->truncate_pending && sim_random_chance(random, 2);
    if (!inode->size_pending || (inode->truncate_pending && !*truncated_r))
        return base;
    if (*truncated_r)
        base = inode->truncate_low;
    if (inode->live_size <= base)
        return *truncated_r || sim_random_chance(random, 2) ? inode->live_size : base;
    switch (sim_random_below(random, 3)) {
    case 0:
        return base;
    case 1:
        return inode->live_size;
    default: {
        /* Sizes reach the disk as parts of the data do: at page ends. */
        uint64_t between = base + sim_random_below(random, inode->live_size - base);
        between = between / PAGE * PAGE;
        return between > base ? between : base;
    }
    }
}

/* Makes some pending sectors durable. FLOOR: those that lie wholly at or behind it are not (the truncate that
 * came before them has not happened). QUARTERS: the chance of each. */
static void page_settle(struct page *page, uint64_t floor, unsigned quarters, struct sim_random *random)
{
    list_remove(&page->dirty);
    if (page->punched) {
        if (sim_random_chance(random, quarters)) {
            drop_durable(page);
            page->lost = 0;
        } else {
            page->lost = ALL_SECTORS;
        }
        page->punched = false;
    }
    for (unsigned sector = 0; sector < SECTORS; sector++) {
        uint8_t bit = (uint8_t)(1u << sector);
        if (!(page->pending & bit))
            continue;
        if (page->index * PAGE + sector * SECTOR < floor && sim_random_chance(random, quarters)) {
            sector_to_durable(page, sector);
            page->lost &= (uint8_t)~bit;
        } else {
            page->lost |= bit;
        }
    }
    page->pending = 0;
}

static void mark_lost(struct sim_inode *inode, struct page *page, uint64_t size)
{
    (void)inode, (void)size;
    page->lost = ALL_SECTORS;
}

/* Settles all that is pending one way or the other. */
static void settle(struct sim_inode *inode, struct sim_random *random)
{
    /* Files differ: some come through whole, some lose all, most are mixed. */
    unsigned quarters = (unsigned)sim_random_below(random, 5);
    uint64_t floor = UINT64_MAX;
    bool truncated;
    uint64_t size = choose_size(inode, random, &truncated);
    struct list *link, *following;

    if (truncated) {
        each_page_from(inode, inode->truncate_low / PAGE, cut_durable, inode->truncate_low);
    } else if (inode->truncate_pending) {
        floor = inode->truncate_low;
        each_page_from(inode, inode->truncate_low / PAGE, mark_lost, 0);
    }
    list_for_each_safe(link, following, &inode->dirty)
        page_settle(container_of(link, struct page, dirty), floor, quarters, random);
    inode->durable_size = size;
    inode->size_pending = inode->truncate_pending = false;
}

void sim_inode_sync_failed(struct sim_inode *inode, struct sim_random *random)
{
    settle(inode, random);
}

static void page_reboot(struct sim_inode *inode, struct page *page, uint64_t size)
{
    cut_durable(inode, page, size);
    drop_live(page);
    page->live = page->durable;
    page->lost = 0;
    set_allocated(inode, page, page->durable != NULL || page->reserved);
    tidy(inode, page);
}

void sim_inode_power_cut(struct sim_inode *inode, struct sim_random *random)
{
    settle(inode, random);
    inode->live_size = inode->durable_size;
    each_page_from(inode, 0, page_reboot, inode->live_size);
}
