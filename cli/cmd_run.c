/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/logs.h"
#include "cli/print.h"
#include "cli/resource.h"

enum {
    LOOK_MAX = 64 << 20,
    LOOK_MS = 100,
    PATIENCE_LOOKS =
        10, /* Before it is said what it waits for, or what lacks is taken for missing. */
};

struct run_options {
    const char *name, *cpu, *memory, *image;
    char **args;
    uint32_t args_count;
    bool detach;
};

static struct json *text(struct cli *c, const char *value)
{
    return json_new_string(&c->arena, str_of(value));
}

static struct json *object_with(struct cli *c, const char *key, struct json *value)
{
    struct json *object = json_new(&c->arena, JSON_OBJECT);
    json_set(&c->arena, object, str_of(key), value);
    return object;
}

/* cpu or memory alone are requests and limits both: whole CPUs with memory make a Guaranteed pod,
 * which gets cores of its own. */
static struct json *resources(struct cli *c, const struct run_options *o)
{
    struct json *amounts = json_new(&c->arena, JSON_OBJECT);
    if (o->cpu != NULL)
        json_set(&c->arena, amounts, STR("cpu"), text(c, o->cpu));
    if (o->memory != NULL)
        json_set(&c->arena, amounts, STR("memory"), text(c, o->memory));
    struct json *both = object_with(c, "requests", amounts);
    json_set(&c->arena, both, STR("limits"), json_copy(&c->arena, amounts));
    return both;
}

static struct str manifest(struct cli *c, const struct run_options *o)
{
    struct json *pod = object_with(c, "apiVersion", text(c, "v1"));
    struct json *meta = json_new(&c->arena, JSON_OBJECT);
    struct json *container = object_with(c, "name", text(c, "main"));
    struct json *containers = json_new(&c->arena, JSON_ARRAY);
    struct buf out;

    json_set(&c->arena, pod, STR("kind"), text(c, "Pod"));
    json_set(&c->arena, meta, o->name == NULL ? STR("generateName") : STR("name"),
             text(c, o->name == NULL ? "run-" : o->name));
    json_set(&c->arena, pod, STR("metadata"), meta);
    json_set(&c->arena, container, STR("image"), text(c, o->image));
    if (o->args_count > 0) {
        struct json *command = json_new(&c->arena, JSON_ARRAY);
        for (uint32_t i = 0; i < o->args_count; i++)
            json_append(command, text(c, o->args[i]));
        json_set(&c->arena, container, STR("command"), command);
    }
    if (o->cpu != NULL || o->memory != NULL)
        json_set(&c->arena, container, STR("resources"), resources(c, o));
    json_append(containers, container);
    struct json *spec = object_with(c, "containers", containers);
    json_set(&c->arena, spec, STR("restartPolicy"), text(c, "Never"));
    json_set(&c->arena, pod, STR("spec"), spec);

    buf_init(&out, 1 << 20);
    json_print(&out, pod);
    struct str body = arena_str(&c->arena, buf_str(&out));
    buf_free(&out);
    return body;
}

static bool has_started(struct str phase)
{
    return str_is(phase, "Running") || str_is(phase, "Succeeded") || str_is(phase, "Failed");
}

/* One look at it, in memory of its own: waiting in a queue may take days. */
static enum err_code look(struct cli *c, const char *path, struct arena *turn,
                          const struct json **out, struct err *e)
{
    arena_init(turn, LOOK_MAX);
    return client_json(c->client, turn, &(struct client_request){.path = path}, out, e);
}

static void say_why(const struct json *pod, bool *told)
{
    const struct json *first = json_at(json_path(pod, "status.conditions"), 0);
    struct str why = json_text(json_find(first, STR("message")));
    if (*told || why.len == 0)
        return;
    *told = true;
    fputs("baton: waiting: ", stderr);
    print_complaint(why);
    putc('\n', stderr);
}

/* Until it runs or has run; says once why it does not. */
static enum err_code wait_started(struct cli *c, const char *path, struct err *e)
{
    bool told = false;
    for (uint32_t looks = 0;; looks++) {
        struct arena turn;
        const struct json *pod = NULL;
        enum err_code code = look(c, path, &turn, &pod, e);
        bool started = code == ERR_OK && has_started(json_text(json_path(pod, "status.phase")));
        if (code == ERR_OK && !started && looks > PATIENCE_LOOKS)
            say_why(pod, &told);
        arena_free(&turn);
        if (code != ERR_OK || started)
            return code;
        client_wait(c->client, SPAN_MS(LOOK_MS));
    }
}

