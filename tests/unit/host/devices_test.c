/* SPDX-License-Identifier: Apache-2.0 */
/* What is given away of a machine with two sockets, and what is not. */
#include "io/fs.h"
#include "nodeagent/host/devices_given.h"
#include "nodeagent/host/vfio.h"
#include "tests/testlib/test.h"
#include "tests/unit/host/kernel.h"

#include <stdio.h>

struct seen {
    struct arena arena;
    struct kernel *kernel;
    struct devices devices;
    struct err err;
    enum err_code code;
};

static void look(struct seen *s, const char *rules)
{
    struct device_rules r;
    arena_init(&s->arena, 16 << 20);
    s->code = devices_rules_read(&s->arena, str_of(rules), &r, &s->err);
    if (s->code == ERR_OK)
        s->code =
            devices_discover(&s->arena, &(struct devices_roots){s->kernel->sys, s->kernel->dev}, &r,
                             &s->devices, &s->err);
}

/* "CLASS ID RESOURCE numa=N group=N parent=N paths companions" a line. */
static void devices_are(const char *rules, const char *expected, const char *notes)
{
    struct seen s = {.kernel = kernel_new()};
    struct buf text, said;
    buf_init(&text, 1 << 20);
    buf_init(&said, 1 << 20);
    look(&s, rules);
    cr_assert_eq(s.code, ERR_OK, "%s", s.err.text);
    for (uint32_t i = 0; i < s.devices.count; i++) {
        const struct device *d = &s.devices.at[i];
        buf_printf(&text, STR_FMT " " STR_FMT " " STR_FMT " numa=%d group=%d", STR_ARG(d->class),
                   STR_ARG(d->address), STR_ARG(d->resource), d->numa, d->iommu_group);
        if (d->parent != DEVICE_NONE)
            buf_printf(&text, " parent=%d", d->parent);
        if (d->functions_max > 0)
            buf_printf(&text, " functions=%u/%u", d->functions_count, d->functions_max);
        for (uint32_t k = 0; k < d->paths_count; k++)
            buf_printf(&text, " " STR_FMT, STR_ARG(d->paths[k]));
        for (uint32_t k = 0; k < d->companions_count; k++)
            buf_printf(&text, " +" STR_FMT, STR_ARG(d->companions[k]));
        if (d->shares > 1)
            buf_printf(&text, " x%u", d->shares);
        if (d->milli)
            buf_printf(&text, " milli");
        buf_printf(&text, "%s\n", d->vfio ? " vfio" : "");
    }
    for (uint32_t i = 0; i < s.devices.notes_count; i++)
        buf_printf(&said, STR_FMT "\n", STR_ARG(s.devices.notes[i]));
    buf_add_char(&text, '\0');
    buf_add_char(&said, '\0');
    cr_expect_str_eq(text.at, expected);
    cr_expect_str_eq(said.at, notes);
    buf_free(&text);
    buf_free(&said);
    kernel_free(s.kernel);
    arena_free(&s.arena);
}

TEST(devices, gpus_with_their_sound_and_where_they_are)
{
    devices_are("{\"pciHostDevices\":[{\"pciVendorSelector\":\"10DE:20B0\",\"resourceName\":"
                "\"nvidia.com/A100\",\"milli\":true}]}",
                "gpu 0000:41:00.0 nvidia.com/A100 numa=0 group=10 /dev/dri/card0 +0000:41:00.1 "
                "milli\n"
                "gpu 0000:81:00.0 nvidia.com/A100 numa=1 group=20 +0000:81:00.1 milli\n",
                "");
}

/* The card itself is listed because its functions are given away, and stays the host's. */
TEST(devices, virtual_functions_of_a_card)
{
    devices_are("{\"pciHostDevices\":[{\"physicalFunction\":\"0000:c1:00.0\",\"pciAddress\":"
                "\"0000:c1:02.*\",\"driver\":\"vfio-pci\",\"resourceName\":\"intel.com/vf\"}]}",
                "nic 0000:c1:00.0  numa=1 group=60 functions=4/64\n"
                "nic-vf 0000:c1:02.0 intel.com/vf numa=1 group=70 parent=0 vfio\n"
                "nic-vf 0000:c1:02.1 intel.com/vf numa=1 group=71 parent=0 vfio\n"
                "nic-vf 0000:c1:02.2 intel.com/vf numa=1 group=72 parent=0 vfio\n"
                "nic-vf 0000:c1:02.3 intel.com/vf numa=1 group=73 parent=0 vfio\n",
                "");
}

