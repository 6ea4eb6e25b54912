/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_priv.h -- what cgroup.c (where groups lie) and cgroup_files.c (what stands in them) share. */
#ifndef NODEAGENT_HOST_CGROUP_PRIV_H
#define NODEAGENT_HOST_CGROUP_PRIV_H

#include "nodeagent/host/cgroup.h"

enum {
    CGROUP_FILE_MAX = CGROUP_PATH_MAX + CGROUP_NAME_MAX + RUNTIME_ID_MAX + 16,
    CGROUP_TEXT_MAX = 16 << 10,
};

struct cgroup_tree {
    struct cgroup_layout layout;
    char parent[CGROUP_NAME_MAX];
};

enum err_code cgroup__put(const char *directory, const char *file, struct str text, struct err *e);
enum err_code cgroup__get(const char *directory, const char *file, struct buf *out, struct err *e);

/* The files of controller c for these limits, cpuset's excepted. */
MUST_USE enum err_code cgroup__write_limits(const struct cgroup_tree *t, uint32_t c,
                                            const char *directory, const struct cgroup_limits *l,
                                            struct err *e);

/* path: the group's directory per controller. A file that is missing counts as zero. */
MUST_USE enum err_code cgroup__read_stats(const struct cgroup_tree *t,
                                          char path[CGROUP__COUNT][CGROUP_FILE_MAX],
                                          struct cgroup_stats *out, struct err *e);

#endif /* NODEAGENT_HOST_CGROUP_PRIV_H */
