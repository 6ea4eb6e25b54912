/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime.h -- what starts, stops and watches the processes of one instance on this node.
 *
 * WHAT   An instance is one container of a pod, or one virtual machine. Its spec names everything:
 *        cores, memory, network namespace or tap, root file system or kernel. Nothing here chooses.
 * WHY    The agent's core asks the same few things of containers, machines and the fake.
 * OWNS   Specs and ids are borrowed for the call: a runtime copies what it keeps. Events are
 *        borrowed by the receiver for the time of post().
 * ASYNC  Every op gets exactly one RUNTIME_DONE, cancelled and closed ones included, and never from
 *        inside the call that asked. RUNTIME_EXITED follows a successful start exactly once, also
 *        for what died while the agent was away (then after list()).
 * FAILS  RUNTIME_DONE carries the code and a sentence for the user. A failed create leaves nothing
 *        behind. destroy of what is not there succeeds: it is level-triggered.
 * SEAM   runtime_fake.c (tests), runtime_oci.c, runtime_qemu.c: all pass tests/conformance/runtime/.
 */
#ifndef NODEAGENT_RUNTIME_RUNTIME_H
#define NODEAGENT_RUNTIME_RUNTIME_H

#include "base/cpuset.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

enum {
    RUNTIME_ID_MAX = 128,          /* "<workload uid>.<container>.<attempt>"; [a-z0-9.-] only. */
    RUNTIME_CPUS_MAX = CPUSET_MAX, /* OS cpu ids are below it. */
    RUNTIME_ARGS_MAX = 1024,       /* argv and env, each. */
    RUNTIME_MOUNTS_MAX = 256,
    RUNTIME_DEVICES_MAX = 64,
    RUNTIME_DISKS_MAX = 32,
    RUNTIME_NICS_MAX = 8,
    RUNTIME_CELLS_MAX = 8,
    RUNTIME_HOSTDEVS_MAX = 16,
    RUNTIME_INSTANCES_MAX = 2048,
    RUNTIME_EXECS_MAX = 64, /* Commands at once, in all instances; one more is ERR_BUSY. */
};

struct runtime_cpu {
    struct cpuset cpus; /* Exclusive: the granted threads. Shared: the pool of now. */
    bool exclusive;
    uint32_t weight_milli; /* Shared: millicores asked for (cpu.shares = milli * 1024 / 1000). */
    uint64_t quota_us;     /* CFS quota per 100 ms period; 0: none. Never with exclusive. */
    struct cpuset pool; /* The shared pool: emulator and helper threads live there, unless a machine
                            * was granted more cpus than it has vCPUs: then on those. */
    uint32_t numa_nodes[8], numa_nodes_count; /* cpuset.mems; count 0: wherever. */
};

struct runtime_mount {
    struct str source, target; /* Absolute; source is on the host. */
    /* Not empty: a folder that containers write into, and source is below it. What lies between is reached without a
     * link, which would lead the runtime, who is root, anywhere, and is held until it is mounted. */
    struct str below;
    bool
        make; /* With below: what lies between and is not there is made, as folders with below's mode. */
    bool read_only;
    bool optional; /* Left out where the host has no source. Never with below. */
};

struct runtime_container {
    struct str rootfs;            /* A mounted, writable root on the host (host/image.h made it). */
    struct str netns;             /* Path of the pod's network namespace; empty: the host's. */
    const struct str *args, *env; /* env: NAME=value. */
    uint32_t args_count, env_count;
    struct str cwd, hostname;
    uint32_t uid, gid;
    const uint32_t *groups;
    uint32_t groups_count;
    const struct runtime_mount *mounts;
    uint32_t mounts_count;
    const struct str *devices; /* Nodes of the host, by path: it gets the same, open to its user. */
    uint32_t devices_count;
    bool locks_memory;     /* A device of VFIO's: what it maps for the device is locked. */
    uint64_t capabilities; /* Bit n: capability number n of linux/capability.h. */
    bool read_only_root, privileged, no_new_privs, tty, stdin_open;
    struct str log_path; /* CRI log format; rotated at log_max_bytes, log_files kept. */
    uint64_t log_max_bytes;
    uint32_t log_files;
    struct str stop_signal; /* "SIGTERM"; empty: SIGTERM. */
    int64_t pids_max;       /* 0: the agent's default. */
    int32_t oom_score_adj;
};

struct runtime_disk {
    struct str name, path; /* Of the image on the host; path empty: an empty disk of size_bytes. */
    uint64_t size_bytes;
    bool read_only, ephemeral, cdrom; /* ephemeral: writes end with the instance. */
    struct str bus;                   /* virtio, sata, scsi; empty: virtio. */
};

struct runtime_nic {
    struct str tap; /* Interface on the host's bridge (host/net.h made it). */
    uint8_t mac[6];
    struct str model; /* virtio, e1000; empty: virtio. */
};

/* A NUMA node of the guest that lies on one of the host's. */
struct runtime_cell {
    uint32_t host_node;
    uint32_t vcpu_first, vcpus_count;      /* Which vCPUs it has; 0: memory alone. */
    uint64_t memory_bytes;                 /* Of the guest's; 0: vCPUs alone. */
    uint32_t distances[RUNTIME_CELLS_MAX]; /* To each cell, 10 being local; 0: not told. */
};

