/* SPDX-License-Identifier: LGPL-2.1-only */
/* Disk specs, to text and back. */
#include "format/spec.h"

#include <string.h>

void snap_spec_dispose(struct snap_spec *s)
{
    free(s->vdev);
    free(s->format);
    free(s->target);
    memset(s, 0, sizeof(*s));
}

char *snap_spec_print(const char *vdev, const char *format, bool readwrite,
                      const char *target)
{
    return snap_printf("%s%s%svdev=%s,access=%s,target=%s",
                       format ? "format=" : "", format ? format : "",
                       format ? "," : "", vdev, readwrite ? "rw" : "ro",
                       target);
}

static int bad_spec(struct snap_ctx *sc, const char *spec, const char *why)
{
    return snap_fail(sc, ERROR_INVAL, "disk spec '%s': %s; write it as "
                     "format=qcow2,vdev=xvda,access=rw,target=/path", spec,
                     why);
}

/* A string of a spec, once. */
static int set_once(struct snap_ctx *sc, const char *spec, char **where,
                    const char *value, size_t len)
{
    if (*where) return bad_spec(sc, spec, "a key is given twice");
    if (!len) return bad_spec(sc, spec, "a key has no value");
    *where = snap_strndup(value, len);
    return 0;
}

static int set_access(struct snap_ctx *sc, const char *spec,
                      struct snap_spec *out, const char *value)
{
    if (strcmp(value, "rw") && strcmp(value, "ro"))
        return bad_spec(sc, spec, "access is rw or ro");
    out->readwrite = !strcmp(value, "rw");
    return 0;
}

/* One key=value; *rest moves behind it, to NULL behind the last. */
static int parse_pair(struct snap_ctx *sc, const char *spec,
                      const char **rest, struct snap_spec *out, char **access)
{
    const char *pair = *rest;
    size_t len = strcspn(pair, ",");

    *rest = pair[len] ? pair + len + 1 : NULL;
    if (!strncmp(pair, "target=", 7)) {
        *rest = NULL;
        return set_once(sc, spec, &out->target, pair + 7, strlen(pair + 7));
    }
    if (!strncmp(pair, "vdev=", 5))
        return set_once(sc, spec, &out->vdev, pair + 5, len - 5);
    if (!strncmp(pair, "format=", 7))
        return set_once(sc, spec, &out->format, pair + 7, len - 7);
    if (!strncmp(pair, "access=", 7))
        return set_once(sc, spec, access, pair + 7, len - 7);
    return bad_spec(sc, spec, "its keys are vdev, format, access and target");
}

int snap_spec_parse(struct snap_ctx *sc, const char *spec,
                    struct snap_spec *out)
{
    AUTO_FREE char *access = NULL;
    const char *rest = spec;
    int rc = 0;

    memset(out, 0, sizeof(*out));
    out->readwrite = true;
    while (rest && !rc) rc = parse_pair(sc, spec, &rest, out, &access);
    if (!rc && access) rc = set_access(sc, spec, out, access);
    if (!rc && !out->vdev) rc = bad_spec(sc, spec, "vdev is missing");
    if (!rc && !out->target) rc = bad_spec(sc, spec, "target is missing");
    if (rc) snap_spec_dispose(out);
    return rc;
}
