/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine of two sockets, each a NUMA node of four cores with a GPU; the second has a network card of four
 * virtual functions, and somewhere is a device that three may share. Who asks gets exact ones.
 */
#include "tests/story/story.h"

#include <stdio.h>

#define GPU(id, address, numa, group)                                                              \
    "{\"id\":" #id ",\"class\":\"gpu\",\"resource\":\"nvidia.com/A100\",\"pciAddress\":\"" address \
    "\",\"numaNode\":" #numa ",\"iommuGroup\":" #group ",\"paths\":[\"/dev/dri/card" #id "\"],"    \
    "\"companions\":[\"0000:" #group ":00.1\"]}"
#define VF(id, n, group)                                                                           \
    "{\"id\":" #id                                                                                 \
    ",\"class\":\"nic-vf\",\"resource\":\"intel.com/vf\",\"pciAddress\":\"0000:c1:02." #n          \
    "\",\"numaNode\":1,\"iommuGroup\":" #group ",\"parent\":2,\"driver\":\"vfio-pci\"}"
#define CORE(id, numa)                                                                             \
    "{\"id\":" #id ",\"socket\":" #numa ",\"numaNode\":" #numa ",\"cacheDomain\":" #numa "}"
#define THREAD(cpu, numa)                                                                          \
    "{\"cpu\":" #cpu ",\"core\":" #cpu ",\"numaNode\":" #numa ",\"cacheDomain\":" #numa "}"

static const char two_sockets[] =
    "{\"sockets\":[{\"id\":0},{\"id\":1}],\"numaNodes\":["
    "{\"id\":0,\"memoryBytes\":8589934592,\"hugepages\":[{\"pageBytes\":2097152,\"pages\":"
    "1024}]},"
    "{\"id\":1,\"socket\":1,\"memoryBytes\":8589934592,"
    "\"hugepages\":[{\"pageBytes\":2097152,\"pages\":1024}]}],"
    "\"cacheDomains\":[{\"id\":0,\"ways\":9,\"bandwidthStepPercent\":10,\"resctrlId\":0},{\"id\":1,"
    "\"socket\":1,\"ways\":9,\"bandwidthStepPercent\":10,\"resctrlId\":1}],\"cacheGroups\":3,"
    "\"cores\":[" CORE(0, 0) "," CORE(1, 0) "," CORE(2, 0) "," CORE(3, 0) "," CORE(4, 1) "," CORE(5, 1) "," CORE(6, 1) "," CORE(7, 1) "],\"threads\":[" THREAD(0, 0) "," THREAD(1, 0) "," THREAD(
        2,
        0) "," THREAD(3,
                      0) "," THREAD(4,
                                    1) "," THREAD(5,
                                                  1) "," THREAD(6,
                                                                1) "," THREAD(7,
                                                                              1) "],"
                                                                                 "\"sharedCores\":"
                                                                                 "1,"
                                                                                 "\"accelerator\":{"
                                                                                 "\"name\":\"kvm\"}"
                                                                                 ",\"vmmOverhead\":"
                                                                                 "{\"vmBytes\":"
                                                                                 "41943040},"
                                                                                 "\"devices\":"
                                                                                 "[" GPU(0, "0000:41:00.0", 0, 41) "," GPU(
                                                                                     1,
                                                                                     "0000:81:00.0",
                                                                                     1,
                                                                                     81) ","
                                                                                         "{\"id\":"
                                                                                         "2,"
                                                                                         "\"class\""
                                                                                         ":\"nic\","
                                                                                         "\"pciAddr"
                                                                                         "ess\":"
                                                                                         "\"0000:"
                                                                                         "c1:00."
                                                                                         "0\","
                                                                                         "\"numaNod"
                                                                                         "e\":1,"
                                                                                         "\"virtual"
                                                                                         "Functions"
                                                                                         "Max\":64,"
                                                                                         "\"virtual"
                                                                                         "Functions"
                                                                                         "\":["
                                                                                         "\"0000:"
                                                                                         "c1:02."
                                                                                         "0\","
                                                                                         "\"0000:"
                                                                                         "c1:02."
                                                                                         "1\","
                                                                                         "\"0000:"
                                                                                         "c1:02."
                                                                                         "2\","
                                                                                         "\"0000:"
                                                                                         "c1:02."
                                                                                         "3\"]}"
                                                                                         "," VF(3, 0, 70) "," VF(
                                                                                             4, 1,
                                                                                             71) "," VF(5,
                                                                                                        2,
                                                                                                        72) "," VF(6,
                                                                                                                   3,
                                                                                                                   73) ",{\"id\":7,\"class\":\"char\",\"resource\":\"linux.org/fuse\",\"paths\":"
                                                                                                                       "[\"/dev/fuse\"],\"shares\":3}]}";

