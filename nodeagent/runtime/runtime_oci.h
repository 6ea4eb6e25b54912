/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime_oci.h -- containers, by an OCI runtime's command line and a shim of our own.
 *
 * WHAT   create: the instance's directory, config.json, its cgroup. start: one `baton-shim`, which
 *        enters the cgroup, hides a hybrid host's v2 mount in a mount namespace of its own and runs
 *        `crun run`; it stays as the container's parent, writes its log (CRI format) and, at its end,
 *        DIRECTORY/exit. Everything a later agent needs is in the directory.
 * WHY    Nothing of a container hangs on the agent's life. The shim is 0.5 MiB.
 * OWNS   As runtime.h says. runtime_oci_open() allocates; close() frees at its DONE.
 * ASYNC  Death: the shim's own end is watched by pidfd; DIRECTORY/exit then says how it went.
 * FAILS  create and start answer with the runtime's own last words.
 * SEAM   runtime.h; tests/conformance/runtime.
 *
 * DIRECTORY holds: config.json, spec (what list() needs), shim (pids and start times), exit, bundle's
 * runtime state. Source: OCI runtime-spec 1.0.
 */
#ifndef NODEAGENT_RUNTIME_RUNTIME_OCI_H
#define NODEAGENT_RUNTIME_RUNTIME_OCI_H

#include "base/buf.h"
#include "io/loop.h"
#include "nodeagent/host/cgroup.h"
#include "nodeagent/runtime/runtime.h"

struct runtime_oci_options {
    struct str command; /* "crun" or "runc" by path; empty: the first of both in PATH. */
    struct str shim;    /* Path of baton-shim. */
    struct str state;   /* DIR/run/oci: one directory per instance is looked for here by list(). */
    struct cgroup_tree *cgroups; /* The caller's; outlives the runtime. */
    int64_t pids_max;            /* Default of a container; 0: 4096. */
};

MUST_USE enum err_code runtime_oci_open(struct loop *l, const struct runtime_oci_options *opt,
                                        struct runtime_sink sink, struct runtime **out,
                                        struct err *e);

enum { OCI_VERSION_MAX = 64 };

/* "crun://1.8.1", which Node.status.nodeInfo tells, of the runtime that an empty or given command finds; it is run, which
 * may take two seconds. ERR_NOT_FOUND, ERR_INVALID: there is none, or it says no version of itself. */
MUST_USE enum err_code runtime_oci_version(struct str command, char out[OCI_VERSION_MAX],
                                           struct err *e);

/* A device node as it is now: numbers move when drivers do. */
struct oci_node {
    bool block;
    uint32_t major, minor;
};

/* What a configuration depends on beside its spec. */
struct oci_host {
    bool unified;          /* cgroup v2: the container gets a cgroup namespace and its mount. */
    uint64_t capabilities; /* Those we have ourselves; more cannot be given. */
    int32_t oom_score_adj_least;  /* What we may set. */
    struct str cgroups_path;      /* runc only; empty: left out. */
    const struct oci_node *nodes; /* One for each of the spec's devices. */
    struct str directory;         /* The instance's: where the shim puts parts of volumes. */
};

/* config.json for a spec. Pure. buf_status(out) afterwards: ERR_LIMIT when the spec was too long. */
void oci_config_print(struct buf *out, const struct runtime_spec *spec,
                      const struct oci_host *host);

#endif /* NODEAGENT_RUNTIME_RUNTIME_OCI_H */
