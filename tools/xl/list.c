/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-list: what is in a directory of snapshots, as a table, as a tree or
 * as JSON.  Text and JSON are made from the same table of fields.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "commands.h"
#include "inventory.h"
#include "operations.h"
#include "plan/tree.h"
#include "print.h"
#include "say.h"
#include "session.h"
#include "store.h"

/* ---- a line ---------------------------------------------------------- */

/* Strings are borrowed, except for the last. */
struct row {
    const char *name, *directory, *created, *consistency, *state, *parent;
    const char *known_by, *manifest_name, *description, *broken;
    bool current, parent_missing;
    struct snap_strings disks, kinds;
    uint64_t ndisks, size_bytes, children;
    int64_t pause_ms;
    char *shown;                /* the name, '*' behind the current one */
    char *shown_parent;
    char *drawn;                /* the name, with lines to the parent's */
};

#define ROW(member) offsetof(struct row, member)
static const struct xl_field row_fields[] = {
    { "name", NULL, FIELD_TEXT, ROW(name), NULL },
    { NULL, "NAME", FIELD_TEXT, ROW(shown), "?" },
    { "directory", NULL, FIELD_TEXT, ROW(directory), NULL },
    { "manifest_name", NULL, FIELD_TEXT, ROW(manifest_name), NULL },
    { "description", NULL, FIELD_TEXT, ROW(description), NULL },
    { "current", NULL, FIELD_BOOL, ROW(current), NULL },
    { "created", "CREATED", FIELD_TIME, ROW(created), "?" },
    { "consistency", "CLASS", FIELD_TEXT, ROW(consistency), "?" },
    { "state", "STATE", FIELD_TEXT, ROW(state), "?" },
    { "pause_ms", NULL, FIELD_MS, ROW(pause_ms), NULL },
    { "parent", NULL, FIELD_TEXT, ROW(parent), NULL },
    { NULL, "PARENT", FIELD_TEXT, ROW(shown_parent), "?" },
    { "parent_known_by", NULL, FIELD_TEXT, ROW(known_by), NULL },
    { "parent_missing", NULL, FIELD_BOOL, ROW(parent_missing), NULL },
    { "children", NULL, FIELD_COUNT, ROW(children), NULL },
    { "disks", NULL, FIELD_LIST, ROW(disks), NULL },
    { "disk_kinds", NULL, FIELD_LIST, ROW(kinds), NULL },
    { NULL, "DISKS", FIELD_COUNT, ROW(ndisks), "0" },
    { "size_bytes", "SIZE", FIELD_BYTES, ROW(size_bytes), "0" },
    { "broken", NULL, FIELD_TEXT, ROW(broken), NULL },
};

static const struct xl_field tree_fields[] = {
    { NULL, "NAME", FIELD_TEXT, ROW(drawn), "?" },
    { NULL, "CREATED", FIELD_TIME, ROW(created), "?" },
    { NULL, "CLASS", FIELD_TEXT, ROW(consistency), "?" },
    { NULL, "STATE", FIELD_TEXT, ROW(state), "?" },
    { NULL, "SIZE", FIELD_BYTES, ROW(size_bytes), "0" },
};

static void describe(struct row *r, const libxl_snapshot_manifest *m)
{
    size_t i;

    r->created = m->created;
    r->consistency = m->consistency;
    r->state = m->domain_state;
    r->description = m->description;
    r->manifest_name = m->name;
    r->pause_ms = m->pause_ms;
    r->ndisks = m->ndisks;
    for (i = 0; i < m->ndisks; i++) {
        snap_strings_add(&r->disks, m->disks[i].vdev);
        snap_strings_add(&r->kinds, m->disks[i].type == SNAP_DISK_EXTERNAL
                         ? "external" : "internal");
    }
}

static void tell_parent(struct row *r, const struct snap_tree_node *nodes,
                        size_t i)
{
    const struct snap_tree_node *n = &nodes[i];

    r->children = n->nchildren;
    r->parent_missing = n->parent_missing;
    if (n->parent != SNAP_TREE_NONE) {
        r->parent = nodes[n->parent].name;
        r->known_by = n->by_images ? "images" : "manifest";
    } else if (n->parent_missing) {
        r->parent = n->m->parent;
        r->known_by = "manifest";
    }
    if (r->parent)
        r->shown_parent = snap_printf("%s%s", r->parent, n->parent_missing
                                      && !n->by_images ? " (gone)" : "");
}

