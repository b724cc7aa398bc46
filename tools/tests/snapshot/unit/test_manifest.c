/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The claims of format/manifest*.c: what is printed is parsed again, what the
 * specification forbids is refused, what a newer tool added is kept.
 */
#include "format/manifest.h"

#include <string.h>

#include "tap.h"

#define SHA "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

/* A good manifest; tests replace one piece of it. */
static const char good[] =
    "{\"format\":\"xl-snapshot\",\"version\":1,\"name\":\"s1\","
    "\"created\":\"2026-01-02T03:04:05Z\",\"parent\":\"s0\","
    "\"consistency\":\"partial\",\"live\":true,\"pause_ms\":840,"
    "\"excluded\":[\"xvdc\"],"
    "\"domain\":{\"name\":\"../x\","
    "\"uuid\":\"5f3c8a52-6c0e-4a8e-9d8c-3f2f0e6f7b11\","
    "\"type\":\"pvh\",\"state\":\"running\"},"
    "\"versions\":{\"tool\":\"0.1\",\"xen\":\"4.17.7\",\"qemu\":\"7.2.22\"},"
    "\"memory\":{\"path\":\"memory.xl\",\"size_bytes\":268502188,"
    "\"head_bytes\":6112,\"head_sha256\":\"" SHA "\"},"
    "\"disks\":[{\"vdev\":\"xvda\",\"type\":\"internal\","
    "\"parent\":\"format=qcow2,vdev=xvda,access=rw,target=/i/a,b.qcow2\","
    "\"child\":\"format=qcow2,vdev=xvda,access=rw,target=/i/a,b.qcow2\","
    "\"image\":\"/i/a,b.qcow2\",\"format\":\"qcow2\","
    "\"virtual_size_bytes\":10737418240,\"dev\":65025,"
    "\"ino\":18446744073709551615,\"tag\":\"s1\",\"tag_id\":\"1\"},"
    "{\"vdev\":\"xvdb\",\"type\":\"external\","
    "\"parent\":\"format=raw,vdev=xvdb,access=ro,target=/i/d.img\","
    "\"child\":\"format=qcow2,vdev=xvdb,access=rw,target=/i/d.s1.qcow2\","
    "\"image\":\"/i/d.img\",\"format\":\"raw\",\"dev\":65025,\"ino\":12,"
    "\"overlay\":\"/i/d.s1.qcow2\",\"size_bytes\":9223372036854775807,"
    "\"mtime_ns\":-5}]}";

/* `good` with the first `from` replaced by `to`; malloc'd. */
static char *edit(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);

    if (!at) bail("'%s' is not in the text", from);
    return snap_printf("%.*s%s%s", (int)(at - text), text, to,
                       at + strlen(from));
}

static void expect(const char *text, const char *reason, const char *claim)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_manifest m;
    int rc = snap_manifest_parse(&sc, "/d/snapshot.json", text, strlen(text),
                                 &m);

    if (!reason) {
        if (!ok(!rc, "%s", claim)) diag("%s", sc.message);
    } else if (ok(rc == ERROR_INVAL && !m.name && !m.disks, "%s", claim)) {
        like(sc.message, reason, "and the message says '%s'", reason);
        like(sc.message, "/d/snapshot.json", "and names the manifest");
    }
    snap_manifest_dispose(&m);
    snap_ctx_dispose(&sc);
}

static void refused(const char *from, const char *to, const char *reason,
                    const char *claim)
{
    AUTO_FREE char *text = edit(good, from, to);

    expect(text, reason, claim);
}

static void accepted(const char *from, const char *to, const char *claim)
{
    AUTO_FREE char *text = edit(good, from, to);

    expect(text, NULL, claim);
}

static void parse_good(struct snap_manifest *m, const char *text)
{
    struct snap_ctx sc = SNAP_CTX_INIT;

    if (snap_manifest_parse(&sc, "/d/snapshot.json", text, strlen(text), m))
        diag("%s", sc.message);
    snap_ctx_dispose(&sc);
}

