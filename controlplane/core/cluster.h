/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.h -- what the core knows of nodes, placements and sessions beyond the index.
 *
 * WHAT   The ledger, one struct node_state per node, one struct held per Placement, and the
 *        workloads that wait for room. All of it is rebuilt from NodeHardware and Placements when
 *        the store was loaded; leases and sessions begin anew.
 * OWNS   cluster_new() allocates, cluster_free() frees; the core holds one.
 * FILES  placing.c chooses and writes Placements, nodes.c keeps Nodes, agents.c talks to agents,
 *        status.c turns their reports into the status of Pods and machines, peers.c tells nodes of
 *        each other.
 */
#ifndef CONTROLPLANE_CORE_CLUSTER_H
#define CONTROLPLANE_CORE_CLUSTER_H

#include "controlplane/core/core_priv.h"
#include "controlplane/core/network.h"
#include "controlplane/core/sched_view.h"

/* The Secret of that prefix and a node's name, in kube-system, binds the name to a key (serve/node_key.h). */
#define CLUSTER_BINDING "node-key-"

enum { CLUSTER_NAME_MAX = 254, CLUSTER_UID_MAX = 64, CLUSTER_NODES_MAX = 50000 };

struct held;
struct image;
struct images;
struct nomination;
struct queue;

struct node_state {
    char name[CLUSTER_NAME_MAX];
    uint32_t index;          /* In the ledger; LEDGER_NODE_NONE: not there yet. */
    uint64_t session;        /* 0: none. Changed by cluster_set_session(). */
    bool greeted;            /* Its Hello was answered: it may be sent things. */
    struct blob *reported;   /* NodeHardwareSpec as this session's agent sent it; NULL: not. */
    struct blob *hardware;   /* As stored; NULL: the node was never here. */
    struct arena spec_arena; /* The same as a struct: every placement looks into it. */
    const Baton__NodeHardwareSpec *spec;
    uint64_t described; /* Revision of the Node whose labels and taints the ledger has. */
    struct {
        bool hardware, ready;
        uint64_t revision; /* Of the Node. */
    } told; /* What of it the ledger has: describing it again would change nothing. */
    struct instant lease_until; /* NotReady from here on. */
    bool ready;
    bool look;       /* More than its lease may have changed. */
    bool forgotten;  /* Its Node was deleted while it was out of reach: what it held is nobody's. */
    char subnet[32]; /* Its part of the pod network. */
    char peer_subnet[32], peer_address[48]; /* As other nodes were told; empty: they were not. */
    bool is_absurd;          /* The description contradicts itself: it is not in the ledger. */
    char marked[192];        /* The description contradicts what is held; empty: it does not. */
    char contradiction[192]; /* A Placement whose rows cannot be its own, and why. */
    char claim[64];          /* The subnet its agent says it has, and was not given. */
    char address[48]; /* addresses.c: the first it may be reached at; empty: none of its own. */
    struct blob
        *barred; /* addresses.c: the control plane's, and its agent is elsewhere; NULL: none. */
    char mistaken[192]; /* Those that its agent told and that it cannot have, and why. */
    char stranger[CLUSTER_UID_MAX]; /* Reported by the agent, and nobody placed it. */
    struct {
        bool told, holds;
    } disk;                /* pressure.c: it has less free than its reserve. */
    uint32_t unrestored;   /* Placements without their rows in the ledger. */
    struct image **images; /* images.c: what its agent told of. */
    uint32_t images_count;
    struct held *first; /* Its placements. */
};

struct held {
    char *key, *workload_key;  /* Of the Placement, of the workload; one allocation. */
    char uid[CLUSTER_UID_MAX]; /* The Placement's. */
    char workload_uid[CLUSTER_UID_MAX];
    uint64_t hold; /* In the ledger; 0: released, or it could not be restored. cluster_set_hold() */
    uint64_t revision; /* The Placement's: the start's fencing token. 0: not durable. */
    struct node_state *node;
    struct held *next, **link;
    struct nomination *nomination; /* It leaves for a workload of higher priority. */
    struct blob *report; /* The last WorkloadStatus; NULL: none, or all of it is durable. */
    uint64_t sequence;   /* Of it. */
    int64_t happened_ns; /* The latest of the agent's news that was told. */
    bool is_machine, released;
    bool by_spaces;  /* It selects namespaces by their labels. */
    bool unrestored; /* Its rows contradict another's or the hardware, which may yet be told. */

