/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/host/kernel.h"

#include "base/mem.h"
#include "io/fs.h"
#include "tests/testlib/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void below(const struct kernel *k, char out[FS_PATH_MAX], const char *fmt, ...) PRINTF(3, 4);
static void below(const struct kernel *k, char out[FS_PATH_MAX], const char *fmt, ...)
{
    int at = snprintf(out, FS_PATH_MAX, "%s/", k->root);
    va_list list;
    va_start(list, fmt);
    vsnprintf(out + at, FS_PATH_MAX - (size_t)at, fmt, list);
    va_end(list);
}

static void make_parents(const char *path)
{
    char parent[FS_PATH_MAX];
    struct err e;
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = '\0';
    cr_assert_eq(fs_mkdir(parent, 0755, &e), ERR_OK, "%s", e.text);
}

void kernel_file(struct kernel *k, const char *name, const char *text)
{
    char path[FS_PATH_MAX];
    struct err e;
    below(k, path, "%s", name);
    make_parents(path);
    cr_assert_eq(fs_put(path, str_of(text), 0644, &e), ERR_OK, "%s", e.text);
}

void kernel_link(struct kernel *k, const char *name, const char *target)
{
    char path[FS_PATH_MAX];
    below(k, path, "%s", name);
    make_parents(path);
    (void)unlink(path);
    cr_assert_eq(symlink(target, path), 0);
}

void kernel_gone(struct kernel *k, const char *name)
{
    char path[FS_PATH_MAX];
    struct err e;
    below(k, path, "%s", name);
    cr_assert(fs_exists(path), "%s", name);
    cr_assert_eq(fs_remove_tree(path, &e), ERR_OK, "%s", e.text);
}

/* ---- what the kernel does ---- */

static void read_text(const char *path, char out[128])
{
    struct buf text;
    struct err e;
    buf_init(&text, 1 << 16);
    if (fs_read(path, &text, &e) != ERR_OK)
        buf_clear(&text);
    struct str s = str_trim(buf_str(&text));
    snprintf(out, 128, STR_FMT, (int)min_size(s.len, 127), s.at == NULL ? "" : s.at);
    buf_free(&text);
}

static void driver_path(const struct kernel *k, const char *address, char out[FS_PATH_MAX])
{
    below(k, out, "sys/bus/pci/devices/%s/driver", address);
}

static void attach(struct kernel *k, const char *address, const char *driver)
{
    char path[FS_PATH_MAX], target[FS_PATH_MAX], node[FS_PATH_MAX], group[FS_PATH_MAX];
    driver_path(k, address, path);
    snprintf(target, sizeof target, "../../../../bus/pci/drivers/%s", driver);
    cr_assert_eq(symlink(target, path), 0, "%s has a driver already", address);
    below(k, path, "sys/bus/pci/devices/%s/iommu_group", address);
    ssize_t len = readlink(path, group, sizeof group - 1);
    if (strcmp(driver, "vfio-pci") != 0 || len < 0)
        return;
    group[len] = '\0';
    below(k, node, "dev/vfio/%s", strrchr(group, '/') + 1);
    make_parents(node);
    struct err e;
    cr_assert_eq(fs_put(node, STR(""), 0600, &e), ERR_OK);
}

static void probe(struct kernel *k, const char *address)
{
    char path[FS_PATH_MAX], override[128], old[FS_PATH_MAX];
    below(k, path, "sys/bus/pci/devices/%s/driver_override", address);
    read_text(path, override);
    driver_path(k, address, path);
    if (readlink(path, old, sizeof old) > 0)
        return;
    if (override[0] == '\0' || strcmp(override, "(null)") == 0)
        attach(k, address, k->native);
    else if (strcmp(override, "vfio-pci") != 0 || !k->no_vfio)
        attach(k, address, override);
}