static void test_fields(void)
{
    struct snap_manifest m;

    parse_good(&m, good);
    is_str(m.name, "s1", "the name is read");
    ok(!m.description, "no description is none");
    is_str(m.created, "2026-01-02T03:04:05Z", "the time is read");
    is_str(m.parent, "s0", "the parent is read");
    is_str(m.consistency, "partial", "the class is read");
    ok(m.live, "live is read");
    is_int(m.pause_ms, 840, "the pause is read");
    is_int(m.excluded.len, 1, "the excluded disk is read");
    is_str(m.domain_name, "../x", "any domain name is read");
    is_str(m.domain_uuid, "5f3c8a52-6c0e-4a8e-9d8c-3f2f0e6f7b11",
           "the uuid is read");
    is_str(m.domain_type, "pvh", "the type is read");
    is_str(m.domain_state, "running", "the state is read");
    is_str(m.tool_version, "0.1", "the tool's version is read");
    is_str(m.xen_version, "4.17.7", "Xen's version is read");
    is_str(m.qemu_version, "7.2.22", "QEMU's version is read");
    is_str(m.memory_path, "memory.xl", "the memory's path is read");
    is_uint(m.memory_size_bytes, 268502188, "its size is read");
    is_uint(m.memory_head_bytes, 6112, "its head's size is read");
    is_str(m.memory_head_sha256, SHA, "its head's checksum is read");
    ok(!m.memory_sha256, "a checksum that was not made is none");
    ok(!m.unknown, "nothing in it is unknown");
    snap_manifest_dispose(&m);
    ok(!m.name && !m.ndisks, "a disposed manifest is empty");
}

static void test_disk_fields(void)
{
    struct snap_manifest m;

    parse_good(&m, good);
    if (!is_int(m.ndisks, 2, "two disks are read")) return;
    is_int(m.disks[0].type, SNAP_DISK_INTERNAL, "the first is internal");
    is_str(m.disks[0].image, "/i/a,b.qcow2", "its image is read");
    is_str(m.disks[0].tag, "s1", "its tag is read");
    is_str(m.disks[0].tag_id, "1", "its tag's id is read");
    is_uint(m.disks[0].ino, UINT64_MAX, "2^64-1 is an exact inode");
    is_uint(m.disks[0].virtual_size_bytes, 10737418240, "its size is read");
    is_int(m.disks[1].type, SNAP_DISK_EXTERNAL, "the second is external");
    is_str(m.disks[1].overlay, "/i/d.s1.qcow2", "its overlay is read");
    is_uint(m.disks[1].size_bytes, INT64_MAX, "2^63-1 is an exact size");
    is_int(m.disks[1].mtime_ns, -5, "a time before 1970 is read");
    is_uint(m.disks[1].virtual_size_bytes, 0, "a size not given is 0");
    ok(!m.disks[1].tag, "an external disk has no tag");
    ok(!m.disks[1].sample_sha256, "samples may be missing");
    snap_manifest_dispose(&m);
}

/* Print, parse, print: the same text, and the same tree as the source. */
static void round_trip(const char *text, const char *claim)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_manifest m;
    struct snap_json *source, *printed;
    AUTO_FREE char *once = NULL;
    AUTO_FREE char *twice = NULL;

    parse_good(&m, text);
    once = snap_manifest_print(&m);
    snap_manifest_dispose(&m);
    parse_good(&m, once);
    twice = snap_manifest_print(&m);
    snap_manifest_dispose(&m);
    is_str(twice, once, "%s: printed twice it is the same", claim);
    snap_json_parse(&sc, "text", text, strlen(text), &source);
    snap_json_parse(&sc, "once", once, strlen(once), &printed);
    if (!ok(snap_json_equal(source, printed), "%s: nothing is lost", claim))
        diag("%s", once);
    snap_json_free(source);
    snap_json_free(printed);
    snap_ctx_dispose(&sc);
}

static void test_round_trip(void)
{
    AUTO_FREE char *root = edit(good, "\"name\":\"s1\"",
        "\"name\":\"s1\",\"note\":{\"a\":[1,2.50]},"
        "\"mandatory\":[\"memory.path\",\"disks\"]");
    AUTO_FREE char *memory = edit(good, "\"head_bytes\":",
        "\"compression\":\"zstd\",\"head_bytes\":");
    AUTO_FREE char *disk = edit(good, "\"dev\":65025,\"ino\":12",
        "\"cluster_bytes\":65536,\"dev\":65025,\"ino\":12");
    AUTO_FREE char *domain = edit(good, "\"type\":\"pvh\"",
        "\"type\":\"pvh\",\"disks\":null");

    round_trip(good, "a manifest");
    round_trip(root, "unknown fields of the root");
    round_trip(memory, "unknown fields of the memory");
    round_trip(disk, "unknown fields of a disk");
    round_trip(domain, "unknown fields of the domain");
}

