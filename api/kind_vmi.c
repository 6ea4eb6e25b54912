/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VirtualMachineInstance, with KubeVirt's names (kubevirt.io/v1). What we do not honour is refused with
 * its path, never ignored: a guest that silently lacks a device is worse than a manifest that is sent
 * back. The schema says what we honour: a field of proto/kubevirt has a comment exactly then, so
 * the description that `kubectl explain` shows and this check cannot disagree.
 */
#include "api/honoured.h"
#include "api/pod.h"
#include "api/policy.h"
#include "api/parts.h"
#include "api/vmi.h"
#include "base/wire.h"

enum { VCPUS_MAX = 512 }; /* KubeVirt's own cap. */

/* ------------------------------------------------------------------ what is not honoured, by the schema */

static void refuse(void *owner, const struct field *at)
{
    struct kind_call *c = owner;
    causes_add(&c->causes, CAUSE_FORBIDDEN, at, "Baton does not support this yet");
}

static bool is_known(const struct schema_field *f, struct str value)
{
    for (uint32_t i = 0; i < f->rule->values_count; i++)
        if (str_eq(f->rule->values[i], value))
            return true;
    return false;
}

/* KubeVirt's own messages alone: what is Kubernetes' has rules of its own. */
static void values_validate(struct kind_call *c, const struct schema_message *m, struct str raw,
                            const struct field *up)
{
    struct wire_reader r = wire_read(raw);
    struct wire_field w;
    uint32_t index = 0, number = 0;
    while (wire_next(&r, &w)) {
        const struct schema_field *f = schema_numbered(m, w.number);
        index = w.number == number ? index + 1 : 0;
        number = w.number;
        if (f == NULL || w.type != WIRE_BYTES)
            continue;
        struct field at = field_name(up, f->json.at), element = field_index(&at, index);
        if (f->rule->values_count > 0 && !is_known(f, w.bytes))
            causes_invalid(&c->causes, &at, w.bytes, "is none of the values allowed here");
        else if (f->type == SCHEMA_MESSAGE && !f->map &&
                 str_starts(f->message->full, STR("kubevirt.io.v1.")))
            values_validate(c, f->message, w.bytes, f->repeated ? &element : &at);
    }
}

/* ------------------------------------------------------------------ CPU and memory */

static bool amount(const Resource__Quantity *q, struct quantity *out)
{
    struct err e;
    return q != NULL && quantity_parse(kind_str(q->string), out, &e) == ERR_OK;
}

static bool requested(const Kubevirt__ResourceRequirements *r, const char *name,
                      struct quantity *out)
{
    for (size_t i = 0; r != NULL && i < r->n_requests; i++)
        if (is_text(r->requests[i]->key, name))
            return amount(r->requests[i]->value, out);
    for (size_t i = 0; r != NULL && i < r->n_limits; i++)
        if (is_text(r->limits[i]->key, name))
            return amount(r->limits[i]->value, out);
    return false;
}

static uint64_t at_least_one(uint32_t n)
{
    return n == 0 ? 1 : n;
}

static uint64_t vcpus_of(const Kubevirt__CPU *cpu)
{
    uint64_t vcpus = at_least_one(cpu->cores) * at_least_one(cpu->sockets);
    return vcpus > VCPUS_MAX ? vcpus : vcpus * at_least_one(cpu->threads);
}

static void cpu_validate(struct kind_call *c, const Kubevirt__DomainSpec *d, const struct field *at)
{
    struct field cpu = field_name(at, "cpu"), resources = field_name(at, "resources");
    struct field requests = field_name(&resources, "requests"),
                 ask = field_key(&requests, STR("cpu"));
    struct quantity asked;
    if (d->cpu == NULL)
        return;
    uint64_t vcpus = vcpus_of(d->cpu);
    if (vcpus > VCPUS_MAX)
        causes_invalid_i64(&c->causes, &cpu, (int64_t)vcpus,
                           "cores x sockets x threads may not be more than 512");
    struct field isolate = field_name(&cpu, "isolateEmulatorThread");
    if (d->cpu->isolate_emulator_thread && !d->cpu->dedicated_cpu_placement)
        causes_invalid(&c->causes, &isolate, STR("true"), "needs dedicatedCpuPlacement");
    if (!d->cpu->dedicated_cpu_placement || !requested(d->resources, "cpu", &asked))
        return;
    if (asked.nano != (__int128)vcpus * 1000000000)
        causes_add(&c->causes, CAUSE_INVALID, &ask,
                   "\"%lldm\": with dedicatedCpuPlacement it must be the number of vCPUs, %llu",
                   (long long)quantity_milli(&asked), (unsigned long long)vcpus);
}

