/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h -- a file of objects, as apply and plan take it.
 *
 * WHAT   YAML or JSON, several documents; "-" is standard input.
 * OWNS   Everything lives in the command's arena.
 * FAILS  ERR_INVALID with file and line; ERR_NOT_FOUND, ERR_DENIED: the file; ERR_LIMIT: over 64 MiB.
 */
#ifndef CLI_MANIFEST_H
#define CLI_MANIFEST_H

#include "cli/cmd.h"

enum { MANIFEST_MAX = 64 << 20 };

MUST_USE enum err_code manifest_read(struct cli *c, const char *path, struct json ***out,
                                     uint32_t *out_count, struct err *e);

#endif /* CLI_MANIFEST_H */
