/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent reports becomes the status that kubectl shows. A function of the object and the
 * report: the same report twice writes nothing the second time. */
#include "api/kinds.h"
#include "api/transcode.h"
#include "base/check.h"
#include "controlplane/core/cluster.h"
#include "api/specs.h"

#include <stdio.h>

enum {
    MISSED_MAX = 16,       /* Fields that a condition names one by one. */
    STATUS_ROOM = 1 << 10, /* Of STORE_VALUE_MAX: for the metadata that a write adds. */
};

static const struct str TOO_LONG = STR("what its containers say of themselves has no room");

static void *message(struct core *c, size_t size, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *m = arena_alloc(&c->turn, size);
    CHECK(m != NULL); /* A report is at most AGENT_MESSAGE_MAX; the turn's arena holds many. */
    protobuf_c_message_init(type, m);
    return m;
}

static char *text(struct core *c, struct str s)
{
    return objects_text(&c->turn, s);
}

/* ---- conditions ---- */

void status_pod_condition(struct core *c, Core__PodStatus *status, const char *type, bool holds,
                          const char *reason, struct str why)
{
    const char *value = holds ? "True" : "False";
    Core__PodCondition *at = NULL;
    for (size_t i = 0; i < status->n_conditions; i++)
        if (str_is(str_of(status->conditions[i]->type), type))
            at = status->conditions[i];
    if (at == NULL) {
        Core__PodCondition **more = arena_zalloc(&c->turn, status->n_conditions + 1, sizeof *more);
        CHECK(more != NULL);
        for (size_t i = 0; i < status->n_conditions; i++)
            more[i] = status->conditions[i];
        at = message(c, sizeof *at, &core__pod_condition__descriptor);
        at->type = (char *)type;
        more[status->n_conditions++] = at;
        status->conditions = more;
    }
    if (!str_is(str_of(at->status), value))
        at->last_transition_time = objects_time(&c->turn, c->wall);
    at->status = (char *)value;
    at->reason = (char *)reason;
    at->message = text(c, why);
}

void status_machine_condition(struct core *c, Kubevirt__VirtualMachineInstanceStatus *status,
                              const char *type, bool holds, const char *reason, struct str why)
{
    const char *value = holds ? "True" : "False";
    Kubevirt__VirtualMachineInstanceCondition *at = NULL;
    for (size_t i = 0; i < status->n_conditions; i++)
        if (str_is(str_of(status->conditions[i]->type), type))
            at = status->conditions[i];
    if (at == NULL) {
        Kubevirt__VirtualMachineInstanceCondition **more =
            arena_zalloc(&c->turn, status->n_conditions + 1, sizeof *more);
        CHECK(more != NULL);
        for (size_t i = 0; i < status->n_conditions; i++)
            more[i] = status->conditions[i];
        at = message(c, sizeof *at, &kubevirt__virtual_machine_instance_condition__descriptor);
        at->type = (char *)type;
        more[status->n_conditions++] = at;
        status->conditions = more;
    }
    if (!str_is(str_of(at->status), value))
        at->last_transition_time = objects_time(&c->turn, c->wall);
    at->status = (char *)value;
    at->reason = (char *)reason;
    at->message = text(c, why);
}

/* When it first came to a phase, as KubeVirt tells it: whoever goes to and fro makes the object no longer. */
static void note_phase(struct core *c, Kubevirt__VirtualMachineInstanceStatus *status,
                       const char *phase)
{
    size_t count = status->n_phase_transition_timestamps;
    for (size_t i = 0; i < count; i++)
        if (str_is(str_of(status->phase_transition_timestamps[i]->phase), phase))
            return;
    Kubevirt__VirtualMachineInstancePhaseTransitionTimestamp **more =
        arena_zalloc(&c->turn, count + 1, sizeof *more);
    Kubevirt__VirtualMachineInstancePhaseTransitionTimestamp *at = message(
        c, sizeof *at, &kubevirt__virtual_machine_instance_phase_transition_timestamp__descriptor);
    CHECK(more != NULL);
    for (size_t i = 0; i < count; i++)
        more[i] = status->phase_transition_timestamps[i];
    at->phase = (char *)phase;
    at->phase_transition_timestamp = objects_time(&c->turn, c->wall);
    more[count] = at;
    status->phase_transition_timestamps = more;
    status->n_phase_transition_timestamps = count + 1;
}

void status_machine_phase(struct core *c, Kubevirt__VirtualMachineInstanceStatus *status,
                          const char *phase)
{
    if (str_is(str_of(status->phase), phase))
        return;
    status->phase = (char *)phase;
    note_phase(c, status, phase);
}