    /* What the agent was told last, so that our own status writes are not sent back to it. */
    uint64_t told_session;
    int64_t told_generation, told_grace;
    bool told_leaving;
    uint32_t told_missing; /* ConfigMaps and Secrets it mentions that were not there. */
    /* What the pod mentions (agents_mentions()), from the decision until its agent is told; later, and after a start,
     * the pod is looked into again. */
    char *mentions;
    bool mentions_known;
    char *reason;      /* The decision's, for its Event: until it is durable; then NULL. */
    bool acknowledged; /* Its agent has reported on it; so it is taken to have before a restart. */
};

struct cluster {
    struct ledger *ledger;
    struct map nodes, by_session; /* Name, the session's 8 bytes -> node_state. */
    struct map addresses;         /* node_state.address -> node_state. */
    uint32_t mistaken;            /* Nodes that told addresses they cannot have. */
    struct map held, by_uid;      /* Placement's key, its uid. */
    struct held **by_hold; /* By ledger_hold_slot(); whose hold is another one now is not meant. */
    struct held
        *last; /* The last that was found or made: it is asked for several times in a row. */
    struct images *images;          /* images.c: which nodes have them. */
    struct queue *waiting;          /* Workloads without a Placement. */
    bool is_short;                  /* Some workload waits for a full table, not for a node. */
    bool by_spaces;                 /* Some workload once selected namespaces by labels. */
    uint32_t lacking;               /* Of the held, how many were told with something missing. */
    struct map nominations;         /* placing_preempt.c: key of who comes -> who leaves for it. */
    int32_t priority_least;         /* No hold ever had a lower one; 0 or below. */
    struct sched_overhead overhead; /* The most any node published. */
    struct sched_classes classes;   /* Names that mean exact devices. */
    struct network network;
    uint32_t next_part; /* Of it, for a node each; none below is free. */
    uint64_t
        given[NETWORK_PARTS_MAX / 64]; /* A bit per part: a node has it, or had since the start. */
    uint64_t peers_digest; /* Of what nodes were told of each other: Hello.peers_digest. */
    struct blob *peers_whole, *peers_retired; /* peers.c: all of it as a message; NULL: not made. */
};

struct cluster *cluster_new(const struct core_config *config);
void cluster_free(struct cluster *k);

struct node_state *cluster_node(struct core *c, struct str name); /* NULL: never heard of. */
struct node_state *cluster_node_make(struct core *c, struct str name);
struct node_state *cluster_node_session(struct core *c, uint64_t session); /* NULL: nobody's. */
/* A session that begins, or ends with 0, was not greeted. */
void cluster_set_session(struct core *c, struct node_state *n, uint64_t session);
void cluster_set_subnet(struct core *c, struct node_state *n, struct str subnet);
/* The lowest part of the pod network that no node was given, unless it has one, or none is left. */
void cluster_give_subnet(struct core *c, struct node_state *n);
struct held *cluster_held(struct core *c, struct str placement_key);
struct held *cluster_held_uid(struct core *c, struct str placement_uid);
struct held *cluster_held_hold(struct core *c, uint64_t hold);
void cluster_set_hold(struct core *c, struct held *h, uint64_t hold);
struct held *cluster_hold(struct core *c, struct str key, struct str workload_key,
                          struct node_state *n);
/* What it was told with nothing behind it; kept in cluster.lacking. */
void cluster_set_missing(struct core *c, struct held *h, uint32_t missing);
void cluster_unhold(struct core *c, struct held *h); /* What the ledger has for it stays. */
/* Takes a reference. NULL: forgotten. */
void cluster_set_hardware(struct node_state *n, struct blob *hardware);

/* Half a turn's memory is kept for what must not fail half-way: a reconcile that begins with less comes
 * back in the next turn, and one report or object is far smaller than that half. */
static inline bool cluster_has_room(const struct core *c)
{
    return c->turn.held + c->sent_bytes <= c->turn.limit / 2;
}