static void memory_validate(struct kind_call *c, const Kubevirt__DomainSpec *d,
                            const struct field *at)
{
    static const char *const sizes[] = {"2Mi", "1Gi", NULL};
    struct field memory = field_name(at, "memory"), guest = field_name(&memory, "guest");
    struct field huge = field_name(&memory, "hugepages"), size = field_name(&huge, "pageSize");
    struct quantity q;
    bool has_guest = d->memory != NULL && amount(d->memory->guest, &q);
    if (!has_guest && !requested(d->resources, "memory", &q)) {
        causes_add(&c->causes, CAUSE_REQUIRED, &guest,
                   "how much memory the guest has, here or in resources.requests.memory");
        return;
    }
    if (q.nano < (__int128)(16 << 20) * 1000000000)
        causes_invalid_i64(&c->causes, &guest, quantity_units(&q), "must be at least 16Mi");
    if (d->memory == NULL || d->memory->hugepages == NULL)
        return;
    check_one_of(c, &size, d->memory->hugepages->page_size, sizes);
    __int128 page = is_text(d->memory->hugepages->page_size, "1Gi") ? 1 << 30 : 2 << 20;
    if (q.nano % (page * 1000000000) != 0)
        causes_invalid(&c->causes, has_guest ? &guest : &size,
                       has_guest ? kind_str(d->memory->guest->string)
                                 : kind_str(d->memory->hugepages->page_size),
                       "the guest's memory must be a multiple of the page size");
}

static void not_negative(struct kind_call *c, const Resource__Quantity *q, const char *name,
                         const struct field *list)
{
    struct field f = field_key(list, kind_str(name));
    struct quantity is;
    if (amount(q, &is) && is.nano < 0)
        causes_invalid(&c->causes, &f, kind_str(q->string), "must be greater than or equal to 0");
}

/* As Kubernetes does for containers: an amount that is asked for is one, and fits under its limit. */
static void resources_validate(struct kind_call *c, const Kubevirt__ResourceRequirements *r,
                               const struct field *at)
{
    struct field requests = field_name(at, "requests"), limits = field_name(at, "limits");
    for (size_t i = 0; r != NULL && i < r->n_limits; i++)
        not_negative(c, r->limits[i]->value, r->limits[i]->key, &limits);
    for (size_t i = 0; r != NULL && i < r->n_requests; i++)
        not_negative(c, r->requests[i]->value, r->requests[i]->key, &requests);
    for (size_t i = 0; r != NULL && i < r->n_requests; i++)
        for (size_t k = 0; k < r->n_limits; k++) {
            struct field one = field_key(&requests, kind_str(r->requests[i]->key));
            struct quantity asked, limit;
            if (!is_text(r->limits[k]->key, kind_str(r->requests[i]->key).at) ||
                !amount(r->requests[i]->value, &asked) || !amount(r->limits[k]->value, &limit) ||
                quantity_cmp(&asked, &limit) <= 0)
                continue;
            causes_add(&c->causes, CAUSE_INVALID, &one,
                       "\"%s\": must be less than or equal to %s limit of %s",
                       r->requests[i]->value->string, r->requests[i]->key,
                       r->limits[k]->value->string);
        }
}

/* ------------------------------------------------------------------ disks, volumes */

static const Kubevirt__Volume *volume_of(const Kubevirt__VirtualMachineInstanceSpec *s,
                                         const char *name)
{
    for (size_t i = 0; i < s->n_volumes; i++)
        if (is_text(s->volumes[i]->name, name))
            return s->volumes[i];
    return NULL;
}

static void once(struct kind_call *c, const struct field *list, size_t i, const char *name,
                 bool is_taken)
{
    struct field at = field_index(list, i), f = field_name(&at, "name");
    struct str quoted = status_quote(c->arena, kind_str(name));
    if (is_empty(name))
        causes_add(&c->causes, CAUSE_REQUIRED, &f, "%s", "");
    else if (is_taken)
        causes_add(&c->causes, CAUSE_DUPLICATE, &f, STR_FMT, STR_ARG(quoted));
}

static void disks_validate(struct kind_call *c, const Kubevirt__VirtualMachineInstanceSpec *s,
                           const struct field *at)
{
    struct field domain = field_name(at, "domain"), devices = field_name(&domain, "devices");
    struct field list = field_name(&devices, "disks");
    const Kubevirt__Devices *d = s->domain->devices;
    for (size_t i = 0; d != NULL && i < d->n_disks; i++) {
        struct field one = field_index(&list, i), f = field_name(&one, "name");
        bool is_taken = false;
        for (size_t n = 0; n < i; n++)
            is_taken = is_taken || is_text(d->disks[n]->name, kind_str(d->disks[i]->name).at);
        once(c, &list, i, d->disks[i]->name, is_taken);
        if (!is_empty(d->disks[i]->name) && volume_of(s, d->disks[i]->name) == NULL)
            causes_invalid(&c->causes, &f, kind_str(d->disks[i]->name),
                           "no volume in spec.volumes has this name");
    }
}

