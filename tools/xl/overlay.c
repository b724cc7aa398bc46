/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Paths of new overlays.  See overlay.h.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "overlay.h"
#include "store.h"

#define TRIES 10000

void xl_overlay_dispose(struct xl_overlay *o)
{
    snap_strings_dispose(&o->vdevs);
    snap_strings_dispose(&o->images);
    snap_strings_dispose(&o->paths);
}

static void cut_suffix(char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);

    if (n > m && !strcasecmp(name + n - m, suffix))
        name[n - m] = 0;
}

/* Removes "-r12" or "-3" from the end. Whether it was there. */
static bool cut_count(char *name)
{
    size_t n = strlen(name);

    while (n && name[n - 1] >= '0' && name[n - 1] <= '9')
        n--;
    if (!name[n]) return false;
    if (n && name[n - 1] == 'r') n--;
    if (n < 2 || name[n - 1] != '-') return false;
    name[n - 1] = 0;
    return true;
}

/* Is this the name of a snapshot, so that ".<name>" was put there by us? */
static bool our_suffix(const char *domain_dir, const char *name)
{
    AUTO_FREE char *less = snap_strdup(name);

    if (!snap_name_valid(name) || !strcmp(name, XL_CURRENT_FILE))
        return false;
    do {
        if (xl_store_is_default_name(less)) return true;
        if (domain_dir && xl_store_has(domain_dir, less)) return true;
    } while (cut_count(less));
    return false;
}

char *xl_overlay_stem(const char *domain_dir, const char *image)
{
    static const char *const formats[] = {
        ".qcow2", ".img", ".raw", ".vhd", ".qcow",
    };
    const char *slash = strrchr(image, '/');
    char *stem = snap_strdup(slash ? slash + 1 : image);
    size_t i, n = strlen(stem);
    char *dot;

    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        cut_suffix(stem, formats[i]);
        if (strlen(stem) < n) break;
    }
    /* A snapshot's name may have dots: the longest tail that is one. */
    for (dot = stem[0] ? strchr(stem + 1, '.') : NULL; dot;
         dot = strchr(dot + 1, '.')) {
        if (our_suffix(domain_dir, dot + 1)) {
            *dot = 0;
            break;
        }
    }
    return stem;
}

static bool is_free(const struct xl_overlay *o, const char *path)
{
    struct stat st;

    return lstat(path, &st) && errno == ENOENT &&
        !snap_strings_have(&o->paths, path) &&
        !(o->beside && snap_strings_have(&o->beside->paths, path));
}

/* The i-th name to try, from 1. */
static char *candidate(const struct xl_overlay *o, const char *dir,
                       const char *stem, int i)
{
    if (o->revert)
        return snap_printf("%s/%s.%s-r%d.qcow2", dir, stem, o->snapshot, i);
    if (i == 1)
        return snap_printf("%s/%s.%s.qcow2", dir, stem, o->snapshot);
    return snap_printf("%s/%s.%s-%d.qcow2", dir, stem, o->snapshot, i);
}

static char *free_path(const struct xl_overlay *o, const char *image)
{
    AUTO_FREE char *stem = xl_overlay_stem(o->domain_dir, image);
    AUTO_FREE char *dir = snap_strdup(image);
    char *path;
    int i;

    *strrchr(dir, '/') = 0;
    for (i = 1; i < TRIES; i++) {
        path = candidate(o, dir, stem, i);
        if (strlen(strrchr(path, '/') + 1) <= NAME_MAX && is_free(o, path))
            return path;
        free(path);
    }
    return NULL;
}

char *xl_overlay_path(void *arg, const char *vdev, const char *image)
{
    struct xl_overlay *o = arg;
    struct stat st;
    char *path;
    size_t i;

    for (i = 0; i < o->paths.len; i++)
        if (!strcmp(o->vdevs.data[i], vdev) &&
            !strcmp(o->images.data[i], image))
            return snap_strdup(o->paths.data[i]);

    /* A block device has no directory of images beside it: target= says. */
    if (image[0] != '/' || stat(image, &st) || !S_ISREG(st.st_mode))
        return NULL;
    path = free_path(o, image);
    if (!path) return NULL;
    snap_strings_add(&o->vdevs, vdev);
    snap_strings_add(&o->images, image);
    snap_strings_add(&o->paths, path);
    return path;
}
