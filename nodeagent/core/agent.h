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
 *        A peer's message that does not decode ends the session. Over WORKLOADS_MAX: the workload is
 *        refused, and the report says so.
 * SEAM   nodeagent/main.c performs effects under libuv, tests/sim/ under a seed.
 *
 * A life: EV_SAVED for every record on disk, EV_STARTED, then whatever happens. Restart is the same
 * path as upgrade and crash: what we believed (coldplug), then what is (FX_LIST, catchup).
 */
#ifndef NODEAGENT_CORE_AGENT_H
#define NODEAGENT_CORE_AGENT_H

#include "base/slots.h"
#include "base/time.h"
#include "nodeagent/runtime/runtime.h"

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
    EV_HOST_DONE, /* host: FX_SAVE, FX_FORGET, FX_IMAGE, FX_NETWORK, FX_VOLUMES, FX_CLEAN, FX_POOL,
                     FX_RENEW. */
    EV_RUNTIME,   /* runtime: what a runtime told; kind says which one. */
    EV_DEADLINE   /* agent_deadline() was reached. */
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
        struct str bytes; /* EV_SAVED, EV_SESSION_MESSAGE. */
        const struct agent_host_done *host;
        struct {
            enum runtime_kind kind;
            const struct runtime_event *event;
        } runtime;
    };
};

enum agent_effect_type {
    FX_CONNECT,    /* Open the session. No op: EV_SESSION_OPENED or _CLOSED answers. */
    FX_DISCONNECT, /* Close it; text says why. */
    FX_SEND,    /* bytes: one baton.agent.v1 message to go up. Dropped when there is no session. */
    FX_SAVE,    /* Durably: record uid holds bytes. */
    FX_FORGET,  /* Durably: record uid is no more. Succeeds when it was not there. */
    FX_IMAGE,   /* Have image.reference, and a root of it at image.root. */
    FX_NETWORK, /* Have the network as told; what is there already is left alone. */
    FX_VOLUMES, /* Have the directories and files as told. */
    FX_CLEAN, /* Remove network, roots, volumes; with logs, also those. Level-triggered. network: as FX_NETWORK
                 * was told, for who has forgotten; without addresses there is none. */
    FX_CREATE, /* The calls of runtime.h, to the runtime of kind. */
    FX_START,
    FX_STOP,
    FX_KILL,
    FX_DESTROY,
    FX_SET_CPUS,
    FX_EXEC,
    FX_CHECK, /* Connect to the pod, perhaps ask for a page. EV_HOST_DONE; ERR_BUSY: not tried. */
    FX_POOL,  /* The shared pool has cpus: written, and read back before the answer. */
    FX_LIST,
    FX_RENEW, /* A new certificate for the same key: durable before the answer, shown from the next
                 FX_CONNECT on. */
    FX_TELL,  /* text, to who runs this node. No op. */
    FX_PEERS, /* Have the way to other nodes' pods as told. No op: tried until it is so. */
    FX_STREAM /* Open the stream the control plane asked for. No op: it has its own errors. */
};

struct agent_fx_image {
    struct str reference, root; /* root: a directory; the image appears as root/rootfs, fresh. */
    bool always, never;         /* imagePullPolicy; neither: IfNotPresent. */
    bool read_only;             /* A machine's disks and kernel are only read. */
    const struct str *auths;    /* Secret: containers-auth.json(5) each, tried in this order. */
    uint32_t auths_count;
    const char *secret_unused; /* A pull secret that is missing, none, or one too many; NULL. */
};

struct agent_port {
    uint16_t host, container;
    bool udp;
    struct str host_ip; /* Empty: every address. */
};

struct agent_address {
    struct str cidr, gateway; /* "10.128.0.5/16" */
};

struct agent_fx_network {
    bool machine; /* A tap and a DHCP answer; else a network namespace with a veth. */
    uint8_t mac[6];
    struct agent_address addresses[4];
    uint32_t addresses_count;
    const struct agent_port *ports;
    uint32_t ports_count;
    struct str hostname;
};

struct agent_peer { /* Another node; texts as the control plane sent them, not looked into. */
    struct str subnet, address;
};

struct agent_file {
    struct str path; /* Below the volume's directory. */
    struct str bytes;
    uint32_t mode;
};

struct agent_volume {
    struct str path;      /* The directory to have. */
    bool memory, replace; /* tmpfs; replace: files are written anew, atomically. */
    uint64_t size_bytes;  /* tmpfs only; 0: no limit of its own. */
    const struct agent_file *files;
    uint32_t files_count;
    struct str host_path; /* Not empty: nothing is made but what host_type asks for. */
    struct str host_type; /* HostPathVolumeSource.type */
};

struct agent_header {
    struct str name, value;
};

struct agent_check {
    struct str host; /* An address or a name. */
    uint16_t port;
    bool http; /* GET path answers 200 to 399; else it is enough that somebody listens. */
    struct str path;
    const struct agent_header *headers;
    uint32_t headers_count;
    struct span timeout;
};

struct agent_fx_stream {
    uint64_t id; /* The control plane's, echoed when the stream is opened. */
    enum { AGENT_STREAM_LOGS, AGENT_STREAM_CONSOLE } kind;
    struct str
        path; /* LOGS: the newest file. CONSOLE: the socket. Empty: refused, text says why. */
    bool follow, timestamps, raw; /* raw: a machine's serial log, no CRI header. */
    int64_t tail_lines;           /* -1: all. */
    struct wall since;            /* 0: all. */
    int64_t limit_bytes;          /* 0: none. */
};

struct agent_effect {
    enum agent_effect_type type;
    uint64_t op;
    enum runtime_kind kind; /* Which runtime. */
    struct str uid;         /* The workload's; FX_CLEAN, FX_NETWORK and the like act on it. */
    struct str id;          /* FX_START .. FX_SET_CPUS: the instance's. */
    struct str bytes;       /* FX_SEND, FX_SAVE. */
    const char *text;
    bool logs; /* FX_CLEAN */
    union {
        struct agent_fx_image image;
        struct agent_fx_network network;
        struct agent_fx_stream stream;
        struct {
            const struct agent_volume *at;
            uint32_t count;
        } volumes;
        struct {
            const struct agent_peer *at;
            uint32_t count;
        } peers;
        const struct runtime_spec *spec; /* FX_CREATE */
        const struct runtime_cpu *cpu;   /* FX_SET_CPUS */
        struct runtime_exec exec;        /* FX_EXEC */
        struct agent_check check;        /* FX_CHECK */
        const struct cpuset *pool;       /* FX_POOL */
    };
};

struct agent_effects {
    const struct agent_effect *at; /* Performed in this order. */
    uint32_t count;
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
    struct agent_certificate certificate;
    uint64_t seed; /* Jitter of reconnecting and renewing, and nothing else. */
};

struct agent;

struct agent *agent_new(const struct agent_config *config); /* Copies what it keeps. */
void agent_free(struct agent *a);

struct agent_effects agent_step(struct agent *a, const struct agent_event *ev);
struct instant agent_deadline(const struct agent *a); /* When to send EV_DEADLINE; ns 0: never. */

/* For the simulator and the unit tests: true between steps, or *out_why says what is not. */
bool agent_invariant(const struct agent *a, const char **out_why);

/* What the last step did, a line each, of which the stories are made: "web RUNNING" for a workload that moved,
 * "web/main ErrImagePull: no such image" for one in trouble. */
struct str agent_trace(const struct agent *a);

#endif /* NODEAGENT_CORE_AGENT_H */