static bool has_disk(const Kubevirt__VirtualMachineInstanceSpec *s, const char *name)
{
    for (size_t i = 0; s->domain->devices != NULL && i < s->domain->devices->n_disks; i++)
        if (is_text(s->domain->devices->disks[i]->name, name))
            return true;
    return false;
}

static void volumes_validate(struct kind_call *c, const Kubevirt__VirtualMachineInstanceSpec *s,
                             const struct field *at)
{
    struct field list = field_name(at, "volumes");
    for (size_t i = 0; i < s->n_volumes; i++) {
        const Kubevirt__Volume *v = s->volumes[i];
        struct field one = field_index(&list, i), name = field_name(&one, "name");
        struct field disk = field_name(&one, "containerDisk"), image = field_name(&disk, "image");
        struct field scratch = field_name(&one, "emptyDisk");
        struct field capacity = field_name(&scratch, "capacity");
        struct quantity q;
        once(c, &list, i, v->name, volume_of(s, kind_str(v->name).at) != v && !is_empty(v->name));
        if ((v->container_disk != NULL) + (v->empty_disk != NULL) > 1)
            causes_add(&c->causes, CAUSE_FORBIDDEN, &one, "may not specify more than 1 source");
        if (v->container_disk != NULL && is_empty(v->container_disk->image))
            causes_add(&c->causes, CAUSE_REQUIRED, &image, "%s", "");
        if (v->empty_disk != NULL && (!amount(v->empty_disk->capacity, &q) || q.nano <= 0))
            causes_add(&c->causes, CAUSE_REQUIRED, &capacity, "a size above 0");
        if (!is_empty(v->name) && !has_disk(s, v->name))
            causes_invalid(&c->causes, &name, kind_str(v->name),
                           "no disk in spec.domain.devices.disks has this name");
    }
}

/* ------------------------------------------------------------------ the row */

/* A guest without networks is in the pod network, unless it says that it wants none. */
static void network_default(struct kind_call *c, Kubevirt__VirtualMachineInstanceSpec *s)
{
    Kubevirt__Devices *d = s->domain->devices;
    bool declined = d != NULL && d->has_autoattach_pod_interface && !d->autoattach_pod_interface;
    Kubevirt__Network *network = kind_new(c->arena, &kubevirt__network__descriptor);
    Kubevirt__Interface *nic = kind_new(c->arena, &kubevirt__interface__descriptor);
    if (declined || s->n_networks > 0 || network == NULL || nic == NULL ||
        (d != NULL && d->n_interfaces > 0))
        return;
    if (d == NULL)
        d = s->domain->devices = kind_new(c->arena, &kubevirt__devices__descriptor);
    if (d == NULL)
        return;
    default_text(&network->name, "default");
    default_text(&nic->name, "default");
    network->pod = kind_new(c->arena, &kubevirt__pod_network__descriptor);
    nic->masquerade = kind_new(c->arena, &kubevirt__interface_masquerade__descriptor);
    s->networks = kind_grow(c->arena, &network, 1, 0);
    s->n_networks = s->networks != NULL;
    d->interfaces = kind_grow(c->arena, &nic, 1, 0);
    d->n_interfaces = d->interfaces != NULL;
}

static void vmi_prepare(struct kind_call *c, ProtobufCMessage *object, const ProtobufCMessage *old)
{
    Kubevirt__VirtualMachineInstance *v = (Kubevirt__VirtualMachineInstance *)object;
    (void)old;
    if (v->spec == NULL)
        v->spec = kind_new(c->arena, &kubevirt__virtual_machine_instance_spec__descriptor);
    if (v->spec == NULL || c->write != KIND_CREATE)
        return;
    if (v->spec->domain == NULL)
        v->spec->domain = kind_new(c->arena, &kubevirt__domain_spec__descriptor);
    v->status = kind_new(c->arena, &kubevirt__virtual_machine_instance_status__descriptor);
    if (v->spec->domain == NULL || v->status == NULL)
        return;
    default_text(&v->status->phase, "Pending");
    network_default(c, v->spec);
    int32_t ours;
    const char *class = v->spec->priority_class_name;
    if (!is_empty(class) && !c->priority.is_known && !kind_system_priority(kind_str(class), &ours))
        kind_deny(c, "no PriorityClass with name %s was found", class);
}

