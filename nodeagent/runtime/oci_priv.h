/* SPDX-License-Identifier: Apache-2.0 */
/* oci_priv.h -- the parts of runtime_oci: the pure writers, and what an instance has on disk. */
#ifndef NODEAGENT_RUNTIME_OCI_PRIV_H
#define NODEAGENT_RUNTIME_OCI_PRIV_H

#include "base/buf.h"
#include "nodeagent/runtime/runtime.h"
#include "nodeagent/runtime/runtime_oci.h"

enum { OCI_CONFIG_MAX = 4 << 20, OCI_PATH_MAX = 4096, OCI_RECORD_MAX = 128 << 10 };

/* --- oci_config.c, oci_seccomp.c: see runtime_oci.h for oci_config_print() --- */

void oci_seccomp_print(struct buf *out, uint64_t capabilities);

/* --- oci_record.c: DIRECTORY/shim.conf, shim, exit (nodeagent/shim/shim.h has the formats) --- */

/* What the agent needs to know again after its own restart; the shim skips these keys. */
struct oci_record {
    bool exclusive;
    struct cpuset cpus;
    int stop_signal;
    uint32_t weight_milli; /* Set once it runs: see START_WEIGHT_MILLI. */
};

/* hides, cgroup_files: a path a line. */
void oci_conf_print(struct buf *out, const struct runtime_spec *spec, const char *command,
                    struct str hides, struct str cgroup_files, const struct oci_record *record);
MUST_USE enum err_code oci_conf_parse(struct str text, struct oci_record *out);

struct oci_shim {
    int32_t pid, shim_pid;
    uint64_t start, shim_start; /* Field 22 of /proc/PID/stat. */
    struct wall started;
};
MUST_USE enum err_code oci_shim_parse(struct str line, struct oci_shim *out);

struct oci_exit {
    int32_t code, signal;
    struct wall finished;
};
MUST_USE enum err_code oci_exit_parse(struct str line, struct oci_exit *out);

/* "SIGTERM", "TERM", "15", "SIGRTMIN+3"; empty: SIGTERM. */
MUST_USE enum err_code oci_signal_parse(struct str name, int *out);

#endif /* NODEAGENT_RUNTIME_OCI_PRIV_H */
