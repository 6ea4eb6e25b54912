/* SPDX-License-Identifier: Apache-2.0 */
/* The node's part is the agent's program's: it is asked, as nodeagent/doctor/doctor.h says, and need not be running. */
#include "cli/doctor.h"
#include "cli/print.h"
#include "io/blackbox.h"
#include "io/fs.h"
#include "io/proc.h"

#include <unistd.h>

enum { REPORT_MAX = 64 << 20, PLACED_MAX = 4 << 20, NODE_LIMIT_S = 300, RECORD_LIMIT_S = 10 };

struct wishes {
    const char *state; /* The agent's; NULL: beside the kubeconfig, where deploy/up has it. */
    bool fix, record;
};

static const char *beside(struct cli *c, const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    struct str folder = slash == NULL ? STR(".") : str_from(path, (size_t)(slash - path));
    return arena_printf(&c->arena, STR_FMT "/%s", STR_ARG(folder), name).at;
}

/* Beside this program, or on the PATH. */
static const char *agent_program(struct cli *c)
{
    char self[FS_PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len < 0 ? 0 : len] = '\0';
    const char *path = beside(c, self, "baton-agent");
    return fs_exists(path) ? path : "baton-agent";
}

/* NULL: there is no agent's folder here. */
static struct json *ask_node(struct cli *c, const struct wishes *w, struct str placed,
                             int *out_status, struct err *e)
{
    const char *argv[8] = {agent_program(c), "--state", w->state, "--doctor"};
    uint32_t count = 4;
    if (w->fix)
        argv[count++] = "--fix";
    if (w->record)
        argv[count++] = "--record";
    struct buf out, said;
    struct json *root = NULL;
    FILE *input = tmpfile(); /* A node may have more workloads than a pipe has room. */
    if (input == NULL || fwrite(placed.at, 1, placed.len, input) != placed.len ||
        fflush(input) != 0) {
        err_set(e, ERR_UNAVAILABLE, "no temporary file: %m");
        return NULL;
    }
    rewind(input);
    struct proc_request r = {.argv = argv,
                             .timeout = SPAN_S(NODE_LIMIT_S),
                             .capture_max = REPORT_MAX,
                             .fds = {{0, fileno(input)}},
                             .fds_count = 1};
    buf_init(&out, REPORT_MAX);
    buf_init(&said, PROC_CAPTURE_DEFAULT);
    enum err_code code = proc_run_wait(&r, &out, &said, out_status, e);
    if (code == ERR_OK &&
        json_parse(&c->arena, arena_str(&c->arena, buf_str(&out)), &root, e) != ERR_OK)
        err_set(e, ERR_CORRUPT, "%s: " STR_FMT, argv[0], STR_ARG(str_trim(buf_str(&said))));
    fclose(input);
    buf_free(&out);
    buf_free(&said);
    return root;
}

static int tell(struct cli *c, const struct wishes *w, struct json *cluster, struct json *node)
{
    if (c->format == CLI_TEXT) {
        doctor_print(c, cluster, node, w->fix);
        return CLI_OK;
    }
    struct json *all = json_new(&c->arena, JSON_OBJECT);
    json_set(&c->arena, all, STR("cluster"), cluster);
    if (node != NULL)
        json_set(&c->arena, all, STR("node"), node);
    print_object(c, all);
    return CLI_OK;
}

/* The control plane's, where it runs on this machine with its folder beside the kubeconfig. False: it could not be had. */
static bool record_control(struct cli *c, struct json *cluster)
{
    const char *control = beside(c, c->kubeconfig, "control");
    const char *lock = arena_printf(&c->arena, "%s/lock", control).at;
    struct str asked = arena_printf(&c->arena, "%s/" BLACKBOX_FOLDER "/" BLACKBOX_ASKED, control);
    struct err e;
    if (!fs_exists(lock))
        return true;
    bool good = blackbox_ask(lock, asked.at, SPAN_S(RECORD_LIMIT_S), &e) == ERR_OK;
    struct json *one = json_new(&c->arena, JSON_OBJECT);
    struct str text = good ? asked : arena_str(&c->arena, str_of(e.text));
    json_set(&c->arena, one, good ? STR("name") : STR("error"), json_new_string(&c->arena, text));
    json_set(&c->arena, cluster, STR("record"), one);
    return good;
}

static int run(struct cli *c, int argc, char **argv)
{
    struct wishes w = {.state = beside(c, c->kubeconfig, "agent")};
    struct json *cluster, *node = NULL;
    struct buf placed;
    struct err e;
    int status = 0;

    for (int at = 1; at < argc;) {
        const char *state = cmd_option(argc, argv, &at, "state", 0);
        if (state != NULL)
            w.state = state;
        else if (cmd_flag(argv, &at, "fix", 0))
            w.fix = true;
        else if (cmd_flag(argv, &at, "record", 0))
            w.record = true;
        else
            return cmd_usage(&cmd_doctor, "%s is not understood", argv[at]);
    }
    buf_init(&placed, PLACED_MAX);
    bool good = doctor_cluster(c, &cluster, &placed);
    if (w.record)
        good = record_control(c, cluster) && good;
    if (fs_exists(w.state)) {
        node = ask_node(c, &w, buf_str(&placed), &status, &e);
        if (node == NULL) {
            buf_free(&placed);
            return cli_fail(&e);
        }
    }
    buf_free(&placed);
    tell(c, &w, cluster, node);
    return good && status == 0 ? CLI_OK : CLI_FAILED;
}

const struct cmd cmd_doctor = {
    .name = "doctor",
    .args = "[--fix] [--record] [--state DIR]",
    .summary = "Look for what is wrong, and for what a crash left on this node",
    .help =
        "  --fix        remove what is left over: exactly what is named, nothing a workload uses\n"
        "  --record     have the agent, and the control plane if it runs here, write what they "
        "were "
        "told last\n"
        "               (for baton-sim --replay; no Secret's value is in it)\n"
        "  --state DIR  the agent's folder on this machine (default: agent, beside the "
        "kubeconfig)\n\n"
        "Left over is what carries this agent's name and belongs to no workload that is recorded "
        "or\n"
        "placed here. Without records nothing is known, and nothing is removed. Needs root.\n"
        "Exit status 1: something is wrong or left over.\n",
    .run = run,
};
