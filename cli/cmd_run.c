/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/logs.h"
#include "cli/resource.h"

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

/* Until it runs or has run; says once why it does not. */
static enum err_code wait_started(struct cli *c, const char *path, const struct json **out,
                                  struct err *e)
{
    bool told = false;
    for (uint32_t looks = 0;; looks++) {
        enum err_code code =
            client_json(c->client, &c->arena, &(struct client_request){.path = path}, out, e);
        if (code != ERR_OK || has_started(json_text(json_path(*out, "status.phase"))))
            return code;
        const struct json *first = json_at(json_path(*out, "status.conditions"), 0);
        struct str why = json_text(json_find(first, STR("message")));
        if (looks > 10 && !told && why.len > 0) {
            fprintf(stderr, "baton: waiting: " STR_FMT "\n", STR_ARG(why));
            told = true;
        }
        client_wait(c->client, SPAN_MS(100));
    }
}

static int exit_status(struct cli *c, const char *path)
{
    const struct json *pod;
    struct err e;
    int64_t code = 0;

    for (uint32_t looks = 0; looks < 50; looks++) {
        if (client_json(c->client, &c->arena, &(struct client_request){.path = path}, &pod, &e) !=
            ERR_OK)
            return cli_fail(&e);
        const struct json *state = json_at(json_path(pod, "status.containerStatuses"), 0);
        if (json_i64(json_path(state, "state.terminated.exitCode"), &code) == ERR_OK)
            return (int)code;
        client_wait(c->client, SPAN_MS(100));
    }
    return CLI_OK; /* It writes no more, but its end is not reported yet. */
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
    if (wait_started(c, path, &pod, &e) != ERR_OK)
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
