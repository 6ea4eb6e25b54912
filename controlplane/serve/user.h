/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user.h -- who asks.
 *
 * WHAT   A name and groups, from a client certificate (CN, each O), a bearer token, or nobody.
 *        Everybody authenticated is also in system:authenticated; nobody is system:anonymous in
 *        system:unauthenticated, as Kubernetes has it.
 */
#ifndef CONTROLPLANE_SERVE_USER_H
#define CONTROLPLANE_SERVE_USER_H

#include "base/arena.h"
#include "base/str.h"

enum { USER_GROUPS_MAX = 34 };

struct user {
    struct str name;
    struct str groups[USER_GROUPS_MAX];
    uint32_t groups_count;
    bool anonymous;
    struct str node; /* NAME of a system:node:NAME in group system:nodes; empty otherwise. */
};

bool user_in_group(const struct user *u, const char *group);

#endif /* CONTROLPLANE_SERVE_USER_H */
