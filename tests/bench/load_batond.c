/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/load_batond.h"

#include "io/clock.h"
#include "io/fs.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY_MAX_S = 120, CHILD_FAILED = 127, POLL_US = 10000 };

static void become_batond(const struct load_batond *b)
{
    const char *argv[LOAD_BATOND_ARGS_MAX + 12] = {
        b->program, "--state", b->state, "--listen", "127.0.0.1", "--port", NULL, "--log", "warn"};
    char port[16];
    uint32_t count = 9;

    snprintf(port, sizeof port, "%u", b->port);
    argv[6] = port;
    for (uint32_t i = 0; b->more[i] != NULL; i++)
        argv[count++] = b->more[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(b->program, (char **)(uintptr_t)argv);
    _exit(CHILD_FAILED);
}

/* The first start makes the CA and the administrator's certificate; until they are there nobody can ask. */
static bool has_keys(const struct load_batond *b)
{
    char path[FS_PATH_MAX];
    return fs_join(path, b->state, "control/pki/admin.crt") && fs_exists(path) &&
           fs_join(path, b->state, "control/pki/server.crt") && fs_exists(path);
}

static void give_up_when_dead(const struct load_batond *b)
{
    int status = 0;
    if (waitpid((pid_t)b->pid, &status, WNOHANG) == (pid_t)b->pid)
        load_die(b->program, "ended by itself");
    if (instant_sub(clock_now(), b->started).ns > SPAN_S(READY_MAX_S).ns)
        load_die(b->program, "did not become ready");
}

static void open_target(const struct load_batond *b, struct load_target *t)
{
    char port[16], pid[16];

    while (!has_keys(b)) {
        give_up_when_dead(b);
        usleep(1000);
    }
    usleep(5000); /* The last of them is being written. */
    snprintf(port, sizeof port, "%u", b->port);
    snprintf(pid, sizeof pid, "%u", b->pid);
    load_open(t, b->state, port, pid);
}

void load_batond_start(struct load_batond *b, struct load_target *t, int64_t *out_ns)
{
    struct buf text;

    b->started = clock_now();
    pid_t pid = fork();
    if (pid == 0)
        become_batond(b);
    if (pid < 0)
        load_die("fork", "failed");
    b->pid = (uint32_t)pid;
    if (t->loop == NULL)
        open_target(b, t);
    t->pid = b->pid;
    buf_init(&text, 1 << 20);
    while (load_get(t, "/readyz", &text) != 200) {
        give_up_when_dead(b);
        usleep(POLL_US); /* A handshake takes its time from what is measured. */
    }
    *out_ns = instant_sub(clock_now(), b->started).ns;
    buf_free(&text);
}

void load_batond_stop(struct load_batond *b, int signo)
{
    int status = 0;
    kill((pid_t)b->pid, signo);
    waitpid((pid_t)b->pid, &status, 0);
}
