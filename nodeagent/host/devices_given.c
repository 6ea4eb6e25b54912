/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/devices_given.h"

#include "base/json.h"
#include "io/fs.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { GIVEN_BYTES_MAX = 1 << 20, FACT_MAX = 64 };

static const char NAME[] = "devices.given";

/* What the kernel says of a device; texts are empty for what it does not say. */
struct facts {
    bool is_there, is_held; /* held: bound for a workload, which is recorded. */
    char numa[FACT_MAX], group[FACT_MAX], driver[FACT_MAX], number[FACT_MAX];
};

/* ---- asking ---- */

static void read_text(const char *path, char out[FACT_MAX])
{
    struct buf text;
    buf_init(&text, 256);
    out[0] = '\0';
    if (fs_read(path, &text, NULL) == ERR_OK)
        snprintf(out, FACT_MAX, STR_FMT, STR_ARG(str_trim(buf_str(&text))));
    buf_free(&text);
}

static void read_link(const char *path, char out[FACT_MAX])
{
    char target[FS_PATH_MAX];
    ssize_t len = readlink(path, target, sizeof target - 1);
    out[0] = '\0';
    if (len <= 0)
        return;
    target[len] = '\0';
    const char *slash = strrchr(target, '/');
    snprintf(out, FACT_MAX, "%.*s", FACT_MAX - 1, slash == NULL ? target : slash + 1);
}

static void ask_function(const struct devices_given *g, struct str address, struct facts *out)
{
    char at[FS_PATH_MAX], path[FS_PATH_MAX + 32];
    snprintf(at, sizeof at, "%s/bus/pci/devices/" STR_FMT, g->roots.sys, STR_ARG(address));
    out->is_there = fs_exists(at);
    snprintf(path, sizeof path, "%s/numa_node", at);
    read_text(path, out->numa);
    snprintf(path, sizeof path, "%s/iommu_group", at);
    read_link(path, out->group);
    snprintf(path, sizeof path, "%s/driver", at);
    read_link(path, out->driver);
    snprintf(path, sizeof path, "%s/devices/" STR_FMT, g->state, STR_ARG(address));
    out->is_held = fs_exists(path);
}

/* Which device a node is, "c 10:229": its name alone may mean another by now. */
static void ask_node(const struct devices_given *g, struct str path, struct facts *out)
{
    char at[FS_PATH_MAX];
    struct stat st;
    snprintf(at, sizeof at, "%s" STR_FMT, g->roots.dev, STR_ARG(str_slice(path, 4, path.len)));
    out->is_there = stat(at, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode));
    if (out->is_there)
        snprintf(out->number, FACT_MAX, "%c %u:%u", S_ISBLK(st.st_mode) ? 'b' : 'c',
                 major(st.st_rdev), minor(st.st_rdev));
}

static struct facts ask(const struct devices_given *g, struct str id)
{
    struct facts f = {0};
    if (devices_is_address(id))
        ask_function(g, id, &f);
    else if (str_starts(id, STR("/dev/")))
        ask_node(g, id, &f);
    return f;
}

/* ---- writing down ---- */

static struct str id_of(const struct device *d)
{
    return d->address.len > 0 ? d->address : d->paths_count > 0 ? d->paths[0] : STR("");
}

static void set(struct arena *a, struct json *to, const char *key, const char *text)
{
    if (text[0] != '\0')
        json_set(a, to, str_of(key), json_new_string(a, arena_str(a, str_of(text))));
}

static struct json *given_json(struct arena *a, const struct devices_given *g,
                               const struct device *d)
{
    struct json *one = json_new(a, JSON_OBJECT);
    struct facts f = ask(g, id_of(d));
    json_set(a, one, STR("id"), json_new_string(a, id_of(d)));
    json_set(a, one, STR("resource"), json_new_string(a, d->resource));
    set(a, one, "numa", f.numa);
    set(a, one, "group", f.group);
    set(a, one, "driver", f.is_held ? "" : f.driver); /* What it had before is the record's. */
    set(a, one, "number", f.number);
    return one;
}

