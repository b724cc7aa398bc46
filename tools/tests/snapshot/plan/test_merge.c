/* SPDX-License-Identifier: LGPL-2.1-only */
/* What becomes of a frozen base whose snapshot is deleted. */
#include "plan/merge.h"
#include "plan/overlay_name.h"
#include "tap.h"

#include <string.h>

#define MIB (1ull << 20)
#define TEXT(s) ((char *)(s))     /* nobody writes or frees it */

static struct snap_strings one, two, three, none, bitmap;
static struct snap_image base, child, below;

/* The plain case: an overlay of ours, on it the domain's present image. */
static struct snap_merge_facts plain(void)
{
    base = (struct snap_image){
        .path = TEXT("/b"), .format = TEXT("qcow2"),
        .virtual_size_bytes = 4000 * MIB,
        .actual_size_bytes = 1000 * MIB,
    };
    below = base;
    below.path = TEXT("/a");
    child = base;
    child.path = TEXT("/c");
    child.actual_size_bytes = 10 * MIB;
    return (struct snap_merge_facts) {
        .base = &base, .child = &child, .below = &below,
        .child_is_made = true, .base_is_made = true, .children = &one,
    };
}

/* Decide; static text "down 10", "up 1000" (MiB) or "keep: why". */
static const char *decide(const struct snap_merge_facts *f)
{
    static char text[300];
    struct snap_merge m;

    snap_plan_merge(f, &m);
    if (m.way == SNAP_MERGE_KEEP)
        snprintf(text, sizeof(text), "keep: %s", m.why);
    else
        snprintf(text, sizeof(text), "%s %llu", m.way == SNAP_MERGE_DOWN
                 ? "down" : "up", (unsigned long long)(m.bytes / MIB));
    free(m.why);
    return text;
}

static void test_by_bytes(void)
{
    struct snap_merge_facts f = plain();

    is_str(decide(&f), "down 10", "the smaller one is copied: the upper");
    child.actual_size_bytes = 2000 * MIB;
    is_str(decide(&f), "up 1000", "or the lower");
    f.base_is_made = false;
    is_str(decide(&f), "down 2000", "but an image that was there before the "
           "first snapshot is what remains");
    f = plain();
    f.child_needed = "snapshot 's2'";
    is_str(decide(&f), "up 1000", "and so does one that others need");
    f.base_is_made = false;
    is_str(decide(&f), "keep: it may have been there before the first "
           "snapshot, and '/c', which stands on it, is needed by snapshot "
           "'s2'", "of two such nothing is merged");
    f = plain();
    f.below = NULL;
    child.actual_size_bytes = 2000 * MIB;
    is_str(decide(&f), "down 2000", "what nothing is below goes nowhere");
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
    is_str(decide(&f), "keep: nothing that is known stands on it any more",
           "and one that nothing stands on");
    f = plain();
    f.block = true;
    is_str(decide(&f), "keep: '/c' stands on it, and what is on a block device "
           "is not merged", "and a block device");
    f = plain();
    f.in_use = "'/c' is in use by process 812 (qemu)";
    is_str(decide(&f), "keep: '/c' is in use by process 812 (qemu)",
           "and one in use");
    f = plain();
    f.linked = true;
    is_str(decide(&f), "keep: it or '/c', which stands on it, has another "
           "name, too (a hard link)", "and one that has two names");
    f = plain();
    f.child_is_made = false;
    is_str(decide(&f), "keep: '/c', which stands on it, is not known to be of "
           "a snapshot", "and one with an image on it that is not ours");
    f = plain();
    f.base_changed = true;
    is_str(decide(&f), "keep: it was written to since the snapshot, so '/c', "
           "which stands on it, does not fit it any more", "and one that a "
           "domain was started on by mistake");
    f = plain();
    f.child_changed = "'/c' was written to since";
    is_str(decide(&f), "keep: '/c' was written to since", "and one below a "
           "frozen base that is not what it was");
}

