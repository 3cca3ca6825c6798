/*
 * list.h - doubly linked lists whose links live in the members.
 */
#ifndef DITTOFS_LIST_H
#define DITTOFS_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *previous;
};

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static inline void list_init(struct list *head)
{
    head->next = head->previous = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert_after(struct list *where, struct list *item)
{
    item->next = where->next;
    item->previous = where;
    where->next->previous = item;
    where->next = item;
}

static inline void list_push_front(struct list *head, struct list *item)
{
    list_insert_after(head, item);
}

static inline void list_push_back(struct list *head, struct list *item)
{
    list_insert_after(head->previous, item);
}

/* Unlinks ITEM and leaves it as an empty list, so that unlinking twice does no harm. */
static inline void list_remove(struct list *item)
{
    item->previous->next = item->next;
    item->next->previous = item->previous;
    item->next = item->previous = item;
}

/* Moves all members of FROM to the end of TO. */
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->previous = to->previous;
    to->previous->next = from->next;
    from->previous->next = to;
    to->previous = from->previous;
    list_init(from);
}

#define list_first(head, type, member) container_of((head)->next, type, member)
#define list_last(head, type, member)  container_of((head)->previous, type, member)

/* Walks a list; the member at hand may be unlinked. NEXT is a struct list pointer of the caller's. */
#define list_for_each_safe(link, following, head)                                                            \
    for ((link) = (head)->next, (following) = (link)->next; (link) != (head);                                \
         (link) = (following), (following) = (link)->next)
#define list_for_each(link, head) for ((link) = (head)->next; (link) != (head); (link) = (link)->next)

#endif