static void make_row(struct row *r, const struct xl_entry *e,
                     const struct snap_tree_node *nodes, size_t i)
{
    memset(r, 0, sizeof(*r));
    r->name = e->name;
    r->directory = e->directory;
    r->current = e->current;
    r->shown = snap_printf("%s%s", e->name, e->current ? "*" : "");
    r->size_bytes = e->size_bytes;
    r->broken = e->broken;
    if (!e->broken) describe(r, &e->set.manifest);
    tell_parent(r, nodes, i);
}

static void rows_free(struct row *rows, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        free(rows[i].shown);
        free(rows[i].shown_parent);
        free(rows[i].drawn);
        snap_strings_dispose(&rows[i].disks);
        snap_strings_dispose(&rows[i].kinds);
    }
    free(rows);
}

/* ---- the tree -------------------------------------------------------- */

/* Without setlocale(): who calls us may have its own. */
static bool terminal_has_utf8(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    size_t i;

    for (i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);

        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

/* In the order of the walk; the lines above a name are those of its parents
 * that have another child to come. */
static void draw(struct row *rows, const struct snap_tree_node *nodes,
                 const size_t *order, size_t n)
{
    static const char *const plain[] = { "|- ", "`- ", "|  ", "   " };
    static const char *const fine[] = { "├─ ", "└─ ", "│  ", "   " };
    const char *const *line = terminal_has_utf8() ? fine : plain;
    const char **above = snap_zalloc((n + 1) * sizeof(*above));
    size_t i, k;

    for (i = 0; i < n; i++) {
        const struct snap_tree_node *node = &nodes[order[i]];
        struct snap_text t = { 0 };

        above[node->depth] = line[node->last ? 3 : 2];
        for (k = 1; k < node->depth; k++) snap_text_add(&t, "%s", above[k]);
        if (node->depth) snap_text_add(&t, "%s", line[node->last ? 1 : 0]);
        snap_text_add(&t, "%s", rows[order[i]].shown);
        rows[order[i]].drawn = t.data;
    }
    free(above);
}

/* ---- what is printed ------------------------------------------------- */

struct listing {
    const struct xl_request *rq;
    bool headings;
    size_t domains;             /* with snapshots, so far */
    struct snap_json *json;
};

static void say_more(FILE *f, const void *row)
{
    const struct row *r = row;
    struct snap_text t = { 0 };
    size_t i;

    for (i = 0; i < r->disks.len; i++)
        snap_text_add(&t, "%s%s %s", i ? ", " : "", r->disks.data[i],
                      r->kinds.data[i]);
    if (r->pause_ms)
        snap_text_add(&t, "%sstood still for %lld ms", t.len ? "; " : "",
                      (long long)r->pause_ms);
    if (t.data) {
        fprintf(f, "    ");
        xl_wrap(f, t.data, 4, 4);
    }
    free(t.data);
    if (r->description && *r->description) {
        AUTO_FREE char *clean = xl_clean(r->description);

        fprintf(f, "    ");
        xl_wrap(f, clean, 4, 4);
    }
}

static void print_broken(const struct row *r)
{
    AUTO_FREE char *line = snap_printf("%s broken: %s", r->shown, r->broken);
    AUTO_FREE char *clean = xl_clean(line);

    xl_put_line(stdout, clean);
}

/* The rows of `shown`, in that order. */
static void print_rows(const struct listing *l, const struct row *rows,
                       const size_t *shown, size_t n)
{
    bool tree = xl_given(l->rq, OPT_TREE);
    const void **table = snap_zalloc((n + 1) * sizeof(*table));
    size_t i, len = 0;

    for (i = 0; i < n; i++)
        if (tree || !rows[shown[i]].broken) table[len++] = &rows[shown[i]];
    if (len)
        xl_fields_table(stdout, tree ? tree_fields : row_fields,
                        tree ? XL_FIELDS(tree_fields) : XL_FIELDS(row_fields),
                        table, len,
                        xl_given(l->rq, OPT_LONG) ? say_more : NULL);
    for (i = 0; i < n; i++)
        if (rows[shown[i]].broken) print_broken(&rows[shown[i]]);
    free(table);
}

static struct snap_json *domain_json(const char *domain, const char *dir,
                                     const struct row *rows,
                                     const size_t *shown, size_t n)
{
    struct snap_json *o = snap_json_new_object();
    struct snap_json *list = snap_json_new_array();
    AUTO_FREE char *name = xl_json_text(domain);
    AUTO_FREE char *path = xl_json_text(dir);
    size_t i;

    for (i = 0; i < n; i++) {
        struct snap_json *r = snap_json_new_object();

        xl_fields_json(row_fields, XL_FIELDS(row_fields), &rows[shown[i]], r);
        snap_json_append(list, r);
    }
    snap_json_set_str(o, "domain", name);
    snap_json_set_str(o, "directory", path);
    snap_json_set(o, "snapshots", list);
    return o;
}

static void print_heading(const struct listing *l, const char *domain)
{
    AUTO_FREE char *clean = l->headings ? xl_clean(domain) : NULL;

    if (clean) printf("%sDomain '%s':\n", l->domains ? "\n" : "", clean);
}

/* What is odd, but not broken. */
static void tell_odd(const struct xl_request *rq, const struct row *rows,
                     const struct snap_tree_node *nodes, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (rows[i].manifest_name
            && strcmp(rows[i].manifest_name, rows[i].name))
            xl_note(rq, "Note: '%s' calls itself '%s' in its manifest: it is "
                    "a copy, or was renamed.", rows[i].name,
                    rows[i].manifest_name);
        if (nodes[i].in_cycle)
            xl_note(rq, "Note: '%s' descends from itself, as the manifests "
                    "say ('%s' is its parent there); it is shown without a "
                    "parent.", rows[i].name, nodes[i].m->parent);
    }
}

