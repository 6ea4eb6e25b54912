/* SPDX-License-Identifier: Apache-2.0 */
/*
 * baton-agent -- executes Placements on this node and reports what the kernel says.
 *
 * From top to bottom: read the options, discover the machine, join, open what the host needs, hand it to
 * the core, run. Everything that may take long happens before the loop starts.
 */
#include "base/fnv.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/blackbox.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/fs.h"
#include "io/logfile.h"
#include "nodeagent/doctor/clean.h"
#include "nodeagent/doctor/doctor.h"
#include "nodeagent/doctor/sweep.h"
#include "nodeagent/host/devices_given.h"
#include "nodeagent/host/resctrl.h"
#include "nodeagent/runtime/runtime_oci.h"
#include "nodeagent/runtime/runtime_qemu.h"
#include "nodeagent/shell/fake.h"
#include "nodeagent/shell/records.h"
#include "nodeagent/shell/shell.h"
#include "nodeagent/start/hardware.h"
#include "nodeagent/start/options.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { HARDWARE_BYTES_MAX = 1 << 20, LOG_FILE_BYTES = 10 << 20, LOG_FILES = 5 };
enum { MEASURE_EVERY_S = 10 }; /* As often as Kubernetes' kubelet. */
enum { DEVICES_FILE_MAX = 256 << 10, DEVICES_MEMORY_MAX = 16 << 20 };

/* Everything that lives as long as the program. */
struct program {
    struct options options;
    struct discover machine;
    struct accel accel;
    struct arena devices_arena;
    struct devices devices;
    struct identity identity;
    struct buf hardware;
    char cgroup[128], share[FS_PATH_MAX], import[FS_PATH_MAX], host[256];
    uint16_t port;
    struct loop *loop;
    struct cgroup_tree *cgroups;
    struct agent *agent;
    struct flight flight;
    struct shell *shell;
    struct hostwork *hostwork;
    struct recordwork *recordwork; /* NULL with the fake runtime. */
    struct link *link;
    struct runtime *runtimes[2];
    struct loop_client signals;
    struct logfile log;
    int lock;
};

static enum err_code open_folders(struct program *p, struct err *e)
{
    static const char *const names[] = {"records", "pods", "run", "logs", "netns", "import", "pki"};
    char path[FS_PATH_MAX];
    enum err_code code = fs_mkdir(p->options.state, 0700, e);

    for (size_t i = 0; i < COUNT_OF(names) && code == ERR_OK; i++)
        code = fs_join(path, p->options.state, names[i])
                   ? fs_mkdir(path, 0711, e)
                   : err_set(e, ERR_LIMIT, "--state is too long");
    if (code == ERR_OK && fs_join(path, p->options.state, "lock") &&
        fs_lock(path, &p->lock, e) != ERR_OK)
        code = err_wrap(e, "another agent uses %s", p->options.state);
    if (code == ERR_OK)
        blackbox_say_pid(p->lock); /* For baton doctor. */
    if (p->options.import == NULL && fs_join(p->import, p->options.state, "import"))
        p->options.import = p->import;
    return code;
}

/* baton-shim, baton-spare.so and pvh.elf lie beside the program unless --share says otherwise. */
static void find_share(struct program *p)
{
    ssize_t len = readlink("/proc/self/exe", p->share, sizeof p->share - 1);
    if (len > 0)
        p->share[len] = '\0';
    char *slash = strrchr(p->share, '/');
    if (slash != NULL)
        *slash = '\0';
    if (p->options.share == NULL)
        p->options.share = p->share;
}

static void measure(struct program *p)
{
    char guest[FS_PATH_MAX], cache[FS_PATH_MAX];
    if (p->options.fake) {
        snprintf(p->accel.name, sizeof p->accel.name, "tcg");
        accel_choose(&p->accel, NULL);
        snprintf(p->accel.name, sizeof p->accel.name, "tcg");
        return;
    }
    if (fs_join(guest, p->options.share, "pvh.elf") &&
        fs_join(cache, p->options.state, "accelerator"))
        accel_measure(&(struct accel_options){.guest = guest,
                                              .cache = cache,
                                              .boot_id = str_of(p->machine.boot_id)},
                      &p->accel);
    log_event(LOG_INFO, "accelerator.chosen", "name=%s kvm_ns=%llu tcg_ns=%llu reason=%s",
              p->accel.name[0] == '\0' ? "none" : p->accel.name,
              (unsigned long long)p->accel.kvm_ns, (unsigned long long)p->accel.tcg_ns,
              log_quote(str_of(p->accel.reason)).text);
}

/* For baton doctor, which asks later what became of them. */
static enum err_code write_devices_down(struct program *p, const struct devices_roots *roots,
                                        struct err *e)
{
    struct devices_given g = {p->options.state, *roots};
    return devices_given_put(&g, p->options.devices, &p->devices, e);
}

