/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Other images in the disk list of an xl.cfg: what changes, that nothing else
 * does, and that what cannot be changed safely is refused.
 */
#include <stdlib.h>
#include <string.h>

#include "cfgedit.h"
#include "tap.h"

#define PATH "/etc/xen/web.cfg"
#define NEW "/img/b.s1.qcow2"
#define WANT "format=qcow2,vdev=xvdb,access=rw,target=" NEW

/* libxlutil's parser forgets what it had when it meets a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libxlutil";
}

static struct snap_ctx sc;
static struct xl_cfg_edit edit;
static const struct snap_strings *instead;

static void forget(void)
{
    xl_cfg_edit_dispose(&edit);
    snap_clear(&sc);
}

/* Edit with up to two specs. */
static int change(const char *text, const char *spec, const char *spec2)
{
    struct snap_strings specs = { 0 };
    int rc;

    forget();
    if (spec) snap_strings_add(&specs, spec);
    if (spec2) snap_strings_add(&specs, spec2);
    rc = xl_cfg_edit(&sc, PATH, "web", text, strlen(text), &specs, instead,
                     &edit);
    snap_strings_dispose(&specs);
    if (rc) is_str(edit.text, NULL, "what is refused gives no text");
    return rc;
}

static void becomes(const char *text, const char *spec, const char *want,
                    const char *claim)
{
    if (!is_int(change(text, spec, NULL), 0, "%s is changed", claim))
        diag("%s", sc.message);
    is_str(edit.text, want, "%s: and is what it should be", claim);
}

static void refused(const char *text, const char *spec, const char *part,
                    const char *claim)
{
    is_int(change(text, spec, NULL), ERROR_INVAL, "%s is refused", claim);
    like(sc.message, part, "%s: with the reason", claim);
}

/* ---- one entry ------------------------------------------------------- */

/* In a file with nothing else to get wrong. */
static void entry_to(const char *entry, const char *spec, const char *want,
                     const char *claim)
{
    AUTO_FREE char *old = snap_printf("name='web'\ndisk=['%s']\n", entry);
    AUTO_FREE char *new = snap_printf("name='web'\ndisk=['%s']\n", want);

    becomes(old, spec, new, claim);
}

static void entry(const char *from, const char *want, const char *claim)
{
    entry_to(from, WANT, want, claim);
}

static void positional(void)
{
    entry("/img/b.img,raw,xvdb,w", NEW ",qcow2,xvdb,w", "a positional entry");
    entry("/img/b.img,,xvdb,rw", NEW ",qcow2,xvdb,rw", "an empty format");
    entry("/b.q,qcow2,xvdb,w", NEW ",qcow2,xvdb,w", "one of that format");
    entry(" /b , raw, xvdb, w", " " NEW ", qcow2, xvdb, w", "one with blanks");
    entry("/b,raw,xvdb,w,", NEW ",qcow2,xvdb,w,", "one with a comma behind");
    entry("/b,raw,xvdb,w,backendtype=qdisk,discard",
          NEW ",qcow2,xvdb,w,backendtype=qdisk,discard", "one with keys");
    entry("discard,/b,raw,xvdb,w", "discard," NEW ",qcow2,xvdb,w",
          "one behind a flag");
    entry("/b,vdev=xvdb", "format=qcow2," NEW ",vdev=xvdb",
          "an image alone, with keys");
}

static void by_keys(void)
{
    entry("format=raw,vdev=xvdb,access=rw,target=/b", WANT,
          "an entry with keys");
    entry("vdev=xvdb,target=/b", "format=qcow2,vdev=xvdb,target=" NEW,
          "one without a format");
    entry("vdev=xvdb,discard,access=w,format=raw,target=/b,discard",
          "vdev=xvdb,discard,access=w,format=qcow2,target=" NEW,
          "what looks like a flag but is of the path");
    entry("vdev=xvdb,no-discard,backendtype=qdisk,target=/b",
          "format=qcow2,vdev=xvdb,no-discard,backendtype=qdisk,target=" NEW,
          "one with other settings");
}

static void prefixes(void)
{
    entry("phy:/dev/x,xvdb,w", WANT, "phy:, which has no format");
    entry("file:/b,xvdb,w,discard",
          "format=qcow2,vdev=xvdb,access=rw,discard,target=" NEW,
          "file: with a flag");
    entry("tap:qcow2:/b,xvdb,w", "tap:qcow2:" NEW ",xvdb,w",
          "prefixes that say the right format");
    entry("qcow2:/b,xvdb,w", "qcow2:" NEW ",xvdb,w", "qcow2:");
    entry_to("phy:/dev/x,xvdb,w", "vdev=xvdb,target=/dev/y",
             "phy:/dev/y,xvdb,w", "another device");
}