static void test_smallest(void)
{
    static const char smallest[] =
        "{\"format\":\"xl-snapshot\",\"version\":1,\"name\":\"s1\","
        "\"created\":\"2026-01-02T03:04:05Z\",\"consistency\":\"crash\","
        "\"domain\":{\"name\":\"g\","
        "\"uuid\":\"5f3c8a52-6c0e-4a8e-9d8c-3f2f0e6f7b11\","
        "\"type\":\"pv\",\"state\":\"off\"},\"disks\":[]}";

    expect(smallest, NULL, "what may be left out may be left out");
}

static void test_kind_and_version(void)
{
    refused("xl-snapshot", "qcow2", "not the manifest of a snapshot",
            "another kind of file is refused");
    refused("\"format\":\"xl-snapshot\",", "", "not the manifest",
            "a file without a kind is refused");
    refused("\"version\":1", "\"version\":2",
            "use version 0.1 of xl-snapshot",
            "a newer version is refused, naming the tool");
    refused("\"version\":1", "\"version\":0", "version is not",
            "version 0 is refused");
    refused("\"version\":1", "\"version\":\"1\"", "version is not",
            "a version that is no number is refused");
    refused("\"version\":1", "\"version\":1,\"mandatory\":[\"crypto\"]",
            "'crypto'", "an unknown mandatory field is refused");
    refused("\"version\":1", "\"version\":1,\"mandatory\":[\"memory.zip\"]",
            "'memory.zip'", "one of the memory too");
    refused("\"version\":1", "\"version\":1,\"mandatory\":[\"disks.zip\"]",
            "'disks.zip'", "one of a disk too");
    refused("\"version\":1", "\"version\":1,\"mandatory\":[\"nil.name\"]",
            "'nil.name'", "one of an unknown object too");
    refused("\"version\":1", "\"version\":1,\"mandatory\":\"name\"",
            "mandatory is not a list", "a mandatory that is no list too");
    refused("\"version\":1", "\"version\":1,\"mandatory\":[1]",
            "mandatory is not a list", "a mandatory of numbers too");
    accepted("\"version\":1",
             "\"version\":1,\"mandatory\":[\"name\",\"excluded\","
             "\"domain.uuid\",\"memory.head_bytes\",\"disks.tag\"]",
             "known mandatory fields are accepted");
}

static void test_values(void)
{
    refused("\"name\":\"s1\"", "\"name\":\"1\"", "name is not a snapshot's",
            "a name that is none is refused");
    refused("\"name\":\"s1\",", "", "name is missing",
            "a missing name is refused");
    refused("\"name\":\"s1\"", "\"name\":null", "name is not",
            "null is refused");
    refused("03:04:05Z", "03:04:05", "created is not", "a time without Z");
    refused("2026-01-02", "2026-13-02", "created is not", "the 13th month");
    refused("T03:", "T24:", "created is not", "the 25th hour is refused");
    refused("\"s0\"", "\"a/b\"", "parent is not", "a parent with a slash");
    refused("\"partial\"", "\"perfect\"", "consistency is not",
            "an unknown class is refused");
    refused("\"live\":true", "\"live\":1", "live is not", "a 1 for a truth");
    refused("840", "-1", "pause_ms is negative", "a negative pause");
    refused("840", "1.5", "pause_ms is not", "half a millisecond is refused");
    refused("840", "9223372036854775808", "pause_ms is not",
            "a pause beyond 2^63-1 is refused");
    refused("\"pvh\"", "\"arm\"", "domain: type is not", "an unknown type");
    refused("\"running\"", "\"dying\"", "domain: state is not",
            "an unknown state is refused");
    refused("\"../x\"", "\"\"", "domain: name is not", "an empty domain name");
    refused("7b11\"", "7b1\"", "domain: uuid is not", "a short uuid");
    refused("7b11\"", "7b111\"", "domain: uuid is not", "a long uuid");
    refused("\"tool\":\"0.1\"", "\"tool\":1", "versions: tool is not",
            "a version that is no string is refused");
    refused("\"versions\":{\"tool\":\"0.1\",\"xen\":\"4.17.7\","
            "\"qemu\":\"7.2.22\"}", "\"versions\":[]",
            "versions is not an object", "versions that are a list");
    refused("[\"xvdc\"]", "[\"xvdc\",\"xvdc\"]", "xvdc stands in it twice",
            "a disk excluded twice is refused");
    refused("[\"xvdc\"]", "[\"xvda\"]", "xvda stands in it twice",
            "a disk excluded and kept is refused");
    refused("[\"xvdc\"]", "[\"x/c\"]", "no vdev", "a vdev that is none");
    refused("[\"xvdc\"]", "[1]", "not a list of vdevs", "a number as a vdev");
    refused("[\"xvdc\"]", "\"xvdc\"", "not a list of vdevs", "a bare vdev");
}

