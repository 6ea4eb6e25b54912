/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource.h -- what a user calls a kind, to the path that serves it.
 *
 * WHAT   Asks the server's discovery documents: "vmi", "pods", "Pod" and "kubevirt.io/v1, Kind=..." all
 *        find their resource. Nothing here knows a kind, so a new one needs no edit.
 * OWNS   Everything lives in the arena.
 * FAILS  ERR_NOT_FOUND: the server has no resource of that name.
 */
#ifndef CLI_RESOURCE_H
#define CLI_RESOURCE_H

#include "cli/client.h"
#include "cli/cmd.h"

struct resource {
    struct str group_version; /* "v1", "kubevirt.io/v1" */
    struct str plural, kind;
    bool namespaced;
};

/* Plural, singular, short name or kind, without regard to case. */
MUST_USE enum err_code resource_find(struct cli *c, struct str name, struct resource *out,
                                     struct err *e);

/* By a manifest's apiVersion and kind. */
MUST_USE enum err_code resource_of_kind(struct cli *c, struct str api_version, struct str kind,
                                        struct resource *out, struct err *e);

/* May it be a part of a path? Servers take escapes apart before they look for slashes. */
bool resource_name_ok(struct str name, struct err *e);

/* What a user typed as one part of a path or query, whatever is in it (RFC 3986 2.3). */
struct str resource_escape(struct cli *c, struct str part);

/* Path of the collection, or of one object where name is not empty; NUL-terminated, in the arena. */
const char *resource_path(struct cli *c, const struct resource *r, struct str namespace,
                          struct str name);

/* "pod/web" or "vmi/db": the resource and the name. ERR_INVALID without a slash. */
MUST_USE enum err_code resource_parse(struct cli *c, const char *text, struct resource *out,
                                      struct str *out_name, struct err *e);

/* The same for workloads: without a slash, a pod of that name or else a VMI. Reads the object. */
MUST_USE enum err_code workload_get(struct cli *c, const char *text, struct resource *out,
                                    const struct json **out_object, struct err *e);

#endif /* CLI_RESOURCE_H */
