/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batond: read the options, take the state directory, become the cluster's authority, open the store, serve.
 */
#include "base/check.h"
#include "base/log.h"
#include "controlplane/core/core.h"
#include "controlplane/serve/authority.h"
#include "controlplane/serve/copy_command.h"
#include "controlplane/serve/directory.h"
#include "controlplane/serve/encoded.h"
#include "controlplane/serve/front.h"
#include "controlplane/serve/network.h"
#include "controlplane/serve/options.h"
#include "controlplane/serve/rows_command.h"
#include "io/blackbox.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/fs.h"
#include "io/logfile.h"
#include "io/tcp.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    FILES_OWN = 256, /* Descriptors that are not connections: store, logs, loops, mailboxes. */
    CONNECTIONS_MIN = 64,
    NAMED_MAX = 64 << 10,
};

struct batond {
    struct options options;
    struct loop *loop;
    struct loop_client signals;
    struct seal *seal;
    struct authority authority;
    struct network_kept network;
    struct tls_config *tls;
    struct shell *shell;
    struct front_shared shared;
    struct front *fronts[SHELL_FRONTS_MAX];
    uint32_t fronts_count;
    char api_url[320];
    struct buf named; /* --listen, --san: what is ours, for own_addresses.h. */
    struct logfile log;
    int lock;
};

static enum err_code start_log(struct batond *b, struct err *e)
{
    struct log_sink sink = {.write = logfile_write,
                            .wall = clock_wall,
                            .state = &b->log,
                            .level = b->options.log_level};
    log_install(&sink);
    str_hash_seed(entropy_u64(), entropy_u64());
    signal(SIGPIPE, SIG_IGN); /* libuv writes without MSG_NOSIGNAL. */
    return b->options.log_file == NULL ? ERR_OK
                                       : logfile_open(&b->log, b->options.log_file, LOGFILE_MAX, e);
}

/* A connection is a descriptor: take as many as the system lets us. An operator's word that cannot be kept is
 * refused; our own default bends. */
static enum err_code take_descriptors(struct options *o, struct err *e)
{
    struct http_server_limits *l = &o->limits;
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return err_set(e, ERR_UNAVAILABLE, "RLIMIT_NOFILE: %m");
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        return err_set(e, ERR_UNAVAILABLE, "RLIMIT_NOFILE: %m");
    uint64_t room = files.rlim_max <= FILES_OWN ? 0 : files.rlim_max - FILES_OWN;
    uint64_t each = room / o->io_threads; /* Of a thread. */
    if (each >= (uint64_t)l->connections + l->connections_refuse)
        return ERR_OK;
    if (o->connections_said || each < CONNECTIONS_MIN + l->connections_refuse)
        return err_set(e, ERR_LIMIT,
                       "%u connections on each of %u threads want %llu descriptors, the hard limit "
                       "is %llu: raise it (ulimit -n, LimitNOFILE=) or lower --limit connections",
                       l->connections, o->io_threads,
                       (unsigned long long)o->io_threads *
                               (l->connections + l->connections_refuse) +
                           FILES_OWN,
                       (unsigned long long)files.rlim_max);
    l->connections = (uint32_t)each - l->connections_refuse;
    log_event(LOG_WARN, "batond.descriptors", "hard_limit=%llu connections_per_thread=%u",
              (unsigned long long)files.rlim_max, l->connections);
    return ERR_OK;
}

static const char *in_state(const struct batond *b, const char *name, char out[FS_PATH_MAX])
{
    return fs_join(out, b->options.state, name) ? out : name;
}

/* One batond a directory; its keys, its CA, its certificates. */
static enum err_code take_state(struct batond *b, struct err *e)
{
    char path[FS_PATH_MAX];
    struct authority_options o = {.state = b->options.state,
                                  .names = b->options.names,
                                  .names_count = b->options.names_count,
                                  .port = b->options.port,
                                  .now = clock_wall()};

    enum err_code code = fs_mkdir(in_state(b, "control", path), 0700, e);
    if (code == ERR_OK)
        code = fs_lock(in_state(b, "control/lock", path), &b->lock, e);
    if (code == ERR_OK) {
        blackbox_say_pid(b->lock); /* For baton doctor. */
        code = seal_open_file(in_state(b, "control/seal.key", path), &b->seal, e);
    }
    if (code == ERR_OK)
        code = authority_open(&o, &b->authority, e);
    if (code == ERR_OK)
        code = network_open(b->options.state, b->authority.cluster_id, &b->options.network,
                            &b->network, e);
    return code;
}

