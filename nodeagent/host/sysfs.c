/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/sysfs.h"

#include "io/fs.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err_code poke(const struct sysfs *s, const char *path, struct str bytes, struct err *e)
{
    (void)s;
    return fs_poke(path, bytes, e);
}

static enum err_code make(const struct sysfs *s, const char *path, struct err *e)
{
    (void)s;
    if (mkdir(path, 0755) == 0)
        return ERR_OK;
    return err_set(e, errno == EEXIST ? ERR_CONFLICT : ERR_UNAVAILABLE, "mkdir %s: %m", path);
}

static enum err_code take_away(const struct sysfs *s, const char *path, struct err *e)
{
    (void)s;
    if (rmdir(path) == 0)
        return ERR_OK;
    return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "rmdir %s: %m", path);
}

const struct sysfs *sysfs_real(void)
{
    static const struct sysfs real = {.sys = "/sys",
                                      .dev = "/dev",
                                      .resctrl = "/sys/fs/resctrl",
                                      .poke = poke,
                                      .mkdir = make,
                                      .rmdir = take_away};
    return &real;
}
