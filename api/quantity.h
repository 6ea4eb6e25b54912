/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantity.h -- amounts as Kubernetes writes them: 1500m, 2Gi, 1e3.
 *
 * WHAT   Reads an amount into an exact number of billionths, and writes the canonical text:
 *        0.5 is 500m, 1024Mi is 1Gi, 1.5Gi is 1536Mi.
 * WHY    Two texts of one amount must be one stored value, and code counts in integers.
 * FAILS  ERR_INVALID with Kubernetes' wording. Finer than 1n is rounded up; a binary amount over
 *        2^63 - 1 becomes that; a decimal one over 10^27 is refused.
 *
 * Facts: k8s.io/apimachinery/pkg/api/resource. A text that is canonical but for a leading + or 0 is
 * kept as it is ("+1"), because Kubernetes' server does.
 */
#ifndef API_QUANTITY_H
#define API_QUANTITY_H

#include "base/err.h"
#include "base/str.h"

enum { QUANTITY_TEXT_MAX = 64 }; /* Longer texts are refused. */

enum quantity_format { QUANTITY_DECIMAL, QUANTITY_BINARY, QUANTITY_EXPONENT };

struct quantity {
    __int128 nano; /* The amount times 10^9. */
    enum quantity_format format;
};

MUST_USE enum err_code quantity_parse(struct str text, struct quantity *out, struct err *e);

/* The canonical text, NUL-terminated; returns its length. */
size_t quantity_print(const struct quantity *q, char out[QUANTITY_TEXT_MAX]);

/* parse and print in one: what is stored for text. out may not be text's own bytes. */
MUST_USE enum err_code quantity_canonical(struct str text, char out[QUANTITY_TEXT_MAX],
                                          size_t *out_len, struct err *e);

/* Rounded up, as Kubernetes does; capped at the ends of int64_t. */
int64_t quantity_units(const struct quantity *q); /* 1.5 -> 2 */
int64_t quantity_milli(const struct quantity *q); /* 1.5 -> 1500 */

static inline int quantity_cmp(const struct quantity *a, const struct quantity *b)
{
    return (a->nano > b->nano) - (a->nano < b->nano);
}

#endif /* API_QUANTITY_H */