/* Read before the node is told: a wrong file is for the operator now, not for a workload later. */
static enum err_code find_devices(struct program *p, struct err *e)
{
    struct buf text;
    struct device_rules rules;
    char sys[FS_PATH_MAX] = "/sys", dev[FS_PATH_MAX] = "/dev";
    if (p->options.devices == NULL)
        return write_devices_down(p, &(struct devices_roots){sys, dev}, e);
    if (p->options.device_root != NULL && (!fs_join(sys, p->options.device_root, "sys") ||
                                           !fs_join(dev, p->options.device_root, "dev")))
        return err_set(e, ERR_LIMIT, "--device-root is too long");
    buf_init(&text, DEVICES_FILE_MAX);
    arena_init(&p->devices_arena, DEVICES_MEMORY_MAX);
    enum err_code code = fs_read(p->options.devices, &text, e);
    if (code == ERR_OK)
        code = devices_rules_read(&p->devices_arena, arena_str(&p->devices_arena, buf_str(&text)),
                                  &rules, e);
    if (code == ERR_OK)
        code = devices_discover(&p->devices_arena, &(struct devices_roots){sys, dev}, &rules,
                                &p->devices, e);
    if (code == ERR_OK)
        code = write_devices_down(p, &(struct devices_roots){sys, dev}, e);
    buf_free(&text);
    for (uint32_t i = 0; i < p->devices.notes_count; i++)
        log_event(LOG_WARN, "device.left", "why=%s", log_quote(p->devices.notes[i]).text);
    if (p->devices.notes_lost > 0)
        log_event(LOG_WARN, "device.left", "more=%u", p->devices.notes_lost);
    return code == ERR_OK ? ERR_OK : err_wrap(e, "--devices %s", p->options.devices);
}

/* A machine that is not here has only what its tree of files says. */
static void find_caches(struct program *p)
{
    char sys[FS_PATH_MAX], resctrl[FS_PATH_MAX];
    struct sysfs s = *sysfs_real();
    if (p->options.device_root != NULL && fs_join(sys, p->options.device_root, "sys") &&
        fs_join(resctrl, sys, "fs/resctrl")) {
        s.sys = sys;
        s.resctrl = resctrl;
    }
    if (!p->options.fake || p->options.device_root != NULL)
        resctrl_describe(&s, &p->machine);
}

static uint64_t disk_reserve(const struct program *p)
{
    const uint64_t most = 4ull << 30, tenth = p->machine.storage_bytes / 10;
    if (p->options.disk_reserve_given)
        return p->options.disk_reserve_bytes;
    return tenth < most ? tenth : most;
}

/* What it is called; nothing of a runtime that does not say: it may run containers all the same. */
static void name_runtime(const struct program *p, char out[OCI_VERSION_MAX])
{
    struct err e;
    snprintf(out, OCI_VERSION_MAX, "%s", p->options.fake ? "fake://" BATON_VERSION : "");
    if (!p->options.fake &&
        runtime_oci_version(str_of(p->options.command == NULL ? "" : p->options.command), out,
                            &e) != ERR_OK)
        log_event(LOG_WARN, "runtime.nameless", "err=%s", log_quote(str_of(e.text)).text);
}

static void describe(struct program *p)
{
    char runtime[OCI_VERSION_MAX];
    name_runtime(p, runtime);
    struct hardware_settings s = {.shared_cores = p->options.shared_cores,
                                  .system_cpu_millis = p->options.system_cpu_millis,
                                  .workloads_max = p->options.workloads_max,
                                  .system_memory_bytes = p->options.system_memory_bytes,
                                  .reserved_storage_bytes = disk_reserve(p),
                                  .runtime_version = runtime,
                                  .devices = &p->devices};
    buf_init(&p->hardware, HARDWARE_BYTES_MAX);
    hardware_encode(&p->machine, &p->accel, &s, &p->hardware);
}

static enum err_code open_host(struct program *p, struct err *e)
{
    struct cgroup_layout layout;

    snprintf(p->cgroup, sizeof p->cgroup, "baton-%s-%s", p->identity.cluster_id,
             p->identity.node_name);
    if (p->options.fake)
        return ERR_OK;
    enum err_code code = cgroup_layout_read(&layout, e);
    if (code == ERR_OK)
        code = cgroup_open(&layout, str_of(p->cgroup), &p->cgroups, e);
    return code == ERR_OK ? cgroup_pool_join(p->cgroups, getpid(), e) : code;
}

/* The same on every node of the cluster, and not zero. */
static uint32_t tunnel_id(const struct program *p)
{
    uint32_t id = (uint32_t)fnv_add(FNV_BASIS, str_of(p->identity.cluster_id)) & 0xffffff;
    return id == 0 ? 1 : id;
}

