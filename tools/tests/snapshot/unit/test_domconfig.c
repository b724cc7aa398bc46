/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The claims of format/domconfig.c, on configurations shaped as libxl of Xen
 * 4.17 writes them (libxl_types.idl: defaults left out, "type.pv" for the
 * union, defbools as words).
 */
#include "format/domconfig.h"

#include <string.h>

#include "tap.h"
#include "unit/trees.h"

#define UUID "5f3c8a52-6c0e-4a8e-9d8c-3f2f0e6f7b11"

static const char pv[] =
    "{\"c_info\":{\"type\":\"pv\",\"name\":\"g1\",\"domid\":7,"
    "\"uuid\":\"" UUID "\",\"run_hotplug_scripts\":\"True\"},"
    "\"b_info\":{\"max_vcpus\":2,\"avail_vcpus\":[0,1],"
    "\"max_memkb\":262144,\"target_memkb\":131072,\"shadow_memkb\":4096,"
    "\"device_model_version\":\"qemu_xen\","
    "\"device_model_stubdomain\":\"False\",\"nested_hvm\":\"False\","
    "\"sched_params\":{\"weight\":256},\"kernel\":\"/boot/vmlinuz\","
    "\"ramdisk\":\"/boot/initrd\",\"bootloader\":\"pygrub\","
    "\"type.pv\":{\"slack_memkb\":1024},\"arch_arm\":{},\"arch_x86\":{}},"
    "\"disks\":[{\"pdev_path\":\"/i/a.qcow2\",\"vdev\":\"xvda\","
    "\"backend\":\"qdisk\",\"format\":\"qcow2\",\"readwrite\":1,"
    "\"specification\":\"xen\",\"discard_enable\":\"True\","
    "\"colo_enable\":\"False\"},"
    "{\"pdev_path\":\"/dev/vg/b\",\"vdev\":\"xvdb\",\"backend\":\"phy\","
    "\"format\":\"raw\",\"script\":\"block-x\",\"removable\":1,"
    "\"readwrite\":1,\"direct_io_safe\":true,\"backend_domid\":3,"
    "\"backend_domname\":\"store\"},"
    "{\"pdev_path\":\"\",\"vdev\":\"hdc\",\"format\":\"empty\","
    "\"backend\":\"unknown\",\"removable\":1,\"is_cdrom\":1}],"
    "\"nics\":[{\"devid\":0,\"mac\":\"00:16:3e:01:02:03\","
    "\"bridge\":\"xenbr0\",\"script\":\"/etc/xen/scripts/vif-bridge\","
    "\"nictype\":\"vif\",\"model\":\"rtl8139\"},{\"devid\":1}],"
    "\"vfbs\":[{\"devid\":0,\"vnc\":{\"passwd\":\"secret\"}}],"
    "\"vkbs\":[{\"devid\":0}],\"pcidevs\":[],"
    "\"on_reboot\":\"restart\",\"on_crash\":\"preserve\"}";

static const char hvm[] =
    "{\"c_info\":{\"type\":\"hvm\",\"name\":\"w1\",\"uuid\":\"" UUID "\"},"
    "\"b_info\":{\"max_memkb\":1048576,\"video_memkb\":8192,"
    "\"max_grant_frames\":18446744073709551615,"
    "\"type.hvm\":{\"bios\":\"seabios\",\"altp2m\":\"<default>\","
    "\"system_firmware\":\"/fw/bios.bin\",\"usbdevice\":\"tablet\","
    "\"usbdevice_list\":[\"mouse\"],\"gfx_passthru\":\"False\","
    "\"ms_vm_genid\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,255],"
    "\"rdm\":{\"policy\":\"relaxed\"}},\"altp2m\":\"disabled\"}}";

static char *edit(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);

    if (!at) bail("'%s' is not in the text", from);
    return snap_printf("%.*s%s%s", (int)(at - text), text, to,
                       at + strlen(from));
}

static void read_good(const char *text, struct snap_domconfig *c)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_JSON struct snap_json *j = tree_of(text);

    if (!ok(!snap_domconfig_read(&sc, j, c), "the configuration is read"))
        diag("%s", sc.message);
    snap_ctx_dispose(&sc);
}

