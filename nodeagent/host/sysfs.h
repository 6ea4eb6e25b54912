/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysfs.h -- the kernel's files that do something when they are written: drivers of PCI functions, resctrl.
 *
 * WHAT   A root and the three calls that change what is below it. Reading needs no seam.
 * WHY    This machine has neither VFIO nor resctrl. A test gives a tree of files and calls that do to it what
 *        the kernel would: a write to drivers_probe makes the driver's link, a new directory below resctrl
 *        has its files at once.
 * FAILS  As fs_poke(); mkdir: ERR_CONFLICT when it is there; rmdir: ERR_NOT_FOUND when it is not.
 * SEAM   sysfs_real(), tests/unit/host/kernel.h.
 */
#ifndef NODEAGENT_HOST_SYSFS_H
#define NODEAGENT_HOST_SYSFS_H

#include "base/err.h"
#include "base/str.h"

struct sysfs {
    const char *sys, *dev, *resctrl; /* "/sys", "/dev", "/sys/fs/resctrl" */
    enum err_code (*poke)(const struct sysfs *s, const char *path, struct str bytes, struct err *e);
    enum err_code (*mkdir)(const struct sysfs *s, const char *path, struct err *e);
    enum err_code (*rmdir)(const struct sysfs *s, const char *path, struct err *e);
};

const struct sysfs *sysfs_real(void);

#endif /* NODEAGENT_HOST_SYSFS_H */
