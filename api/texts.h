/* SPDX-License-Identifier: Apache-2.0 */
/*
 * texts.h -- JSON of messages, kept by their bytes.
 *
 * WHAT   What a message's bytes are as JSON, once it was written, for transcode_to_json() to copy when the same message
 *        comes with the same bytes.
 * WHY    Pods come in series: a thousand of a Deployment have the same containers and tolerations, and writing these was
 *        two thirds of writing the pod (docs/decisions/0260).
 * OWNS   Copies of what it keeps. What is found is borrowed until the next texts_keep() or texts_clear().
 * LIMITS TEXTS_MAX texts of TEXTS_JSON_MAX, for messages of TEXTS_BYTES_LEAST to TEXTS_BYTES_MAX; one is kept when it is
 *        written the second time.
 * FAILS  Nothing does: what is not found is written.
 */
#ifndef API_TEXTS_H
#define API_TEXTS_H

#include "api/schema.h"

enum {
    TEXTS_MAX = 128,
    TEXTS_BYTES_LEAST = 48, /* Shorter ones are written as quickly as they are found. */
    TEXTS_BYTES_MAX = 4 << 10,
    TEXTS_JSON_MAX = 12 << 10,
};

struct texts;

struct texts *texts_new(void);
void texts_free(struct texts *t); /* NULL is allowed. */
void texts_clear(struct texts *t);

/* The JSON of m with those bytes; {NULL, 0}: it is not there. *out_again: once written, it is worth texts_keep(). */
struct str texts_find(struct texts *t, const struct schema_message *m, struct str bytes,
                      bool *out_again);
void texts_keep(struct texts *t, const struct schema_message *m, struct str bytes, struct str json);

#endif /* API_TEXTS_H */