static void odd_paths(void)
{
    entry_to("/b,raw,xvdb,w", "format=qcow2,vdev=xvdb,target=/i/a=b,c",
             "format=qcow2,vdev=xvdb,access=rw,target=/i/a=b,c",
             "a path with a comma");
    entry_to("format=raw,vdev=xvdb,target=/b",
             "format=qcow2,vdev=xvdb,target=/i/a=b,c",
             "format=qcow2,vdev=xvdb,target=/i/a=b,c",
             "a path with a comma, by keys");
    entry_to("format=raw,vdev=xvdb,target=/b",
             "format=qcow2,vdev=xvdb,target=/i/\"q\" # %s;",
             "format=qcow2,vdev=xvdb,target=/i/\"q\" # %s;",
             "a path with the other quote");
    refused("name='web'\ndisk=['/b,raw,xvdb,w']\n",
            "format=qcow2,vdev=xvdb,target=/i/it's", "cannot be changed",
            "a path with the same quote");
    refused("name='web'\ndisk=['/b,raw,xvdb,w']\n",
            "format=qcow2,vdev=xvdb,target=/i/a\\b", "cannot be changed",
            "a path with a backslash");
    refused("name='web'\ndisk=['/b,raw,xvdb,w']\n",
            "format=qcow2,vdev=xvdb,target=/i/a\nb", "cannot be changed",
            "a path with a line end");
    refused("name='web'\ndisk=['/b,raw,xvdb,w']\n",
            "format=qcow9,vdev=xvdb,target=/i/a", "cannot be changed",
            "a format that xl does not know");
    refused("name='web'\ndisk=['drbd:r,xvdb,w']\n", WANT,
            "cannot be changed", "a disk that a script serves");
}

/* ---- the file -------------------------------------------------------- */

static const char whole_file[] =
    "# disk = [ 'not,this,xvdb,w' ]\r\n"
    "name = \"web\"; memory = 512\n"
    "\n"
    "kernel='/boot/disk=[x' # disk = ['nor,this,xvdb,w']\n"
    "\tdisk\t=  [ # ]\r\n"
    "    '/img/a.qcow2,qcow2,xvda,w' , # 'xvdb\n"
    "  #\n"
    "    \"vdev=xvdb, format=raw, target=/img/b.img\",\n"
    "    '/img/c.iso,raw,hdc:cdrom,r', ]\n"
    "vif = [ 'bridge=a', ]\n"
    "vnuma = [ [ 'pnode=0', 'size=256' ] ]\n"
    "extra = 'disk=[]'";

static const char whole_file_after[] =
    "# disk = [ 'not,this,xvdb,w' ]\r\n"
    "name = \"web\"; memory = 512\n"
    "\n"
    "kernel='/boot/disk=[x' # disk = ['nor,this,xvdb,w']\n"
    "\tdisk\t=  [ # ]\r\n"
    "    '/img/a.qcow2,qcow2,xvda,w' , # 'xvdb\n"
    "  #\n"
    "    \"vdev=xvdb, format=qcow2, target=/img/b.s1.qcow2\",\n"
    "    '/img/c.iso,raw,hdc:cdrom,r', ]\n"
    "vif = [ 'bridge=a', ]\n"
    "vnuma = [ [ 'pnode=0', 'size=256' ] ]\n"
    "extra = 'disk=[]'";

static void a_whole_file(void)
{
    becomes(whole_file, WANT, whole_file_after, "a file with all there is");
    is_int(edit.old.len, 1, "one line changes");
    is_str(edit.old.data[0], "    \"vdev=xvdb, format=raw, "
           "target=/img/b.img\",", "which was this");
    is_str(edit.new.data[0], "    \"vdev=xvdb, format=qcow2, "
           "target=/img/b.s1.qcow2\",", "and is this");
    is_int(change(whole_file_after, WANT, NULL), 0, "done twice is done");
    is_str(edit.text, NULL, "and nothing has to change");
    is_int(change(whole_file, NULL, NULL), 0, "it could be changed");
    is_str(edit.text, NULL, "and is not without a disk");
}

static void two_disks(void)
{
    is_int(change("name='web'\ndisk=['/a,raw,xvda,w','/b,raw,xvdb,w']", WANT,
                  "format=qcow2,vdev=xvda,target=/n"), 0, "two disks");
    is_str(edit.text, "name='web'\ndisk=['/n,qcow2,xvda,w','" NEW
           ",qcow2,xvdb,w']", "on one line without an end");
    is_int(edit.old.len, 1, "are one line");
    is_int(change("name='web'\ndisk=['/a,raw,xvda,w',\n'/b,raw,xvdb,w']\n",
                  WANT, "format=qcow2,vdev=xvda,target=/n"), 0, "two lines");
    is_int(edit.old.len, 2, "are two");
    is_str(edit.new.data[0], "disk=['/n,qcow2,xvda,w',", "in their order");
    is_int(change("name='web'\ndisk=['/b,raw,xvdb,w']", WANT,
                  "format=qcow2,vdev=xvdb,target=/n"), 0,
           "a disk that is said twice");
    is_str(edit.text, "name='web'\ndisk=['/n,qcow2,xvdb,w']",
           "has what was said last");
}

