/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml.h -- YAML manifests and kubeconfigs to JSON trees, and trees back to YAML.
 *
 * WHAT   Reads the YAML that kubectl reads (libyaml events; plain scalars by YAML 1.1's rules as Go's
 *        sigs.k8s.io/yaml applies them: yes and on are booleans, 012 is octal), several documents in one
 *        text, anchors, aliases and merge keys. Prints block style.
 * WHY    The only file that knows libyaml; everything behind it sees trees.
 * OWNS   Trees and their text live in the arena.
 * FAILS  ERR_INVALID with line and column; ERR_LIMIT when nested deeper than YAML_DEPTH_MAX (nested flow
 *        sequences cost libyaml quadratic time), over YAML_DOCUMENTS_MAX documents, or when aliases would
 *        expand past the arena's limit.
 */
#ifndef API_YAML_H
#define API_YAML_H

#include "base/json.h"

enum { YAML_DEPTH_MAX = 100, YAML_DOCUMENTS_MAX = 1024 };

/* Documents in order; empty ones are left out. out has room for YAML_DOCUMENTS_MAX. */
MUST_USE enum err_code yaml_parse(struct arena *a, struct str text, struct json **out,
                                  uint32_t *out_count, struct err *e);

/* One document with a final newline, no "---". */
void yaml_print(struct buf *out, const struct json *value);

#endif /* API_YAML_H */
