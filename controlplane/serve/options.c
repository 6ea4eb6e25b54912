/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/options.h"

#include "controlplane/core/network.h"
#include "controlplane/core/recording.h"
#include "controlplane/serve/shell.h"
#include "io/thread.h"

const char options_help[] =
    "usage: batond [--OPTION VALUE]...\n"
    "       batond copy ...          (as baton store copy calls it)\n"
    "       batond rows --state DIR --out FILE\n"
    "                                what a stopped control plane's store holds, without Secrets' "
    "values, for\n"
    "                                baton-sim --replay --rows\n"
    "  --state DIR            where everything is kept (/var/lib/baton)\n"
    "  --listen ADDRESS       IPv4 or IPv6 address to listen on (0.0.0.0)\n"
    "  --port N               (6443; 0: any)\n"
    "  --san NAME             a further name or address of this server; may be repeated\n"
    "  --io-threads N         connection threads (1 up to two CPUs, else half of them, at most 8)\n"
    "  --store sqlite|etcd|mem\n"
    "                         (sqlite; mem forgets everything at the end)\n"
    "  --endpoints URL,URL    of etcd: https://a:2379,https://b:2379\n"
    "  --etcd-ca FILE         who signed etcd's certificates (the system's CAs)\n"
    "  --etcd-cert FILE, --etcd-key FILE\n"
    "                         the client certificate shown to etcd\n"
    "  --etcd-prefix /NAME/   where our keys are (/baton/)\n"
    "  --pod-network CIDR     of the whole cluster (a /14 of 10.128.0.0/9 in which this machine is "
    "not "
    "yet);\n"
    "                         the first start decides\n"
    "  --node-subnet N        the prefix of each node's part of it (24)\n"
    "  --node-certificate S   seconds that a node's certificate is good (31536000, a year); agents "
    "renew "
    "at two\n"
    "                         thirds of it\n"
    "  --limit NAME=VALUE     of one connection thread; may be repeated. connections, strangers "
    "(without a\n"
    "                         certificate), handshakes (at once), requests, streams (of a "
    "connection),\n"
    "                         connection-bytes, server-bytes (of requests' bodies),\n"
    "                         handshake-s, head-s, body-s, idle-s, stall-s\n"
    "  --flight-kib N         memory for the core's last events, written at a crash or when asked "
    "(4096;\n"
    "                         at least 64; 0: none)\n"
    "  --log LEVEL            error, warn, info or debug (info)\n"
    "  --log-file FILE        instead of standard error; of 16 MiB it becomes FILE.1, and a new "
    "one "
    "begins\n"
    "  --help, --version\n";

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static enum err_code parse_number(const char *text, uint64_t max, uint64_t *out, const char *name,
                                  struct err *e)
{
    if (str_parse_u64(str_of(text), out) != ERR_OK || *out > max)
        return err_set(e, ERR_INVALID, "%s %s is not a number up to %llu", name, text,
                       (unsigned long long)max);
    return ERR_OK;
}

static enum err_code parse_level(const char *text, enum log_level *out, struct err *e)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (is(text, names[i])) {
            *out = (enum log_level)i;
            return ERR_OK;
        }
    return err_set(e, ERR_INVALID, "--log %s is not error, warn, info or debug", text);
}

static enum err_code parse_flight(const char *text, size_t *out, struct err *e)
{
    uint64_t kib = 0;
    enum err_code code = parse_number(text, 1 << 20, &kib, "--flight-kib", e);
    if (code == ERR_OK && kib > 0 && kib < RECORDING_BYTES_MIN >> 10)
        return err_set(e, ERR_INVALID, "--flight-kib wants 0, or at least %d",
                       RECORDING_BYTES_MIN >> 10);
    *out = (size_t)kib << 10;
    return code;
}

/* What an operator may change; body and head sizes are the API's and stay. */
static enum err_code parse_limit(const char *text, struct http_server_limits *l, struct err *e)
{
    struct str rest = str_of(text), name;
    uint64_t value = 0;
    const struct {
        const char *name;
        uint32_t *count;
        uint64_t *bytes;
        struct span *span;
    } rows[] = {
        {.name = "connections", .count = &l->connections},
        {.name = "strangers", .count = &l->strangers},
        {.name = "handshakes", .count = &l->handshakes},
        {.name = "requests", .count = &l->requests},
        {.name = "streams", .count = &l->streams},
        {.name = "connection-bytes", .count = &l->connection_bytes},
        {.name = "server-bytes", .bytes = &l->server_bytes},
        {.name = "handshake-s", .span = &l->handshake},
        {.name = "head-s", .span = &l->head},
        {.name = "body-s", .span = &l->body},
        {.name = "idle-s", .span = &l->idle},
        {.name = "stall-s", .span = &l->stall},
    };

