/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices.c -- from sysfs to what can be given away: PCI functions first, then what depends on who else
 * is given away (physical functions, IOMMU groups), then device nodes.
 */
#include "nodeagent/host/devices.h"

#include "io/fs.h"

#include <dirent.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
    FUNCTIONS_MAX = 4096, /* PCI functions of a machine that are looked at. */
    NODE_DEPTH_MAX = 4,   /* nvme/nvme0/nvme0n1 */
    CLASS_BRIDGE = 0x0604,
    CLASS_DISPLAY = 0x03,
    CLASS_NETWORK = 0x02,
    CLASS_NVME = 0x0108,
};

/* A function as it is, given away or not. */
struct function {
    struct str address, physical; /* physical: whose virtual function it is. */
    uint32_t vendor, device, class;
    int32_t numa, group;
    struct device_rule *rule; /* NULL: not given away. */
    int32_t index;            /* In devices; DEVICE_NONE: not listed. */
};

struct looking {
    struct arena *arena;
    const struct devices_roots *roots;
    struct device_rules *rules;
    struct devices *out;
    struct function *functions;
    uint32_t functions_count;
    struct err *e;
};

/* ---- words and files ---- */

static void note(struct looking *l, const char *fmt, ...) PRINTF(2, 3);
static void note(struct looking *l, const char *fmt, ...)
{
    char text[256];
    va_list list;
    if (l->out->notes_count == DEVICES_NOTES_MAX) {
        l->out->notes_lost++;
        return;
    }
    va_start(list, fmt);
    vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    l->out->notes[l->out->notes_count++] = arena_str(l->arena, str_of(text));
}

static bool path_of(const struct looking *l, const struct function *f, const char *name,
                    char out[FS_PATH_MAX])
{
    int len = snprintf(out, FS_PATH_MAX, "%s/bus/pci/devices/" STR_FMT "/%s", l->roots->sys,
                       STR_ARG(f->address), name);
    return len > 0 && len < FS_PATH_MAX;
}

/* Decimal or 0x...; absent and nonsense are other. */
static int64_t number_at(const char *path, int64_t other)
{
    struct buf text;
    struct err e;
    int64_t value = other;
    buf_init(&text, 256);
    if (fs_read(path, &text, &e) == ERR_OK) {
        struct str s = str_trim(buf_str(&text));
        if (str_starts(s, STR("0x"))) {
            value = 0;
            for (size_t i = 2; i < s.len && i < 12 && str_hex_digit(s.at[i]) >= 0; i++)
                value = value << 4 | str_hex_digit(s.at[i]);
        } else if (str_parse_i64(s, &value) != ERR_OK) {
            value = other;
        }
    }
    buf_free(&text);
    return value;
}

static int64_t number_of(const struct looking *l, const struct function *f, const char *name,
                         int64_t other)
{
    char path[FS_PATH_MAX];
    return path_of(l, f, name, path) ? number_at(path, other) : other;
}

/* The last part of where a link leads; empty where there is none. */
static struct str link_at(struct looking *l, const char *path)
{
    char target[FS_PATH_MAX];
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len <= 0)
        return STR("");
    target[len] = '\0';
    const char *slash = strrchr(target, '/');
    return arena_str(l->arena, str_of(slash == NULL ? target : slash + 1));
}

static struct str link_of(struct looking *l, const struct function *f, const char *name)
{
    char path[FS_PATH_MAX];
    return path_of(l, f, name, path) ? link_at(l, path) : STR("");
}

/* ---- PCI functions ---- */

static bool matches(struct str pattern, struct str text)
{
    if (pattern.len == 0)
        return true;
    if (pattern.at[pattern.len - 1] == '*')
        return str_starts(text, str_slice(pattern, 0, pattern.len - 1));
    return str_eq(pattern, text);
}

static enum err_code choose_rule(struct looking *l, struct function *f)
{
    for (uint32_t i = 0; i < l->rules->count; i++) {
        struct device_rule *r = &l->rules->at[i];
        if (r->path.len > 0 || (r->vendor != 0 && r->vendor != f->vendor) ||
            (r->vendor != 0 && r->device != f->device) || !matches(r->address, f->address) ||
            !matches(r->parent, f->physical))
            continue;
        if (f->rule != NULL && !str_eq(f->rule->resource, r->resource))
            return err_set(l->e, ERR_INVALID,
                           STR_FMT " is given away as " STR_FMT " and as " STR_FMT,
                           STR_ARG(f->address), STR_ARG(f->rule->resource), STR_ARG(r->resource));
        r->matched = true;
        if (f->rule == NULL)
            f->rule = r;
    }
    return ERR_OK;
}

