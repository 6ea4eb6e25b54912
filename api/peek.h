/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peek.h -- a label or a field of an encoded object, as a selector asks for it.
 *
 * WHAT   Lookups for selector_matches() on stored bytes.
 * WHY    A list with a selector looks at every object: nothing is unpacked, nothing allocated.
 * OWNS   What is found is borrowed from the bytes.
 * FAILS  False: no such label, or no field of that path. Broken bytes have neither.
 */
#ifndef API_PEEK_H
#define API_PEEK_H

#include "api/schema.h"
#include "base/wire.h"

struct peek {
    const struct schema_message *message;
    struct str raw; /* The object's own message, without its envelope. */
};

bool peek_label(const void *peek, struct str key, struct str *out);

/* path: JSON names joined by dots. A scalar as a selector sees it: absent is "", and false for a flag. */
bool peek_field(const void *peek, struct str path, struct str *out);

#endif /* API_PEEK_H */
