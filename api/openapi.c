/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openapi.h"

const struct openapi_document *openapi_find(struct str path)
{
    for (uint32_t i = 0; i < openapi_documents_count; i++) {
        if (str_eq(openapi_documents[i].path, path))
            return &openapi_documents[i];
    }
    return NULL;
}
