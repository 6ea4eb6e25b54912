/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accel.c -- two accelerators, one guest, a stopwatch.
 *
 * What is timed is QEMU's whole life on a microvm: the part that does not depend on the accelerator is
 * the same for both, and nothing inside the guest has to be believed but its last line.
 */
#include "nodeagent/host/accel.h"
#include "base/buf.h"
#include "io/clock.h"
#include "io/fs.h"
#include "io/proc.h"

#include <stdio.h>
#include <sys/stat.h>

enum { MIB = 1 << 20, CACHE_MAX = 4096, OUTPUT_MAX = 16 << 10 };

static const struct span LIMIT_DEFAULT = SPAN_S(5);
static const char GUEST_SAYS[] = "baton-guest: ok";

enum err_code accel_version_parse(struct str text, char out[64])
{
    static const struct str before = {"QEMU emulator version ", 22};
    struct str word = {0};
    if (!str_starts(text, before))
        return ERR_INVALID;
    struct str rest = str_slice(text, before.len, text.len);
    for (size_t i = 0;
         i < rest.len && (rest.at[i] == '.' || (rest.at[i] >= '0' && rest.at[i] <= '9')); i++)
        word = str_slice(rest, 0, i + 1);
    if (word.len == 0 || word.len >= 64)
        return ERR_INVALID;
    snprintf(out, 64, STR_FMT, STR_ARG(word));
    return ERR_OK;
}

/* Measured with QEMU 7.2 and Debian's cloud kernel on q35 (docs/benchmarks.md): Pss without the guest's
 * memory is 36 MiB under kvm, 72 to 76 under tcg with tb-size=32, of which 15 are kernel and initrd as
 * QEMU holds them; a quarter is added, because who is short of it is killed. */
static void overheads(struct accel *a, bool tcg)
{
    a->vm_bytes = (tcg ? 96ull : 56ull) * MIB;
    a->vcpu_bytes = 1ull * MIB;
    a->device_bytes = 2ull * MIB;
}

void accel_choose(struct accel *a, const char *kvm_error)
{
    bool kvm_wins = a->kvm_ns != 0 && (a->tcg_ns == 0 || a->kvm_ns < a->tcg_ns);
    a->name[0] = a->reason[0] = '\0';
    if (kvm_wins && kvm_error == NULL)
        snprintf(a->name, sizeof a->name, "kvm");
    else if (a->tcg_ns != 0)
        snprintf(a->name, sizeof a->name, "tcg");
    if (kvm_error != NULL)
        snprintf(a->reason, sizeof a->reason, "kvm: %s", kvm_error);
    else if (!kvm_wins && a->kvm_ns != 0)
        snprintf(a->reason, sizeof a->reason,
                 "kvm took %llu ms for what tcg does in %llu: this /dev/kvm emulates",
                 (unsigned long long)(a->kvm_ns / 1000000),
                 (unsigned long long)(a->tcg_ns / 1000000));
    overheads(a, a->name[0] == 't');
}

/* ---- the cache ---- */

void accel_cache_print(struct buf *out, const struct accel *a, struct str boot_id)
{
    buf_printf(out, "boot_id " STR_FMT "\nvmm_version %s\nname %s\n", STR_ARG(boot_id),
               a->vmm_version, a->name);
    buf_printf(out, "kvm_ns %llu\ntcg_ns %llu\nreason %s\n", (unsigned long long)a->kvm_ns,
               (unsigned long long)a->tcg_ns, a->reason);
}

static struct str value_of(struct str text, const char *key)
{
    struct str line, name;
    while (str_split(&text, '\n', &line))
        if (str_split(&line, ' ', &name) && str_is(name, key))
            return line;
    return (struct str){0};
}

enum err_code accel_cache_parse(struct str text, struct str boot_id, const char *version,
                                struct accel *out)
{
    struct accel a = {.cached = true};
    struct str name = value_of(text, "name"), reason = value_of(text, "reason");
    if (boot_id.len == 0 || !str_eq(value_of(text, "boot_id"), boot_id) ||
        !str_is(value_of(text, "vmm_version"), version))
        return ERR_NOT_FOUND;
    if ((!str_is(name, "kvm") && !str_is(name, "tcg")) || reason.at == NULL ||
        reason.len >= sizeof a.reason ||
        str_parse_u64(value_of(text, "kvm_ns"), &a.kvm_ns) != ERR_OK ||
        str_parse_u64(value_of(text, "tcg_ns"), &a.tcg_ns) != ERR_OK)
        return ERR_NOT_FOUND; /* "" as well: that nothing ran is worth another try. */
    snprintf(a.name, sizeof a.name, STR_FMT, STR_ARG(name));
    snprintf(a.reason, sizeof a.reason, STR_FMT, STR_ARG(reason));
    snprintf(a.vmm_version, sizeof a.vmm_version, "%s", version);
    overheads(&a, str_is(name, "tcg"));
    *out = a;
    return ERR_OK;
}

static bool cache_read(const struct accel_options *o, const char *version, struct accel *out)
{
    struct buf text;
    buf_init(&text, CACHE_MAX);
    bool known = o->cache != NULL && fs_read(o->cache, &text, NULL) == ERR_OK &&
                 accel_cache_parse(buf_str(&text), o->boot_id, version, out) == ERR_OK;
    buf_free(&text);
    return known;
}

static void cache_write(const struct accel_options *o, const struct accel *a)
{
    struct buf text;
    if (o->cache == NULL || (a->kvm_ns == 0 && a->tcg_ns == 0))
        return;
    buf_init(&text, CACHE_MAX);
    accel_cache_print(&text, a, o->boot_id);
    (void)!fs_write(o->cache, buf_str(&text), 0600, NULL); /* Then it is measured again. */
    buf_free(&text);
}