/* False: it has not ended, or nobody said so yet. A pod may fail without its container having run. */
static bool has_ended(const struct json *pod, bool is_late, int *out_status)
{
    const struct json *state = json_at(json_path(pod, "status.containerStatuses"), 0);
    struct str phase = json_text(json_path(pod, "status.phase"));
    int64_t code = 0;
    if (json_i64(json_path(state, "state.terminated.exitCode"), &code) != ERR_OK)
        code = str_is(phase, "Failed") ? CLI_FAILED : str_is(phase, "Succeeded") ? CLI_OK : -1;
    else
        is_late = true;
    *out_status = (int)code;
    return code >= 0 && is_late;
}

/* Its output has ended: so has it, most times, or its node is not heard of. */
static int exit_status(struct cli *c, const char *path)
{
    struct err e;
    int status = CLI_FAILED;
    for (uint32_t looks = 0;; looks++) {
        struct arena turn;
        const struct json *pod = NULL;
        enum err_code code = look(c, path, &turn, &pod, &e);
        bool ended = code == ERR_OK && has_ended(pod, looks > PATIENCE_LOOKS, &status);
        arena_free(&turn);
        if (code != ERR_OK)
            return cli_fail(&e);
        if (ended)
            return status;
        if (looks == 5 * PATIENCE_LOOKS)
            fputs("baton: its output has ended, and it has not: waiting\n", stderr);
        client_wait(c->client, SPAN_MS(LOOK_MS));
    }
}

static int start(struct cli *c, const struct run_options *o)
{
    const struct json *pod;
    struct err e;

    if (cli_client(c, &e) == NULL)
        return cli_fail(&e);
    struct resource pods = {STR("v1"), STR("pods"), STR("Pod"), true};
    struct str namespace = str_of(cli_namespace(c));
    if (client_json(c->client, &c->arena,
                    &(struct client_request){.method = "POST",
                                             .path = resource_path(c, &pods, namespace, STR("")),
                                             .body = manifest(c, o)},
                    &pod, &e) != ERR_OK)
        return cli_fail(&e);
    struct str name = json_text(json_path(pod, "metadata.name"));
    fprintf(o->detach ? stdout : stderr, "pod/" STR_FMT "\n", STR_ARG(name));
    if (o->detach)
        return CLI_OK;
    const char *path = resource_path(c, &pods, namespace, name);
    if (wait_started(c, path, &e) != ERR_OK)
        return cli_fail(&e);
    struct str workload = arena_printf(&c->arena, "pod/" STR_FMT, STR_ARG(name));
    int status = logs_show(c, workload.at, &(struct logs_options){.follow = true});
    return status == CLI_OK ? exit_status(c, path) : status;
}

static int run(struct cli *c, int argc, char **argv)
{
    struct run_options o = {0};
    const char *value;

    for (int at = 1; at < argc;) {
        if (strcmp(argv[at], "--") == 0) {
            o.args = argv + at + 1;
            o.args_count = (uint32_t)(argc - at - 1);
            break;
        }
        if ((value = cmd_option(argc, argv, &at, "name", 0)) != NULL)
            o.name = value;
        else if ((value = cmd_option(argc, argv, &at, "cpu", 0)) != NULL)
            o.cpu = value;
        else if ((value = cmd_option(argc, argv, &at, "memory", 0)) != NULL)
            o.memory = value;
        else if (cmd_flag(argv, &at, "detach", 'd'))
            o.detach = true;
        else if (argv[at][0] == '-' || o.image != NULL)
            return cmd_usage(&cmd_run, "%s: a command stands behind --", argv[at]);
        else
            o.image = argv[at++];
    }
    if (o.image == NULL)
        return cmd_usage(&cmd_run, "say which image");
    return start(c, &o);
}

const struct cmd cmd_run = {
    .name = "run",
    .args = "IMAGE [--name N] [--cpu Q] [--memory Q] [-d] [-- CMD...]",
    .summary = "Run one container and show its output until it ends",
    .help = "  --cpu Q --memory Q   requests and limits; whole CPUs with memory get cores of their "
            "own\n"
            "  -d, --detach         do not wait for it\n\n"
            "The exit status is the container's.\n"
            "  baton run oci:busybox:latest --cpu 1 --memory 64Mi -- nproc\n",
    .run = run,
};