static void test_memory(void)
{
    refused("\"memory.xl\"", "\"/var/memory.xl\"", "memory: path is not",
            "an absolute memory path is refused");
    refused("\"memory.xl\"", "\"../s2/memory.xl\"", "memory: path is not",
            "a memory path that leaves the directory is refused");
    refused("\"memory.xl\"", "\"a/../../x\"", "memory: path is not",
            "one that leaves it later too");
    refused("\"memory.xl\"", "\"..\"", "memory: path is not",
            "dots alone too");
    refused("\"memory.xl\"", "\"\"", "memory: path is not", "nothing too");
    accepted("\"memory.xl\"", "\"..memory/a..\"",
             "dots inside a name are accepted");
    refused("6112", "268502189", "head_bytes is more",
            "a head greater than the file is refused");
    refused("6112", "-1", "head_bytes is not", "a negative head is refused");
    refused("\"head_bytes\":6112,", "", "head_bytes is missing",
            "a missing head is refused");
    refused(SHA, "9F86", "head_sha256 is not", "a short checksum is refused");
    refused("9f86", "9F86", "head_sha256 is not", "capital digits too");
    refused("\"partial\"", "\"full\"", "excluded is not empty",
            "a full snapshot with excluded disks is refused");
    refused("\"xvdc\"", "", "excluded is empty",
            "a partial snapshot without them too");
    refused("\"partial\"", "\"crash\"", "does not fit its consistency class",
            "a disk-only class with memory is refused");
    refused("\"memory\":{", "\"was_memory\":{", "memory is missing",
            "a class with memory, without memory, is refused");
}

#define FIRST "\"vdev\":\"xvda\",\"type\":\"internal\""

static void test_disks(void)
{
    refused("\"disks\":[{", "\"disks\":[1,{", "not an object", "a disk of 1");
    refused("\"disks\":", "\"diskz\":", "disks is not a list", "no disks");
    refused(FIRST, "\"type\":\"internal\"", "vdev is not", "no vdev");
    refused(FIRST, "\"vdev\":\"xvda\"", "xvda: type is not", "no type");
    refused(FIRST, "\"vdev\":\"xvda\",\"type\":\"both\"", "xvda: type is not",
            "an unknown type of disk is refused");
    refused("\"vdev\":\"xvdb\"", "\"vdev\":\"xvda\"", "spec of another disk",
            "a vdev that its spec does not have is refused");
    refused("\"image\":\"/i/d.img\"", "\"image\":\"d.img\"",
            "xvdb: image is not an absolute path", "a relative image");
    refused("\"overlay\":\"/i/", "\"overlay\":\"i/", "overlay is not",
            "a relative overlay is refused");
    refused("\"overlay\":\"/i/d.s1.qcow2\",", "", "overlay is missing",
            "a child without an overlay is refused");
    refused("\"child\":\"format=qcow2,vdev=xvdb,access=rw,"
            "target=/i/d.s1.qcow2\",", "", "xvdb: child is missing",
            "an overlay without a child is refused");
    refused("\"child\":\"format=qcow2,vdev=xvda,access=rw,"
            "target=/i/a,b.qcow2\",", "", "xvda: child is missing",
            "an internal disk without a child is refused");
    refused("\"overlay\":\"/i/d.s1", "\"overlay\":\"/i/d.s2",
            "child is not the overlay", "a child that is not the overlay");
    refused("access=ro", "access=rw", "would let a domain write",
            "a parent that may be written is refused");
    refused("\"tag\":\"s1\",", "", "xvda: tag is missing",
            "an internal disk without a tag is refused");
    refused("\"tag\":\"s1\"", "\"tag\":\"1\"", "xvda: tag is not",
            "a tag that is no name is refused");
    refused("\"mtime_ns\":-5", "\"mtime_ns\":-5,\"sample_sha256\":\"1\"",
            "xvdb: sample_sha256 is not a SHA-256", "a sample that is no "
            "checksum");
    refused("\"mtime_ns\":-5", "\"mtime_ns\":-5,\"tag\":\"s1\"",
            "tag does not belong here", "a tag of an external disk");
    refused("\"tag_id\":\"1\"", "\"tag_id\":\"1\",\"size_bytes\":1",
            "size_bytes does not belong here", "a base of an internal disk");
    refused("\"format\":\"raw\"", "\"format\":\"vmdk\"", "format is not",
            "an unknown format is refused");
    refused("\"format\":\"raw\"", "\"format\":\"qcow2\"",
            "parent has not the image's format", "formats that disagree");
    refused("\"ino\":12", "\"ino\":18446744073709551616", "ino is not",
            "an inode beyond 2^64-1 is refused");
    refused("\"ino\":12,", "", "ino is missing", "no inode is refused");
    refused("target=/i/d.img", "target=d.img", "not absolute",
            "a relative target is refused");
    refused("access=ro", "mode=ro", "its keys are",
            "an unknown key in a spec is refused");
    refused("\"child\":\"format=qcow2,vdev=xvda,access=rw,target=/i/a,",
            "\"child\":\"format=qcow2,vdev=xvda,access=rw,target=/i/b,",
            "another image", "an internal disk with two images is refused");
}

