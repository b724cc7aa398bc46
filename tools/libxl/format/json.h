/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * JSON as a tree: bytes in, a tree out, and back.  The only room that
 * includes yajl.  Input is hostile: depth, size and number of nodes are
 * bounded, duplicate keys are refused, strings with a NUL inside are refused,
 * numbers keep their text so that nothing is rounded on the way through.
 */
#ifndef SNAP_JSON_H
#define SNAP_JSON_H

#include "snap_internal.h"

enum snap_json_type {
    SNAP_JSON_NULL, SNAP_JSON_BOOL, SNAP_JSON_NUMBER, SNAP_JSON_STRING,
    SNAP_JSON_ARRAY, SNAP_JSON_OBJECT,
};

struct snap_json;           /* a node; a tree is owned through its root */

#define SNAP_JSON_MAX_BYTES (16u << 20)
#define SNAP_JSON_MAX_DEPTH 256
#define SNAP_JSON_MAX_NODES 200000

/*
 * Parse exactly one value (white space around it is fine). `what` names the
 * source in messages ("the manifest '/x/snapshot.json'").
 * Returns 0 and *out (caller frees with snap_json_free), or ERROR_INVAL.
 */
int snap_json_parse(struct snap_ctx *sc, const char *what,
                    const char *bytes, size_t len, struct snap_json **out);
void snap_json_free(struct snap_json *j);           /* NULL is fine */
static inline void snap_auto_json(struct snap_json **j) { snap_json_free(*j); }
#define AUTO_JSON __attribute__((cleanup(snap_auto_json)))

enum snap_json_type snap_json_type(const struct snap_json *j);
/* All readers accept j == NULL and answer "not there". */
struct snap_json *snap_json_get(const struct snap_json *object,
                                const char *key);
struct snap_json *snap_json_at(const struct snap_json *array, size_t i);
size_t snap_json_len(const struct snap_json *j);    /* array or object */
const char *snap_json_key_at(const struct snap_json *object, size_t i);
struct snap_json *snap_json_value_at(const struct snap_json *object, size_t i);
const char *snap_json_str(const struct snap_json *j);      /* NULL: not one */
bool snap_json_int(const struct snap_json *j, int64_t *out);  /* exact only */
bool snap_json_uint(const struct snap_json *j, uint64_t *out); /* not < 0 */
bool snap_json_bool(const struct snap_json *j, bool *out);
/* Shorthands on an object member. */
const char *snap_json_get_str(const struct snap_json *object, const char *key);

struct snap_json *snap_json_new_object(void);
struct snap_json *snap_json_new_array(void);
struct snap_json *snap_json_new_str(const char *s);        /* NULL -> null */
struct snap_json *snap_json_new_int(int64_t v);
struct snap_json *snap_json_new_uint(uint64_t v);
struct snap_json *snap_json_new_bool(bool v);
struct snap_json *snap_json_copy(const struct snap_json *j);
/* Set or replace a member; takes ownership of value. The changers below want
 * the type that their parameter's name says (asserted); remove does not. */
void snap_json_set(struct snap_json *object, const char *key,
                   struct snap_json *value);
void snap_json_set_str(struct snap_json *object, const char *key,
                       const char *s);
void snap_json_set_int(struct snap_json *object, const char *key, int64_t v);
void snap_json_set_bool(struct snap_json *object, const char *key, bool v);
void snap_json_remove(struct snap_json *object, const char *key);
void snap_json_append(struct snap_json *array, struct snap_json *value);
bool snap_json_equal(const struct snap_json *a, const struct snap_json *b);

/* Text of a tree, malloc'd, NUL-terminated; pretty has a final newline. */
char *snap_json_print(const struct snap_json *j);
char *snap_json_print_pretty(const struct snap_json *j);

#endif
