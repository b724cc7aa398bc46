/* SPDX-License-Identifier: LGPL-2.1-only */
/* What becomes of a frozen base whose snapshot is deleted. */
#include "plan/merge.h"
#include "tap.h"

#include <string.h>

static struct snap_ctx sc = SNAP_CTX_INIT;
static struct snap_strings one, two, three, none;

/* The plain case: an overlay of ours, on it the domain's present image. */
static struct snap_merge_facts plain(void)
{
    return (struct snap_merge_facts) {
        .base = "/b", .base_format = "qcow2", .base_bytes = 1000 << 20,
        .base_is_overlay = true, .children = &one, .child_bytes = 10 << 20,
        .base_free = 1ull << 40, .child_free = 1ull << 40,
    };
}

/* Decide; static text "down 10", "up 1000", "keep: why", or the refusal. In
 * MiB. */
static const char *decide(const struct snap_merge_facts *f)
{
    static char text[300];
    struct snap_merge m;

    snap_clear(&sc);
    if (snap_plan_merge(&sc, f, &m))
        snprintf(text, sizeof(text), "refused: %s", sc.message);
    else if (m.way == SNAP_MERGE_KEEP)
        snprintf(text, sizeof(text), "keep: %s", m.why);
    else
        snprintf(text, sizeof(text), "%s %llu", m.way == SNAP_MERGE_DOWN
                 ? "down" : "up", (unsigned long long)m.bytes >> 20);
    free(m.why);
    return text;
}

static void test_by_bytes(void)
{
    struct snap_merge_facts f = plain();

    is_str(decide(&f), "down 10", "the smaller one is copied: the upper");
    f.child_bytes = 2000 << 20;
    is_str(decide(&f), "up 1000", "or the lower");
    f.base_is_overlay = false;
    is_str(decide(&f), "down 2000", "but an image that was there before the "
           "first snapshot is what remains");
    f.child_needed = "snapshot 's2'";
    is_str(decide(&f), "keep: it was there before the first snapshot, and "
           "'/c', which stands on it, is needed", "and is not copied for "
           "nothing if the upper is needed");
}

static void test_kept(void)
{
    struct snap_merge_facts f = plain();

    f.base_needed = "snapshot 's2'";
    is_str(decide(&f), "keep: snapshot 's2' needs it", "a base that another "
           "snapshot needs stays");
    f = plain();
    f.children = &two;
    is_str(decide(&f), "keep: 2 images stand on it, '/c' and '/d'", "as does a "
           "branch point");
    f.children = &three;
    is_str(decide(&f), "keep: 3 images stand on it, '/c' and '/d' among them",
           "of any number");
    f.children = &none;
    is_str(decide(&f), "keep: no image was found on it", "and one whose "
           "overlay was not found");
    f = plain();
    f.in_use = "'/c' is in use by process 812 (qemu)";
    is_str(decide(&f), "keep: '/c' is in use by process 812 (qemu); layers are "
           "merged only when nobody has them open", "and one in use");
}

static void test_tags(void)
{
    struct snap_merge_facts f = plain();

    f.child_has_tags = true;
    is_str(decide(&f), "up 1000", "tags in the upper image do not go down");
    f = plain();
    f.child_bytes = 2000 << 20;
    f.base_has_tags = true;
    is_str(decide(&f), "down 2000", "tags in the lower one stay there");
    f.child_has_tags = true;
    is_str(decide(&f), "keep: it holds internal snapshots, and '/c', which "
           "stands on it, holds internal snapshots", "with tags in both "
           "nothing is merged");
    f.child_has_tags = false;
    f.child_needed = "snapshot 's2'";
    is_str(decide(&f), "keep: it holds internal snapshots, and '/c', which "
           "stands on it, is needed", "nor if the upper one is needed");
}

static void test_room(void)
{
    struct snap_merge_facts f = plain();

    f.base_free = (10 << 20) - 1;
    is_str(decide(&f), "refused: merging into '/b' may take 10 MiB, 9 MiB are "
           "free there: make room first", "what does not fit is refused");
    f.base_free = 10 << 20;
    is_str(decide(&f), "down 10", "what just fits is not");
    f.child_bytes = 2000 << 20;
    f.child_free = 5 << 20;
    is_str(decide(&f), "refused: merging into '/c' may take 1000 MiB, 5 MiB "
           "are free there: make room first", "each way has its place");
}

int main(void)
{
    snap_strings_add(&one, "/c");
    snap_strings_add(&two, "/c");
    snap_strings_add(&two, "/d");
    snap_strings_add(&three, "/c");
    snap_strings_add(&three, "/d");
    snap_strings_add(&three, "/e");
    test_by_bytes();
    test_kept();
    test_tags();
    test_room();
    snap_clear(&sc);
    snap_strings_dispose(&one);
    snap_strings_dispose(&two);
    snap_strings_dispose(&three);
    return done_testing();
}
