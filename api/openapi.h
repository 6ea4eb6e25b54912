/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openapi.h -- the API described for clients, ready to send.
 *
 * WHAT   OpenAPI v3 documents, one per group and version, the index over them, and v2 in protobuf.
 *        Made from the schema table at build time by tools/openapigen.
 * WHY    kubectl explains kinds from them and decides by them whether the server validates fields.
 * OWNS   Nothing: constant data, not touched until a client asks.
 */
#ifndef API_OPENAPI_H
#define API_OPENAPI_H

#include "base/str.h"

struct openapi_document {
    struct str path; /* "api/v1", "apis/baton.dev/v1": what follows /openapi/v3/ */
    struct str json;
    struct str hash; /* Of json, in hexadecimal: its ETag, and ?hash= in the index. */
};

extern const struct openapi_document openapi_documents[];
extern const uint32_t openapi_documents_count;
extern const struct openapi_document openapi_index; /* /openapi/v3; path is empty. */
extern const struct openapi_document openapi_v2;    /* /openapi/v2; json holds protobuf. */

/* NULL: no such document. */
const struct openapi_document *openapi_find(struct str path);

#endif /* API_OPENAPI_H */
