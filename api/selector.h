/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selector.h -- label and field selectors: which objects of a list or a watch are wanted.
 *
 * WHAT   Parses "app in (a,b),!old" and "status.phase!=Running,metadata.name=x"; both become a list
 *        of requirements that must all hold.
 * WHY    A list of 100,000 pods tests each of them, so matching allocates nothing and looks values up
 *        in the stored bytes.
 * OWNS   The requirements live in the arena of the parse.
 * FAILS  ERR_INVALID with the sentence for the 400; ERR_LIMIT over SELECTOR_MAX.
 *        (Kubernetes documentation, "Labels and Selectors", "Field Selectors".)
 */
#ifndef API_SELECTOR_H
#define API_SELECTOR_H

#include "base/arena.h"

enum { SELECTOR_MAX = 128, SELECTOR_VALUES_MAX = 1024 };

enum selector_op {
    SELECTOR_IN,     /* The key is there, and its value is one of values. */
    SELECTOR_NOT_IN, /* The key is not there, or its value is none of values. */
    SELECTOR_EXISTS,
    SELECTOR_ABSENT,
    SELECTOR_ABOVE, /* An integer above (below) values[0]. */
    SELECTOR_BELOW,
};

struct requirement {
    struct str key;
    enum selector_op op;
    const struct str *values;
    uint32_t values_count;
    int64_t bound; /* ABOVE, BELOW. */
};

struct selector {
    const struct requirement *at;
    uint32_t count; /* 0: everything matches. */
    struct str why; /* After a failure: the sentence, where it is longer than an err's text. */
};

/* text at NULL or empty: everything. On failure only out->why is set. */
MUST_USE enum err_code selector_parse_labels(struct str text, struct arena *a, struct selector *out,
                                             struct err *e);
MUST_USE enum err_code selector_parse_fields(struct str text, struct arena *a, struct selector *out,
                                             struct err *e);

/* Find key's value in object. False: it has none. */
typedef bool selector_lookup(const void *object, struct str key, struct str *out_value);

bool selector_matches(const struct selector *s, selector_lookup *lookup, const void *object);

/* The value that one "key=value" requirement asks for; {NULL, 0}: the selector has none such. A list
 * by metadata.name reads one object instead of all. */
struct str selector_exact(const struct selector *s, const char *key);

#endif /* API_SELECTOR_H */
