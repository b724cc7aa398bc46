/* SPDX-License-Identifier: LGPL-2.1-only */
/* What images are for, and who needs them. */
#include "plan/inventory.h"
#include "tap.h"

#include <time.h>

#define NONE SNAP_INVENTORY_NONE
#define MAX 16

static struct snap_manifest manifests[MAX];
static struct snap_inventory inv;

static void forget(void)
{
    size_t i;

    for (i = 0; i < inv.nsnapshots; i++) snap_manifest_dispose(&manifests[i]);
    snap_inventory_dispose(&inv);
    memset(manifests, 0, sizeof(manifests));
}

static size_t number(const char *name)
{
    size_t i;

    for (i = 0; i < inv.nimages; i++)
        if (!strcmp(inv.images[i].path + strlen("/img/"), name)) return i;
    bail("there is no '%s'", name);
}

static struct snap_inventory_image *image(const char *name)
{
    return &inv.images[number(name)];
}

/* "NAME", "NAME<BASE", each of 1000 bytes; behind it '*': the domain has it, '+':
 * another one has. */
static void add_image(char *word)
{
    struct snap_inventory_image *im = &inv.images[inv.nimages];
    char *mark = word + strcspn(word, "*+");
    char own = *mark, *base;

    *mark = '\0';
    base = strchr(word, '<');
    if (base) *base++ = '\0';
    *im = (struct snap_inventory_image){
        .path = snap_printf("/img/%s", word), .links = 1, .size_bytes = 1000,
        .own = own == '*', .claimed = own,
    };
    if (own) snap_strings_add(&im->domains, own == '*' ? "web" : "other");
    inv.nimages++;
    im->below = base ? number(base) : NONE;
    for (; own && im->below != NONE; im = &inv.images[im->below])
        inv.images[im->below].claimed = true;
}

/* Images bases first; a domain that runs. */
static void world(const char *text)
{
    AUTO_FREE char *copy = snap_strdup(text);
    char *word, *rest = copy;

    forget();
    inv.domain = snap_strdup("web");
    inv.running = true;
    inv.images = snap_zalloc(MAX * sizeof(*inv.images));
    inv.links = snap_zalloc(MAX * sizeof(*inv.links));
    inv.snapshots = snap_zalloc(MAX * sizeof(*inv.snapshots));
    while ((word = strsep(&rest, " "))) add_image(word);
}

static struct snap_manifest_disk *add_disk(const char *snapshot,
                                           const char *name, const char *over)
{
    struct snap_manifest *m = &manifests[inv.nsnapshots];
    struct snap_manifest_disk *d = snap_manifest_add_disk(m);

    m->name = snap_strdup(snapshot);
    inv.snapshots[inv.nsnapshots] = (struct snap_inventory_snapshot){
        .m = m, .own = true,
    };
    inv.links[inv.nlinks++] = (struct snap_inventory_link){
        .snapshot = inv.nsnapshots++, .disk = d, .image = number(name),
        .overlay = over ? number(over) : NONE,
    };
    return d;
}

static void froze(const char *snapshot, const char *name, const char *over)
{
    add_disk(snapshot, name, over)->type = SNAP_DISK_EXTERNAL;
}

static void tagged(const char *snapshot, const char *name, const char *id)
{
    struct snap_manifest_disk *d = add_disk(snapshot, name, NULL);

    d->tag = snap_strdup(snapshot);
    d->tag_id = snap_strdup(id);
}

static void holds(const char *name, const char *tag, const char *id)
{
    struct snap_inventory_image *im = image(name);

    im->tags = snap_realloc(im->tags, (im->ntags + 1) * sizeof(*im->tags));
    im->tags[im->ntags++] = (struct snap_inventory_tag){
        .name = snap_strdup(tag), .id = snap_strdup(id),
    };
}

/* The use of each image, in their order; static. */
static const char *uses(void)
{
    static char text[512];
    size_t i, len = 0;

    snap_inventory_judge(&inv);
    for (i = 0; i < inv.nimages; i++)
        len += snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
                        snap_inventory_use_word(inv.images[i].use));
    return text;
}

/* ---- uses -------------------------------------------------------- */

static void test_uses(void)
{
    world("a.qcow2*");
    is_str(uses(), "active", "a domain's disk is active");
    world("b.img b.s1.qcow2<b.img*");
    froze("s1", "b.img", "b.s1.qcow2");
    is_str(uses(), "base active", "what a snapshot froze is a base");
    is_uint(image("b.s1.qcow2")->made_by, 0, "the overlay is known as its");
    world("gold.img a.qcow2<gold.img*");
    is_str(uses(), "below active", "what a disk stands on is below");
    world("a.qcow2");
    tagged("s1", "a.qcow2", "1");
    is_str(uses(), "disk", "of a domain that does not run, what holds tags");
    world("b.img x.qcow2<b.img+");
    froze("s1", "b.img", NULL);
    is_str(uses(), "base active", "another domain's disk is active, too");
    world("b.img");
    froze("s1", "b.img", NULL);
    image("b.img")->gone = true;
    is_str(uses(), "gone", "what is not there is gone");
}

