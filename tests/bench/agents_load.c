/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many agents in one process: the agent's own core, shell and link, with the fake runtime, each with its own key, TLS
 * and gRPC session, some hundred to a thread.
 *
 *   agents-load BATOND STATE PORT REST_S COUNT...
 *
 * Starts a batond, then for each COUNT (rising): lets so many agents join, gives each a pod, waits until all is Ready and
 * Running, measures batond at rest, kills it (-9), starts it anew, and waits until every agent has its session
 * again. Fails unless all nodes are Ready and all pods Running then, nearly all TLS sessions were resumed, and the agents did
 * not all dial at once. Prints "METRIC[agents=N] VALUE UNIT".
 */
#include "base/log.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/fs.h"
#include "base/cpuset.h"
#include "nodeagent/shell/fake.h"
#include "tests/bench/load_batond.h"
#include "tests/bench/load_hardware.h"
#include "tests/bench/load_join.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    HERD_MAX = 250, /* Agents of a thread. */
    CPUS = 64,      /* As load_hardware() says. */
    WAIT_S = 180,
    ANSWER_MAX = 256 << 20,
    CREATING_MAX = 64,
};

struct one {
    struct identity identity;
    char state[FS_PATH_MAX];
    struct agent *agent;
    struct shell *shell;
    struct link *link;
    bool greeted;
    _Atomic int64_t opened_ns; /* When its latest connection stood. */
};

struct herd {
    struct all *all;
    struct thread thread;
    struct one *first;
    uint32_t count;
};

struct all {
    struct load_batond batond;
    struct load_target target;
    struct one *at;
    struct buf hardware;
    uint32_t count, size, pods;
    _Atomic uint32_t up;
};

struct told { /* What a link tells, on its way to the shell. */
    struct all *all;
    struct one *one;
};

/* ---- one agent ---- */

static void link_told(void *owner, const struct link_event *ev)
{
    struct told *to = owner;
    struct one *x = to->one;

    if (ev->type == LINK_OPENED)
        x->opened_ns = clock_now().ns;
    if (ev->type == LINK_MESSAGE && !x->greeted) {
        x->greeted = true;
        to->all->up++;
    }
    if (ev->type == LINK_CLOSED && x->greeted) {
        x->greeted = false;
        to->all->up--;
    }
    shell_on_link(x->shell, ev);
}

static void make_folders(const struct one *x)
{
    static const char *const names[] = {"records", "pods", "run", "logs"};
    char path[FS_PATH_MAX];
    struct err e;

    load_must(fs_mkdir(x->state, 0700, &e), "state", &e);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (!fs_join(path, x->state, names[i]) || fs_mkdir(path, 0700, &e) != ERR_OK)
            load_die(x->state, "no folder can be made");
}

static void agent_start(struct all *all, struct one *x, struct loop *loop)
{
    struct agent_config config = {.node_name = str_of(x->identity.node_name),
                                  .version = STR("load"),
                                  .boot_id = STR("load"),
                                  .state_dir = str_of(x->state),
                                  .cgroup = STR("load"),
                                  .host_ip = STR("127.0.0.1"),
                                  .hardware = buf_str(&all->hardware),
                                  .accelerator = STR("tcg"),
                                  .log_max_bytes = 1 << 20,
                                  .log_files = 1,
                                  .seed = entropy_u64()};
    struct runtime *runtimes[2];
    struct told *to = calloc(1, sizeof *to);
    struct err e;

    for (uint32_t i = 0; i < CPUS; i++)
        cpuset_add(&config.cpus, i);
    make_folders(x);
    x->agent = agent_new(&config);
    x->shell =
        shell_new(&(struct shell_options){.loop = loop, .state = x->state, .agent = x->agent});
    fake_runtimes(loop, x->shell, runtimes);
    for (int kind = 0; kind < 2; kind++)
        shell_set_runtime(x->shell, (enum runtime_kind)kind, runtimes[kind]);
    *to = (struct told){all, x};
    struct link_options o = {.loop = loop,
                             .host = "127.0.0.1",
                             .port = all->batond.port,
                             .identity = &x->identity,
                             .event = link_told,
                             .owner = to};
    load_must(link_new(&o, &x->link, &e), "link", &e);
    shell_set_link(x->shell, x->link);
    load_must(shell_begin(x->shell, &e), "agent", &e);
}

static void herd_run(void *arg)
{
    struct herd *h = arg;
    struct loop *loop = loop_new();

    for (uint32_t i = 0; i < h->count; i++)
        agent_start(h->all, &h->first[i], loop);
    loop_run(loop); /* As long as the program. */
}