/* The workload's key becomes the Placement's: PLURAL.NAME in the same namespace. */
struct str cluster_placement_key(struct core *c, struct str workload_key);

/* placing_wait.c. A node came or changed: everything that waits may fit now. */
void placing_room(struct core *c);
/* A turn has ended, and with it names that nobody holds. */
void placing_swept(struct core *c);
/* The rows of a workload that is gone: the ledger's hold ends, or is kept for whom it left. */
void placing_let_go(struct core *c, struct held *h);
/* The hardware was told, or rows became free: try again what could not have its rows at the start. */
void placing_restore(struct core *c, struct node_state *n);

/* nodes.c */
void nodes_opened(struct core *c, struct node_state *n);
void nodes_heard(struct core *c, struct node_state *n);
void nodes_look(struct core *c, struct node_state *n); /* Something its Node tells has changed. */
/* False: it is longer than any machine's, or holds what is no text; it changes nothing. */
bool nodes_hardware(struct core *c, struct node_state *n, const Baton__NodeHardwareSpec *spec);
struct span nodes_lease(void);
struct span nodes_renew(void);

/* addresses.c. What was told becomes what is believed: n->spec without what this node cannot have. */
void addresses_judge(struct core *c, struct node_state *n);
/* Whose they are may be another's now: nodes that were refused are looked at again. */
void addresses_review(struct core *c);
void addresses_loaded(struct core *c, struct node_state *n);
void addresses_forget(struct core *c, struct node_state *n); /* Its Node was deleted. */
/* A session began: list as in EV_AGENT_OPENED. */
void addresses_bar(struct node_state *n, struct str list);

/* pressure.c */
void pressure_told(struct core *c, struct node_state *n, const Agent__LeaseRenew *r);
/* Keeps the taint; is the disk short? */
bool pressure_fill(struct core *c, const struct node_state *n, Core__Node *node);

/* peers.c. A session begins whose agent knows what has this digest. */
void peers_greet(struct core *c, struct node_state *n, uint64_t digest);

/* agents.c */
void agents_event(struct core *c, const struct core_event *ev);

/* agents_tell.c */
void agents__send(struct core *c, struct node_state *n, Agent__ServerMessage *m);
/* The workload's object, if it is still the one that was placed. */
struct cow_entry *agents__workload(struct core *c, const struct held *h, struct meta *out);
void agents_tell(struct core *c, struct held *h);
/* The ConfigMaps and Secrets that a pod mentions, a line each; NULL: none. mem_free() it. */
char *agents_mentions(const Core__PodSpec *spec);
void agents_tell_removed(struct core *c, struct held *h);

/* status.c: the object with the report in it. What has no room with all of it gets the phase and the reason alone. */
enum status_result {
    STATUS_SAME,  /* It says so already. */
    STATUS_OTHER, /* out is to be stored. */
    STATUS_NONE,  /* It does not decode, or is full: nobody can be told. */
};

enum status_result status_pod(struct core *c, struct str envelope, const Agent__WorkloadStatus *s,
                              const struct node_state *n, struct str *out);
enum status_result status_machine(struct core *c, struct str envelope,
                                  const Agent__WorkloadStatus *s, const Baton__PlacementSpec *p,
                                  struct str *out);
void status_pod_condition(struct core *c, Core__PodStatus *status, const char *type, bool holds,
                          const char *reason, struct str message);
void status_machine_condition(struct core *c, Kubevirt__VirtualMachineInstanceStatus *status,
                              const char *type, bool holds, const char *reason, struct str message);
void status_machine_phase(struct core *c, Kubevirt__VirtualMachineInstanceStatus *status,
                          const char *phase);

/* Rows of core_rules[]. */
void placing_create(struct core *c, struct stage *s, struct draft *d);
void placing_remove(struct core *c, struct stage *s, struct draft *d);
void placing_keep(struct core *c, struct stage *s, struct draft *d);
uint64_t placing_topic(struct core *c, const struct cow_entry *e);
void plan_create(struct core *c, struct stage *s, struct draft *d);

#endif /* CONTROLPLANE_CORE_CLUSTER_H */