static void test_pv(void)
{
    struct snap_domconfig c;

    read_good(pv, &c);
    is_str(c.name, "g1", "its name");
    is_str(c.uuid, UUID, "its uuid");
    is_str(c.type, "pv", "its type");
    is_int(c.max_vcpus, 2, "its vcpus");
    is_int(c.target_memkb, 131072, "its memory");
    is_int(c.max_memkb, 262144, "its greatest memory");
    is_int(c.unsupported.len, 0, "nothing in it hinders a snapshot");
    ok(!c.has_genid, "it has no generation id");
    is_int(c.paths.len, 2, "its absolute paths are told, pygrub is not one");
    is_str(c.paths.data[0], "/boot/vmlinuz", "the kernel first");
    is_int(c.nnics, 2, "its vifs are counted");
    is_str(c.nic_macs.data[0], "00:16:3e:01:02:03", "the first has a MAC");
    is_str(c.nic_bridges.data[0], "xenbr0", "and a bridge");
    is_str(c.nic_scripts.data[0], "/etc/xen/scripts/vif-bridge",
           "and a script");
    is_str(c.nic_macs.data[1], "", "the second has none: empty");
    snap_domconfig_dispose(&c);
    ok(!c.name && !c.ndisks, "disposed it is empty");
}

static void test_disks(void)
{
    struct snap_domconfig c;

    read_good(pv, &c);
    if (!is_int(c.ndisks, 3, "three disks are read")) return;
    is_str(c.disks[0].vdev, "xvda", "the first's vdev");
    is_str(c.disks[0].path, "/i/a.qcow2", "its path");
    is_str(c.disks[0].format, "qcow2", "its format");
    is_str(c.disks[0].backend, "qdisk", "its back end");
    ok(c.disks[0].readwrite, "it can be written");
    ok(!c.disks[0].cdrom && !c.disks[0].removable, "it is no CD");
    is_str(c.disks[1].script, "block-x", "the second's script");
    ok(c.disks[1].direct_io_safe && c.disks[1].removable, "its flags");
    is_int(c.disks[1].backend_domid, 3, "its back end's domain");
    is_str(c.disks[1].backend_domname, "store", "and the domain's name");
    ok(!c.disks[2].path, "an empty drive has no path");
    is_str(c.disks[2].format, "empty", "its format is empty");
    ok(!c.disks[2].backend, "an unknown back end is none");
    ok(c.disks[2].cdrom && !c.disks[2].readwrite, "it is a CD");
    snap_domconfig_dispose(&c);
}

static void test_hvm(void)
{
    struct snap_domconfig c;

    read_good(hvm, &c);
    is_int(c.max_vcpus, 1, "one vcpu where none is named");
    is_int(c.target_memkb, 1048576, "all memory where no target is named");
    ok(c.has_genid, "it has a generation id");
    ok(snap_strings_have(&c.paths, "/fw/bios.bin"), "its firmware is told");
    is_int(c.unsupported.len, 0, "nothing in it hinders a snapshot");
    is_int(c.ndisks, 0, "it has no disks");
    snap_domconfig_dispose(&c);
}

static void refused(const char *text, const char *from, const char *to,
                    const char *reason)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_FREE char *edited = edit(text, from, to);
    AUTO_JSON struct snap_json *j = tree_of(edited);
    struct snap_domconfig c;

    is_int(snap_domconfig_read(&sc, j, &c), ERROR_INVAL, "%s is refused", to);
    like(sc.message, reason, "and the message says '%s'", reason);
    snap_domconfig_dispose(&c);
    snap_ctx_dispose(&sc);
}