static bool see_function(void *arg, const char *name)
{
    struct looking *l = arg;
    if (!devices_is_address(str_of(name)) || l->functions_count == FUNCTIONS_MAX)
        return l->functions_count < FUNCTIONS_MAX;
    struct function *f = &l->functions[l->functions_count++];
    f->address = arena_str(l->arena, str_of(name));
    f->vendor = (uint32_t)number_of(l, f, "vendor", 0);
    f->device = (uint32_t)number_of(l, f, "device", 0);
    f->class = (uint32_t)number_of(l, f, "class", 0) >> 8; /* Without the programming interface. */
    f->numa = (int32_t)number_of(l, f, "numa_node", DEVICE_NONE);
    f->physical = link_of(l, f, "physfn");
    struct str group = link_of(l, f, "iommu_group");
    uint64_t number;
    f->group = str_parse_u64(group, &number) == ERR_OK && number <= INT_MAX ? (int32_t)number
                                                                            : DEVICE_NONE;
    f->index = DEVICE_NONE;
    return true;
}

static enum err_code read_functions(struct looking *l)
{
    char path[FS_PATH_MAX];
    struct err ignored;
    l->functions = arena_zalloc(l->arena, FUNCTIONS_MAX, sizeof *l->functions);
    if (l->functions == NULL || !fs_join(path, l->roots->sys, "bus/pci/devices"))
        return err_set(l->e, ERR_LIMIT, "too many devices");
    /* A machine without PCI has no such directory. */
    if (fs_list(path, see_function, l, &ignored) != ERR_OK)
        l->functions_count = 0;
    enum err_code code = arena_status(l->arena, l->e);
    for (uint32_t i = 0; code == ERR_OK && i < l->functions_count; i++)
        code = choose_rule(l, &l->functions[i]);
    return code;
}

static struct function *function_find(struct looking *l, struct str address)
{
    for (uint32_t i = 0; address.len > 0 && i < l->functions_count; i++)
        if (str_eq(l->functions[i].address, address))
            return &l->functions[i];
    return NULL;
}

/* Whoever holds the physical function can take its virtual ones away: not both. */
static void keep_parents(struct looking *l)
{
    for (uint32_t i = 0; i < l->functions_count; i++) {
        struct function *f = &l->functions[i], *physical = function_find(l, f->physical);
        if (f->rule == NULL || physical == NULL || physical->rule == NULL)
            continue;
        note(l, STR_FMT " is not given away: its virtual functions are",
             STR_ARG(physical->address));
        physical->rule = NULL;
    }
}

/* ---- IOMMU groups ---- */

static bool same_slot(const struct function *a, const struct function *b)
{
    return str_eq(str_slice(a->address, 0, 10), str_slice(b->address, 0, 10));
}

/* VFIO gives whole groups: bridges need no driver, the other functions of one slot (a GPU's sound) go
 * along, anything else would be taken from whoever uses it. */
static void judge_group(struct looking *l, const struct function *f, struct device *d)
{
    for (uint32_t i = 0; f->group != DEVICE_NONE && i < l->functions_count; i++) {
        const struct function *other = &l->functions[i];
        if (other == f || other->group != f->group || other->class == CLASS_BRIDGE)
            continue;
        if (other->rule == NULL && other->physical.len == 0 && same_slot(f, other) &&
            d->companions_count < DEVICES_COMPANIONS_MAX) {
            d->companions[d->companions_count++] = other->address;
            continue;
        }
        note(l, STR_FMT " is for no machine and no VFIO: IOMMU group %d holds " STR_FMT ", too",
             STR_ARG(f->address), f->group, STR_ARG(other->address));
        d->iommu_group = DEVICE_NONE;
        d->companions_count = 0;
        return;
    }
}

/* ---- nodes that a driver made for a function ---- */

