/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h -- what one workload wants, in the scheduler's own plain words.
 *
 * WHAT   Hardware (cores, memory, devices, ports, an address) and rules (where it may stand, next to
 *        whom). A Pod, a VirtualMachineInstance and whatever comes later all become this struct.
 * WHY    The scheduler must not know kinds. Two requests with equal contents are one class: they
 *        share what the scheduler remembers about nodes.
 * OWNS   Every pointer is borrowed for the call; the ledger copies what it keeps.
 * FAILS  request_check(): ERR_INVALID with the field and the contradiction ("policies: single NUMA
 *        node and spread over NUMA nodes exclude each other"), ERR_LIMIT for a list over its limit.
 *        Validation of the API uses the same function, so both say the same.
 */
#ifndef SCHEDULER_REQUEST_H
#define SCHEDULER_REQUEST_H

#include "scheduler/topology.h"

enum {
    REQUEST_LIST_MAX = 64,   /* Entries of any one list of a request, unless said otherwise. */
    REQUEST_SPREADS_MAX = 8, /* Topology spread constraints. */
    REQUEST_DEVICES_MAX = 16,
    REQUEST_DEVICE_COUNT_MAX = 64,
    REQUEST_VALUES_MAX = 1024, /* Values of one expression, namespaces of one term. */
    REQUEST_GANG_MAX = 1024,   /* Members of a gang. */
};

#define REQUEST_MEMORY_MAX (1ull << 53) /* Bytes. */

/* Numbers of the operators are ours; the meaning is Kubernetes'. GT and LT: node labels only. */
enum request_operator { OP_IN, OP_NOT_IN, OP_EXISTS, OP_NOT_EXISTS, OP_GT, OP_LT };

struct request_expression {
    uint32_t key;
    enum request_operator op;
    const uint32_t *values;
    uint32_t values_count;
};

/* All expressions and all fields must hold. No expression at all: see where it is used. */
struct request_selector {
    const struct request_expression *expressions;
    uint32_t expressions_count;
};

/* One nodeSelectorTerm. A term without any requirement matches no node. */
struct request_node_term {
    struct request_selector labels;
    struct request_selector fields; /* Only key metadata.name exists; the caller passes name ids and
                                     * key 0. */
    int32_t weight;                 /* Preferred terms only: 1..100. */
};

enum request_effect {
    TOLERATE_ANY_EFFECT,
    TOLERATE_NO_SCHEDULE,
    TOLERATE_PREFER,
    TOLERATE_NO_EXECUTE
};

struct request_toleration {
    uint32_t key; /* 0 with exists: tolerates everything. */
    bool exists;  /* Operator Exists; otherwise Equal. */
    uint32_t value;
    enum request_effect effect;
};

/* One podAffinityTerm. The caller has resolved namespaceSelector into names and put the defaults in
 * (own namespace when none is given; matchLabelKeys merged into the selector). */
struct request_pod_term {
    struct request_selector selector; /* Empty: every pod. */
    bool selects_nothing;             /* A null labelSelector. */
    bool all_namespaces;
    const uint32_t *namespaces;
    uint32_t namespaces_count;
    uint32_t topology_key;
    int32_t weight; /* Preferred terms only: 1..100. */
};

struct request_spread {
    uint32_t max_skew;    /* >= 1 */
    uint32_t min_domains; /* 0: not set */
    uint32_t topology_key;
    struct request_selector selector; /* Of pods in the request's namespace. */
    bool selects_nothing;
    bool soft;                 /* ScheduleAnyway */
    bool ignore_node_affinity; /* nodeAffinityPolicy: Ignore; default Honor. */
    bool honor_taints;         /* nodeTaintsPolicy: Honor; default Ignore. */
};

enum request_protocol { PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP };

struct request_port {
    uint32_t address; /* IPv4; 0: every address of the host. */
    uint16_t port;
    enum request_protocol protocol;
};

/* A class stands once, or several times for parts, each less than the one before and of any model. Every part is on
 * a device of its own. */
struct request_device {
    uint32_t class_name;
    uint32_t count; /* Devices. */
    uint32_t
        units; /* Of each: 0 the whole device; 1..1000 thousandths of one that may be shared. */
    const uint32_t *models; /* Any of these; none: any model. */
    uint32_t models_count;
};

struct request_scalar {
    uint32_t name;
    uint64_t amount;
};

/* Names and meaning follow the kubelet's Topology Manager. Rows are chosen here, so none of them
 * can be refused by the node later. */
enum request_numa_policy {
    NUMA_NONE,        /* Few NUMA nodes if possible; never a reason to refuse. */
    NUMA_BEST_EFFORT, /* The same, memory and devices beside the cores where they can be. */
    NUMA_RESTRICTED,  /* Refuse a node that would need more NUMA nodes than its emptied self. */
    NUMA_SINGLE,      /* Everything from one NUMA node. */
};

enum request_choice { CHOICE_PACK, CHOICE_SPREAD };

struct request {
    uint64_t cookie; /* The caller's; given back with the hold. Not part of the class. */
    uint32_t namespace_name;
    const struct topology_label *labels; /* The workload's own. */
    uint32_t labels_count;

    /* CPU. exclusive_cpus > 0: that many hardware threads on whole cores nobody else gets.
     * shared_milli: weight in the shared pool; with exclusive_cpus it is the emulator's part. */
    uint32_t exclusive_cpus;
    uint32_t shared_milli;

    uint64_t memory_bytes, overhead_bytes; /* Their sum is taken; overhead is the VMM's own. */
    uint32_t hugepages_2m, hugepages_1g;   /* Pages. */
    uint32_t cache_ways;                   /* In each last-level-cache domain that gives a core. */
    uint32_t bandwidth_mbps;               /* The same. */

    const struct request_device *devices;
    const struct request_scalar *scalars;
    const struct request_port *ports;
    uint32_t devices_count, scalars_count, ports_count;
    bool address_wanted, mac_wanted;

    uint32_t node_name; /* Pinned (spec.nodeName); 0: any. Only hardware is checked then. */
    const struct topology_label *node_selector; /* All must be there. */
    uint32_t node_selector_count;
    const struct request_node_term *node_required; /* Any one must match, when there are some. */
    const struct request_node_term *node_preferred;
    uint32_t node_required_count, node_preferred_count;
    const struct request_toleration *tolerations;
    uint32_t tolerations_count;
    const uint32_t *capabilities; /* All wanted. */
    const uint32_t *images;       /* Preferred where they already are. */
    uint32_t capabilities_count, images_count;

    const struct request_spread *spreads;
    const struct request_pod_term *affinity, *anti_affinity;
    const struct request_pod_term *affinity_preferred, *anti_affinity_preferred;
    uint32_t spreads_count, affinity_count, anti_affinity_count;
    uint32_t affinity_preferred_count, anti_affinity_preferred_count;

    enum request_numa_policy numa_policy;
    enum request_choice choice;
    bool full_cores_only;     /* Refuse a count of CPUs that leaves threads of a core idle. */
    bool one_thread_per_core; /* n CPUs take n cores; the siblings idle. */
    bool align_llc;   /* Refuse a node where the cores need more cache domains than an empty one. */
    bool spread_numa; /* Even split over NUMA nodes when more than one is needed. */

    int32_t priority;
    bool never_preempts; /* preemptionPolicy: Never */
    uint64_t started;    /* Wall seconds, to choose the youngest victim. Not part of the class. */
    uint32_t gang;       /* Name of its gang; 0: none. Not part of the class. */
};

MUST_USE enum err_code request_check(const struct request *r, struct err *e);

#endif /* SCHEDULER_REQUEST_H */
