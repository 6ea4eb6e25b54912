/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonread.h -- JSON value by value, from text or from a tree.
 *
 * WHAT   A pull reader: the caller asks for the next value and says what it should be. It reads
 *        text, or walks a tree that was parsed and patched, through the same calls.
 * WHY    Decoding into a known shape needs no tree, and must not be written twice for those who
 *        have one.
 * OWNS   Strings are borrowed from the text or the tree, or decoded into the arena where they hold
 *        escapes.
 * FAILS  The first fault is kept in .err and every later call is false: check once, at the end.
 *        Wording as json.h.
 *
 * Use:   if (!json_read_open(r, JSON_OBJECT)) ...
 *        while (json_read_key(r, &key)) { ... read exactly one value ... }
 */
#ifndef BASE_JSONREAD_H
#define BASE_JSONREAD_H

#include "base/json.h"

struct json_reader {
    const char *at, *end;    /* Text; unused with a tree. */
    const struct json *node; /* Tree: the value that comes next; NULL behind the last one. */
    const struct json *parents[JSON_DEPTH_MAX]; /* Tree: the containers we are in. */
    struct arena *arena;
    uint32_t depth;
    bool is_tree, opened; /* opened: nothing was read since json_read_open(). */
    bool failed;
    struct err err;
};

void json_read_text(struct json_reader *r, struct arena *a, struct str text);
void json_read_tree(struct json_reader *r, struct arena *a, const struct json *root);

/* What comes next; false at the end and after a fault. */
MUST_USE bool json_read_type(struct json_reader *r, enum json_type *out);

/* Each reads one value that must be of that type (json_read_type() told). */
MUST_USE bool json_read_string(struct json_reader *r, struct str *out);
MUST_USE bool json_read_number(struct json_reader *r, struct str *out);
MUST_USE bool json_read_bool(struct json_reader *r, bool *out);
MUST_USE bool json_read_null(struct json_reader *r);
MUST_USE bool json_read_skip(struct json_reader *r); /* Any one value. */

/* The text of the object that comes next, as far as its brackets go; what stands between them is not judged. For who
 * knows that very text already. Text only. */
MUST_USE bool json_read_outline(struct json_reader *r, struct str *out);

/* Any one value as a tree: the reader's own, or made of its text in the arena. */
MUST_USE bool json_read_value(struct json_reader *r, const struct json **out);

MUST_USE bool json_read_open(struct json_reader *r, enum json_type container);
/* The name of the next member, or false behind the last one, which also closes the object. */
MUST_USE bool json_read_key(struct json_reader *r, struct str *out);
/* True: another element follows. False behind the last one, which also closes the array. */
MUST_USE bool json_read_element(struct json_reader *r);

/* Nothing but blanks may follow. */
MUST_USE enum err_code json_read_end(struct json_reader *r, struct err *e);

#endif /* BASE_JSONREAD_H */
