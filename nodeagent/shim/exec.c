/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One command in a container that runs. We are the subreaper of all it starts, so that killing our children
 * until there are none ends the command and whatever it left behind in the background.
 */
#include "nodeagent/shim/shim.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { FIXED_ARGS = 4, COMMAND_MAX = 1024, STATUS_TIMED_OUT = 124, STATUS_FAILED = 125 };

static void become(const struct shim_conf *conf, int count, char **command)
{
    char root[SHIM_PATH_MAX];
    const char *argv[COMMAND_MAX + 8];
    int n = 0;

    snprintf(root, sizeof root, "%s/state", conf->directory);
    argv[n++] = conf->runtime;
    argv[n++] = "--root";
    argv[n++] = root;
    if (shim_is_crun(conf->runtime))
        argv[n++] = "--cgroup-manager=disabled";
    argv[n++] = "exec";
    argv[n++] = conf->id;
    for (int i = 0; i < count; i++)
        argv[n++] = command[i];
    argv[n] = NULL;
    shim_enter(conf);
    execve(conf->runtime, (char *const *)(uintptr_t)argv, environ);
    fprintf(stderr, "%s: %s\n", conf->runtime, strerror(errno));
    _exit(STATUS_FAILED);
}

/* Children end, their children become ours: until nobody is left. */
static void kill_all(void)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (int i = 0; i < 1000; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
        if (fd >= 0)
            close(fd);
        text[len > 0 ? len : 0] = '\0';
        for (char *at = text, *end; *at != '\0'; at = end) {
            long pid = strtol(at, &end, 10);
            if (end == at ||
                *end == '\0') /* Cut off in the middle of a number, which is another's. */
                break;
            if (pid > 1)
                kill((pid_t)pid, SIGKILL);
        }
        if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD)
            return;
    }
}

static struct timespec left(const struct timespec *end)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long ns = (end->tv_sec - now.tv_sec) * 1000000000ll + end->tv_nsec - now.tv_nsec;
    ns = ns < 0 ? 0 : ns;
    return (struct timespec){ns / 1000000000, ns % 1000000000};
}

/* The command's status, as waitpid() gives it; -1: its time is over. */
static int wait_for(pid_t child, const sigset_t *children, long ms)
{
    struct timespec end;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += ms / 1000;
    end.tv_nsec += ms % 1000 * 1000000;
    for (;;) {
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            if (pid == child)
                return status;
        struct timespec rest = left(&end);
        if (sigtimedwait(children, NULL, &rest) < 0 && errno == EAGAIN)
            return -1;
    }
}

int shim_exec(int argc, char **argv)
{
    static struct shim_conf conf;
    struct err e = {0};
    sigset_t children;
    if (argc <= FIXED_ARGS || argc - FIXED_ARGS > COMMAND_MAX) {
        fprintf(stderr, "baton-shim --exec DIRECTORY MS COMMAND...\n");
        return STATUS_FAILED;
    }
    if (shim_conf_read(argv[2], &conf, &e) != ERR_OK) {
        fprintf(stderr, "%s\n", e.text);
        return STATUS_FAILED;
    }
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t pid = fork();
    if (pid < 0) {
        fprintf(stderr, "fork: %s\n", strerror(errno));
        return STATUS_FAILED;
    }
    if (pid == 0) {
        sigprocmask(SIG_UNBLOCK, &children, NULL);
        become(&conf, argc - FIXED_ARGS, argv + FIXED_ARGS);
    }
    int status = wait_for(pid, &children, strtol(argv[3], NULL, 10));
    if (status < 0)
        kill_all();
    if (status < 0)
        fprintf(stderr, "\nbaton-shim: timed out\n");
    return status < 0            ? STATUS_TIMED_OUT
           : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                 : WEXITSTATUS(status);
}