static void vmi_validate(struct kind_call *c, const ProtobufCMessage *object,
                         const ProtobufCMessage *old)
{
    const Kubevirt__VirtualMachineInstance *v = (const Kubevirt__VirtualMachineInstance *)object;
    const Kubevirt__VirtualMachineInstance *was = (const Kubevirt__VirtualMachineInstance *)old;
    const struct schema_message *m =
        schema_message(STR("kubevirt.io.v1.VirtualMachineInstanceSpec"));
    struct field spec = field_name(NULL, "spec"), domain = field_name(&spec, "domain");
    if (c->write == KIND_STATUS)
        return;
    if (was != NULL && !kind_same(&v->spec->base, was->spec == NULL ? NULL : &was->spec->base)) {
        causes_add(&c->causes, CAUSE_FORBIDDEN, &spec, "is fixed once the instance was created");
        return;
    }
    if (was != NULL || v->spec->domain == NULL || m == NULL)
        return;
    struct field volumes = field_name(&spec, "volumes"), devices = field_name(&domain, "devices");
    struct field affinity = field_name(&spec, "affinity");
    struct field resources = field_name(&domain, "resources");
    const Kubevirt__Devices *d = v->spec->domain->devices;
    if (!check_count(c, &volumes, v->spec->n_volumes + v->spec->n_networks) ||
        (d != NULL &&
         !check_count(c, &devices, d->n_disks + d->n_interfaces + d->n_host_devices + d->n_gpus)))
        return;
    struct str raw = kind_bytes(&v->spec->base, c->arena);
    honoured_each(&(struct honoured){.found = refuse, .owner = c}, m, raw, &spec);
    values_validate(c, m, raw, &spec);
    cpu_validate(c, v->spec->domain, &domain);
    memory_validate(c, v->spec->domain, &domain);
    resources_validate(c, v->spec->domain->resources, &resources);
    const Kubevirt__CPU *cpu = v->spec->domain->cpu;
    bool is_exclusive = cpu != NULL && cpu->dedicated_cpu_placement;
    policy_validate(c, v->metadata,
                    is_exclusive ? vcpus_of(cpu) + cpu->isolate_emulator_thread : 0);
    parts_refuse(c, v->metadata);
    disks_validate(c, v->spec, &spec);
    volumes_validate(c, v->spec, &spec);
    vmi_networks_validate(c, v->spec, &spec);
    vmi_devices_validate(c, v->spec, &spec);
    vmi_numa_validate(c, v->spec->domain, &domain);
    pod_affinity_validate(c, v->spec->affinity, &affinity);
    pod_spreads_validate(c, v->spec->topology_spread_constraints,
                         v->spec->n_topology_spread_constraints, &spec);
    pod_tolerations_validate(c, v->spec->tolerations, v->spec->n_tolerations, &spec);
}

/* ------------------------------------------------------------------ columns */

static struct str condition(const Kubevirt__VirtualMachineInstanceStatus *s, const char *type)
{
    for (size_t i = 0; s != NULL && i < s->n_conditions; i++)
        if (is_text(s->conditions[i]->type, type))
            return kind_str(s->conditions[i]->status);
    return STR("");
}

static struct kind_cell vmi_cell(const void *object, struct str column, struct arena *a)
{
    const Kubevirt__VirtualMachineInstanceStatus *s =
        ((const Kubevirt__VirtualMachineInstance *)object)->status;
    struct str text = STR("");
    (void)a;
    if (str_is(column, "IP") && s != NULL && s->n_interfaces > 0)
        text = kind_str(s->interfaces[0]->ip_address);
    else if (str_is(column, "Ready"))
        text = condition(s, "Ready");
    else if (str_is(column, "Live-Migratable"))
        text = condition(s, "LiveMigratable");
    else if (str_is(column, "Paused"))
        text = condition(s, "Paused");
    return (struct kind_cell){.text = text};
}

static const char *const vmi_fields[] = {"status.phase", "status.nodeName", NULL};
static const struct kind_subresource vmi_subresources[] = {
    {"status", NULL, NULL, NULL, "get patch update"},
    {NULL, NULL, NULL, NULL, NULL},
};

const struct kind kind_vmi = {
    .group = "kubevirt.io",
    .plural = "virtualmachineinstances",
    .name_rule = name_subdomain,
    .flags = KIND_COUNTS | KIND_DELETED_BODY,
    .fields = vmi_fields,
    .subresources = vmi_subresources,
    .prepare = vmi_prepare,
    .validate = vmi_validate,
    .cell = vmi_cell,
};
