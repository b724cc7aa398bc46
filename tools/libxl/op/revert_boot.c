/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A revert of disks alone: the configuration that the domain is booted with,
 * which is a user's xl.cfg or the one in the memory image, and the words that
 * `xl create` will get.  Before anything is destroyed the same words go to
 * `xl -N create`: what that prints is what will be built.
 */
#include <string.h>

#include "format/xlcfg.h"
#include "op/memory.h"
#include "op/revert.h"

#define NO_FILE "/dev/null"

/* ---- the configuration ------------------------------------------- */

static int read_stored(struct snap_revert *r)
{
    int rc;

    if (!r->p->set->manifest.memory_path)
        return snap_fail(r->sc, ERROR_INVAL, "the snapshot has no memory "
                         "image, which a configuration would be in");
    rc = snap_op_open_memory(r->sc, r->p->set, &r->f.memory_path,
                             &r->memory_fd);
    if (!rc)
        rc = snap_memimage_read_config(r->sc, r->memory_fd,
                                       r->f.memory_path, &r->image);
    if (!rc)
        rc = snap_op_memory_config(r->sc, &r->image, &r->tree, &r->config);
    r->stored = !rc;
    return rc;
}

/* The user's takes the place of what was read of the snapshot. */
static int use_user_config(struct snap_revert *r)
{
    AUTO_JSON struct snap_json *user = NULL;
    struct snap_domconfig c = { 0 };
    int rc;

    rc = snap_op_ask_xl(r->sc, r->p->stock_xl, r->p->domain_config, NULL,
                        &user);
    if (!rc) rc = snap_domconfig_read(r->sc, user, &c);
    if (!rc)
        rc = snap_domconfig_fits(r->sc, &c, r->stored ? &r->config : NULL,
                                 r->p->domain_name);
    snap_domconfig_dispose(&c);
    if (rc)
        return snap_within(r->sc, rc, "configuration '%s'",
                           r->p->domain_config);
    if (r->stored && r->config.uuid)
        snap_domconfig_set_uuid(user, r->config.uuid);
    snap_json_free(r->tree);
    r->tree = user;
    user = NULL;
    snap_domconfig_dispose(&r->config);
    return snap_domconfig_read(r->sc, r->tree, &r->config);
}

int snap_revert_read_config(struct snap_revert *r)
{
    int rc = read_stored(r);

    if (rc && !r->p->domain_config)
        return snap_within(r->sc, rc, "nothing says how to boot the domain; "
                           "give a DOMAIN-CONFIG");
    if (rc) {
        snap_log(r->sc, SNAP_LOG_DETAIL, "%s", r->sc->message);
        snap_clear(r->sc);
        rc = use_user_config(r);
    }
    r->f.config = &r->config;
    return rc;
}

int snap_revert_take_user_config(struct snap_revert *r)
{
    return r->stored && r->p->domain_config ? use_user_config(r) : 0;
}

/* ---- the words --------------------------------------------------- */

/* What the words do not say is found here, and refused. */
static int compare(struct snap_revert *r)
{
    AUTO_JSON struct snap_json *got = NULL;
    AUTO_FREE char *field = NULL;
    int rc = snap_op_ask_xl(r->sc, r->p->stock_xl, r->f.boot_file, &r->words,
                            &got);

    if (rc) return rc;
    field = snap_xlcfg_difference(r->tree, got);
    if (!field) return 0;
    if (r->p->domain_config)
        return snap_fail(r->sc, ERROR_INVAL, "with the snapshot's disks `xl "
                         "create` would build a domain with another %s",
                         field);
    return snap_fail(r->sc, ERROR_INVAL, "the domain's configuration in the "
                     "memory image has a %s that `xl create` cannot be given "
                     "as a setting; give a DOMAIN-CONFIG", field);
}

int snap_revert_choose_words(struct snap_revert *r)
{
    bool given = r->p->domain_config;
    int rc = snap_revert_set_disks(r);

    r->f.disk_only = true;
    r->f.boot_file = given ? r->p->domain_config : NO_FILE;
    r->f.boot_words = &r->words;
    if (rc) return rc;
    snap_domconfig_set_name(r->tree, r->p->domain_name);
    rc = given ? snap_xlcfg_own_words(r->sc, r->tree, &r->words)
               : snap_xlcfg_words(r->sc, r->tree, &r->words);
    if (!rc) rc = compare(r);
    return rc && given ? snap_within(r->sc, rc, "configuration '%s'",
                                     r->p->domain_config) : rc;
}