static void add_agents(struct all *all, uint32_t until)
{
    uint32_t from = all->count, more = until - from;
    struct identity *joined = calloc(more, sizeof *joined);

    load_join(&all->target, from, more, joined);
    for (uint32_t i = 0; i < more; i++) {
        struct one *x = &all->at[from + i];
        x->identity = joined[i];
        snprintf(x->state, sizeof x->state, "%s/agents/%u", all->batond.state, from + i);
    }
    free(joined);
    all->count = until;
    for (uint32_t i = from; i < until; i += HERD_MAX) {
        struct herd *h = calloc(1, sizeof *h);
        *h = (struct herd){.all = all, .first = &all->at[i], .count = min_u32(HERD_MAX, until - i)};
        thread_start(&h->thread, "agents", herd_run, h);
    }
}

/* ---- pods ---- */

static const char pod[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"generateName\":\"load-\"},\"spec\":{"
    "\"containers\":[{\"name\":\"main\",\"image\":\"busybox\",\"command\":[\"sleep\",\"1000\"]}]}}";

struct creating {
    uint32_t wanted, begun, ended;
    struct http_client *http;
};

static void create_next(struct creating *c)
{
    struct http_header type = {STR("content-type"), STR("application/json")};
    if (c->begun == c->wanted)
        return;
    c->begun++;
    http_client_start(c->http, 0,
                      &(struct http_client_request){.method = "POST",
                                                    .path = "/api/v1/namespaces/default/pods",
                                                    .headers = &type,
                                                    .headers_count = 1,
                                                    .body = str_of(pod)});
}

static void create_told(void *owner, const struct http_client_event *ev)
{
    struct creating *c = owner;
    if (ev->type == HTTP_CLIENT_HEAD && ev->status != 201)
        load_die("pod", "was refused");
    if (ev->type == HTTP_CLIENT_FAILED || ev->type == HTTP_CLIENT_CLOSED)
        load_die("pod", ev->err.text);
    if (ev->type != HTTP_CLIENT_END)
        return;
    c->ended++;
    create_next(c);
}

static void create_pods(struct all *all, uint32_t count)
{
    struct creating c = {.wanted = count};
    struct http_client_options o = {.host = "127.0.0.1",
                                    .port = all->target.port,
                                    .tls = all->target.admin,
                                    .requests_max = 2 * CREATING_MAX,
                                    .event = create_told,
                                    .owner = &c};
    c.http = http_client_open(all->target.loop, &o);
    for (uint32_t i = 0; i < CREATING_MAX; i++)
        create_next(&c);
    while (c.ended < count)
        loop_step(all->target.loop, SPAN_S(1));
    http_client_close(c.http);
    all->pods += count;
}

/* ---- what is true of all of them ---- */

static uint32_t count_in(struct all *all, const char *path, const char *text)
{
    struct buf answer;
    uint32_t count = 0;

    buf_init(&answer, ANSWER_MAX);
    if (load_get(&all->target, path, &answer) != 200)
        load_die(path, "was refused");
    const char *at = answer.at, *end = answer.at + answer.len;
    while ((at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
        at += strlen(text);
        count++;
    }
    buf_free(&answer);
    return count;
}

static bool all_well(struct all *all)
{
    return all->up == all->count &&
           count_in(all, "/api/v1/nodes", "\"reason\":\"AgentReady\"") == all->count &&
           count_in(all, "/api/v1/pods", "\"phase\":\"Running\"") == all->pods;
}

static void wait_up(struct all *all)
{
    struct instant limit = instant_add(clock_now(), SPAN_S(WAIT_S));
    while (all->up < all->count) {
        load_wait(&all->target, 5);
        if (clock_now().ns > limit.ns)
            load_die("agents", "not all of them have a session");
    }
}

static void wait_well(struct all *all)
{
    struct instant limit = instant_add(clock_now(), SPAN_S(WAIT_S));
    wait_up(all);
    while (!all_well(all)) {
        load_wait(&all->target, 500);
        if (clock_now().ns > limit.ns)
            load_die("agents", "not all nodes are Ready, or not all pods Running");
    }
}

/* ---- the rows ---- */

static void at_rest(struct all *all, double empty_mib, int64_t rest_s)
{
    load_wait(&all->target, 5000); /* What was begun is over. */
    double mib = load_pss_mib(all->batond.pid) - empty_mib;
    uint64_t cpu = load_cpu_all_ns(all->batond.pid);
    load_wait(&all->target, rest_s * 1000);
    cpu = load_cpu_all_ns(all->batond.pid) - cpu;
    printf("memory[agents=%u] %.1f KiB/agent\n", all->count, mib * 1024 / all->count);
    printf("cpu[agents=%u] %.1f us/s/agent\n", all->count,
           (double)cpu / 1e3 / (double)rest_s / all->count);
    printf("cpu_of_a_core[agents=%u] %.2f %%\n", all->count, (double)cpu / 1e7 / (double)rest_s);
}

/* The middle nine tenths of the instants at which connections stood. */
static double dial_spread_ms(struct all *all, struct instant from)
{
    struct load_samples s = {0};
    for (uint32_t i = 0; i < all->count; i++)
        load_sample(&s, (uint64_t)(all->at[i].opened_ns - from.ns));
    double spread = load_percentile(&s, 0.95) - load_percentile(&s, 0.05);
    free(s.at);
    return spread;
}

static void restart(struct all *all)
{
    int64_t ready_ns;

    load_batond_stop(&all->batond, SIGKILL);
    while (all->up > 0)
        load_wait(&all->target, 1);
    load_batond_start(&all->batond, &all->target, &ready_ns);
    wait_up(all);
    double up_s = (double)instant_sub(clock_now(), all->batond.started).ns / 1e9;
    double cpu_ms = (double)load_cpu_all_ns(all->batond.pid) / 1e6;
    double resumed =
        load_metric(&all->target, "baton_http_connections_accepted_total{outcome=\"resumed\"}");
    double spread = dial_spread_ms(all, all->batond.started);
    wait_well(all);
    double well_s = (double)instant_sub(clock_now(), all->batond.started).ns / 1e9;
    uint32_t lost = count_in(all, "/api/v1/events", "\"reason\":\"NodeNotReady\"");

    printf("batond_ready[agents=%u] %.2f s\n", all->count, (double)ready_ns / 1e9);
    printf("ready_again_s[agents=%u] %.2f s\n", all->count, up_s);
    printf("seen_well_s[agents=%u] %.2f s\n", all->count, well_s);
    printf("return_cpu[agents=%u] %.2f ms/agent\n", all->count, cpu_ms / all->count);
    printf("resumed[agents=%u] %.0f %%\n", all->count, 100 * resumed / all->count);
    printf("dial_spread[agents=%u] %.0f ms\n", all->count, spread);
    printf("not_ready_meanwhile[agents=%u] %u nodes\n", all->count, lost);
    if (resumed < 0.95 * all->count)
        load_die("TLS", "sessions were not resumed");
    if (spread < 100)
        load_die("agents", "all of them dialled at once");
}

static void quiet(void *state, struct str line)
{
    (void)state;
    (void)line;
}

static void start(struct all *all)
{
    struct rlimit files;
    struct log_sink sink = {.write = quiet, .wall = clock_wall, .level = LOG_ERROR};
    const Baton__NodeHardwareSpec *spec = load_hardware()->hardware->spec;

    setlinebuf(stdout);
    log_install(&sink);
    str_hash_seed(entropy_u64(), entropy_u64());
    buf_init(&all->hardware, 1 << 20);
    size_t len = baton__node_hardware_spec__get_packed_size(spec);
    baton__node_hardware_spec__pack(spec, (uint8_t *)buf_reserve(&all->hardware, len));
    buf_commit(&all->hardware, len);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv)
{
    static struct all all;
    char agents[FS_PATH_MAX];
    struct err e;
    int64_t ready_ns;

    if (argc < 6)
        load_die("usage", "agents-load BATOND STATE PORT REST_S COUNT...");
    start(&all);
    all.batond = (struct load_batond){
        .program = argv[1],
        .state = argv[2],
        .port = (uint16_t)load_number(argv[3]),
        .more = {"--pod-network", "10.0.0.0/8", "--limit", "connections=8192"}};
    all.size = load_number(argv[argc - 1]);
    all.at = calloc(all.size, sizeof *all.at);
    if (!fs_join(agents, argv[2], "agents"))
        load_die(argv[2], "is too long");
    load_must(fs_mkdir(agents, 0700, &e), "state", &e);
    load_batond_start(&all.batond, &all.target, &ready_ns);
    load_wait(&all.target, 1000);
    double empty_mib = load_pss_mib(all.batond.pid);
    for (int i = 5; i < argc; i++) {
        uint32_t more = load_number(argv[i]) - all.count;
        add_agents(&all, load_number(argv[i]));
        wait_up(&all);
        load_wait(&all.target, 1000); /* The last one's hardware becomes rows. */
        create_pods(&all, more);
        wait_well(&all);
        at_rest(&all, empty_mib, load_number(argv[4]));
        restart(&all);
    }
    load_batond_stop(&all.batond, SIGTERM);
    _exit(0); /* The kernel takes back the threads and what they hold. */
}
