/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h -- what the benchmarks of a live batond share: who is asked, what it costs him, samples, a writer.
 *
 * WHAT   One thread that plays every client of a batond: HTTP/2 over TLS, by the program's own client.
 * WHY    The client's work must not count as the server's: the server's processor time is read from
 *        /proc/PID/task, which does not care how busy the machine is.
 * FAILS  Prints why and exits: a benchmark has nobody to tell.
 */
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include "io/http_client.h"

struct load_target {
    uint16_t port;
    uint32_t pid;
    struct tls_config *admin;
    struct buf server_cert, server_key, ca; /* For the bare thing beside it. */
    struct loop *loop;
};

/* dir: the batond's state directory. Makes the target's loop, and ignores SIGPIPE. */
void load_open(struct load_target *t, const char *dir, const char *port, const char *pid);

_Noreturn void load_die(const char *what, const char *why);
void load_must(enum err_code code, const char *what, const struct err *e);
uint32_t load_number(const char *text);

/* A file of the kernel or of batond's state directory; out is initialised here, without a NUL at its end. */
void load_read(const char *dir, const char *name, struct buf *out);

/* Processor time of batond's threads so far, by what they are for. */
enum load_part { LOAD_CORE, LOAD_IO, LOAD_STORE, LOAD_PART__COUNT };
extern const char *const load_part_names[LOAD_PART__COUNT];
void load_cpu(uint32_t pid, uint64_t out_ns[LOAD_PART__COUNT]);
uint64_t load_cpu_all_ns(uint32_t pid);
uint64_t load_cpu_ns(const struct load_target *t,
                     bool front); /* front: connection threads alone. */

void load_peak_reset(const struct load_target *t);
double load_mib(const struct load_target *t, const char *name); /* "VmHWM", "VmRSS" */
double load_pss_mib(uint32_t pid); /* Its proportional share of every page: smaps_rollup. */

/* GET path as its administrator, over a connection of its own; waits. out is appended to. The status; 0: nobody is there. */
uint32_t load_get(struct load_target *t, const char *path, struct buf *out);
double load_metric(struct load_target *t,
                   const char *series); /* As /metrics prints it; not there: 0. */

struct load_samples {
    uint64_t *at;
    uint32_t count, size;
};

void load_sample(struct load_samples *s, uint64_t ns);
double load_percentile(struct load_samples *s, double share); /* In ms; sorts. 0: none. */

/* Waits that many milliseconds, turning the loop. */
void load_wait(struct load_target *t, int64_t ms);

/* ---- somebody who writes ---- */

/* One connection. rate 0: one write after the other; otherwise that many a second, at their times. */
struct load_writer {
    struct load_target *target;
    struct loop_client client;
    struct http_client *http;
    uint32_t rate, objects; /* objects: pods, patched in turn; 0: ConfigMaps are made. */
    uint64_t number, answered, refused;
    struct instant next;
    struct load_samples took;
    uint64_t began[1024]; /* By op. */
    bool stop;
};

/* Creates the objects ("load-0" ...), if any; then writes until load_writer_stop(). */
void load_writer_start(struct load_writer *w, struct load_target *t, uint32_t rate,
                       uint32_t objects);
void load_writer_stop(struct load_writer *w); /* Waits for the answers that are due. */

#endif /* TESTS_BENCH_LOAD_H */
