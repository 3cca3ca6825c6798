/*
 * interval_priv.h - a set of intervals that finds what overlaps: a treap ordered by (first, last, order),
 * where each node knows the largest last and the least and greatest order below it.
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
    uint64_t first, last, order; /* set by the caller, fixed while it is in a tree */
    struct interval *left, *right;
    uint64_t max_last, min_order, max_order; /* of the subtree */
    uint32_t priority;
};

struct interval_tree {
    struct interval *root;
    size_t count;
};

typedef bool interval_match(const struct interval *interval, const void *data);

void interval_insert(struct interval_tree *tree, struct interval *interval);
/* INTERVAL must be in TREE. */
void interval_remove(struct interval_tree *tree, struct interval *interval);
/* The first in order of keys that overlaps [FIRST, LAST] and that MATCH (may be NULL: all) takes. */
struct interval *interval_find(const struct interval_tree *tree, uint64_t first, uint64_t last,
                               interval_match *match, const void *data);
/* The first that overlaps and comes behind the keys of AFTER, which need not be in the tree. */
struct interval *interval_find_after(const struct interval_tree *tree, uint64_t first, uint64_t last,
                                     const struct interval *after);
/* The one with the greatest order below BELOW that overlaps and that MATCH takes. */
struct interval *interval_find_latest(const struct interval_tree *tree, uint64_t first, uint64_t last,
                                      uint64_t below, interval_match *match, const void *data);
/* The one with exactly these ends, the least order when there are several. */
struct interval *interval_find_exact(const struct interval_tree *tree, uint64_t first, uint64_t last);
/* Any one, or NULL when it is empty. */
static inline struct interval *interval_any(const struct interval_tree *tree)
{
    return tree->root;
}

#endif