/* ---- containers ---- */

static Core__ContainerStateTerminated *terminated(struct core *c, const Agent__ContainerFact *f)
{
    Core__ContainerStateTerminated *t =
        message(c, sizeof *t, &core__container_state_terminated__descriptor);
    int32_t code = f->signal != 0 && f->exit_code == 0 ? 128 + f->signal : f->exit_code;
    t->has_exit_code = code != 0;
    t->exit_code = code;
    t->has_signal = f->signal != 0;
    t->signal = f->signal;
    t->reason = text(c, str_of(f->reason));
    t->message = text(c, str_of(f->message));
    t->started_at = objects_time(&c->turn, (struct wall){f->started_at_ns});
    t->finished_at = objects_time(&c->turn, (struct wall){f->finished_at_ns});
    t->container_id = f->container_id == NULL || f->container_id[0] == '\0'
                          ? NULL
                          : (char *)arena_printf(&c->turn, "baton://%s", f->container_id).at;
    return t;
}

static Core__ContainerState *state_of(struct core *c, const Agent__ContainerFact *f)
{
    Core__ContainerState *s = message(c, sizeof *s, &core__container_state__descriptor);
    switch (f->state) {
    case AGENT__CONTAINER_STATE__CONTAINER_STATE_RUNNING:
        s->running = message(c, sizeof *s->running, &core__container_state_running__descriptor);
        s->running->started_at = objects_time(&c->turn, (struct wall){f->started_at_ns});
        break;
    case AGENT__CONTAINER_STATE__CONTAINER_STATE_TERMINATED:
        s->terminated = terminated(c, f);
        break;
    case AGENT__CONTAINER_STATE__CONTAINER_STATE_WAITING:
    case _AGENT__CONTAINER_STATE_IS_INT_SIZE:
        s->waiting = message(c, sizeof *s->waiting, &core__container_state_waiting__descriptor);
        s->waiting->reason = text(c, str_of(f->reason));
        s->waiting->message = text(c, str_of(f->message));
        break;
    }
    return s;
}

static const char *image_of(const Core__PodSpec *spec, bool init, const char *name)
{
    size_t count = init ? spec->n_init_containers : spec->n_containers;
    Core__Container **at = init ? spec->init_containers : spec->containers;
    for (size_t i = 0; i < count; i++)
        if (str_eq(str_of(at[i]->name), str_of(name)))
            return at[i]->image;
    return NULL;
}

/* One entry for each resource, an element for each device. Nobody watches their health (Kubernetes:
 * ResourceHealth.health, Unknown). */
static void devices(struct core *c, const Agent__ContainerFact *f, Core__ContainerStatus *s)
{
    if (f->n_devices == 0)
        return;
    s->allocated_resources_status = arena_zalloc(&c->turn, f->n_devices, sizeof(void *));
    CHECK(s->allocated_resources_status != NULL);
    for (size_t i = 0; i < f->n_devices; i++) {
        Core__ResourceStatus *to = NULL;
        for (size_t k = 0; k < s->n_allocated_resources_status; k++)
            if (str_eq(str_of(s->allocated_resources_status[k]->name), str_of(f->devices[i]->name)))
                to = s->allocated_resources_status[k];
        if (to == NULL) {
            to = message(c, sizeof *to, &core__resource_status__descriptor);
            to->name = text(c, str_of(f->devices[i]->name));
            to->resources = arena_zalloc(&c->turn, f->n_devices, sizeof *to->resources);
            CHECK(to->resources != NULL);
            s->allocated_resources_status[s->n_allocated_resources_status++] = to;
        }
        Core__ResourceHealth *one = message(c, sizeof *one, &core__resource_health__descriptor);
        one->resource_id = text(c, str_of(f->devices[i]->id));
        one->health = (char *)"Unknown";
        to->resources[to->n_resources++] = one;
    }
}