static void test_tags(void)
{
    world("a.qcow2*");
    tagged("s2", "a.qcow2", "2");
    tagged("s1", "a.qcow2", "1");
    tagged("s3", "a.qcow2", "3");
    holds("a.qcow2", "s1", "1");
    holds("a.qcow2", "s2", "7");
    holds("a.qcow2", "mine", "8");
    uses();
    is_uint(image("a.qcow2")->tags[0].snapshot, 1, "a tag is its snapshot's");
    ok(image("a.qcow2")->tags[1].snapshot == NONE, "not one that was made "
       "anew (another id)");
    ok(image("a.qcow2")->tags[2].snapshot == NONE, "nor one of no snapshot");
    ok(inv.links[0].tag_there && !inv.links[1].tag_there
       && !inv.links[2].tag_there, "which snapshots lost theirs is known");
}

/* ---- abandoned overlays ------------------------------------------ */

/* A revert to s1 was followed by another: x is what that one left. */
static void left(const char *name)
{
    AUTO_FREE char *text = snap_printf("b.img b.s1-r2.qcow2<b.img* %s<b.img",
                                       name);

    world(text);
    froze("s1", "b.img", NULL);
}

static void is_abandoned(const char *name, bool abandoned)
{
    left(name);
    is_str(uses(), abandoned ? "base active abandoned" : "base active overlay",
           "%s is %s", name, abandoned ? "abandoned" : "not ours to remove");
}

static void test_names(void)
{
    is_abandoned("b.s1.qcow2", true);
    is_abandoned("b.s1-2.qcow2", true);
    is_abandoned("b.s1-r1.qcow2", true);
    is_abandoned("b.s1-r12.qcow2", true);
    is_abandoned("b.s1-r.qcow2", false);
    is_abandoned("b.s1-x1.qcow2", false);
    is_abandoned("b.s1-1x.qcow2", false);
    is_abandoned("b.s1.qcow2.bak", false);
    is_abandoned("b.s1", false);
    is_abandoned("b.s2.qcow2", false);
    is_abandoned("c.s1.qcow2", false);
    is_abandoned("bs1.qcow2", false);
    is_abandoned("b.img.s1.qcow2", true);
    is_abandoned("b..s1.qcow2", false);
    is_abandoned("sub/b.s1.qcow2", false);
    world("b.s0.qcow2 b.s1.qcow2<b.s0.qcow2* b.s1-r1.qcow2<b.s0.qcow2");
    froze("s1", "b.s0.qcow2", NULL);
    is_str(uses(), "base active abandoned", "a base may be an overlay of ours");
}

static void test_not_abandoned(void)
{
    left("b.s1-r1.qcow2");
    froze("s2", "b.s1-r1.qcow2", NULL);
    is_str(uses(), "base active base", "what is frozen itself is not");
    left("b.s1-r1.qcow2");
    tagged("s2", "b.s1-r1.qcow2", "1");
    is_str(uses(), "base active disk", "nor what has a snapshot's tag");
    world("b.img b.s1-r2.qcow2<b.img* b.s1-r1.qcow2<b.img "
          "c.qcow2<b.s1-r1.qcow2");
    froze("s1", "b.img", NULL);
    is_str(uses(), "base active below overlay", "nor what something stands "
           "on");
    world("b.img b.s1-r2.qcow2<b.img* b.s1-r1.qcow2<b.img+");
    froze("s1", "b.img", NULL);
    is_str(uses(), "base active active", "nor what another domain has");
    left("b.s1-r1.qcow2");
    inv.snapshots[0].own = false;
    is_str(uses(), "base active overlay", "nor what is of others' snapshots");
    world("b.img b.s1-r2.qcow2<b.img* b.s1-r1.qcow2");
    froze("s1", "b.img", NULL);
    is_str(uses(), "base active foreign", "nor what does not stand on the "
           "base");
}

#define DOUBT(change, part) do { \
    struct snap_inventory_image *im; \
    left("b.s1-r1.qcow2"); \
    im = image("b.s1-r1.qcow2"); \
    change; \
    is_str(uses(), "base active overlay", "in doubt it is not: %s", part); \
    like(im->doubt, part, "which is said"); \
} while (0)

static void test_doubts(void)
{
    DOUBT(im->immutable = true, "immutable");
    DOUBT(im->links = 2, "other names");
    DOUBT(im->block = true, "a block device");
    DOUBT(im->user = snap_strdup("process 8 (qemu)"), "in use by process 8");
    DOUBT(im->unread = snap_strdup("no permission"), "no permission");
    DOUBT(holds("b.s1-r1.qcow2", "mine", "1"), "1 internal snapshots");
    DOUBT(inv.running = false, "does not run");
    DOUBT(inv.no_domains = snap_strdup("no Xen"), "which domains have it");
    world("b.img b.s1-r1.qcow2<b.img a.qcow2*");
    froze("s1", "b.img", NULL);
    is_str(uses(), "base overlay active", "nor when the domain is not seen to "
           "have another image in its place");
    like(image("b.s1-r1.qcow2")->doubt, "no disk of the domain", "which is "
         "said");
}