static void test_wrong_types(void)
{
    refused(pv, "\"name\":\"g1\",", "", "c_info.name is not");
    refused(pv, "\"name\":\"g1\"", "\"name\":\"\"", "c_info.name is not");
    refused(pv, "\"type\":\"pv\"", "\"type\":\"arm\"", "c_info.type is not");
    refused(pv, "\"type\":\"pv\"", "\"type\":1", "c_info.type is not");
    refused(pv, UUID, "5f3c", "c_info.uuid is not");
    refused(pv, UUID, UUID "1", "c_info.uuid is not");
    refused(pv, "\"c_info\":{", "\"c_info\":[],\"x\":{", "c_info is not");
    refused(pv, "\"b_info\":{", "\"b_info\":\"\",\"x\":{", "b_info is not");
    refused(pv, "131072", "-1", "target_memkb is not");
    refused(pv, "131072", "1.5", "target_memkb is not");
    refused(pv, "\"type.pv\":{", "\"type.pv\":[],\"x\":{", "type.pv is not");
    refused(pv, "\"/boot/vmlinuz\"", "[]", "kernel is not");
    refused(pv, "\"disks\":[", "\"disks\":{},\"x\":[", "disks is not");
    refused(pv, "\"disks\":[", "\"disks\":[5,", "disks[0] is not an object");
    refused(pv, "\"vdev\":\"xvda\",", "", "disks[0].vdev is not");
    refused(pv, "\"xvdb\"", "\"xvda\"", "'xvda' stands in it twice");
    refused(pv, "\"/i/a.qcow2\"", "true", "disks[0].pdev_path is not");
    refused(pv, "\"readwrite\":1", "\"readwrite\":\"rw\"",
            "disks[0].readwrite is not");
    refused(pv, "\"backend_domid\":3", "\"backend_domid\":-3",
            "disks[1].backend_domid is not");
    refused(pv, "\"nics\":[", "\"nics\":true,\"x\":[", "nics is not");
    refused(pv, "\"nics\":[", "\"nics\":[null,", "nics[0] is not an object");
    refused(pv, "\"xenbr0\"", "0", "nics[0].bridge is not");
    refused(pv, "\"vfbs\":[", "\"vfbs\":1,\"x\":[", "vfbs is not");
    refused(pv, "\"device_model_stubdomain\":\"False\"",
            "\"device_model_stubdomain\":false",
            "device_model_stubdomain is not");
    refused(pv, "\"nested_hvm\":\"False\"", "\"nested_hvm\":\"no\"",
            "nested_hvm is not");
    refused(hvm, "15,255]", "15,256]", "ms_vm_genid is not");
    refused(hvm, "15,255]", "15]", "ms_vm_genid is not");
    refused(hvm, "\"policy\":\"relaxed\"", "\"strategy\":[]",
            "strategy is not");
}

static void test_no_object(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_JSON struct snap_json *j = tree_of("[]");
    struct snap_domconfig c;

    is_int(snap_domconfig_read(&sc, j, &c), ERROR_INVAL, "a list is refused");
    snap_clear(&sc);
    is_int(snap_domconfig_read(&sc, NULL, &c), ERROR_INVAL, "so is nothing");
    snap_ctx_dispose(&sc);
}

static void hinders(const char *text, const char *from, const char *to,
                    const char *reason)
{
    AUTO_FREE char *edited = edit(text, from, to);
    struct snap_domconfig c;

    read_good(edited, &c);
    is_int(c.unsupported.len, 1, "%s hinders a snapshot", to);
    like(c.unsupported.len ? c.unsupported.data[0] : NULL, reason,
         "because of '%s'", reason);
    snap_domconfig_dispose(&c);
}

static void test_device_classes(void)
{
    static const char *const classes[] = {
        "rdms", "dtdevs", "vtpms", "p9s", "pvcallsifs", "vdispls", "vsnds",
        "channels", "usbctrls", "usbdevs", "virtios",
    };
    size_t i;

    hinders(pv, "\"pcidevs\":[]", "\"pcidevs\":[{\"bus\":1}]", "PCI");
    for (i = 0; i < sizeof(classes) / sizeof(*classes); i++) {
        AUTO_FREE char *full = snap_printf("\"%s\":[{}],\"vkbs\":",
                                           classes[i]);
        AUTO_FREE char *empty = snap_printf("\"%s\":[],\"vkbs\":",
                                            classes[i]);
        AUTO_FREE char *text = edit(pv, "\"vkbs\":", empty);
        struct snap_domconfig c;

        hinders(pv, "\"vkbs\":", full, "; remove");
        read_good(text, &c);
        is_int(c.unsupported.len, 0, "no %s hinder nothing", classes[i]);
        snap_domconfig_dispose(&c);
    }
}