static Core__ContainerStatus *container(struct core *c, const Core__PodSpec *spec,
                                        const Agent__ContainerFact *f)
{
    Core__ContainerStatus *s = message(c, sizeof *s, &core__container_status__descriptor);
    bool running = f->state == AGENT__CONTAINER_STATE__CONTAINER_STATE_RUNNING;
    bool completed = f->state == AGENT__CONTAINER_STATE__CONTAINER_STATE_TERMINATED && f->init &&
                     f->exit_code == 0 && f->signal == 0;
    s->name = text(c, str_of(f->name));
    s->state = state_of(c, f);
    s->last_state = message(c, sizeof *s->last_state, &core__container_state__descriptor);
    if (f->last != NULL)
        s->last_state->terminated = terminated(c, f->last);
    s->ready = s->has_ready = (running && f->ready) || completed;
    s->restart_count = (int32_t)f->restarts;
    s->has_restart_count = s->restart_count != 0;
    s->image = (char *)image_of(spec, f->init, f->name);
    s->image_id = text(c, str_of(f->image_id));
    if (f->state != AGENT__CONTAINER_STATE__CONTAINER_STATE_WAITING && f->container_id != NULL)
        s->container_id = (char *)arena_printf(&c->turn, "baton://%s", f->container_id).at;
    s->has_started = true;
    s->started = running && (!f->has_started || f->started);
    devices(c, f, s);
    return s;
}

static void containers(struct core *c, Core__Pod *pod, const Agent__WorkloadStatus *s)
{
    Core__PodStatus *st = pod->status;
    st->container_statuses = arena_zalloc(&c->turn, s->n_containers + 1, sizeof(void *));
    st->init_container_statuses = arena_zalloc(&c->turn, s->n_containers + 1, sizeof(void *));
    CHECK(st->container_statuses != NULL && st->init_container_statuses != NULL);
    st->n_container_statuses = st->n_init_container_statuses = 0;
    for (size_t i = 0; i < s->n_containers; i++) {
        Core__ContainerStatus *to = container(c, pod->spec, s->containers[i]);
        if (s->containers[i]->init)
            st->init_container_statuses[st->n_init_container_statuses++] = to;
        else
            st->container_statuses[st->n_container_statuses++] = to;
    }
}

/* ---- pods ---- */

static const char *phase_of(const Agent__WorkloadStatus *s, const char *before)
{
    switch (s->phase) {
    case AGENT__RUNTIME_PHASE__RUNTIME_PHASE_RUNNING:
        return "Running";
    case AGENT__RUNTIME_PHASE__RUNTIME_PHASE_SUCCEEDED:
        return "Succeeded";
    case AGENT__RUNTIME_PHASE__RUNTIME_PHASE_FAILED:
        return "Failed";
    case AGENT__RUNTIME_PHASE__RUNTIME_PHASE_STOPPING: /* Kubernetes has no phase for it. */
        return before == NULL ? "Pending" : before;
    case AGENT__RUNTIME_PHASE__RUNTIME_PHASE_UNKNOWN:
    case AGENT__RUNTIME_PHASE__RUNTIME_PHASE_PENDING:
    case AGENT__RUNTIME_PHASE__RUNTIME_PHASE_PREPARING:
    case _AGENT__RUNTIME_PHASE_IS_INT_SIZE:
        return "Pending";
    }
    return "Pending";
}

/* What is stored and carried out by nobody is said where `kubectl describe` shows it. */
static struct str not_honoured(struct core *c, struct str envelope)
{
    struct transcode_envelope open;
    struct str paths[MISSED_MAX], all = STR("");
    if (transcode_open(envelope, &open, NULL) != ERR_OK)
        return all;
    uint32_t count =
        kind_missed(kind_find(STR(""), STR("pods")), open.raw, &c->turn, paths, MISSED_MAX);
    for (uint32_t i = 0; i < min_u32(count, MISSED_MAX); i++)
        all = arena_printf(&c->turn, STR_FMT "%s" STR_FMT, STR_ARG(all), i == 0 ? "" : ", ",
                           STR_ARG(paths[i]));
    if (count > MISSED_MAX)
        all = arena_printf(&c->turn, STR_FMT " and %u more", STR_ARG(all), count - MISSED_MAX);
    return count == 0
               ? all
               : arena_printf(&c->turn, "stored, but not carried out yet: " STR_FMT, STR_ARG(all));
}

/* Once said it stays, and becomes False when a later version carries out what this one does not. */
static void missed_condition(struct core *c, Core__PodStatus *st, struct str envelope)
{
    static const char type[] = "baton.dev/NotHonoured";
    struct str missing = not_honoured(c, envelope);
    bool is_there = missing.len > 0;
    for (size_t i = 0; i < st->n_conditions; i++)
        is_there = is_there || str_is(str_of(st->conditions[i]->type), type);
    if (is_there)
        status_pod_condition(c, st, type, missing.len > 0,
                             missing.len > 0 ? "FieldNotCarriedOut" : NULL, missing);
}

