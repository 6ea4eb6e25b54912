/* SPDX-License-Identifier: Apache-2.0 */
/* Reading openb-style CSV: columns are found by their names in the first line. */
#include "tests/bench/replay.h"

enum { LINE_MAX_BYTES = 4096, COLUMNS_MAX = 32 };

struct csv {
    FILE *file;
    char head[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
    char *names[COLUMNS_MAX], *fields[COLUMNS_MAX];
    uint32_t names_count, fields_count;
};

static uint32_t csv_split(char *line, char **out)
{
    uint32_t count = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *rest = line; rest != NULL && count < COLUMNS_MAX;) {
        out[count++] = rest;
        rest = strchr(rest, ',');
        if (rest != NULL)
            *rest++ = '\0';
    }
    return count;
}

static void csv_open(struct csv *c, const char *path)
{
    c->file = fopen(path, "r");
    if (c->file == NULL) {
        fprintf(stderr,
                "baton-replay: %s is missing; it must be a CSV in the form of the openb traces\n",
                path);
        exit(2);
    }
    BENCH_CHECK(fgets(c->head, sizeof c->head, c->file) != NULL);
    c->names_count = csv_split(c->head, c->names);
}

static bool csv_next(struct csv *c)
{
    if (fgets(c->line, sizeof c->line, c->file) == NULL)
        return false;
    c->fields_count = csv_split(c->line, c->fields);
    return true;
}

/* "" when the file has no such column. */
static const char *csv_text(const struct csv *c, const char *name)
{
    for (uint32_t i = 0; i < c->names_count && i < c->fields_count; i++)
        if (strcmp(c->names[i], name) == 0)
            return c->fields[i];
    return "";
}

static uint64_t csv_number(const struct csv *c, const char *name)
{
    double value = strtod(csv_text(c, name), NULL);
    return value > 0 ? (uint64_t)value : 0;
}

static uint32_t model_of(struct replay_trace *t, const char *text, size_t len)
{
    if (len == 0 || len >= REPLAY_MODEL_LEN)
        return 0;
    for (uint32_t i = 1; i < t->models_count; i++)
        if (strlen(t->models[i]) == len && memcmp(t->models[i], text, len) == 0)
            return i;
    BENCH_CHECK(t->models_count < REPLAY_MODELS_MAX);
    memcpy(t->models[t->models_count], text, len);
    return t->models_count++;
}

static int by_name(const void *a, const void *b)
{
    const struct replay_pod *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void load_nodes(struct replay_trace *t, const char *path)
{
    struct csv c = {0};
    csv_open(&c, path);
    for (uint32_t size = 0; csv_next(&c); t->nodes_count++) {
        if (t->nodes_count == size) {
            size = size == 0 ? 1024 : size * 2;
            t->nodes = realloc(t->nodes, size * sizeof *t->nodes);
        }
        struct replay_node *n = &t->nodes[t->nodes_count];
        *n = (struct replay_node){.cpu_milli = (uint32_t)csv_number(&c, "cpu_milli"),
                                  .gpus = (uint32_t)csv_number(&c, "gpu"),
                                  .memory_mib = csv_number(&c, "memory_mib")};
        snprintf(n->name, sizeof n->name, "%s", csv_text(&c, "sn"));
        n->model = model_of(t, csv_text(&c, "model"), strlen(csv_text(&c, "model")));
        BENCH_CHECK(n->gpus <= REPLAY_GPUS_MAX);
        t->has_gpus |= n->gpus > 0;
    }
    fclose(c.file);
}

static void load_pods(struct replay_trace *t, const char *path)
{
    struct csv c = {0};
    csv_open(&c, path);
    for (uint32_t size = 0; csv_next(&c); t->pods_count++) {
        if (t->pods_count == size) {
            size = size == 0 ? 1024 : size * 2;
            t->pods = realloc(t->pods, size * sizeof *t->pods);
        }
        struct replay_pod *p = &t->pods[t->pods_count];
        const char *deleted = csv_text(&c, "deletion_time"), *spec = csv_text(&c, "gpu_spec");
        *p = (struct replay_pod){.cpu_milli = (uint32_t)csv_number(&c, "cpu_milli"),
                                 .memory_mib = csv_number(&c, "memory_mib"),
                                 .gpus = (uint32_t)csv_number(&c, "num_gpu"),
                                 .gpu_milli = (uint32_t)csv_number(&c, "gpu_milli"),
                                 .created = strtoll(csv_text(&c, "creation_time"), NULL, 10),
                                 .deleted = *deleted == '\0' ? -1 : strtoll(deleted, NULL, 10)};
        snprintf(p->name, sizeof p->name, "%s", csv_text(&c, "name"));
        if (p->gpus > 1 || (p->gpus == 1 && (p->gpu_milli == 0 || p->gpu_milli > 1000)))
            p->gpu_milli = 1000;
        while (p->gpus > 0 && *spec != '\0') {
            size_t len = strcspn(spec, "|");
            p->models |= 1ull << model_of(t, spec, len);
            spec += len + (spec[len] == '|');
        }
    }
    fclose(c.file);
    qsort(t->pods, t->pods_count, sizeof *t->pods, by_name);
}

void replay_load(struct replay_trace *t, const char *nodes_path, const char *pods_path)
{
    *t = (struct replay_trace){.models_count = 1};
    load_nodes(t, nodes_path);
    load_pods(t, pods_path);
    BENCH_CHECK(t->nodes_count > 0 && t->pods_count > 0);
    bool pods_with_gpus = false;
    for (uint32_t i = 0; i < t->pods_count; i++)
        pods_with_gpus |= t->pods[i].gpus > 0;
    t->has_gpus &= pods_with_gpus;
    for (uint32_t i = 0; i < t->nodes_count; i++)
        t->capacity += t->has_gpus ? 1000ull * t->nodes[i].gpus : t->nodes[i].cpu_milli;
}

void replay_free(struct replay_trace *t)
{
    free(t->nodes);
    free(t->pods);
}
