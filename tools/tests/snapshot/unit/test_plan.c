/* SPDX-License-Identifier: LGPL-2.1-only */
/* Plans as data: their words, arguments and text. */
#include "plan/plan.h"
#include "tap.h"

static void test_words(void)
{
    unsigned i, k, twice = 0, lost = 0, odd = 0;

    for (i = 0; i < STEP_KINDS; i++) {
        const char *word = snap_step_word(i);

        lost += snap_step_kind_of(word) != (int)i;
        odd += !*word || strspn(word, "abcdefghijklmnopqrstuvwxyz-")
                         != strlen(word);
        for (k = 0; k < i; k++) twice += !strcmp(word, snap_step_word(k));
    }
    is_uint(lost, 0, "every word leads back to its kind");
    is_uint(twice, 0, "no two kinds share a word");
    is_uint(odd, 0, "words are lower-case letters and hyphens");
    is_int(snap_step_kind_of("format-disk"), -1, "an unknown word is none");
    is_int(snap_step_kind_of(""), -1, "an empty word is none");
    is_int(snap_step_kind_of("Resume"), -1, "case counts");
}

/* Journals hold these: a release that changed one could not finish what the
 * one before began. */
static void test_words_stay(void)
{
    static const struct {
        enum snap_step_kind kind;
        const char *word;
    } rows[] = {
        { STEP_DIRECTORY, "directory" }, { STEP_MEMORY_FILE, "memory-file" },
        { STEP_MONITOR_HOLD, "monitor-hold" }, { STEP_SUSPEND, "suspend" },
        { STEP_READY, "ready" }, { STEP_MEMORY, "memory" },
        { STEP_RECHECK, "recheck" }, { STEP_DISKS, "disks" },
        { STEP_CONFIG, "config" }, { STEP_RESUME, "resume" },
        { STEP_MONITOR_RELEASE, "monitor-release" }, { STEP_SEAL, "seal" },
        { STEP_PROTECT, "protect" }, { STEP_MANIFEST, "manifest" },
        { STEP_CURRENT, "current" }, { STEP_OVERLAY, "overlay" },
        { STEP_COPY, "copy" }, { STEP_PAUSE, "pause" },
        { STEP_RECHECK_IDLE, "recheck-idle" }, { STEP_DESTROY, "destroy" },
        { STEP_DESTROYED, "destroyed" },
        { STEP_MONITOR_END, "monitor-end" },
        { STEP_APPLY_TAG, "apply-tag" }, { STEP_BUILD, "build" },
        { STEP_BOOT, "boot" },
        { STEP_REMOVE_OVERLAY, "remove-overlay" },
        { STEP_DELETE_TAG_LIVE, "delete-tag-live" },
        { STEP_DELETE_TAG, "delete-tag" },
        { STEP_RELINK, "relink" },
        { STEP_REMOVE_SNAPSHOT, "remove-snapshot" },
        { STEP_MERGE_UP, "merge-up" }, { STEP_MERGE_END, "merge-end" },
        { STEP_MERGE_DOWN, "merge-down" },
        { STEP_PUT_BACK, "put-back" }, { STEP_REMOVE_LAYER, "remove-layer" },
        { STEP_MEMORY_COPY, "memory-copy" },
        { STEP_NOTE_IMAGES, "note-images" },
    };
    size_t i;

    is_uint(sizeof(rows) / sizeof(rows[0]), STEP_KINDS,
            "every word that there is stands here");
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        is_str(snap_step_word(rows[i].kind), rows[i].word,
               "a journal calls it %s", rows[i].word);
}

