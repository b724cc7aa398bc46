/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The commands that work on a snapshot, over a fake library: what it is asked
 * for, what is printed where, exit statuses, and what becomes of an xl.cfg.
 */
#include "commands_run.h"

/* ---- revert, delete -------------------------------------------------- */

static void revert(void)
{
    AUTO_FREE char *s1 = snap_printf("%s/web/s1", store);
    AUTO_FREE char *line = snap_printf("revert domain=web snapshot=s1 "
                                       "directory=%s\n", s1);
    AUTO_FREE char *retry = NULL, *current = NULL, *cfg = in_dir("d.cfg");
    AUTO_FREE char *config = NULL;

    make_snapshot("web", "s1");
    make_snapshot("web", "s2");
    make_snapshot("db", "other");
    run("", "snapshot-revert", "web", "s1");
    is_int(status, 0, "revert is done");
    is_str(out, "", "with nothing on standard output");
    like(err, "is back at snapshot 's1'; its domid is 6 now", "and a word");
    like(asked, line, "of the snapshot");
    like(asked, "state=0 force=0 protect=1 dry=0", "with the defaults");
    like(asked, "other=s2", "the others are known");
    like(asked, "other=other", "those of other domains, too");
    unlike(asked, "other=s1", "but not itself");
    like(asked, "disk_only=0\n", "with memory");
    like(asked, "stock=/bin/true", "and the stock xl");
    current = snap_printf("current=%s/web/current\n", store);
    like(asked, current, "and the hint");

    write_file(cfg, "");
    config = snap_printf("config=%s ", cfg);
    retry = snap_printf("retry=xl snapshot-revert --store %s --running "
                        "--force --exclude xvdb --exclude xvdc web s1 %s\n",
                        store, cfg);
    run("", "snapshot-revert", "--running", "--force", "-q", "--json",
        "--exclude", "xvdb", "--exclude", "xvdc", "5", "s1", cfg);
    is_int(status, 0, "with options");
    like(asked, retry, "the command to repeat has the name, not the domid");
    like(asked, config, "the configuration is given as a whole path");
    like(asked, "state=1 force=1", "and the options are followed");
    like(asked, "exclude=xvdb\nexclude=xvdc", "all of them");
    ok(member_is_int("domid", 6) && member_is("snapshot", "s1"),
       "--json has the result");
    run("", "snapshot-revert", "--paused", "web", s1);
    like(asked, line, "a snapshot by its path");
    like(asked, "state=2", "paused");
    free(retry);
    retry = snap_printf("--paused web %s\n", s1);
    like(asked, retry, "the path is in the command to repeat");
    run("words", "snapshot-revert", "web", "s1");
    like(err, "\n    /img/old.qcow2 (12 bytes): old\n",
         "what is left is told");
    run("", "snapshot-revert", "--dry-run", "web", "s1");
    is_str(out, "do this\nthen that\n", "a dry run prints the plan");
    run("", "snapshot-revert", "web", "s1", "/no/such.cfg");
    is_int(status, 1, "a configuration that is not there is refused");
    is_str(asked, "", "before anything is begun");
    run("not whole", "snapshot-revert", "web", "s1");
    is_int(status, 4, "not whole is 4");
    unlink(cfg);
}

static void revert_disk_only(void)
{
    AUTO_FREE char *cfg = in_dir("set.cfg");

    run("", "snapshot-revert", "--disk-only", "web", "s1");
    is_int(status, 0, "revert --disk-only");
    like(asked, "disk_only=1\n", "is without memory");
    like(asked, " --disk-only web s1\n", "in the command to repeat, too");
    like(err, "Domain 'web' was booted from the disks of snapshot 's1'; its "
         "domid is 6 now.", "says that it was a boot");
    write_file(cfg, "name='t1'\ndisk=['vdev=xvda,tag=t1']\n");
    run("", "snapshot-revert", "--json", "web", cfg);
    is_int(status, 0, "a set without memory");
    like(asked, "disk_only=1\n", "does not have to be told so");
    like(out, "\"disk_only\": true", "--json says it");
    unlink(cfg);
}

