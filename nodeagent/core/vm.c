/* SPDX-License-Identifier: Apache-2.0 */
/* What a virtual machine is to its node: one instance, its images, and what it is created with.
 * Names are KubeVirt's (VirtualMachineInstanceSpec). A guest that shuts down has succeeded; one that
 * crashes has failed; neither is run again. */
#include "base/mem.h"
#include "nodeagent/core/agent_priv.h"
#include "nodeagent/core/devices.h"

#include <stdio.h>

/* An empty devices section is stored as none. */
static const Kubevirt__Devices *devices_of(const struct workload *w)
{
    static const Kubevirt__Devices none = KUBEVIRT__DEVICES__INIT;
    const Kubevirt__Devices *d = w->machine->spec->domain->devices;
    return d == NULL ? &none : d;
}

static bool plan(struct workload *w, char *text, size_t size)
{
    (void)text;
    (void)size;
    w->instances = mem_zalloc(1, sizeof *w->instances);
    w->instances_count = 1;
    snprintf(w->instances[0].name, sizeof w->instances[0].name, "guest");
    return true;
}

static bool ready(const struct workload *w, uint32_t n)
{
    (void)w;
    (void)n;
    return true;
}

static bool again(struct workload *w, uint32_t n)
{
    const struct instance_end *end = &w->instances[n].end;
    if (!w->unwanted && !w->ended) {
        w->ended = true;
        w->failed = end->exit_code != 0 || end->signal != 0;
    }
    return false;
}

static struct str root_of(struct agent_turn *t, const struct workload *w, uint32_t k)
{
    return arena_printf(&t->arena, STR_FMT "/roots/image-%u",
                        STR_ARG(workload_dir(t->agent, &t->arena, w)), k);
}

static const Kubevirt__KernelBootContainer *kernel_of(const struct workload *w)
{
    const Kubevirt__Firmware *f = w->machine->spec->domain->firmware;
    return f == NULL || f->kernel_boot == NULL ? NULL : f->kernel_boot->container;
}

/* Images in order: the kernel's, then every containerDisk's. */
static bool image(struct agent_turn *t, const struct workload *w, uint32_t n, uint32_t k,
                  struct agent_fx_image *out)
{
    const Kubevirt__KernelBootContainer *kernel = kernel_of(w);
    const char *reference = NULL, *policy = NULL;
    uint32_t at = kernel != NULL ? 1 : 0;
    (void)n;
    if (kernel != NULL && k == 0) {
        reference = kernel->image;
        policy = kernel->image_pull_policy;
    }
    for (size_t i = 0; reference == NULL && i < w->machine->spec->n_volumes; i++) {
        const Kubevirt__Volume *v = w->machine->spec->volumes[i];
        if (v->container_disk == NULL || at++ != k)
            continue;
        reference = v->container_disk->image;
        policy = v->container_disk->image_pull_policy;
    }
    if (reference == NULL)
        return false;
    *out = (struct agent_fx_image){.reference = str_of(reference),
                                   .root = root_of(t, w, k),
                                   .read_only = true,
                                   .always = str_is(str_of(policy), "Always"),
                                   .never = str_is(str_of(policy), "Never")};
    return true;
}

/* A file of image k, named by its absolute path in there. */
static struct str file_of(struct agent_turn *t, const struct workload *w, uint32_t k,
                          const char *path)
{
    if (path == NULL || path[0] == '\0')
        return STR("");
    return arena_printf(&t->arena, STR_FMT "/rootfs%s%s", STR_ARG(root_of(t, w, k)),
                        path[0] == '/' ? "" : "/", path);
}

static const Kubevirt__Volume *volume_of(const struct workload *w, const char *name,
                                         uint32_t *out_image)
{
    uint32_t k = kernel_of(w) != NULL ? 1 : 0;
    for (size_t i = 0; i < w->machine->spec->n_volumes; i++) {
        const Kubevirt__Volume *v = w->machine->spec->volumes[i];
        if (str_eq(str_of(v->name), str_of(name)))
            return *out_image = k, v;
        k += v->container_disk != NULL ? 1 : 0;
    }
    return NULL;
}

