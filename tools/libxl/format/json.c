/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * JSON as a tree: bytes in, a tree out, and back.  The only file that knows
 * yajl; it is not a schema checker, and it never touches a file.  Every room
 * that reads or writes JSON calls it.
 */
#include "format/json.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <yajl/yajl_parse.h>

/* An object has keys, an array has none; both have values. */
struct snap_json {
    enum snap_json_type type;
    bool truth;
    char *text;                 /* string: its bytes; number: as written */
    char **keys;
    struct snap_json **values;
    size_t len, cap;
};

/*
 * The tree
 */

static struct snap_json *new_node(enum snap_json_type type)
{
    struct snap_json *j = snap_zalloc(sizeof(*j));

    j->type = type;
    return j;
}

static struct snap_json *new_text(enum snap_json_type type, char *text)
{
    struct snap_json *j = new_node(type);

    j->text = text;
    return j;
}

void snap_json_free(struct snap_json *j)
{
    size_t i;

    if (!j) return;
    for (i = 0; i < j->len; i++) {
        if (j->keys) free(j->keys[i]);
        snap_json_free(j->values[i]);
    }
    free(j->keys);
    free(j->values);
    free(j->text);
    free(j);
}

/* Takes key (NULL in an array) and value. */
static void add_child(struct snap_json *j, char *key, struct snap_json *value)
{
    if (j->len == j->cap) {
        j->cap = j->cap ? 2 * j->cap : 4;
        j->values = snap_realloc(j->values, j->cap * sizeof(*j->values));
        if (j->type == SNAP_JSON_OBJECT)
            j->keys = snap_realloc(j->keys, j->cap * sizeof(*j->keys));
    }
    if (j->type == SNAP_JSON_OBJECT) j->keys[j->len] = key;
    j->values[j->len++] = value;
}

/*
 * Parsing: yajl calls back, a stack of open containers takes the values.
 */

struct parser {
    struct snap_json *root;
    struct snap_json *open[SNAP_JSON_MAX_DEPTH];
    size_t depth;
    char *key;                  /* of the member whose value comes next */
    size_t nodes;
    char *refusal;              /* why we stopped, when it was not yajl */
};

static int refuse(struct parser *p, char *why)
{
    free(p->refusal);
    p->refusal = why;
    return 0;
}

/* Takes value. Returns 1 to go on, 0 to stop, as yajl wants it. */
static int add_value(struct parser *p, struct snap_json *value)
{
    if (++p->nodes > SNAP_JSON_MAX_NODES) {
        snap_json_free(value);
        return refuse(p, snap_printf("more than %d values",
                                     SNAP_JSON_MAX_NODES));
    }
    if (!p->depth) {
        p->root = value;
        return 1;
    }
    add_child(p->open[p->depth - 1], p->key, value);
    p->key = NULL;
    return 1;
}

static int open_container(struct parser *p, enum snap_json_type type)
{
    struct snap_json *j;

    if (p->depth == SNAP_JSON_MAX_DEPTH)
        return refuse(p, snap_printf("nested deeper than %d levels",
                                     SNAP_JSON_MAX_DEPTH));
    j = new_node(type);
    if (!add_value(p, j)) return 0;
    p->open[p->depth++] = j;
    return 1;
}

/*
 * A string with a NUL would be cut by everybody who reads it, and half a
 * surrogate pair (which yajl lets through as three bytes ED A0..BF xx) is not
 * UTF-8: what we print of it could not be parsed again.
 */
static char *take_string(struct parser *p, const unsigned char *s, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (!s[i]) {
            refuse(p, snap_strdup("a string contains a NUL character"));
            return NULL;
        }
        if (s[i] == 0xed && i + 1 < len && s[i + 1] >= 0xa0) {
            refuse(p, snap_strdup("a string contains half a surrogate pair"));
            return NULL;
        }
    }
    return snap_strndup((const char *)s, len);
}

static int on_null(void *arg)
{
    return add_value(arg, new_node(SNAP_JSON_NULL));
}

static int on_bool(void *arg, int v)
{
    return add_value(arg, snap_json_new_bool(v));
}

static int on_number(void *arg, const char *s, size_t len)
{
    return add_value(arg, new_text(SNAP_JSON_NUMBER, snap_strndup(s, len)));
}

static int on_string(void *arg, const unsigned char *s, size_t len)
{
    char *text = take_string(arg, s, len);

    return text && add_value(arg, new_text(SNAP_JSON_STRING, text));
}

static int on_open_object(void *arg)
{
    return open_container(arg, SNAP_JSON_OBJECT);
}

static int on_open_array(void *arg)
{
    return open_container(arg, SNAP_JSON_ARRAY);
}