static struct sim *two_socket_cluster(void)
{
    struct sim *s = sim_new(&(struct sim_options){.seed = 1, .nodes = 1, .hardware = two_sockets});
    sim_run(s, SPAN_S(1));
    s->options.story = true;
    return s;
}

static void pod(struct sim *s, const char *name, const char *annotations, const char *cpu,
                const char *limits)
{
    char json[1024];
    snprintf(
        json, sizeof json,
        "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\",\"annotations\":{%s}},"
        "\"spec\":{\"terminationGracePeriodSeconds\":2,\"containers\":[{\"name\":\"a\","
        "\"image\":\"x\",\"resources\":{\"limits\":{\"cpu\":\"%s\",\"memory\":\"64Mi\",%s}}}]}}",
        name, annotations, cpu, limits);
    sim_create(s, "Pod", json);
    sim_run(s, SPAN_S(1));
}

/* "cpu,cpu ID@numa ID@numa" of the Placement. */
static const char *rows_of(struct sim *s, const char *placement)
{
    static char text[512];
    char path[64];
    int len = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "spec.exclusive.cpus.%u", i);
        struct str cpu = sim_field(s, "Placement", placement, path);
        if (cpu.len > 0)
            len += snprintf(text + len, sizeof text - (size_t)len, "%s" STR_FMT, i == 0 ? "" : ",",
                            STR_ARG(cpu));
    }
    for (uint32_t i = 0; i < 8; i++) {
        static const char *const ids[] = {"pciAddress", "paths.0"};
        struct str id = STR("");
        for (uint32_t k = 0; k < 2 && id.len == 0; k++) {
            snprintf(path, sizeof path, "spec.devices.%u.%s", i, ids[k]);
            id = sim_field(s, "Placement", placement, path);
        }
        if (id.len == 0)
            break;
        len += snprintf(text + len, sizeof text - (size_t)len, "%s" STR_FMT, len == 0 ? "" : " ",
                        STR_ARG(id));
        snprintf(path, sizeof path, "spec.devices.%u.numaNode", i);
        struct str numa = sim_field(s, "Placement", placement, path);
        if (numa.len > 0)
            len += snprintf(text + len, sizeof text - (size_t)len, "@" STR_FMT, STR_ARG(numa));
    }
    return text;
}

static const char *field(struct sim *s, const char *kind, const char *name, const char *path)
{
    static char text[256];
    struct str value = sim_field(s, kind, name, path);
    snprintf(text, sizeof text, STR_FMT, STR_ARG(value));
    return text;
}

static const char single[] = "\"baton.dev/numa-policy\":\"single-numa-node\"";

/* Cores, GPU and virtual function are of one socket, and which is written down. */
TEST(devices, cores_beside_their_devices)
{
    struct sim *s = two_socket_cluster();
    cr_expect_str_eq(field(s, "Node", "n0", "status.capacity.nvidia\\.com/A100"), "2");
    cr_expect_str_eq(field(s, "Node", "n0", "status.allocatable.intel\\.com/vf"), "4");
    cr_expect_str_eq(field(s, "Node", "n0", "status.allocatable.linux\\.org/fuse"), "3");
    pod(s, "net", single, "2", "\"nvidia.com/A100\":\"1\",\"intel.com/vf\":\"2\"");
    cr_expect_str_eq(rows_of(s, "pods.net"), "4,5 0000:c1:02.0@1 0000:c1:02.1@1 0000:81:00.0@1");
    cr_expect_str_eq(field(s, "Placement", "pods.net", "spec.devices.0.paths.1"), "/dev/vfio/70");
    cr_expect_str_eq(field(s, "Placement", "pods.net", "spec.devices.2.paths.0"), "/dev/dri/card1");
    pod(s, "gpu", single, "2", "\"nvidia.com/A100\":\"1\"");
    cr_expect_str_eq(rows_of(s, "pods.gpu"), "1,2 0000:41:00.0@0");
    cr_expect_str_eq(field(s, "Pod", "gpu",
                           "status.containerStatuses.0.allocatedResourcesStatus.0.resources.0."
                           "resourceID"),
                     "0000:41:00.0");
    pod(s, "late", single, "1", "\"nvidia.com/A100\":\"1\"");
    cr_expect_str_eq(field(s, "Pod", "late", "status.message"),
                     "0 of 1 nodes fit: nvidia.com/A100: 1 wanted, 0 free");
    sim_delete(s, "Pod", "net", 1);
    sim_run(s, SPAN_S(5));
    cr_expect_str_eq(rows_of(s, "pods.late"), "4 0000:81:00.0@1");
    sim_free(s);
}

