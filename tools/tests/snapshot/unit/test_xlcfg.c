/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The claims of format/xlcfg.c and xlcfg_diff.c, on configurations that libxl
 * of Xen 4.17 stored (xlcfg/NAME.json), the words for them (NAME.words), and
 * what the stock `xl -N create` made of these words (NAME.xl.json).  And
 * quoting, with libxlutil's own parser.
 */
#include "format/xlcfg.h"

#include <errno.h>
#include <libgen.h>
#include <libxlutil.h>
#include <stdio.h>
#include <string.h>

#include "tap.h"
#include "unit/trees.h"

static char *read_file(const char *name, const char *end)
{
    const char *src = getenv("SRC");
    AUTO_FREE char *here = snap_strdup(__FILE__);
    AUTO_FREE char *path = src
        ? snap_printf("%s/tools/tests/snapshot/unit/xlcfg/%s.%s", src, name,
                      end)
        : snap_printf("%s/xlcfg/%s.%s", dirname(here), name, end);
    struct snap_text t = { 0 };
    FILE *f = fopen(path, "re");
    char buf[4096];
    size_t n;

    if (!f) bail("%s: %s", path, strerror(errno));
    while ((n = fread(buf, 1, sizeof(buf), f)))
        snap_text_add_bytes(&t, buf, n);
    fclose(f);
    return t.data;
}

static struct snap_json *tree_in(const char *name, const char *end)
{
    AUTO_FREE char *text = read_file(name, end);

    return tree_of(text);
}

/* ---- samples ----------------------------------------------------- */

static char *lines(const struct snap_strings *words)
{
    struct snap_text t = { 0 };
    size_t i;

    for (i = 0; i < words->len; i++)
        snap_text_add(&t, "%s\n", words->data[i]);
    return t.data;
}

static void sample(const char *name)
{
    AUTO_JSON struct snap_json *stored = tree_in(name, "json");
    AUTO_JSON struct snap_json *made = tree_in(name, "xl.json");
    AUTO_FREE char *want = read_file(name, "words");
    AUTO_FREE char *got = NULL, *field = NULL;
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_strings words = { 0 };

    is_int(snap_xlcfg_words(&sc, stored, &words), 0, "%s: has words", name);
    got = lines(&words);
    is_str(got, want, "%s: the words are these", name);
    field = snap_xlcfg_difference(stored, made);
    is_str(field, NULL, "%s: xl makes of them what was stored", name);
    snap_strings_dispose(&words);
    snap_ctx_dispose(&sc);
}

/* ---- words ------------------------------------------------------- */

#define NAMED(s) "{\"c_info\":{\"type\":\"pv\",\"name\":\"g\"}," s "}"

/* The words of one configuration, one a line; NULL: refused. */
static char *words_of(const char *json, char **message)
{
    AUTO_JSON struct snap_json *tree = tree_of(json);
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_strings words = { 0 };
    char *text = NULL;

    if (!snap_xlcfg_words(&sc, tree, &words)) text = lines(&words);
    *message = snap_strdup(sc.message);
    snap_strings_dispose(&words);
    snap_ctx_dispose(&sc);
    return text;
}

static void has_word(const char *json, const char *line)
{
    AUTO_FREE char *message = NULL;
    AUTO_FREE char *text = words_of(json, &message);
    AUTO_FREE char *whole = snap_printf("\n%s\n", line);

    if (!ok(text && strstr(text, whole), "there is the word %s", line))
        diag("%s", text ? text : message);
}

static void has_none(const char *json, const char *what)
{
    AUTO_FREE char *message = NULL;
    AUTO_FREE char *text = words_of(json, &message);

    if (!ok(text && !strstr(text, what), "nothing has %s in it", what))
        diag("%s", text ? text : message);
}

