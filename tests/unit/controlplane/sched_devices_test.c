/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of a NodeHardware as rows, and back. */
#include "controlplane/core/sched_view.h"
#include "tests/testlib/parse.h"

#include <stdio.h>

static const Baton__NodeHardwareSpec *hardware(struct arena *a, const char *devices)
{
    struct str json = arena_printf(
        a,
        "{\"sockets\":[{\"id\":0}],\"numaNodes\":[{\"id\":0,\"memoryBytes\":8589934592}],"
        "\"cacheDomains\":[{\"id\":0}],\"cores\":[{\"id\":0},{\"id\":1}],\"threads\":[{\"cpu\":0,"
        "\"core\":0},{\"cpu\":1,\"core\":1}],\"sharedCores\":1,\"accelerator\":{\"name\":\"kvm\"},"
        "\"devices\":[%s]}",
        devices);
    return parse(a, "baton.dev.v1.NodeHardwareSpec", json.at);
}

static void absurd(const char *devices, const char *why)
{
    struct arena a;
    struct topology t;
    struct err e = {0};
    arena_init(&a, 16 << 20);
    struct ledger *l = ledger_new(&(struct ledger_limits){.nodes_max = 4, .holds_max = 64});
    enum err_code code = sched_view_topology(ledger_names(l), &a, NULL, STR("n"),
                                             hardware(&a, devices), NULL, true, &t, &e);
    cr_expect_eq(code, ERR_INVALID, "%s", devices);
    cr_expect_str_eq(e.text, why);
    ledger_free(l);
    arena_free(&a);
}

#define PF "{\"id\":0,\"pciAddress\":\"0000:01:00.0\",\"virtualFunctionsMax\":1,"

TEST(sched_devices, what_contradicts_itself_is_refused)
{
    absurd("{\"id\":3,\"paths\":[\"/dev/a\"]}", "device 3 is not in its own list");
    absurd("{\"id\":0,\"resource\":\"a.b/c\"}", "device 0 has neither an address nor a path");
    absurd("{\"id\":0,\"paths\":[\"/dev/a\"],\"numaNode\":4}",
           "device 0 is in NUMA node 4, which is not there");
    absurd("{\"id\":0,\"pciAddress\":\"0000:01:00.0\",\"shares\":2}",
           "device 0 has 2 shares, 1 are possible");
    absurd(PF "\"virtualFunctions\":[\"0000:01:02.0\",\"0000:01:02.1\"]}",
           "device 0 has 2 virtual functions, 1 are possible");
    absurd(PF "\"virtualFunctions\":[\"0000:01:02.0\"]},{\"id\":1,\"parent\":0,\"pciAddress\":"
              "\"0000:01:02.1\"}",
           "device 1 is no virtual function of device 0");
    absurd("{\"id\":0,\"parent\":0,\"pciAddress\":\"0000:01:02.1\"}",
           "device 0 is no virtual function of device 0");
    absurd(PF "\"resource\":\"a.b/pf\",\"virtualFunctions\":[\"0000:01:02.0\"]},{\"id\":1,"
              "\"parent\":0,\"resource\":\"a.b/vf\",\"pciAddress\":\"0000:01:02.0\"}",
           "device 0 is given away, and so is its virtual function, device 1");
    absurd("{\"id\":0,\"resource\":\"a.b/c\",\"pciAddress\":\"0000:01:00.0\",\"iommuGroup\":7},"
           "{\"id\":1,\"resource\":\"a.b/c\",\"pciAddress\":\"0000:02:00.0\",\"iommuGroup\":7}",
           "devices 0 and 1 are of one IOMMU group, 7");
    absurd("{\"id\":0,\"resource\":\"a.b/c-milli\",\"paths\":[\"/dev/a\"]}",
           "device 0 is given away as thousandths: a.b/c-milli");
    absurd("{\"id\":0,\"resource\":\"a.b/c\",\"paths\":[\"/dev/a\"],\"shares\":2,\"milli\":true}",
           "device 0 has one holder or shares, and thousandths, too");
}

/* A ledger with one node, and a pod's way through it: asked for, placed, written, read again. */
struct way {
    struct arena a;
    struct ledger *l;
    struct names *n;
    const Baton__NodeHardwareSpec *hw;
    struct sched_classes classes;
    struct topology t;
    struct request r;
    struct placement rows, again;
    Baton__PlacementSpec spec;
    uint64_t hold;
};

static void way_open(struct way *w, const char *devices)
{
    struct err e = {0};
    uint32_t node;
    *w = (struct way){.spec = BATON__PLACEMENT_SPEC__INIT};
    arena_init(&w->a, 16 << 20);
    w->l = ledger_new(&(struct ledger_limits){.nodes_max = 4, .holds_max = 64});
    w->n = ledger_names(w->l);
    w->hw = hardware(&w->a, devices);
    cr_assert_eq(sched_classes_add(&w->classes, w->n, w->hw, &e), ERR_OK);
    cr_assert_eq(
        sched_view_topology(w->n, &w->a, &w->classes, STR("n"), w->hw, NULL, true, &w->t, &e),
        ERR_OK, "%s", e.text);
    cr_assert_eq(ledger_node_put(w->l, &w->t, &node, &e), ERR_OK, "%s", e.text);
}