static void revert_odd_names(void)
{
    make_snapshot("-d", "odd");
    make_snapshot("a%20b", "odd");
    run("", "snapshot-revert", "a b", "odd");
    like(asked, "revert domain=a b ", "a domain with a space");
    like(asked, " 'a b' odd\n", "is quoted in the command to repeat");
    run("", "snapshot-revert", "--", "-d", "odd");
    like(asked, "revert domain=-d ", "a domain like an option");
    like(asked, " -- -d odd\n", "is kept apart in the command to repeat");
    run("", "snapshot-revert", "other", "s1");
    is_int(status, 1, "another domain's snapshot is not found by name");
    is_str(asked, "", "and nothing is begun");
    run("no xen", "snapshot-revert", "5", "s1");
    is_int(status, 1, "a domid without Xen is nobody");
    is_str(asked, "", "and nothing is begun");
}

static void revert_by_hand(void)
{
    AUTO_FREE char *cfg = in_dir("set.cfg");
    AUTO_FREE char *image = in_dir("disk.img");
    AUTO_FREE char *overlay = snap_printf("overlay=%s/disk.t1-r1.qcow2\n",
                                          dir);
    AUTO_FREE char *web = snap_printf("%s/new", store);

    write_file(cfg, "name='t1'\nmemory='m.save'\n"
               "disk=['vdev=xvda,parent=disk.img']\n");
    write_file(image, "");
    setenv("FAKE_IMAGE", image, 1);
    run("", "snapshot-revert", "new", cfg);
    is_int(status, 0, "a set made by hand");
    like(asked, "revert domain=new snapshot=t1 directory=-\n",
         "has no directory");
    like(asked, overlay, "its overlay is named after it");
    ok(!access(web, F_OK), "there is a place for the hint");
    rmdir(web);
    run("refuse", "snapshot-revert", "new", cfg);
    ok(access(web, F_OK), "but not after a refusal");
    unsetenv("FAKE_IMAGE");
    run("", "snapshot-delete", "web", cfg);
    is_int(status, 1, "it cannot be deleted");
    is_str(asked, "", "by us");
}

static void delete(void)
{
    AUTO_FREE char *current = snap_printf("%s/web/current", store);
    AUTO_FREE char *broken = snap_printf("%s/web/torn", store);
    AUTO_FREE char *file = snap_printf("%s/" SNAP_MANIFEST_FILE, broken);
    AUTO_FREE char *line = snap_printf("delete domain=web directory=%s/web/"
                                       "s1 keep_layers=0 speed=0 dry=0\n",
                                       store);

    run("", "snapshot-delete", "web", "s1");
    is_int(status, 0, "delete is done");
    like(asked, line, "of the snapshot");
    like(asked, "other=s2", "the others are known");
    unlike(asked, "other=s1", "but not itself");
    run("", "snapshot-delete", "--speed", "3k", "web", "s1");
    like(asked, " speed=3072 ", "a speed is in bytes");
    run("", "snapshot-delete", "--speed=1G", "web", "s1");
    like(asked, " speed=1073741824 ", "of any size");
    run("", "snapshot-delete", "--keep-layers", "web", "s1");
    like(asked, "keep_layers=1", "layers can be kept");
    run("", "snapshot-delete", "--dry-run", "web", "s1");
    is_str(out, "do this\nthen that\n", "a dry run prints the plan");
    run("", "snapshot-delete", "--json", "web", "s1");
    ok(member_is("snapshot", "s1"), "--json has the result");
    run("words", "snapshot-delete", "--dry-run", "web", "s1");
    like(err, "Note: a remark", "and the notes");
    run("planned", "snapshot-delete", "--dry-run", "web", "s1");
    unlike(err, "a remark", "but not those that stand in it");
    run("planned", "snapshot-delete", "web", "s1");
    like(err, "Note: a remark", "which are said when it is done");
    write_file(current, "s1\n");
    run("", "snapshot-delete", "web", "current");
    unlink(current);
    is_int(status, 1, "a file beside the snapshots is none");
    like(err, "domain 'web' has no snapshot 'current'", "as it says");
    mkdir(broken, 0700);
    write_file(file, "{");
    run("", "snapshot-delete", "web", "s1");
    is_int(status, 1, "beside a broken one it is refused");
    like(err, "'torn' is broken", "which is named");
    is_str(asked, "", "and nothing is begun");
    run("", "snapshot-delete", "db", "other");
    is_int(status, 0, "another domain's does not matter");
    like(err, "torn", "but is mentioned");
    run("", "snapshot-revert", "web", "s1");
    is_int(status, 0, "nor does it keep from reverting");
    unlink(file);
    rmdir(broken);
}