static enum err_code poke(const struct sysfs *s, const char *path, struct str bytes, struct err *e)
{
    struct kernel *k = (struct kernel *)s;
    char text[128], own[FS_PATH_MAX];
    if (k->pokes_max > 0 && k->pokes++ >= k->pokes_max)
        return err_set(e, ERR_UNAVAILABLE, "killed");
    snprintf(text, sizeof text, STR_FMT, STR_ARG(str_trim(bytes)));
    if (str_ends(str_of(path), STR("/drivers_probe"))) {
        probe(k, text);
        return ERR_OK;
    }
    if (str_ends(str_of(path), STR("/driver/unbind"))) {
        driver_path(k, text, own);
        return unlink(own) == 0 ? ERR_OK : err_set(e, ERR_UNAVAILABLE, "write %s: %m", path);
    }
    /* An attribute holds what was written; a file that is not there is not made. */
    if (!fs_exists(path))
        return err_set(e, ERR_NOT_FOUND, "write %s: no such file", path);
    return fs_put(path, str_trim(bytes), 0644, e);
}

static enum err_code make_group(const struct sysfs *s, const char *path, struct err *e)
{
    static const char *const files[] = {"schemata", "cpus_list", "tasks"};
    struct kernel *k = (struct kernel *)s;
    char file[FS_PATH_MAX];
    if (k->pokes_max > 0 && k->pokes++ >= k->pokes_max)
        return err_set(e, ERR_UNAVAILABLE, "killed");
    if (fs_exists(path))
        return err_set(e, ERR_CONFLICT, "%s is there", path);
    enum err_code code = fs_mkdir(path, 0755, e);
    for (size_t i = 0; code == ERR_OK && i < COUNT_OF(files); i++)
        if (fs_join(file, path, files[i]))
            code = fs_put(file, STR(""), 0644, e);
    return code;
}

static enum err_code remove_group(const struct sysfs *s, const char *path, struct err *e)
{
    struct kernel *k = (struct kernel *)s;
    if (k->pokes_max > 0 && k->pokes++ >= k->pokes_max)
        return err_set(e, ERR_UNAVAILABLE, "killed");
    return fs_exists(path) ? fs_remove_tree(path, e)
                           : err_set(e, ERR_NOT_FOUND, "%s is not there", path);
}

const char *kernel_driver(struct kernel *k, const char *address)
{
    static char target[FS_PATH_MAX];
    char path[FS_PATH_MAX];
    driver_path(k, address, path);
    ssize_t len = readlink(path, target, sizeof target - 1);
    target[len < 0 ? 0 : len] = '\0';
    return len < 0 ? "" : strrchr(target, '/') + 1;
}

/* ---- the machine ---- */

void kernel_function(struct kernel *k, const char *address, const char *ids, const char *class,
                     int numa, int group, const char *driver)
{
    char name[256], text[64], target[128];
    const char *const files[][2] = {{"vendor", NULL},
                                    {"device", NULL},
                                    {"class", class},
                                    {"numa_node", NULL},
                                    {"driver_override", "(null)\n"}};
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        snprintf(name, sizeof name, "sys/bus/pci/devices/%s/%s", address, files[i][0]);
        if (i < 2)
            snprintf(text, sizeof text, "0x%.4s\n", ids + 5 * i);
        else if (i == 3)
            snprintf(text, sizeof text, "%d\n", numa);
        kernel_file(k, name, files[i][1] != NULL ? files[i][1] : text);
    }
    if (group >= 0) {
        snprintf(name, sizeof name, "sys/bus/pci/devices/%s/iommu_group", address);
        snprintf(target, sizeof target, "../../../../kernel/iommu_groups/%d", group);
        kernel_link(k, name, target);
    }
    if (driver[0] != '\0')
        attach(k, address, driver);
}

static void node(struct kernel *k, const char *directory, const char *name, const char *type)
{
    char path[256], text[128];
    snprintf(path, sizeof path, "sys/bus/pci/devices/%s/uevent", directory);
    snprintf(text, sizeof text, "MAJOR=259\nMINOR=0\nDEVNAME=%s\nDEVTYPE=%s\n", name, type);
    kernel_file(k, path, text);
}

static void network_card(struct kernel *k)
{
    char address[16], name[128], target[64];
    kernel_function(k, "0000:c1:00.0", "8086:158b", "0x020000\n", 1, 60, "i40e");
    kernel_file(k, "sys/bus/pci/devices/0000:c1:00.0/sriov_totalvfs", "64\n");
    for (int i = 0; i < 4; i++) {
        snprintf(address, sizeof address, "0000:c1:02.%d", i);
        kernel_function(k, address, "8086:154c", "0x020000\n", 1, 70 + i, "iavf");
        snprintf(name, sizeof name, "sys/bus/pci/devices/%s/physfn", address);
        kernel_link(k, name, "../0000:c1:00.0");
        snprintf(name, sizeof name, "sys/bus/pci/devices/0000:c1:00.0/virtfn%d", i);
        snprintf(target, sizeof target, "../%s", address);
        kernel_link(k, name, target);
    }
}

