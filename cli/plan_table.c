/* SPDX-License-Identifier: Apache-2.0 */
/* A plan's answer as people read it. */
#include "cli/plan.h"

struct str plan_workload(struct arena *a, const struct json *ref)
{
    return arena_printf(a, "%s/" STR_FMT "/" STR_FMT,
                        str_is(json_text(json_find(ref, STR("kind"))), "Pod") ? "pod" : "vmi",
                        STR_ARG(json_text(json_find(ref, STR("namespace")))),
                        STR_ARG(json_text(json_find(ref, STR("name")))));
}

static struct str numbers(struct arena *a, const struct json *list)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    for (const struct json *x = list == NULL ? NULL : list->first; x != NULL; x = x->next)
        buf_printf(&text, "%s" STR_FMT, text.len > 0 ? "," : "", STR_ARG(x->text));
    struct str out = arena_str(a, text.len > 0 ? buf_str(&text) : STR("-"));
    buf_free(&text);
    return out;
}

static struct str number_or_dash(struct arena *a, const struct json *value, const char *unit)
{
    return value == NULL ? STR("-") : arena_printf(a, STR_FMT "%s", STR_ARG(value->text), unit);
}

static struct str mebibytes(struct arena *a, const struct json *value)
{
    int64_t bytes;
    if (value == NULL || json_i64(value, &bytes) != ERR_OK)
        return STR("-");
    return arena_printf(a, "%lldMi", (long long)(bytes >> 20));
}

/* What it holds of memory: pages of their own size beside the rest, "16Mi+512x2Mi". */
static struct str memory_of(struct arena *a, const struct json *placement)
{
    struct str text = mebibytes(a, json_path(placement, "memoryBytes"));
    const struct json *list = json_path(placement, "hugepages");
    bool is_first = str_is(text, "-");
    for (const struct json *x = list == NULL ? NULL : list->first; x != NULL; x = x->next) {
        int64_t bytes, count;
        if (json_i64(json_find(x, STR("pageBytes")), &bytes) != ERR_OK ||
            json_i64(json_find(x, STR("pages")), &count) != ERR_OK)
            continue;
        text = arena_printf(a, STR_FMT "%s%lldx%s", STR_ARG(is_first ? STR("") : text),
                            is_first ? "" : "+", (long long)count, bytes >> 30 > 0 ? "1Gi" : "2Mi");
        is_first = false;
    }
    return text;
}

/* Its devices by address or path, parts with their thousandths: "0000:41:00.0,0000:81:00.0:250". */
static struct str devices_of(struct arena *a, const struct json *placement)
{
    const struct json *list = json_path(placement, "devices");
    struct str text = STR("");
    for (const struct json *d = list == NULL ? NULL : list->first; d != NULL; d = d->next) {
        const struct json *milli = json_find(d, STR("milli")), *paths = json_find(d, STR("paths"));
        struct str id = json_text(json_find(d, STR("pciAddress")));
        if (id.len == 0)
            id = json_text(paths == NULL ? NULL : paths->first);
        text = arena_printf(a, STR_FMT "%s" STR_FMT "%s" STR_FMT, STR_ARG(text),
                            text.len > 0 ? "," : "", STR_ARG(id), milli == NULL ? "" : ":",
                            STR_ARG(milli == NULL ? STR("") : milli->text));
    }
    return text;
}

static struct str or_dash(struct str text)
{
    return text.len > 0 ? text : STR("-");
}

static struct json *row_of(struct arena *a, const struct json *step)
{
    const struct json *p = json_find(step, STR("placement"));
    struct str cells[] = {
        plan_workload(a, json_find(step, STR("workload"))),
        json_text(json_find(step, STR("result"))),
        or_dash(json_text(json_find(step, STR("from")))),
        or_dash(json_text(json_path(p, "node"))),
        numbers(a, json_path(p, "exclusive.cpus")),
        number_or_dash(a, json_path(p, "sharedMillis"), "m"),
        memory_of(a, p),
        or_dash(devices_of(a, p)),
    };
    struct json *row = json_new(a, JSON_OBJECT);
    struct json *list = json_new(a, JSON_ARRAY);
    for (uint32_t i = 0; i < COUNT_OF(cells); i++)
        json_append(list, json_new_string(a, cells[i]));
    json_set(a, row, STR("cells"), list);
    return row;
}

struct json *plan_table(struct arena *a, const struct json *steps)
{
    static const char *const names[] = {"Workload", "Result", "From",   "Node",
                                        "CPUs",     "Pool",   "Memory", "Devices"};
    struct json *table = json_new(a, JSON_OBJECT);
    struct json *columns = json_new(a, JSON_ARRAY);
    struct json *rows = json_new(a, JSON_ARRAY);
    for (uint32_t i = 0; i < COUNT_OF(names); i++) {
        struct json *column = json_new(a, JSON_OBJECT);
        json_set(a, column, STR("name"), json_new_string(a, str_of(names[i])));
        json_set(a, column, STR("type"), json_new_string(a, STR("string")));
        json_append(columns, column);
    }
    for (const struct json *x = steps == NULL ? NULL : steps->first; x != NULL; x = x->next)
        json_append(rows, row_of(a, x));
    json_set(a, table, STR("columnDefinitions"), columns);
    json_set(a, table, STR("rows"), rows);
    return table;
}
