/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod is to its node: which containers in which order, which are run again, and what each is
 * created with. Rules are Kubernetes' (PodSpec.restartPolicy, initContainers, securityContext). */
#include "base/mem.h"
#include "base/capability.h"
#include "nodeagent/core/agent_priv.h"
#include "nodeagent/core/devices.h"

#include <stdio.h>

static bool plan(struct workload *w, char *text, size_t size)
{
    const Core__PodSpec *spec = w->pod->spec;
    size_t count = spec->n_init_containers + spec->n_containers;
    if (count > AGENT_INSTANCES_MAX || spec->n_containers == 0)
        return snprintf(text, size, "a pod has 1 to %d containers here", AGENT_INSTANCES_MAX),
               false;
    for (uint32_t n = 0; n < count; n++) {
        const Core__Container *c = pod_container(w, n);
        if (c->name == NULL || strlen(c->name) >= INSTANCE_NAME_MAX ||
            strpbrk(c->name, "./") != NULL)
            return snprintf(text, size, "container %u has no usable name", n), false;
    }
    for (size_t i = 0; i < spec->n_volumes; i++)
        if (spec->volumes[i]->name == NULL || strpbrk(spec->volumes[i]->name, "./") != NULL)
            return snprintf(text, size, "volume %zu has no usable name", i), false;
    w->instances = mem_zalloc(count, sizeof *w->instances);
    w->instances_count = (uint32_t)count;
    for (uint32_t n = 0; n < count; n++) {
        const Core__Container *c = pod_container(w, n);
        struct instance *i = &w->instances[n];
        snprintf(i->name, sizeof i->name, "%s", c->name);
        i->init = n < spec->n_init_containers;
        i->sidecar = i->init && str_is(str_of(c->restart_policy), "Always");
    }
    return true;
}

/* Its turn: everything before it that is an init container has succeeded, or goes on running. */
static bool ready(const struct workload *w, uint32_t n)
{
    for (uint32_t k = 0; k < w->instances_count && k < n; k++) {
        const struct instance *i = &w->instances[k];
        bool done = i->state == INSTANCE_ENDED && i->end.happened && i->end.exit_code == 0 &&
                    i->end.signal == 0;
        bool up = i->sidecar && (i->is_started || i->attempt > 0);
        if (i->init && !done && !up)
            return false;
    }
    return true;
}

static void judge(struct workload *w)
{
    bool failed = false;
    for (uint32_t n = 0; n < w->instances_count; n++) {
        const struct instance *i = &w->instances[n];
        if (i->init)
            continue;
        if (!i->end.happened || i->again)
            return;
        failed |= i->end.exit_code != 0 || i->end.signal != 0;
    }
    w->ended = true;
    w->failed = failed;
}

static bool again(struct workload *w, uint32_t n)
{
    struct instance *i = &w->instances[n];
    struct str policy = str_of(w->pod->spec->restart_policy);
    bool failed = i->end.exit_code != 0 || i->end.signal != 0;
    if (w->unwanted || w->ended)
        return false;
    if (i->sidecar)
        return true;
    if (i->init) {
        if (failed && str_is(policy, "Never"))
            w->ended = w->failed = true;
        return failed && !w->ended;
    }
    i->again = str_is(policy, "OnFailure") ? failed : !str_is(policy, "Never");
    judge(w);
    return i->again;
}

static struct str root_of(struct agent_turn *t, const struct workload *w, const struct instance *i)
{
    return arena_printf(&t->arena, STR_FMT "/roots/%s",
                        STR_ARG(workload_dir(t->agent, &t->arena, w)), i->name);
}

static bool image(struct agent_turn *t, const struct workload *w, uint32_t n, uint32_t k,
                  struct agent_fx_image *out)
{
    const Core__Container *c = pod_container(w, n);
    if (k > 0)
        return false;
    out->reference = str_of(c->image);
    out->root = root_of(t, w, &w->instances[n]);
    out->always = str_is(str_of(c->image_pull_policy), "Always");
    out->never = str_is(str_of(c->image_pull_policy), "Never");
    pod_pull_secrets(t, w, out);
    return true;
}

/* ---- security ---- */

static const uint64_t CAPS_ALL = CAPABILITY_BIT(CAPABILITY_COUNT) - 1;

static uint64_t capability(const char *name)
{
    uint32_t number;
    if (str_eq_nocase(str_of(name), STR("ALL")))
        return CAPS_ALL;
    return capability_find(str_of(name), &number) ? CAPABILITY_BIT(number) : 0;
}

static uint64_t capabilities_of(const Core__SecurityContext *s)
{
    uint64_t caps = capability_default();
    if (s == NULL || s->capabilities == NULL)
        return caps;
    const Core__Capabilities *c = s->capabilities;
    for (size_t i = 0; i < c->n_drop; i++)
        caps &= ~capability(c->drop[i]);
    for (size_t i = 0; i < c->n_add; i++)
        caps |= capability(c->add[i]);
    return caps;
}

