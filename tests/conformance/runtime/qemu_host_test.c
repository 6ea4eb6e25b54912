/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest sees of its host: NUMA nodes, the order of cpus, devices. */
#include "tests/conformance/runtime/qemu_rig.h"
#include "tests/testlib/test.h"

#include <unistd.h>

/* Two NUMA nodes in the guest, out of the one this machine has: as QEMU itself tells. vCPU 0 is on the last
 * cpu, because the order says so. */
TEST(qemu, the_guests_numa_nodes)
{
    static const struct runtime_cell cells[] = {
        {.vcpus_count = 1, .memory_bytes = 20 << 20, .distances = {10, 21}},
        {.vcpu_first = 1, .vcpus_count = 1, .memory_bytes = 12 << 20, .distances = {21, 10}}};
    static const uint32_t order[] = {1, 0};
    struct rig r = {0};
    struct runtime_spec spec;
    struct cpuset two = {.bits = {3}}, last = {.bits = {2}};
    if (!qemu_open(&r))
        return;
    if ((own.all.bits[0] & 3) == 3) {
        qemu_fill(&r, &spec, "c.guest.0", RIG_RUNS);
        spec.cpu = (struct runtime_cpu){.exclusive = true, .cpus = two, .pool = own.all};
        spec.vm.vcpus = 2;
        spec.vm.cells = cells, spec.vm.cells_count = 2;
        spec.vm.order = order, spec.vm.order_count = 2;
        qemu_assert_on(qemu_run(&r, &spec)->pid, "CPU 0/TCG", &last);
        const char *told = qemu_ask("c.guest.0", "query-memdev");
        cr_expect_not_null(strstr(told, "\"size\": 20971520"), "%s", told);
        cr_expect_not_null(strstr(told, "\"id\": \"ram1\""), "%s", told);
        told = qemu_ask("c.guest.0", "query-hotpluggable-cpus");
        cr_expect_not_null(strstr(told, "\"core-id\": 1, \"thread-id\": 0, \"node-id\": 1"), "%s",
                           told);
        cr_expect_not_null(strstr(told, "\"core-id\": 0, \"thread-id\": 0, \"node-id\": 0"), "%s",
                           told);
        qemu_reopen(&r);
        r.runtime->ops->list(r.runtime, ++r.last_op);
        rig_ok(&qemu_rig, &r, r.last_op);
        qemu_assert_on(rig_wait(&qemu_rig, &r, RUNTIME_FOUND, 0)->pid, "CPU 0/TCG", &last);
        qemu_destroy(&r, "c.guest.0");
    }
    rig_close(&qemu_rig, &r);
}

/* No machine of these tests has VFIO: the group that is not there is named, and nothing is left. */
TEST(qemu, a_device_without_its_group)
{
    static const struct runtime_hostdev device = {STR("0000:81:00.0"), 20, -1};
    struct rig r = {0};
    struct runtime_spec spec;
    if (access("/dev/vfio/20", F_OK) == 0 || !qemu_open(&r))
        return;
    qemu_fill(&r, &spec, "d.guest.0", RIG_RUNS);
    spec.vm.hostdevs = &device, spec.vm.hostdevs_count = 1;
    uint64_t op = rig_create(&r, &spec);
    const struct runtime_event *ev = rig_wait(&qemu_rig, &r, RUNTIME_DONE, op);
    cr_assert_eq(ev->code, ERR_UNAVAILABLE);
    cr_assert_str_eq(ev->text, "device 0000:81:00.0: /dev/vfio/20: No such file or directory");
    rig_close(&qemu_rig, &r);
}