static void delete_keeping_memory(void)
{
    AUTO_FREE char *path = snap_printf("%s/web/s1/memory.xl\n", store);
    AUTO_FREE char *left = snap_printf("%s/web/left", store);
    AUTO_FREE char *memory = snap_printf("%s/memory.xl", left);
    AUTO_FREE char *says = snap_printf("'%s' is there already and holds '%s'",
                                       left, memory);

    run("", "snapshot-delete", "--keep-memory", "web", "s1");
    is_int(status, 0, "delete --keep-memory is done");
    like(asked, "keep memory\n", "the library is told");
    is_str(out, path, "and the path of the image printed");
    run("", "snapshot-delete", "--keep-memory", "--json", "web", "s1");
    path[strlen(path) - 1] = 0;
    ok(member_is("memory", path), "--json has it");
    run("", "snapshot-delete", "--json", "web", "s1");
    unlike(asked, "keep memory", "without the option it goes");
    like(out, "\"memory\": null", "and --json has none");
    run("", "snapshot-delete", "--keep-memory", "--dry-run", "web", "s1");
    is_str(out, "do this\nthen that\n", "a dry run prints the plan alone");
    run("", "snapshot-delete", "--keep-memory", "--abandoned", "web");
    is_int(status, 2, "--abandoned has no memory");
    mkdir(left, 0700);
    write_file(memory, "");
    run("", "snapshot-create", "-n", "left", "5");
    is_int(status, 1, "a name is taken as long as the image is there");
    like(err, says, "which is named");
    is_str(asked, "", "and nothing is begun");
    unlink(memory);
    rmdir(left);
}

/* The snapshots that the library was asked to delete, in order. */
static const char *deleted(void)
{
    static char names[200];
    const char *at = asked;

    *names = 0;
    while ((at = strstr(at, "/fam/"))) {
        snprintf(names + strlen(names), sizeof(names) - strlen(names),
                 "%.1s ", at + strlen("/fam/"));
        at++;
    }
    return names;
}

static void delete_children(void)
{
    AUTO_FREE char *current = snap_printf("%s/fam/current", store);
    AUTO_FREE char *listed = snap_printf("%s/fam/d\n%s/fam/c\n%s/fam/b\n",
                                         store, store, store);

    make_snapshot("fam", "a");
    make_child("fam", "b", "a");
    make_child("fam", "c", "b");
    make_child("fam", "d", "b");
    make_child("fam", "e", "a");
    run("", "snapshot-delete", "--children", "fam", "b");
    is_int(status, 0, "a snapshot and what descends from it are deleted");
    is_str(deleted(), "d c b ", "children first, the others not");
    run("", "snapshot-delete", "--children-only", "fam", "a");
    is_str(deleted(), "e d c b ", "--children-only leaves itself");
    run("", "snapshot-delete", "--children-only", "fam", "c");
    is_int(status, 0, "of one without children");
    is_str(deleted(), "", "nothing is deleted");
    run("", "snapshot-delete", "--children", "--dry-run", "fam", "b");
    is_str(out, listed, "a dry run lists them");
    is_str(deleted(), "", "and does nothing");
    run("", "snapshot-delete", "--children", "--json", "fam", "b");
    like(out, "{\n    \"exit\": 0,\n    \"snapshots\": ",
         "--json prints one object");
    like(out, "\"snapshot\": \"d\"", "with the first");
    like(out, "\"snapshot\": \"b\"", "and the last");
    run("refuse", "snapshot-delete", "--children", "fam", "b");
    is_int(status, 1, "when one is refused");
    is_str(deleted(), "d ", "the rest is left alone");
    write_file(current, "c\n");
    run("", "snapshot-delete", "--children", "fam", "b");
    is_int(status, 1, "a branch that the present descends from");
    like(err, "present state of domain 'fam' descends from 'c'",
         "is not deleted");
    is_str(deleted(), "", "not even begun");
    run("", "snapshot-delete", "--children", "fam", "c");
    is_int(status, 0, "but its end is");
    unlink(current);
    make_child("fam", "b", "c");
    run("", "snapshot-delete", "--children", "fam", "b");
    make_child("fam", "b", "a");
    is_int(status, 1, "a circle is refused");
    like(err, "its own ancestor", "and named");
    run("", "snapshot-delete", "--children", "--children-only", "fam", "b");
    is_int(status, 2, "one of the two");
}

