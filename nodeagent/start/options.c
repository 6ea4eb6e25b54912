/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/start/options.h"

#include "base/str.h"
#include "nodeagent/core/flight.h"

const char options_help[] =
    "usage: baton-agent --state DIR --server HOST:PORT [OPTIONS]\n"
    "       baton-agent --state DIR --clean\n"
    "       baton-agent --state DIR --doctor [--fix] [--record]\n\n"
    "  --state DIR          everything the agent keeps\n"
    "  --server HOST:PORT   the control plane\n"
    "  --token-file FILE    a join token; read at the first start, and when the certificate has "
    "ended\n"
    "  --node-name NAME     default: this host's name\n"
    "  --address ADDRESS|INTERFACE\n"
    "                       what the node is reached at, published as its own (default: all\n"
    "                       interfaces' addresses, that of the default route first); with "
    "--runtime\n"
    "                       fake any IPv4 address (default: 127.0.0.1, which every node may say)\n"
    "  --share DIR          where baton-shim, baton-spare.so and pvh.elf are (default: the\n"
    "                       program's own folder)\n"
    "  --import DIR         images that are here already (default: STATE/import)\n"
    "  --insecure-registry HOST[:PORT]\n"
    "                       a registry whose certificate is not checked, or without TLS; up to 16\n"
    "  --pull-stall S       give a pull up when its registry sends nothing for so long (default "
    "60)\n"
    "  --image-gc-high P    remove images that nothing uses when their disk is P percent full\n"
    "                       (default 85; 100: never) ...\n"
    "  --image-gc-low P     ... the one used longest ago first, until it is P percent full "
    "(default 80)\n"
    "  --image-gc-age S     but none used in the last S seconds (default 120)\n"
    "  --shared-cores N     cores that no workload gets alone (default 1)\n"
    "  --system-cpu M       millicores of the pool kept for the system (default 250)\n"
    "  --system-memory MIB  memory kept for the system (default 512)\n"
    "  --workloads N        most workloads (default 250)\n"
    "  --disk-reserve MIB   with less free on the disk of --state nothing new comes here, and the "
    "pods\n"
    "                       that use most beyond their request leave (default: a tenth, at most "
    "4096;\n"
    "                       0: never)\n"
    "  --devices FILE       devices that are given away, and as what (docs/operating.md)\n"
    "  --oci-runtime PATH   default: crun, then runc\n"
    "  --runtime fake       run nothing: for tests\n"
    "  --topology TEXT      a machine that is not here (hwloc's synthetic form or FILE.xml);\n"
    "                       with --runtime fake\n"
    "  --flight-kib N       memory for the last events, written at a crash or when asked "
    "(default 2048;\n"
    "                       at least 64; 0: none)\n"
    "  --device-root DIR    where its devices are, as DIR/sys and DIR/dev; with --runtime fake\n"
    "  --log-file FILE      where it says what it does (default: standard error); of 16 MiB it\n"
    "                       becomes FILE.1, and a new one begins\n"
    "  --clean              end every workload, take away what was made on the host, and exit\n"
    "  --doctor             look at this node and say as JSON how it is and what is left over; "
    "stdin\n"
    "                       names workloads that belong here although no record says so, one uid a "
    "line\n"
    "  --fix                with --doctor: remove what is left over\n"
    "  --record             with --doctor: have the agent write its last events to "
    "STATE/flight/asked\n";

struct number {
    const char *name;
    uint64_t low, high, value;
};

static enum err_code read_number(struct number *n, const char *value, struct err *e)
{
    uint64_t got;
    if (str_parse_u64(str_of(value), &got) != ERR_OK || got < n->low || got > n->high)
        return err_set(e, ERR_INVALID, "%s %s: wants a number from %u to %u", n->name, value,
                       (unsigned)n->low, (unsigned)n->high);
    n->value = got;
    return ERR_OK;
}

static enum err_code check(const struct options *o, struct err *e)
{
    if (o->help || o->version)
        return ERR_OK;
    if (o->state == NULL || o->state[0] != '/')
        return err_set(e, ERR_INVALID, "--state wants an absolute path");
    if (o->server == NULL && !o->clean && !o->doctor)
        return err_set(e, ERR_INVALID, "--server HOST:PORT is missing");
    if (o->image_low_percent >= o->image_high_percent)
        return err_set(e, ERR_INVALID, "--image-gc-low must be less than --image-gc-high");
    if ((o->fix || o->record) && !o->doctor)
        return err_set(e, ERR_INVALID, "--fix and --record go with --doctor");
    if (o->flight_bytes > 0 && o->flight_bytes < FLIGHT_BYTES_MIN)
        return err_set(e, ERR_INVALID, "--flight-kib wants 0, or at least %d",
                       FLIGHT_BYTES_MIN >> 10);
    if (o->topology != NULL && !o->fake)
        return err_set(e, ERR_INVALID,
                       "--topology is for --runtime fake: there is nothing to run on");
    if (o->device_root != NULL && !o->fake)
        return err_set(e, ERR_INVALID, "--device-root is for --runtime fake");
    return ERR_OK;
}

