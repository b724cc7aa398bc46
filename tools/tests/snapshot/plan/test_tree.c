/* SPDX-License-Identifier: LGPL-2.1-only */
/* Who descends from whom. */
#include "plan/tree.h"
#include "tap.h"

#include <time.h>

#define MAX 16

/* Snapshots named in one text: "NAME(PARENT)"; "?": its manifest does not say.
 * The manifests' own names are the same. */
static struct snap_manifest manifests[MAX];
static struct snap_tree_node nodes[MAX];
static size_t count;

static void forget(void)
{
    size_t i;

    for (i = 0; i < count; i++) {
        free((char *)nodes[i].name);
        snap_manifest_dispose(&manifests[i]);
    }
    memset(nodes, 0, sizeof(nodes));
    memset(manifests, 0, sizeof(manifests));
    count = 0;
}

static void add(const char *name, const char *parent)
{
    struct snap_manifest *m = &manifests[count];

    m->name = snap_strdup(name);
    m->parent = strcmp(parent, "?") ? snap_strdup(parent) : NULL;
    nodes[count].name = snap_strdup(name);
    nodes[count++].m = m;
}

static void family(const char *text)
{
    AUTO_FREE char *copy = snap_strdup(text);
    char *word, *rest = copy;

    forget();
    while ((word = strsep(&rest, " "))) {
        char *parent = strchr(word, '(');

        *parent++ = '\0';
        parent[strcspn(parent, ")")] = '\0';
        add(word, parent);
    }
}

/* An external disk: frozen, and the overlay that was made. */
static void froze(size_t node, const char *image, const char *overlay)
{
    struct snap_manifest_disk *d = snap_manifest_add_disk(&manifests[node]);

    d->type = SNAP_DISK_EXTERNAL;
    d->image = snap_strdup(image);
    d->overlay = snap_strdup(overlay);
}

/* The tree as a text: a level more is a '.' more, the last sibling has a '/';
 * static. */
static const char *drawn(void)
{
    static char text[256];
    size_t *order, i, len = 0;

    snap_tree_link(nodes, count);
    order = snap_tree_walk(nodes, count);
    for (i = 0; i < count; i++) {
        const struct snap_tree_node *n = &nodes[order[i]];

        len += snprintf(text + len, sizeof(text) - len, "%s%.*s%s%s",
                        i ? " " : "", (int)n->depth, "........", n->name,
                        n->last ? "/" : "");
    }
    free(order);
    return text;
}

static void test_shapes(void)
{
    forget();
    is_str(drawn()[0] ? "something" : "", "", "of nothing there is no tree");
    family("a(?)");
    is_str(drawn(), "a/", "one alone");
    family("a(?) b(a) c(b)");
    is_str(drawn(), "a/ .b/ ..c/", "a line");
    family("a(?) b(a) c(a) d(b) e(?)");
    is_str(drawn(), "a .b ..d/ .c/ e/", "branches, and two roots");
    is_uint(nodes[0].nchildren, 2, "children are counted");
    family("c(b) b(a) a(?)");
    is_str(drawn(), "a/ .b/ ..c/", "whatever the order they come in");
}

static void test_unknown(void)
{
    family("a(?) b(gone) c(b)");
    is_str(drawn(), "a b/ .c/", "whose parent is gone is a root");
    ok(nodes[1].parent_missing && !nodes[0].parent_missing, "which is known");
    family("a(?) b(a)");
    nodes[0].m = NULL;
    is_str(drawn(), "a/ .b/", "a broken one has the children that name it");
    family("a(?) moved(?) b(old)");
    free(manifests[1].name);
    manifests[1].name = snap_strdup("old");
    is_str(drawn(), "a moved/ .b/", "one whose directory was renamed is found "
           "by its manifest");
    free(manifests[0].name);
    manifests[0].name = snap_strdup("old");
    is_str(drawn(), "a moved b/", "not if two manifests have that name");
}

static void test_images(void)
{
    family("a(?) b(?) c(?)");
    froze(0, "/base", "/one");
    froze(1, "/one", "/two");
    froze(2, "/base", "/three");
    is_str(drawn(), "a .b/ c/", "a base that another's overlay is was frozen "
           "after that");
    ok(nodes[1].by_images && !nodes[2].by_images, "which is known");
    family("a(?) b(?) c(a)");
    froze(0, "/base", "/one");
    froze(1, "/base", "/two");
    froze(2, "/two", "/three");
    is_str(drawn(), "a .c/ b/", "what the manifest says comes first");
    family("a(?)");
    froze(0, "/one", "/one");
    is_str(drawn(), "a/", "nobody is his own parent");
}

static void test_cycles(void)
{
    family("a(a)");
    is_str(drawn(), "a/", "also when the manifest says so");
    ok(nodes[0].in_cycle, "which is known");
    family("a(c) b(a) c(b) d(c)");
    is_str(drawn(), "a/ .b/ ..c/ ...d/", "a cycle is cut");
    ok(nodes[0].in_cycle && !nodes[1].in_cycle && !nodes[3].in_cycle,
       "in one place");
}

/* A quadratic step would show: it is four times the time for twice the work,
 * and a million comparisons for a thousand. */
static void test_many(void)
{
    enum { MANY = 20000 };
    struct snap_manifest *m = snap_zalloc(MANY * sizeof(*m));
    struct snap_tree_node *many = snap_zalloc(MANY * sizeof(*many));
    clock_t began = clock();
    size_t *order, i;

    for (i = 0; i < MANY; i++) {
        m[i].name = snap_printf("s%zu", i);
        m[i].parent = i ? snap_printf("s%zu", i - 1) : NULL;
        many[i].name = m[i].name;
        many[i].m = &m[i];
    }
    snap_tree_link(many, MANY);
    order = snap_tree_walk(many, MANY);
    is_uint(many[order[MANY - 1]].depth, MANY - 1, "a line of 20,000");
    ok(clock() - began < 2 * CLOCKS_PER_SEC, "takes no time");
    for (i = 0; i < MANY; i++) snap_manifest_dispose(&m[i]);
    free(order);
    free(many);
    free(m);
}

int main(void)
{
    test_shapes();
    test_unknown();
    test_images();
    test_cycles();
    test_many();
    forget();
    return done_testing();
}