static void values(void)
{
    has_word(NAMED("\"b_info\":{\"target_memkb\":1025}"), "memory=\"2\"");
    has_word(NAMED("\"b_info\":{\"acpi\":\"False\"}"), "acpi=\"0\"");
    has_none(NAMED("\"b_info\":{\"acpi\":\"<default>\"}"), "acpi");
    has_word(NAMED("\"on_crash\":\"restart_rename\""),
             "on_crash=\"rename-restart\"");
    has_word(NAMED("\"on_crash\":\"coredump_destroy\""),
             "on_crash=\"coredump-destroy\"");
    has_word(NAMED("\"b_info\":{}"), "on_reboot=\"destroy\"");
    has_word(NAMED("\"b_info\":{\"vcpu_hard_affinity\":[[0,2],[0,2]]}"),
             "cpus=\"0,2\"");
    has_word(NAMED("\"b_info\":{\"vcpu_soft_affinity\":[[0],[1,2]],"
                   "\"numa_placement\":\"False\"}"),
             "cpus_soft=[\"0\",\"1,2\"]");
    has_word(NAMED("\"nics\":[{\"devid\":3,\"nictype\":\"vif_ioemu\","
                   "\"rate_bytes_per_interval\":62500,"
                   "\"rate_interval_usecs\":50000}]"),
             "vif=[\"devid=3,type=ioemu,rate=1250000B/s@50000us\"]");
    has_none(NAMED("\"nics\":[{\"rate_bytes_per_interval\":62500}]"),
             "rate");
    has_none(NAMED("\"nics\":[{\"rate_bytes_per_interval\":"
                   "18446744073709551615,\"rate_interval_usecs\":1}]"),
             "rate");
    has_none(NAMED("\"b_info\":{\"type.hvm\":{\"vnc\":{\"passwd\":\"kept\"},"
                   "\"spice\":{\"passwd\":\"kept\"}}},\"vfbs\":[{\"vnc\":"
                   "{\"passwd\":\"kept\"}}]"), "kept");
    has_word(NAMED("\"disks\":[{\"vdev\":\"hdc\",\"format\":\"empty\","
                   "\"pdev_path\":\"\",\"is_cdrom\":1}]"),
             "disk=[\"devtype=cdrom,format=empty,vdev=hdc,access=ro,"
             "target=\"]");
    has_word(NAMED("\"disks\":[{\"vdev\":\"xvda\",\"format\":\"raw\","
                   "\"pdev_path\":\"/a,b c\",\"readwrite\":1,\"trusted\":"
                   "\"False\",\"discard_enable\":\"True\"}]"),
             "disk=[\"discard,untrusted,format=raw,vdev=xvda,access=rw,"
             "target=/a,b c\"]");
    has_none(NAMED("\"b_info\":{\"kernel\":7,\"max_vcpus\":\"x\","
                   "\"bootloader_args\":{}}"), "kernel");
}

static void own_words(void)
{
    AUTO_JSON struct snap_json *tree = tree_of(
        NAMED("\"b_info\":{\"kernel\":\"/k\"},\"disks\":[]"));
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_strings words = { 0 };
    AUTO_FREE char *text = NULL;

    is_int(snap_xlcfg_own_words(&sc, tree, &words), 0, "own words");
    text = lines(&words);
    is_str(text, "name=\"g\"\ndisk=[]\n",
           "a user's file is told name and disks, and that there are none");
    snap_strings_dispose(&words);
    snap_ctx_dispose(&sc);
}

static void refusals(void)
{
    AUTO_FREE char *first = NULL, *second = NULL;
    AUTO_FREE char *big = snap_zalloc(70001);
    AUTO_FREE char *json = NULL;
    char *text = words_of(NAMED("\"b_info\":{\"cmdline\":\"a\\nb=1\"}"),
                          &first);

    is_str(text, NULL, "a line break is refused");
    ok(first && strstr(first, "cmdline="), "... naming the setting");
    memset(big, 'x', 70000);
    json = snap_printf(NAMED("\"b_info\":{\"cmdline\":\"%s\"}"), big);
    text = words_of(json, &second);
    is_str(text, NULL, "more than a command line is made for is refused");
    ok(second && strstr(second, "give a DOMAIN-CONFIG"),
       "... saying what to do");
}

/* ---- quoting ----------------------------------------------------- */

/* What libxlutil reads in a word that should say the string. */
static void survives(const char *string)
{
    AUTO_JSON struct snap_json *tree = snap_json_new_object();
    struct snap_json *b_info = snap_json_new_object();
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_strings words = { 0 };
    AUTO_FREE char *text = NULL;
    const char *read = NULL;
    XLU_ConfigList *list;
    XLU_Config *cfg = xlu_cfg_init(stderr, "words");
    struct snap_json *args = snap_json_new_array();

    snap_json_append(args, snap_json_new_str(string));
    snap_json_append(args, snap_json_new_str("last"));
    snap_json_set_str(b_info, "cmdline", string);
    snap_json_set(b_info, "bootloader_args", args);
    snap_json_set(tree, "b_info", b_info);
    if (snap_xlcfg_words(&sc, tree, &words)) bail("%s", sc.message);
    text = lines(&words);
    if (!is_int(xlu_cfg_readdata(cfg, text, (int)strlen(text)), 0,
                "libxlutil reads the words"))
        diag("%s", text);
    xlu_cfg_get_string(cfg, "cmdline", &read, 0);
    is_str(read, string, "a string comes out as it went in");
    if (!xlu_cfg_get_list(cfg, "bootloader_args", &list, NULL, 0)) {
        is_str(xlu_cfg_get_listitem(list, 0), string, "... in a list, too");
        is_str(xlu_cfg_get_listitem(list, 1), "last", "... and the next one");
    }
    xlu_cfg_destroy(cfg);
    snap_strings_dispose(&words);
    snap_ctx_dispose(&sc);
}