TEST(devices, nodes_of_a_disk_and_by_path)
{
    devices_are(
        "{\"pciHostDevices\":[{\"pciAddress\":\"0000:42:00.0\",\"resourceName\":"
        "\"samsung.com/nvme\"}],\"nodeDevices\":[{\"path\":\"/dev/ttyUSB*\","
        "\"milli\":true,\"resourceName\":\"ftdi.com/serial\"},{\"path\":\"/dev/fuse\",\"shares\":3,"
        "\"resourceName\":\"linux.org/fuse\"}]}",
        "nvme 0000:42:00.0 samsung.com/nvme numa=0 group=30 /dev/nvme0 /dev/nvme0n1\n"
        "char  ftdi.com/serial numa=1 group=-1 /dev/ttyUSB0 milli\n"
        "char  linux.org/fuse numa=-1 group=-1 /dev/fuse x3\n",
        "/dev/ttyUSB1 is not given away: it is no device\n");
}

/* Whoever had the card could take the functions away from those who have them. */
TEST(devices, a_card_is_not_given_away_beside_its_functions)
{
    devices_are("{\"pciHostDevices\":[{\"pciAddress\":\"0000:c1:00.0\",\"resourceName\":"
                "\"intel.com/card\"},{\"pciAddress\":\"0000:c1:02.0\",\"resourceName\":"
                "\"intel.com/vf\"}]}",
                "nic 0000:c1:00.0  numa=1 group=60 functions=4/64\n"
                "nic-vf 0000:c1:02.0 intel.com/vf numa=1 group=70 parent=0\n",
                "0000:c1:00.0 is not given away: its virtual functions are\n");
}

/* VFIO would take the other one from its driver: without VFIO a container may still have it. */
TEST(devices, a_group_that_holds_something_else)
{
    struct seen s = {.kernel = kernel_new()};
    kernel_function(s.kernel, "0000:42:01.0", "1af4:1000", "0x020000\n", 0, 30, "virtio-pci");
    look(&s, "{\"pciHostDevices\":[{\"pciAddress\":\"0000:42:00.0\",\"resourceName\":\"a.b/c\"}]}");
    cr_assert_eq(s.code, ERR_OK, "%s", s.err.text);
    cr_assert_eq(s.devices.count, 1);
    cr_assert_eq(s.devices.at[0].iommu_group, DEVICE_NONE);
    cr_assert(str_is(s.devices.notes[0], "0000:42:00.0 is for no machine and no VFIO: IOMMU group "
                                         "30 holds 0000:42:01.0, too"));
    arena_free(&s.arena);
    look(&s, "{\"pciHostDevices\":[{\"pciAddress\":\"0000:42:00.0\",\"resourceName\":\"a.b/c\","
             "\"driver\":\"vfio-pci\"}]}");
    cr_assert_eq(s.devices.count, 0);
    cr_assert_eq(s.devices.notes_count, 2);
    kernel_free(s.kernel);
    arena_free(&s.arena);
}

static void refused(const char *rules, const char *why)
{
    struct seen s = {.kernel = kernel_new()};
    look(&s, rules);
    cr_expect_neq(s.code, ERR_OK, "%s", rules);
    cr_expect_str_eq(s.err.text, why);
    kernel_free(s.kernel);
    arena_free(&s.arena);
}

