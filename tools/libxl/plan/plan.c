/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Plans as data: building, reading and printing them.  Which steps a command
 * needs is plan_create.c's and plan_revert.c's business; what a step does is
 * step/'s.
 */
#include "plan/plan.h"

#include <stdio.h>
#include <string.h>

/* Journal words: never change one; text: for --dry-run, see print_step. */
static const struct {
    const char *word;
    const char *text;       /* {key} stands for an argument */
} kinds[STEP_KINDS] = {
    [STEP_DIRECTORY] = { "directory", "make the directory {path}" },
    [STEP_MEMORY_FILE] = { "memory-file",
        "allocate {bytes} bytes for the memory image {path}" },
    [STEP_MONITOR_HOLD] = { "monitor-hold",
        "hold xl's monitor, process {pid}" },
    [STEP_SUSPEND] = { "suspend",
        "suspend domain {domid}, begin to {how} its memory to {path}" },
    [STEP_READY] = { "ready",
        "compare QEMU's disks with this plan, tell it of the transaction" },
    [STEP_MEMORY] = { "memory",
        "wait until all memory is in {path}, domain stays suspended" },
    [STEP_RECHECK] = { "recheck",
        "compare disks and configuration with this plan" },
    [STEP_DISKS] = { "disks", "snapshot in one transaction:" },
    [STEP_CONFIG] = { "config",
        "tell the toolstack the new images:" },
    [STEP_RESUME] = { "resume", "resume domain {domid}{then}" },
    [STEP_MONITOR_RELEASE] = { "monitor-release",
        "let xl's monitor, process {pid}, go on" },
    [STEP_SEAL] = { "seal", "sync memory image and overlays to disk" },
    [STEP_PROTECT] = { "protect", "make the frozen base {path} immutable" },
    [STEP_MANIFEST] = { "manifest", "write {path}" },
    [STEP_CURRENT] = { "current", "note in {path} that {name} is current" },
    [STEP_OVERLAY] = { "overlay",
        "make overlay {path} on {base} for {vdev}" },
    [STEP_COPY] = { "copy",
        "copy {from} to {path} ({bytes} bytes) for {vdev}: others depend on "
        "the original" },
    [STEP_PAUSE] = { "pause", "pause domain {domid}" },
    [STEP_RECHECK_IDLE] = { "recheck-idle",
        "look again: same domain, same images, nobody else has them open" },
    [STEP_DESTROY] = { "destroy",
        "destroy domain {domid}, wait until its QEMU is gone" },
    [STEP_DESTROYED] = { "destroyed", "wait until domain {domid} is gone" },
    [STEP_MONITOR_END] = { "monitor-end", "end xl's monitor, process {pid}" },
    [STEP_APPLY_TAG] = { "apply-tag",
        "put {path} ({vdev}) back to its tag {tag}" },
    [STEP_BUILD] = { "build",
        "build domain {domain} from {memory} with {xl}{then}" },
    [STEP_BOOT] = { "boot",
        "boot domain {domain} from these disks with {xl}, configured by {by}"
        "{then}" },
    [STEP_REMOVE_OVERLAY] = { "remove-overlay",
        "remove {path}: nothing was written to it" },
    [STEP_DELETE_TAG_LIVE] = { "delete-tag-live",
        "ask QEMU to delete tag {tag} from {vdev} ({path})" },
    [STEP_DELETE_TAG] = { "delete-tag",
        "delete tag {tag} from {path} with qemu-img" },
    [STEP_RELINK] = { "relink",
        "note the parent of {path}: " },
    [STEP_REMOVE_SNAPSHOT] = { "remove-snapshot", "remove {path}" },
    [STEP_MERGE_UP] = { "merge-up",
        "copy what {path} needs of {base} into it ({vdev}, {bytes} bytes at "
        "most)" },
    [STEP_MERGE_DOWN] = { "merge-down",
        "write what {top} holds into {path} ({vdev}, {bytes} bytes at most)" },
    [STEP_MERGE_END] = { "merge-end", "put {path} on {below} ({vdev})" },
    [STEP_PUT_BACK] = { "put-back", "call {aside} {path} again" },
    [STEP_REMOVE_LAYER] = { "remove-layer", "remove {path}" },
    [STEP_MEMORY_COPY] = { "memory-copy",
        "copy the memory image {from} to {path} ({bytes} bytes)" },
    [STEP_NOTE_IMAGES] = { "note-images",
        "see that the images are as they were, note how frozen bases look" },
};

void snap_plan_dispose(struct snap_plan *p)
{
    size_t i;

    for (i = 0; i < p->len; i++)
        snap_strings_dispose(&p->steps[i].args);
    free(p->steps);
    snap_strings_dispose(&p->notes);
    memset(p, 0, sizeof(*p));
}

