/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod.h -- what the files about pods share: defaults, validation, updates, cells.
 *
 * WHAT   Kubernetes' rules of PodSpec (1.32), a function per part of it. Order: pod_defaults(), on a create
 *        pod_admit(), then pod_spec_validate(), on an update pod_update_validate().
 * WHY    A pod's rules are half of all rules there are; machines share those of affinity, spreading and tolerations.
 * OWNS   What is added to an object lives in the call's arena.
 * FAILS  Nothing returns an error: each thing wrong is a cause in c->causes with its field's path, all of them, worded as
 *        Kubernetes words it.
 *
 * at: the path of what is judged. Amounts are struct quantity, never rounded here.
 */
#ifndef API_POD_H
#define API_POD_H

#include "api/kinds_priv.h"
#include "api/quantity.h"

/* ServiceAccounts' credentials are mounted here; the volume is made with the pod, as by Kubernetes. */
#define POD_TOKEN_PATH "/var/run/secrets/kubernetes.io/serviceaccount"
#define POD_TOKEN_VOLUME "kube-api-access-"

void pod_defaults(struct kind_call *c, Core__PodSpec *s);
void pod_tolerations(struct kind_call *c, Core__PodSpec *s);
void pod_admit(struct kind_call *c,
               Core__Pod *pod); /* What Kubernetes' admission adds on create. */
void pod_spec_validate(struct kind_call *c, const Core__PodSpec *s, const struct field *at);
void pod_update_validate(struct kind_call *c, const Core__Pod *pod, const Core__Pod *old);
void pod_container_validate(struct kind_call *c, const Core__PodSpec *s, const Core__Container *k,
                            const struct field *at);
void pod_volumes_validate(struct kind_call *c, const Core__PodSpec *s, const struct field *at);
void pod_resources_validate(struct kind_call *c, const Core__ResourceRequirements *r,
                            const struct field *at);
/* Rules that machines have, too. at: spec.affinity; spec: what holds the list. */
void pod_affinity_validate(struct kind_call *c, const Core__Affinity *a, const struct field *at);
void pod_spreads_validate(struct kind_call *c, Core__TopologySpreadConstraint *const *list,
                          size_t count, const struct field *spec);
void pod_tolerations_validate(struct kind_call *c, Core__Toleration *const *list, size_t count,
                              const struct field *spec);
const char *pod_qos(const Core__PodSpec *s);
void *pod_notes(struct str raw, struct arena *a); /* Of a stored pod; NULL: the arena is full. */
struct kind_cell pod_cell(const void *notes, struct str column, struct arena *a);

/* The amount of a resource in a list of limits or requests; false: it is not there. */
bool pod_limit(const Core__ResourceRequirements *r, const char *name, struct quantity *out);
bool pod_request(const Core__ResourceRequirements *r, const char *name, struct quantity *out);

/* An ephemeral container has a container's fields under another message's name. */
const Core__Container *pod_ephemeral(const Core__EphemeralContainer *e);

#endif /* API_POD_H */
