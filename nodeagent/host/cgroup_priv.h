/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_priv.h -- what cgroup.c (where groups lie) and cgroup_files.c (what stands in them) share. */
#ifndef NODEAGENT_HOST_CGROUP_PRIV_H
#define NODEAGENT_HOST_CGROUP_PRIV_H

#include "nodeagent/host/cgroup.h"

enum {
    CGROUP_FILE_MAX = CGROUP_PATH_MAX + CGROUP_NAME_MAX + RUNTIME_ID_MAX + 16,
    CGROUP_TEXT_MAX = 16 << 10,
};

/* A size of huge pages as the kernel's files have it: "2MB". */
struct cgroup_size {
    char name[12];
    bool
        is_reserved; /* There is a limit for what is promised, too: mmap fails, not the first touch. */
};

struct cgroup_tree {
    struct cgroup_layout layout;
    char parent[CGROUP_NAME_MAX];
    struct cgroup_size sizes[CGROUP_SIZES_MAX];
    uint32_t sizes_count;
};

enum err_code cgroup__put(const char *directory, const char *file, struct str text, struct err *e);
enum err_code cgroup__get(const char *directory, const char *file, struct buf *out, struct err *e);

/* The sizes of huge pages that files in a group's directory limit. */
void cgroup__read_sizes(struct cgroup_tree *t, const char *directory);

/* The files of controller c for these limits, cpuset's excepted. */
MUST_USE enum err_code cgroup__write_limits(const struct cgroup_tree *t, uint32_t c,
                                            const char *directory, const struct cgroup_limits *l,
                                            struct err *e);

/* path: the group's directory per controller. A file that is missing counts as zero. */
MUST_USE enum err_code cgroup__read_stats(const struct cgroup_tree *t,
                                          char path[CGROUP__COUNT][CGROUP_FILE_MAX],
                                          struct cgroup_stats *out, struct err *e);

#endif /* NODEAGENT_HOST_CGROUP_PRIV_H */
