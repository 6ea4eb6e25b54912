/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu_args.h -- a machine's spec as QEMU's command line.
 *
 * WHAT   Which machine type a spec needs, whether it can be met at all, and the arguments. Pure: files,
 *        sockets and taps are numbers of descriptors that QEMU will have inherited.
 * WHY    Apart from runtime_qemu.c, because here is where a user's words meet QEMU's option syntax.
 * OWNS   Arguments live in the arena; they may point into the spec.
 * FAILS  ERR_INVALID: what this machine type, or we, cannot do, in words for the user. ERR_LIMIT.
 *
 * Machine by need: q35, unless the kernel is a PVH image that is not Linux (a unikernel: measures no
 * clocks, needs no ACPI) and no device needs PCI. A stock Linux on microvm calibrates its clock
 * against nothing and hangs under load (docs/decisions/0007-qemu-without-libvirt.md has the figures).
 *
 * Devices of the host are behind a root port each: on the root bus, or on an expander of the guest's NUMA node
 * that they are near (docs/pcie.txt, docs/pci_expander_bridge.txt). Such a machine boots by SeaBIOS: qboot
 * finds no bus behind an expander.
 *
 * Sources: qemu(1), docs/system/i386/microvm.rst, Xen docs/misc/pvh.pandoc for the note.
 */
#ifndef NODEAGENT_RUNTIME_QEMU_ARGS_H
#define NODEAGENT_RUNTIME_QEMU_ARGS_H

#include "base/arena.h"
#include "nodeagent/runtime/runtime.h"

enum {
    QEMU_VCPUS_MAX = 255, /* q35 without an interrupt-remapping IOMMU. */
    QEMU_PCI_MAX = 28,    /* Disks, cards, ports of devices on one q35 without bridges. */
    QEMU_MMIO_MAX = 8,    /* The same on microvm. */
    QEMU_SATA_MAX = 6,
    QEMU_ARGS_MAX = 512, /* Words; what is checked before they are made comes to 398 at most. */
    QEMU_KERNEL_ARGS_MAX = 2047, /* Linux takes 2048 with the NUL. */
    QEMU_TCG_BUFFER_MIB = 32,    /* Translated code: part of the overhead we publish. */
};

enum qemu_machine { QEMU_Q35, QEMU_MICROVM };

enum qemu_kernel {
    QEMU_KERNEL_NONE,  /* Firmware boots a disk. */
    QEMU_KERNEL_PVH,   /* An ELF image with Xen's PHYS32_ENTRY note that is not Linux. */
    QEMU_KERNEL_OTHER, /* bzImage, vmlinux: Linux, as far as we can tell. */
};

/* image: the whole file. Hostile bytes are fine. */
enum qemu_kernel qemu_kernel_kind(struct str image);

/* A qcow2 image that stands alone (no backing file, no data file elsewhere), raw, or refused: what an
 * image names would be opened on the host. head: its first 512 bytes or all there is. */
MUST_USE enum err_code qemu_disk_is_qcow2(struct str head, bool *out, struct err *e);

/* The machine for vm, checked against what it can carry. */
MUST_USE enum err_code qemu_machine_choose(const struct runtime_vm *vm, enum qemu_kernel kernel,
                                           enum qemu_machine *out, struct err *e);

/* What QEMU inherits, as its own descriptor numbers; -1: not there. */
struct qemu_plan {
    const struct runtime_spec *spec;
    enum qemu_machine machine;
    int qmp, serial; /* Listening Unix sockets. */
    int kernel, initrd, serial_log;
    int disks[RUNTIME_DISKS_MAX]; /* -1: the empty disk "disk-N.raw" in its directory. */
    bool disks_qcow2[RUNTIME_DISKS_MAX];
    int nics[RUNTIME_NICS_MAX];
    bool numa; /* The host has several memory nodes: bind to spec's. */
};

/* NULL-terminated, argv[0] is command. Paths without a directory are in QEMU's working directory. */
MUST_USE enum err_code qemu_args_make(struct arena *a, const struct qemu_plan *plan,
                                      const char *command, const char *const **out_argv,
                                      struct err *e);

/* Guest memory as QEMU gets it: whole MiB. */
uint64_t qemu_memory_mib(const struct runtime_vm *vm);

#endif /* NODEAGENT_RUNTIME_QEMU_ARGS_H */
