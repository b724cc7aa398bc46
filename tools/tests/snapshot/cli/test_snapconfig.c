/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * SNAPSHOT-CONFIG: what is understood, and that all else is an error which
 * names the file and the word.
 */
#include <stdlib.h>
#include <string.h>

#include "say.h"
#include "snapconfig.h"
#include "tap.h"

#define PATH "/etc/xen/snap.cfg"

/* libxlutil's parser forgets what it had when it meets a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libxlutil";
}

static int parse(const char *text, struct xl_config *c, struct snap_ctx *sc)
{
    memset(sc, 0, sizeof(*sc));
    return xl_config_parse(sc, PATH, text, strlen(text), c);
}

static void a_whole_file(void)
{
    static const char text[] =
        "# a comment = with a sign\n"
        "name = 'before'; description = \"two\\nlines # not a comment\"\n"
        "live=1\n"
        "type = \"internal\"\n"
        "memory = 'snaps/s1/memory.xl'\n"
        "disk = [ # one\n"
        "    'vdev=xvda,type=internal', \n"
        "    \"vdev=xvdb, type=external,format=qcow2,target=/f/a, b=c.q\",\n"
        "    'vdev=xvdc,exclude' ]\n";
    struct snap_ctx sc;
    struct xl_config c;

    ok(!parse(text, &c, &sc), "a whole file is understood");
    is_str(c.name, "before", "name");
    is_str(c.description, "two\nlines # not a comment", "description");
    is_int(c.live, 1, "live");
    is_int(c.type, XL_TYPE_INTERNAL, "type");
    is_int(c.ndisks, 3, "disks");
    is_str(c.disks[0].vdev, "xvda", "first vdev");
    is_int(c.disks[0].type, XL_TYPE_INTERNAL, "first type");
    is_str(c.disks[1].target, "/f/a, b=c.q", "target takes the rest");
    is_str(c.disks[1].format, "qcow2", "format");
    ok(c.disks[2].exclude, "exclude");
    {
        AUTO_FREE char *memory = xl_config_resolve(&c, c.memory);

        is_str(memory, "/etc/xen/snaps/s1/memory.xl",
               "a path is relative to the file's directory");
    }
    xl_config_dispose(&c);
    snap_ctx_dispose(&sc);
}

static void an_empty_file(void)
{
    struct snap_ctx sc;
    struct xl_config c;

    ok(!parse("", &c, &sc), "an empty file says nothing");
    is_int(c.live, -1, "not even about live");
    ok(!c.name && !c.ndisks, "nor anything else");
    xl_config_dispose(&c);
    snap_ctx_dispose(&sc);
}

static void old_mails(void)
{
    struct snap_ctx sc;
    struct xl_config c;

    ok(!parse("disks=['/tmp/a,b.qcow2,qcow2,hda', ',,hdb', ',qcow2,hdc']\n",
              &c, &sc), "the positional form is understood");
    is_int(c.ndisks, 3, "three disks");
    is_str(c.disks[0].target, "/tmp/a,b.qcow2", "a path with a comma");
    is_str(c.disks[0].format, "qcow2", "its format");
    is_int(c.disks[0].type, XL_TYPE_EXTERNAL, "a path means external");
    is_str(c.disks[1].vdev, "hdb", "only a vdev");
    is_int(c.disks[1].type, XL_TYPE_INTERNAL, "no path means internal");
    xl_config_dispose(&c);
    snap_ctx_dispose(&sc);
}

/* One item, as it would be written with keys. */
static void means(const char *item, const char *want)
{
    static const char *const types[] = { "", ",internal", ",external" };
    AUTO_FREE char *text = snap_printf("disk=['%s']\n", item);
    AUTO_FREE char *got = NULL;
    struct snap_ctx sc;
    struct xl_config c;

    if (parse(text, &c, &sc)) {
        is_str(sc.message, NULL, "understood: %s", item);
    } else {
        const struct xl_config_disk *d = c.disks;

        got = snap_printf("%s%s%s%s%s%s%s%s%s", d->vdev, types[d->type],
                          d->format ? " format=" : "",
                          d->format ? d->format : "",
                          d->target ? " target=" : "",
                          d->target ? d->target : "",
                          d->parent ? " parent=" : "",
                          d->parent ? d->parent : "",
                          d->exclude ? " exclude" : "");
        is_str(got, want, "understood: %s", item);
        xl_config_dispose(&c);
    }
    snap_ctx_dispose(&sc);
}

static void words_without_keys(void)
{
    means("xvda", "xvda");
    means("xvda,internal", "xvda,internal");
    means("xvda, external", "xvda,external");
    means("xvda,external,qcow2", "xvda,external format=qcow2");
    means("xvda,external,qcow2,/a, b=c", "xvda,external format=qcow2 "
          "target=/a, b=c");
    means("xvda,external,,new.qcow2", "xvda,external target=new.qcow2");
    means("xvda,external,target=/a,b", "xvda,external target=/a,b");
    means("xvda,external,format=raw,parent=/a,b", "xvda,external format=raw "
          "parent=/a,b");
    means("xvda,type=internal", "xvda,internal");
    means("xvda,exclude", "xvda exclude");
    means("exclude,xvda", "xvda exclude");
    means("./new,qcow2,xvda", "xvda,external format=qcow2 target=./new");
    means("/a=b,qcow2,xvda", "xvda,external format=qcow2 target=/a=b");
}