enum err_code devices_given_put(const struct devices_given *g, const char *file,
                                const struct devices *d, struct err *e)
{
    char path[FS_PATH_MAX], whole[PATH_MAX];
    struct arena a;
    struct buf text;
    if (!fs_join(path, g->state, NAME))
        return err_set(e, ERR_LIMIT, "the path of %s is too long", NAME);
    if (file == NULL)
        return fs_remove(path, e);
    if (realpath(file, whole) == NULL) /* The doctor is called from anywhere. */
        return err_set(e, ERR_UNAVAILABLE, "%s: %m", file);
    arena_init(&a, GIVEN_BYTES_MAX);
    buf_init(&text, GIVEN_BYTES_MAX);
    struct json *root = json_new(&a, JSON_OBJECT), *list = json_new(&a, JSON_ARRAY);
    set(&a, root, "file", whole);
    set(&a, root, "sys", g->roots.sys);
    set(&a, root, "dev", g->roots.dev);
    for (uint32_t i = 0; i < d->count; i++)
        if (d->at[i].resource.len > 0)
            json_append(list, given_json(&a, g, &d->at[i]));
    json_set(&a, root, STR("devices"), list);
    enum err_code code = arena_status(&a, e);
    if (code == ERR_OK) {
        json_print(&text, root);
        code = buf_status(&text, e);
    }
    if (code == ERR_OK)
        code = fs_put(path, buf_str(&text), 0600, e);
    buf_free(&text);
    arena_free(&a);
    return code;
}

/* ---- what is not so any more ---- */

struct judging {
    struct arena *arena;
    const struct devices_given *given;
    struct devices_judged *out;
};

static void trouble(struct judging *j, bool is_failure, const char *fmt, ...) PRINTF(3, 4);
static void trouble(struct judging *j, bool is_failure, const char *fmt, ...)
{
    char text[384];
    va_list list;
    if (j->out->troubles_count == DEVICES_TROUBLES_MAX) {
        j->out->troubles_lost++;
        return;
    }
    va_start(list, fmt);
    vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    j->out->at[j->out->troubles_count++] =
        (struct devices_trouble){is_failure, arena_str(j->arena, str_of(text))};
}

static struct str then(const struct json *given, const char *key)
{
    struct str text = json_text(json_find(given, str_of(key)));
    return text.at == NULL ? STR("") : text;
}

static const char *or_none(struct str text)
{
    return text.len == 0 ? "none" : text.at;
}

static void judge_driver(struct judging *j, const struct json *given, struct str what,
                         const struct facts *now)
{
    struct str had = then(given, "driver");
    if (now->is_held && strcmp(now->driver, "vfio-pci") != 0)
        trouble(j, true, STR_FMT " is bound to %s, and a workload has it through vfio-pci",
                STR_ARG(what), or_none(str_of(now->driver)));
    else if (!now->is_held && had.len > 0 && !str_eq(had, str_of(now->driver)))
        trouble(j, true, STR_FMT " is bound to %s, at the agent's start to " STR_FMT, STR_ARG(what),
                or_none(str_of(now->driver)), STR_ARG(had));
}

static void judge_place(struct judging *j, const struct json *given, struct str what,
                        const struct facts *now)
{
    struct str numa = then(given, "numa"), group = then(given, "group");
    if (group.len > 0 && now->group[0] == '\0')
        trouble(j, true, STR_FMT " has no IOMMU group any more: nobody can have it through VFIO",
                STR_ARG(what));
    else if (!str_eq(group, str_of(now->group)))
        trouble(j, true,
                STR_FMT " is in IOMMU group %s, at the agent's start in " STR_FMT
                        ": restart the agent",
                STR_ARG(what), now->group, STR_ARG(group.len > 0 ? group : STR("none")));
    if (!str_eq(numa, str_of(now->numa)))
        trouble(
            j, false,
            STR_FMT " is in NUMA node %s, at the agent's start in " STR_FMT ": restart the agent",
            STR_ARG(what), or_none(str_of(now->numa)), STR_ARG(numa.len > 0 ? numa : STR("none")));
}

static void judge_one(struct judging *j, const struct json *given)
{
    struct str id = then(given, "id"), number = then(given, "number");
    struct str resource = then(given, "resource");
    struct facts now = ask(j->given, id);
    struct str what =
        arena_printf(j->arena, STR_FMT " (" STR_FMT ")", STR_ARG(id), STR_ARG(resource));
    j->out->count++;
    if (!now.is_there)
        trouble(j, true, STR_FMT " is gone, and the cluster still gives it away: restart the agent",
                STR_ARG(what));
    else if (number.len > 0 && !str_eq(number, str_of(now.number)))
        trouble(j, true,
                STR_FMT " is another device, %s, at the agent's start " STR_FMT
                        ": restart the agent",
                STR_ARG(what), now.number, STR_ARG(number));
    else if (number.len == 0) {
        judge_driver(j, given, what, &now);
        judge_place(j, given, what, &now);
    }
}