/* Three shares of one device node; the fourth waits. */
TEST(devices, a_device_that_several_share)
{
    struct sim *s = two_socket_cluster();
    char name[8];
    for (uint32_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "p%u", i);
        pod(s, name, "", "100m", "\"linux.org/fuse\":\"1\"");
    }
    cr_expect_str_eq(rows_of(s, "pods.p0"), "/dev/fuse");
    cr_expect_str_eq(field(s, "Placement", "pods.p2", "spec.devices.0.share"), "2");
    cr_expect_str_eq(field(s, "Pod", "p3", "status.message"),
                     "0 of 1 nodes fit: linux.org/fuse: 1 wanted, 0 free");
    sim_free(s);
}

/* A name that means devices is not also counted, whoever advertises it. */
TEST(devices, a_count_beside_devices_means_nothing)
{
    struct sim *s = two_socket_cluster();
    sim_patch(s, "Node", "n0",
              "{\"status\":{\"capacity\":{\"nvidia.com/A100\":\"9\","
              "\"example.com/token\":\"9\"}}}");
    sim_run(s, SPAN_S(1));
    cr_expect_str_eq(field(s, "Node", "n0", "status.capacity.nvidia\\.com/A100"), "2");
    cr_expect_str_eq(field(s, "Node", "n0", "status.capacity.example\\.com/token"), "9");
    pod(s, "all", "", "1", "\"nvidia.com/A100\":\"2\",\"example.com/token\":\"9\"");
    cr_expect_str_eq(rows_of(s, "pods.all"), "4 0000:41:00.0@0 0000:81:00.0@1");
    sim_free(s);
}

static void machine(struct sim *s, const char *name, const char *cpu, const char *devices,
                    const char *networks)
{
    char json[1536];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{"
             "\"terminationGracePeriodSeconds\":2,\"domain\":{\"cpu\":{%s},\"memory\":{\"guest\":"
             "\"64Mi\",\"hugepages\":{\"pageSize\":\"2Mi\"}},\"devices\":{%s},\"firmware\":{"
             "\"kernelBoot\":{\"container\":{\"image\":\"k\",\"kernelPath\":\"/vmlinuz\"}}}}%s}}",
             name, cpu, devices, networks);
    sim_create(s, "VirtualMachineInstance", json);
    sim_run(s, SPAN_S(1));
}

#define DEDICATED(cores) "\"cores\":" #cores ",\"dedicatedCpuPlacement\":true"
#define MAPPED ",\"numa\":{\"guestMappingPassthrough\":{}}"