struct runtime_hostdev {
    struct str address; /* PCI; bound to vfio-pci by now. */
    uint32_t group;     /* Its IOMMU group: /dev/vfio/GROUP. */
    int32_t cell;       /* The cell it is near; -1: none. */
};

struct runtime_vm {
    uint32_t vcpus; /* vCPU i runs on the i-th cpu of cpu.cpus when exclusive, or on order[i]. */
    const uint32_t *order; /* The granted cpus, vCPUs' first; NULL: by rising number. */
    uint32_t order_count;
    const struct runtime_cell *cells; /* None: the guest sees one node. */
    uint32_t cells_count;
    const struct runtime_hostdev *hostdevs;
    uint32_t hostdevs_count;
    uint32_t cores, sockets, threads;
    struct str cpu_model;  /* Empty: the accelerator's best. */
    uint64_t memory_bytes; /* The guest's own. */
    bool prealloc;
    uint64_t page_bytes; /* Its memory is huge pages of that size, taken at create; 0: it is not. */
    struct str kernel, initrd, kernel_args, firmware; /* kernel empty: firmware boots the disks. */
    struct str machine;                               /* q35, microvm, or empty: by need. */
    struct str accelerator;                           /* kvm or tcg, as measured (host/accel.h). */
    const struct runtime_disk *disks;
    const struct runtime_nic *nics;
    uint32_t disks_count, nics_count;
    struct str serial_log, serial_socket, uuid;
};

enum runtime_kind { RUNTIME_CONTAINER, RUNTIME_VM };

struct runtime_spec {
    struct str id;
    struct str directory; /* The instance's own, made and removed by the runtime. */
    struct str
        cgroup; /* The cluster's parent, "baton-<cluster>"; the leaf is the id (host/cgroup.h). */
    struct runtime_cpu cpu;
    uint64_t memory_max_bytes;             /* 0: no limit. For a VM: guest and overhead together. */
    uint64_t huge_2m_bytes, huge_1g_bytes; /* Huge pages; 0: none. */
    enum runtime_kind kind;
    union {
        struct runtime_container container;
        struct runtime_vm vm;
    };
};

/* A command inside a running instance, with the instance's own user, rights and environment. */
struct runtime_exec {
    const struct str *args;
    uint32_t args_count;
    struct span timeout; /* Then it is killed with all it started. Not 0. */
};

enum runtime_event_type {
    RUNTIME_DONE,   /* op is answered. */
    RUNTIME_EXITED, /* The instance's first process is gone. */
    RUNTIME_FOUND,  /* list(): one instance that exists; DONE follows the last. */
};

enum runtime_state { RUNTIME_CREATED, RUNTIME_RUNNING, RUNTIME_STOPPED };

struct runtime_event {
    enum runtime_event_type type;
    uint64_t op;
    enum err_code code;
    char text[200]; /* DONE with an error: for the user. DONE(exec): the last it said. */
    char id[RUNTIME_ID_MAX];
    enum runtime_state state;  /* FOUND. */
    int32_t pid;               /* DONE(start), FOUND: in the host's pid namespace. */
    struct cpuset cpus;        /* DONE(start, set_cpus), FOUND: read back from the kernel. */
    int32_t exit_code, signal; /* EXITED, DONE(exec); signal 0: it exited by itself. */
    bool oom_killed;
    struct wall started, finished;
};

struct runtime;

struct runtime_ops {
    /* Make everything but run nothing of the user's. */
    void (*create)(struct runtime *r, uint64_t op, const struct runtime_spec *spec);
    /* Run. DONE means that the kernel was read back: the process lives on the granted cpus. */
    void (*start)(struct runtime *r, uint64_t op, struct str id);
    /* Ask it to end: the container's stop signal, the machine's power button. DONE: it was asked. */
    void (*stop)(struct runtime *r, uint64_t op, struct str id);
    /* End it now. DONE: it was told; EXITED follows. */
    void (*kill)(struct runtime *r, uint64_t op, struct str id);
    /* Remove every trace, killing what still runs. DONE: cgroup, mounts, files, processes are gone. */
    void (*destroy)(struct runtime *r, uint64_t op, struct str id);
    /* Move a shared instance to the pool of now. DONE: written and read back. */
    void (*set_cpus)(struct runtime *r, uint64_t op, struct str id, const struct runtime_cpu *cpu);
    /* Run a command and wait for it. DONE: it ended with exit_code. ERR_NOT_FOUND: the instance does not run.
     * ERR_UNAVAILABLE: not to be started, or over its time. ERR_BUSY: too many at once. ERR_DENIED: such an
     * instance runs no commands (a machine). */
    void (*exec)(struct runtime *r, uint64_t op, struct str id, const struct runtime_exec *x);
    /* What exists here: RUNTIME_FOUND each; their exits are watched from now on. It fails as a whole when something could
     * not be looked at: what is not told of counts as gone. */
    void (*list)(struct runtime *r, uint64_t op);
    void (*close)(struct runtime *r, uint64_t op); /* Leaves instances running. Frees r at DONE. */
};

/* Where a runtime tells what happened. */
struct runtime_sink {
    void (*post)(void *state, const struct runtime_event *ev);
    void *state;
};

struct runtime {
    const struct runtime_ops *ops;
    struct runtime_sink sink;
};

#endif /* NODEAGENT_RUNTIME_RUNTIME_H */
