/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openapigen.h -- the two halves of tools/openapigen.
 */
#ifndef TOOLS_OPENAPIGEN_H
#define TOOLS_OPENAPIGEN_H

#include "api/schema.h"
#include "base/buf.h"

enum { DOCUMENT_MAX = 16 << 20, MESSAGES_MAX = 1024 };

/* What both versions call a type that is no message; format NULL: none. */
struct openapi_word {
    const char *type, *format;
};
extern const struct openapi_word openapi_words[SCHEMA_MESSAGE];

/* OpenAPI v2 in protobuf (gnostic's openapi.v2.Document): a definition of every message that a kind is
 * made of. Clients validate manifests against it, so it says what a field may be called and roughly what
 * it holds; what must be there, and what it must be, the server says better. */
void openapi_v2_make(struct buf *out);

#endif /* TOOLS_OPENAPIGEN_H */
