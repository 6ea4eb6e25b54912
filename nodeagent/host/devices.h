/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices.h -- PCI functions and device nodes of this machine that its operator gives away.
 *
 * WHAT   A file of rules says what is given away under which resource's name; sysfs says what there is:
 *        PCI functions with NUMA node, IOMMU group, physical function and the nodes their driver made;
 *        character and block devices by path. What is given away is listed; so is a physical function
 *        whose virtual functions are.
 * WHY    Nothing of the host is given to a workload that nobody named. Roots are parameters, so a tree
 *        of files is a machine with devices that this one lacks.
 * OWNS   Results live in the arena given.
 * FAILS  devices_rules_read(): ERR_INVALID with the path inside the file and what it wants.
 *        devices_discover(): ERR_INVALID when two rules give one device away under two names, ERR_LIMIT.
 *        What cannot be given away as told is left out or given with less, and a note says why.
 *
 * The file (JSON), as KubeVirt's permittedHostDevices where that has a field for it:
 *   {"pciHostDevices": [{"resourceName": "vendor.com/name", "pciVendorSelector": "8086:154C",
 *                        "pciAddress": "0000:3b:02.*", "physicalFunction": "0000:3b:00.0",
 *                        "driver": "vfio-pci", "milli": false}],
 *    "nodeDevices": [{"resourceName": "vendor.com/name", "path": "/dev/ttyUSB*", "shares": 1}]}
 * Of the three selectors of a PCI device those that are there must all match. driver: a container gets the
 * function's VFIO group; without it the nodes of whatever driver the function has. milli, of either list: it may
 * be had by the thousandth, too, as vendor.com/name-milli.
 *
 * Sources: Documentation/ABI/testing/sysfs-bus-pci, Documentation/driver-api/vfio.rst.
 */
#ifndef NODEAGENT_HOST_DEVICES_H
#define NODEAGENT_HOST_DEVICES_H

#include "base/arena.h"
#include "base/err.h"

enum {
    DEVICES_MAX = 512,
    DEVICES_RULES_MAX = 128,
    DEVICES_PATHS_MAX = 8,      /* Nodes of one device. */
    DEVICES_COMPANIONS_MAX = 7, /* A slot has eight functions. */
    DEVICES_FUNCTIONS_MAX = 256,
    DEVICES_SHARES_MAX = 256,
    DEVICES_NOTES_MAX = 64, /* More are counted. */
};

struct device_rule {
    struct str resource;
    struct str address, parent; /* PCI, with * at the end; empty: any. */
    struct str path;            /* Not empty: a node; with *, ? and []. */
    uint32_t vendor, device;    /* 0, 0: any. */
    uint32_t shares;
    bool vfio, milli, matched;
};

struct device_rules {
    struct device_rule *at;
    uint32_t count;
};

MUST_USE enum err_code devices_rules_read(struct arena *a, struct str text,
                                          struct device_rules *out, struct err *e);

enum { DEVICE_NONE = -1 };

struct device {
    struct str class;    /* As NodeHardware has it. */
    struct str resource; /* Empty: a physical function that is not given away itself. */
    struct str address;  /* PCI; empty: a node. */
    uint32_t vendor, device;
    int32_t numa;        /* DEVICE_NONE: not told. */
    int32_t iommu_group; /* DEVICE_NONE: none, or one that is not its alone. */
    int32_t parent;      /* Index of its physical function, or DEVICE_NONE. */
    struct str *functions, *paths, *companions;
    uint32_t functions_count, functions_max, paths_count, companions_count;
    uint32_t shares;
    bool vfio, milli;
};

struct devices {
    struct device *at;
    uint32_t count;
    struct str *notes; /* For the operator, a sentence each. */
    uint32_t notes_count, notes_lost;
};

/* Where the kernel's files are: "/sys" and "/dev", or a test's. */
struct devices_roots {
    const char *sys, *dev;
};

MUST_USE enum err_code devices_discover(struct arena *a, const struct devices_roots *roots,
                                        struct device_rules *rules, struct devices *out,
                                        struct err *e);

/* True for domain:bus:device.function in lower case, as sysfs names directories. */
bool devices_is_address(struct str text);

#endif /* NODEAGENT_HOST_DEVICES_H */
