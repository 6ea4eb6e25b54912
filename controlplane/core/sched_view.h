/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched_view.h -- the only place where the cluster's words become the scheduler's numbers.
 *
 * WHAT   Pod and VirtualMachineInstance to struct request; NodeHardware and Node to struct topology;
 *        chosen rows to a Placement's spec and back.
 * WHY    The scheduler sees no protobuf. tests/unit/controlplane holds the round trip: what was
 *        placed, stored and read again takes the same rows.
 * OWNS   Results live in the arena given; texts become ids of the ledger's names.
 * FAILS  ERR_INVALID says, in words for the user, what a workload asks for that is not honoured, or
 *        what in a description contradicts itself. ERR_LIMIT: a list too long, or names are full.
 *
 * DEVICE Where some node gives devices away under a name, the name means exact devices in the whole cluster:
 *        whoever asks for it gets rows, and a mere count of it (Node.status.capacity) means nothing.
 *
 * CPU    A pod is exclusive when it is Guaranteed and every container asks for whole CPUs
 *        (Kubernetes' static CPU manager, decided for the whole pod); a machine when it says
 *        dedicatedCpuPlacement. Everything else shares the pool.
 */
#ifndef CONTROLPLANE_CORE_SCHED_VIEW_H
#define CONTROLPLANE_CORE_SCHED_VIEW_H

#include "api/meta.h"
#include "controlplane/core/objects.h"
#include "scheduler/ledger.h"

/* Bytes of the node's disk: a count like an extended resource's, without a domain in its name. */
#define SCHED_STORAGE "ephemeral-storage"
/* Classes of service that parts of caches need, counted likewise; nobody asks for them by this name. */
#define SCHED_CACHE_GROUPS "baton.dev/cache-groups"

/* What a VMM takes beside its guest, as nodes publish it. */
struct sched_overhead {
    uint64_t vm_bytes, device_bytes, vcpu_bytes;
};

/* Names that mean exact devices, held. It only grows: a name that no node has any more waits for one. */
enum { SCHED_CLASSES_MAX = 256, SCHED_SHARES_MAX = 256 };

struct sched_classes {
    uint32_t at[SCHED_CLASSES_MAX], count;
};

bool sched_classes_have(const struct sched_classes *s, uint32_t name); /* s may be NULL: none. */
MUST_USE enum err_code sched_classes_add(struct sched_classes *s, struct names *n,
                                         const Baton__NodeHardwareSpec *hw, struct err *e);

MUST_USE enum err_code sched_view_pod(struct names *n, struct arena *a,
                                      const struct sched_classes *classes, const Core__Pod *pod,
                                      struct request *out, struct err *e);
MUST_USE enum err_code sched_view_machine(struct names *n, struct arena *a,
                                          const Kubevirt__VirtualMachineInstance *vm,
                                          const struct sched_overhead *overhead,
                                          struct request *out, struct err *e);

/* Pod affinity, anti-affinity and spread into out; sched_view_pod() and _machine() call it. */
MUST_USE enum err_code sched_view_affinity(struct names *n, struct arena *a,
                                           const Meta__ObjectMeta *meta, const Core__Affinity *from,
                                           Core__TopologySpreadConstraint **constraints,
                                           size_t count, struct request *out, struct err *e);

/* A label selector in the scheduler's numbers, and whether an object's labels match it. */
MUST_USE enum err_code sched_view_selector(struct names *n, struct arena *a,
                                           const Meta__LabelSelector *from,
                                           struct request_selector *out, struct err *e);
bool sched_view_selects(const struct names *n, const struct request_selector *s,
                        const struct meta *m);

/* What quotas count, in thousandths: what is asked for, or with limit the limits; a limit without a request is
 * one. For a pod the most that its containers need at a time. */
int64_t sched_view_pod_takes(const Core__PodSpec *spec, struct str resource, bool limit);
int64_t sched_view_machine_takes(const Kubevirt__VirtualMachineInstanceSpec *spec,
                                 struct str resource, bool limit);
bool sched_view_says(const Core__ResourceRequirements *r, struct str resource, bool limit);

/* Guaranteed, Burstable or BestEffort (Kubernetes: PodStatus.qosClass). */
const char *sched_view_qos(const Core__PodSpec *spec);

/* node may be NULL: no labels, no taints, schedulable. */
MUST_USE enum err_code sched_view_topology(struct names *n, struct arena *a,
                                           const struct sched_classes *classes, struct str name,
                                           const Baton__NodeHardwareSpec *hw,
                                           const Core__Node *node, bool ready, struct topology *out,
                                           struct err *e);

/* Fills *out but for workload and decision. hw is the chosen node's. */
MUST_USE enum err_code sched_view_rows(struct names *n, struct arena *a,
                                       const struct placement *rows, const struct request *r,
                                       const Baton__NodeHardwareSpec *hw, Baton__PlacementSpec *out,
                                       struct err *e);

/* For ledger_restore(). */
MUST_USE enum err_code sched_view_stored(struct names *n, const Baton__PlacementSpec *spec,
                                         const Baton__NodeHardwareSpec *hw, struct placement *out,
                                         struct err *e);

/* ---- devices; sched_devices.c ---- */

/* How many of resource a node gives away; of thousandths ("vendor.com/gpu-milli"), how many there are. */
uint64_t sched_devices_count(const Baton__NodeHardwareSpec *hw, struct str resource);
/* How many of resource, or of all when it is empty, a machine asks for. */
uint32_t sched_view_machine_devices(const Kubevirt__VirtualMachineInstanceSpec *spec,
                                    struct str resource);
/* What the network of an interface with SR-IOV is called: the resource's name. NULL: it has none. */
const char *sched_view_network(const Kubevirt__VirtualMachineInstanceSpec *spec,
                               const Kubevirt__Interface *nic);

/* Parts of the functions above. */
MUST_USE enum err_code sched_devices_topology(struct names *n, struct arena *a,
                                              const Baton__NodeHardwareSpec *hw,
                                              struct topology *out, struct err *e);
MUST_USE enum err_code sched_devices_want(struct arena *a, struct request *out,
                                          const struct request_device *want, struct err *e);
MUST_USE enum err_code sched_devices_machine(struct names *n, struct arena *a,
                                             const Kubevirt__VirtualMachineInstanceSpec *spec,
                                             struct request *out, struct err *e);
MUST_USE enum err_code sched_devices_rows(struct names *n, struct arena *a,
                                          const struct placement *rows, const struct request *r,
                                          const Baton__NodeHardwareSpec *hw,
                                          Baton__PlacementSpec *out, struct err *e);
MUST_USE enum err_code sched_devices_stored(struct names *n, const Baton__PlacementSpec *spec,
                                            struct placement *out, struct err *e);
void sched_devices_restored(struct names *n, const Baton__PlacementSpec *spec, struct request *out);

/* ---- caches; sched_caches.c ---- */

MUST_USE enum err_code sched_caches_want(struct names *n, struct arena *a, struct request *out,
                                         struct err *e);
MUST_USE enum err_code sched_caches_rows(struct arena *a, const struct placement *rows,
                                         Baton__PlacementSpec *out, struct err *e);
MUST_USE enum err_code sched_caches_stored(const Baton__PlacementSpec *spec, struct placement *out,
                                           struct err *e);
void sched_caches_restored(struct names *n, struct arena *a, const Baton__PlacementSpec *spec,
                           struct request *out);

/* "10.128.3.0/24" into its first address as a number and its length. */
MUST_USE enum err_code sched_view_subnet(struct str text, uint32_t *out_first,
                                         uint32_t *out_prefix);

#endif /* CONTROLPLANE_CORE_SCHED_VIEW_H */
