/* SPDX-License-Identifier: LGPL-2.1-only */
/* A disk of an xl.cfg, in made-up worlds: would it do harm? */
#include "cfgcheck.h"
#include "tap.h"

static void judge(struct xl_cfg_look l, bool good, const char *text,
                  const char *entry)
{
    struct xl_cfg_finding f;

    if (!l.vdev) l.vdev = "xvdb";
    if (!l.format) l.format = "raw";
    if (!l.image) l.image = "/b.img";
    f = xl_cfg_judge(&l);
    is_str(f.part, "xvdb", "the finding is of the disk");
    is_str(f.text, text, "it says: %s", text);
    is_int(f.good, good, "which is %s", good ? "good" : "bad");
    is_str(f.entry, entry, "and the entry is %s", entry ? "known" : "not");
    xl_cfg_finding_dispose(&f);
}

#define LOOK(...) ((struct xl_cfg_look) { __VA_ARGS__ })
#define NOW "format=qcow2,vdev=xvdb,access=rw,target=/b.s1.qcow2"

int main(void)
{
    judge(LOOK(.there = true), true, "'/b.img'", NULL);
    judge(LOOK(.left_out = "read-only", .there = true, .frozen = "s"), true,
          "read-only", NULL);
    judge(LOOK(.there = false), false, "'/b.img' does not exist", NULL);
    judge(LOOK(.failed = "cannot look", .there = true), false, "cannot look",
          NULL);
    judge(LOOK(.there = true, .frozen = "snapshot 's1'"), false,
          "'/b.img' is the frozen base of snapshot 's1', which would be "
          "destroyed", NULL);
    judge(LOOK(.there = true, .above = "/o.qcow2"), false,
          "'/b.img' is below '/o.qcow2', which would be destroyed", NULL);
    judge(LOOK(.there = true, .frozen = "snapshot 's1'", .above = "/o",
               .now = "/b.s1.qcow2", .now_format = "qcow2"), false,
          "'/b.img' is the frozen base of snapshot 's1', which would be "
          "destroyed", NOW);
    judge(LOOK(.there = true, .now = "/b.s1.qcow2", .now_format = "qcow2"),
          false, "'/b.img' is not what the running domain writes: that is "
          "'/b.s1.qcow2'", NOW);
    judge(LOOK(.there = false, .now = "/b.s1.qcow2", .now_format = "qcow2"),
          false, "'/b.img' is not what the running domain writes: that is "
          "'/b.s1.qcow2'", NOW);
    judge(LOOK(.there = true, .now = "/b.img", .now_format = "raw",
               .same = true), true,
          "'/b.img', as the running domain has it", NULL);
    judge(LOOK(.there = true, .image = "/b.s1.qcow2", .now = "/b.s1.qcow2",
               .now_format = "qcow2", .same = true), false,
          "the running domain has '/b.s1.qcow2' as qcow2, not as raw", NOW);
    return done_testing();
}
