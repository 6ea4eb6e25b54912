/* SPDX-License-Identifier: Apache-2.0 */
/* A record is one line: owner, IOMMU group or -, the driver it had or -. */
#include "nodeagent/host/vfio.h"

#include "io/fs.h"
#include "nodeagent/host/devices.h"

#include <stdio.h>
#include <unistd.h>

enum { NAME_MAX_LEN = 64, RECORD_MAX = 256 };

static const char DRIVER[] = "vfio-pci";

struct record {
    char owner[VFIO_OWNER_MAX], group[NAME_MAX_LEN], driver[NAME_MAX_LEN];
};

static void function_path(const struct vfio *v, const char *address, const char *name,
                          char out[FS_PATH_MAX])
{
    snprintf(out, FS_PATH_MAX, "%s/bus/pci/devices/%s/%s", v->sysfs->sys, address, name);
}

/* The last part of where the link leads; "-": there is none. */
static void link_name(const struct vfio *v, const char *address, const char *link,
                      char out[NAME_MAX_LEN])
{
    char path[FS_PATH_MAX], target[FS_PATH_MAX];
    function_path(v, address, link, path);
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len < 0)
        len = 0;
    target[len] = '\0';
    const char *slash = strrchr(target, '/');
    snprintf(out, NAME_MAX_LEN, "%.*s", NAME_MAX_LEN - 1,
             len == 0        ? "-"
             : slash == NULL ? target
                             : slash + 1);
}

static bool has_driver(const struct vfio *v, const char *address, const char *driver)
{
    char now[NAME_MAX_LEN];
    link_name(v, address, "driver", now);
    return strcmp(now, driver) == 0;
}

/* ---- records ---- */

static enum err_code record_read(const struct vfio *v, const char *address, struct record *out,
                                 struct err *e)
{
    char path[FS_PATH_MAX];
    struct buf text;
    if (!fs_join(path, v->directory, address))
        return err_set(e, ERR_LIMIT, "path of %s", address);
    buf_init(&text, RECORD_MAX);
    enum err_code code = fs_read(path, &text, e);
    buf_add_char(&text, '\0');
    if (code == ERR_OK &&
        (buf_status(&text, e) != ERR_OK ||
         sscanf(text.at, "%63s %63s %63s", out->owner, out->group, out->driver) != 3))
        code = err_set(e, ERR_CORRUPT, "%s is no record of a device", path);
    buf_free(&text);
    return code;
}

static enum err_code record_write(const struct vfio *v, const char *address, const struct record *r,
                                  struct err *e)
{
    char path[FS_PATH_MAX], line[RECORD_MAX];
    int len = snprintf(line, sizeof line, "%s %s %s\n", r->owner, r->group, r->driver);
    enum err_code code = fs_mkdir(v->directory, 0700, e);
    if (code == ERR_OK && !fs_join(path, v->directory, address))
        code = err_set(e, ERR_LIMIT, "path of %s", address);
    /* Durably: half a record after a power cut would say that it is nobody's. */
    return code == ERR_OK ? fs_write(path, str_from(line, (size_t)len), 0600, e) : code;
}

/* ---- drivers ---- */

static enum err_code leave_driver(const struct vfio *v, const char *address, struct err *e)
{
    char path[FS_PATH_MAX];
    if (has_driver(v, address, "-"))
        return ERR_OK;
    function_path(v, address, "driver/unbind", path);
    return v->sysfs->poke(v->sysfs, path, str_of(address), e);
}

/* driver_override binds a function to one driver by name; an empty line to whichever matches, or, without a
 * probe, to none. */
static enum err_code change_driver(const struct vfio *v, const char *address, const char *driver,
                                   bool probe, struct err *e)
{
    char path[FS_PATH_MAX];
    function_path(v, address, "driver_override", path);
    enum err_code code =
        v->sysfs->poke(v->sysfs, path, driver[0] == '\0' ? STR("\n") : str_of(driver), e);
    if (code == ERR_OK)
        code = leave_driver(v, address, e);
    if (!probe)
        return code;
    snprintf(path, sizeof path, "%s/bus/pci/drivers_probe", v->sysfs->sys);
    return code == ERR_OK ? v->sysfs->poke(v->sysfs, path, str_of(address), e) : code;
}