static bool disk(struct agent_turn *t, const struct workload *w, const Kubevirt__Disk *d,
                 struct runtime_disk *out, char *text, size_t size)
{
    uint32_t k = 0;
    const Kubevirt__Volume *v = volume_of(w, d->name, &k);
    out->name = str_of(d->name);
    if (v != NULL && v->container_disk != NULL) {
        const char *path = v->container_disk->path;
        if (str_goes_up(str_of(path)))
            return snprintf(text, size, "disk %s: its path leaves the image", d->name), false;
        /* KubeVirt's default is the one file under /disk; the runtime takes a directory for that. */
        out->path = file_of(t, w, k, path == NULL || path[0] == '\0' ? "/disk" : path);
        out->ephemeral = true;
    } else if (v != NULL && v->empty_disk != NULL) {
        out->size_bytes = (uint64_t)workload_quantity(v->empty_disk->capacity);
        out->ephemeral = true;
    } else {
        return snprintf(text, size, "disk %s: its volume's source is not supported yet", d->name),
               false;
    }
    if (d->disk != NULL) {
        out->bus = str_of(d->disk->bus);
        out->read_only = d->disk->readonly;
    } else if (d->cdrom != NULL) {
        out->bus = str_of(d->cdrom->bus);
        out->cdrom = out->read_only = true;
    } else if (d->lun != NULL) {
        return snprintf(text, size, "disk %s: lun is not supported yet", d->name), false;
    }
    return true;
}

static bool disks(struct agent_turn *t, const struct workload *w, struct runtime_vm *vm, char *text,
                  size_t size)
{
    const Kubevirt__Devices *d = devices_of(w);
    if (d->n_disks > RUNTIME_DISKS_MAX)
        return snprintf(text, size, "more than %d disks", RUNTIME_DISKS_MAX), false;
    struct runtime_disk *at = arena_zalloc(&t->arena, d->n_disks + 1, sizeof *at);
    CHECK(at != NULL);
    for (size_t i = 0; i < d->n_disks; i++)
        if (!disk(t, w, d->disks[i], &at[i], text, size))
            return false;
    vm->disks = at;
    vm->disks_count = (uint32_t)d->n_disks;
    return true;
}

/* The pod network's alone, with the Placement's address and MAC. */
static void nics(struct agent_turn *t, const struct workload *w, struct runtime_vm *vm)
{
    const Kubevirt__Devices *d = devices_of(w);
    const Baton__PlacementSpec *p = w->placement->spec;
    struct runtime_nic *nic = arena_zalloc(&t->arena, 1, sizeof *nic);
    CHECK(nic != NULL);
    if (p->n_addresses == 0 || w->network[0] == '\0')
        return;
    unsigned m[6] = {0};
    if (p->addresses[0]->mac != NULL && sscanf(p->addresses[0]->mac, "%2x:%2x:%2x:%2x:%2x:%2x", m,
                                               m + 1, m + 2, m + 3, m + 4, m + 5) == 6)
        for (uint32_t k = 0; k < 6; k++)
            nic->mac[k] = (uint8_t)m[k];
    nic->tap = str_of(w->network);
    for (size_t i = 0; i < d->n_interfaces; i++)
        if (d->interfaces[i]->sriov == NULL)
            nic->model = str_of(d->interfaces[i]->model);
    vm->nics = nic;
    vm->nics_count = 1;
}

static uint64_t guest_memory(const struct workload *w)
{
    const Kubevirt__DomainSpec *d = w->machine->spec->domain;
    if (d->memory != NULL && d->memory->guest != NULL)
        return (uint64_t)workload_quantity(d->memory->guest);
    uint64_t bytes = w->placement->spec->memory_bytes; /* requests.memory, as it was decided. */
    for (size_t i = 0; i < w->placement->spec->n_hugepages; i++)
        bytes +=
            w->placement->spec->hugepages[i]->page_bytes * w->placement->spec->hugepages[i]->pages;
    return bytes;
}

