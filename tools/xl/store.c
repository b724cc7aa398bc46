/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The store: directories, names, listing, and finding what the user calls a
 * snapshot.  See store.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "format/manifest.h"
#include "host/fs.h"
#include "host/lineage.h"
#include "options.h"
#include "say.h"
#include "snapconfig.h"
#include "store.h"

char *xl_store_dir(const char *option)
{
    const char *env = getenv("XL_SNAPSHOT_STORE");
    char *dir;
    size_t n;

    if (!option && env && *env) option = env;
    dir = xl_absolute(option ? option : SNAP_STORE_DIR);
    for (n = strlen(dir); n > 1 && dir[n - 1] == '/'; n--)
        dir[n - 1] = 0;
    return dir;
}

char *xl_store_domain_dir(const char *store, const char *domain)
{
    AUTO_FREE char *encoded = snap_fs_encode_name(domain);

    return snap_printf("%s/%s", store, encoded);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

char *xl_store_decode_name(const char *encoded)
{
    AUTO_FREE char *again = NULL;
    char *name = snap_zalloc(strlen(encoded) + 1), *to = name;
    const char *s;

    for (s = encoded; *s; s++) {
        if (*s == '%' && hex(s[1]) >= 0 && hex(s[2]) >= 0) {
            *to++ = (char)(hex(s[1]) * 16 + hex(s[2]));
            s += 2;
        } else if (*s != '%') {
            *to++ = *s;
        }
    }
    /* Whatever does not encode to the same again is no work of ours. */
    again = snap_fs_encode_name(name);
    if (!strcmp(again, encoded))
        return name;
    free(name);
    return NULL;
}

const char *xl_store_name_error(const char *name)
{
    if (!snap_name_valid(name)) return XL_NAME_RULE;
    if (!strcmp(name, XL_CURRENT_FILE))
        return "the store has a file of that name";
    return NULL;
}

bool xl_store_has(const char *domain_dir, const char *name)
{
    AUTO_FREE char *path = snap_printf("%s/%s", domain_dir, name);
    struct stat st;

    /* Anything but a clear "no" is a yes: the name is not to be used. */
    return !lstat(path, &st) || (errno != ENOENT && errno != ENOTDIR);
}

char *xl_store_current(const char *domain_dir)
{
    AUTO_FREE char *path = snap_printf("%s/" XL_CURRENT_FILE, domain_dir);
    AUTO_FREE char *name = snap_lineage_name(path);

    if (!name || !snap_name_valid(name) || !xl_store_has(domain_dir, name))
        return NULL;
    return snap_strdup(name);
}

char *xl_store_default_name(const char *domain_dir, time_t now)
{
    char stamp[32] = "snapshot";
    struct tm tm;
    char *name;
    int i;

    if (gmtime_r(&now, &tm))
        strftime(stamp, sizeof(stamp), "s%Y%m%dT%H%M%SZ", &tm);
    name = snap_strdup(stamp);
    for (i = 2; xl_store_has(domain_dir, name) && i < 10000; i++) {
        free(name);
        name = snap_printf("%s-%d", stamp, i);
    }
    return name;
}

bool xl_store_is_default_name(const char *name)
{
    static const char shape[] = "s00000000T000000Z";
    size_t i;

    for (i = 0; shape[i]; i++) {
        bool digit = name[i] >= '0' && name[i] <= '9';

        if (shape[i] == '0' ? !digit : name[i] != shape[i])
            return false;
    }
    if (!name[i]) return true;
    return name[i] == '-' && name[i + 1] &&
        !name[i + 1 + strspn(name + i + 1, "0123456789")];
}

/* ---- listing --------------------------------------------------------- */

static void entry_dispose(struct xl_entry *e)
{
    free(e->name);
    free(e->directory);
    free(e->broken);
    libxl_snapshot_set_dispose(&e->set);
}

void xl_entries_dispose(struct xl_entries *l)
{
    size_t i;

    for (i = 0; i < l->len; i++)
        entry_dispose(&l->data[i]);
    free(l->data);
    snap_strings_dispose(&l->unfinished);
    memset(l, 0, sizeof(*l));
}

static uint64_t directory_bytes(const char *directory)
{
    DIR *d = opendir(directory);
    uint64_t sum = 0;
    struct dirent *e;
    struct stat st;

    if (!d) return 0;
    while ((e = readdir(d)))
        if (!fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
            S_ISREG(st.st_mode))
            sum += (uint64_t)st.st_blocks * 512;
    closedir(d);
    return sum;
}

int xl_store_load(struct snap_ctx *sc, const char *path,
                  libxl_snapshot_set *set)
{
    libxl_snapshot_ctx *ctx = libxl_snapshot_ctx_alloc(NULL);
    const char *why;
    int rc;

    rc = libxl_snapshot_load(ctx, path, set);
    if (rc) {
        why = libxl_snapshot_error(ctx);
        if (why)
            snap_fail(sc, rc, "%s", why);
        else
            snap_fail(sc, rc, "'%s' cannot be read (error %d)", path, rc);
    }
    libxl_snapshot_ctx_free(ctx);
    return rc;
}

static void add_entry(struct xl_entries *l, const char *domain_dir,
                      const char *name, const char *current)
{
    AUTO_FREE char *manifest = snap_printf("%s/%s/" SNAP_MANIFEST_FILE,
                                           domain_dir, name);
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct xl_entry *e;
    struct stat st;

    if (lstat(manifest, &st) && (errno == ENOENT || errno == ENOTDIR)) {
        snap_strings_add(&l->unfinished, name);
        return;
    }
    l->data = snap_realloc(l->data, (l->len + 1) * sizeof(*l->data));
    e = &l->data[l->len++];
    memset(e, 0, sizeof(*e));
    e->name = snap_strdup(name);
    e->directory = snap_printf("%s/%s", domain_dir, name);
    e->current = current && !strcmp(current, name);
    e->size_bytes = directory_bytes(e->directory);
    if (xl_store_load(&sc, e->directory, &e->set)) {
        e->broken = snap_strdup(sc.message ? sc.message : "unreadable");
        libxl_snapshot_set_dispose(&e->set);
        memset(&e->set, 0, sizeof(e->set));
    }
    snap_ctx_dispose(&sc);
}

static const char *created(const struct xl_entry *e)
{
    const char *s = e->set.manifest.created;

    return e->broken ? "~" : s ? s : "";    /* '~' sorts behind any date */
}

static int older_first(const void *a, const void *b)
{
    const struct xl_entry *x = a, *y = b;
    int c = strcmp(created(x), created(y));

    return c ? c : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the directories in a directory, sorted; hidden ones left out. */
static int subdirectories(struct snap_ctx *sc, const char *path,
                          struct snap_strings *out)
{
    DIR *d = opendir(path);
    struct dirent *e;
    struct stat st;
    int err;

    if (!d && errno == ENOENT) return 0;
    if (!d)
        return snap_fail_errno(sc, errno, "the directory '%s' cannot be "
                               "read", path);
    while ((errno = 0, e = readdir(d)))
        if (e->d_name[0] != '.' && !fstatat(dirfd(d), e->d_name, &st, 0) &&
            S_ISDIR(st.st_mode))
            snap_strings_add(out, e->d_name);
    err = errno;
    closedir(d);
    if (err)
        return snap_fail_errno(sc, err, "reading the directory '%s'", path);
    if (out->len)
        qsort(out->data, out->len, sizeof(*out->data), by_name);
    return 0;
}

int xl_store_list(struct snap_ctx *sc, const char *domain_dir,
                  struct xl_entries *out)
{
    AUTO_FREE char *current = xl_store_current(domain_dir);
    struct snap_strings names = { 0 };
    size_t i;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = subdirectories(sc, domain_dir, &names);
    for (i = 0; !rc && i < names.len; i++)
        add_entry(out, domain_dir, names.data[i], current);
    snap_strings_dispose(&names);
    if (out->len)
        qsort(out->data, out->len, sizeof(*out->data), older_first);
    return rc;
}

int xl_store_domains(struct snap_ctx *sc, const char *store,
                     struct snap_strings *out)
{
    return subdirectories(sc, store, out);
}

int xl_store_list_all(struct snap_ctx *sc, const char *store,
                      struct xl_entries *out)
{
    struct snap_strings domains = { 0 };
    size_t i, k;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = subdirectories(sc, store, &domains);
    for (i = 0; !rc && i < domains.len; i++) {
        AUTO_FREE char *dir = snap_printf("%s/%s", store, domains.data[i]);
        struct xl_entries one;

        rc = xl_store_list(sc, dir, &one);
        out->data = snap_realloc(out->data, (out->len + one.len + 1) *
                                 sizeof(*out->data));
        for (k = 0; k < one.len; k++)
            out->data[out->len++] = one.data[k];
        one.len = 0;            /* the entries have moved */
        xl_entries_dispose(&one);
    }
    snap_strings_dispose(&domains);
    return rc;
}

/* The highest directory above and with path that is not there; NULL: all
 * are. */
static char *highest_missing(const char *path)
{
    char *at = snap_strdup(path), *found = NULL;
    struct stat st;
    char *slash;

    while (*at && lstat(at, &st) && errno == ENOENT) {
        free(found);
        found = snap_strdup(at);
        slash = strrchr(at, '/');
        if (!slash) break;
        *slash = '\0';
    }
    free(at);
    return found;
}

int xl_store_make_domain_dir(struct snap_ctx *sc, const char *domain_dir,
                             char **made)
{
    *made = highest_missing(domain_dir);
    return snap_fs_make_dir(sc, domain_dir);
}

void xl_store_unmake_domain_dir(const char *domain_dir, const char *made)
{
    AUTO_FREE char *at = snap_strdup(domain_dir);

    /* A directory with something in it stays, and so do those above it. */
    while (made && strlen(at) >= strlen(made) && !rmdir(at))
        *strrchr(at, '/') = '\0';
}

/* ---- finding a snapshot ---------------------------------------------- */

static int refused(int rc)
{
    return rc ? XL_REFUSED : 0;
}

/* A hand-written file begins with anything but the '{' of a manifest. */
static int find_file(struct snap_ctx *sc, const char *domain,
                     const char *path, libxl_snapshot_set *set)
{
    AUTO_FREE char *text = NULL;
    size_t len, at;
    int rc;

    rc = snap_fs_read(sc, path, false, SNAP_MANIFEST_MAX_BYTES, &text, &len);
    if (rc) return rc;
    at = strspn(text, " \t\r\n");
    if (text[at] == '{')
        return xl_store_load(sc, path, set);
    return xl_config_read_set(sc, path, text, len, domain, set);
}

static int find_path(struct snap_ctx *sc, const char *domain,
                     const char *arg, libxl_snapshot_set *set, char **where)
{
    AUTO_FREE char *path = xl_absolute(arg);
    struct stat st;
    int rc;

    if (stat(path, &st))
        return refused(snap_fail_errno(sc, errno, "the snapshot '%s'",
                                       path));
    if (S_ISDIR(st.st_mode))
        rc = xl_store_load(sc, path, set);
    else
        rc = find_file(sc, domain, path, set);
    if (!rc)
        *where = snap_strdup(path);
    return refused(rc);
}

int xl_store_find(struct snap_ctx *sc, const char *store, const char *domain,
                  const char *arg, libxl_snapshot_set *set, char **where)
{
    AUTO_FREE char *dir = NULL;
    AUTO_FREE char *path = NULL;

    memset(set, 0, sizeof(*set));
    *where = NULL;
    if (strchr(arg, '/'))
        return find_path(sc, domain, arg, set, where);
    if (!snap_name_valid(arg)) {
        snap_fail(sc, ERROR_INVAL, "'%s' is not a snapshot's name: %s (a "
                  "path must have a '/')", arg, XL_NAME_RULE);
        return XL_USAGE;
    }
    dir = xl_store_domain_dir(store, domain);
    path = snap_printf("%s/%s", dir, arg);
    if (!xl_store_has(path, SNAP_MANIFEST_FILE))
        return refused(snap_fail(sc, ERROR_NOTFOUND, "domain '%s' has no "
                                 "snapshot '%s' in %s; xl snapshot-list "
                                 "shows what there is", domain, arg, dir));
    *where = snap_strdup(arg);
    return refused(xl_store_load(sc, path, set));
}