/* GPU, virtual function and cores of one socket; what a device node is, no machine gets. */
TEST(devices, a_machine_with_a_gpu_and_a_virtual_function)
{
    struct sim *s = two_socket_cluster();
    machine(s, "guest", DEDICATED(3),
            "\"gpus\":[{\"name\":\"g\",\"deviceName\":\"nvidia.com/A100\"}],\"interfaces\":[{"
            "\"name\":\"fast\",\"sriov\":{}}]",
            ",\"networks\":[{\"name\":\"fast\",\"multus\":{\"networkName\":\"intel.com/vf\"}}]");
    cr_expect_str_eq(rows_of(s, "virtualmachineinstances.guest"),
                     "4,5,6 0000:81:00.0@1 0000:c1:02.0@1");
    cr_expect_str_eq(field(s, "Placement", "virtualmachineinstances.guest", "spec.devices.0.vfio"),
                     "true");
    cr_expect_str_eq(
        field(s, "Placement", "virtualmachineinstances.guest", "spec.devices.0.companions.0"),
        "0000:81:00.1");
    cr_expect_str_eq(field(s, "Placement", "virtualmachineinstances.guest", "spec.addresses.0.ip"),
                     "", "it is not in the pod network");
    cr_expect_str_eq(field(s, "VirtualMachineInstance", "guest", "status.phase"), "Running");
    machine(s, "fuse", DEDICATED(1),
            "\"hostDevices\":[{\"name\":\"f\",\"deviceName\":\"linux.org/fuse\"}]", "");
    cr_expect_str_eq(rows_of(s, "virtualmachineinstances.fuse"), "");
    sim_free(s);
}

/* Six cores are more than a socket has: the guest gets three and half of its memory of each. One that fits
 * into a socket is given one. */
TEST(devices, a_guest_that_sees_the_hosts_numa_nodes)
{
    struct sim *s = two_socket_cluster();
    machine(s, "wide", DEDICATED(6) MAPPED, "", "");
    cr_expect_str_eq(rows_of(s, "virtualmachineinstances.wide"), "1,2,3,4,5,6");
    for (uint32_t i = 0; i < 2; i++) {
        char path[32];
        snprintf(path, sizeof path, "spec.hugepages.%u.pages", i);
        cr_expect_str_eq(field(s, "Placement", "virtualmachineinstances.wide", path), "16");
    }
    sim_delete(s, "VirtualMachineInstance", "wide", 1);
    sim_run(s, SPAN_S(5));
    machine(s, "narrow", DEDICATED(3) MAPPED, "", "");
    cr_expect_str_eq(rows_of(s, "virtualmachineinstances.narrow"), "4,5,6");
    cr_expect_str_eq(
        field(s, "Placement", "virtualmachineinstances.narrow", "spec.hugepages.0.pages"), "32");
    sim_free(s);
}

static const char *masks_of(struct sim *s, const char *placement)
{
    static char text[128];
    char path[48];
    int len = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < 2; i++) {
        static const char *const fields[] = {"cacheDomain", "waysMask", "bandwidthPercent"};
        for (uint32_t k = 0; k < 3; k++) {
            snprintf(path, sizeof path, "spec.caches.%u.%s", i, fields[k]);
            struct str value = sim_field(s, "Placement", placement, path);
            if (value.len > 0)
                len += snprintf(text + len, sizeof text - (size_t)len, "%s" STR_FMT,
                                k > 0   ? ":"
                                : i > 0 ? " "
                                        : "",
                                STR_ARG(value));
        }
    }
    return text;
}

/* Ways side by side of the cache that its cores are at, nobody else's; a stretch that is too short serves
 * nobody, and at last the CPU's classes of service run out. */
TEST(devices, ways_of_a_cache_and_bandwidth)
{
    static const char five[] =
        "\"baton.dev/cache-ways\":\"5\",\"baton.dev/memory-bandwidth\":\"30\"";
    static const char three[] = "\"baton.dev/cache-ways\":\"3\"";
    struct sim *s = two_socket_cluster();
    pod(s, "a", five, "1", "\"linux.org/fuse\":\"1\"");
    cr_expect_str_eq(masks_of(s, "pods.a"), "1:31:30");
    pod(s, "b", three, "1", "\"linux.org/fuse\":\"0\"");
    cr_expect_str_eq(masks_of(s, "pods.b"), "0:7");
    pod(s, "c", five, "1", "\"linux.org/fuse\":\"0\"");
    cr_expect_str_eq(masks_of(s, "pods.c"), "0:248:30");
    pod(s, "d", three, "1", "\"linux.org/fuse\":\"0\"");
    cr_expect_str_eq(field(s, "Pod", "d", "status.message"),
                     "0 of 1 nodes fit: baton.dev/cache-groups: 1 wanted, 0 free");
    sim_delete(s, "Pod", "a", 1);
    sim_run(s, SPAN_S(5));
    cr_expect_str_eq(masks_of(s, "pods.d"), "1:7");
    sim_free(s);
}