static void test_arguments(void)
{
    struct snap_plan p = { 0 };
    struct snap_step *s = snap_plan_add(&p, STEP_DISKS);

    snap_step_arg(s, "vdev", "xvda");
    snap_step_arg(s, "overlay", NULL);
    snap_step_arg(s, "vdev", "xvdb");
    snap_step_arg(s, "tag", "vdev");
    snap_step_arg_u64(s, "bytes", UINT64_MAX);
    snap_step_arg(s, "word", "12x");
    is_str(snap_step_get(s, "vdev"), "xvda", "the first value of a key");
    is_str(snap_step_get_nth(s, "vdev", 1), "xvdb", "the second one");
    is_str(snap_step_get_nth(s, "vdev", 2), NULL, "there is no third");
    is_str(snap_step_get(s, "overlay"), "", "NULL becomes an empty value");
    is_str(snap_step_get(s, "xvda"), NULL, "a value is not a key");
    is_str(snap_step_get(s, "tag"), "vdev", "a value may look like a key");
    is_uint(snap_step_get_u64(s, "bytes"), UINT64_MAX,
            "numbers go through whole");
    is_uint(snap_step_get_u64(s, "none"), 0, "no such number is 0");
    is_str(snap_step_get(snap_plan_add(&p, STEP_RECHECK), "vdev"), NULL,
           "another step has arguments of its own");
    is_uint(p.len, 2, "steps are counted");
    snap_plan_dispose(&p);
    ok(!p.len && !p.steps && !p.notes.len, "a disposed plan is empty");
}

static void test_text(void)
{
    struct snap_plan p = { 0 };
    AUTO_FREE char *empty = snap_plan_text(&p);
    AUTO_FREE char *text = NULL;
    struct snap_step *s;

    is_str(empty, "", "an empty plan is an empty text");
    snap_step_arg(snap_plan_add(&p, STEP_DIRECTORY), "path", "/a {b} %s");
    s = snap_plan_add(&p, STEP_RESUME);
    snap_step_arg_u64(s, "domid", 7);
    s = snap_plan_add(&p, STEP_APPLY_TAG);
    snap_step_arg(s, "vdev", "{tag}");
    snap_step_arg(s, "path", "/p");
    snap_step_arg(s, "tag", "{path}");
    snap_strings_add(&p.notes, "a note");
    p.commit = 1;
    text = snap_plan_text(&p);
    is_str(text,
           "  1 directory       make the directory /a {b} %s\n"
           "  2 resume          resume domain 7 [commit]\n"
           "  3 apply-tag       put /p ({tag}) back to its tag {path}\n"
           "  - a note\n",
           "values are text, braces and percent signs in them too; notes "
           "come last; a missing value is empty");
    snap_plan_dispose(&p);
}

static void test_lists(void)
{
    struct snap_plan p = { 0 };
    AUTO_FREE char *text = NULL;
    struct snap_step *s = snap_plan_add(&p, STEP_DISKS);

    snap_step_arg(s, "vdev", "xvda");
    snap_step_arg(s, "how", "internal");
    snap_step_arg(s, "tag", "s1");
    snap_step_arg(s, "overlay", NULL);
    snap_step_arg(s, "vdev", "xvdb");
    snap_step_arg(s, "how", "external");
    snap_step_arg(s, "tag", NULL);
    snap_step_arg(s, "overlay", "/o");
    s = snap_plan_add(&p, STEP_CONFIG);
    snap_step_arg(s, "vdev", "xvdb");
    snap_step_arg(s, "old-path", "/b");
    snap_step_arg(s, "new-path", "/o");
    p.commit = SIZE_MAX;
    text = snap_plan_text(&p);
    is_str(text,
           "  1 disks           snapshot in one transaction:\n"
           "      xvda: internal, tag s1\n"
           "      xvdb: external, overlay /o\n"
           "  2 config          tell the toolstack the new images:\n"
           "      xvdb: /o instead of /b\n",
           "disks stand below their step, one a line");
    snap_plan_dispose(&p);
}

static void test_parents(void)
{
    struct snap_plan p = { .commit = SIZE_MAX };
    struct snap_step *s = snap_plan_add(&p, STEP_RELINK);
    AUTO_FREE char *text = NULL;

    snap_step_arg(s, "path", "/s2");
    snap_step_arg(s, "parent", "s0");
    s = snap_plan_add(&p, STEP_RELINK);
    snap_step_arg(s, "path", "/s3");
    snap_step_arg(s, "parent", "");
    text = snap_plan_text(&p);
    is_str(text,
           "  1 relink          note the parent of /s2: s0\n"
           "  2 relink          note the parent of /s3: none\n",
           "a parent is told, and that there is none");
    snap_plan_dispose(&p);
}

int main(void)
{
    test_words();
    test_words_stay();
    test_arguments();
    test_text();
    test_lists();
    test_parents();
    return done_testing();
}