static void identity(struct agent_turn *t, const Core__PodSecurityContext *pod,
                     const Core__SecurityContext *own, const struct agent_image *image,
                     struct runtime_container *out)
{
    out->uid = image->uid;
    out->gid = image->gid;
    if (pod != NULL && pod->has_run_as_user)
        out->uid = (uint32_t)pod->run_as_user, out->gid = 0;
    if (own != NULL && own->has_run_as_user)
        out->uid = (uint32_t)own->run_as_user, out->gid = 0;
    if (pod != NULL && pod->has_run_as_group)
        out->gid = (uint32_t)pod->run_as_group;
    if (own != NULL && own->has_run_as_group)
        out->gid = (uint32_t)own->run_as_group;
    if (pod == NULL)
        return;
    uint32_t *groups = arena_zalloc(&t->arena, pod->n_supplemental_groups + 1, sizeof *groups);
    CHECK(groups != NULL);
    for (size_t i = 0; i < pod->n_supplemental_groups; i++)
        groups[out->groups_count++] = (uint32_t)pod->supplemental_groups[i];
    if (pod->has_fs_group)
        groups[out->groups_count++] = (uint32_t)pod->fs_group;
    out->groups = groups;
}

static bool security(struct agent_turn *t, const struct workload *w, const Core__Container *c,
                     const struct agent_image *image, struct runtime_container *out, char *text,
                     size_t size)
{
    const Core__PodSecurityContext *pod = w->pod->spec->security_context;
    const Core__SecurityContext *own = c->security_context;
    identity(t, pod, own, image, out);
    bool must_not_be_root = (pod != NULL && pod->run_as_non_root) ||
                            (own != NULL && own->has_run_as_non_root && own->run_as_non_root);
    if (must_not_be_root && out->uid == 0)
        return snprintf(text, size,
                        "container has runAsNonRoot and image will run as root (container: %s)",
                        c->name),
               false;
    out->privileged = own != NULL && own->privileged;
    out->capabilities = out->privileged ? CAPS_ALL : capabilities_of(own);
    out->read_only_root = own != NULL && own->read_only_root_filesystem;
    /* Stricter than Kubernetes: only who asks for it may gain privileges by execve. */
    out->no_new_privs = !out->privileged && !(own != NULL && own->has_allow_privilege_escalation &&
                                              own->allow_privilege_escalation);
    return true;
}

/* ---- resources ---- */

static int64_t amount(size_t n, Core__ResourceRequirements__LimitsEntry **at, const char *name,
                      bool milli)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(str_of(at[i]->key), name))
            return milli ? workload_milli(at[i]->value) : workload_quantity(at[i]->value);
    return 0;
}

static void resources(const struct workload *w, const Core__Container *c, struct runtime_spec *out)
{
    const Core__ResourceRequirements *r = c->resources;
    if (r == NULL)
        return;
    int64_t limit = amount(r->n_limits, r->limits, "cpu", true);
    /* Both kinds of entry are the same message on the wire and in memory: key, quantity. */
    int64_t request =
        amount(r->n_requests, (Core__ResourceRequirements__LimitsEntry **)(void *)r->requests,
               "cpu", true);
    out->memory_max_bytes = (uint64_t)amount(r->n_limits, r->limits, "memory", false);
    out->huge_2m_bytes =
        (uint64_t)amount(r->n_limits, r->limits, "hugepages-2Mi", false) >> 21 << 21;
    out->huge_1g_bytes =
        (uint64_t)amount(r->n_limits, r->limits, "hugepages-1Gi", false) >> 30 << 30;
    if (w->holds)
        return;
    out->cpu.weight_milli = (uint32_t)(request != 0 ? request : limit);
    out->cpu.quota_us = (uint64_t)limit * 100;
}

static bool spec(struct agent_turn *t, const struct workload *w, uint32_t n,
                 const struct agent_image *img, struct runtime_spec *out, char *text, size_t size)
{
    const Core__Container *c = pod_container(w, n);
    const struct instance *i = &w->instances[n];
    struct runtime_container *rc = &out->container;
    static const struct agent_image none;
    const struct agent_image *image = img == NULL ? &none : img;

    out->directory =
        arena_printf(&t->arena, STR_FMT "/run/%s", STR_ARG(t->agent->config.state_dir), i->id);
    rc->rootfs = arena_printf(&t->arena, STR_FMT "/rootfs", STR_ARG(root_of(t, w, i)));
    rc->netns = str_of(w->network);
    rc->hostname = w->pod->spec->hostname != NULL && w->pod->spec->hostname[0] != '\0'
                       ? str_of(w->pod->spec->hostname)
                       : workload_name(w);
    rc->cwd =
        c->working_dir != NULL && c->working_dir[0] != '\0' ? str_of(c->working_dir) : image->cwd;
    if (rc->cwd.len == 0)
        rc->cwd = STR("/");
    rc->tty = c->tty;
    rc->stdin_open = c->stdin;
    rc->stop_signal = image->stop_signal;
    rc->log_path =
        arena_printf(&t->arena, STR_FMT "/%s/%u.log",
                     STR_ARG(workload_log_dir(t->agent, &t->arena, w)), i->name, i->attempt);
    rc->log_max_bytes = t->agent->config.log_max_bytes;
    rc->log_files = t->agent->config.log_files;
    resources(w, c, out);
    pod_devices(t, w, c, rc);
    return security(t, w, c, image, rc, text, size) && pod_env(t, w, c, image, rc, text, size) &&
           pod_mounts(t, w, c, rc, text, size);
}

const struct workload_kind workload_pod = {
    .plan = plan,
    .ready = ready,
    .again = again,
    .image = image,
    .spec = spec,
    .runtime = RUNTIME_CONTAINER,
};
