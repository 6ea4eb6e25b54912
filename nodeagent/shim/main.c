/* SPDX-License-Identifier: Apache-2.0 */
/*
 * baton-shim DIRECTORY: see shim.h. Two processes: the one the agent started waits until the
 * container runs, prints what is in DIRECTORY/shim (or why not) and ends; the other one stays.
 */
#include "nodeagent/shim/shim.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READ_MAX = 64 << 10, DRAIN_MS = 1000, DRAIN_ALL_MS = 3000 };

static struct wall wall_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (struct wall){ts.tv_sec * 1000000000ll + ts.tv_nsec};
}

static int64_t monotonic_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

struct shim {
    struct shim_conf conf;
    struct shim_child child;
    struct shim_log log;
    int signals, exit_fd; /* exit_fd: its file's room; -1: none. */
    bool is_gone;
    int status;      /* As waitpid() gave it, when is_gone. */
    int64_t gone_ms; /* When that was. */
};

/* False: that stream has ended. */
static bool pump(struct shim *s, int stream)
{
    static char bytes[READ_MAX];
    ssize_t len = read(s->child.out[stream], bytes, sizeof bytes);
    if (len < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (len <= 0) /* EIO is how a terminal says that its last user is gone. */
        return false;
    shim_log_add(&s->log, stream, str_from(bytes, (size_t)len), wall_now());
    return true;
}

/* Whatever was reparented to us is reaped; one of them is the container's first process. */
static void reap(struct shim *s)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;
    (void)!read(s->signals, &info, sizeof info);
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == s->child.pid) {
            s->is_gone = true;
            s->status = status;
            s->gone_ms = monotonic_ms();
        }
}

/* Until the container is gone and its last words are read. With its first process its pid namespace
 * ends, so the pipes close at once; DRAIN_MS bounds it where a process outside holds one (another container
 * of the pod may have been handed it), DRAIN_ALL_MS where that one goes on writing. */
static void stand_by(struct shim *s)
{
    for (;;) {
        struct pollfd p[3] = {{.fd = s->child.out[0], .events = POLLIN},
                              {.fd = s->child.out[1], .events = POLLIN},
                              {.fd = s->is_gone ? -1 : s->signals, .events = POLLIN}};
        if (s->is_gone &&
            ((p[0].fd < 0 && p[1].fd < 0) || monotonic_ms() - s->gone_ms >= DRAIN_ALL_MS))
            return;
        int ready = poll(p, 3, s->is_gone ? DRAIN_MS : -1);
        if (ready == 0)
            return;
        for (int i = 0; i < 2 && ready > 0; i++)
            if (p[i].revents != 0 && !pump(s, i)) {
                close(s->child.out[i]);
                s->child.out[i] = -1;
            }
        if (p[2].revents != 0)
            reap(s);
    }
}

static void write_exit(struct shim *s)
{
    char text[96];
    int signo = WIFSIGNALED(s->status) ? WTERMSIG(s->status) : 0;
    int code = signo != 0 ? 128 + signo : WEXITSTATUS(s->status);
    int len = snprintf(text, sizeof text, "%d %d %lld\n", code, signo, (long long)wall_now().ns);
    struct str line = str_from(text, (size_t)len);
    if (s->exit_fd >= 0 && shim_write_reserved(s->exit_fd, s->conf.directory, "exit", line))
        return;
    /* Else the agent finds no exit file and says so; there is nobody else to tell. */
    (void)!shim_write(s->conf.directory, "exit", line, NULL);
}

static void tell(int fd, char status, const char *text)
{
    (void)!write(fd, &status, 1);
    (void)!write(fd, text, strlen(text));
    close(fd);
}

static void catch_children(struct shim *s)
{
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void protect_from_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, "-998", 4); /* Needs CAP_SYS_RESOURCE; without it we stay as we are. */
    close(fd);
}

/* A lock names its holder (F_GETLK): so an agent that comes back finds a shim that has not written
 * DIRECTORY/shim yet. Never closed: that would let go of it. */
static enum err_code take_lock(const struct shim *s, struct err *e)
{
    char path[SHIM_PATH_MAX];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    snprintf(path, sizeof path, "%s/lock", s->conf.directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fcntl(fd, F_SETLK, &lock) != 0)
        return err_set(e, ERR_CONFLICT, "%s: another shim stands here", path);
    return ERR_OK;
}

static enum err_code start(struct shim *s, char out_text[160], struct err *e)
{
    enum err_code code = take_lock(s, e);
    s->exit_fd = code == ERR_OK ? shim_reserve(s->conf.directory, "exit") : -1;
    if (code == ERR_OK)
        code = shim_log_open(&s->log, &s->conf, e);
    if (code == ERR_OK)
        code = shim_launch(&s->conf, &s->child, e);
    if (code != ERR_OK)
        return code;
    snprintf(out_text, 160, "%d %llu %d %llu %lld\n", (int)s->child.pid,
             (unsigned long long)shim_start_time(s->child.pid), (int)getpid(),
             (unsigned long long)shim_start_time(getpid()), (long long)wall_now().ns);
    return shim_write(s->conf.directory, "shim", str_of(out_text), e);
}

static int stay(struct shim *s, int report)
{
    struct err e = {0};
    char text[160];

    setsid();
    protect_from_oom();
    catch_children(s);
    if (start(s, text, &e) != ERR_OK) {
        tell(report, '1', e.text);
        return 1;
    }
    tell(report, '0', text);
    stand_by(s);
    shim_log_close(&s->log, wall_now());
    write_exit(s);
    return 0;
}

/* The agent's child: hands on what the staying process tells. */
static int wait_for_report(int report)
{
    char text[512];
    size_t len = 0;
    ssize_t got;
    while (len < sizeof text && (got = read(report, text + len, sizeof text - len)) > 0)
        len += (size_t)got;
    if (len > 1)
        (void)!write(STDOUT_FILENO, text + 1, len - 1);
    return len > 0 && text[0] == '0' ? 0 : 1;
}

static void let_go_of_stdio(void)
{
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
}

int main(int argc, char **argv)
{
    static struct shim shim;
    struct err e = {0};
    int report[2];

    if (argc > 1 && strcmp(argv[1], "--exec") == 0)
        return shim_exec(argc, argv);
    if (argc != 2)
        return 2;
    if (shim_conf_read(argv[1], &shim.conf, &e) != ERR_OK || pipe2(report, O_CLOEXEC) != 0) {
        (void)!write(STDOUT_FILENO, e.text, strlen(e.text));
        return 1;
    }
    pid_t pid = fork();
    if (pid < 0)
        return 1;
    if (pid > 0) {
        close(report[1]);
        return wait_for_report(report[0]);
    }
    close(report[0]);
    let_go_of_stdio();
    return stay(&shim, report[1]);
}