static void pod_conditions(struct core *c, Core__Pod *pod, const Agent__WorkloadStatus *s)
{
    Core__PodStatus *st = pod->status;
    bool ready = st->n_container_statuses > 0, initialized = true;
    bool over = str_is(str_of(st->phase), "Succeeded"),
         failed = str_is(str_of(st->phase), "Failed");
    const char *why = over ? "PodCompleted" : failed ? "PodFailed" : "ContainersNotReady";
    struct str unready = STR("");
    for (size_t i = 0; i < st->n_container_statuses; i++)
        if (!st->container_statuses[i]->ready) {
            unready = arena_printf(&c->turn, STR_FMT "%s%s", STR_ARG(unready),
                                   unready.len == 0 ? "" : " ", st->container_statuses[i]->name);
            ready = false;
        }
    for (size_t i = 0; i < st->n_init_container_statuses; i++)
        initialized &= st->init_container_statuses[i]->ready;
    struct str unready_text =
        ready || over ? STR("")
                      : arena_printf(&c->turn, "containers with unready status: [" STR_FMT "]",
                                     STR_ARG(unready));
    status_pod_condition(c, st, "PodReadyToStartContainers", s->has_started_at_ns, NULL, STR(""));
    status_pod_condition(c, st, "Initialized", initialized,
                         initialized ? over ? "PodCompleted" : NULL : "ContainersNotInitialized",
                         STR(""));
    status_pod_condition(c, st, "Ready", ready, ready ? NULL : why, unready_text);
    status_pod_condition(c, st, "ContainersReady", ready, ready ? NULL : why, unready_text);
}

static void pod_addresses(struct core *c, Core__Pod *pod, const Agent__WorkloadStatus *s,
                          const struct node_state *n)
{
    Core__PodStatus *st = pod->status;
    const Baton__NodeHardwareSpec *hw = n->spec;
    const char *host = hw != NULL && hw->n_host_addresses > 0 ? hw->host_addresses[0] : NULL;
    const char *ip = s->n_ips > 0 ? s->ips[0] : pod->spec->host_network ? host : NULL;
    if (host != NULL) {
        st->host_ip = (char *)host;
        st->host_ips = arena_zalloc(&c->turn, 1, sizeof(void *));
        CHECK(st->host_ips != NULL);
        st->host_ips[0] = message(c, sizeof **st->host_ips, &core__host_ip__descriptor);
        st->host_ips[0]->ip = (char *)host;
        st->n_host_ips = 1;
    }
    if (ip != NULL) {
        st->pod_ip = text(c, str_of(ip));
        st->pod_ips = arena_zalloc(&c->turn, 1, sizeof(void *));
        CHECK(st->pod_ips != NULL);
        st->pod_ips[0] = message(c, sizeof **st->pod_ips, &core__pod_ip__descriptor);
        st->pod_ips[0]->ip = st->pod_ip;
        st->n_pod_ips = 1;
    }
}

static struct str wrap_pod(struct core *c, const Core__Pod *pod)
{
    struct str object = typed_wrap(&c->turn, "v1", "Pod", &pod->base);
    return object.len > STORE_VALUE_MAX - STATUS_ROOM ? (struct str){NULL, 0} : object;
}

/* An image's name may be as long as the rest of the pod, and every container's status says it again. */
static void cut_pod(struct core *c, Core__PodStatus *st)
{
    st->n_container_statuses = st->n_init_container_statuses = 0;
    st->message = text(c, TOO_LONG);
    for (size_t i = 0; i < st->n_conditions; i++)
        st->conditions[i]->message = NULL;
}

enum status_result status_pod(struct core *c, struct str envelope, const Agent__WorkloadStatus *s,
                              const struct node_state *n, struct str *out)
{
    Core__Pod *pod = specs_open(c->specs, &c->turn, envelope);
    if (pod == NULL || pod->spec == NULL || pod->metadata == NULL)
        return STATUS_NONE;
    struct str before = typed_wrap(&c->turn, "v1", "Pod", &pod->base);
    if (pod->status == NULL)
        pod->status = message(c, sizeof *pod->status, &core__pod_status__descriptor);
    pod->status->phase = (char *)phase_of(s, pod->status->phase);
    pod->status->reason = text(c, str_of(s->reason));
    pod->status->message = text(c, str_of(s->message));
    if (s->has_started_at_ns && pod->status->start_time == NULL)
        pod->status->start_time = objects_time(&c->turn, (struct wall){s->started_at_ns});
    containers(c, pod, s);
    pod_addresses(c, pod, s, n);
    pod_conditions(c, pod, s);
    missed_condition(c, pod->status, envelope);
    if (str_is(str_of(pod->status->reason), "Evicted")) /* For policies about pods that failed. */
        status_pod_condition(c, pod->status, "DisruptionTarget", true, "TerminationByKubelet",
                             str_of(pod->status->message));
    *out = wrap_pod(c, pod);
    if (out->at == NULL) {
        cut_pod(c, pod->status);
        *out = wrap_pod(c, pod);
    }
    return out->at == NULL ? STATUS_NONE : str_eq(before, *out) ? STATUS_SAME : STATUS_OTHER;
}

