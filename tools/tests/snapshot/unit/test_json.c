/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The claims of format/json.c: what goes in comes out, nothing is rounded,
 * and hostile text is refused without harm.
 */
#include "format/json.h"

#include <string.h>

#include "tap.h"

static struct snap_json *parse(const char *text)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_json *j;

    if (snap_json_parse(&sc, "the text", text, strlen(text), &j))
        diag("%s", sc.message);
    snap_ctx_dispose(&sc);
    return j;
}

static void is_refused(const char *bytes, size_t len, const char *reason,
                       const char *claim)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_json *j = NULL;
    int rc = snap_json_parse(&sc, "the text", bytes, len, &j);

    if (ok(rc == ERROR_INVAL && !j, "%s", claim))
        like(sc.message, reason, "and the message says %s", reason);
    like(sc.message, "the text", "and names the source");
    snap_json_free(j);
    snap_ctx_dispose(&sc);
}

static void refused(const char *text, const char *reason, const char *claim)
{
    is_refused(text, strlen(text), reason, claim);
}

static void round_trip(const char *text)
{
    AUTO_JSON struct snap_json *j = parse(text);
    AUTO_FREE char *printed = snap_json_print(j);

    is_str(printed, text, "%s comes out as it went in", text);
}

static void test_round_trip(void)
{
    round_trip("null");
    round_trip("true");
    round_trip("[]");
    round_trip("{}");
    round_trip("9223372036854775807");
    round_trip("-9223372036854775808");
    round_trip("18446744073709551615");
    round_trip("123456789012345678901234567890.000000000000000000001");
    round_trip("1e400");
    round_trip("\"a\\\"\\\\\\n\\r\\t\\u0001\xc3\xa9\"");
    round_trip("{\"b\":1,\"a\":[1,[2,{\"x\":null}],\"\"],\"\":false}");
}

static void test_pretty(void)
{
    AUTO_JSON struct snap_json *j = parse(" {\"a\":[1,2],\"b\":{},\"c\":[]} ");
    AUTO_FREE char *printed = snap_json_print_pretty(j);

    is_str(printed, "{\n    \"a\": [\n        1,\n        2\n    ],\n"
           "    \"b\": {},\n    \"c\": []\n}\n",
           "pretty text has one value a line and ends with a newline");
}

static void test_reading(void)
{
    AUTO_JSON struct snap_json *j =
        parse("{\"s\":\"x\",\"n\":-12,\"t\":true,\"a\":[1,2],\"z\":null}");
    int64_t n = 0;
    bool t = false;

    is_str(snap_json_get_str(j, "s"), "x", "a string member is read");
    ok(!snap_json_get_str(j, "n"), "a number is not read as a string");
    ok(snap_json_int(snap_json_get(j, "n"), &n) && n == -12,
       "an integer is read");
    ok(!snap_json_int(snap_json_get(j, "s"), &n), "a string is no integer");
    ok(snap_json_bool(snap_json_get(j, "t"), &t) && t, "a truth is read");
    ok(!snap_json_bool(snap_json_get(j, "n"), &t), "a number is no truth");
    is_int(snap_json_len(snap_json_get(j, "a")), 2, "an array has a length");
    ok(snap_json_at(snap_json_get(j, "a"), 1), "an element is there");
    ok(!snap_json_at(snap_json_get(j, "a"), 2), "none is behind the last");
    ok(!snap_json_at(j, 0), "an object has no elements");
    ok(!snap_json_get(snap_json_get(j, "a"), "s"), "an array has no members");
    is_str(snap_json_key_at(j, 4), "z", "a key is read by position");
    ok(!snap_json_key_at(j, 5), "no key is behind the last");
    is_int(snap_json_type(snap_json_value_at(j, 4)), SNAP_JSON_NULL,
           "a value is read by position");
}

static void test_reading_nothing(void)
{
    int64_t n;
    bool b;

    ok(!snap_json_get(NULL, "a"), "nothing has no member");
    ok(!snap_json_at(NULL, 0), "nothing has no element");
    is_int(snap_json_len(NULL), 0, "nothing has no length");
    ok(!snap_json_str(NULL), "nothing is no string");
    ok(!snap_json_int(NULL, &n), "nothing is no integer");
    ok(!snap_json_bool(NULL, &b), "nothing is no truth");
    is_int(snap_json_type(NULL), SNAP_JSON_NULL, "nothing is null");
    ok(!snap_json_copy(NULL), "a copy of nothing is nothing");
    snap_json_remove(NULL, "a");
    snap_json_free(NULL);
}