/* ---- one directory --------------------------------------------------- */

static bool wanted(const struct xl_request *rq,
                   const struct snap_tree_node *node)
{
    if (xl_given(rq, OPT_ROOTS) && node->parent != SNAP_TREE_NONE)
        return false;
    return !xl_given(rq, OPT_LEAVES) || !node->nchildren;
}

/* The numbers of the entries to show, in order; malloc'd. */
static size_t *choose(const struct xl_request *rq,
                      struct snap_tree_node *nodes, struct row *rows,
                      size_t n, size_t *nshown)
{
    size_t *shown, i;

    *nshown = 0;
    if (xl_given(rq, OPT_TREE)) {
        shown = snap_tree_walk(nodes, n);
        draw(rows, nodes, shown, n);
        *nshown = n;
        return shown;
    }
    shown = snap_zalloc((n + 1) * sizeof(*shown));
    for (i = 0; i < n; i++)
        if (wanted(rq, &nodes[i])) shown[(*nshown)++] = i;
    return shown;
}

static void print_entries(struct listing *l, const char *domain,
                          const char *dir, const struct xl_entries *e)
{
    struct snap_tree_node *nodes = snap_zalloc((e->len + 1) * sizeof(*nodes));
    struct row *rows = snap_zalloc((e->len + 1) * sizeof(*rows));
    size_t *shown, i, n;

    for (i = 0; i < e->len; i++) {
        nodes[i].name = e->data[i].name;
        nodes[i].m = e->data[i].broken ? NULL : &e->data[i].set.manifest;
    }
    snap_tree_link(nodes, e->len);
    for (i = 0; i < e->len; i++) make_row(&rows[i], &e->data[i], nodes, i);
    shown = choose(l->rq, nodes, rows, e->len, &n);
    if (l->json) {
        snap_json_append(l->json, domain_json(domain, dir, rows, shown, n));
    } else if (n) {
        print_heading(l, domain);
        print_rows(l, rows, shown, n);
    }
    tell_odd(l->rq, rows, nodes, e->len);
    for (i = 0; i < e->unfinished.len && xl_given(l->rq, OPT_VERBOSE); i++)
        xl_note(l->rq, "%s/%s: has no " SNAP_MANIFEST_FILE ": not a "
                "snapshot, or one that is being made or was interrupted",
                dir, e->unfinished.data[i]);
    if (e->len) l->domains++;
    free(shown);
    free(nodes);
    rows_free(rows, e->len);
}