/* ---- machines ---- */

static void machine_interfaces(struct core *c, Kubevirt__VirtualMachineInstance *vm,
                               const Baton__PlacementSpec *p)
{
    Kubevirt__VirtualMachineInstanceStatus *st = vm->status;
    if (p == NULL || p->n_addresses == 0)
        return;
    const Kubevirt__Devices *d = vm->spec->domain->devices;
    Kubevirt__VirtualMachineInstanceNetworkInterface *to =
        message(c, sizeof *to, &kubevirt__virtual_machine_instance_network_interface__descriptor);
    st->interfaces = arena_zalloc(&c->turn, 1, sizeof(void *));
    to->ip_addresses = arena_zalloc(&c->turn, 1, sizeof(char *));
    CHECK(st->interfaces != NULL && to->ip_addresses != NULL);
    to->ip_address = p->addresses[0]->ip;
    to->ip_addresses[0] = p->addresses[0]->ip;
    to->n_ip_addresses = 1;
    to->mac = p->addresses[0]->mac;
    to->name = d != NULL && d->n_interfaces > 0 ? d->interfaces[0]->name : (char *)"default";
    to->info_source = (char *)"domain";
    st->interfaces[0] = to;
    st->n_interfaces = 1;
}

static struct str wrap_machine(struct core *c, const Kubevirt__VirtualMachineInstance *vm)
{
    struct str object = typed_wrap(&c->turn, "kubevirt.io/v1", "VirtualMachineInstance", &vm->base);
    return object.len > STORE_VALUE_MAX - STATUS_ROOM ? (struct str){NULL, 0} : object;
}

static void cut_machine(Kubevirt__VirtualMachineInstanceStatus *st)
{
    for (size_t i = 0; i < st->n_conditions; i++)
        st->conditions[i]->message = NULL;
}

enum status_result status_machine(struct core *c, struct str envelope,
                                  const Agent__WorkloadStatus *s, const Baton__PlacementSpec *p,
                                  struct str *out)
{
    Kubevirt__VirtualMachineInstance *vm =
        typed_open(&c->turn, &kubevirt__virtual_machine_instance__descriptor, envelope);
    if (vm == NULL || vm->spec == NULL || vm->spec->domain == NULL)
        return STATUS_NONE;
    struct str before = typed_wrap(&c->turn, "kubevirt.io/v1", "VirtualMachineInstance", &vm->base);
    if (vm->status == NULL)
        vm->status =
            message(c, sizeof *vm->status, &kubevirt__virtual_machine_instance_status__descriptor);
    const char *phase = phase_of(s, vm->status->phase);
    bool running = str_is(str_of(phase), "Running");
    bool leaving = s->phase == AGENT__RUNTIME_PHASE__RUNTIME_PHASE_STOPPING;
    status_machine_phase(c, vm->status, str_is(str_of(phase), "Pending") ? "Scheduled" : phase);
    const Agent__ContainerFact *f = s->n_containers > 0 ? s->containers[0] : NULL;
    struct str why = str_of(s->message);
    vm->status->reason = text(c, str_of(s->reason));
    if (f != NULL && f->state == AGENT__CONTAINER_STATE__CONTAINER_STATE_WAITING && why.len == 0)
        why = str_of(f->message);
    if (f != NULL && f->state != AGENT__CONTAINER_STATE__CONTAINER_STATE_RUNNING)
        running = false;
    if (running)
        machine_interfaces(c, vm, p);
    status_machine_condition(c, vm->status, "Ready", running,
                             running   ? NULL
                             : leaving ? "GuestStopping"
                                       : "GuestNotRunning",
                             running        ? STR("")
                             : why.len == 0 ? STR("Guest VM is not reported as running")
                                            : why);
    *out = wrap_machine(c, vm);
    if (out->at == NULL) {
        cut_machine(vm->status);
        *out = wrap_machine(c, vm);
    }
    return out->at == NULL ? STATUS_NONE : str_eq(before, *out) ? STATUS_SAME : STATUS_OTHER;
}
