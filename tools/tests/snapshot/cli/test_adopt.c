/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-adopt: what is asked of the library, and what is printed. */
#include "commands_run.h"

static void adopt(void)
{
    AUTO_FREE char *new = snap_printf("%s/new", store);
    AUTO_FREE char *directory = snap_printf("%s/web/s9\n", store);
    AUTO_FREE char *asked_for = snap_printf("\ndirectory=%s", directory);

    run("", "snapshot-adopt", "web", "s9");
    is_int(status, 0, "adopt without options is done");
    is_str(out, directory, "prints the directory and nothing else");
    like(err, "Snapshot 's9' of domain 'web' was adopted: full, of "
         "2026-01-02T03:04:05Z.\n", "what it is, is on standard error");
    like(asked, asked_for, "the directory is in the store");
    like(asked, "adopt domain=web name=s9 description=-\n", "its name is");
    like(asked, "\nconfig=- parent=- memory=-\noffline=0 protect=1 dry=0 "
         "lock=60000 stock=/bin/true\n", "the defaults are sensible");
    unlike(asked, "\ndisk", "no disk is named");
    run("words", "snapshot-adopt", "--json", "5", "s9");
    ok(member_is("snapshot", "s9") && member_is("consistency", "full") &&
       member_is("domain", "web") && member_is_int("memory_bytes", 4096) &&
       member_is("created", "2026-01-02T03:04:05Z") &&
       member_is_int("exit", 0), "--json has the result");
    is_str(err, "", "and standard error is silent");
    run("refuse", "snapshot-adopt", "new", "s9");
    is_int(status, 1, "refused is 1");
    like(asked, "adopt domain=new", "the domain may be off");
    ok(access(new, F_OK), "and no directory is left behind");
    run("", "snapshot-adopt", "--dry-run", "new", "s9");
    is_str(out, "do this\nthen that\n", "a dry run prints the plan");
    ok(strstr(asked, " dry=1 ") && access(new, F_OK),
       "and makes no directory");
    make_snapshot("web", "s9");
    run("", "snapshot-adopt", "web", "s9");
    is_int(status, 1, "a name that is taken is refused");
    is_str(asked, "", "before anything is begun");
}

static void adopt_options(void)
{
    AUTO_FREE char *current = snap_printf("%s/web/current", store);
    AUTO_FREE char *path = in_dir("mine");
    AUTO_FREE char *line = snap_printf("\ndirectory=%s\n", path);

    write_file(current, "s9\n");
    run("", "snapshot-adopt", "-d", "two\nlines", "--path", path, "--memory",
        "/m\n.save", "--config", "/web.cfg", "--no-protect",
        "--exclude=xvdc", "--lock-timeout=0", "web", "s8", "xvda=tag:a=b",
        "xvdb=base:/img/x=y,\n.img");
    is_int(status, 0, "all options together");
    like(asked, line, "--path is the directory itself");
    like(asked, "name=s8 description=two\nlines\n", "the description");
    like(asked, "\nconfig=/web.cfg parent=s9 memory=/m\n.save\n",
         "the files, and the current snapshot as parent");
    like(asked, "offline=0 protect=0 dry=0 lock=0", "the others");
    like(asked, "\ndisk xvda tag a=b\ndisk xvdb base /img/x=y,\n.img\n"
         "disk xvdc exclude -\n", "each disk with what was said of it");
    unlink(current);
    run("", "snapshot-adopt", "--offline", "web", "s8");
    like(asked, "offline=1", "a domain that was off");
    run("", "snapshot-adopt", "--offline", "--memory", "/m", "web", "s8");
    is_int(status, 2, "which then had no memory");
}

static void adopt_usage(void)
{
    static const struct {
        const char *word, *message;
    } bad[] = {
        { "xvda", "'xvda' is not VDEV=WHAT, like xvda=tag:before or "
          "xvdb=base:/img/b.qcow2" },
        { "=tag:s1", "'=tag:s1' is not VDEV=WHAT" },
        { "../x=tag:s1", "'../x=tag:s1' is not VDEV=WHAT" },
        { "xvda=", "'' of disk 'xvda' is neither tag:TAG nor base:PATH" },
        { "xvda=tag:", "'tag:' of disk 'xvda' is neither" },
        { "xvda=s1", "'s1' of disk 'xvda' is neither" },
        { "xvda=base:b.img", "'base:b.img' of disk 'xvda': the path of a base "
          "begins with '/'" },
    };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        AUTO_JSON struct snap_json *o = NULL;

        run("", "snapshot-adopt", "--json", "web", "s8", bad[i].word);
        o = parse_out();
        like(snap_json_get_str(o, "error"), bad[i].message,
             "usage: '%s'", bad[i].word);
        ok(status == 2 && !*asked, "and nothing is begun");
    }
    run("", "snapshot-adopt", "web", "a\nb");
    is_int(status, 2, "a name with a newline is none");
    run("", "snapshot-adopt", "web");
    is_int(status, 2, "there must be one");
}

static void test(void)
{
    adopt();
    adopt_options();
    adopt_usage();
}

int main(int argc, char **argv)
{
    return commands_main(argc, argv, test);
}