/* containers: JSON of a pod's. */
static void way_place(struct way *w, const char *containers)
{
    struct err e = {0};
    struct str json = arena_printf(&w->a,
                                   "{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\"},\"spec\":{"
                                   "\"hostNetwork\":true,\"containers\":[%s]}}",
                                   containers);
    Core__Pod *p = parse(&w->a, "k8s.io.api.core.v1.Pod", json.at);
    cr_assert_eq(sched_view_pod(w->n, &w->a, &w->classes, p, &w->r, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(ledger_place(w->l, &w->r, &w->hold, &w->rows, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(sched_view_rows(w->n, &w->a, &w->rows, &w->r, w->hw, &w->spec, &e), ERR_OK, "%s",
                 e.text);
}

/* What was written is taken by a ledger that knows the same hardware: the same rows, and once. */
static void way_again(struct way *w)
{
    struct err e = {0};
    ledger_undo(w->l, w->hold);
    cr_assert_eq(sched_view_stored(w->n, &w->spec, w->hw, &w->again, &e), ERR_OK);
    cr_assert_eq(ledger_restore(w->l, &w->r, &w->again, &w->hold, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(ledger_restore(w->l, &w->r, &w->again, &w->hold, &e), ERR_CONFLICT, "held twice");
    cr_assert_eq(ledger_verify(w->l, &e), ERR_OK, "%s", e.text);
}

static void way_close(struct way *w)
{
    ledger_free(w->l);
    arena_free(&w->a);
}

TEST(sched_devices, a_grant_written_and_read_takes_the_same_rows)
{
    struct way w;
    way_open(&w,
             "{\"id\":0,\"resource\":\"a.b/c\",\"paths\":[\"/dev/a\"],\"shares\":2},"
             "{\"id\":1,\"resource\":\"a.b/g\",\"pciAddress\":\"0000:02:00.0\",\"iommuGroup\":7,"
             "\"numaNode\":0,\"driver\":\"vfio-pci\",\"companions\":[\"0000:02:00.1\"]}");
    cr_assert_eq(w.classes.count, 2);
    cr_assert_eq(w.t.devices_count, 3);
    way_place(&w, "{\"name\":\"a\",\"resources\":{\"limits\":{\"a.b/c\":\"2\",\"a.b/g\":\"1\","
                  "\"a.b/x\":\"0\"}}}");
    cr_assert_eq(w.r.devices_count, 2);
    cr_assert_eq(w.r.scalars_count, 1, "what is no device is counted");
    cr_assert_eq(w.spec.n_devices, 3);
    cr_assert_str_eq(w.spec.devices[1]->paths[0], "/dev/a");
    cr_assert_eq(w.spec.devices[0]->share + w.spec.devices[1]->share, 1);
    cr_assert_str_eq(w.spec.devices[2]->pci_address, "0000:02:00.0");
    cr_assert_str_eq(w.spec.devices[2]->paths[1], "/dev/vfio/7");
    cr_assert_str_eq(w.spec.devices[2]->companions[0], "0000:02:00.1");
    way_again(&w);
    way_close(&w);
}

/* The same with parts of them; a whole name beside its thousandths is one class of the ledger's. */
TEST(sched_devices, parts_written_and_read_take_the_same_rows)
{
    struct way w;
    struct err e = {0};
    way_open(&w,
             "{\"id\":0,\"resource\":\"a.b/g\",\"pciAddress\":\"0000:01:00.0\",\"milli\":true},"
             "{\"id\":1,\"resource\":\"a.b/g\",\"pciAddress\":\"0000:02:00.0\",\"milli\":true}");
    cr_assert_eq(w.classes.count, 2, "whole, and by the thousandth");
    cr_assert_eq(sched_devices_count(w.hw, STR("a.b/g-milli")), 2000);
    way_place(&w, "{\"name\":\"a\",\"resources\":{\"limits\":{\"a.b/g-milli\":\"250\"}}},"
                  "{\"name\":\"b\",\"resources\":{\"limits\":{\"a.b/g-milli\":\"1k\"}}}");
    cr_assert_eq(w.r.scalars_count, 0);
    cr_assert_eq(w.spec.n_devices, 2);
    cr_expect_eq(w.spec.devices[0]->milli, 1000);
    cr_expect_eq(w.spec.devices[1]->milli, 250);
    cr_expect_str_eq(w.spec.devices[1]->name, "a.b/g-milli");
    way_again(&w);
    w.spec.devices[1]->milli = 1001;
    cr_assert_eq(sched_view_stored(w.n, &w.spec, w.hw, &w.again, &e), ERR_INVALID);
    way_close(&w);
}
