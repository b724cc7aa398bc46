/* SPDX-License-Identifier: LGPL-2.1-only */
/* Would a disk of an xl.cfg do harm?  See cfgcheck.h. */
#include "cfgcheck.h"

#include <string.h>

#include "format/spec.h"

void xl_cfg_finding_dispose(struct xl_cfg_finding *f)
{
    free(f->part);
    free(f->text);
    free(f->entry);
}

/* Another file than the domain has, or the same in another format. */
static bool differs(const struct xl_cfg_look *l)
{
    return l->now && (!l->same || (l->now_format && l->format &&
                                   strcmp(l->now_format, l->format)));
}

/* NULL: none. The worst comes first. */
static char *harm(const struct xl_cfg_look *l)
{
    if (l->failed)
        return snap_strdup(l->failed);
    if (l->frozen)
        return snap_printf("'%s' is the frozen base of %s, which would be "
                           "destroyed", l->image, l->frozen);
    if (l->above)
        return snap_printf("'%s' is below '%s', which would be destroyed",
                           l->image, l->above);
    if (l->now && !l->same)
        return snap_printf("'%s' is not what the running domain writes: "
                           "that is '%s'", l->image, l->now);
    if (!l->there)
        return snap_printf("'%s' does not exist", l->image);
    if (differs(l))
        return snap_printf("the running domain has '%s' as %s, not as %s",
                           l->image, l->now_format, l->format);
    return NULL;
}

struct xl_cfg_finding xl_cfg_judge(const struct xl_cfg_look *l)
{
    struct xl_cfg_finding f = { .part = snap_strdup(l->vdev), .good = true };

    if (l->left_out) {
        f.left_out = true;
        f.text = snap_strdup(l->left_out);
        return f;
    }
    f.text = harm(l);
    if (!f.text) {
        f.text = snap_printf("'%s'%s", l->image, l->now
                             ? ", as the running domain has it" : "");
        return f;
    }
    f.good = false;
    if (differs(l))
        f.entry = snap_spec_print(l->vdev, l->now_format, true, l->now);
    return f;
}
