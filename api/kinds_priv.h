/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kinds_priv.h -- the rows of kinds[], and what their files share.
 */
#ifndef API_KINDS_PRIV_H
#define API_KINDS_PRIV_H

#include "api/kinds.h"
#include "proto/k8s/core_v1.pb-c.h"

extern const struct kind kind_config_map, kind_event, kind_namespace, kind_node, kind_pod,
    kind_secret, kind_service_account, kind_lease, kind_vmi, kind_node_hardware, kind_placement,
    kind_priority_class, kind_pod_group, kind_plan, kind_resource_quota, kind_disruption_budget,
    kind_limit_range;

/* ObjectMeta by Kubernetes' rules; old: NULL on create. */
void meta_validate(const struct kind *k, struct kind_call *c, const Meta__ObjectMeta *m,
                   const Meta__ObjectMeta *old);

/* Set *text when it is absent or empty. */
static inline void default_text(char **text, const char *value)
{
    if (*text == NULL || (*text)[0] == '\0')
        *text = (char *)(uintptr_t)value; /* Never written to: messages live in an arena. */
}

static inline bool is_empty(const char *text)
{
    return text == NULL || text[0] == '\0';
}

static inline bool is_text(const char *text, const char *value)
{
    return text != NULL && strcmp(text, value) == 0;
}

/* Rules that compare the elements of a list with each other are quadratic, and a client chooses how
 * many there are: more are refused before anything is compared. */
enum { KIND_LIST_MAX = 2048 };

/* False, with a cause at f, when there are more than KIND_LIST_MAX; than most. */
bool check_count(struct kind_call *c, const struct field *f, size_t count);
bool check_most(struct kind_call *c, const struct field *f, size_t count, size_t most);

/* For each of keys the place of the first one that is the same, its own if none is before it. By sorting: what is
 * compared pair by pair takes seconds of somebody's three megabytes. NULL: the arena is full. */
const size_t *kind_twins(struct arena *a, const struct str *keys, size_t count);

/* A map's entry in a decoded message, whose maps are sorted by key; count: it is not there. */
size_t entry_find(const void *entries, size_t count, const char *key);

/* A label selector's keys, operators and values; NULL has none. */
void selector_validate(struct kind_call *c, const Meta__LabelSelector *s, const struct field *at);

/* causes_unsupported() unless text is one of values (NULL at the end). */
void check_one_of(struct kind_call *c, const struct field *f, const char *text,
                  const char *const *values);

/* kind_call.c: where an object keeps the sub-message of that name; NULL: it has none such. */
ProtobufCMessage **kind__part(const ProtobufCMessage *object, const char *name);

#endif /* API_KINDS_PRIV_H */