/* ---- --update-config ------------------------------------------------- */

#define CFG_OLD "name='web' # it\ndisk=['/img/old,raw,xvda,w',]"
#define CFG_NEW "name='web' # it\ndisk=['/img/n,qcow2,xvda,w',]"

static void holds(const char *path, const char *text, const char *claim)
{
    AUTO_FREE char *have = slurp(path);

    is_str(have, text, "%s", claim);
}

static void update(void)
{
    AUTO_FREE char *cfg = in_dir("u.cfg"), *link = in_dir("link.cfg");
    AUTO_FREE char *backup = in_dir("u.cfg.snapshot-backup");
    AUTO_FREE char *second = in_dir("u.cfg.snapshot-backup.2");
    struct stat st;

    write_file(cfg, CFG_OLD);
    if (chmod(cfg, 0640) || chown(cfg, 1, 2) || symlink("u.cfg", link))
        bail("cannot set up %s", cfg);
    run("words", "snapshot-create", "--update-config", link, "-n", "u1",
        "web");
    is_int(status, 0, "create with --update-config is done");
    holds(cfg, CFG_NEW, "the file has the new image");
    ok(!stat(cfg, &st) && st.st_uid == 1 && st.st_gid == 2 &&
       (st.st_mode & 07777) == 0640, "its owner, group and mode stay");
    ok(!lstat(link, &st) && S_ISLNK(st.st_mode), "the link to it, too");
    holds(backup, CFG_OLD, "the old one is beside it");
    ok(!stat(backup, &st) && st.st_uid == 1 && st.st_gid == 2 &&
       (st.st_mode & 07777) == 0640, "as it was");
    like(err, backup, "which is told");
    unlike(err, "must now have", "instead of what to change");

    run("words", "snapshot-create", "--update-config", cfg, "-n", "u1",
        "web");
    is_int(status, 0, "once more");
    like(err, "needs no change", "nothing has to change");
    ok(access(second, F_OK), "and there is no other backup");

    write_file(cfg, CFG_OLD "\n");
    run("words", "snapshot-create", "-q", "--update-config", cfg, "-n", "u1",
        "web");
    is_str(err, "", "quietly");
    holds(backup, CFG_OLD, "a backup is never overwritten");
    holds(second, CFG_OLD "\n", "there is another one");
    unlink(second);
    unlink(backup);
    unlink(link);
    unlink(cfg);
}

static void update_words(void)
{
    AUTO_FREE char *cfg = in_dir("u.cfg");
    AUTO_FREE char *backup = in_dir("u.cfg.snapshot-backup");
    AUTO_FREE char *retry = snap_printf("--update-config %s ", cfg);
    AUTO_JSON struct snap_json *j = NULL;
    struct snap_json *c;
    bool changed = false;

    write_file(cfg, CFG_OLD);
    run("words", "snapshot-create", "--update-config", cfg, "--dry-run", "-n",
        "u1", "web");
    is_str(out, "do this\nthen that\n"
           "- disk=['/img/old,raw,xvda,w',]\n"
           "+ disk=['/img/n,qcow2,xvda,w',]\n",
           "a dry run has the lines below the plan");
    holds(cfg, CFG_OLD, "and changes nothing");
    run("words", "snapshot-revert", "--update-config", cfg, "--json", "web",
        "s1", cfg);
    is_int(status, 0, "revert, where it is DOMAIN-CONFIG as well");
    holds(cfg, CFG_NEW, "changes it");
    like(asked, retry, "the command to repeat would, too");
    j = parse_out();
    c = snap_json_get(j, "config");
    is_str(snap_json_get_str(c, "path"), cfg, "JSON has the file");
    is_str(snap_json_get_str(c, "backup"), backup, "the backup");
    ok(snap_json_bool(snap_json_get(c, "changed"), &changed) && changed,
       "and that it was changed");
    like(out, "\"old_lines\": [", "and the lines");
    is_str(err, "", "and standard error is silent");
    run("undone", "snapshot-revert", "--update-config", cfg, "web", "s1");
    is_int(status, 3, "what is undone");
    unlike(err, cfg, "has no word about it");
    write_file(cfg, CFG_OLD);
    run("words", "snapshot-delete", "--update-config", cfg, "web", "s1");
    is_int(status, 0, "delete with it");
    holds(cfg, CFG_NEW, "changes it, too");
    run("words", "snapshot-create", "--json", "-n", "u1", "web");
    unlike(out, "\"config\"", "without it JSON has nothing of it");
    unlink(backup);
    unlink(cfg);
}