static int on_key(void *arg, const unsigned char *s, size_t len)
{
    struct parser *p = arg;

    p->key = take_string(p, s, len);
    return p->key != NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, not compared pairwise: an object may have 200000 members. */
static char *find_duplicate(const struct snap_json *object)
{
    AUTO_FREE char **keys = NULL;
    size_t i;

    if (object->len < 2) return NULL;
    keys = snap_zalloc(object->len * sizeof(*keys));
    memcpy(keys, object->keys, object->len * sizeof(*keys));
    qsort(keys, object->len, sizeof(*keys), by_text);
    for (i = 1; i < object->len; i++)
        if (!strcmp(keys[i - 1], keys[i])) return keys[i];
    return NULL;
}

static int on_close_object(void *arg)
{
    struct parser *p = arg;
    char *twice = find_duplicate(p->open[--p->depth]);

    if (twice)
        return refuse(p, snap_printf("the key \"%.64s\" stands twice in one "
                                     "object", twice));
    return 1;
}

static int on_close_array(void *arg)
{
    struct parser *p = arg;

    p->depth--;
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_open_object,
    .yajl_map_key = on_key,
    .yajl_end_map = on_close_object,
    .yajl_start_array = on_open_array,
    .yajl_end_array = on_close_array,
};

/* yajl's own words, without the text around the place: that is the input's,
 * and may hold secrets or control characters. */
static int fail_yajl(struct snap_ctx *sc, const char *what, yajl_handle h,
                     const char *bytes, size_t len)
{
    unsigned char *text = yajl_get_error(h, 0, (const unsigned char *)bytes,
                                         len);
    const char *reason = text ? (const char *)text : "not JSON";
    int rc;

    rc = snap_fail(sc, ERROR_INVAL, "%s: not valid JSON (%.*s, near byte %zu)",
                   what, (int)strcspn(reason, "\n"), reason,
                   yajl_get_bytes_consumed(h));
    if (text) yajl_free_error(h, text);
    return rc;
}

static int run_parser(struct snap_ctx *sc, const char *what,
                      const char *bytes, size_t len, struct parser *p)
{
    yajl_handle h = yajl_alloc(&callbacks, NULL, p);
    yajl_status status;
    int rc;

    if (!h)
        return snap_fail(sc, ERROR_NOMEM, "%s: no memory to parse it", what);
    status = yajl_parse(h, (const unsigned char *)bytes, len);
    if (status == yajl_status_ok) status = yajl_complete_parse(h);
    if (p->refusal)
        rc = snap_fail(sc, ERROR_INVAL, "%s: JSON refused: %s", what,
                       p->refusal);
    else if (status != yajl_status_ok)
        rc = fail_yajl(sc, what, h, bytes, len);
    else if (!p->root || p->depth)
        rc = snap_fail(sc, ERROR_INVAL, "%s: no whole JSON value in it", what);
    else
        rc = 0;
    yajl_free(h);
    return rc;
}

int snap_json_parse(struct snap_ctx *sc, const char *what,
                    const char *bytes, size_t len, struct snap_json **out)
{
    struct parser p = { .root = NULL };
    int rc;

    *out = NULL;
    if (len > SNAP_JSON_MAX_BYTES)
        return snap_fail(sc, ERROR_INVAL,
                         "%s: %zu bytes of JSON; more than %u are refused",
                         what, len, SNAP_JSON_MAX_BYTES);
    rc = run_parser(sc, what, bytes, len, &p);
    free(p.key);
    free(p.refusal);
    if (rc)
        snap_json_free(p.root);
    else
        *out = p.root;
    return rc;
}

/*
 * Reading
 */

enum snap_json_type snap_json_type(const struct snap_json *j)
{
    return j ? j->type : SNAP_JSON_NULL;
}

/* The member's position, or object->len. */
static size_t position(const struct snap_json *object, const char *key)
{
    size_t i;

    for (i = 0; i < object->len; i++)
        if (!strcmp(object->keys[i], key)) break;
    return i;
}

struct snap_json *snap_json_get(const struct snap_json *object,
                                const char *key)
{
    size_t i;

    if (snap_json_type(object) != SNAP_JSON_OBJECT) return NULL;
    i = position(object, key);
    return i < object->len ? object->values[i] : NULL;
}

struct snap_json *snap_json_at(const struct snap_json *array, size_t i)
{
    if (snap_json_type(array) != SNAP_JSON_ARRAY || i >= array->len)
        return NULL;
    return array->values[i];
}

size_t snap_json_len(const struct snap_json *j)
{
    return j ? j->len : 0;
}

const char *snap_json_key_at(const struct snap_json *object, size_t i)
{
    if (snap_json_type(object) != SNAP_JSON_OBJECT || i >= object->len)
        return NULL;
    return object->keys[i];
}

struct snap_json *snap_json_value_at(const struct snap_json *object, size_t i)
{
    if (snap_json_type(object) != SNAP_JSON_OBJECT || i >= object->len)
        return NULL;
    return object->values[i];
}

const char *snap_json_str(const struct snap_json *j)
{
    return snap_json_type(j) == SNAP_JSON_STRING ? j->text : NULL;
}

/* Exact: "1.0" and "1e3" are not integers here, and nothing is rounded. */
bool snap_json_int(const struct snap_json *j, int64_t *out)
{
    char *end;
    long long v;

    if (snap_json_type(j) != SNAP_JSON_NUMBER) return false;
    errno = 0;
    v = strtoll(j->text, &end, 10);
    if (errno || end == j->text || *end) return false;
    *out = v;
    return true;
}

/* strtoull() would take "-1" for 2^64-1. */
bool snap_json_uint(const struct snap_json *j, uint64_t *out)
{
    char *end;
    unsigned long long v;

    if (snap_json_type(j) != SNAP_JSON_NUMBER || j->text[0] == '-')
        return false;
    errno = 0;
    v = strtoull(j->text, &end, 10);
    if (errno || end == j->text || *end) return false;
    *out = v;
    return true;
}

bool snap_json_bool(const struct snap_json *j, bool *out)
{
    if (snap_json_type(j) != SNAP_JSON_BOOL) return false;
    *out = j->truth;
    return true;
}

const char *snap_json_get_str(const struct snap_json *object, const char *key)
{
    return snap_json_str(snap_json_get(object, key));
}

static bool members_equal(const struct snap_json *a, const struct snap_json *b)
{
    size_t i;

    for (i = 0; i < a->len; i++) {
        const struct snap_json *other = snap_json_get(b, a->keys[i]);

        if (!other || !snap_json_equal(a->values[i], other)) return false;
    }
    return true;
}

static bool elements_equal(const struct snap_json *a,
                           const struct snap_json *b)
{
    size_t i;

    for (i = 0; i < a->len; i++)
        if (!snap_json_equal(a->values[i], b->values[i])) return false;
    return true;
}

/* The order of an object's members does not count; numbers that are not
 * integers are compared as they are written. */
bool snap_json_equal(const struct snap_json *a, const struct snap_json *b)
{
    int64_t x, y;

    if (snap_json_type(a) != snap_json_type(b)) return false;
    if (!a || !b) return true;
    if (a->len != b->len) return false;
    switch (a->type) {
    case SNAP_JSON_BOOL:
        return a->truth == b->truth;
    case SNAP_JSON_NUMBER:
        if (snap_json_int(a, &x) && snap_json_int(b, &y)) return x == y;
        return !strcmp(a->text, b->text);
    case SNAP_JSON_STRING:
        return !strcmp(a->text, b->text);
    case SNAP_JSON_ARRAY:
        return elements_equal(a, b);
    case SNAP_JSON_OBJECT:
        return members_equal(a, b);
    case SNAP_JSON_NULL:
        break;
    }
    return true;
}

/*
 * Building and changing
 */

struct snap_json *snap_json_new_object(void)
{
    return new_node(SNAP_JSON_OBJECT);
}

struct snap_json *snap_json_new_array(void)
{
    return new_node(SNAP_JSON_ARRAY);
}

struct snap_json *snap_json_new_str(const char *s)
{
    if (!s) return new_node(SNAP_JSON_NULL);
    return new_text(SNAP_JSON_STRING, snap_strdup(s));
}

struct snap_json *snap_json_new_int(int64_t v)
{
    return new_text(SNAP_JSON_NUMBER, snap_printf("%lld", (long long)v));
}

struct snap_json *snap_json_new_uint(uint64_t v)
{
    return new_text(SNAP_JSON_NUMBER,
                    snap_printf("%llu", (unsigned long long)v));
}

struct snap_json *snap_json_new_bool(bool v)
{
    struct snap_json *j = new_node(SNAP_JSON_BOOL);

    j->truth = v;
    return j;
}

struct snap_json *snap_json_copy(const struct snap_json *j)
{
    struct snap_json *copy;
    size_t i;

    if (!j) return NULL;
    copy = new_node(j->type);
    copy->truth = j->truth;
    copy->text = snap_strdup(j->text);
    for (i = 0; i < j->len; i++)
        add_child(copy, j->keys ? snap_strdup(j->keys[i]) : NULL,
                  snap_json_copy(j->values[i]));
    return copy;
}

void snap_json_set(struct snap_json *object, const char *key,
                   struct snap_json *value)
{
    size_t i;

    assert(snap_json_type(object) == SNAP_JSON_OBJECT && value);
    i = position(object, key);
    if (i == object->len) {
        add_child(object, snap_strdup(key), value);
        return;
    }
    snap_json_free(object->values[i]);
    object->values[i] = value;
}

void snap_json_set_str(struct snap_json *object, const char *key,
                       const char *s)
{
    snap_json_set(object, key, snap_json_new_str(s));
}

void snap_json_set_int(struct snap_json *object, const char *key, int64_t v)
{
    snap_json_set(object, key, snap_json_new_int(v));
}

void snap_json_set_bool(struct snap_json *object, const char *key, bool v)
{
    snap_json_set(object, key, snap_json_new_bool(v));
}

void snap_json_remove(struct snap_json *object, const char *key)
{
    size_t i, after;

    if (snap_json_type(object) != SNAP_JSON_OBJECT) return;
    i = position(object, key);
    if (i == object->len) return;
    free(object->keys[i]);
    snap_json_free(object->values[i]);
    after = object->len - i - 1;
    memmove(object->keys + i, object->keys + i + 1,
            after * sizeof(*object->keys));
    memmove(object->values + i, object->values + i + 1,
            after * sizeof(*object->values));
    object->len--;
}

void snap_json_append(struct snap_json *array, struct snap_json *value)
{
    assert(snap_json_type(array) == SNAP_JSON_ARRAY && value);
    add_child(array, NULL, value);
}

/*
 * Printing
 */

struct printer {
    struct snap_text text;
    bool pretty;
    int depth;
};

static void print_value(struct printer *p, const struct snap_json *j);

/* The two-character escape of c, or NULL. */
static const char *short_escape(char c)
{
    switch (c) {
    case '"':  return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default:   return NULL;
    }
}

static void print_string(struct printer *p, const char *s)
{
    size_t plain;

    snap_text_add_bytes(&p->text, "\"", 1);
    for (; *s; s++) {
        for (plain = 0; (unsigned char)s[plain] >= 0x20 &&
                        s[plain] != '"' && s[plain] != '\\'; plain++)
            ;
        snap_text_add_bytes(&p->text, s, plain);
        s += plain;
        if (!*s) break;
        if (short_escape(*s))
            snap_text_add_bytes(&p->text, short_escape(*s), 2);
        else
            snap_text_add(&p->text, "\\u%04x", (unsigned char)*s);
    }
    snap_text_add_bytes(&p->text, "\"", 1);
}

static void new_line(struct printer *p)
{
    int i;

    if (!p->pretty) return;
    snap_text_add_bytes(&p->text, "\n", 1);
    for (i = 0; i < p->depth; i++)
        snap_text_add_bytes(&p->text, "    ", 4);
}

static void print_children(struct printer *p, const struct snap_json *j)
{
    size_t i;

    p->depth++;
    for (i = 0; i < j->len; i++) {
        if (i) snap_text_add_bytes(&p->text, ",", 1);
        new_line(p);
        if (j->type == SNAP_JSON_OBJECT) {
            print_string(p, j->keys[i]);
            snap_text_add_bytes(&p->text, ": ", p->pretty ? 2 : 1);
        }
        print_value(p, j->values[i]);
    }
    p->depth--;
    if (j->len) new_line(p);
}

static void print_value(struct printer *p, const struct snap_json *j)
{
    switch (snap_json_type(j)) {
    case SNAP_JSON_NULL:
        snap_text_add_bytes(&p->text, "null", 4);
        break;
    case SNAP_JSON_BOOL:
        snap_text_add(&p->text, "%s", j->truth ? "true" : "false");
        break;
    case SNAP_JSON_NUMBER:
        snap_text_add_bytes(&p->text, j->text, strlen(j->text));
        break;
    case SNAP_JSON_STRING:
        print_string(p, j->text);
        break;
    case SNAP_JSON_ARRAY:
        snap_text_add_bytes(&p->text, "[", 1);
        print_children(p, j);
        snap_text_add_bytes(&p->text, "]", 1);
        break;
    case SNAP_JSON_OBJECT:
        snap_text_add_bytes(&p->text, "{", 1);
        print_children(p, j);
        snap_text_add_bytes(&p->text, "}", 1);
        break;
    }
}

char *snap_json_print(const struct snap_json *j)
{
    struct printer p = { .pretty = false };

    print_value(&p, j);
    return p.text.data;
}

char *snap_json_print_pretty(const struct snap_json *j)
{
    struct printer p = { .pretty = true };

    print_value(&p, j);
    snap_text_add_bytes(&p.text, "\n", 1);
    return p.text.data;
}