/* uevent: MAJOR=, MINOR=, DEVNAME=, and for partitions DEVTYPE=partition. */
static void take_node(struct looking *l, const char *directory, struct device *d)
{
    char path[FS_PATH_MAX];
    struct buf text;
    struct err e;
    struct str rest, line, name = STR("");
    buf_init(&text, 64 << 10);
    if (!fs_join(path, directory, "uevent") || fs_read(path, &text, &e) != ERR_OK)
        buf_clear(&text);
    for (rest = buf_str(&text); str_split(&rest, '\n', &line);) {
        if (str_starts(line, STR("DEVNAME=")))
            name = str_slice(line, 8, line.len);
        if (str_is(line, "DEVTYPE=partition")) {
            name = STR("");
            break;
        }
    }
    if (name.len > 0 && d->paths_count < DEVICES_PATHS_MAX)
        d->paths[d->paths_count++] = arena_printf(l->arena, "/dev/" STR_FMT, STR_ARG(name));
    buf_free(&text);
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void walk_nodes(struct looking *l, const char *directory, uint32_t depth, struct device *d)
{
    DIR *dir = depth < NODE_DEPTH_MAX ? opendir(directory) : NULL;
    for (struct dirent *at; dir != NULL && (at = readdir(dir)) != NULL;) {
        char path[FS_PATH_MAX];
        struct stat st;
        if (at->d_name[0] == '.' || devices_is_address(str_of(at->d_name)) ||
            !fs_join(path, directory, at->d_name) || lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
            continue;
        take_node(l, path, d);
        walk_nodes(l, path, depth + 1, d);
    }
    if (dir != NULL)
        closedir(dir);
}

/* ---- what is listed ---- */

static struct device *list_device(struct looking *l, int32_t *out_index)
{
    struct devices *out = l->out;
    if (out->count == DEVICES_MAX)
        return NULL;
    struct device *d = &out->at[out->count];
    *d = (struct device){.numa = DEVICE_NONE,
                         .iommu_group = DEVICE_NONE,
                         .parent = DEVICE_NONE,
                         .shares = 1,
                         .paths = arena_zalloc(l->arena, DEVICES_PATHS_MAX, sizeof *d->paths)};
    *out_index = (int32_t)out->count;
    if (d->paths == NULL)
        return NULL;
    out->count++;
    return d;
}

static struct str class_of(const struct function *f)
{
    if (f->class >> 8 == CLASS_NETWORK)
        return f->physical.len > 0 ? STR("nic-vf") : STR("nic");
    if (f->class == CLASS_NVME)
        return STR("nvme");
    return f->class >> 8 == CLASS_DISPLAY ? STR("gpu") : STR("pci");
}

static void virtual_functions(struct looking *l, const struct function *f, struct device *d)
{
    d->functions_max = (uint32_t)number_of(l, f, "sriov_totalvfs", 0);
    if (d->functions_max > 0)
        d->functions = arena_zalloc(l->arena, DEVICES_FUNCTIONS_MAX, sizeof *d->functions);
    for (uint32_t i = 0; i < l->functions_count && d->functions != NULL; i++)
        if (str_eq(l->functions[i].physical, f->address) &&
            d->functions_count < DEVICES_FUNCTIONS_MAX)
            d->functions[d->functions_count++] = l->functions[i].address;
}

static enum err_code list_function(struct looking *l, struct function *f)
{
    char path[FS_PATH_MAX];
    struct device *d = list_device(l, &f->index);
    if (d == NULL)
        return err_set(l->e, ERR_LIMIT, "more than %d devices", DEVICES_MAX);
    d->class = class_of(f);
    d->address = f->address;
    d->vendor = f->vendor;
    d->device = f->device;
    d->numa = f->numa;
    d->iommu_group = f->group;
    d->companions = arena_zalloc(l->arena, DEVICES_COMPANIONS_MAX, sizeof *d->companions);
    if (d->companions == NULL)
        return arena_status(l->arena, l->e);
    virtual_functions(l, f, d);
    if (f->rule == NULL)
        return ERR_OK;
    d->resource = f->rule->resource;
    d->vfio = f->rule->vfio;
    d->milli = f->rule->milli;
    judge_group(l, f, d);
    if (!d->vfio && path_of(l, f, "", path)) {
        walk_nodes(l, path, 0, d);
        qsort(d->paths, d->paths_count, sizeof *d->paths, by_name); /* readdir() has no order. */
    }
    return ERR_OK;
}

/* A physical function stands before its virtual ones; one that VFIO cannot give is nobody's. */
static enum err_code list_functions(struct looking *l)
{
    enum err_code code = ERR_OK;
    for (uint32_t i = 0; code == ERR_OK && i < l->functions_count; i++) {
        struct function *f = &l->functions[i], *physical = function_find(l, f->physical);
        if (f->rule == NULL || f->index != DEVICE_NONE)
            continue;
        if (physical != NULL && physical->index == DEVICE_NONE)
            code = list_function(l, physical);
        if (code == ERR_OK)
            code = list_function(l, f);
        if (code != ERR_OK)
            continue;
        struct device *d = &l->out->at[f->index];
        d->parent = physical == NULL ? DEVICE_NONE : physical->index;
        if (d->vfio && d->iommu_group == DEVICE_NONE) {
            note(l, STR_FMT " is not given away: vfio-pci needs an IOMMU group of its own",
                 STR_ARG(f->address));
            l->out->count--;
            f->index = DEVICE_NONE;
        }
    }
    return code;
}

/* ---- device nodes ---- */

/* The nearest device above it that says where it is. */
static int32_t node_numa(const struct looking *l, const struct stat *st)
{
    char path[FS_PATH_MAX], whole[PATH_MAX];
    snprintf(path, sizeof path, "%s/dev/%s/%u:%u", l->roots->sys,
             S_ISBLK(st->st_mode) ? "block" : "char", major(st->st_rdev), minor(st->st_rdev));
    if (realpath(path, whole) == NULL)
        return DEVICE_NONE;
    size_t root = strlen(l->roots->sys);
    for (char *slash; strlen(whole) > root; *slash = '\0') {
        if (fs_join(path, whole, "numa_node") && fs_exists(path))
            return (int32_t)number_at(path, DEVICE_NONE);
        slash = strrchr(whole, '/');
        if (slash == NULL || slash == whole)
            break;
    }
    return DEVICE_NONE;
}

static enum err_code list_node(struct looking *l, struct device_rule *r, const char *path)
{
    struct stat st;
    int32_t index;
    struct str shown = arena_printf(l->arena, "/dev%s", path + strlen(l->roots->dev));
    if (stat(path, &st) != 0 || (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))) {
        note(l, STR_FMT " is not given away: it is no device", STR_ARG(shown));
        return ERR_OK;
    }
    for (uint32_t i = 0; i < l->out->count; i++)
        for (uint32_t k = 0; k < l->out->at[i].paths_count; k++)
            if (str_eq(l->out->at[i].paths[k], shown))
                return err_set(
                    l->e, ERR_INVALID, STR_FMT " is given away as " STR_FMT " and as " STR_FMT,
                    STR_ARG(shown), STR_ARG(l->out->at[i].resource), STR_ARG(r->resource));
    struct device *d = list_device(l, &index);
    if (d == NULL)
        return err_set(l->e, ERR_LIMIT, "more than %d devices", DEVICES_MAX);
    d->class = S_ISBLK(st.st_mode) ? STR("block") : STR("char");
    d->resource = r->resource;
    d->numa = node_numa(l, &st);
    d->shares = r->shares;
    d->milli = r->milli;
    d->paths[d->paths_count++] = shown;
    r->matched = true;
    return ERR_OK;
}

static enum err_code list_nodes(struct looking *l, struct device_rule *r)
{
    char pattern[FS_PATH_MAX];
    glob_t found = {0};
    enum err_code code = ERR_OK;
    snprintf(pattern, sizeof pattern, "%s" STR_FMT, l->roots->dev,
             STR_ARG(str_slice(r->path, 4, r->path.len))); /* Behind "/dev". */
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; code == ERR_OK && i < found.gl_pathc; i++)
            code = list_node(l, r, found.gl_pathv[i]);
    globfree(&found);
    return code;
}

enum err_code devices_discover(struct arena *a, const struct devices_roots *roots,
                               struct device_rules *rules, struct devices *out, struct err *e)
{
    struct looking l = {.arena = a, .roots = roots, .rules = rules, .out = out, .e = e};
    *out = (struct devices){.at = arena_zalloc(a, DEVICES_MAX, sizeof *out->at),
                            .notes = arena_zalloc(a, DEVICES_NOTES_MAX, sizeof *out->notes)};
    enum err_code code = arena_status(a, e);
    if (code == ERR_OK)
        code = read_functions(&l);
    if (code == ERR_OK) {
        keep_parents(&l);
        code = list_functions(&l);
    }
    for (uint32_t i = 0; code == ERR_OK && i < rules->count; i++)
        if (rules->at[i].path.len > 0)
            code = list_nodes(&l, &rules->at[i]);
    for (uint32_t i = 0; code == ERR_OK && i < rules->count; i++)
        if (!rules->at[i].matched)
            note(&l, STR_FMT ": a rule matches nothing on this machine",
                 STR_ARG(rules->at[i].resource));
    return code == ERR_OK ? arena_status(a, e) : code;
}