static enum err_code open_recorder(struct program *p, const struct agent_config *config,
                                   struct err *e)
{
    char folder[FS_PATH_MAX];
    if (p->options.flight_bytes == 0)
        return ERR_OK;
    if (!fs_join(folder, p->options.state, BLACKBOX_FOLDER))
        return err_set(e, ERR_LIMIT, "--state is too long");
    enum err_code code = blackbox_open(folder, &p->flight.frames, e);
    if (code == ERR_OK)
        flight_init(&p->flight, config, p->options.flight_bytes);
    return code;
}

static enum err_code open_core(struct program *p, struct err *e)
{
    const struct agent_config config = {
        .node_name = str_of(p->identity.node_name),
        .version = STR(BATON_VERSION),
        .boot_id = str_of(p->machine.boot_id),
        .state_dir = str_of(p->options.state),
        .cgroup = str_of(p->cgroup),
        .host_ip = str_of(p->machine.addresses_count > 0 ? p->machine.addresses[0] : ""),
        .hardware = buf_str(&p->hardware),
        .cpus = p->machine.cpus,
        .accelerator = str_of(p->accel.name),
        .vm_overhead_bytes = p->accel.vm_bytes,
        .log_max_bytes = LOG_FILE_BYTES,
        .log_files = LOG_FILES,
        .measure_every = p->options.fake ? (struct span){0} : SPAN_S(MEASURE_EVERY_S),
        .disk_reserve_bytes = disk_reserve(p),
        .certificate = {p->identity.from, p->identity.until},
        .seed = entropy_u64(),
    };
    enum err_code code = open_recorder(p, &config, e);
    if (code != ERR_OK)
        return code;
    p->agent = agent_new(&config);
    p->shell =
        shell_new(&(struct shell_options){.loop = p->loop,
                                          .state = p->options.state,
                                          .agent = p->agent,
                                          .flight = p->options.flight_bytes > 0 ? &p->flight : NULL,
                                          .cgroups = p->cgroups});
    if (p->options.fake)
        return ERR_OK;
    const struct images_options images = {
        .import = str_of(p->options.import),
        .limits = {.stall = {(int64_t)p->options.pull_stall_s * SPAN_S(1).ns}},
        .insecure = p->options.insecure,
        .insecure_count = p->options.insecure_count};
    code =
        hostwork_new(&(struct hostwork_options){.loop = p->loop,
                                                .state = p->options.state,
                                                .cluster = p->cgroup + sizeof "baton-" - 1,
                                                .tunnel_id = tunnel_id(p),
                                                .images = images,
                                                .keep = {p->options.image_high_percent,
                                                         p->options.image_low_percent,
                                                         SPAN_S((int64_t)p->options.image_age_s)},
                                                .done = shell_on_hostwork,
                                                .listed = shell_on_images,
                                                .measured = shell_on_disk,
                                                .owner = p->shell},
                     &p->hostwork, e);
    shell_set_hostwork(p->shell, p->hostwork);
    p->recordwork = recordwork_new(&(struct recordwork_options){
        .loop = p->loop, .state = p->options.state, .done = shell_on_record, .owner = p->shell});
    shell_set_recordwork(p->shell, p->recordwork);
    return code;
}

static enum err_code open_runtimes(struct program *p, struct err *e)
{
    char shim[FS_PATH_MAX], spare[FS_PATH_MAX], run[FS_PATH_MAX];

    if (p->options.fake) {
        fake_runtimes(p->loop, p->shell, p->runtimes);
        return ERR_OK;
    }
    if (!fs_join(shim, p->options.share, "baton-shim") ||
        !fs_join(spare, p->options.share, "baton-spare.so") ||
        !fs_join(run, p->options.state, "run"))
        return err_set(e, ERR_LIMIT, "--state or --share is too long");
    enum err_code code = runtime_oci_open(
        p->loop,
        &(struct runtime_oci_options){
            .command = str_of(p->options.command == NULL ? "" : p->options.command),
            .shim = str_of(shim),
            .state = str_of(run),
            .cgroups = p->cgroups},
        shell_sink(p->shell, RUNTIME_CONTAINER), &p->runtimes[RUNTIME_CONTAINER], e);
    if (code == ERR_OK)
        code = runtime_qemu_open(p->loop,
                                 &(struct runtime_qemu_options){.state = str_of(run),
                                                                .spare = str_of(spare),
                                                                .cgroups = p->cgroups},
                                 shell_sink(p->shell, RUNTIME_VM), &p->runtimes[RUNTIME_VM], e);
    return code;
}