static void update_refused(const char *path, const char *part,
                           const char *claim)
{
    run("words", "snapshot-create", "--update-config", path, "-n", "u1",
        "web");
    is_int(status, 1, "%s is refused", claim);
    is_str(asked, "", "before anything is begun");
    like(err, part, "with the reason");
}

static void update_look(void)
{
    AUTO_FREE char *cfg = in_dir("u.cfg"), *other = in_dir("hard.cfg");
    AUTO_FREE char *fifo = in_dir("fifo");

    update_refused(dir, "regular", "a directory");
    update_refused(cfg, "No such file", "a file that is not there");
    mkfifo(fifo, 0600);
    update_refused(fifo, "regular", "a pipe");
    unlink(fifo);
    write_file(cfg, "name='db'\n");
    update_refused(cfg, "of domain 'db', not of 'web'", "another's file");
    write_file(cfg, "name='web'\ndisk=[]\ndisk=[]\n");
    update_refused(cfg, "set twice", "what cannot be edited");
    write_file(cfg, CFG_OLD);
    if (link(cfg, other)) bail("link");
    update_refused(cfg, "hard link", "a file with two names");
    unlink(other);
    unlink(cfg);
}

static void update_fails(void)
{
    static char name[251];
    AUTO_FREE char *cfg = in_dir("u.cfg"), *path = NULL;

    write_file(cfg, "name='web'\ndisk=['/c,raw,xvdc,w']\n");
    run("words", "snapshot-create", "-q", "--json", "--update-config", cfg,
        "-n", "u1", "web");
    is_int(status, 0, "a disk that is not in the file is no failure");
    like(err, "there is no disk 'xvda'", "but told, also to who wants quiet");
    like(err, "\n    format=qcow2,vdev=xvda,access=rw,target=/img/n\n",
         "with the entry to write");
    like(out, "\"reason\": \"", "and in JSON");
    holds(cfg, "name='web'\ndisk=['/c,raw,xvdc,w']\n",
          "the file is as it was");
    unlink(cfg);
    memset(name, 'n', sizeof(name) - 1);
    path = in_dir(name);
    write_file(path, CFG_OLD);
    run("words", "snapshot-create", "--update-config", path, "-n", "u1",
        "web");
    is_int(status, 0, "nor is a backup that cannot be made");
    like(err, "Warning: ", "which is told");
    holds(path, CFG_OLD, "without one the file is not changed");
    unlink(path);
}

/* ---- delete --abandoned ---------------------------------------------- */

static void abandoned(void)
{
    setenv("FAKE_ABANDONED", "1", 1);
    run("", "snapshot-delete", "--abandoned", "--dry-run", "web");
    is_int(status, 0, "what is abandoned is shown by a dry run");
    is_str(out, "   SIZE WRITTEN          ABANDONED OVERLAY\n"
           "   192K 1970-01-01 00:00 /img/b.s1-r1.qcow2\n", "with its size and "
           "its age");
    is_str(asked, "", "and nothing is done");
    run("", "snapshot-delete", "--abandoned", "--json", "web");
    is_int(status, 1, "without --yes somebody must be there to ask");
    like(err, "give --yes", "which is said");
    is_str(asked, "", "and nothing is done");
    run("", "snapshot-delete", "--abandoned", "-y", "web");
    is_int(status, 0, "with it, it is removed");
    like(out, "\nremoved /img/b.s1-r1.qcow2\n", "which is told");
    like(asked, "remove domain=web snapshots=2 of ", "the manifests are read "
         "again");
    run("", "snapshot-delete", "--abandoned", "-y", "--json", "web");
    like(out, "\"removed\": true", "JSON has it");
    run("not whole", "snapshot-delete", "--abandoned", "-y", "web");
    is_int(status, 4, "one that stays is no success");
    like(err, "stays: /img/b.s1-r1.qcow2", "and is named");
    unlike(out, "removed", "and not called removed");
    unsetenv("FAKE_ABANDONED");
    run("", "snapshot-delete", "--abandoned", "-y", "web");
    is_int(status, 1, "where images cannot be looked at it is refused");
    is_str(asked, "", "and nothing is done");
}

