/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept in an instance's directory, for the shim and for the agent's next life. */
#include "base/cpuset.h"
#include "nodeagent/runtime/oci_priv.h"
#include <signal.h>
#include <string.h>

static void lines(struct buf *out, const char *key, struct str values)
{
    struct str one;
    while (str_split(&values, '\n', &one))
        if (one.len > 0)
            buf_printf(out, "%s=" STR_FMT "\n", key, STR_ARG(one));
}

void oci_conf_print(struct buf *out, const struct runtime_spec *spec, const char *command,
                    struct str hides, struct str cgroup_files, const struct oci_record *record)
{
    const struct runtime_container *c = &spec->container;

    buf_printf(out, "runtime=%s\nid=" STR_FMT "\nlog=" STR_FMT "\nlog_max=%llu\nlog_files=%u\n",
               command, STR_ARG(spec->id), STR_ARG(c->log_path),
               (unsigned long long)c->log_max_bytes, c->log_files);
    buf_printf(out, "tty=%d\nstdin=%d\n", c->tty, c->stdin_open);
    lines(out, "hide", hides);
    lines(out, "cgroup", cgroup_files);
    for (uint32_t i = 0; i < c->mounts_count; i++)
        if (c->mounts[i].below.len > 0)
            buf_printf(out, "part=%d %zu " STR_FMT "\n", c->mounts[i].make, c->mounts[i].below.len,
                       STR_ARG(c->mounts[i].source));
    buf_printf(out, "exclusive=%d\nstop=%d\nweight=%u\ncpus=", record->exclusive,
               record->stop_signal, record->weight_milli);
    cpuset_print(&record->cpus, out);
    buf_add_char(out, '\n');
}

enum err_code oci_conf_parse(struct str text, struct oci_record *out)
{
    struct oci_record r = {.stop_signal = SIGTERM};
    struct str line, key;
    bool complete = false;

    while (str_split(&text, '\n', &line)) {
        struct str value = line;
        uint64_t number;
        if (!str_split(&value, '=', &key) || value.at == NULL)
            continue;
        if (str_is(key, "exclusive"))
            r.exclusive = str_is(value, "1");
        else if (str_is(key, "stop") && str_parse_u64(value, &number) == ERR_OK && number < 65)
            r.stop_signal = (int)number;
        else if (str_is(key, "weight") && str_parse_u64(value, &number) == ERR_OK)
            r.weight_milli = (uint32_t)number;
        else if (str_is(key, "cpus"))
            complete = cpuset_parse(value, &r.cpus) == ERR_OK; /* The last line. */
    }
    if (!complete)
        return ERR_CORRUPT;
    *out = r;
    return ERR_OK;
}

/* Whole numbers separated by blanks. */
static bool take_numbers(struct str line, int64_t *out, uint32_t count)
{
    struct str word;
    line = str_trim(line);
    for (uint32_t i = 0; i < count; i++)
        if (!str_split(&line, ' ', &word) || str_parse_i64(word, &out[i]) != ERR_OK)
            return false;
    return true;
}

enum err_code oci_shim_parse(struct str line, struct oci_shim *out)
{
    int64_t n[5];
    if (!take_numbers(line, n, 5) || n[0] <= 0 || n[0] > INT32_MAX || n[2] <= 0 || n[2] > INT32_MAX)
        return ERR_CORRUPT;
    *out = (struct oci_shim){.pid = (int32_t)n[0],
                             .start = (uint64_t)n[1],
                             .shim_pid = (int32_t)n[2],
                             .shim_start = (uint64_t)n[3],
                             .started = {n[4]}};
    return ERR_OK;
}

enum err_code oci_exit_parse(struct str line, struct oci_exit *out)
{
    int64_t n[3];
    if (!take_numbers(line, n, 3))
        return ERR_CORRUPT;
    *out = (struct oci_exit){(int32_t)n[0], (int32_t)n[1], {n[2]}};
    return ERR_OK;
}

enum err_code oci_signal_parse(struct str name, int *out)
{
    uint64_t number;
    if (str_starts(name, STR("SIG")))
        name = str_slice(name, 3, name.len);
    if (name.len == 0)
        number = SIGTERM;
    else if (str_starts(name, STR("RTMIN+")) &&
             str_parse_u64(str_slice(name, 6, name.len), &number) == ERR_OK && number <= 30)
        number += (uint64_t)SIGRTMIN;
    else if (str_parse_u64(name, &number) != ERR_OK) {
        for (number = 1; number < 32; number++)
            if (sigabbrev_np((int)number) != NULL && str_is(name, sigabbrev_np((int)number)))
                break;
        if (number == 32)
            return ERR_INVALID;
    }
    if (number < 1 || number > 64)
        return ERR_INVALID;
    *out = (int)number;
    return ERR_OK;
}