/* ---- the measurement ---- */

static enum err_code version_read(const char *qemu, char out[64], struct err *e)
{
    const char *const argv[] = {qemu, "--version", NULL};
    struct proc_request request = {.argv = argv, .timeout = LIMIT_DEFAULT};
    struct buf text;
    int status;
    buf_init(&text, OUTPUT_MAX);
    enum err_code code = proc_run_wait(&request, &text, NULL, &status, e);
    if (code == ERR_OK && (status != 0 || accel_version_parse(buf_str(&text), out) != ERR_OK))
        code = err_set(e, ERR_INVALID, "%s does not tell its version", qemu);
    buf_free(&text);
    return code;
}

/* One life of QEMU, in ns; 0 and e: it did not come to its end. */
static uint64_t run_once(const struct accel_options *o, const char *qemu, const char *accelerator,
                         struct err *e)
{
    const char *const argv[] = {
        qemu,   "-accel",     accelerator,   "-machine",        "microvm", "-bios", "qboot.rom",
        "-m",   "32",         "-kernel",     o->guest,          "-serial", "stdio", "-display",
        "none", "-no-reboot", "-nodefaults", "-no-user-config", NULL};
    struct proc_request request = {.argv = argv,
                                   .timeout = o->limit.ns != 0 ? o->limit : LIMIT_DEFAULT};
    struct buf out, err;
    int status = 0;
    buf_init(&out, OUTPUT_MAX);
    buf_init(&err, OUTPUT_MAX);
    struct instant begun = clock_now();
    enum err_code code = proc_run_wait(&request, &out, &err, &status, e);
    struct span took = instant_sub(clock_now(), begun);
    if (code == ERR_OK && !str_starts(buf_str(&out), str_of(GUEST_SAYS))) {
        struct str rest = buf_str(&err), line = {0}, last = STR("the guest did not get to its end");
        while (str_split(&rest, '\n', &line))
            last = str_trim(line).len > 0 ? str_trim(line) : last;
        code = err_set(e, ERR_INVALID, STR_FMT, STR_ARG(last));
    }
    buf_free(&out);
    buf_free(&err);
    return code == ERR_OK ? (uint64_t)took.ns : 0;
}

/* The best of ACCEL_RUNS; no second one where the first is hopeless against rival. */
static uint64_t run_best(const struct accel_options *o, const char *qemu, const char *accelerator,
                         uint64_t rival_ns, struct err *e)
{
    uint64_t best = 0;
    for (int run = 0; run < ACCEL_RUNS; run++) {
        uint64_t ns = run_once(o, qemu, accelerator, e);
        if (ns == 0)
            return best;
        best = best == 0 ? ns : min_u64(best, ns);
        if (rival_ns != 0 && best > 4 * rival_ns)
            return best;
    }
    return best;
}

/* Machines run under users of their own (runtime_qemu.h): may they open it? */
static const char *kvm_closed(void)
{
    struct stat st;
    if (stat("/dev/kvm", &st) != 0)
        return "there is no /dev/kvm";
    bool group = (st.st_mode & 0060) == 0060 && st.st_gid != 0;
    return group || (st.st_mode & 0006) == 0006
               ? NULL
               : "/dev/kvm is open to root alone; give it to a group (udev's is kvm)";
}

/* tcg needs nothing of the machine but time: that it had none says that the machine is busy. */
static void take_unmeasured(struct accel *a, const char *kvm_error)
{
    snprintf(a->name, sizeof a->name, "tcg");
    snprintf(a->reason, sizeof a->reason,
             "not measured: the machine is too busy to run a guest in time; kvm: %.70s",
             kvm_error != NULL ? kvm_error : "");
    overheads(a, true);
}

static void measure(const struct accel_options *o, const char *qemu, struct accel *a)
{
    struct err tcg, kvm;
    const char *kvm_error = kvm_closed();
    a->tcg_ns = run_best(o, qemu, "tcg", 0, &tcg);
    if (kvm_error == NULL || fs_exists("/dev/kvm"))
        a->kvm_ns = run_best(o, qemu, "kvm", a->tcg_ns, &kvm);
    if (a->kvm_ns == 0 && kvm_error == NULL)
        kvm_error = kvm.text;
    bool slower = a->kvm_ns != 0 && a->tcg_ns != 0 && a->kvm_ns >= a->tcg_ns;
    accel_choose(a, slower ? NULL : kvm_error); /* Slow says more than closed. */
    if (a->name[0] == '\0' && tcg.code == ERR_UNAVAILABLE)
        take_unmeasured(a, kvm_error);
    else if (a->name[0] == '\0')
        snprintf(a->reason, sizeof a->reason, "tcg: %.70s; kvm: %.70s", tcg.text,
                 kvm_error != NULL ? kvm_error : "");
}

void accel_measure(const struct accel_options *o, struct accel *out)
{
    const char *qemu = o->qemu != NULL ? o->qemu : ACCEL_QEMU;
    struct err e;
    *out = (struct accel){0};
    if (version_read(qemu, out->vmm_version, &e) != ERR_OK) {
        snprintf(out->reason, sizeof out->reason, "%.150s", e.text);
    } else if (!fs_exists(o->guest)) {
        snprintf(out->reason, sizeof out->reason, "no guest to measure with: %.120s", o->guest);
    } else if (!cache_read(o, out->vmm_version, out)) {
        measure(o, qemu, out);
        cache_write(o, out);
    }
}