TEST(devices, rules_that_are_none)
{
    refused("[]", "wants an object with pciHostDevices and nodeDevices");
    refused("{\"pciDevices\":[]}",
            "pciDevices: not known; there are pciHostDevices and nodeDevices");
    refused("{\"pciHostDevices\":{}}", "pciHostDevices: wants a list");
    refused("{\"pciHostDevices\":[{\"resourceName\":\"a.b/c\"}]}",
            "pciHostDevices[0]: wants pciVendorSelector, pciAddress or physicalFunction");
    refused("{\"pciHostDevices\":[{\"pciVendorSelector\":\"8086\",\"resourceName\":\"a.b/c\"}]}",
            "pciHostDevices[0].pciVendorSelector: wants 8086:154C");
    refused("{\"pciHostDevices\":[{\"pciAddress\":\"c1:00.0\",\"resourceName\":\"a.b/c\"}]}",
            "pciHostDevices[0].pciAddress: wants 0000:3b:02.0 or 0000:3b:*");
    refused("{\"pciHostDevices\":[{\"pciAddress\":\"0000:c1:00.0\",\"resourceName\":\"gpu\"}]}",
            "pciHostDevices[0].resourceName: wants a name like vendor.com/name");
    refused("{\"pciHostDevices\":[{\"pciAdress\":\"0000:c1:00.0\",\"resourceName\":\"a.b/c\"}]}",
            "pciAdress: a rule has no such field");
    refused("{\"nodeDevices\":[{\"path\":\"/dev/../etc/shadow\",\"resourceName\":\"a.b/c\"}]}",
            "nodeDevices[0].path: wants a path below /dev/");
    refused("{\"nodeDevices\":[{\"path\":\"/dev/fuse\",\"shares\":0,\"resourceName\":\"a.b/c\"}]}",
            "nodeDevices[0].shares: wants 1 to 256");
    refused("{\"nodeDevices\":[{\"path\":\"/dev/fuse\",\"shares\":2,\"milli\":true,"
            "\"resourceName\":\"a.b/c\"}]}",
            "nodeDevices[0].milli: excludes shares");
    refused("{\"pciHostDevices\":[{\"pciAddress\":\"0000:42:*\",\"driver\":\"vfio-pci\","
            "\"milli\":true,\"resourceName\":\"a.b/c\"}]}",
            "pciHostDevices[0].milli: excludes driver: vfio-pci, which has one holder");
    refused("{\"nodeDevices\":[{\"path\":\"/dev/fuse\",\"milli\":1,\"resourceName\":\"a.b/c\"}]}",
            "nodeDevices[0].milli: wants true or false");
    refused("{\"nodeDevices\":[{\"path\":\"/dev/fuse\",\"resourceName\":\"a.b/c-milli\"}]}",
            "nodeDevices[0].resourceName: -milli is what thousandths of a device are called");
    refused("{\"pciHostDevices\":[{\"pciAddress\":\"0000:42:*\",\"resourceName\":\"a.b/c\"},"
            "{\"pciVendorSelector\":\"144D:A80A\",\"resourceName\":\"a.b/d\"}]}",
            "0000:42:00.0 is given away as a.b/c and as a.b/d");
    refused("{\"nodeDevices\":[{\"path\":\"/dev/fuse\",\"resourceName\":\"a.b/c\"},{\"path\":"
            "\"/dev/fus*\",\"resourceName\":\"a.b/d\"}]}",
            "/dev/fuse is given away as a.b/c and as a.b/d");
}

/* ---- drivers ---- */

static const struct str GPU = STR("0000:41:00.0");

static bool count_one(void *arg, const char *address, struct str owner)
{
    (void)address, (void)owner;
    ++*(uint32_t *)arg;
    return true;
}

static uint32_t records_of(const struct vfio *v)
{
    uint32_t count = 0;
    cr_assert_eq(vfio_list(v, count_one, &count, NULL), ERR_OK);
    return count;
}