    str_split(&rest, '=', &name);
    if (rest.at == NULL || str_parse_u64(rest, &value) != ERR_OK || value == 0 ||
        value > UINT32_MAX)
        return err_set(e, ERR_INVALID, "--limit %s is not NAME=NUMBER", text);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (!str_is(name, rows[i].name))
            continue;
        if (rows[i].count != NULL)
            *rows[i].count = (uint32_t)value;
        else if (rows[i].bytes != NULL)
            *rows[i].bytes = value;
        else
            *rows[i].span = SPAN_S((int64_t)value);
        return ERR_OK;
    }
    return err_set(e, ERR_INVALID, "there is no limit " STR_FMT, STR_ARG(name));
}

static enum err_code parse_one(struct options *o, const char *name, const char *value,
                               struct err *e)
{
    uint64_t number = 0;
    enum err_code code = ERR_OK;

    if (is(name, "--state"))
        o->state = value;
    else if (is(name, "--listen"))
        o->address = value;
    else if (is(name, "--store"))
        o->store = value;
    else if (is(name, "--endpoints"))
        o->endpoints = value;
    else if (is(name, "--etcd-ca"))
        o->etcd_ca = value;
    else if (is(name, "--etcd-cert"))
        o->etcd_cert = value;
    else if (is(name, "--etcd-key"))
        o->etcd_key = value;
    else if (is(name, "--etcd-prefix"))
        o->etcd_prefix = value;
    else if (is(name, "--limit"))
        code = parse_limit(value, &o->limits, e);
    else if (is(name, "--log"))
        code = parse_level(value, &o->log_level, e);
    else if (is(name, "--log-file"))
        o->log_file = value;
    else if (is(name, "--san") && o->names_count < COUNT_OF(o->names))
        o->names[o->names_count++] = value;
    else if (is(name, "--san"))
        code = err_set(e, ERR_LIMIT, "--san is given more than %zu times", COUNT_OF(o->names));
    else if (is(name, "--port"))
        code = parse_number(value, UINT16_MAX, &number, name, e), o->port = (uint16_t)number;
    else if (is(name, "--pod-network"))
        o->network.cidr = value;
    else if (is(name, "--node-subnet"))
        code = parse_number(value, NETWORK_PART_PREFIX_MAX, &number, name, e),
        o->network.part_prefix = (uint32_t)number;
    else if (is(name, "--io-threads"))
        code = parse_number(value, SHELL_FRONTS_MAX, &number, name, e),
        o->io_threads = (uint32_t)number;
    else if (is(name, "--flight-kib"))
        code = parse_flight(value, &o->flight_bytes, e);
    else if (is(name, "--node-certificate"))
        code = parse_number(value, NODE_CERTIFICATE_S_MAX, &number, name, e),
        o->certificate_life = SPAN_S((int64_t)number);
    else
        code = err_set(e, ERR_INVALID, "%s is not an option", name);
    return code;
}

static uint32_t threads_by_cpus(void)
{
    uint32_t cpus = thread_cpus();
    return cpus <= 2 ? 1 : min_u32(cpus / 2, 8);
}

enum err_code options_parse(int argc, char **argv, struct options *out, struct err *e)
{
    struct options o = {.state = "/var/lib/baton",
                        .address = "0.0.0.0",
                        .port = 6443,
                        .store = "sqlite",
                        .certificate_life = SPAN_S(NODE_CERTIFICATE_S),
                        .limits = http_server_limits_default(),
                        .flight_bytes = RECORDING_BYTES_DEFAULT,
                        .log_level = LOG_INFO};

    o.limits.connections = 0;
    for (int i = 1; i < argc; i += 2) {
        if (is(argv[i], "--help") || is(argv[i], "-h")) {
            o.wants_help = true;
            break;
        }
        if (is(argv[i], "--version")) {
            o.wants_version = true;
            break;
        }
        if (i + 1 == argc)
            return err_set(e, ERR_INVALID, "%s needs a value", argv[i]);
        enum err_code code = parse_one(&o, argv[i], argv[i + 1], e);
        if (code != ERR_OK)
            return code;
    }
    if (is(o.store, "etcd") != (o.endpoints != NULL))
        return err_set(e, ERR_INVALID, "--store etcd and --endpoints belong together");
    if (o.certificate_life.ns < SPAN_S(NODE_CERTIFICATE_S_MIN).ns)
        return err_set(e, ERR_INVALID, "--node-certificate wants at least %d s",
                       NODE_CERTIFICATE_S_MIN);
    if (o.io_threads == 0)
        o.io_threads = threads_by_cpus();
    o.connections_said = o.limits.connections != 0;
    if (!o.connections_said)
        o.limits.connections = http_server_limits_default().connections;
    *out = o;
    return ERR_OK;
}
