/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.h -- a machine with devices that this one lacks, as a tree of files.
 *
 * WHAT   kernel_new() makes sys/ and dev/ of two sockets: per socket a GPU with its sound function, an NVMe
 *        disk with nodes, and on the second a network card of four virtual functions; a serial port by USB;
 *        and resctrl. Its sysfs does to the tree what the kernel does when the files are written.
 * WHY    What vfio.c, devices.c and resctrl.c believe of the kernel is said here once.
 */
#ifndef TESTS_UNIT_HOST_KERNEL_H
#define TESTS_UNIT_HOST_KERNEL_H

#include "base/arena.h"
#include "nodeagent/host/devices.h"
#include "nodeagent/host/sysfs.h"

struct kernel {
    struct sysfs sysfs; /* First: the calls find the kernel by it. */
    char root[64], sys[96], dev[96], resctrl[96], state[96];
    const char *native; /* The driver that matches functions without an override. */
    bool no_vfio;       /* The module is not loaded. */
    uint32_t pokes,
        pokes_max; /* After so many calls nothing is done any more: the agent was killed. 0: never. */
};

struct kernel *kernel_new(void);
void kernel_free(struct kernel *k);

void kernel_file(struct kernel *k, const char *path, const char *text);   /* Below root. */
void kernel_link(struct kernel *k, const char *path, const char *target); /* In its place. */
void kernel_gone(struct kernel *k, const char *path);
/* A PCI function; group below 0: none. */
void kernel_function(struct kernel *k, const char *address, const char *ids, const char *class,
                     int numa, int group, const char *driver);
const char *kernel_driver(struct kernel *k, const char *address); /* "": none. */

#endif /* TESTS_UNIT_HOST_KERNEL_H */