static int list_directory(struct listing *l, const char *domain,
                          const char *dir)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct xl_entries entries;
    int rc, status = 0;

    rc = xl_store_list(&sc, dir, &entries);
    if (rc)
        status = xl_fail(l->rq, XL_REFUSED, NULL, "%s", sc.message);
    else if (entries.len || entries.unfinished.len || !l->headings)
        print_entries(l, domain, dir, &entries);
    xl_entries_dispose(&entries);
    snap_ctx_dispose(&sc);
    return status;
}

/* ---- which directories ----------------------------------------------- */

static int list_store(struct listing *l)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_strings dirs = { 0 };
    size_t i;
    int status = 0;

    if (xl_store_domains(&sc, l->rq->store, &dirs))
        status = xl_fail(l->rq, XL_REFUSED, NULL, "%s", sc.message);
    for (i = 0; !status && i < dirs.len; i++) {
        AUTO_FREE char *dir = snap_printf("%s/%s", l->rq->store,
                                          dirs.data[i]);
        AUTO_FREE char *name = xl_store_decode_name(dirs.data[i]);

        status = list_directory(l, name ? name : dirs.data[i], dir);
    }
    snap_strings_dispose(&dirs);
    snap_ctx_dispose(&sc);
    return status;
}

/* A directory that was named is there. */
static int list_path(struct listing *l, char **dir)
{
    const struct xl_request *rq = l->rq;
    struct stat st;

    *dir = xl_absolute(rq->value[OPT_PATH]);
    if (stat(*dir, &st))
        return xl_fail(rq, XL_REFUSED, NULL, "'%s': %s", *dir,
                       strerror(errno));
    if (!S_ISDIR(st.st_mode) || xl_store_has(*dir, SNAP_MANIFEST_FILE))
        return xl_fail(rq, XL_REFUSED, NULL, "'%s' is %s; --path wants the "
                       "directory that snapshots are in", *dir,
                       S_ISDIR(st.st_mode) ? "a snapshot itself"
                                           : "no directory");
    return list_directory(l, NULL, *dir);
}

static int list_domain(struct listing *l, char **domain, char **dir)
{
    int status = xl_domain_name(l->rq, l->rq->args[0], true, domain);

    if (status) return status;
    *dir = xl_store_domain_dir(l->rq->store, *domain);
    return list_directory(l, *domain, *dir);
}

static void finish(struct listing *l, const char *domain, const char *dir)
{
    const struct xl_request *rq = l->rq;
    struct snap_json *o = l->json ? snap_json_new_object() : NULL;

    if (!l->domains)
        xl_note(rq, "There are no snapshots in %s.", dir ? dir : rq->store);
    if (o) {
        AUTO_FREE char *store = xl_json_text(rq->store);

        snap_json_set_int(o, "exit", XL_DONE);
        snap_json_set_str(o, "store", store);
        snap_json_set(o, "domains", l->json);
    }
    xl_show_operations(rq, domain, o);
    if (o) xl_print_json(o);
}

int xl_snapshot_list(struct xl_request *rq)
{
    struct listing l = { .rq = rq, .headings = false };
    AUTO_FREE char *domain = NULL;
    AUTO_FREE char *dir = NULL;
    int status;

    if (xl_given(rq, OPT_DISKS)) return xl_list_disks(rq);
    if (rq->value[OPT_PATH] && rq->nargs)
        return xl_fail_usage(rq->command->name, xl_given(rq, OPT_JSON),
                             "give a DOMAIN or --path DIR, not both");
    if (xl_given(rq, OPT_JSON)) l.json = snap_json_new_array();
    l.headings = !rq->nargs && !rq->value[OPT_PATH];
    if (rq->nargs)
        status = list_domain(&l, &domain, &dir);
    else if (rq->value[OPT_PATH])
        status = list_path(&l, &dir);
    else
        status = list_store(&l);
    if (status)
        snap_json_free(l.json);
    else
        finish(&l, domain, dir);
    return status;
}