static void test_tags(void)
{
    struct snap_merge_facts f = plain();

    child.ntags = 1;
    is_str(decide(&f), "keep: '/c', which stands on it, holds internal "
           "snapshots", "tags in the upper image read what is below, too");
    f = plain();
    child.actual_size_bytes = 2000 * MIB;
    base.ntags = 1;
    is_str(decide(&f), "down 2000", "tags in the lower one stay there");
    f.child_needed = "snapshot 's2'";
    is_str(decide(&f), "keep: it holds internal snapshots, and '/c', which "
           "stands on it, is needed by snapshot 's2'", "if the upper is "
           "needed, nothing is merged");
}

static void test_unfit(void)
{
    struct snap_merge_facts f = plain();

    base.encrypted = true;
    is_str(decide(&f), "keep: '/b' is encrypted", "an encrypted image is not "
           "merged");
    f = plain();
    child.corrupt = true;
    is_str(decide(&f), "keep: '/c' is marked corrupt", "nor a corrupt one");
    f = plain();
    child.data_file = TEXT("/x");
    is_str(decide(&f), "keep: '/c' has its data in another file", "nor one "
           "with its data elsewhere");
    f = plain();
    base.bitmaps = bitmap;
    is_str(decide(&f), "keep: '/b' has dirty bitmaps, which would be lost",
           "nor one with bitmaps");
    f = plain();
    base.format = TEXT("vhd");
    is_str(decide(&f), "keep: '/b' is neither qcow2 nor raw", "nor another "
           "format");
    f = plain();
    child.virtual_size_bytes += 512;
    is_str(decide(&f), "keep: '/c', which stands on it, has another size",
           "nor images of two sizes");
    f = plain();
    child.actual_size_bytes = 2000 * MIB;
    below.virtual_size_bytes -= 512;
    is_str(decide(&f), "down 2000", "what is below the base does not get a "
           "child of another size");
    f = plain();
    child.actual_size_bytes = 2000 * MIB;
    below.format = TEXT("vhd");
    is_str(decide(&f), "down 2000", "nor if it is of another format");
}

static void test_names(void)
{
    ok(snap_is_overlay_name("/d/a.s1.qcow2", "/d/a.img", "s1"),
       "an overlay is called after its base and its snapshot");
    ok(snap_is_overlay_name("/d/a.s2-r1.qcow2", "/d/a.s1.qcow2", "s2"),
       "a second one as if the first were not there");
    ok(snap_is_overlay_name("/d/a.s1.s2-3.qcow2", "/d/a.s1.qcow2", "s2"),
       "or behind it");
    ok(!snap_is_overlay_name("/d/a.s2.qcow2", "/d/a.img", "s1"),
       "that of another snapshot is not meant");
    ok(!snap_is_overlay_name("/d/a.qcow2", "/d/a.img", "s1"),
       "an image with nothing between is not ours");
    ok(!snap_is_overlay_name("/d/ab.s1.qcow2", "/d/a.img", "s1"),
       "nor one that only begins like it");
    ok(!snap_is_overlay_name("/e/a.s1.qcow2", "/d/a.img", "s1"),
       "nor one elsewhere");
    ok(!snap_is_overlay_name("/d/a.s1.img", "/d/a.img", "s1"),
       "nor one that ends otherwise");
    ok(!snap_is_overlay_name("/d/a.s1-r.qcow2", "/d/a.img", "s1"),
       "nor one without its number");
}

int main(void)
{
    snap_strings_add(&one, "/c");
    snap_strings_add(&two, "/c");
    snap_strings_add(&two, "/d");
    snap_strings_add(&three, "/c");
    snap_strings_add(&three, "/d");
    snap_strings_add(&three, "/e");
    snap_strings_add(&bitmap, "x");
    test_by_bytes();
    test_kept();
    test_tags();
    test_unfit();
    test_names();
    snap_strings_dispose(&one);
    snap_strings_dispose(&two);
    snap_strings_dispose(&three);
    snap_strings_dispose(&bitmap);
    return done_testing();
}