/* The ticket key lives as long as the directory, so that sessions outlive a restart. */
static enum err_code open_tls(struct batond *b, struct err *e)
{
    char path[FS_PATH_MAX];
    unsigned char fresh[TLS_TICKET_SECRET_SIZE];
    struct buf secret;
    struct tls_server_options o = {.cert = buf_str(&b->authority.server_cert),
                                   .key = buf_str(&b->authority.server_key),
                                   .client_ca = buf_str(&b->authority.ca_cert)};

    in_state(b, "control/tickets.key", path);
    buf_init(&secret, TLS_TICKET_SECRET_SIZE);
    if (fs_read(path, &secret, e) != ERR_OK || secret.len != TLS_TICKET_SECRET_SIZE) {
        buf_clear(&secret);
        entropy_fill(fresh, sizeof fresh);
        buf_add(&secret, str_from(fresh, sizeof fresh));
        enum err_code code = fs_write(path, buf_str(&secret), 0600, e);
        if (code != ERR_OK)
            return buf_free(&secret), code;
    }
    o.ticket_secret = (const unsigned char *)secret.at;
    enum err_code code = tls_server_config(&o, &b->tls, e);
    seal_wipe(secret.at, secret.len);
    buf_free(&secret);
    return code;
}

static enum err_code open_core(struct batond *b, struct err *e)
{
    char path[FS_PATH_MAX], marker[FS_PATH_MAX], holder[AUTHORITY_HOLDER_SIZE];
    struct store_etcd_options etcd = {.endpoints = b->options.endpoints,
                                      .ca = b->options.etcd_ca,
                                      .cert = b->options.etcd_cert,
                                      .key = b->options.etcd_key,
                                      .prefix = b->options.etcd_prefix,
                                      .holder = holder};
    struct shell_options o = {.store = b->options.store,
                              .path = in_state(b, "control/store.db", path),
                              .etcd = &etcd,
                              .marker = in_state(b, "control/store.etcd", marker),
                              .seal = b->seal,
                              .cluster_id = b->authority.cluster_id,
                              .ca_bundle = buf_str(&b->authority.ca_cert),
                              .pod_network = str_of(b->network.cidr),
                              .node_prefix = b->network.part_prefix,
                              .flight_bytes = b->options.flight_bytes,
                              .api_url = b->api_url};
    authority_holder(b->options.state, holder);
    enum err_code code = shell_open(b->loop, &o, &b->shell, e);
    if (code == ERR_OK && shell_recorder(b->shell) != NULL)
        code = blackbox_open(in_state(b, "control/" BLACKBOX_FOLDER, path),
                             shell_recorder(b->shell), e);
    return code;
}

static struct str name_own(struct batond *b)
{
    buf_init(&b->named, NAMED_MAX);
    buf_printf(&b->named, "%s", b->options.address);
    for (uint32_t i = 0; i < b->options.names_count; i++)
        buf_printf(&b->named, " %s", b->options.names[i]);
    return buf_str(&b->named);
}

static enum err_code open_fronts(struct batond *b, struct err *e)
{
    struct front_options o = {.address = b->options.address,
                              .port = b->options.port,
                              .limits = b->options.limits,
                              .shared = &b->shared};

    b->shared = (struct front_shared){.shell = b->shell,
                                      .index = core_index(shell_core(b->shell)),
                                      .history = core_history(shell_core(b->shell)),
                                      .memory_index = core_memory_index(shell_core(b->shell)),
                                      .memory_history = core_memory_history(shell_core(b->shell)),
                                      .seal = b->seal,
                                      .authority = &b->authority,
                                      .tls = b->tls,
                                      .certificate_life = b->options.certificate_life,
                                      .api_url = b->api_url,
                                      .named = name_own(b),
                                      .sets = {shell_metrics(b->shell)},
                                      .sets_count = 1,
                                      .directory = directory_new(),
                                      .encoded = encoded_new(ENCODED_BYTES_MAX),
                                      .started = clock_now()};
    enum err_code code = tcp_port_free(o.address, o.port, e);
    for (uint32_t i = 0; i < b->options.io_threads && code == ERR_OK; i++) {
        o.number = i;
        code = front_open(&o, &b->fronts[i], e);
        if (code != ERR_OK)
            break;
        b->fronts_count++;
        o.port = front_port(b->fronts[0]); /* The first may have let the kernel choose. */
    }
    for (uint32_t i = 0; i < b->fronts_count && code == ERR_OK; i++)
        front_start(b->fronts[i]);
    return code;
}