/* ---- verify --repair ------------------------------------------------- */

static void repair(void)
{
    AUTO_FREE char *line = snap_printf("repair domain=web directory=%s/web/s1\n"
                                       "current=%s/web/current protect=1 dry=0 "
                                       "lock=60000\n", store, store);
    AUTO_FREE char *retry = snap_printf(
        "unread=- retry=xl snapshot-verify --store %s --no-protect --repair "
        "web %s/web/s1\n", store, store);

    run("", "snapshot-verify", "web", "s1");
    is_int(status, 0, "verify alone");
    unlike(asked, "repair", "mends nothing");
    run("", "snapshot-verify", "--repair", "5", "s1");
    is_int(status, 0, "verify --repair is done");
    like(asked, line, "of the snapshot");
    like(asked, "other=s2", "the others are known");
    unlike(asked, "other=s1", "but not itself");
    is_str(out, "parent: mended: gone; none then\n"
           "Snapshot 's1' of domain 'web' is whole.\n", "what is mended comes "
           "before what is found");
    run("", "snapshot-verify", "--repair", "--no-protect", "--dry-run", "web",
        "s1");
    like(out, "parent: would be mended: gone", "a dry run says so");
    like(asked, "protect=0 dry=1", "and the options are followed");
    like(asked, retry, "they are in the command to repeat");
    run("", "snapshot-verify", "--repair", "--json", "web", "s1");
    like(out, "\"mends\": [\n        {\n            \"part\": \"parent\",\n"
         "            \"can\": true,\n            \"done\": true,\n",
         "--json lists it");
    ok(member_is_int("exit", 0), "with the status");
    setenv("FAKE_UNCLEAR", "1", 1);
    run("", "snapshot-verify", "--repair", "web", "s1");
    is_int(status, 1, "what cannot be told is no success");
    like(out, "name: NOT mended: nobody\\x1b knows\n", "and is named");
    run("", "snapshot-verify", "--repair", "--json", "web", "s1");
    ok(member_is_int("exit", 1), "--json agrees");
    unsetenv("FAKE_UNCLEAR");
}

static void repair_refused(void)
{
    AUTO_FREE char *cfg = in_dir("set.cfg");
    AUTO_FREE char *broken = snap_printf("%s/web/torn", store);
    AUTO_FREE char *file = snap_printf("%s/" SNAP_MANIFEST_FILE, broken);
    AUTO_FREE char *unread = snap_printf("unread='%s' is broken: ", broken);

    run("not whole", "snapshot-verify", "--repair", "web", "s1");
    is_int(status, 4, "a repair that stops is not whole");
    is_str(out, "", "and nothing is verified then");
    mkdir(broken, 0700);
    write_file(file, "{");
    run("", "snapshot-verify", "--repair", "web", "s1");
    like(asked, unread, "one of the domain's that cannot be read is told");
    run("", "snapshot-verify", "--repair", "db", "other");
    like(asked, "unread=-", "not one of another's");
    unlink(file);
    rmdir(broken);
    write_file(cfg, "name='t1'\ndisk=['vdev=xvda,tag=t1']\n");
    run("", "snapshot-verify", "--repair", "web", cfg);
    is_int(status, 1, "a set made by hand is mended by hand");
    is_str(asked, "", "and nothing is begun");
    run("", "snapshot-verify", "--no-protect", "web", "s1");
    is_int(status, 2, "--no-protect goes with --repair");
    run("", "snapshot-verify", "--orphans", "--repair");
    is_int(status, 2, "--orphans does not");
    unlink(cfg);
}

/* ---- whose it is ------------------------------------------------- */