/* By the names of numbers[]. */
enum {
    SHARED_CORES,
    SYSTEM_CPU,
    SYSTEM_MEMORY,
    WORKLOADS,
    DISK_RESERVE,
    PULL_STALL,
    IMAGE_HIGH,
    IMAGE_LOW,
    IMAGE_AGE,
    FLIGHT_KIB,
    NUMBERS
};

/* argv under way. */
struct reading {
    struct options o;
    const char *runtime;
    struct number numbers[NUMBERS];
};

static bool take_flag(struct options *o, const char *name)
{
    const struct {
        const char *name;
        bool *to;
    } flags[] = {{"--clean", &o->clean},   {"--doctor", &o->doctor}, {"--fix", &o->fix},
                 {"--record", &o->record}, {"--help", &o->help},     {"--version", &o->version}};
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        if (strcmp(name, flags[i].name) == 0)
            return *flags[i].to = true;
    return false;
}

static bool take_text(struct reading *r, const char *name, const char *value)
{
    struct options *o = &r->o;
    const struct {
        const char *name;
        const char **to;
    } texts[] = {
        {"--state", &o->state},           {"--share", &o->share},
        {"--import", &o->import},         {"--server", &o->server},
        {"--token-file", &o->token_file}, {"--node-name", &o->node_name},
        {"--topology", &o->topology},     {"--oci-runtime", &o->command},
        {"--runtime", &r->runtime},       {"--address", &o->address},
        {"--devices", &o->devices},       {"--device-root", &o->device_root},
        {"--log-file", &o->log_file},
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (strcmp(name, texts[i].name) == 0)
            return *texts[i].to = value, true;
    return false;
}

/* ERR_NOT_FOUND: nobody knows that name. */
static enum err_code take_value(struct reading *r, const char *name, const char *value,
                                struct err *e)
{
    if (take_text(r, name, value))
        return ERR_OK;
    for (size_t i = 0; i < NUMBERS; i++)
        if (strcmp(name, r->numbers[i].name) == 0)
            return read_number(&r->numbers[i], value, e);
    if (strcmp(name, "--insecure-registry") != 0)
        return ERR_NOT_FOUND;
    if (r->o.insecure_count == OPTIONS_INSECURE_MAX)
        return err_set(e, ERR_LIMIT, "--insecure-registry: at most %d", OPTIONS_INSECURE_MAX);
    r->o.insecure[r->o.insecure_count++] = value;
    return ERR_OK;
}

static void take_numbers(struct options *o, const struct number *n)
{
    o->shared_cores = (uint32_t)n[SHARED_CORES].value;
    o->system_cpu_millis = (uint32_t)n[SYSTEM_CPU].value;
    o->system_memory_bytes = n[SYSTEM_MEMORY].value << 20;
    o->workloads_max = (uint32_t)n[WORKLOADS].value;
    o->disk_reserve_given = n[DISK_RESERVE].value != UINT64_MAX;
    o->disk_reserve_bytes = o->disk_reserve_given ? n[DISK_RESERVE].value << 20 : 0;
    o->pull_stall_s = (uint32_t)n[PULL_STALL].value;
    o->image_high_percent = (uint32_t)n[IMAGE_HIGH].value;
    o->image_low_percent = (uint32_t)n[IMAGE_LOW].value;
    o->image_age_s = (uint32_t)n[IMAGE_AGE].value;
    o->flight_bytes = n[FLIGHT_KIB].value << 10;
}

enum err_code options_read(int argc, char **argv, struct options *out, struct err *e)
{
    struct reading r = {
        .numbers = {[SHARED_CORES] = {"--shared-cores", 1, 1024, 1},
                    [SYSTEM_CPU] = {"--system-cpu", 0, 64000, 250},
                    [SYSTEM_MEMORY] = {"--system-memory", 0, 1 << 20, 512},
                    [WORKLOADS] = {"--workloads", 1, 1024, 250},
                    [DISK_RESERVE] = {"--disk-reserve", 0, 1 << 30, UINT64_MAX},
                    [PULL_STALL] = {"--pull-stall", 1, 3600, 60},
                    [IMAGE_HIGH] = {"--image-gc-high", 1, 100, 85},
                    [IMAGE_LOW] = {"--image-gc-low", 0, 100, 80},
                    [IMAGE_AGE] = {"--image-gc-age", 0, 86400 * 365, 120},
                    [FLIGHT_KIB] = {"--flight-kib", 0, 1 << 20, FLIGHT_BYTES_DEFAULT >> 10}}};

    for (int i = 1; i < argc; i++) {
        if (take_flag(&r.o, argv[i]))
            continue;
        enum err_code code = i + 1 < argc ? take_value(&r, argv[i], argv[i + 1], e) : ERR_NOT_FOUND;
        if (code == ERR_NOT_FOUND)
            return err_set(e, ERR_INVALID, "%s: no such option, or its value is missing", argv[i]);
        if (code != ERR_OK)
            return code;
        i++;
    }
    if (r.runtime != NULL && strcmp(r.runtime, "fake") != 0)
        return err_set(e, ERR_INVALID, "--runtime %s: only fake can be chosen", r.runtime);
    r.o.fake = r.runtime != NULL;
    take_numbers(&r.o, r.numbers);
    enum err_code code = check(&r.o, e);
    if (code == ERR_OK)
        *out = r.o;
    return code;
}
