/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h -- JSON as a tree, for patches, selectors and everything that changes a document.
 *
 * WHAT   A value and its children in document order. Numbers keep the text they were written with,
 *        strings are decoded. Members of big objects are found through an index.
 * WHY    Apart from api/transcode.h, which goes between JSON text and protobuf without a tree.
 * OWNS   Everything lives in the arena given to json_parse() and the json_new functions. Strings
 *        without escapes are borrowed from the text, which must live as long as the tree.
 * FAILS  ERR_INVALID with Go's wording ("invalid character 'x' looking for beginning of value"),
 *        because clients compare it; ERR_LIMIT when too deep or the arena is at its limit.
 *
 * A name given twice in one object keeps its first place and takes its last value, and says so in
 * `repeated`. Text is UTF-8 without NUL, or it is refused.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"

/* Deeper documents are refused: every walk over a tree may then recurse. */
enum { JSON_DEPTH_MAX = 128 };

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_index; /* Private: finds members by name. */

struct json {
    enum json_type type;
    bool truth;                /* JSON_BOOL. */
    bool repeated;             /* This member's name stood more than once in its object. */
    uint32_t count;            /* Children of an array or an object. */
    struct str key;            /* The name in the object around it; {NULL, 0} anywhere else. */
    struct str text;           /* JSON_STRING: decoded. JSON_NUMBER: as written. */
    struct json *first, *last; /* Children. */
    struct json *next, *prev;  /* Siblings. */
    struct json *parent;
    struct json_index *index;
};

MUST_USE enum err_code json_parse(struct arena *a, struct str text, struct json **out,
                                  struct err *e);

/* NULL when the arena is at its limit; every function below takes NULL and passes it on, so that
 * arena_status() is asked once, at the end. text and key are borrowed. */
struct json *json_new(struct arena *a, enum json_type type); /* null, false, "", [], {} or 0 */
struct json *json_new_bool(struct arena *a, bool truth);
struct json *json_new_string(struct arena *a, struct str text);
struct json *json_new_number(struct arena *a, struct str text); /* Must be a JSON number. */
struct json *json_new_i64(struct arena *a, int64_t value);
struct json *json_copy(struct arena *a, const struct json *from); /* Deep; text stays borrowed. */

/* A member of an object, NULL when there is none or when it is not an object. */
struct json *json_find(const struct json *object, struct str key);
struct json *json_at(const struct json *array, uint32_t at); /* NULL past the end. */

/* json_find() along names joined by dots: "spec.nodeName". */
struct json *json_path(const struct json *root, const char *path);

/* The text of a string, {NULL, 0} for anything else and for NULL. */
static inline struct str json_text(const struct json *value)
{
    return value == NULL || value->type != JSON_STRING ? (struct str){NULL, 0} : value->text;
}

/* Whole numbers only, also written as 1e3 or 2.0; ERR_INVALID otherwise. */
MUST_USE enum err_code json_i64(const struct json *value, int64_t *out);

/* child must have no parent. An object's member of that name is replaced, in its place. */
void json_set(struct arena *a, struct json *object, struct str key, struct json *child);
void json_append(struct json *array, struct json *child);
void json_insert(struct json *array, struct json *before,
                 struct json *child);    /* NULL: at the end */
void json_remove(struct json *child);    /* Out of its parent; it may be put elsewhere then. */
void json_clear(struct json *container); /* Drop all children. */

/* Turn value into what from is, keeping value's key and place. from's children move. */
void json_become(struct json *value, struct json *from);

/* Same type and content; members in any order, numbers by value (1 == 1.0 == 1e0). */
bool json_equal(const struct json *a, const struct json *b);

/* Compact text. Escapes what Go's encoding/json does: <, >, &, U+2028 and U+2029 too. */
void json_print(struct buf *out, const struct json *value);
void json_print_string(struct buf *out, struct str text); /* With the quotes. */

/* The same document with a line for each value and two blanks a level. text must be valid. */
void json_indent(struct buf *out, struct str text);

/* The same of a document that comes in parts, *depth 0 before the first. A part may end behind any value,
 * but not inside of one that is no container, nor right behind an opening bracket. */
void json_indent_more(struct buf *out, struct str text, uint32_t *depth);

#endif /* BASE_JSON_H */