static void test_text(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_FREE char *big = snap_zalloc(SNAP_MANIFEST_MAX_BYTES + 2);
    struct snap_manifest m;
    size_t len, taken = 0;

    memset(big, ' ', SNAP_MANIFEST_MAX_BYTES + 1);
    expect(big, "more than 1048576", "more than 1 MiB is refused");
    expect("[]", "not a JSON object", "a list is refused");
    expect("{}", "not the manifest", "an empty object is refused");
    refused("\"name\":\"s1\"", "\"name\":\"s1\",\"name\":\"s2\"",
            "stands twice", "a field given twice is refused");
    for (len = 0; len < sizeof(good) - 1; len++) {
        AUTO_FREE char *cut = snap_strndup(good, len);

        if (!snap_manifest_parse(&sc, "cut", cut, len, &m)) taken++;
        snap_manifest_dispose(&m);
        snap_clear(&sc);
    }
    is_int(taken, 0, "a manifest cut short at any byte is refused");
    snap_ctx_dispose(&sc);
}

static void test_mutation(void)
{
    static const char become[] = "\"{}[],:0-\\x ";
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_FREE char *text = snap_strdup(good);
    struct snap_manifest m;
    size_t i, k, bad = 0;

    for (i = 0; i < sizeof(good) - 1; i++) {
        for (k = 0; k < sizeof(become) - 1; k++) {
            text[i] = become[k];
            if (!snap_manifest_parse(&sc, "x", text, strlen(text), &m)) {
                AUTO_FREE char *printed = snap_manifest_print(&m);
                struct snap_manifest again;

                if (snap_manifest_parse(&sc, "y", printed, strlen(printed),
                                        &again))
                    bad++;
                snap_manifest_dispose(&again);
            } else if (!sc.message) {
                bad++;
            }
            snap_manifest_dispose(&m);
            snap_clear(&sc);
        }
        text[i] = good[i];
    }
    is_int(bad, 0, "whatever a byte becomes: refused, or printed and parsed");
    snap_ctx_dispose(&sc);
}

static void test_check(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_FREE char *text = NULL;
    struct snap_manifest m;

    parse_good(&m, good);
    is_int(snap_manifest_check(&sc, "new", &m), 0, "a good one is good");
    free(m.disks[1].overlay);
    m.disks[1].overlay = NULL;
    is_int(snap_manifest_check(&sc, "new", &m), ERROR_INVAL,
           "what could not be parsed again is found before it is printed");
    like(sc.message, "xvdb: overlay is missing", "and named");
    free(m.disks[1].child);
    m.disks[1].child = NULL;
    snap_clear(&sc);
    is_int(snap_manifest_check(&sc, "new", &m), 0,
           "an external disk may have lost overlay and child");
    text = snap_manifest_print(&m);
    snap_manifest_dispose(&m);
    parse_good(&m, text);
    ok(!m.disks[1].child && !m.disks[1].overlay, "and is read again so");
    snap_manifest_dispose(&m);
    snap_ctx_dispose(&sc);
}

