/* SPDX-License-Identifier: Apache-2.0 */
#include "io/process.h"

#include "io/clock.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { NS = 1000000000 };

static int64_t clock_ns(clockid_t clock)
{
    struct timespec at;
    return clock_gettime(clock, &at) == 0 ? (int64_t)at.tv_sec * NS + at.tv_nsec : 0;
}

/* /proc/self/stat behind the name, which may hold anything: the 20th field is threads, the 22nd the start in ticks since
 * the machine's, then bytes of address space and pages in memory. */
static void read_stat(struct process_usage *out)
{
    char text[1024];
    unsigned long long threads, ticks, size, pages;
    FILE *f = fopen("/proc/self/stat", "re");
    const char *at = f != NULL && fgets(text, sizeof text, f) != NULL ? strrchr(text, ')') : NULL;

    if (f != NULL)
        fclose(f);
    if (at == NULL || sscanf(at + 1,
                             " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
                             " %llu %*d %llu %llu %llu",
                             &threads, &ticks, &size, &pages) != 4)
        return;
    int64_t since_boot = (int64_t)(ticks * NS / (unsigned long long)sysconf(_SC_CLK_TCK));
    out->threads = threads;
    out->virtual_bytes = size;
    out->resident_bytes = pages * (unsigned long long)sysconf(_SC_PAGESIZE);
    out->started.ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) + since_boot;
}

static uint64_t count_fds(void)
{
    uint64_t count = 0;
    DIR *d = opendir("/proc/self/fd");
    if (d == NULL)
        return 0;
    while (readdir(d) != NULL)
        count++;
    closedir(d);
    return count - 3; /* Itself, "." and "..". */
}

void process_usage(struct process_usage *out)
{
    struct rlimit files;

    *out = (struct process_usage){.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
    read_stat(out);
    out->fds = count_fds();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        out->fds_max = files.rlim_cur;
}
