/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What xl would build against what is wanted, field by field.  See xlcfg.h.
 */
#include "format/xlcfg.h"

#include <fnmatch.h>
#include <string.h>

enum excuse {
    OF_HOST,                /* xl.conf or the moment decides */
    ONLY_STORED,            /* libxl notes this value at each create */
    ROUNDED,                /* xl takes whole MiB */
    NEW,                    /* each has its own */
};

static const struct {
    const char *path;       /* as difference() builds it; '*': anything */
    enum excuse excuse;
    const char *value;      /* of ONLY_STORED, as JSON */
} excuses[] = {
    { "c_info.domid", OF_HOST, NULL },
    { "c_info.run_hotplug_scripts", OF_HOST, NULL },
    { "b_info.claim_mode", OF_HOST, NULL },
    { "b_info.blkdev_start", OF_HOST, NULL },
    { "b_info.sched_params.sched", OF_HOST, NULL },
    { "b_info.target_memkb", ROUNDED, NULL },
    { "b_info.max_memkb", ROUNDED, NULL },
    { "b_info.video_memkb", ONLY_STORED, "0" },
    { "b_info.arch_x86.msr_relaxed", ONLY_STORED, "\"False\"" },
    { "b_info.type.hvm.ms_vm_genid", NEW, NULL },
    { "disks.*.colo_enable", ONLY_STORED, "\"False\"" },
    { "disks.*.colo_restore_enable", ONLY_STORED, "\"False\"" },
};

/* At its default: libxl prints it or leaves it out. */
static bool empty(const struct snap_json *j)
{
    const char *s = snap_json_str(j);

    switch (snap_json_type(j)) {
    case SNAP_JSON_NULL:
        return true;
    case SNAP_JSON_STRING:
        return !*s || !strcmp(s, "<default>");
    case SNAP_JSON_ARRAY:
    case SNAP_JSON_OBJECT:
        return !snap_json_len(j);
    default:
        return false;
    }
}

static bool is_rounded(const struct snap_json *wanted,
                       const struct snap_json *got)
{
    int64_t w, g;

    return snap_json_int(wanted, &w) && snap_json_int(got, &g) && w >= 0
           && g >= w && g - w < 1024;
}

static bool has_value(const struct snap_json *j, const char *value)
{
    AUTO_FREE char *text = snap_json_print(j);

    return !strcmp(text, value);
}

static bool excused(const char *path, const struct snap_json *wanted,
                    const struct snap_json *got)
{
    size_t i, n = sizeof(excuses) / sizeof(*excuses);

    for (i = 0; i < n && fnmatch(excuses[i].path, path, 0); i++)
        continue;
    if (i == n) return false;
    switch (excuses[i].excuse) {
    case ONLY_STORED:
        return empty(got) && has_value(wanted, excuses[i].value);
    case ROUNDED:
        return is_rounded(wanted, got);
    case NEW:
        return !empty(wanted) && !empty(got);
    default:
        return true;
    }
}

static char *difference(const char *path, const struct snap_json *wanted,
                        const struct snap_json *got);

static char *below(const char *path, const char *key,
                   const struct snap_json *wanted,
                   const struct snap_json *got)
{
    AUTO_FREE char *full = snap_printf("%s%s%s", path, *path ? "." : "", key);

    return difference(full, wanted, got);
}

static char *of_arrays(const char *path, const struct snap_json *wanted,
                       const struct snap_json *got)
{
    size_t i;

    for (i = 0; i < snap_json_len(wanted) || i < snap_json_len(got); i++) {
        AUTO_FREE char *index = snap_printf("%zu", i);
        char *found = below(path, index, snap_json_at(wanted, i),
                            snap_json_at(got, i));

        if (found) return found;
    }
    return NULL;
}

/* The members of one, in the other. */
static char *of_members(const char *path, const struct snap_json *all,
                        const struct snap_json *wanted,
                        const struct snap_json *got)
{
    size_t i;

    for (i = 0; i < snap_json_len(all); i++) {
        const char *key = snap_json_key_at(all, i);
        char *found = below(path, key, snap_json_get(wanted, key),
                            snap_json_get(got, key));

        if (found) return found;
    }
    return NULL;
}

/* An object is looked into also where the other has none: all of it may be
 * excused. */
static char *difference(const char *path, const struct snap_json *wanted,
                        const struct snap_json *got)
{
    enum snap_json_type type;
    char *found;

    if ((empty(wanted) && empty(got)) || excused(path, wanted, got))
        return NULL;
    type = snap_json_type(empty(wanted) ? got : wanted);
    if (!empty(wanted) && !empty(got) && snap_json_type(got) != type)
        return snap_strdup(path);
    if (type == SNAP_JSON_ARRAY)
        return empty(wanted) || empty(got) ? snap_strdup(path)
                                           : of_arrays(path, wanted, got);
    if (type == SNAP_JSON_OBJECT) {
        found = of_members(path, wanted, wanted, got);
        return found ? found : of_members(path, got, wanted, got);
    }
    return snap_json_equal(wanted, got) ? NULL : snap_strdup(path);
}

char *snap_xlcfg_difference(const struct snap_json *wanted,
                            const struct snap_json *got)
{
    return difference("", wanted, got);
}
