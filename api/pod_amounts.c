/* SPDX-License-Identifier: Apache-2.0 */
/* How much a pod asks for, and the class of service that follows from it. */
#include "api/pod.h"

static bool amount_parse(const Resource__Quantity *q, struct quantity *out)
{
    struct err e;
    return q != NULL && quantity_parse(kind_str(q->string), out, &e) == ERR_OK;
}

bool pod_limit(const Core__ResourceRequirements *r, const char *name, struct quantity *out)
{
    for (size_t i = 0; r != NULL && i < r->n_limits; i++)
        if (is_text(r->limits[i]->key, name))
            return amount_parse(r->limits[i]->value, out);
    return false;
}

bool pod_request(const Core__ResourceRequirements *r, const char *name, struct quantity *out)
{
    for (size_t i = 0; r != NULL && i < r->n_requests; i++)
        if (is_text(r->requests[i]->key, name))
            return amount_parse(r->requests[i]->value, out);
    return false;
}

static bool asks(const Core__Container *k)
{
    static const char *const names[] = {"cpu", "memory"};
    struct quantity q;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if ((pod_limit(k->resources, names[i], &q) && q.nano != 0) ||
            (pod_request(k->resources, names[i], &q) && q.nano != 0))
            return true;
    return false;
}

static bool guaranteed(const Core__Container *k)
{
    static const char *const names[] = {"cpu", "memory"};
    struct quantity limit, request;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (!pod_limit(k->resources, names[i], &limit) ||
            !pod_request(k->resources, names[i], &request) || limit.nano == 0 ||
            quantity_cmp(&limit, &request) != 0)
            return false;
    return true;
}

const char *pod_qos(const Core__PodSpec *s)
{
    bool any = false, all = true;
    for (size_t i = 0; i < s->n_containers; i++) {
        any = any || asks(s->containers[i]);
        all = all && guaranteed(s->containers[i]);
    }
    for (size_t i = 0; i < s->n_init_containers; i++) {
        any = any || asks(s->init_containers[i]);
        all = all && guaranteed(s->init_containers[i]);
    }
    return !any ? "BestEffort" : all ? "Guaranteed" : "Burstable";
}
