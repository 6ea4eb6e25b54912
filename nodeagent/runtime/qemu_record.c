/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/runtime/qemu_record.h"
#include "base/cpuset.h"

static void put_u64(struct buf *out, const char *key, uint64_t value)
{
    buf_printf(out, "%s %llu\n", key, (unsigned long long)value);
}

static void put_cpus(struct buf *out, const char *key, const struct cpuset *cpus)
{
    buf_printf(out, "%s ", key);
    cpuset_print(cpus, out);
    buf_add_char(out, '\n');
}

void qemu_record_print(struct buf *out, const struct qemu_record *r)
{
    buf_printf(out, "id %s\n", r->id);
    put_u64(out, "pid", (uint64_t)r->pid);
    put_u64(out, "start_time", r->start_time);
    put_u64(out, "uid", r->uid);
    put_u64(out, "vcpus", r->vcpus);
    put_u64(out, "exclusive", r->exclusive);
    put_cpus(out, "cpus", &r->cpus);
    put_cpus(out, "pool", &r->pool);
    buf_add(out, STR("order"));
    for (uint32_t i = 0; i < r->order_count; i++)
        buf_printf(out, "%c%u", i == 0 ? ' ' : ',', r->order[i]);
    buf_add(out, r->order_count == 0 ? STR(" \n") : STR("\n"));
    put_u64(out, "weight_milli", r->weight_milli);
    put_u64(out, "quota_us", r->quota_us);
    put_u64(out, "memory_bytes", r->memory_bytes);
    if (!r->any_huge) {
        put_u64(out, "huge_2m_bytes", r->huge_2m_bytes);
        put_u64(out, "huge_1g_bytes", r->huge_1g_bytes);
    }
    put_u64(out, "created_ns", (uint64_t)r->created.ns);
    put_u64(out, "started_ns", (uint64_t)r->started.ns);
    put_u64(out, "guest_ended", r->guest_ended);
    buf_printf(out, "serial_log %s\n", r->serial_log);
    buf_printf(out, "serial_socket %s\n", r->serial_socket);
}

/* The value of key; at is NULL when there is no such line. */
static struct str value_of(struct str text, const char *key)
{
    struct str line, name;
    while (str_split(&text, '\n', &line))
        if (str_split(&line, ' ', &name) && str_is(name, key) && line.at != NULL)
            return line;
    return (struct str){0};
}

static bool get_u64(struct str text, const char *key, uint64_t most, uint64_t *out)
{
    return str_parse_u64(value_of(text, key), out) == ERR_OK && *out <= most;
}

static bool get_text(struct str text, const char *key, char *out, size_t size)
{
    struct str value = value_of(text, key);
    if (value.at == NULL || value.len >= size)
        return false;
    str_put(out, value);
    out[value.len] = '\0';
    return true;
}

static bool get_cpus(struct str text, const char *key, struct cpuset *out)
{
    struct str value = value_of(text, key);
    return value.at != NULL && cpuset_parse(value, out) == ERR_OK;
}

/* Each of cpus once, or nothing. */
static bool get_order(struct str text, struct qemu_record *r)
{
    struct str list = value_of(text, "order"), part;
    struct cpuset seen = {0};
    if (list.at == NULL)
        return false;
    while (list.len > 0 && str_split(&list, ',', &part)) {
        uint64_t cpu;
        if (str_parse_u64(part, &cpu) != ERR_OK || cpu >= RUNTIME_CPUS_MAX ||
            !cpuset_has(&r->cpus, (uint32_t)cpu) || cpuset_has(&seen, (uint32_t)cpu))
            return false;
        cpuset_add(&seen, (uint32_t)cpu);
        r->order[r->order_count++] = (uint16_t)cpu;
    }
    return r->order_count == 0 || cpuset_eq(&seen, &r->cpus);
}

static bool get_numbers(struct str text, struct qemu_record *r)
{
    uint64_t pid, uid, vcpus, exclusive, weight, created, started, ended;
    if (!get_u64(text, "pid", INT32_MAX, &pid) || !get_u64(text, "uid", UINT32_MAX, &uid) ||
        !get_u64(text, "vcpus", RUNTIME_CPUS_MAX, &vcpus) ||
        !get_u64(text, "exclusive", 1, &exclusive) || !get_u64(text, "guest_ended", 1, &ended) ||
        !get_u64(text, "weight_milli", UINT32_MAX, &weight) ||
        !get_u64(text, "created_ns", INT64_MAX, &created) ||
        !get_u64(text, "started_ns", INT64_MAX, &started))
        return false;
    r->pid = (int32_t)pid;
    r->uid = (uint32_t)uid;
    r->vcpus = (uint32_t)vcpus;
    r->exclusive = exclusive != 0;
    r->guest_ended = ended != 0;
    r->weight_milli = (uint32_t)weight;
    r->created.ns = (int64_t)created;
    r->started.ns = (int64_t)started;
    bool has_small = get_u64(text, "huge_2m_bytes", UINT64_MAX, &r->huge_2m_bytes);
    r->any_huge = !get_u64(text, "huge_1g_bytes", UINT64_MAX, &r->huge_1g_bytes);
    return has_small != r->any_huge && get_u64(text, "start_time", UINT64_MAX, &r->start_time) &&
           get_u64(text, "quota_us", UINT64_MAX, &r->quota_us) &&
           get_u64(text, "memory_bytes", UINT64_MAX, &r->memory_bytes);
}

enum err_code qemu_record_parse(struct str text, struct qemu_record *out, struct err *e)
{
    struct qemu_record r = {0};
    if (text.len > 0 && memchr(text.at, '\0', text.len) != NULL)
        return err_set(e, ERR_CORRUPT, "a machine's record holds a NUL");
    if (!get_numbers(text, &r) || !get_text(text, "id", r.id, sizeof r.id) || r.id[0] == '\0' ||
        !get_cpus(text, "cpus", &r.cpus) || !get_cpus(text, "pool", &r.pool) ||
        !get_order(text, &r) || !get_text(text, "serial_log", r.serial_log, sizeof r.serial_log) ||
        !get_text(text, "serial_socket", r.serial_socket, sizeof r.serial_socket))
        return err_set(e, ERR_CORRUPT, "a machine's record does not decode");
    *out = r;
    return ERR_OK;
}