static void test_features(void)
{
    hinders(pv, "\"max_vcpus\"", "\"vnuma_nodes\":[{}],\"max_vcpus\"",
            "vNUMA");
    hinders(pv, "\"max_vcpus\"", "\"ioports\":[{}],\"max_vcpus\"", "ioports");
    hinders(pv, "\"max_vcpus\"", "\"irqs\":[5],\"max_vcpus\"", "irqs");
    hinders(pv, "\"max_vcpus\"", "\"iomem\":[{}],\"max_vcpus\"", "iomem");
    hinders(pv, "\"max_vcpus\"", "\"dm_restrict\":\"True\",\"max_vcpus\"",
            "dm_restrict=0");
    hinders(pv, "\"device_model_stubdomain\":\"False\"",
            "\"device_model_stubdomain\":\"True\"", "stubdomain");
    hinders(pv, "\"nested_hvm\":\"False\"", "\"nested_hvm\":\"True\"",
            "nestedhvm=0");
    hinders(pv, "\"qemu_xen\"", "\"qemu_xen_traditional\"", "qemu-xen");
    hinders(pv, "\"type\":\"pv\"",
            "\"type\":\"pv\",\"driver_domain\":\"True\"", "driver domain");
    hinders(pv, "\"specification\":\"xen\"", "\"specification\":\"virtio\"",
            "disk 'xvda': a virtio disk");
    hinders(pv, "\"colo_enable\":\"False\"", "\"colo_enable\":\"True\"",
            "disk 'xvda': a COLO disk");
    hinders(hvm, "\"altp2m\":\"disabled\"", "\"altp2m\":\"mixed\"",
            "page maps");
    hinders(hvm, "\"altp2m\":\"<default>\"", "\"altp2m\":\"True\"",
            "page maps");
    hinders(hvm, "\"gfx_passthru\":\"False\"", "\"gfx_passthru\":\"True\"",
            "graphics");
    hinders(hvm, "\"policy\":\"relaxed\"", "\"strategy\":\"host\"",
            "reserved device memory");
    hinders(hvm, "\"tablet\"", "\"host:1234:5678\"", "USB device");
    hinders(hvm, "\"mouse\"", "\"host:1.2\"", "USB device");
    hinders(hvm, "\"bios\":", "\"nested_hvm\":\"True\",\"bios\":",
            "nestedhvm=0");
}

static void is_tree(const struct snap_json *tree, const char *want,
                    const char *claim)
{
    AUTO_FREE char *text = snap_json_print(tree);

    is_str(text, want, "%s", claim);
}

static void test_set_disk(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_JSON struct snap_json *j = tree_of(pv);
    AUTO_FREE char *one = edit(pv, "\"pdev_path\":\"/dev/vg/b\"",
                               "\"pdev_path\":\"/i/b.s1.qcow2\"");
    AUTO_FREE char *two = edit(one, "\"backend\":\"phy\",\"format\":\"raw\"",
        "\"backend\":\"qdisk\",\"format\":\"qcow2\"");
    AUTO_FREE char *three = edit(two, "/i/a.qcow2", "/i/base.qcow2");
    AUTO_FREE char *four = edit(three, "\"readwrite\":1,\"specification\"",
                                "\"specification\"");

    is_int(snap_domconfig_set_disk(&sc, j, "xvdb", "/i/b.s1.qcow2", "qcow2",
                                   true), 0, "a disk is changed");
    is_tree(j, two, "to QEMU's back end, and nothing else changes");
    is_int(snap_domconfig_set_disk(&sc, j, "xvda", "/i/base.qcow2", NULL,
                                   false), 0, "a disk is made read-only");
    is_tree(j, four, "and keeps its format");
    is_int(snap_domconfig_set_disk(&sc, j, "xvdz", "/x", NULL, true),
           ERROR_INVAL, "a disk that is not there is refused");
    like(sc.message, "'xvdz'", "and named");
    is_tree(j, four, "and nothing changes");
    snap_ctx_dispose(&sc);
}

static void test_set_identity(void)
{
    static const unsigned char id[16] = { 200, 1 };
    AUTO_JSON struct snap_json *j = tree_of(hvm);
    AUTO_JSON struct snap_json *p = tree_of(pv);
    AUTO_FREE char *name = edit(hvm, "\"w1\"", "\"w2\"");
    AUTO_FREE char *uuid = edit(name, UUID, "new");
    AUTO_FREE char *genid = edit(uuid,
        "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,255]",
        "[200,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0]");
    AUTO_FREE char *no_domid = edit(pv, "\"domid\":7,", "");

    snap_domconfig_set_name(j, "w2");
    is_tree(j, name, "the name is changed");
    snap_domconfig_set_uuid(j, "new");
    is_tree(j, uuid, "the uuid is changed");
    snap_domconfig_set_genid(j, id);
    is_tree(j, genid, "the generation id is changed");
    snap_domconfig_forget_domid(j);
    is_tree(j, genid, "a domid that is not there is forgotten");
    snap_domconfig_forget_domid(p);
    is_tree(p, no_domid, "a domid is forgotten");
    snap_domconfig_set_genid(p, id);
    is_tree(p, no_domid, "a PV domain gets no generation id");
}