static void test_exact_integers(void)
{
    static const char *const not_exact[] = {
        "1.0", "1e3", "9223372036854775808", "-9223372036854775809",
        "18446744073709551616", "0.5",
    };
    AUTO_JSON struct snap_json *max = parse("9223372036854775807");
    AUTO_JSON struct snap_json *made = snap_json_new_int(INT64_MIN);
    int64_t v = 0;
    size_t i;

    ok(snap_json_int(max, &v) && v == INT64_MAX, "2^63-1 is exact");
    ok(snap_json_int(made, &v) && v == INT64_MIN, "-2^63 is exact");
    for (i = 0; i < sizeof(not_exact) / sizeof(*not_exact); i++) {
        AUTO_JSON struct snap_json *j = parse(not_exact[i]);

        ok(j && !snap_json_int(j, &v), "%s is no integer", not_exact[i]);
    }
}

static void test_exact_unsigned(void)
{
    static const char *const not_exact[] = {
        "-1", "-0", "18446744073709551616", "1.0", "\"1\"",
    };
    AUTO_JSON struct snap_json *max = parse("18446744073709551615");
    AUTO_JSON struct snap_json *made = snap_json_new_uint(UINT64_MAX);
    uint64_t v = 0;
    size_t i;

    ok(snap_json_uint(max, &v) && v == UINT64_MAX, "2^64-1 is exact");
    ok(snap_json_equal(max, made), "and is made");
    ok(!snap_json_uint(NULL, &v), "nothing is no number");
    for (i = 0; i < sizeof(not_exact) / sizeof(*not_exact); i++) {
        AUTO_JSON struct snap_json *j = parse(not_exact[i]);

        ok(j && !snap_json_uint(j, &v), "%s is not unsigned", not_exact[i]);
    }
}

static void test_changing(void)
{
    AUTO_JSON struct snap_json *j = snap_json_new_object();
    struct snap_json *a = snap_json_new_array();
    AUTO_FREE char *first = NULL;
    AUTO_FREE char *last = NULL;

    snap_json_set_str(j, "s", "x");
    snap_json_set_int(j, "n", 7);
    snap_json_set_bool(j, "t", true);
    snap_json_set(j, "a", a);
    snap_json_append(a, snap_json_new_str(NULL));
    snap_json_append(a, snap_json_new_str("e"));
    first = snap_json_print(j);
    is_str(first, "{\"s\":\"x\",\"n\":7,\"t\":true,\"a\":[null,\"e\"]}",
           "a tree is built");
    snap_json_set_str(j, "s", "y");
    snap_json_remove(j, "n");
    snap_json_remove(j, "not there");
    snap_json_set_int(j, "a", 1);
    last = snap_json_print(j);
    is_str(last, "{\"s\":\"y\",\"t\":true,\"a\":1}",
           "members are replaced in place and removed");
}

static void same(const char *a, const char *b, bool want)
{
    AUTO_JSON struct snap_json *x = parse(a);
    AUTO_JSON struct snap_json *y = parse(b);

    ok(snap_json_equal(x, y) == want, "%s and %s are %s", a, b,
       want ? "equal" : "different");
}

static void test_equal(void)
{
    same("{\"a\":1,\"b\":[true]}", "{\"b\":[true],\"a\":1}", true);
    same("{\"a\":1}", "{\"a\":1,\"b\":2}", false);
    same("{\"a\":1}", "{\"b\":1}", false);
    same("{\"a\":null}", "{\"b\":null}", false);
    same("[1,2]", "[2,1]", false);
    same("1", "\"1\"", false);
    same("0", "-0", true);
    same("0.1", "0.10", false);
    same("true", "false", false);
    same("null", "null", true);
    same("\"x\"", "\"x\"", true);
}

static void test_copy(void)
{
    AUTO_JSON struct snap_json *j =
        parse("{\"a\":[1,{\"b\":\"c\"}],\"t\":true}");
    AUTO_JSON struct snap_json *copy = snap_json_copy(j);

    ok(snap_json_equal(j, copy), "a copy is equal");
    snap_json_remove(snap_json_at(snap_json_get(copy, "a"), 1), "b");
    ok(!snap_json_equal(j, copy), "a change to the copy leaves the original");
}

static char *nested(size_t depth)
{
    struct snap_text t = { .len = 0 };
    size_t i;

    for (i = 0; i < depth; i++) snap_text_add_bytes(&t, "[", 1);
    for (i = 0; i < depth; i++) snap_text_add_bytes(&t, "]", 1);
    return t.data;
}