/* ---- space ------------------------------------------------------- */

/* Bytes that only this snapshot needs, and that others need, too. */
static void space(size_t snapshot, uint64_t exclusive, uint64_t shared,
                  const char *claim)
{
    struct snap_inventory_space s;

    uses();
    s = snap_inventory_space(&inv, snapshot);
    ok(s.exclusive_bytes == exclusive && s.shared_bytes == shared, "%s",
       claim);
    if (s.exclusive_bytes != exclusive || s.shared_bytes != shared)
        diag("%llu and %llu", (unsigned long long)s.exclusive_bytes,
             (unsigned long long)s.shared_bytes);
}

static void test_space(void)
{
    world("b.img b.s1.qcow2<b.img*");
    froze("s1", "b.img", "b.s1.qcow2");
    space(0, 0, 1000, "a base that the domain stands on is shared");
    world("b.img c.s1.qcow2<b.img d.s2.qcow2<b.img* e.qcow2<c.s1.qcow2");
    froze("s1", "c.s1.qcow2", "e.qcow2");
    froze("s2", "b.img", "d.s2.qcow2");
    space(0, 0, 2000, "so is one that an image stands on which may be wanted");
    world("b.img b.s1.qcow2<b.img b.s1-r1.qcow2<b.img* "
          "b.s2.qcow2<b.s1.qcow2");
    froze("s1", "b.img", NULL);
    froze("s2", "b.s1.qcow2", NULL);
    space(1, 1000, 1000, "but not one that only an abandoned one stands on");
    is_str(uses(), "base base active abandoned", "... which that is");
}

static void test_exclusive(void)
{
    world("b.img b.s1.qcow2<b.img b.s1-r1.qcow2<b.img*");
    froze("s1", "b.img", NULL);
    froze("s2", "b.s1.qcow2", NULL);
    space(1, 1000, 1000, "a base that nobody else needs is its own");
    froze("s3", "b.s1.qcow2", NULL);
    space(1, 0, 2000, "not if another snapshot froze it, too");
    world("a.qcow2*");
    tagged("s1", "a.qcow2", "1");
    holds("a.qcow2", "s1", "1");
    space(0, 0, 1000, "an image with a tag is the domain's");
    is_uint(snap_inventory_space(&inv, 0).ntags, 1, "the tag's size is not "
            "known");
    world("b.img");
    froze("s1", "b.img", NULL);
    image("b.img")->gone = true;
    space(0, 0, 0, "what is gone has no size");
    is_uint(snap_inventory_space(&inv, 0).ngone, 1, "which is known");
}

/* ---- hostile and large ------------------------------------------- */

static void test_circle(void)
{
    world("a.qcow2 b.qcow2<a.qcow2* c.qcow2<b.qcow2");
    froze("s1", "a.qcow2", NULL);
    image("a.qcow2")->below = number("c.qcow2");
    is_str(uses(), "base active below", "a circle of images ends");
    space(0, 0, 3000, "its space, too");
}

/* A thousand snapshots of a chain of 60, and as many tags in one image. */
static void test_many(void)
{
    enum { MANY = 20000, CHAIN = 60 };
    struct snap_inventory many = { .running = true };
    struct snap_manifest_disk *d = snap_zalloc(MANY * sizeof(*d));
    struct snap_manifest m = { .name = NULL };
    clock_t began = clock();
    size_t i;

    many.images = snap_zalloc(CHAIN * sizeof(*many.images));
    many.nimages = CHAIN;
    many.snapshots = snap_zalloc(MANY * sizeof(*many.snapshots));
    many.links = snap_zalloc(MANY * sizeof(*many.links));
    many.nlinks = many.nsnapshots = MANY;
    for (i = 0; i < CHAIN; i++) {
        many.images[i].path = snap_printf("/img/%zu", i);
        many.images[i].below = i ? i - 1 : NONE;
    }
    many.images[0].tags = snap_zalloc(MANY * sizeof(*many.images[0].tags));
    many.images[0].ntags = MANY;
    for (i = 0; i < MANY; i++) {
        d[i].tag = snap_printf("s%zu", i);
        many.snapshots[i].m = &m;
        many.links[i] = (struct snap_inventory_link){
            .snapshot = i, .disk = &d[i], .image = 0, .overlay = NONE,
        };
        many.images[0].tags[i].name = snap_strdup(d[i].tag);
        many.images[0].tags[i].id = snap_strdup("1");
    }
    snap_inventory_judge(&many);
    is_uint(many.images[0].tags[MANY - 1].snapshot, MANY - 1, "20,000 tags");
    ok(clock() - began < 2 * CLOCKS_PER_SEC, "take no time");
    snap_inventory_dispose(&many);
    for (i = 0; i < MANY; i++) free(d[i].tag);
    free(d);
}

int main(void)
{
    test_uses();
    test_tags();
    test_names();
    test_not_abandoned();
    test_doubts();
    test_space();
    test_exclusive();
    test_circle();
    test_many();
    forget();
    return done_testing();
}