struct snap_step *snap_plan_add(struct snap_plan *p, enum snap_step_kind kind)
{
    struct snap_step *s;

    p->steps = snap_realloc(p->steps, (p->len + 1) * sizeof(*p->steps));
    s = &p->steps[p->len++];
    memset(s, 0, sizeof(*s));
    s->kind = kind;
    return s;
}

void snap_step_arg(struct snap_step *s, const char *key, const char *value)
{
    snap_strings_add(&s->args, key);
    snap_strings_add(&s->args, value ? value : "");
}

void snap_step_arg_u64(struct snap_step *s, const char *key, uint64_t value)
{
    snap_strings_add(&s->args, key);
    snap_strings_take(&s->args, snap_printf("%llu",
                                            (unsigned long long)value));
}

const char *snap_step_get_nth(const struct snap_step *s, const char *key,
                              size_t n)
{
    size_t i;

    for (i = 0; i + 1 < s->args.len; i += 2)
        if (!strcmp(s->args.data[i], key) && n-- == 0)
            return s->args.data[i + 1];
    return NULL;
}

const char *snap_step_get(const struct snap_step *s, const char *key)
{
    return snap_step_get_nth(s, key, 0);
}

uint64_t snap_step_get_u64(const struct snap_step *s, const char *key)
{
    const char *v = snap_step_get(s, key);

    return v ? strtoull(v, NULL, 10) : 0;
}

const char *snap_step_word(enum snap_step_kind kind)
{
    return kinds[kind].word;
}

int snap_step_kind_of(const char *word)
{
    int i;

    for (i = 0; i < STEP_KINDS; i++)
        if (!strcmp(kinds[i].word, word)) return i;
    return -1;
}

static void fill_in(struct snap_text *t, const struct snap_step *s,
                    const char *format)
{
    while (*format) {
        const char *open = strchr(format, '{');
        const char *close = open ? strchr(open, '}') : NULL;
        AUTO_FREE char *key = NULL;
        const char *value;

        if (!close) {
            snap_text_add(t, "%s", format);
            return;
        }
        snap_text_add_bytes(t, format, open - format);
        key = snap_strndup(open + 1, close - open - 1);
        value = snap_step_get(s, key);
        snap_text_add(t, "%s", value ? value : "");
        format = close + 1;
    }
}

/* The disks of a configuration change, one a line below their step. */
static void print_config(struct snap_text *t, const struct snap_step *s)
{
    const char *vdev;
    size_t i;

    for (i = 0; (vdev = snap_step_get_nth(s, "vdev", i)); i++)
        snap_text_add(t, "      %s: %s instead of %s\n", vdev,
                      snap_step_get_nth(s, "new-path", i),
                      snap_step_get_nth(s, "old-path", i));
}

/* The disks of a transaction, one a line below their step. */
static void print_disks(struct snap_text *t, const struct snap_step *s)
{
    const char *vdev;
    size_t i;

    for (i = 0; (vdev = snap_step_get_nth(s, "vdev", i)); i++) {
        const char *how = snap_step_get_nth(s, "how", i);

        snap_text_add(t, "      %s: %s, %s %s\n", vdev, how,
                      strcmp(how, "internal") ? "overlay" : "tag",
                      strcmp(how, "internal")
                      ? snap_step_get_nth(s, "overlay", i)
                      : snap_step_get_nth(s, "tag", i));
    }
}

static void print_kept(struct snap_text *t, const struct snap_step *s)
{
    const char *keep = snap_step_get(s, "keep");

    if (keep) snap_text_add(t, "      but for %s\n", keep);
}

static void print_parent(struct snap_text *t, const struct snap_step *s)
{
    const char *parent = snap_step_get(s, "parent");

    snap_text_add(t, "%s", parent && *parent ? parent : "none");
}

char *snap_plan_text(const struct snap_plan *p)
{
    struct snap_text t = { 0 };
    size_t i;

    snap_text_add(&t, "%s", "");
    for (i = 0; i < p->len; i++) {
        const struct snap_step *s = &p->steps[i];

        snap_text_add(&t, "%3zu %-15s ", i + 1, kinds[s->kind].word);
        fill_in(&t, s, kinds[s->kind].text);
        if (s->kind == STEP_RELINK) print_parent(&t, s);
        snap_text_add(&t, "%s\n", i == p->commit ? " [commit]" : "");
        if (s->kind == STEP_DISKS) print_disks(&t, s);
        if (s->kind == STEP_CONFIG) print_config(&t, s);
        if (s->kind == STEP_REMOVE_SNAPSHOT) print_kept(&t, s);
    }
    for (i = 0; i < p->notes.len; i++)
        snap_text_add(&t, "  - %s\n", p->notes.data[i]);
    return t.data;
}