/* What create knows before it acts: no checksum, no tag id, no pause. */
static void test_draft(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_FREE char *no_sum = edit(good, ",\"head_sha256\":\"" SHA "\"", "");
    AUTO_FREE char *draft = edit(no_sum, ",\"tag_id\":\"1\"", "");
    AUTO_FREE char *bad = edit(draft, "\"pvh\"", "\"arm\"");
    struct snap_manifest m;

    expect(draft, "is missing", "a draft is no manifest");
    is_int(snap_manifest_parse_draft(&sc, "j", draft, strlen(draft), &m), 0,
           "but can be read as a draft");
    is_str(m.disks[0].tag, "s1", "with what it has");
    ok(!m.disks[0].tag_id && !m.memory_head_sha256, "and without the rest");
    is_int(snap_manifest_check(&sc, "j", &m), ERROR_INVAL,
           "it cannot be published as it is");
    snap_clear(&sc);
    m.disks[0].tag_id = snap_strdup("1");
    m.memory_head_sha256 = snap_strdup(SHA);
    is_int(snap_manifest_check(&sc, "j", &m), 0, "and can, once finished");
    snap_manifest_dispose(&m);
    is_int(snap_manifest_parse_draft(&sc, "j", bad, strlen(bad), &m),
           ERROR_INVAL, "a draft with a bad value is refused");
    snap_manifest_dispose(&m);
    snap_ctx_dispose(&sc);
}

static void spec_refused(const char *spec, const char *reason)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_spec s;

    if (ok(snap_spec_parse(&sc, spec, &s) == ERROR_INVAL && !s.vdev,
           "the spec '%s' is refused", spec))
        like(sc.message, reason, "and the message says '%s'", reason);
    snap_spec_dispose(&s);
    snap_ctx_dispose(&sc);
}

static void test_specs(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_FREE char *spec = snap_spec_print("xvda", "qcow2", false,
                                           "/a,b=c,target=d e");
    AUTO_FREE char *bare = snap_spec_print("hda", NULL, true, "/p");
    struct snap_spec s;

    is_str(spec, "format=qcow2,vdev=xvda,access=ro,target=/a,b=c,target=d e",
           "a spec is printed, its target last");
    is_int(snap_spec_parse(&sc, spec, &s), 0, "and parsed again");
    is_str(s.vdev, "xvda", "with its vdev");
    is_str(s.format, "qcow2", "its format");
    is_str(s.target, "/a,b=c,target=d e", "its whole target");
    ok(!s.readwrite, "and its access");
    snap_spec_dispose(&s);
    is_str(bare, "vdev=hda,access=rw,target=/p", "a format may be left out");
    is_int(snap_spec_parse(&sc, "target=/p,vdev=x", &s), ERROR_INVAL,
           "what stands behind target is target");
    is_int(snap_spec_parse(&sc, "vdev=x,target=/p", &s), 0,
           "a short spec is parsed");
    ok(s.readwrite && !s.format, "with xl's defaults");
    snap_spec_dispose(&s);
    snap_ctx_dispose(&sc);
    spec_refused("", "its keys are");
    spec_refused("vdev=x", "target is missing");
    spec_refused("target=/p", "vdev is missing");
    spec_refused("vdev=x,target=", "no value");
    spec_refused("vdev=,target=/p", "no value");
    spec_refused("vdev=x,vdev=y,target=/p", "given twice");
    spec_refused("access=rw,access=ro,vdev=x,target=/p", "given twice");
    spec_refused("access=w,vdev=x,target=/p", "access is rw or ro");
    spec_refused("vdev=x,script=/s,target=/p", "its keys are");
    spec_refused("vdev=x,,target=/p", "its keys are");
}

int main(void)
{
    test_fields();
    test_disk_fields();
    test_round_trip();
    test_smallest();
    test_kind_and_version();
    test_values();
    test_memory();
    test_disks();
    test_text();
    test_mutation();
    test_check();
    test_draft();
    test_specs();
    return done_testing();
}
