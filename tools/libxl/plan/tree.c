/* SPDX-License-Identifier: LGPL-2.1-only */
/* The family of snapshots. See tree.h. */
#include "plan/tree.h"

#include <stdlib.h>
#include <string.h>

/* ---- finding by a text ------------------------------------------- */

struct entry {
    const char *text;
    size_t node;
};
struct index {
    struct entry *data;
    size_t len;
};

static int by_text(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = strcmp(x->text, y->text);

    return c ? c : x->node < y->node ? -1 : x->node > y->node;
}

static void add(struct index *x, const char *text, size_t node)
{
    if (!text) return;
    x->data = snap_grown(x->data, x->len, sizeof(*x->data));
    x->data[x->len++] = (struct entry){ text, node };
}

static void sort(struct index *x)
{
    if (x->len) qsort(x->data, x->len, sizeof(*x->data), by_text);
}

/* The first node of that text; *only: there is no other. */
static size_t find(const struct index *x, const char *text, bool *only)
{
    size_t from = 0, to = x->len;

    while (from < to) {
        size_t mid = from + (to - from) / 2;

        if (strcmp(x->data[mid].text, text) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    if (from == x->len || strcmp(x->data[from].text, text))
        return SNAP_TREE_NONE;
    *only = from + 1 == x->len || strcmp(x->data[from + 1].text, text);
    return x->data[from].node;
}

/* ---- parents ----------------------------------------------------- */

struct family {
    struct index names;         /* that nodes go by */
    struct index own_names;     /* that manifests have */
    struct index overlays;      /* that snapshots made */
};

static void learn(struct family *f, const struct snap_tree_node *nodes,
                  size_t n)
{
    size_t i, k;

    for (i = 0; i < n; i++) {
        const struct snap_manifest *m = nodes[i].m;

        add(&f->names, nodes[i].name, i);
        if (m) add(&f->own_names, m->name, i);
        for (k = 0; m && k < m->ndisks; k++)
            add(&f->overlays, m->disks[k].overlay, i);
    }
    sort(&f->names);
    sort(&f->own_names);
    sort(&f->overlays);
}

static size_t by_name(const struct family *f, const char *name)
{
    bool only = false;
    size_t node = find(&f->names, name, &only);

    if (node == SNAP_TREE_NONE) node = find(&f->own_names, name, &only);
    return only ? node : SNAP_TREE_NONE;
}

/* A base of it is the overlay that the parent made. */
static size_t by_images(const struct family *f, const struct snap_manifest *m,
                        size_t self)
{
    bool only;
    size_t k;

    for (k = 0; k < m->ndisks; k++) {
        size_t node = m->disks[k].image ? find(&f->overlays, m->disks[k].image,
                                               &only) : SNAP_TREE_NONE;

        if (node != SNAP_TREE_NONE && node != self) return node;
    }
    return SNAP_TREE_NONE;
}

static void find_parent(const struct family *f, struct snap_tree_node *nodes,
                        size_t i)
{
    struct snap_tree_node *node = &nodes[i];

    if (!node->m) return;
    if (node->m->parent) {
        node->parent = by_name(f, node->m->parent);
        node->parent_missing = node->parent == SNAP_TREE_NONE;
    }
    if (node->parent != SNAP_TREE_NONE) return;
    node->parent = by_images(f, node->m, i);
    node->by_images = node->parent != SNAP_TREE_NONE;
}

/* Each way up is walked once: to a root, or to where somebody was before. Who
 * was there in this same walk is met again in a cycle, which is cut there. */
static void cut_cycles(struct snap_tree_node *nodes, size_t n)
{
    size_t *seen = snap_zalloc((n + 1) * sizeof(*seen));
    size_t i, at;

    for (i = 0; i < n; i++) {
        for (at = i; at != SNAP_TREE_NONE && !seen[at]; at = nodes[at].parent)
            seen[at] = i + 1;
        if (at == SNAP_TREE_NONE || seen[at] != i + 1) continue;
        nodes[at].parent = SNAP_TREE_NONE;
        nodes[at].in_cycle = true;
    }
    free(seen);
}

void snap_tree_link(struct snap_tree_node *nodes, size_t n)
{
    struct family f = { 0 };
    size_t i;

    learn(&f, nodes, n);
    for (i = 0; i < n; i++) {
        nodes[i].parent = SNAP_TREE_NONE;
        nodes[i].by_images = nodes[i].parent_missing = false;
        nodes[i].in_cycle = false;
        nodes[i].nchildren = 0;
        find_parent(&f, nodes, i);
    }
    cut_cycles(nodes, n);
    for (i = 0; i < n; i++)
        if (nodes[i].parent != SNAP_TREE_NONE)
            nodes[nodes[i].parent].nchildren++;
    free(f.names.data);
    free(f.own_names.data);
    free(f.overlays.data);
}

/* ---- the walk ---------------------------------------------------- */

/* The children of each, chained: first[parent] (first[n]: of none), then
 * next[child]. */
struct chains {
    size_t *first, *next;
};

static void chain(const struct snap_tree_node *nodes, size_t n,
                  struct chains *c)
{
    size_t i, k;

    c->first = snap_zalloc((n + 1) * sizeof(*c->first));
    c->next = snap_zalloc((n + 1) * sizeof(*c->next));
    for (i = 0; i <= n; i++) c->first[i] = SNAP_TREE_NONE;
    for (i = n; i-- > 0;) {
        k = nodes[i].parent == SNAP_TREE_NONE ? n : nodes[i].parent;
        c->next[i] = c->first[k];
        c->first[k] = i;
    }
}

size_t *snap_tree_walk(struct snap_tree_node *nodes, size_t n)
{
    size_t *order = snap_zalloc((n + 1) * sizeof(*order));
    struct chains c;
    size_t len = 0, depth = 0, at;

    chain(nodes, n, &c);
    at = c.first[n];
    while (at != SNAP_TREE_NONE) {
        order[len++] = at;
        nodes[at].depth = depth;
        nodes[at].last = c.next[at] == SNAP_TREE_NONE;
        if (c.first[at] != SNAP_TREE_NONE) {
            at = c.first[at];
            depth++;
            continue;
        }
        while (c.next[at] == SNAP_TREE_NONE
               && nodes[at].parent != SNAP_TREE_NONE) {
            at = nodes[at].parent;
            depth--;
        }
        at = c.next[at];
    }
    free(c.first);
    free(c.next);
    return order;
}
