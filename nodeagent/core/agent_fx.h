/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_fx.h -- what the agent wants done, in full: the effects of agent.h and what each carries.
 *
 * WHAT   One struct per effect that carries more than text or bytes. Imperative and level-triggered: each says how
 *        things are to be, so that asking again is harmless.
 * WHY    Apart from agent.h for those who only perform: they need no event.
 * OWNS   Everything, strings included, is the agent's until the next agent_step(); who performs an effect copies what
 *        it keeps.
 * ASYNC  With an op, one answer: FX_CREATE to FX_EXEC and FX_LIST by EV_RUNTIME, as runtime.h promises, the others by
 *        EV_HOST_DONE. FX_CONNECT has no op and is answered by EV_SESSION_OPENED or _CLOSED, FX_MEASURE by
 *        EV_MEASURED. FX_DISCONNECT, FX_SEND,
 *        FX_GIVE_UP, FX_TELL, FX_PEERS and FX_STREAM are not answered.
 * FAILS  The answer says it, with a text for the user. The core decides whether and when it asks again.
 * SEAM   nodeagent/shell/ and tests/sim/sim_node.c perform them.
 *
 * Sizes are bytes, ports in the host's order, addresses text with a prefix, times as base/time.h has them.
 */
#ifndef NODEAGENT_CORE_AGENT_FX_H
#define NODEAGENT_CORE_AGENT_FX_H

#include "base/str.h"
#include "base/time.h"
#include "nodeagent/runtime/runtime.h"

enum agent_effect_type {
    FX_CONNECT,    /* Open the session. No op: EV_SESSION_OPENED or _CLOSED answers. */
    FX_DISCONNECT, /* Close it; text says why. */
    FX_SEND,   /* bytes: one baton.agent.v1 message to go up. Dropped when there is no session. */
    FX_SAVE,   /* Record uid holds bytes: durably, but for what is unsynced. */
    FX_FORGET, /* Durably: record uid is no more. Succeeds when it was not there. */
    FX_IMAGE,  /* Have image.reference, and a root of it at image.root. */
    FX_GIVE_UP, /* The image asked for as op is not wanted any more. That op answers all the same, soon. */
    FX_NETWORK, /* Have the network as told; what is there already is left alone. */
    FX_VOLUMES, /* Have the directories and files as told, the PCI functions bound to vfio-pci, the caches'
                   ways and bandwidth given to the cpus. */
    FX_CLEAN, /* Remove network, roots, volumes, give devices back; with logs, also those. Level-triggered. network: as FX_NETWORK
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
    FX_MEASURE, /* What is free on the disk, and what the places hold. EV_MEASURED answers. */
    FX_PEERS,   /* Have the way to other nodes' pods as told. No op: tried until it is so. */
    FX_STREAM   /* Open the stream the control plane asked for. No op: it has its own errors. */
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
    uint64_t size_bytes;  /* tmpfs, huge pages; 0: no limit of its own. */
    uint64_t page_bytes;  /* Not 0: hugetlbfs of such pages. */
    const struct agent_file *files;
    uint32_t files_count;
    struct str host_path; /* Not empty: nothing is made but what host_type asks for. */
    struct str host_type; /* HostPathVolumeSource.type */
};

struct agent_cache { /* Of one cache domain, by its number in resctrl. */
    uint32_t domain, ways_mask, bandwidth_percent;
};

/* Where a workload may write on disk. name: the container's or the volume's. */
enum agent_place_kind {
    AGENT_PLACE_ROOT,
    AGENT_PLACE_LOGS,
    AGENT_PLACE_VOLUME,
    AGENT_PLACE_NAMELESS /* Only found, never asked for: deleted and still open, nobody knows where. */
};

struct agent_place {
    enum agent_place_kind kind;
    struct str uid, name, path;
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
    /* follow: whose log it is, and of which life; it is over when agent_log_is_live() says so. */
    struct str placement_uid, container;
    uint32_t attempt;
    int64_t tail_lines;  /* -1: all. */
    struct wall since;   /* 0: all. */
    int64_t limit_bytes; /* 0: none. */
};

struct agent_effect {
    enum agent_effect_type type;
    uint64_t op;
    enum runtime_kind kind; /* Which runtime. */
    struct str uid;         /* The workload's; FX_CLEAN, FX_NETWORK and the like act on it. */
    struct str id;          /* FX_START .. FX_SET_CPUS: the instance's. */
    struct str bytes;       /* FX_SEND, FX_SAVE. */
    const char *text;
    bool logs;     /* FX_CLEAN */
    bool unsynced; /* FX_SAVE: the first of its uid. It outlives us, but need not a power cut. */
    union {
        struct agent_fx_image image;
        struct agent_fx_network network;
        struct agent_fx_stream stream;
        struct {
            const struct agent_volume *at;
            uint32_t count;
            const struct str *vfio; /* PCI addresses. */
            uint32_t vfio_count;
            const struct agent_cache *caches;
            uint32_t caches_count;
            const struct cpuset *cpus; /* Those the caches' rows are for. */
        } volumes;
        struct {
            const struct agent_peer *at;
            uint32_t count;
        } peers;
        struct {
            const struct agent_place *at; /* A workload's are side by side. */
            uint32_t count;
            bool collect; /* Images that nobody uses should go now. */
        } measure;
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

#endif /* NODEAGENT_CORE_AGENT_FX_H */