static void signal_came(struct loop_client *self, const struct io_event *ev)
{
    struct batond *b = CONTAINER_OF(self, struct batond, signals);

    struct err e;

    if (ev->type != IO_SIGNAL)
        return;
    if (ev->signo == SIGUSR1) {
        if (blackbox_write(&e) != ERR_OK)
            log_event(LOG_WARN, "flight.failed", "err=%s", log_quote(str_of(e.text)).text);
        return;
    }
    log_event(LOG_INFO, "batond.stopping", "signal=%d", ev->signo);
    shell_stop(b->shell);
}

static void watch_signals(struct batond *b)
{
    b->signals.event = signal_came;
    loop_join(b->loop, &b->signals);
    loop_signal(&b->signals, SIGTERM);
    loop_signal(&b->signals, SIGINT);
    loop_signal(&b->signals, SIGUSR1); /* baton doctor --record. */
}

static void close_all(struct batond *b)
{
    for (uint32_t i = 0; i < b->fronts_count; i++)
        front_stop(b->fronts[i]);
    for (uint32_t i = 0; i < b->fronts_count; i++)
        front_join(b->fronts[i]);
    for (uint32_t i = 0; i < b->fronts_count; i++)
        front_free(b->fronts[i]);
    directory_free(b->shared.directory);
    encoded_free(b->shared.encoded);
    buf_free(&b->named);
    loop_leave(&b->signals);
    shell_free(b->shell);
    loop_free(b->loop);
    tls_config_free(b->tls);
    authority_free(&b->authority);
    seal_free(b->seal);
    fs_close(&b->lock);
}

static int fail(const struct err *e)
{
    log_event(LOG_ERROR, "batond.failed", "why=%s", log_quote(str_of(e->text)).text);
    return EXIT_FAILURE;
}

static void say(const char *line)
{
    fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
    static struct batond b = {.lock = -1};
    struct err e = {0};

    if (argc > 1 && strcmp(argv[1], "copy") == 0)
        return copy_command(argc - 2, argv + 2, say);
    if (argc > 1 && strcmp(argv[1], "rows") == 0)
        return rows_command(argc - 2, argv + 2, say);
    if (options_parse(argc, argv, &b.options, &e) != ERR_OK) {
        fprintf(stderr, "batond: %s\n%s", e.text, options_help);
        return 2;
    }
    if (b.options.wants_help || b.options.wants_version) {
        printf("%s", b.options.wants_help ? options_help : "batond " BATON_VERSION "\n");
        return EXIT_SUCCESS;
    }
    if (start_log(&b, &e) != ERR_OK || take_descriptors(&b.options, &e) != ERR_OK)
        return fail(&e);
    snprintf(b.api_url, sizeof b.api_url, "https://%s:%u",
             b.options.names_count > 0 ? b.options.names[0] : "127.0.0.1", b.options.port);
    b.loop = loop_new();
    if (take_state(&b, &e) != ERR_OK || open_tls(&b, &e) != ERR_OK || open_core(&b, &e) != ERR_OK)
        return fail(&e);
    if (open_fronts(&b, &e) != ERR_OK)
        return fail(&e);
    watch_signals(&b);
    log_event(LOG_INFO, "batond.serving",
              "address=%s port=%u threads=%u store=%s cluster=%s pods=%s", b.options.address,
              front_port(b.fronts[0]), b.fronts_count, b.options.store, b.authority.cluster_id,
              b.network.cidr);
    loop_run(b.loop);
    CHECK(shell_is_done(b.shell));
    int code = shell_is_deposed(b.shell) ? EXIT_FAILURE : EXIT_SUCCESS;
    close_all(&b);
    log_event(LOG_INFO, "batond.stopped", "code=%d", code);
    return code;
}
