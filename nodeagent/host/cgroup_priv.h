/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_priv.h -- what cgroup.c, cgroup_end.c, cgroup_tree.c (where groups lie) and cgroup_files.c (what stands in them) share. */
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

#define CGROUP_POOL "pool"
#define CGROUP_SYSTEM "system"

/* Of lower-case letters, digits, '-', '.' and '_', and none of ours. */
bool cgroup__name_ok(struct str s, size_t max);
/* Is controller c a hierarchy of its own? In v2 there is one, found under the first. */
bool cgroup__has_hierarchy(const struct cgroup_tree *t, uint32_t c);
/* Do we make groups there? Those of the devices hierarchy are runc's. */
bool cgroup__is_ours(const struct cgroup_tree *t, uint32_t c);
/* v1's cpuset hierarchy has the pool's whole population where a shared instance would be. */
bool cgroup__is_its_own(const struct cgroup_tree *t, uint32_t c, bool in_pool);
const char *cgroup__mount(const struct cgroup_tree *t, uint32_t c);
/* The parent's directory (id empty), the pool's (id CGROUP_POOL) or an instance's. A shared instance has no directory in
 * v1's cpuset hierarchy: it is in the pool's. */
void cgroup__path(const struct cgroup_tree *t, uint32_t c, struct str id, bool in_pool,
                  char out[CGROUP_FILE_MAX]);
/* Whether id's group hangs below the pool, by looking. ERR_NOT_FOUND: there is none at all. */
MUST_USE enum err_code cgroup__find(const struct cgroup_tree *t, struct str id, bool *out_in_pool,
                                    struct err *e);

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
