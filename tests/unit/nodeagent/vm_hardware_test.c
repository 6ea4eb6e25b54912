/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest sees of a host with two NUMA nodes of two cores with two threads each. */
#include "nodeagent/core/agent_priv.h"
#include "nodeagent/core/devices.h"
#include "tests/testlib/parse.h"

#define CORE(id, numa) "{\"id\":" #id ",\"numaNode\":" #numa "}"
#define THREAD(cpu, core) "{\"cpu\":" #cpu ",\"core\":" #core "}"

/* Numbered as Linux does: first all first threads. Its NUMA nodes are 0 and 4. */
static const char hardware[] =
    "{\"numaNodes\":[{\"id\":0,\"distances\":[10,21]},{\"id\":4,\"distances\":[21,10]}],\"cores\":"
    "[" CORE(0, 0) "," CORE(1, 4) "," CORE(2, 0) "," CORE(3, 4) "],\"threads\":[" THREAD(0, 0) "," THREAD(
        1,
        1) "," THREAD(2,
                      2) "," THREAD(3,
                                    3) "," THREAD(4,
                                                  0) "," THREAD(5,
                                                                1) "," THREAD(6,
                                                                              2) "," THREAD(7,
                                                                                            3) "]}";

struct guest {
    struct agent agent;
    struct agent_turn turn;
    struct workload workload;
    struct runtime_vm vm;
};

static void see(struct guest *g, const char *machine, const char *placement, uint32_t vcpus)
{
    *g = (struct guest){.vm.vcpus = vcpus};
    arena_init(&g->turn.arena, 16 << 20);
    g->turn.agent = &g->agent;
    g->agent.hardware = parse(&g->turn.arena, "baton.dev.v1.NodeHardwareSpec", hardware);
    g->workload.machine = parse(&g->turn.arena, "kubevirt.io.v1.VirtualMachineInstance", machine);
    g->workload.placement = parse(&g->turn.arena, "baton.dev.v1.Placement", placement);
    g->workload.holds = true;
    vm_hardware(&g->turn, &g->workload, &g->vm);
}

static void order_is(const struct guest *g, const uint32_t *want, uint32_t count)
{
    cr_assert_eq(g->vm.order_count, count);
    for (uint32_t i = 0; i < count; i++)
        cr_expect_eq(g->vm.order[i], want[i], "vCPU %u on %u, not on %u", i, g->vm.order[i],
                     want[i]);
}

/* Siblings stand together, so the guest's threads are the host's; the emulator's is the last. */
TEST(vm_hardware, threads_of_the_guest_are_the_hosts)
{
    struct guest g;
    see(&g, "{\"spec\":{\"domain\":{\"cpu\":{\"cores\":4}}}}",
        "{\"spec\":{\"exclusive\":{\"cpus\":[0,4,2,6,1],\"cores\":[0,2,1]}}}", 4);
    order_is(&g, (uint32_t[]){0, 4, 2, 6, 1}, 5);
    cr_assert_eq(g.vm.cells_count, 0);
    cr_assert_eq(g.vm.hostdevs_count, 0);
    arena_free(&g.turn.arena);
}

TEST(vm_hardware, the_guests_nodes_lie_on_the_hosts)
{
    struct guest g;
    see(&g, "{\"spec\":{\"domain\":{\"cpu\":{\"numa\":{\"guestMappingPassthrough\":{}}}}}}",
        "{\"spec\":{\"exclusive\":{\"cpus\":[0,4,1,5,2,6,3,7],\"cores\":[0,1,2,3]},\"hugepages\":["
        "{\"numaNode\":0,\"pageBytes\":2097152,\"pages\":32},{\"numaNode\":4,\"pageBytes\":2097152,"
        "\"pages\":31}],\"devices\":[{\"pciAddress\":\"0000:81:00.0\",\"numaNode\":4,"
        "\"iommuGroup\":"
        "20,\"vfio\":true},{\"pciAddress\":\"0000:90:00.0\",\"iommuGroup\":9,\"vfio\":true}]}}",
        8);
    order_is(&g, (uint32_t[]){0, 4, 2, 6, 1, 5, 3, 7}, 8);
    cr_assert_eq(g.vm.cells_count, 2);
    const struct runtime_cell *c = g.vm.cells;
    cr_expect(c[0].host_node == 0 && c[0].vcpu_first == 0 && c[0].vcpus_count == 4);
    cr_expect(c[1].host_node == 4 && c[1].vcpu_first == 4 && c[1].vcpus_count == 4);
    cr_expect_eq(c[0].memory_bytes, 64u << 20);
    cr_expect_eq(c[1].memory_bytes, 62u << 20);
    cr_expect(c[0].distances[1] == 21 && c[1].distances[1] == 10);
    cr_assert_eq(g.vm.hostdevs_count, 2);
    cr_expect(str_is(g.vm.hostdevs[0].address, "0000:81:00.0"));
    cr_expect(g.vm.hostdevs[0].cell == 1 && g.vm.hostdevs[0].group == 20);
    cr_expect_eq(g.vm.hostdevs[1].cell, -1, "nobody knows where it is");
    arena_free(&g.turn.arena);
}
