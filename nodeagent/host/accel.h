/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accel.h -- what runs guests' instructions on this machine, measured.
 *
 * WHAT   Boots tests/pvh's kernel (page tables, privileged registers, ports) under tcg and under kvm,
 *        takes the faster, and keeps the answer for this boot and this QEMU.
 * WHY    That /dev/kvm opens says little: in a nested machine it may run an ordinary kernel a
 *        hundred times slower than emulation does. Only a measurement tells.
 * OWNS   Plain structs. The cache is one small file, replaced whole.
 * ASYNC  Blocks: for start-up only. Some 200 ms, 20 ms from the cache; at most limit per run of the
 *        guest, of which there are ACCEL_RUNS for each accelerator.
 * FAILS  accel_measure() always gives an answer. No QEMU, no guest file, neither accelerator runs:
 *        name is empty and reason says it in a sentence for the user. A machine too busy to run the
 *        guest within limit gets tcg, which reason says and no cache keeps.
 */
#ifndef NODEAGENT_HOST_ACCEL_H
#define NODEAGENT_HOST_ACCEL_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

enum { ACCEL_RUNS = 2 }; /* The best of them counts: the first one warms caches. */

struct accel_options {
    const char *qemu;  /* Path or name; NULL: ACCEL_QEMU from PATH. */
    const char *guest; /* DIR/share/pvh.elf */
    const char *cache; /* DIR/accelerator; NULL: measure always, keep nothing. */
    struct str boot_id;
    struct span limit; /* Of one run; 0: 5 s. */
};

#define ACCEL_QEMU "qemu-system-x86_64"

struct accel {
    char name[8];            /* "kvm", "tcg", or empty: no machine can run here. */
    uint64_t kvm_ns, tcg_ns; /* QEMU's whole life around the guest; 0: did not run to its end. */
    char vmm_version[64];    /* "7.2.22" */
    char reason[160];        /* Why nothing runs, or why kvm was not taken; else empty. */
    uint64_t vm_bytes;       /* What a machine takes beside its guest's memory: once, */
    uint64_t vcpu_bytes;     /* per vCPU, */
    uint64_t device_bytes;   /* and per disk or network card. Measured constants. */
    bool cached;             /* Nothing was run now. */
};

void accel_measure(const struct accel_options *o, struct accel *out);

/* The rest is pure, for tests. ---- */

/* Fill name, reason and the overheads from kvm_ns and tcg_ns; kvm_error: why kvm did not run. */
void accel_choose(struct accel *a, const char *kvm_error);

/* "QEMU emulator version 7.2.22 (Debian ...)" */
MUST_USE enum err_code accel_version_parse(struct str text, char out[64]);

/* The cache file: one "key value" a line. parse is ERR_NOT_FOUND when it is about another boot or
 * another version. */
struct buf;
void accel_cache_print(struct buf *out, const struct accel *a, struct str boot_id);
MUST_USE enum err_code accel_cache_parse(struct str text, struct str boot_id, const char *version,
                                         struct accel *out);

#endif /* NODEAGENT_HOST_ACCEL_H */