/* Huge pages are counted apart, by a controller of their own. */
static void memory(const struct workload *w, struct runtime_spec *out)
{
    const Baton__PlacementSpec *p = w->placement->spec;
    if (p->n_hugepages > 0)
        out->vm.page_bytes = p->hugepages[0]->page_bytes;
    for (size_t i = 0; i < p->n_hugepages; i++) {
        uint64_t bytes = p->hugepages[i]->page_bytes * p->hugepages[i]->pages;
        *(p->hugepages[i]->page_bytes >> 30 > 0 ? &out->huge_1g_bytes : &out->huge_2m_bytes) +=
            bytes;
    }
    out->memory_max_bytes = p->overhead_bytes + (p->n_hugepages > 0 ? 0 : out->vm.memory_bytes);
}

static void processors(const struct workload *w, struct runtime_spec *out)
{
    const Kubevirt__CPU *c = w->machine->spec->domain->cpu;
    struct runtime_vm *vm = &out->vm;
    vm->cores = c != NULL && c->cores != 0 ? c->cores : 1;
    vm->sockets = c != NULL && c->sockets != 0 ? c->sockets : 1;
    vm->threads = c != NULL && c->threads != 0 ? c->threads : 1;
    vm->vcpus = vm->cores * vm->sockets * vm->threads;
    if (c != NULL && c->model != NULL && !str_starts(str_of(c->model), STR("host-")))
        vm->cpu_model = str_of(c->model);
    if (!w->holds)
        out->cpu.weight_milli = w->placement->spec->shared_millis;
}

static bool boot(struct agent_turn *t, const struct workload *w, struct runtime_vm *vm, char *text,
                 size_t size)
{
    const Kubevirt__DomainSpec *d = w->machine->spec->domain;
    const Kubevirt__KernelBootContainer *k = kernel_of(w);
    if (k != NULL && (str_goes_up(str_of(k->kernel_path)) || str_goes_up(str_of(k->initrd_path))))
        return snprintf(text, size, "kernelBoot: a path leaves the image"), false;
    if (k != NULL) {
        vm->kernel = file_of(t, w, 0, k->kernel_path);
        vm->initrd = file_of(t, w, 0, k->initrd_path);
        vm->kernel_args = str_of(d->firmware->kernel_boot->kernel_args);
    }
    if (d->machine != NULL)
        vm->machine = str_of(d->machine->type);
    vm->uuid = d->firmware != NULL && d->firmware->uuid != NULL ? str_of(d->firmware->uuid)
                                                                : str_of(w->uid);
    return true;
}

static bool spec(struct agent_turn *t, const struct workload *w, uint32_t n,
                 const struct agent_image *img, struct runtime_spec *out, char *text, size_t size)
{
    struct runtime_vm *vm = &out->vm;
    const struct instance *i = &w->instances[n];
    (void)img;
    out->directory =
        arena_printf(&t->arena, STR_FMT "/run/%s", STR_ARG(t->agent->config.state_dir), i->id);
    vm->memory_bytes = guest_memory(w);
    if (vm->memory_bytes == 0)
        return snprintf(text, size, "the machine's memory is not known"), false;
    memory(w, out);
    vm->accelerator = t->agent->config.accelerator;
    vm->serial_log = arena_printf(&t->arena, STR_FMT "/guest/serial.log",
                                  STR_ARG(workload_log_dir(t->agent, &t->arena, w)));
    vm->serial_socket = arena_printf(&t->arena, STR_FMT "/run/%s.console",
                                     STR_ARG(t->agent->config.state_dir), w->uid);
    processors(w, out);
    vm_hardware(t, w, vm);
    nics(t, w, vm);
    return boot(t, w, vm, text, size) && disks(t, w, vm, text, size);
}

const struct workload_kind workload_vm = {
    .plan = plan,
    .ready = ready,
    .again = again,
    .image = image,
    .spec = spec,
    .runtime = RUNTIME_VM,
};