struct kernel *kernel_new(void)
{
    struct kernel *k = mem_zalloc(1, sizeof *k);
    snprintf(k->root, sizeof k->root, "/tmp/baton-kernel-XXXXXX");
    cr_assert_not_null(mkdtemp(k->root));
    snprintf(k->sys, sizeof k->sys, "%s/sys", k->root);
    snprintf(k->dev, sizeof k->dev, "%s/dev", k->root);
    snprintf(k->resctrl, sizeof k->resctrl, "%s/sys/fs/resctrl", k->root);
    snprintf(k->state, sizeof k->state, "%s/state", k->root);
    k->native = "native";
    k->sysfs = (struct sysfs){.sys = k->sys,
                              .dev = k->dev,
                              .resctrl = k->resctrl,
                              .poke = poke,
                              .mkdir = make_group,
                              .rmdir = remove_group};
    kernel_file(k, "sys/bus/pci/drivers_probe", "");
    kernel_function(k, "0000:40:00.0", "8086:2030", "0x060400\n", 0, 10, "pcieport");
    kernel_function(k, "0000:41:00.0", "10de:20b0", "0x030200\n", 0, 10, "nouveau");
    kernel_function(k, "0000:41:00.1", "10de:1aef", "0x040300\n", 0, 10, "snd_hda_intel");
    kernel_function(k, "0000:81:00.0", "10de:20b0", "0x030200\n", 1, 20, "nouveau");
    kernel_function(k, "0000:81:00.1", "10de:1aef", "0x040300\n", 1, 20, "snd_hda_intel");
    kernel_function(k, "0000:42:00.0", "144d:a80a", "0x010802\n", 0, 30, "nvme");
    node(k, "0000:42:00.0/nvme/nvme0", "nvme0", "");
    node(k, "0000:42:00.0/nvme/nvme0/nvme0n1", "nvme0n1", "disk");
    node(k, "0000:42:00.0/nvme/nvme0/nvme0n1/nvme0n1p1", "nvme0n1p1", "partition");
    node(k, "0000:41:00.0/drm/card0", "dri/card0", "drm_minor");
    network_card(k);
    kernel_file(k, "sys/fs/resctrl/schemata", "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n");
    kernel_file(k, "sys/fs/resctrl/cpus_list", "0-63\n");
    kernel_file(k, "sys/fs/resctrl/info/L3/cbm_mask", "7ff\n");
    kernel_file(k, "sys/fs/resctrl/info/L3/min_cbm_bits", "1\n");
    kernel_file(k, "sys/fs/resctrl/info/L3/shareable_bits", "600\n");
    kernel_file(k, "sys/fs/resctrl/info/L3/num_closids", "4\n");
    kernel_file(k, "sys/fs/resctrl/info/MB/bandwidth_gran", "10\n");
    kernel_file(k, "sys/fs/resctrl/info/MB/min_bandwidth", "10\n");
    kernel_file(k, "sys/fs/resctrl/info/MB/num_closids", "8\n");
    /* A character device that any user's test can have, where USB's tree would be. */
    kernel_link(k, "dev/ttyUSB0", "/dev/null");
    kernel_file(k, "dev/ttyUSB1", "no device");
    kernel_link(k, "dev/fuse", "/dev/zero");
    kernel_file(k, "sys/devices/pci0000:80/0000:80:14.0/numa_node", "1\n");
    kernel_file(k, "sys/devices/pci0000:80/0000:80:14.0/usb1/ttyUSB0/uevent", "");
    kernel_link(k, "sys/dev/char/1:3", "../../devices/pci0000:80/0000:80:14.0/usb1/ttyUSB0");
    return k;
}

void kernel_free(struct kernel *k)
{
    struct err e;
    cr_expect_eq(fs_remove_tree(k->root, &e), ERR_OK);
    mem_free(k);
}
