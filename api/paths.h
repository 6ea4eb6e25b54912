/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths.h -- a URL taken apart into what it names and what it asks for.
 *
 * WHAT   /apis/GROUP/VERSION/namespaces/NS/RESOURCE/NAME/SUB and its parents, and the query as pairs.
 * WHY    Routing by names instead of by a tree of handlers: a kind needs no edit to be reachable.
 * OWNS   Everything points into the arena; it lives as long as the request.
 * FAILS  A path that no API server could mean is PATH_BAD (404); a bad percent escape is ERR_INVALID.
 */
#ifndef API_PATHS_H
#define API_PATHS_H

#include "base/arena.h"

enum path_type {
    PATH_BAD,      /* Below /api or /apis, but no resource has such a name: 404 Status. */
    PATH_OTHER,    /* Not below /api or /apis: health, version, openapi or nothing at all. */
    PATH_GROUPS,   /* /api or /apis: root says which. */
    PATH_GROUP,    /* /apis/GROUP */
    PATH_VERSION,  /* /api/VERSION or /apis/GROUP/VERSION */
    PATH_RESOURCE, /* A collection, an object or a subresource. */
};

struct path {
    enum path_type type;
    struct str text;                                            /* The whole, unescaped. */
    bool is_core;                                               /* Below /api. */
    struct str group, version, ns, resource, name, subresource; /* Empty: not in the path. */
    struct str below; /* What follows a subresource: pods/p/proxy/a/b. */
};

MUST_USE enum err_code path_parse(struct str escaped, struct arena *a, struct path *out,
                                  struct err *e);

struct query_pair {
    struct str name, value;
};

enum { QUERY_PAIRS_MAX = 64 };

struct query {
    const struct query_pair *at;
    uint32_t count;
};

/* "a=b&c" unescaped. ERR_LIMIT over QUERY_PAIRS_MAX. */
MUST_USE enum err_code query_parse(struct str escaped, struct arena *a, struct query *out,
                                   struct err *e);

struct str query_get(const struct query *q,
                     const char *name); /* The first; {NULL, 0}: not there. */

/* As Kubernetes reads a flag: absent, "false" and "0" are false, everything else is true. */
bool query_is_set(const struct query *q, const char *name);

#endif /* API_PATHS_H */