enum err_code vfio_bind(const struct vfio *v, struct str name, struct str owner, struct err *e)
{
    char address[16], path[FS_PATH_MAX];
    struct record r = {0};
    if (!devices_is_address(name) || owner.len == 0 || owner.len >= VFIO_OWNER_MAX)
        return err_set(e, ERR_INVALID, "no PCI address: " STR_FMT, STR_ARG(name));
    snprintf(address, sizeof address, STR_FMT, STR_ARG(name));
    function_path(v, address, "", path);
    if (!fs_exists(path))
        return err_set(e, ERR_NOT_FOUND, "there is no PCI function %s", address);
    enum err_code code = record_read(v, address, &r, e);
    if (code == ERR_OK && !str_eq(str_of(r.owner), owner))
        return err_set(e, ERR_CONFLICT, "%s is held by workload %s", address, r.owner);
    if (code == ERR_NOT_FOUND ||
        code == ERR_CORRUPT) { /* Corrupt: from before they were durable. */
        snprintf(r.owner, sizeof r.owner, STR_FMT, STR_ARG(owner));
        link_name(v, address, "iommu_group", r.group);
        link_name(v, address, "driver", r.driver);
        code = record_write(v, address, &r, e);
    }
    if (code != ERR_OK || has_driver(v, address, DRIVER))
        return code;
    code = change_driver(v, address, DRIVER, true, e);
    if (code == ERR_OK && !has_driver(v, address, DRIVER))
        code = err_set(e, ERR_UNAVAILABLE, "the kernel does not bind it: is %s loaded?", DRIVER);
    return code == ERR_OK ? ERR_OK : err_wrap(e, "vfio %s", address);
}

/* ---- and back ---- */

/* Where the operator has bound it himself, its group outlives the workload, and its node a machine's user. */
static void close_group(const struct vfio *v, const struct record *r)
{
    char path[FS_PATH_MAX];
    snprintf(path, sizeof path, "%s/vfio/%s", v->sysfs->dev, r->group);
    if (chown(path, 0, 0) != 0)
        return; /* It went with its last function. */
}

static enum err_code give_back(const struct vfio *v, const char *address, const struct record *r,
                               struct err *e)
{
    char path[FS_PATH_MAX];
    enum err_code code = ERR_OK;
    function_path(v, address, "", path);
    if (fs_exists(path) && strcmp(r->driver, DRIVER) != 0) {
        code = change_driver(v, address, "", strcmp(r->driver, "-") != 0, e);
        if (code == ERR_NOT_FOUND && !fs_exists(path))
            code = ERR_OK; /* Pulled out meanwhile. */
        if (code == ERR_OK && has_driver(v, address, DRIVER))
            code = err_set(e, ERR_UNAVAILABLE, "%s does not leave %s", address, DRIVER);
    }
    close_group(v, r);
    if (code == ERR_OK && fs_join(path, v->directory, address))
        code = fs_remove(path, e);
    return code;
}

struct releasing {
    const struct vfio *v;
    struct str owner;
    enum err_code code;
    struct err *e;
};

static bool release_one(void *arg, const char *address, struct str owner)
{
    struct releasing *r = arg;
    struct record record;
    if (!str_eq(owner, r->owner))
        return true;
    r->code = record_read(r->v, address, &record, r->e);
    if (r->code == ERR_OK)
        r->code = give_back(r->v, address, &record, r->e);
    return r->code == ERR_OK;
}

enum err_code vfio_release(const struct vfio *v, struct str owner, struct err *e)
{
    struct releasing r = {.v = v, .owner = owner, .e = e};
    enum err_code code = vfio_list(v, release_one, &r, e);
    return code != ERR_OK ? code : r.code;
}

struct listing {
    const struct vfio *v;
    bool (*visit)(void *arg, const char *address, struct str owner);
    void *arg;
    enum err_code code;
    struct err *e;
};

static bool list_one(void *arg, const char *name)
{
    struct listing *l = arg;
    struct record r;
    if (!devices_is_address(str_of(name)))
        return true; /* A temporary file. */
    l->code = record_read(l->v, name, &r, l->e);
    if (l->code == ERR_CORRUPT || l->code == ERR_NOT_FOUND) {
        l->code =
            ERR_OK; /* Nobody's; the next bind writes it anew. Or it was given back just now. */
        return true;
    }
    return l->code == ERR_OK && l->visit(l->arg, name, str_of(r.owner));
}

enum err_code vfio_list(const struct vfio *v,
                        bool (*visit)(void *arg, const char *address, struct str owner), void *arg,
                        struct err *e)
{
    struct listing l = {.v = v, .visit = visit, .arg = arg, .e = e};
    enum err_code code = fs_list(v->directory, list_one, &l, e);
    if (code == ERR_NOT_FOUND)
        return ERR_OK;
    return code != ERR_OK ? code : l.code;
}
