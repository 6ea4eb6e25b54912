/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/runtime/qemu_pin.h"
#include "io/fs.h"
#include "nodeagent/host/cpuset_proc.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

enum { STATUS_MAX = 16 << 10 };

struct walk {
    const struct qemu_pins *pins;
    bool reading;
    uint32_t threads_count, vcpus_seen;
    struct cpuset vcpus;
    enum err_code code;
    struct err *e;
};

struct cpuset qemu_pin_of_vcpu(const struct qemu_pins *p, uint32_t i)
{
    struct cpuset one = {0};
    if (!p->exclusive)
        return p->pool;
    if (i < p->order_count) {
        cpuset_add(&one, p->order[i]);
        return one;
    }
    for (uint32_t cpu = 0; cpu < RUNTIME_CPUS_MAX; cpu++)
        if (cpuset_has(&p->cpus, cpu) && i-- == 0) {
            cpuset_add(&one, cpu);
            break;
        }
    return one;
}

struct cpuset qemu_pin_of_helpers(const struct qemu_pins *p)
{
    struct cpuset rest = p->cpus;
    uint32_t left = p->exclusive ? p->vcpus_count : 0;
    for (uint32_t i = 0; i < left && i < p->order_count; i++)
        rest.bits[p->order[i] / 64] &= ~(1ull << p->order[i] % 64);
    if (p->order_count > 0)
        left = 0;
    for (uint32_t cpu = 0; cpu < RUNTIME_CPUS_MAX && left > 0; cpu++)
        if (cpuset_has(&rest, cpu)) {
            rest.bits[cpu / 64] &= ~(1ull << cpu % 64);
            left--;
        }
    return p->exclusive && !cpuset_is_empty(&rest) ? rest : p->pool;
}

/* The cpus for a thread: its vCPU's, or the helpers'. */
static struct cpuset wanted(struct walk *w, int32_t thread, bool *out_is_vcpu)
{
    *out_is_vcpu = false;
    for (uint32_t i = 0; i < w->pins->vcpus_count; i++)
        if (w->pins->vcpus[i] == thread) {
            *out_is_vcpu = true;
            w->vcpus_seen++;
            return qemu_pin_of_vcpu(w->pins, i);
        }
    return qemu_pin_of_helpers(w->pins);
}

static enum err_code thread_read(int32_t pid, int32_t thread, struct cpuset *out, struct err *e)
{
    char path[64];
    struct buf text;
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", pid, thread);
    buf_init(&text, STATUS_MAX);
    enum err_code code = fs_read(path, &text, e);
    if (code == ERR_OK && cpuset_of_status(buf_str(&text), out) != ERR_OK)
        code = err_set(e, ERR_CORRUPT, "%s names no cpus", path);
    buf_free(&text);
    return code;
}

/* A machine that shares lives in the pool's group, whose cpus the kernel takes from it the moment somebody else is given
 * them, whatever it was told last: then it is where it should be already, and is told a little later. */
static bool narrowed(const struct cpuset *have, const struct cpuset *want)
{
    return !cpuset_is_empty(have) && cpuset_within(have, want);
}

static enum err_code thread_check(struct walk *w, int32_t thread, const struct cpuset *want,
                                  bool is_vcpu)
{
    struct cpuset have;
    enum err_code code = thread_read(w->pins->pid, thread, &have, w->e);
    if (code == ERR_NOT_FOUND && !is_vcpu)
        return ERR_OK; /* A helper that ended meanwhile. */
    if (code != ERR_OK)
        return code;
    if (is_vcpu)
        w->vcpus = cpuset_union(&w->vcpus, &have);
    if (cpuset_eq(&have, want) || (!w->pins->exclusive && narrowed(&have, want)))
        return ERR_OK;
    struct buf text;
    buf_init(&text, 512);
    buf_printf(&text, "%s thread %d of process %d may run on ", is_vcpu ? "vCPU" : "helper", thread,
               w->pins->pid);
    cpuset_print(&have, &text);
    buf_add(&text, STR(", not on "));
    cpuset_print(want, &text);
    code = err_set(w->e, ERR_CONFLICT, STR_FMT, STR_ARG(buf_str(&text)));
    buf_free(&text);
    return code;
}

static enum err_code thread_set(struct walk *w, int32_t thread, const struct cpuset *want,
                                bool is_vcpu)
{
    cpu_set_t mask;
    _Static_assert(sizeof mask == sizeof *want, "both are 1024 bits");
    memcpy(&mask, want, sizeof mask);
    if (sched_setaffinity(thread, sizeof mask, &mask) == 0 || (errno == ESRCH && !is_vcpu))
        return ERR_OK;
    return err_set(w->e, ERR_UNAVAILABLE, "pin thread %d of process %d: %m", thread, w->pins->pid);
}

static bool visit(void *arg, const char *name)
{
    struct walk *w = arg;
    uint64_t thread;
    bool is_vcpu;
    if (str_parse_u64(str_of(name), &thread) != ERR_OK || thread > INT32_MAX)
        return true;
    if (++w->threads_count > QEMU_THREADS_MAX) {
        w->code = err_set(w->e, ERR_LIMIT, "process %d has over %d threads", w->pins->pid,
                          QEMU_THREADS_MAX);
        return false;
    }
    struct cpuset want = wanted(w, (int32_t)thread, &is_vcpu);
    w->code = w->reading ? thread_check(w, (int32_t)thread, &want, is_vcpu)
                         : thread_set(w, (int32_t)thread, &want, is_vcpu);
    return w->code == ERR_OK;
}

static enum err_code walk_threads(struct walk *w)
{
    char path[64];
    uint32_t granted = cpuset_count(&w->pins->cpus);
    if (w->pins->exclusive && granted < w->pins->vcpus_count)
        return err_set(w->e, ERR_INVALID, "%u vCPUs on %u granted cpus", w->pins->vcpus_count,
                       granted);
    snprintf(path, sizeof path, "/proc/%d/task", w->pins->pid);
    enum err_code code = fs_list(path, visit, w, w->e);
    if (code == ERR_OK)
        code = w->code;
    if (code == ERR_OK && w->vcpus_seen != w->pins->vcpus_count)
        code = err_set(w->e, ERR_CORRUPT, "QEMU names %u threads as vCPUs, %u of them are its own",
                       w->pins->vcpus_count, w->vcpus_seen);
    return code;
}

enum err_code qemu_pin_set(const struct qemu_pins *p, struct err *e)
{
    struct walk w = {.pins = p, .e = e};
    return walk_threads(&w);
}

enum err_code qemu_pin_read(const struct qemu_pins *p, struct cpuset *out_vcpus, struct err *e)
{
    struct walk w = {.pins = p, .reading = true, .e = e};
    enum err_code code = walk_threads(&w);
    if (code == ERR_OK)
        *out_vcpus = w.vcpus;
    return code;
}
