/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * How a program uses libxlsnapshot:
 *
 *     cc -o snapshots snapshots.c $(pkg-config --cflags --libs xlsnapshot)
 *     ./snapshots DIRECTORY                the snapshots in it
 *     ./snapshots DOMAIN DIRECTORY/NAME    makes one, as tags in the images
 */
#include <ctype.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libxl_snapshot.h>

static libxl_snapshot_ctx *ctx;

/* Who is killed leaves the rest to xl snapshot-recover; this undoes it now. */
static void cancel(int sig)
{
    (void)sig;
    libxl_snapshot_cancel(ctx);
}

/* What is quoted in a text may be somebody else's: no control characters. */
static void say(const char *before, const char *text)
{
    fputs(before, stderr);
    for (; *text; text++)
        putc(iscntrl((unsigned char)*text) ? '?' : *text, stderr);
    putc('\n', stderr);
}

static int failed(void)
{
    const char *why = libxl_snapshot_error(ctx);
    const char *hint = libxl_snapshot_hint(ctx);

    say("", why ? why : "there is no such domain");
    if (hint) say("To finish it, run: ", hint);
    return libxl_snapshot_outcome(ctx);
}

static int list(const char *directory)
{
    glob_t found = { .gl_pathc = 0 };
    int rc, status = 0;
    size_t i;

    rc = chdir(directory) ? GLOB_ABORTED
        : glob("*/" SNAP_MANIFEST_FILE, GLOB_ERR, NULL, &found);
    if (rc && rc != GLOB_NOMATCH) {
        perror(directory);
        status = LIBXL_SNAPSHOT_REFUSED;
    }
    for (i = 0; i < found.gl_pathc; i++) {
        libxl_snapshot_set set;

        ctx = libxl_snapshot_ctx_alloc(NULL);
        if (libxl_snapshot_load(ctx, found.gl_pathv[i], &set))
            status = failed();
        else
            printf("%s %s %s\n", set.manifest.name, set.manifest.created,
                   set.manifest.consistency);
        libxl_snapshot_set_dispose(&set);
        libxl_snapshot_ctx_free(ctx);
    }
    globfree(&found);
    return status;
}

static int create(const char *domain, const char *path)
{
    const char *slash = strrchr(path, '/');
    libxl_snapshot_create_params params = {
        .name = slash ? slash + 1 : path, .directory = path,
        .default_kind = LIBXL_SNAPSHOT_DISK_INTERNAL,
        .lock_timeout_ms = 10000,
    };
    libxl_snapshot_result result = { .domid = 0 };
    char *name = NULL;
    int status = LIBXL_SNAPSHOT_DONE;
    size_t i;

    ctx = libxl_snapshot_ctx_alloc(NULL);
    signal(SIGINT, cancel);
    if (libxl_snapshot_find_domain(ctx, domain, &params.domid, &name)
        || libxl_snapshot_create(ctx, &params, &result))
        status = failed();
    else
        printf("%s: domain %u stood still for %lld ms\n", path,
               result.domid, (long long)result.still_ms);
    for (i = 0; i < result.notes.len; i++) say("Note: ", result.notes.data[i]);
    libxl_snapshot_result_dispose(&result);
    free(name);
    libxl_snapshot_ctx_free(ctx);
    return status;
}

int main(int argc, char **argv)
{
    if (argc == 2) return list(argv[1]);
    if (argc == 3) return create(argv[1], argv[2]);
    fprintf(stderr, "Usage: %s DIRECTORY | DOMAIN DIRECTORY/NAME\n", argv[0]);
    return 2;
}
