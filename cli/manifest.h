/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h -- a file of objects, as apply, delete and plan take it.
 *
 * WHAT   YAML or JSON, several documents; "-" is standard input.
 * OWNS   Everything lives in the command's arena.
 * FAILS  ERR_INVALID with file and line; ERR_NOT_FOUND, ERR_DENIED: the file; ERR_LIMIT: over 64 MiB,
 *        or too many documents. ERR_INVALID, too: a file without an object.
 */
#ifndef CLI_MANIFEST_H
#define CLI_MANIFEST_H

#include "cli/resource.h"

enum { MANIFEST_MAX = 64 << 20 };

struct manifest {
    struct json **documents; /* NULL: none yet. */
    uint32_t count;          /* Up to YAML_DOCUMENTS_MAX, of all files together. */
};

/* Behind what *m holds already; a zeroed one is empty. */
MUST_USE enum err_code manifest_read(struct cli *c, const char *path, struct manifest *m,
                                     struct err *e);

struct manifest_target {
    struct resource resource;
    struct str name, namespace; /* Where the manifest names no namespace: the command's. */
};

/* Which object a document means. ERR_INVALID: it has no name; ERR_NOT_FOUND: a kind that nobody serves. */
MUST_USE enum err_code manifest_find(struct cli *c, const struct json *object,
                                     struct manifest_target *out, struct err *e);

#endif /* CLI_MANIFEST_H */