static void test_bounds(void)
{
    AUTO_FREE char *deepest = nested(SNAP_JSON_MAX_DEPTH);
    AUTO_FREE char *too_deep = nested(SNAP_JSON_MAX_DEPTH + 1);
    AUTO_FREE char *huge = snap_zalloc(SNAP_JSON_MAX_BYTES + 1);
    AUTO_JSON struct snap_json *j = parse(deepest);
    struct snap_text many = { .len = 0 };
    size_t i;

    ok(j, "256 levels are accepted");
    refused(too_deep, "deeper than 256", "257 levels are refused");
    memset(huge, ' ', SNAP_JSON_MAX_BYTES + 1);
    is_refused(huge, SNAP_JSON_MAX_BYTES + 1, "more than 16777216",
               "more than 16 MiB are refused");
    snap_text_add(&many, "[0");
    for (i = 0; i < SNAP_JSON_MAX_NODES; i++) snap_text_add(&many, ",0");
    snap_text_add(&many, "]");
    refused(many.data, "more than 200000", "too many values are refused");
    free(many.data);
}

static void test_many_keys(void)
{
    struct snap_text t = { .len = 0 };
    struct snap_json *j;
    size_t i;

    snap_text_add(&t, "{\"k0\":0");
    for (i = 1; i < 150000; i++) snap_text_add(&t, ",\"k%zu\":0", i);
    snap_text_add(&t, "}");
    j = parse(t.data);
    is_int(snap_json_len(j), 150000, "150000 keys are parsed without delay");
    snap_json_free(j);
    free(t.data);
}

static void test_refusals(void)
{
    refused("", "JSON", "nothing is refused");
    refused("  ", "JSON", "white space alone is refused");
    refused("{\"a\":1,\"a\":2}", "stands twice",
            "a key given twice is refused");
    refused("{\"a\":1} {}", "trailing", "a second value is refused");
    refused("{\"a\":1}x", "JSON", "garbage behind the value is refused");
    refused("{\"a\":}", "JSON", "a missing value is refused");
    refused("[1,]", "JSON", "a trailing comma is refused");
    refused("[1 /* c */]", "JSON", "a comment is refused");
    refused("nul", "JSON", "half a word is refused");
    refused("NaN", "JSON", "a number that is none is refused");
    refused("[01]", "JSON", "a leading zero is refused");
    refused("\"a\\u0000b\"", "NUL", "a NUL in a string is refused");
    refused("{\"\\u0000\":1}", "NUL", "a NUL in a key is refused");
    refused("\"\\udc00\"", "surrogate", "half a surrogate pair is refused");
    refused("\"\xff\xfe\"", "JSON", "bytes that are no UTF-8 are refused");
    refused("\"a\nb\"", "JSON", "a bare line end in a string is refused");
    is_refused("[1]\0", 4, "JSON", "a NUL behind the value is refused");
}

/* Every prefix of a good text is a text cut short. */
static void test_truncation(void)
{
    static const char text[] = "{\"a\":[1,true,null,\"x\\n\",{\"b\":-1.5e3}]}";
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_json *j;
    size_t len, accepted = 0;

    for (len = 0; len < sizeof(text) - 1; len++) {
        AUTO_FREE char *cut = snap_strndup(text, len);

        if (!snap_json_parse(&sc, "cut", cut, len, &j)) accepted++;
        snap_json_free(j);
        snap_clear(&sc);
    }
    is_int(accepted, 0, "a text cut short at any byte is refused");
    snap_ctx_dispose(&sc);
}

/* Every byte replaced by every value: nothing crashes, and what is accepted
 * prints to a text that parses to the same tree. */
static bool survives(const char *text, size_t len)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_json *j, *again = NULL;
    bool good = true;

    if (!snap_json_parse(&sc, "mutant", text, len, &j)) {
        AUTO_FREE char *printed = snap_json_print(j);

        good = !snap_json_parse(&sc, "again", printed, strlen(printed),
                                &again) && snap_json_equal(j, again);
    }
    snap_json_free(j);
    snap_json_free(again);
    snap_ctx_dispose(&sc);
    return good;
}

static void test_mutation(void)
{
    char text[] = "{\"a\":[1,true,\"x\\u00e9\\ud83d\\ude00\"],\"b\":-1.5e3}";
    size_t i, bad = 0;
    int c;

    for (i = 0; i < sizeof(text) - 1; i++) {
        char was = text[i];

        for (c = 0; c < 256; c++) {
            text[i] = (char)c;
            if (!survives(text, sizeof(text) - 1)) bad++;
        }
        text[i] = was;
    }
    is_int(bad, 0, "whatever one byte becomes, what is accepted survives");
}

int main(void)
{
    test_round_trip();
    test_pretty();
    test_reading();
    test_reading_nothing();
    test_exact_integers();
    test_exact_unsigned();
    test_changing();
    test_equal();
    test_copy();
    test_bounds();
    test_many_keys();
    test_refusals();
    test_truncation();
    test_mutation();
    return done_testing();
}
