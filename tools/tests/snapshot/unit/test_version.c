/* SPDX-License-Identifier: LGPL-2.1-only */
/* Which of two versions is the older one. */
#include "plan/revert.h"
#include "tap.h"

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

/* In both directions: a version is older than the one that is newer. */
static void compares(const char *a, const char *b, int want)
{
    is_int(sign(snap_version_compare(a, b)), want, "\"%s\" %s \"%s\"", a,
           want < 0 ? "is older than" : want ? "is newer than" : "equals", b);
    is_int(sign(snap_version_compare(b, a)), -want, "... and the reverse");
}

int main(void)
{
    static const char *const rising[] = {
        "0.9.9", "4.2", "4.17.0", "4.17.5", "4.17.22", "7.2.9", "7.2.22",
        "10.0", "10.0.1",
    };
    size_t i, k, wrong = 0;

    compares("7.2.22", "7.2.22", 0);
    compares("7.2.22", "10.0.1", -1);
    compares("7.2.9", "7.2.22", -1);
    compares("7.10.0", "7.9.9", 1);
    compares("7", "7.0.0", 0);
    compares("7.2", "7.2.1", -1);
    compares("", "0.0.0", 0);
    compares("", "0.0.1", -1);
    compares("unknown", "0.0.0", 0);
    compares("8.0.0-rc1", "8.0.0", 0);
    compares("7.2.22 (Debian 1:7.2+dfsg-7)", "7.2.22", 0);
    compares("7.2.22.1", "7.2.22.9", 0);
    compares("7.2.99999999999999999999", "7.2.1", 1);
    for (i = 0; i < sizeof(rising) / sizeof(rising[0]); i++)
        for (k = 0; k < sizeof(rising) / sizeof(rising[0]); k++)
            wrong += sign(snap_version_compare(rising[i], rising[k]))
                     != (i > k) - (i < k);
    is_uint(wrong, 0, "the order is one order");
    return done_testing();
}