static void owner(void)
{
    AUTO_FREE char *s1 = snap_printf("%s/web/s1", store);
    AUTO_FREE char *moved = in_dir("moved");
    AUTO_FREE char *web = snap_printf("%s/web", store);
    AUTO_FREE char *renamed = snap_printf("%s/new", store);

    run("", "snapshot-delete", "db", s1);
    is_int(status, 1, "another domain's snapshot is not deleted");
    like(err, "is a snapshot of domain 'web', not of 'db'", "which is said");
    is_str(asked, "", "and nothing is begun");
    run("", "snapshot-verify", "--repair", "db", s1);
    is_int(status, 1, "nor repaired");
    is_str(asked, "", "and nothing is begun");
    if (rename(s1, moved)) bail("cannot rename %s", s1);
    run("", "snapshot-delete", "web", moved);
    is_int(status, 0, "the domain's own is, wherever it is");
    if (rename(moved, s1) || rename(web, renamed)) bail("cannot rename");
    run("", "snapshot-delete", "new", "s1");
    is_int(status, 0, "and those in its directory that had another name");
    if (rename(renamed, web)) bail("cannot rename %s", renamed);
}

/* ---- the lock ---------------------------------------------------- */

/* Whoever had the lock first has made a snapshot `late`. */
static void sees_late(const char *claim, const char *set, const char *sees,
                      const char *const *words)
{
    AUTO_FREE char *line = snap_printf("lock domain=web images of %s timeout="
                                       "60000\n", set);
    AUTO_FREE char *away = in_dir("late");
    AUTO_FREE char *made = snap_printf("%s/web/late", store);
    AUTO_FREE char *both = snap_printf("%s %s", away, made);

    setenv("FAKE_MEANWHILE", both, 1);
    run_signal("", 0, words);
    unsetenv("FAKE_MEANWHILE");
    is_int(status, 0, "%s", claim);
    like(asked, line, "locks the domain and the images");
    like(asked, sees, "and sees what was made until then");
    if (rename(made, away)) bail("cannot rename %s", made);
}
#define SEES_LATE(claim, set, sees, ...) \
    sees_late(claim, set, sees, (const char *const[]){ __VA_ARGS__, NULL })

static void locks_first(void)
{
    AUTO_FREE char *s1 = snap_printf("%s/web/s1", store);
    AUTO_FREE char *away = in_dir("s1");
    AUTO_FREE char *gone = snap_printf("%s %s", s1, away);
    AUTO_FREE char *late = in_dir("late");
    AUTO_FREE char *made = snap_printf("%s/web/late", store);

    make_snapshot("web", "late");
    if (rename(made, late)) bail("cannot rename %s", made);
    SEES_LATE("delete", "s1", "other=late\n", "snapshot-delete", "web", "s1");
    SEES_LATE("delete --dry-run", "none", "other=late\n", "snapshot-delete",
              "--dry-run", "web", "s1");
    SEES_LATE("revert", "none", "other=late\n", "snapshot-revert", "web",
              "s1");
    SEES_LATE("repair", "s1", "other=late\n", "snapshot-verify", "--repair",
              "web", "s1");
    setenv("FAKE_ABANDONED", "1", 1);
    SEES_LATE("delete --abandoned", "none", "snapshots=3 of ",
              "snapshot-delete", "--abandoned", "-y", "web");
    unsetenv("FAKE_ABANDONED");
    setenv("FAKE_MEANWHILE", gone, 1);
    run("", "snapshot-delete", "web", "s1");
    is_int(status, 1, "one that was deleted meanwhile is refused");
    like(err, "No such file", "which is said");
    unlike(asked, "delete ", "and nothing is begun");
    if (rename(away, s1)) bail("cannot rename %s", away);
    unsetenv("FAKE_MEANWHILE");
    run("interrupted", "snapshot-revert", "web", "s1");
    is_int(status, 4, "behind one that was interrupted");
    like(err, "xl snapshot-recover web", "the command that finishes it is "
         "told");
    unlike(asked, "revert ", "and nothing is begun");
    run_signal("wait", SIGTERM, (const char *const[]){
        "snapshot-revert", "--keep", "k1", "web", "s1", NULL });
    is_int(status, 3, "a signal is not lost while the domain is looked for");
    like(err, "interrupted", "as it says");
}

static void test(void)
{
    revert();
    revert_disk_only();
    revert_odd_names();
    revert_by_hand();
    update();
    update_words();
    update_look();
    update_fails();
    delete();
    delete_keeping_memory();
    delete_children();
    abandoned();
    repair();
    repair_refused();
    owner();
    locks_first();
}

int main(int argc, char **argv)
{
    return commands_main(argc, argv, test);
}