static void one_bad(const char *text, const char *part)
{
    struct snap_ctx sc;
    struct xl_config c;
    AUTO_FREE char *shown = xl_clean(text);

    is_int(parse(text, &c, &sc), ERROR_INVAL, "refused: %s", shown);
    like(sc.message, part, "because of %s", part);
    like(sc.message, PATH, "naming the file");
    snap_ctx_dispose(&sc);
}

static void bad_files(void)
{
    static const struct { const char *text, *part; } bad[] = {
        { "nmae = 'x'\n", "'nmae'" },
        { "name = 'x'\nname = 'y'\n", "set twice" },
        { "disk = ['vdev=xvda'] \n disk_ = 1\n", "'disk_'" },
        { "name = 'a' \n foo = [ 'name', [ 'b' ] ]\n", "'foo'" },
        { "name = 'a;b=c' ; bar = \"'\"\n", "'bar'" },
        { "description = 'it\\'s = 1' ; baz = 1\n", "'baz'" },
        { "name = [ 'x' ]\n", "'name'" },
        { "name = ''\n", "not empty" },
        { "description = \"a\xff" "b\"\n", "UTF-8" },
        { "live = 'yes'\n", "'live'" },
        { "live = 2\n", "'live'" },
        { "type = 'both'\n", "'both'" },
        { "disk = 'vdev=xvda'\n", "a list" },
        { "disk = [ ['vdev=xvda'] ]\n", "not a string" },
        { "disk = ['vdev=xvda']\ndisks = ['vdev=xvdb']\n", "same key" },
        { "disk = ['vdev=xvda', 'vdev=xvda,exclude']\n", "named twice" },
        { "disk = ['type=internal']\n", "vdev=" },
        { "disk = ['vdev=']\n", "vdev=" },
        { "disk = ['vdev=xvda,vdev=xvdb']\n", "twice" },
        { "disk = ['vdev=xvda,type=internal,type=external']\n", "twice" },
        { "disk = ['vdev=xvda,type=hard']\n", "'hard'" },
        { "disk = ['vdev=xvda,colour=red']\n", "'colour'" },
        { "disk = ['vdev=xvda,excluded']\n", "'excluded'" },
        { "disk = ['vdev=xvda,exclude=1']\n", "'exclude'" },
        { "disk = ['vdev=xvda,exclude,target=/x']\n", "exclude" },
        { "disk = ['vdev=xvda,type=internal,target=/x']\n", "target=" },
        { "disk = ['vdev=xvda,type=internal,parent=/x']\n", "parent=" },
        { "disk = ['vdev=xvda,tag=a,target=/x']\n", "tag=" },
        { "disk = ['vdev=xvda,target=']\n", "target=" },
        { "disk = ['']\n", "disk ''" },
        { "disk = [',']\n", "xvda,external,qcow2,/path" },
        { "disk = ['/x']\n", "xvda,external,qcow2,/path" },
        { "disk = ['a,b']\n", "'b' cannot be the type" },
        { "disk = ['a,,qcow2']\n", "'' cannot be the type" },
        { "disk = ['new,qcow2,xvda']\n", "vdev,type,format,target" },
        { "disk = ['xvda,external,/x']\n", "'/x' cannot be the format" },
        { "disk = ['xvda,internal,,/x']\n", "no target=" },
        { "disk = ['xvda,vdev=xvdb']\n", "twice" },
        { "disk = ['xvda,external,type=internal']\n", "twice" },
        { "disk = ['xvda,type=external,qcow2']\n", "'qcow2'" },
        { "disk = ['xvda,exclude,internal']\n", "nothing else" },
        { "disk = ['type=internal,xvda']\n", "'xvda'" },
        { "disk = ['xvda,external,,a=b.qcow2']\n", "'a'" },
        { "disk = ['xvda', 'xvda,exclude']\n", "named twice" },
        { "name = \n", PATH },
        { "name = 'x\n", PATH },
        { "disk = [ 'vdev=xvda'\n", PATH },
        { "= 'x'\n", PATH },
        { "\x01\x02\x03", PATH },
    };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        one_bad(bad[i].text, bad[i].part);
}