static enum err_code open_link(struct program *p, struct err *e)
{
    enum err_code code = identity_server(p->options.server, p->host, &p->port, e);
    if (code == ERR_OK)
        code = link_new(&(struct link_options){.loop = p->loop,
                                               .host = p->host,
                                               .port = p->port,
                                               .identity = &p->identity,
                                               .event = shell_on_link,
                                               .owner = p->shell},
                        &p->link, e);
    if (code != ERR_OK)
        return code;
    shell_set_link(p->shell, p->link);
    shell_set_renewal(p->shell, renewal_new(&(struct renewal_options){.loop = p->loop,
                                                                      .state = p->options.state,
                                                                      .host = p->host,
                                                                      .port = p->port,
                                                                      .identity = &p->identity,
                                                                      .link = p->link,
                                                                      .done = shell_on_renewal,
                                                                      .owner = p->shell}));
    return ERR_OK;
}

static void on_signal(struct loop_client *self, const struct io_event *ev)
{
    struct program *p = CONTAINER_OF(self, struct program, signals);
    struct err e;
    if (ev->type != IO_SIGNAL)
        return;
    if (ev->signo != SIGUSR1)
        loop_stop(p->loop); /* Workloads go on: the next start finds them. */
    else if (blackbox_write(&e) != ERR_OK)
        log_event(LOG_WARN, "flight.failed", "err=%s", log_quote(str_of(e.text)).text);
}

static enum err_code find_address(struct program *p, struct err *e)
{
    if (p->options.fake)
        return discover_made_up(&p->machine, p->options.address, e);
    return p->options.address == NULL ? ERR_OK
                                      : discover_address(&p->machine, p->options.address, e);
}

/* In order: each step needs the ones before. */
static enum err_code start(struct program *p, struct err *e)
{
    enum err_code code = open_folders(p, e);
    find_share(p);
    if (code == ERR_OK)
        code = discover(p->options.topology, p->options.state, &p->machine, e);
    if (code == ERR_OK)
        code = find_address(p, e);
    if (code == ERR_OK)
        code = find_devices(p, e);
    if (code == ERR_OK)
        code = identity_open(&p->options, p->machine.hostname, &p->identity, e);
    if (code == ERR_OK)
        code = open_host(p, e);
    if (code == ERR_OK)
        code = records_mend(p->options.state, e);
    if (code != ERR_OK)
        return code;
    if (!p->options.fake)
        sweep_at_start(p->options.state);
    measure(p);
    find_caches(p);
    describe(p);
    p->loop = loop_new();
    p->signals.event = on_signal;
    loop_join(p->loop, &p->signals);
    loop_signal(&p->signals, SIGTERM);
    loop_signal(&p->signals, SIGINT);
    loop_signal(&p->signals, SIGUSR1);
    code = open_core(p, e);
    if (code == ERR_OK)
        code = open_runtimes(p, e);
    for (int kind = 0; kind < 2 && code == ERR_OK; kind++)
        shell_set_runtime(p->shell, (enum runtime_kind)kind, p->runtimes[kind]);
    if (code == ERR_OK)
        code = open_link(p, e);
    return code == ERR_OK ? shell_begin(p->shell, e) : code;
}

/* Every instance has some, and a shell's usual 1,024 are soon gone. What we start inherits the limit, as it does under systemd
 * (deploy/lib.sh). */
static void take_descriptors(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* Of our own hard limit; else it stays as it is. */
}

static int run(struct program *p)
{
    struct err e;
    take_descriptors();
    if (start(p, &e) != ERR_OK) {
        log_event(LOG_ERROR, "agent.failed", "err=%s", log_quote(str_of(e.text)).text);
        return 1;
    }
    log_event(LOG_INFO, "agent.started", "node=%s cluster=%s server=%s", p->identity.node_name,
              p->identity.cluster_id, p->options.server);
    loop_run(p->loop);
    recordwork_free(p->recordwork); /* What was noted last is written. */
    log_event(LOG_INFO, "agent.stopped", "node=%s", p->identity.node_name);
    return 0; /* The kernel takes back what a process holds; workloads are not among it. */
}

int main(int argc, char **argv)
{
    static struct program program;
    struct err e;

    signal(SIGPIPE, SIG_IGN);
    log_install(&(struct log_sink){logfile_write, clock_wall, &program.log, LOG_INFO});
    if (options_read(argc, argv, &program.options, &e) != ERR_OK) {
        fprintf(stderr, "baton-agent: %s\n%s", e.text, options_help);
        return 2;
    }
    if (program.options.help || program.options.version) {
        printf("%s", program.options.help ? options_help : "baton-agent " BATON_VERSION "\n");
        return 0;
    }
    if (program.options.clean)
        return clean(&program.options);
    if (program.options.doctor)
        return doctor(&program.options);
    const char *log = program.options.log_file;
    if (log != NULL && logfile_open(&program.log, log, LOGFILE_MAX, &e) != ERR_OK) {
        fprintf(stderr, "baton-agent: --log-file %s\n", e.text);
        return 1;
    }
    return run(&program);
}
