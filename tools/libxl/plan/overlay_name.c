/* SPDX-License-Identifier: LGPL-2.1-only */
/* See overlay_name.h. */
#include "plan/overlay_name.h"

#include <string.h>

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Behind the snapshot's name: ".qcow2", "-2.qcow2" or "-r1.qcow2". */
static bool is_our_end(const char *s)
{
    size_t digits;

    if (!strcmp(s, ".qcow2")) return true;
    if (*s++ != '-') return false;
    s += *s == 'r';
    digits = strspn(s, "0123456789");
    return digits && !strcmp(s + digits, ".qcow2");
}

bool snap_is_overlay_name(const char *path, const char *base,
                          const char *snapshot)
{
    const char *name = name_of(path), *stem = name_of(base);
    size_t len, dir = name - path, n = strlen(snapshot);

    if (dir != (size_t)(stem - base) || strncmp(path, base, dir))
        return false;
    for (len = 1; stem[len - 1]; len++) {
        if (stem[len] && stem[len] != '.') continue;
        if (!strncmp(name, stem, len) && name[len] == '.'
            && !strncmp(name + len + 1, snapshot, n)
            && is_our_end(name + len + 1 + n))
            return true;
    }
    return false;
}
