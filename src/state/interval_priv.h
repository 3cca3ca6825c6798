/*
 * interval_priv.h - a set of intervals that finds what overlaps: a treap ordered by (first, last, order),
 * where each node knows the largest last, the least and greatest order, the one tag that all have, and the
 * kinds below it: so a search passes over what can't matter to it, however much that is.
 *
 * Intervals are inclusive. One with first > last is empty: a point between two numbers, which overlaps what
 * has both in it. `order` makes equal intervals distinct and is unique in a tree.
 */
#ifndef DITTOFS_STATE_INTERVAL_PRIV_H
#define DITTOFS_STATE_INTERVAL_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interval {
    /* set by the caller, fixed while it is in a tree */
    uint64_t first, last, order;
    uint64_t tag; /* whose it is; 0: nobody's */
    uint8_t kind; /* bits */
    /* of the subtree */
    uint8_t kinds;
    uint32_t priority;
    struct interval *left, *right;
    uint64_t max_last, min_order, max_order;
    uint64_t only; /* the tag that all have; 0: they differ */
};

struct interval_tree {
    struct interval *root;
    size_t count;
};

/* What a search passes over. */
struct interval_filter {
    uint64_t not_tag; /* what has this tag; 0: nothing for its tag */
    unsigned kinds;   /* what has none of these bits; 0: nothing for its kind */
};

typedef bool interval_match(const struct interval *interval, const void *data);

void interval_insert(struct interval_tree *tree, struct interval *interval);
/* INTERVAL must be in TREE. */
void interval_remove(struct interval_tree *tree, struct interval *interval);
/* The first in order of keys that overlaps [FIRST, LAST] and that MATCH (may be NULL: all) takes. */
struct interval *interval_find(const struct interval_tree *tree, uint64_t first, uint64_t last,
                               interval_match *match, const void *data);
/* The first that overlaps and that FILTER leaves. */
struct interval *interval_find_other(const struct interval_tree *tree, uint64_t first, uint64_t last,
                                     struct interval_filter filter);
/* The first that overlaps and comes behind the keys of AFTER, which need not be in the tree. */
struct interval *interval_find_after(const struct interval_tree *tree, uint64_t first, uint64_t last,
                                     const struct interval *after);
/* The one with the greatest order below BELOW that overlaps and that MATCH takes. */
struct interval *interval_find_latest(const struct interval_tree *tree, uint64_t first, uint64_t last,
                                      uint64_t below, interval_match *match, const void *data);
/* The same with what FILTER leaves. */
struct interval *interval_find_latest_other(const struct interval_tree *tree, uint64_t first, uint64_t last,
                                            uint64_t below, struct interval_filter filter);
/* The one with exactly these ends, the least order when there are several. */
struct interval *interval_find_exact(const struct interval_tree *tree, uint64_t first, uint64_t last);
/* Any one, or NULL when it is empty. */
static inline struct interval *interval_any(const struct interval_tree *tree)
{
    return tree->root;
}

#endif
