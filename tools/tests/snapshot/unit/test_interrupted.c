/* SPDX-License-Identifier: LGPL-2.1-only */
/* How far an interrupted run came, read from its journal. */
#include "op/interrupted.h"

#include <string.h>

#include "snap_internal.h"
#include "tap.h"

#define HEAD "{\"what\":\"create\",\"domain\":\"web\",\"uuid\":\"u\"," \
             "\"domid\":7,\"retry\":null}"
#define STEPS ",{\"step\":0,\"kind\":\"directory\",\"args\":[\"path\",\"/s\"]}" \
              ",{\"step\":1,\"kind\":\"suspend\",\"args\":[\"domid\",\"7\"]}" \
              ",{\"step\":2,\"kind\":\"disks\",\"args\":[]}" \
              ",{\"step\":3,\"kind\":\"resume\",\"args\":[]," \
              "\"commit\":true}" \
              ",{\"step\":4,\"kind\":\"seal\",\"args\":[]}"
#define SAVED ",{\"step\":5,\"kind\":\"memory\",\"args\":[]}" \
              ",{\"intend\":1},{\"done\":1},{\"intend\":5}"

static struct snap_ctx sc = SNAP_CTX_INIT;
static struct snap_json *lines;
static struct snap_interrupted run;

/* Read a journal of these lines; the state of the last one goes. */
static int journal(const char *text)
{
    AUTO_FREE char *array = snap_printf("[%s]", text);

    snap_interrupted_dispose(&run);
    snap_json_free(lines);
    lines = NULL;
    snap_clear(&sc);
    if (snap_json_parse(&sc, "a test", array, strlen(array), &lines))
        bail("%s", sc.message);
    return snap_interrupted_read(&sc, "web.journal", lines, &run);
}

static void test_how_far(void)
{
    is_int(journal(HEAD), 0, "a head alone is a journal");
    is_uint(run.begun, 0, "of which nothing was begun");
    is_str(run.name, "web", "it names its domain");
    is_int(run.domid, 7, "with its number");
    ok(!run.retry, "and no command to retry");

    journal(HEAD STEPS ",{\"intend\":0},{\"done\":0},{\"intend\":1}");
    is_uint(run.plan.len, 5, "the plan has its steps");
    is_uint(run.plan.commit, 3, "and its commit");
    is_uint(run.begun, 2, "what was intended was begun");
    is_uint(run.done, 1, "and need not be done");
    ok(!run.committed, "before the commit it is not committed");
    is_str(snap_step_get(snap_interrupted_begun(&run, STEP_SUSPEND),
                         "domid"), "7", "a step has its arguments");
    ok(!snap_interrupted_begun(&run, STEP_DISKS), "a step that was not begun "
       "is not found among those that were");
    ok(snap_interrupted_planned(&run, STEP_DISKS), "but in the plan");

    journal(HEAD STEPS SAVED);
    ok(!run.answered, "a guest that was asked may still suspend");
    journal(HEAD STEPS SAVED ",{\"done\":5}");
    ok(run.answered, "one whose memory is saved has stood");

    journal(HEAD STEPS ",{\"intend\":3}");
    ok(!run.committed, "a commit that is only intended is none");
    journal(HEAD STEPS ",{\"intend\":3},{\"done\":3}");
    ok(run.committed, "one that is done is");
}

static void test_failed(void)
{
    journal(HEAD STEPS ",{\"intend\":2},{\"done\":2},{\"intend\":3}"
            ",{\"intend\":4},{\"done\":4}");
    is_uint(run.done, 3, "a step that failed is not done because the next "
            "one is");
    is_uint(run.begun, 5, "though that was begun");
    journal(HEAD STEPS ",{\"intend\":2},{\"done\":2},{\"intend\":3}"
            ",{\"intend\":4},{\"done\":4},{\"intend\":3},{\"done\":3}");
    is_uint(run.done, 4, "done later, it is, and what was done behind it is "
            "to be done again");
    journal(HEAD STEPS ",{\"intend\":3},{\"intend\":3},{\"done\":3}");
    is_uint(run.done, 4, "a step that was begun twice and is done is done");
}

static void test_guest(void)
{
    journal(HEAD STEPS ",{\"intend\":1},{\"done\":1},{\"intend\":2}");
    ok(!run.runs, "a guest that was asked to suspend may still do it");
    journal(HEAD STEPS ",{\"intend\":1},{\"rescued\":true}");
    ok(run.runs, "not when the guardian saw it run");
    journal(HEAD STEPS ",{\"intend\":2},{\"undone\":1}");
    ok(run.runs, "nor when the run itself resumed it");
    ok(!run.unpause, "a pause is not its own");
    journal(HEAD ",{\"unpause\":true}" STEPS);
    ok(run.unpause && !run.goes_back, "unless it says so");
    ok(!run.unpaused, "and has not ended it");
    journal(HEAD ",{\"unpause\":true}" STEPS ",{\"unpaused\":true}");
    ok(run.unpause && run.unpaused, "which the guardian does, and notes");
    journal(HEAD ",{\"goes_back\":true}" STEPS);
    ok(run.goes_back, "a way back from a revert is told from a revert");
    journal(HEAD STEPS ",{\"intend\":2},{\"undone\":2}");
    ok(!run.runs, "other things that were undone say nothing about it");
}

static void test_damaged(void)
{
    is_int(journal("{\"domain\":\"web\"}"), ERROR_INVAL, "a head that does "
           "not say what it is of is refused");
    like(sc.message, "the journal 'web.journal' has no head", "by name");
    is_int(journal(HEAD ",{\"step\":0,\"kind\":\"dance\",\"args\":[]}"),
           ERROR_INVAL, "and a step that is not known");
    like(sc.message, "a step 'dance' that this version does not know",
         "which is named");
    is_int(journal(HEAD ",{\"step\":0,\"kind\":\"seal\",\"args\":[5]}"),
           ERROR_INVAL, "and an argument that is no text");
    is_int(journal(HEAD STEPS ",{\"done\":99},{\"intend\":-1},"
                   "{\"undone\":5}"), 0, "marks of no step are passed over");
    ok(!run.committed && !run.begun && !run.done && !run.runs,
       "and mean nothing");
    is_int(journal(HEAD ",7,[],null,\"x\""), 0, "as is what is no mark");
}

int main(void)
{
    test_how_far();
    test_failed();
    test_guest();
    test_damaged();
    snap_interrupted_dispose(&run);
    snap_json_free(lines);
    snap_clear(&sc);
    return done_testing();
}