static void quoting(void)
{
    static const char *const strings[] = {
        "plain", "a b", "\"", "'", "\\", "\\n", "\\\\\"", "x\" name=\"y",
        "#no comment", "a;b", "]", "a,b", "a=b", "\t\r\v\x01\x7f",
        "\xc3\xa4\xff", "$(reboot)", "ends with \\",
    };
    size_t i;

    for (i = 0; i < sizeof(strings) / sizeof(*strings); i++)
        survives(strings[i]);
}

/* ---- differences ------------------------------------------------- */

static void differs(const char *wanted, const char *got, const char *field)
{
    AUTO_JSON struct snap_json *w = tree_of(wanted), *g = tree_of(got);
    AUTO_FREE char *found = snap_xlcfg_difference(w, g);

    if (!is_str(found, field, field ? "%s differs" : "no difference: %s",
                field ? field : wanted))
        diag("%s against %s", wanted, got);
}

#define B_INFO(s) "{\"b_info\":{" s "}}"

static void differences(void)
{
    differs(B_INFO("\"cpuid\":[{\"leaf\":1}]"), B_INFO(""),
            "b_info.cpuid");
    differs(B_INFO(""), B_INFO("\"nested_hvm\":\"True\""),
            "b_info.nested_hvm");
    differs(B_INFO("\"kernel\":\"/a\""), B_INFO("\"kernel\":\"/b\""),
            "b_info.kernel");
    differs(B_INFO("\"kernel\":\"/a\""), B_INFO("\"kernel\":7"),
            "b_info.kernel");
    differs(B_INFO("\"kernel\":\"/a\""), B_INFO("\"kernel\":{\"x\":1}"),
            "b_info.kernel");
    differs("{\"disks\":[{\"vdev\":\"a\"}]}",
            "{\"disks\":[{\"vdev\":\"a\"},{\"vdev\":\"b\"}]}",
            "disks.1.vdev");
    differs("{\"disks\":[{\"vdev\":\"a\",\"colo_enable\":\"True\"}]}",
            "{\"disks\":[{\"vdev\":\"a\"}]}", "disks.0.colo_enable");
    differs(B_INFO("\"max_memkb\":1024"), B_INFO("\"max_memkb\":2048"),
            "b_info.max_memkb");
    differs(B_INFO("\"max_memkb\":1025"), B_INFO("\"max_memkb\":1024"),
            "b_info.max_memkb");
    differs(B_INFO("\"video_memkb\":8192"), B_INFO(""),
            "b_info.video_memkb");
    differs(B_INFO("\"type.hvm\":{\"ms_vm_genid\":[1]}"), B_INFO(""),
            "b_info.type.hvm.ms_vm_genid");
    differs("{\"unheard_of\":1}", "{}", "unheard_of");
    differs("{}", "{\"unheard_of\":1}", "unheard_of");
}

static void no_differences(void)
{
    differs(B_INFO("\"max_memkb\":1025"), B_INFO("\"max_memkb\":2048"), NULL);
    differs(B_INFO("\"acpi\":\"<default>\",\"extra\":[],\"rdm\":{}"),
            B_INFO("\"kernel\":\"\",\"cpuid\":null"), NULL);
    differs(B_INFO("\"video_memkb\":0"), B_INFO(""), NULL);
    differs(B_INFO("\"arch_x86\":{\"msr_relaxed\":\"False\"}"),
            B_INFO("\"arch_x86\":{}"), NULL);
    differs(B_INFO("\"type.hvm\":{\"ms_vm_genid\":[1]}"),
            B_INFO("\"type.hvm\":{\"ms_vm_genid\":[2]}"), NULL);
    differs("{\"c_info\":{\"domid\":7}}", "{}", NULL);
}

int main(void)
{
    sample("pv");
    sample("pvh");
    sample("hvm");
    sample("hvm-many");
    values();
    own_words();
    refusals();
    quoting();
    differences();
    no_differences();
    return done_testing();
}
