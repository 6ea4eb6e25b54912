/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h -- the node agent as a function: events in, effects out.
 *
 * WHAT   Keeps what the control plane placed here running on exactly the rows it named: images,
 *        network, the shared pool's cpus, create, start, restarts, stop, destroy; tells the control
 *        plane until it is acknowledged. It never chooses a row.
 * WHY    It never calls libuv, malloc, time or rand, so the same object code runs under the loop in
 *        production and under the simulator, and a bug report is a list of events.
 * OWNS   Events are borrowed for the call. Effects, and all they point at, are the agent's until the
 *        next agent_step(); who performs them copies what it keeps.
 * ASYNC  Every effect with an op is answered by exactly one event with that op, in a later step.
 *        Late answers for a workload that is gone are dropped by name.
 * FAILS  What the world refuses is told in the workload's status and tried again after a back-off.
 *        A peer's message that does not decode ends the session. An Assign over AGENT_WORKLOADS_MAX is not
 *        taken and not reported; the ledger counts against NodeHardware.workloads_max, so none comes.
 * SEAM   nodeagent/shell/ performs effects under libuv, tests/sim/ under a seed.
 *
 * A life: EV_SAVED for every record on disk, EV_STARTED, then whatever happens. Restart is the same
 * path as upgrade and crash: what we believed (coldplug), then what is (FX_LIST, catchup).
 */
#ifndef NODEAGENT_CORE_AGENT_H
#define NODEAGENT_CORE_AGENT_H

#include "base/slots.h"
#include "base/time.h"
#include "nodeagent/core/agent_fx.h"

enum {
    AGENT_WORKLOADS_MAX = 1024, /* On one node; also the records on its disk. */
    AGENT_INSTANCES_MAX = 128,  /* Containers of one pod, init containers included. */
    AGENT_VOLUMES_MAX = 128,    /* Of one pod. */
    AGENT_PULL_SECRETS_MAX = 16,
    AGENT_PEERS_MAX = 50000,    /* Other nodes; the ones beyond are not reached. */
    AGENT_MESSAGE_MAX = 8 << 20 /* One session message; also the arena of one workload. */
};

enum agent_event_type {
    EV_SAVED,           /* One record found on disk, before EV_STARTED: saved. */
    EV_STARTED,         /* Every record was given. */
    EV_SESSION_OPENED,  /* The answer to FX_CONNECT, unless EV_SESSION_CLOSED is. */
    EV_SESSION_MESSAGE, /* bytes: one baton.agent.v1 message that came down. */
    EV_SESSION_CLOSED,  /* The session ended, or could not be opened. */
    EV_HOST_DONE, /* host: FX_SAVE, FX_FORGET, FX_IMAGE, FX_NETWORK, FX_VOLUMES, FX_CLEAN, FX_CHECK,
                     FX_POOL, FX_RENEW. */
    EV_RUNTIME,   /* runtime: what a runtime told; kind says which one. */
    EV_DEADLINE,  /* agent_deadline() was reached. */
    EV_IMAGES,    /* bytes: a baton.agent.v1 Images, what is on the node now. */
    EV_MEASURED   /* bytes: a baton.agent.v1 Disk; the answer to FX_MEASURE. */
};

/* What an image says about the process to run; meaningful after FX_IMAGE. */
struct agent_image {
    struct str id;                /* "name@sha256:..." for status.imageID. */
    const struct str *entrypoint; /* Config.Entrypoint, Config.Cmd, Config.Env. */
    const struct str *cmd, *env;
    uint32_t entrypoint_count, cmd_count, env_count;
    struct str cwd, stop_signal;
    uint32_t uid, gid; /* Config.User, looked up in the image's own files. */
};

/* How long this node's certificate is good. until 0: there is none to renew. */
struct agent_certificate {
    struct wall from, until;
};

struct agent_host_done {
    enum err_code code;
    const char *text;         /* With an error: for the user. */
    struct agent_image image; /* FX_IMAGE. */
    struct str network;       /* FX_NETWORK: path of the network namespace, or the tap's name. */
    struct agent_certificate certificate; /* FX_RENEW: the new one's. */
};

struct agent_event {
    enum agent_event_type type;
    struct instant now; /* The only clocks the agent can see. */
    struct wall wall;
    uint64_t op; /* The effect this answers; 0 if unasked for. */
    union {
        struct str bytes; /* EV_SAVED, EV_SESSION_MESSAGE, EV_IMAGES, EV_MEASURED. */
        const struct agent_host_done *host;
        struct {
            enum runtime_kind kind;
            const struct runtime_event *event;
        } runtime;
    };
};

struct agent_config {
    struct str node_name, version, boot_id, node_uid;
    struct str state_dir; /* Absolute; every path the agent makes up is below it. */
    struct str cgroup;    /* "baton-<cluster>", the parent of every workload's cgroup. */
    struct str host_ip;   /* status.hostIP */
    struct str hardware;  /* baton.dev/v1 NodeHardwareSpec, encoded (host/discover.h). */
    struct cpuset cpus;   /* Every cpu that Placements may name. */
    struct str accelerator;
    uint64_t vm_overhead_bytes; /* What a VMM takes beside its guest, as published. */
    uint64_t log_max_bytes;     /* Of one container's log file before it is rotated. */
    uint32_t log_files;
    struct span measure_every; /* How often pods are held against their limits of disk; 0: never. */
    uint64_t disk_reserve_bytes; /* With less free than that the node takes nothing new. */
    struct agent_certificate certificate;
    uint64_t seed; /* Jitter of reconnecting and renewing, and nothing else. */
};

struct agent;

struct agent *agent_new(const struct agent_config *config); /* Copies what it keeps. */
void agent_free(struct agent *a);

struct agent_effects agent_step(struct agent *a, const struct agent_event *ev);
struct instant agent_deadline(const struct agent *a); /* When to send EV_DEADLINE; ns 0: never. */

/* For the simulator and the unit tests: true between steps, or *out_why says what is not. */
/* The container whose log is followed still lives that life (agent_fx_stream). What it wrote is in the file when it does not. */
bool agent_log_is_live(const struct agent *a, struct str placement_uid, struct str container,
                       uint32_t attempt);

bool agent_invariant(const struct agent *a, const char **out_why);

/* What the last step did, a line each, of which the stories are made: "web RUNNING" for a workload that moved,
 * "web/main ErrImagePull: no such image" for one in trouble. */
struct str agent_trace(const struct agent *a);

#endif /* NODEAGENT_CORE_AGENT_H */
