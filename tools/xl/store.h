/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Where snapshots are kept and how they are found: the store, its
 * directories, the hint about the current snapshot, default names.  Policy of
 * xl; the library gets explicit paths from here.  Changes nothing, but for
 * making a domain's directory.
 */
#ifndef XL_STORE_H
#define XL_STORE_H

#include <time.h>

#include "libxl_snapshot.h"

#define XL_NAME_RULE "a snapshot's name begins with a letter or '_' and has " \
    "at most 64 of A-Z a-z 0-9 _ . -"
#define XL_CURRENT_FILE "current"

/* The store, absolute: `option` (NULL: not given), else the environment's
 * XL_SNAPSHOT_STORE, else the built-in one. malloc'd. */
char *xl_store_dir(const char *option);
/* <store>/<encoded domain name>, malloc'd. */
char *xl_store_domain_dir(const char *store, const char *domain);
/* The domain's name from such a directory's last component; NULL when it is
 * not what encoding makes of any name. malloc'd. */
char *xl_store_decode_name(const char *encoded);

/* The name in the hint file of a domain's directory; NULL: absent, or not a
 * name, or there is no such snapshot in the directory. malloc'd. */
char *xl_store_current(const char *domain_dir);

/* A name from the time that is not taken in the directory. malloc'd. */
char *xl_store_default_name(const char *domain_dir, time_t now);
/* Does `name` look like one that xl_store_default_name makes? */
bool xl_store_is_default_name(const char *name);
/* Why that cannot be the name of a snapshot; NULL: it can. */
const char *xl_store_name_error(const char *name);
bool xl_store_has(const char *domain_dir, const char *name);

/* One directory with a manifest. */
struct xl_entry {
    char *name;                 /* of the directory */
    char *directory;            /* absolute */
    bool current;
    char *broken;               /* why it cannot be read; NULL: set is good */
    libxl_snapshot_set set;
    uint64_t size_bytes;        /* that the files in it take on the disk */
};
struct xl_entries {
    struct xl_entry *data;
    size_t len;
    struct snap_strings unfinished;     /* directories without a manifest */
};
void xl_entries_dispose(struct xl_entries *l);
/* Every snapshot in a directory, oldest first, broken ones last. A directory
 * that does not exist has none. 0, or ERROR_* with a message. */
int xl_store_list(struct snap_ctx *sc, const char *domain_dir,
                  struct xl_entries *out);
/* The directories of domains in the store (last components), sorted. */
int xl_store_domains(struct snap_ctx *sc, const char *store,
                     struct snap_strings *out);

/* The snapshots of every domain in the store. */
int xl_store_list_all(struct snap_ctx *sc, const char *store,
                      struct xl_entries *out);
/* Make a domain's directory, where the library keeps its hint, and the store
 * above it. *made (malloc'd): the highest directory that was not there, NULL
 * when all were. If nothing came of the command, unmake removes them again. */
int xl_store_make_domain_dir(struct snap_ctx *sc, const char *domain_dir,
                             char **made);
void xl_store_unmake_domain_dir(const char *domain_dir, const char *made);

/*
 * What the user calls SNAPSHOT: a name in the domain's directory, or a path
 * (it has a '/') of a snapshot's directory, of its manifest, or of a
 * hand-written file.  *where is an absolute path or the name, to be used in
 * another command line.  0, or XL_REFUSED or XL_USAGE with a message in sc.
 */
int xl_store_find(struct snap_ctx *sc, const char *store, const char *domain,
                  const char *arg, libxl_snapshot_set *set, char **where);

/* libxl_snapshot_load, with the error handed to sc. */
int xl_store_load(struct snap_ctx *sc, const char *path,
                  libxl_snapshot_set *set);

#endif
