/*
 * interval.c - a set of intervals that finds what overlaps.
 *
 * A treap: a binary search tree by (first, last, order) and a heap by random priority, so its depth is
 * O(log n) whatever the order of insertion. Priorities come from a generator of its own: clients must not be
 * able to guess them, so it starts at a random place.
 */
#include "state/interval_priv.h"

#include "dittofs/hash.h"
#include "dittofs/log.h"
#include "dittofs/random.h"

static uint32_t next_priority(void)
{
    static uint64_t counter;

    if (counter == 0)
        counter = random_u64() | 1;
    counter += 2;
    return (uint32_t)hash_u64(counter);
}

static int compare(const struct interval *a, const struct interval *b)
{
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    if (a->last != b->last)
        return a->last < b->last ? -1 : 1;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return 0;
}

static void update_from(struct interval *node, const struct interval *child)
{
    if (child == NULL)
        return;
    if (child->max_last > node->max_last)
        node->max_last = child->max_last;
    if (child->min_order < node->min_order)
        node->min_order = child->min_order;
    if (child->max_order > node->max_order)
        node->max_order = child->max_order;
    if (child->only != node->only)
        node->only = 0;
    node->kinds |= child->kinds;
}

static void update(struct interval *node)
{
    node->max_last = node->last;
    node->min_order = node->max_order = node->order;
    node->only = node->tag;
    node->kinds = node->kind;
    update_from(node, node->left);
    update_from(node, node->right);
}

/* Parts the tree at ROOT into what is before and what is behind KEY. */
static void split(struct interval *root, const struct interval *key, struct interval **before_r,
                  struct interval **behind_r)
{
    if (root == NULL) {
        *before_r = *behind_r = NULL;
        return;
    }
    if (compare(root, key) < 0) {
        split(root->right, key, &root->right, behind_r);
        *before_r = root;
    } else {
        split(root->left, key, before_r, &root->left);
        *behind_r = root;
    }
    update(root);
}

/* Everything of BEFORE is before everything of BEHIND. */
static struct interval *merge(struct interval *before, struct interval *behind)
{
    if (before == NULL)
        return behind;
    if (behind == NULL)
        return before;
    if (before->priority > behind->priority) {
        before->right = merge(before->right, behind);
        update(before);
        return before;
    }
    behind->left = merge(before, behind->left);
    update(behind);
    return behind;
}

static struct interval *insert(struct interval *root, struct interval *node)
{
    if (root == NULL || node->priority > root->priority) {
        split(root, node, &node->left, &node->right);
        update(node);
        return node;
    }
    if (compare(node, root) < 0)
        root->left = insert(root->left, node);
    else
        root->right = insert(root->right, node);
    update(root);
    return root;
}

void interval_insert(struct interval_tree *tree, struct interval *interval)
{
    interval->priority = next_priority();
    tree->root = insert(tree->root, interval);
    tree->count++;
}

static struct interval *take_out(struct interval *root, struct interval *node)
{
    invariant(root != NULL);
    if (root == node)
        return merge(root->left, root->right);
    if (compare(node, root) < 0)
        root->left = take_out(root->left, node);
    else
        root->right = take_out(root->right, node);
    update(root);
    return root;
}

void interval_remove(struct interval_tree *tree, struct interval *interval)
{
    tree->root = take_out(tree->root, interval);
    tree->count--;
    interval->left = interval->right = NULL;
}

struct query {
    uint64_t first, last, below;
    const struct interval *after;
    struct interval_filter filter;
    interval_match *match;
    const void *data;
};

static bool leaves(const struct interval_filter *filter, uint64_t tag, uint8_t kinds)
{
    return (filter->not_tag == 0 || tag != filter->not_tag) &&
           (filter->kinds == 0 || (kinds & filter->kinds) != 0);
}

/* NODE does not begin behind what is looked for. */
static bool is_hit(const struct interval *node, const struct query *query)
{
    return query->first <= node->last && leaves(&query->filter, node->tag, node->kind) &&
           (query->match == NULL || query->match(node, query->data));
}

/* May there be a hit at NODE or below? */
static bool may_have(const struct interval *node, const struct query *query)
{
    return node->max_last >= query->first && leaves(&query->filter, node->only, node->kinds);
}

static struct interval *find(struct interval *node, const struct query *query)
{
    while (node != NULL && may_have(node, query)) {
        struct interval *found;

        if (query->after != NULL && compare(node, query->after) <= 0) {
            node = node->right;
            continue;
        }
        found = find(node->left, query);
        if (found != NULL)
            return found;
        if (node->first > query->last)
            return NULL;
        if (is_hit(node, query))
            return node;
        node = node->right;
    }
    return NULL;
}

struct interval *interval_find(const struct interval_tree *tree, uint64_t first, uint64_t last,
                               interval_match *match, const void *data)
{
    struct query query = {.first = first, .last = last, .match = match, .data = data};

    return find(tree->root, &query);
}

struct interval *interval_find_other(const struct interval_tree *tree, uint64_t first, uint64_t last,
                                     struct interval_filter filter)
{
    struct query query = {.first = first, .last = last, .filter = filter};

    return find(tree->root, &query);
}

struct interval *interval_find_after(const struct interval_tree *tree, uint64_t first, uint64_t last,
                                     const struct interval *after)
{
    struct query query = {.first = first, .last = last, .after = after};

    return find(tree->root, &query);
}

/* Subtrees that have nothing below query->below, or nothing later than BEST, are passed over. Right before
 * left: equal intervals lie in order. */
static struct interval *find_latest(struct interval *node, const struct query *query, struct interval *best)
{
    while (node != NULL && may_have(node, query) && node->min_order < query->below &&
           (best == NULL || node->max_order > best->order)) {
        if (node->first <= query->last) {
            best = find_latest(node->right, query, best);
            if (node->order < query->below && (best == NULL || node->order > best->order) &&
                is_hit(node, query))
                best = node;
        }
        node = node->left;
    }
    return best;
}

struct interval *interval_find_latest(const struct interval_tree *tree, uint64_t first, uint64_t last,
                                      uint64_t below, interval_match *match, const void *data)
{
    struct query query = {.first = first, .last = last, .below = below, .match = match, .data = data};

    return find_latest(tree->root, &query, NULL);
}

struct interval *interval_find_latest_other(const struct interval_tree *tree, uint64_t first, uint64_t last,
                                            uint64_t below, struct interval_filter filter)
{
    struct query query = {.first = first, .last = last, .below = below, .filter = filter};

    return find_latest(tree->root, &query, NULL);
}

struct interval *interval_find_exact(const struct interval_tree *tree, uint64_t first, uint64_t last)
{
    struct interval key = {.first = first, .last = last, .order = 0};
    struct interval *node = tree->root, *best = NULL;

    while (node != NULL) {
        if (compare(node, &key) < 0) {
            node = node->right;
        } else {
            best = node;
            node = node->left;
        }
    }
    return best != NULL && best->first == first && best->last == last ? best : NULL;
}
