/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h -- LimitRange: what one pod may ask for, and what it asks for when it does not say.
 *
 * WHAT   The lists of a LimitRange's item under one type, and what a namespace's LimitRanges do to a pod: amounts it does not
 *        give are filled in, then it is held against them.
 * WHY    Kubernetes does both in an admission plugin (LimitRanger), between a pod's own defaults and its quality of service.
 * FAILS  A refusal is kind_call.denied, in Kubernetes' words, with everything that is wrong in it.
 */
#ifndef API_LIMITS_H
#define API_LIMITS_H

#include "api/kinds_priv.h"
#include "api/quantity.h"

/* Every map of amounts has entries of this shape. */
struct limits_entry {
    ProtobufCMessage base;
    char *key;
    Resource__Quantity *value;
};

struct limits_list {
    size_t count;
    struct limits_entry **at; /* Sorted by key. */
};

enum limits_part {
    LIMITS_MAX,
    LIMITS_MIN,
    LIMITS_DEFAULT,
    LIMITS_REQUEST,
    LIMITS_RATIO,
    LIMITS__COUNT
};

struct limits_list limits_of_item(const Core__LimitRangeItem *i, enum limits_part part);
const Resource__Quantity *limits_find(struct limits_list from, struct str name); /* Or NULL. */
bool limits_amount(const Resource__Quantity *q, struct quantity *out);
/* One more entry of that type, in its place. False: the arena is full. */
bool limits_add(struct arena *a, struct limits_list *to, const ProtobufCMessageDescriptor *type,
                char *name, Resource__Quantity *value);

/* pod_limits.c: by the LimitRanges in c->limits, on create. */
void pod_limits_fill(struct kind_call *c, Core__Pod *pod);
void pod_limits_check(struct kind_call *c, const Core__Pod *pod);
/* The most that its containers may use at a time, in whole CPUs. */
uint64_t pod_cpus(const Core__PodSpec *s);

#endif /* API_LIMITS_H */