/* The user's file for the domain of `pv`, as `xl -N create` prints it: not
 * yet the defaults that libxl fills in. */
static const char user[] =
    "{\"c_info\":{\"type\":\"pv\",\"name\":\"g1\",\"uuid\":"
    "\"00000000-1111-2222-3333-444444444444\"},"
    "\"b_info\":{\"max_vcpus\":2,\"max_memkb\":262144,"
    "\"target_memkb\":131072,\"kernel\":\"/other\",\"type.pv\":{}},"
    "\"disks\":[{\"pdev_path\":\"/new/b\",\"vdev\":\"xvdb\","
    "\"format\":\"raw\",\"readwrite\":1},"
    "{\"pdev_path\":\"/new/cd.iso\",\"vdev\":\"hdc\",\"format\":\"raw\","
    "\"is_cdrom\":1},"
    "{\"pdev_path\":\"/evil\",\"vdev\":\"xvda\",\"format\":\"raw\"}],"
    "\"nics\":[{\"devid\":0,\"bridge\":\"br9\",\"ip\":\"10.0.0.1\","
    "\"ifname\":\"vif-g1\",\"rate_bytes_per_interval\":100,"
    "\"rate_interval_usecs\":50000},"
    "{\"devid\":1,\"mac\":\"00:16:3e:aa:bb:cc\"}],"
    "\"on_reboot\":\"preserve\"}";

static void test_merge(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_JSON struct snap_json *j = tree_of(pv);
    AUTO_JSON struct snap_json *u = tree_of(user);
    struct snap_strings taken = { .len = 0 };
    const struct snap_json *n, *d;

    snap_strings_add(&taken, "xvda");
    if (!is_int(snap_domconfig_merge(&sc, j, u, "g1", &taken), 0, "merged"))
        diag("%s", sc.message);
    n = snap_json_at(snap_json_get(j, "nics"), 0);
    is_str(snap_json_get_str(n, "bridge"), "br9", "the bridge is the user's");
    is_str(snap_json_get_str(n, "ip"), "10.0.0.1", "so is the address");
    is_str(snap_json_get_str(n, "ifname"), "vif-g1", "and the interface");
    ok(snap_json_get(n, "rate_interval_usecs"), "and the rate");
    ok(!snap_json_get(n, "script"), "a script left out is libxl's default");
    is_str(snap_json_get_str(n, "mac"), "00:16:3e:01:02:03",
           "a MAC left out is the stored one");
    is_str(snap_json_get_str(n, "nictype"), "vif", "the type stays");
    n = snap_json_at(snap_json_get(j, "nics"), 1);
    is_str(snap_json_get_str(n, "mac"), "00:16:3e:aa:bb:cc",
           "a MAC that is given is taken");
    d = snap_json_at(snap_json_get(j, "disks"), 0);
    is_str(snap_json_get_str(d, "pdev_path"), "/i/a.qcow2",
           "a snapshotted disk keeps its path");
    is_str(snap_json_get_str(d, "format"), "qcow2", "and its format");
    d = snap_json_at(snap_json_get(j, "disks"), 1);
    is_str(snap_json_get_str(d, "pdev_path"), "/new/b",
           "another disk gets the user's path");
    ok(!snap_json_get(d, "script") && !snap_json_get(d, "backend"),
       "and not the stored script or back end");
    d = snap_json_at(snap_json_get(j, "disks"), 2);
    is_str(snap_json_get_str(d, "pdev_path"), "/new/cd.iso",
           "disks are found by vdev, not by position");
    is_str(snap_json_get_str(j, "on_reboot"), "preserve",
           "actions are the user's");
    ok(!snap_json_get(j, "on_crash"), "one left out is libxl's default");
    is_str(snap_json_get_str(snap_json_get(j, "b_info"), "kernel"),
           "/boot/vmlinuz", "the kernel stays");
    is_str(snap_json_get_str(snap_json_get(j, "c_info"), "uuid"), UUID,
           "the uuid stays");
    snap_strings_dispose(&taken);
    snap_ctx_dispose(&sc);
}