TEST(vfio, there_and_back)
{
    struct kernel *k = kernel_new();
    struct vfio v = {&k->sysfs, k->state};
    struct err e;
    k->native = "nouveau";
    cr_assert_eq(records_of(&v), 0);
    cr_assert_eq(vfio_bind(&v, GPU, STR("u1"), &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(kernel_driver(k, "0000:41:00.0"), "vfio-pci");
    cr_assert_eq(vfio_bind(&v, GPU, STR("u1"), &e), ERR_OK, "again: %s", e.text);
    cr_assert_eq(vfio_bind(&v, GPU, STR("u2"), &e), ERR_CONFLICT);
    cr_assert_str_eq(e.text, "0000:41:00.0 is held by workload u1");
    cr_assert_eq(vfio_release(&v, STR("u2"), &e), ERR_OK);
    cr_assert_str_eq(kernel_driver(k, "0000:41:00.0"), "vfio-pci");
    cr_assert_eq(vfio_release(&v, STR("u1"), &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(kernel_driver(k, "0000:41:00.0"), "nouveau");
    cr_assert_eq(records_of(&v), 0);
    kernel_free(k);
}

/* What the operator bound, as KubeVirt wants it, he keeps; what had no driver gets none. */
TEST(vfio, it_ends_as_it_was)
{
    struct kernel *k = kernel_new();
    struct vfio v = {&k->sysfs, k->state};
    struct err e;
    kernel_function(k, "0000:50:00.0", "1111:2222", "0x030000\n", 0, 50, "vfio-pci");
    kernel_function(k, "0000:51:00.0", "1111:2222", "0x030000\n", 0, 51, "");
    cr_assert_eq(vfio_bind(&v, STR("0000:50:00.0"), STR("u"), &e), ERR_OK, "%s", e.text);
    cr_assert_eq(vfio_bind(&v, STR("0000:51:00.0"), STR("u"), &e), ERR_OK, "%s", e.text);
    cr_assert_eq(vfio_release(&v, STR("u"), &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(kernel_driver(k, "0000:50:00.0"), "vfio-pci");
    cr_assert_str_eq(kernel_driver(k, "0000:51:00.0"), "");
    kernel_free(k);
}

TEST(vfio, without_the_module_it_says_so)
{
    struct kernel *k = kernel_new();
    struct vfio v = {&k->sysfs, k->state};
    struct err e;
    k->no_vfio = true;
    cr_assert_eq(vfio_bind(&v, GPU, STR("u"), &e), ERR_UNAVAILABLE);
    cr_assert_str_eq(e.text, "vfio 0000:41:00.0: the kernel does not bind it: is vfio-pci loaded?");
    cr_assert_eq(vfio_release(&v, STR("u"), &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(kernel_driver(k, "0000:41:00.0"), "native");
    cr_assert_eq(vfio_bind(&v, STR("0000:99:00.0"), STR("u"), &e), ERR_NOT_FOUND);
    cr_assert_eq(vfio_bind(&v, STR("../../x"), STR("u"), &e), ERR_INVALID);
    kernel_free(k);
}

/* Killed after each write of binding and of giving back: the next one finishes it. */
TEST(vfio, a_crash_at_any_write)
{
    for (uint32_t at = 1; at <= 8; at++) {
        struct kernel *k = kernel_new();
        struct vfio v = {&k->sysfs, k->state};
        struct err e;
        k->native = "nouveau";
        k->pokes_max = at;
        if (vfio_bind(&v, GPU, STR("u"), &e) == ERR_OK)
            cr_expect_neq(vfio_release(&v, STR("u"), &e) == ERR_OK, at < 6, "%u", at);
        k->pokes_max = 0;
        cr_expect_eq(vfio_release(&v, STR("u"), &e), ERR_OK, "%u: %s", at, e.text);
        cr_expect_str_eq(kernel_driver(k, "0000:41:00.0"), "nouveau", "%u", at);
        cr_expect_eq(records_of(&v), 0);
        kernel_free(k);
    }
}

/* What a power cut left of a record says nothing, and nothing of it holds any more. */
TEST(vfio, a_torn_record_is_in_nobodys_way)
{
    struct kernel *k = kernel_new();
    struct vfio v = {&k->sysfs, k->state};
    char path[FS_PATH_MAX];
    struct err e;
    k->native = "nouveau";
    cr_assert_eq(vfio_bind(&v, GPU, STR("u1"), &e), ERR_OK, "%s", e.text);
    cr_assert(fs_join(path, k->state, "0000:01:00.0"));
    cr_assert_eq(fs_put(path, STR(""), 0600, NULL), ERR_OK);
    cr_assert_eq(vfio_release(&v, STR("u1"), &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(kernel_driver(k, "0000:41:00.0"), "nouveau");
    cr_assert(fs_join(path, k->state, "0000:41:00.0"));
    cr_assert_eq(fs_put(path, STR(""), 0600, NULL), ERR_OK);
    cr_assert_eq(vfio_bind(&v, GPU, STR("u2"), &e), ERR_OK, "%s", e.text);
    kernel_free(k);
}

/* ---- what became of them ---- */

static const char all_rules[] =
    "{\"pciHostDevices\":[{\"pciVendorSelector\":\"10DE:20B0\",\"resourceName\":\"nvidia.com/"
    "A100\"},"
    "{\"physicalFunction\":\"0000:c1:00.0\",\"driver\":\"vfio-pci\",\"resourceName\":\"intel.com/"
    "vf\"}"
    "],\"nodeDevices\":[{\"path\":\"/dev/fuse\",\"resourceName\":\"linux.org/fuse\"}]}";

/* An agent started, and gave away what its file says. */
static void give(struct seen *s)
{
    struct devices_given g = {s->kernel->root, {s->kernel->sys, s->kernel->dev}};
    char path[96];
    kernel_file(s->kernel, "rules.json", all_rules);
    look(s, all_rules);
    cr_assert_eq(s->code, ERR_OK, "%s", s->err.text);
    snprintf(path, sizeof path, "%s/rules.json", s->kernel->root);
    cr_assert_eq(devices_given_put(&g, path, &s->devices, &s->err), ERR_OK, "%s", s->err.text);
}

static void judged(struct seen *s, const char *want)
{
    struct devices_judged all;
    struct buf text;
    buf_init(&text, 64 << 10);
    cr_assert_eq(devices_given_judge(&s->arena, s->kernel->root, &all, &s->err), ERR_OK, "%s",
                 s->err.text);
    cr_expect_eq(all.count, 7);
    for (uint32_t i = 0; i < all.troubles_count; i++)
        buf_printf(&text, "%s " STR_FMT "\n", all.at[i].is_failure ? "fail" : "warn",
                   STR_ARG(all.at[i].text));
    buf_add_char(&text, '\0');
    cr_expect_str_eq(text.at, want);
    buf_free(&text);
}

TEST(devices, what_became_of_them)
{
    struct seen s = {.kernel = kernel_new()};
    give(&s);
    judged(&s, "");
    kernel_file(s.kernel, "sys/bus/pci/devices/0000:41:00.0/numa_node", "1\n");
    kernel_link(s.kernel, "sys/bus/pci/devices/0000:41:00.0/driver", "../../drivers/nvidia");
    kernel_link(s.kernel, "sys/bus/pci/devices/0000:c1:02.1/iommu_group", "../../iommu_groups/9");
    kernel_gone(s.kernel, "sys/bus/pci/devices/0000:c1:02.2/iommu_group");
    kernel_gone(s.kernel, "sys/bus/pci/devices/0000:c1:02.3");
    kernel_gone(s.kernel, "dev/fuse");
    judged(
        &s,
        "fail 0000:41:00.0 (nvidia.com/A100) is bound to nvidia, at the agent's start to nouveau\n"
        "warn 0000:41:00.0 (nvidia.com/A100) is in NUMA node 1, at the agent's start in 0: restart "
        "the agent\n"
        "fail 0000:c1:02.1 (intel.com/vf) is in IOMMU group 9, at the agent's start in 71: restart "
        "the agent\n"
        "fail 0000:c1:02.2 (intel.com/vf) has no IOMMU group any more: nobody can have it through "
        "VFIO\n"
        "fail 0000:c1:02.3 (intel.com/vf) is gone, and the cluster still gives it away: restart "
        "the "
        "agent\n"
        "fail /dev/fuse (linux.org/fuse) is gone, and the cluster still gives it away: restart the "
        "agent\n"
        "warn 0000:c1:02.2 (intel.com/vf) would not be given away any more: restart the agent\n"
        "warn 0000:c1:02.2 is not given away: vfio-pci needs an IOMMU group of its own\n"
        "warn linux.org/fuse: a rule matches nothing on this machine\n");
    kernel_free(s.kernel);
    arena_free(&s.arena);
}

/* What is bound for a workload has the driver that it should have then, and is judged by that. */
TEST(devices, what_became_of_those_that_are_held)
{
    struct seen s = {.kernel = kernel_new()};
    give(&s);
    kernel_file(s.kernel, "devices/0000:81:00.0", "a");
    judged(&s,
           "fail 0000:81:00.0 (nvidia.com/A100) is bound to nouveau, and a workload has it through "
           "vfio-pci\n");
    kernel_link(s.kernel, "sys/bus/pci/devices/0000:81:00.0/driver", "../../drivers/vfio-pci");
    judged(&s, "");
    kernel_file(s.kernel, "rules.json", "{\"nodeDevice\":[]}");
    struct devices_judged all;
    cr_assert_eq(devices_given_judge(&s.arena, s.kernel->root, &all, &s.err), ERR_OK);
    cr_assert_eq(all.troubles_count, 1);
    cr_expect(str_starts(all.at[0].text, STR("the agent would not start again: ")));
    cr_expect(str_ends(all.at[0].text,
                       STR("nodeDevice: not known; there are pciHostDevices and nodeDevices")));
    kernel_free(s.kernel);
    arena_free(&s.arena);
}
