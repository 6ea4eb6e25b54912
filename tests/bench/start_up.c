/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long batond takes until /readyz says yes, with so many pods stored, and what each of them costs it in memory.
 *
 *   start-up-load BATOND DIR PORT PODS...
 *
 * PODS rising, the first of them 0. Each store is filled anew, straight through store.h; each row is the median of some
 * starts. Prints "METRIC[pods=N] VALUE UNIT".
 */
#include "tests/bench/load_batond.h"
#include "tests/bench/store_fill.h"

#include "io/fs.h"

#include <signal.h>
#include <stdio.h>

enum { STARTS = 5, STARTS_LARGE = 2, LARGE = 200000 };

static uint64_t file_bytes(const char *dir)
{
    char path[FS_PATH_MAX];
    uint64_t bytes = 0;
    FILE *f = fs_join(path, dir, "control/store.db") ? fopen(path, "r") : NULL;
    if (f != NULL && fseek(f, 0, SEEK_END) == 0)
        bytes = (uint64_t)ftell(f);
    if (f != NULL)
        fclose(f);
    return bytes;
}

static double row(const char *program, const char *dir, uint16_t port, uint32_t pods,
                  double empty_mib)
{
    struct load_batond b = {
        .program = program, .state = dir, .port = port, .more = {"--pod-network", "10.0.0.0/8"}};
    struct load_samples ready = {0};
    struct load_target t = {0};
    double mib = 0, cpu_ms = 0;
    int64_t ns;

    load_batond_start(&b, &t, &ns); /* The first makes the directory. */
    load_batond_stop(&b, SIGTERM);
    if (pods > 0)
        store_fill(dir, pods);
    for (uint32_t i = 0; i < (pods < LARGE ? STARTS : STARTS_LARGE); i++) {
        load_batond_start(&b, &t, &ns);
        load_sample(&ready, (uint64_t)ns);
        cpu_ms = (double)load_cpu_all_ns(b.pid) / 1e6;
        load_wait(&t, 1000);
        mib = load_pss_mib(b.pid);
        load_batond_stop(&b, SIGTERM);
    }
    printf("ready[pods=%u] %.0f ms\n", pods, load_percentile(&ready, 0.5));
    printf("cpu[pods=%u] %.0f ms\n", pods, cpu_ms);
    printf("pss[pods=%u] %.1f MiB\n", pods, mib);
    printf("store[pods=%u] %.1f MiB\n", pods, (double)file_bytes(dir) / (1 << 20));
    if (pods > 0)
        printf("memory[pods=%u] %.0f bytes/pod\n", pods, (mib - empty_mib) * (1 << 20) / pods);
    return mib;
}

int main(int argc, char **argv)
{
    double empty_mib = 0;
    char dir[FS_PATH_MAX];
    struct err e;

    if (argc < 5)
        load_die("usage", "start-up-load BATOND DIR PORT PODS...");
    setlinebuf(stdout);
    for (int i = 4; i < argc; i++) {
        if (!fs_join(dir, argv[2], argv[i]))
            load_die(argv[2], "is too long");
        load_must(fs_mkdir(dir, 0700, &e), "state", &e);
        double mib =
            row(argv[1], dir, (uint16_t)load_number(argv[3]), load_number(argv[i]), empty_mib);
        empty_mib = i == 4 ? mib : empty_mib;
        load_must(fs_remove_tree(dir, &e), "state", &e);
    }
    return 0;
}
