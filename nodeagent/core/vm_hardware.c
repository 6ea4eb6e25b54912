/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of its host a guest sees: vCPUs in the order of the granted cpus, NUMA nodes that lie on the host's
 * (guestMappingPassthrough), devices beside them. All of it follows from the Placement and the NodeHardware.
 */
#include "nodeagent/core/agent_priv.h"
#include "nodeagent/core/devices.h"

static uint32_t node_of_cpu(const Baton__NodeHardwareSpec *hw, uint32_t cpu)
{
    for (size_t i = 0; hw != NULL && i < hw->n_threads; i++)
        if (hw->threads[i]->cpu == cpu)
            return hw->cores[hw->threads[i]->core]->numa_node;
    return 0;
}

/* As placed, threads of one core together, and the vCPUs' by NUMA node: so the guest's threads are the
 * host's, and each of its nodes has vCPUs in a row. What was granted beyond the vCPUs stands last. */
static void order_cpus(struct agent_turn *t, const struct workload *w, struct runtime_vm *vm)
{
    const Baton__ExclusiveCpus *x = w->placement->spec->exclusive;
    const Baton__NodeHardwareSpec *hw = t->agent->hardware;
    if (x == NULL || !w->holds || x->n_cpus < vm->vcpus)
        return;
    uint32_t *order = arena_zalloc(&t->arena, x->n_cpus, sizeof *order), count = 0;
    bool *taken = arena_zalloc(&t->arena, x->n_cpus, sizeof *taken);
    CHECK(order != NULL && taken != NULL);
    for (uint32_t first = 0; first < vm->vcpus; first++) {
        uint32_t node = node_of_cpu(hw, x->cpus[first]);
        for (uint32_t i = first; i < vm->vcpus; i++)
            if (!taken[i] && node_of_cpu(hw, x->cpus[i]) == node) {
                order[count++] = x->cpus[i];
                taken[i] = true;
            }
    }
    for (size_t i = vm->vcpus; i < x->n_cpus; i++)
        order[count++] = x->cpus[i];
    vm->order = order;
    vm->order_count = count;
}

static struct runtime_cell *cell_on(struct runtime_cell *at, uint32_t *count, uint32_t node)
{
    for (uint32_t i = 0; i < *count; i++)
        if (at[i].host_node == node)
            return &at[i];
    if (*count == RUNTIME_CELLS_MAX)
        return NULL;
    at[*count] = (struct runtime_cell){.host_node = node};
    return &at[(*count)++];
}

/* ACPI SLIT, in the order of NodeHardware's list. */
static uint32_t distance(const Baton__NodeHardwareSpec *hw, uint32_t from, uint32_t to)
{
    for (size_t i = 0; hw != NULL && i < hw->n_numa_nodes; i++)
        for (size_t k = 0; hw->numa_nodes[i]->id == from && k < hw->n_numa_nodes; k++)
            if (hw->numa_nodes[k]->id == to && k < hw->numa_nodes[i]->n_distances)
                return hw->numa_nodes[i]->distances[k];
    return 0;
}

static bool is_mapped(const struct workload *w)
{
    const Kubevirt__CPU *c = w->machine->spec->domain->cpu;
    return c != NULL && c->numa != NULL && c->numa->guest_mapping_passthrough != NULL;
}

/* Nodes with vCPUs in their order, then those that give memory alone. */
static void cells(struct agent_turn *t, const struct workload *w, struct runtime_vm *vm)
{
    const Baton__PlacementSpec *p = w->placement->spec;
    const Baton__NodeHardwareSpec *hw = t->agent->hardware;
    struct runtime_cell *at = arena_zalloc(&t->arena, RUNTIME_CELLS_MAX, sizeof *at), *c;
    uint32_t count = 0;
    CHECK(at != NULL);
    for (uint32_t i = 0; i < vm->vcpus && i < vm->order_count; i++) {
        c = cell_on(at, &count, node_of_cpu(hw, vm->order[i]));
        if (c == NULL)
            return; /* The ledger places on at most as many. */
        c->vcpu_first = c->vcpus_count == 0 ? i : c->vcpu_first;
        c->vcpus_count++;
    }
    for (size_t i = 0; i < p->n_hugepages; i++) {
        c = cell_on(at, &count, p->hugepages[i]->numa_node);
        if (c == NULL)
            return;
        c->memory_bytes += p->hugepages[i]->page_bytes * p->hugepages[i]->pages;
    }
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < count; k++)
            at[i].distances[k] = distance(hw, at[i].host_node, at[k].host_node);
    vm->cells = at;
    vm->cells_count = count;
}

/* In the order of the grants; which of the machine's wishes is which does not matter to the guest: it sees
 * them by what they are. */
static void hostdevs(struct agent_turn *t, const struct workload *w, struct runtime_vm *vm)
{
    const Baton__PlacementSpec *p = w->placement->spec;
    struct runtime_hostdev *at = arena_zalloc(&t->arena, p->n_devices + 1, sizeof *at);
    CHECK(at != NULL);
    for (size_t i = 0; i < p->n_devices; i++) {
        const Baton__DeviceGrant *g = p->devices[i];
        struct runtime_hostdev *to = &at[vm->hostdevs_count++];
        *to = (struct runtime_hostdev){
            .address = str_of(g->pci_address), .group = g->iommu_group, .cell = -1};
        for (uint32_t k = 0; k < vm->cells_count && g->has_numa_node; k++)
            if (vm->cells[k].host_node == g->numa_node)
                to->cell = (int32_t)k;
    }
    vm->hostdevs = at;
}

void vm_hardware(struct agent_turn *t, const struct workload *w, struct runtime_vm *vm)
{
    order_cpus(t, w, vm);
    if (is_mapped(w))
        cells(t, w, vm);
    hostdevs(t, w, vm);
}