static void hostile_bytes(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct xl_config c;
    struct snap_text many = { 0 };
    char *big = malloc(3 << 20);
    size_t i;

    is_int(xl_config_parse(&sc, PATH, "name='x'\0y", 10, &c), ERROR_INVAL,
           "a NUL is refused");
    snap_clear(&sc);
    memset(big, '[', 3 << 20);
    is_int(xl_config_parse(&sc, PATH, big, 3 << 20, &c), ERROR_INVAL,
           "a huge file is refused");
    snap_clear(&sc);
    free(big);
    snap_text_add(&many, "disk=[");
    for (i = 0; i < 300; i++)
        snap_text_add(&many, "'vdev=d%zu',", i);
    snap_text_add(&many, "]\n");
    is_int(xl_config_parse(&sc, PATH, many.data, many.len, &c), ERROR_INVAL,
           "hundreds of disks are refused");
    free(many.data);
    snap_ctx_dispose(&sc);
}

/* Cut and bent in every place: an error or not, but no crash. */
static void every_cut(void)
{
    static const char text[] = "name='a' # c\ndisk=['vdev=xvda,type=internal'"
        ",\"/t,qcow2,hda\",'b,external,,/t']; live=1\n";
    size_t i, k, tried = 0;

    for (i = 0; i + 1 < sizeof(text); i++) {
        for (k = 0; k < 7; k++) {
            char *copy = strdup(text);
            struct snap_ctx sc;
            struct xl_config c;

            copy[i] = "\0='[]\\#"[k];
            if (!parse(copy, &c, &sc)) xl_config_dispose(&c);
            snap_ctx_dispose(&sc);
            free(copy);
            tried++;
        }
    }
    ok(tried > 400, "bent files do no harm");
}

static int read_set(const char *text, libxl_snapshot_set *set,
                    struct snap_ctx *sc)
{
    memset(sc, 0, sizeof(*sc));
    return xl_config_read_set(sc, PATH, text, strlen(text), "web", set);
}

static void a_set(void)
{
    const struct snap_manifest_disk *d;
    libxl_snapshot_set set;
    struct snap_ctx sc;

    ok(!read_set("name='s1'\nmemory='web.save'\ntype='internal'\n"
                 "disk=['vdev=xvda','vdev=xvdb,tag=t2',"
                 "'vdev=xvdc,format=raw,parent=/img/a,b','vdev=xvdd,exclude'"
                 "]\n", &set, &sc), "a set made by hand is understood");
    ok(!set.directory, "it has no directory");
    is_str(set.manifest.name, "s1", "its name");
    is_str(set.manifest.domain_name, "web", "it is the domain's");
    is_str(set.manifest.memory_path, "/etc/xen/web.save", "its memory");
    is_int(set.manifest.ndisks, 3, "its disks");
    d = set.manifest.disks;
    is_int(d[0].type, SNAP_DISK_INTERNAL, "an internal one");
    is_str(d[0].tag, "s1", "with the name as its tag");
    ok(!d[0].image, "and no image");
    is_str(d[1].tag, "t2", "one with a tag of its own");
    is_int(d[2].type, SNAP_DISK_EXTERNAL, "parent= means external");
    is_str(d[2].image, "/img/a,b", "and names the frozen image");
    is_str(d[2].format, "raw", "with its format");
    is_str(set.manifest.excluded.data[0], "xvdd", "a disk left out");
    libxl_snapshot_set_dispose(&set);
    snap_ctx_dispose(&sc);
}

static void a_set_without_memory(void)
{
    libxl_snapshot_set set;
    struct snap_ctx sc;

    ok(!read_set("disk=['vdev=xvda,tag=t']\n", &set, &sc),
       "a set need not have memory");
    is_str(set.manifest.memory_path, NULL, "it has none then");
    libxl_snapshot_set_dispose(&set);
    snap_ctx_dispose(&sc);
}

static void bad_sets(void)
{
    static const struct { const char *text, *part; } bad[] = {
        { "memory='m'\n", "'disk'" },
        { "memory='m'\ndisk=['vdev=a']\n", "tag=" },
        { "memory='m'\ndisk=['vdev=a,type=external']\n", "parent=" },
        { "memory='m'\ndisk=['vdev=a,type=external,target=/x']\n",
          "parent=" },
        { "memory='m'\ndisk=['/x,raw,a']\n", "parent=" },
        { "memory='m'\ndisk=['vdev=a,tag=1']\n", "'1'" },
        { "name='1'\nmemory='m'\ndisk=['vdev=a,parent=/x']\n", "'1'" },
        { "name='../x'\nmemory='m'\ndisk=['vdev=a,exclude']\n", "'../x'" },
    };
    libxl_snapshot_set set;
    struct snap_ctx sc;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        is_int(read_set(bad[i].text, &set, &sc), ERROR_INVAL,
               "a set is refused: %s", bad[i].text);
        like(sc.message, bad[i].part, "because of %s", bad[i].part);
        snap_ctx_dispose(&sc);
    }
}

int main(void)
{
    a_whole_file();
    an_empty_file();
    old_mails();
    words_without_keys();
    bad_files();
    hostile_bytes();
    every_cut();
    a_set();
    a_set_without_memory();
    bad_sets();
    return done_testing();
}