/* ---- what the file means today ---- */

static bool was_given(const struct json *list, const struct device *d)
{
    for (const struct json *one = list == NULL ? NULL : list->first; one != NULL; one = one->next)
        if (str_eq(then(one, "id"), id_of(d)) && str_eq(then(one, "resource"), d->resource))
            return true;
    return false;
}

static bool is_today(const struct devices *d, const struct json *given)
{
    for (uint32_t i = 0; i < d->count; i++)
        if (str_eq(id_of(&d->at[i]), then(given, "id")) &&
            str_eq(d->at[i].resource, then(given, "resource")))
            return true;
    return false;
}

static void compare(struct judging *j, const struct json *list, const struct devices *today)
{
    for (uint32_t i = 0; i < today->count; i++)
        if (today->at[i].resource.len > 0 && !was_given(list, &today->at[i]))
            trouble(j, false, STR_FMT " would be given away as " STR_FMT ": restart the agent",
                    STR_ARG(id_of(&today->at[i])), STR_ARG(today->at[i].resource));
    for (const struct json *one = list == NULL ? NULL : list->first; one != NULL; one = one->next)
        if (!is_today(today, one) && ask(j->given, then(one, "id")).is_there)
            trouble(j, false,
                    STR_FMT " (" STR_FMT ") would not be given away any more: restart the agent",
                    STR_ARG(then(one, "id")), STR_ARG(then(one, "resource")));
    for (uint32_t i = 0; i < today->notes_count; i++)
        trouble(j, false, STR_FMT, STR_ARG(today->notes[i]));
}

static void judge_file(struct judging *j, const struct json *list)
{
    struct buf text;
    struct err e;
    struct device_rules rules;
    struct devices today;
    const char *path = arena_dup(j->arena, j->out->file);
    if (path == NULL)
        return;
    buf_init(&text, GIVEN_BYTES_MAX);
    enum err_code code = fs_read(path, &text, &e);
    if (code == ERR_OK)
        code = devices_rules_read(j->arena, arena_str(j->arena, buf_str(&text)), &rules, &e);
    if (code == ERR_OK)
        code = devices_discover(j->arena, &j->given->roots, &rules, &today, &e);
    if (code != ERR_OK)
        trouble(j, true, "the agent would not start again: %s: %s", path, e.text);
    else
        compare(j, list, &today);
    buf_free(&text);
}

static enum err_code read_given(struct arena *a, const char *state, struct json **out,
                                struct err *e)
{
    char path[FS_PATH_MAX];
    struct buf text;
    if (!fs_join(path, state, NAME))
        return err_set(e, ERR_LIMIT, "the path of %s is too long", NAME);
    buf_init(&text, GIVEN_BYTES_MAX);
    enum err_code code = fs_read(path, &text, e);
    struct str all = code == ERR_OK ? arena_str(a, buf_str(&text)) : STR("");
    buf_free(&text);
    if (code == ERR_OK && json_parse(a, all, out, e) != ERR_OK)
        code = err_set(e, ERR_CORRUPT, "%s is not what an agent writes", path);
    return code;
}

enum err_code devices_given_judge(struct arena *a, const char *state, struct devices_judged *out,
                                  struct err *e)
{
    struct json *root = NULL;
    struct devices_given g = {.state = state};
    struct judging j = {a, &g, out};
    *out = (struct devices_judged){.at = arena_zalloc(a, DEVICES_TROUBLES_MAX, sizeof *out->at)};
    enum err_code code = read_given(a, state, &root, e);
    if (code != ERR_OK)
        return code;
    const struct json *list = json_find(root, STR("devices"));
    out->file = then(root, "file");
    g.roots =
        (struct devices_roots){arena_dup(a, then(root, "sys")), arena_dup(a, then(root, "dev"))};
    code = arena_status(a, e);
    if (code != ERR_OK)
        return code;
    for (const struct json *one = list == NULL ? NULL : list->first; one != NULL; one = one->next)
        judge_one(&j, one);
    judge_file(&j, list);
    return arena_status(a, e);
}