#define NAME "name='web'\n"
static void not_safe(void)
{
    refused(NAME "disk=['/b,raw,xvdb,w']\ndisk=['/b,raw,xvdb,w']\n", WANT,
            "set twice", "a list that is set twice");
    refused(NAME "disk=['/a,raw,xvda,w']\ndisk+=['/b,raw,xvdb,w']\n", WANT,
            "+=", "a list that is added to");
    refused(NAME "disk+=['/b,raw,xvdb,w']\n", NULL, "+=",
            "one that is only added to");
    refused(NAME "disk=['/b\\'s,raw,xvdb,w']\n", WANT, "backslash",
            "an escape");
    refused(NAME "disk=['/b\\x41,raw,xvda,w','/b,raw,xvdb,w']\n", WANT,
            "", "an escape in another entry");
    refused(NAME "disk=['/a,raw,xvda,w']\n", WANT, "there is no disk 'xvdb'",
            "a disk that is not there");
    refused(NAME, WANT, "there is no disk 'xvdb'", "a file without disks");
    refused(NAME "disks=['/b,raw,xvdb,w']\n", WANT,
            "there is no disk 'xvdb'", "disks, which xl does not read");
    refused(NAME "disk=['/b,raw,xvdb,w','/c,raw,xvdb,w']\n", NULL,
            "there twice", "a disk that is there twice");
    refused(NAME "disk='/b,raw,xvdb,w'\n", NULL, "not a list", "a string");
    refused(NAME "disk=[['/b,raw,xvdb,w']]\n", NULL, "not a string",
            "a list in the list");
    refused(NAME "disk=['/b,raw,xvdb,r']\n", WANT, "read-only",
            "a disk that is read-only");
    refused(NAME "disk=['/b,raw,xvdb,w',5]\n", WANT, "", "a number");
    refused(NAME "disk=['nonsense']\n", NULL, "vdev",
            "an entry that xl does not take");
    refused(NAME "disk=['/b,raw,xvdb,w'\n", NULL, "error", "an open list");
    refused(NAME "disk=['/b,raw,xvdb,w']\r\n", NULL, "error",
            "a carriage return, which xl does not take");
    refused(NAME "memory = 5 5\n", NULL, "error", "a syntax error");
    refused("name='db'\ndisk=['/b,raw,xvdb,w']\n", WANT,
            "of domain 'db', not of 'web'", "another domain's file");
    refused("disk=['/b,raw,xvdb,w']\n", WANT, "no name",
            "a file without a name");
    refused(NAME "disk=['/b,raw,xvdb,w']\n", "vdev=xvdb", "target is missing",
            "a spec without a target");
}

static void not_text(void)
{
    static const char zero[] = NAME "disk=['/b\0,raw,xvdb,w']\n";
    AUTO_FREE char *big = snap_zalloc((1 << 20) + 2);
    struct snap_strings specs = { 0 };

    forget();
    is_int(xl_cfg_edit(&sc, PATH, "web", zero, sizeof(zero) - 1, &specs,
                       NULL, &edit), ERROR_INVAL, "a zero byte is refused");
    forget();
    memset(big, '\n', (1 << 20) + 1);
    is_int(xl_cfg_edit(&sc, PATH, "web", big, (1 << 20) + 1, &specs, NULL,
                       &edit),
           ERROR_INVAL, "and what is too long");
    like(sc.message, PATH, "with its name");
}

/* Of an image that goes: who names another one is not concerned. */
static void only_instead(void)
{
    static const char text[] = "name='web'\ndisk=['/i/c.qcow2,qcow2,xvda,w']\n";
    static const char spec[] = "format=raw,vdev=xvda,access=rw,target=/i/b.img";
    struct snap_strings gone = { 0 };

    instead = &gone;
    snap_strings_add(&gone, "/i/other.qcow2");
    becomes(text, spec, NULL, "an entry with another image than the one meant");
    snap_strings_dispose(&gone);
    snap_strings_add(&gone, "/i/c.qcow2");
    becomes(text, spec, "name='web'\ndisk=['/i/b.img,raw,xvda,w']\n",
            "one with that image");
    snap_strings_dispose(&gone);
    instead = NULL;
}

int main(void)
{
    positional();
    by_keys();
    prefixes();
    odd_paths();
    a_whole_file();
    two_disks();
    only_instead();
    not_safe();
    not_text();
    forget();
    return done_testing();
}