static void unequal(const char *from, const char *to, const char *reason)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_FREE char *edited = edit(user, from, to);
    AUTO_JSON struct snap_json *j = tree_of(pv);
    AUTO_JSON struct snap_json *u = tree_of(edited);
    struct snap_strings taken = { .len = 0 };

    is_int(snap_domconfig_merge(&sc, j, u, "g1", &taken), ERROR_INVAL,
           "a configuration with %s is refused", to);
    like(sc.message, reason, "and the message says '%s'", reason);
    is_tree(j, pv, "and the stored one is unchanged");
    snap_ctx_dispose(&sc);
}

static void test_merge_refusals(void)
{
    unequal("\"g1\"", "\"g2\"", "for the domain 'g2', not 'g1'");
    unequal("\"type\":\"pv\"", "\"type\":\"pvh\"",
            "type 'pvh', the snapshot 'pv'");
    unequal("131072", "131073", "'131073', the snapshot '131072'");
    unequal("262144", "262145", "'262145', the snapshot '262144'");
    unequal("\"max_vcpus\":2", "\"max_vcpus\":4", "'4', the snapshot '2'");
    unequal("\"vdev\":\"xvdb\"", "\"vdev\":\"xvdc\"", "no disk 'xvdb'");
    unequal("\"disks\":[", "\"disks\":[{\"vdev\":\"xvdd\"},",
            "has the disk 'xvdd'");
    unequal("\"nics\":[", "\"nics\":[{},", "number of vifs '3'");
    unequal("\"devid\":0", "\"devid\":0,\"nictype\":\"vif_ioemu\"",
            "vif type 'vif_ioemu', the snapshot 'vif'");
    unequal("\"devid\":0", "\"devid\":0,\"model\":\"e1000\"",
            "vif model 'e1000', the snapshot 'rtl8139'");
    unequal("\"max_vcpus\":2", "\"max_vcpus\":\"2\"",
            "the given configuration: domain configuration: "
            "b_info.max_vcpus");
}

/* For a boot from a user's configuration with one change. */
static int fits(struct snap_ctx *sc, const char *from, const char *to,
                bool known)
{
    AUTO_FREE char *edited = edit(user, from, to);
    AUTO_JSON struct snap_json *j = tree_of(pv);
    AUTO_JSON struct snap_json *u = tree_of(edited);
    struct snap_domconfig given, stored;
    int rc;

    if (snap_domconfig_read(sc, u, &given)
        || snap_domconfig_read(sc, j, &stored))
        bail("%s", sc->message);
    rc = snap_domconfig_fits(sc, &given, known ? &stored : NULL, "g1");
    snap_domconfig_dispose(&given);
    snap_domconfig_dispose(&stored);
    return rc;
}

static void test_fits(void)
{
    static const struct { const char *from, *to; } rows[] = {
        { "\"type\":\"pv\"", "\"type\":\"pvh\"" },
        { "\"vdev\":\"xvdb\"", "\"vdev\":\"xvdc\"" },
        { "\"nics\":[", "\"nics\":[{}," },
    };
    struct snap_ctx sc = SNAP_CTX_INIT;
    size_t i;

    is_int(fits(&sc, "131072", "131073", true), 0,
           "for a boot memory may be another");
    is_int(fits(&sc, "\"max_vcpus\":2", "\"max_vcpus\":4", true), 0,
           "... and vcpus");
    is_int(fits(&sc, "\"g1\"", "\"g2\"", false), ERROR_INVAL,
           "... but not the name");
    snap_ctx_dispose(&sc);
    for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct snap_ctx known = SNAP_CTX_INIT, unknown = SNAP_CTX_INIT;

        is_int(fits(&known, rows[i].from, rows[i].to, true), ERROR_INVAL,
               "... and not with %s", rows[i].to);
        is_int(fits(&unknown, rows[i].from, rows[i].to, false), 0,
               "... unless nothing is known");
        snap_ctx_dispose(&known);
        snap_ctx_dispose(&unknown);
    }
}

int main(void)
{
    test_pv();
    test_disks();
    test_hvm();
    test_wrong_types();
    test_no_object();
    test_device_classes();
    test_features();
    test_set_disk();
    test_set_identity();
    test_merge();
    test_merge_refusals();
    test_fits();
    return done_testing();
}
