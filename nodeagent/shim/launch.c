/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One fork: the child enters the container's cgroups, hides what must be hidden, and becomes the
 * runtime's command. What that command starts is in the groups from its first instruction, and is
 * reparented to us, the subreaper, when the command ends.
 */
#include "nodeagent/shim/shim.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { REASON_MAX = 4096, CHILD_FAILED = 125 };

/* The descriptors the child takes as 0, 1 and 2. */
struct stdio {
    int child[3];
};

/* A sentence into the runtime's own log, where the parent looks for the reason. */
static void child_says(const struct shim_conf *conf, const char *text)
{
    (void)!write(2, text, strlen(text));
    (void)!shim_write(conf->directory, "runtime.log", str_of(text), NULL);
    _exit(CHILD_FAILED);
}

static void child_fails(const struct shim_conf *conf, const char *what)
{
    char text[512];
    snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
    child_says(conf, text);
}

static void enter_cgroups(const struct shim_conf *conf)
{
    for (uint32_t i = 0; i < conf->cgroups_count; i++) {
        int fd = open(conf->cgroups[i], O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) != 1)
            child_fails(conf, conf->cgroups[i]);
        close(fd);
    }
}

/* The runtime's command gets a mount namespace where some cgroup hierarchies are not (which, and why:
 * print_hides() in oci_make.c) and parts of volumes are, which go with it; the container's own mounts were made outside, in the host's. */
static void hide_mounts(const struct shim_conf *conf)
{
    if (conf->hides_count == 0 && conf->parts_count == 0)
        return;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
        child_fails(conf, "unshare mount namespace");
    for (uint32_t i = 0; i < conf->hides_count; i++)
        if (umount2(conf->hides[i], MNT_DETACH) != 0)
            child_fails(conf, conf->hides[i]);
}

void shim_enter(const struct shim_conf *conf)
{
    enter_cgroups(conf);
    hide_mounts(conf);
}

bool shim_is_crun(const char *runtime)
{
    const char *slash = strrchr(runtime, '/');
    return strncmp(slash == NULL ? runtime : slash + 1, "crun", 4) == 0;
}

static void exec_runtime(const struct shim_conf *conf)
{
    char root[SHIM_PATH_MAX], log[SHIM_PATH_MAX], pid[SHIM_PATH_MAX], console[SHIM_PATH_MAX];
    const char *argv[20];
    uint32_t n = 0;

    snprintf(root, sizeof root, "%s/state", conf->directory);
    snprintf(log, sizeof log, "%s/runtime.log", conf->directory);
    snprintf(pid, sizeof pid, "%s/pid", conf->directory);
    snprintf(console, sizeof console, "%s/console", conf->directory);
    argv[n++] = conf->runtime;
    argv[n++] = "--root";
    argv[n++] = root;
    argv[n++] = "--log";
    argv[n++] = log;
    if (shim_is_crun(
            conf->runtime)) /* The group exists and we are in it; runc has no such switch. */
        argv[n++] = "--cgroup-manager=disabled";
    argv[n++] = "run";
    argv[n++] = "--detach";
    argv[n++] = "--bundle";
    argv[n++] = conf->directory;
    argv[n++] = "--pid-file";
    argv[n++] = pid;
    if (conf->tty) {
        argv[n++] = "--console-socket";
        argv[n++] = console;
    }
    argv[n++] = conf->id;
    argv[n] = NULL;
    execve(conf->runtime, (char *const *)(uintptr_t)argv, environ);
    child_fails(conf, conf->runtime);
}

static void run_child(const struct shim_conf *conf, const struct stdio *io)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    for (int i = 0; i < 3; i++)
        if (dup2(io->child[i], i) < 0)
            child_fails(conf, "dup2");
    shim_enter(conf);
    struct err e = {0};
    if (shim_mount_parts(conf, &e) != ERR_OK)
        child_says(conf, e.text);
    exec_runtime(conf);
}

/* The last line of the runtime's own log. */
static enum err_code why_not(const struct shim_conf *conf, int status, struct err *e)
{
    char path[SHIM_PATH_MAX], text[REASON_MAX];
    snprintf(path, sizeof path, "%s/runtime.log", conf->directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text);
    if (fd >= 0)
        close(fd);

    struct str rest = str_trim(str_from(text, len < 0 ? 0 : (size_t)len)), line, last = {0};
    while (rest.len > 0 && str_split(&rest, '\n', &line))
        last = line;
    if (last.len > 0)
        return err_set(e, ERR_UNAVAILABLE, STR_FMT, STR_ARG(last));
    if (WIFSIGNALED(status))
        return err_set(e, ERR_UNAVAILABLE, "%s was killed by signal %d", conf->runtime,
                       WTERMSIG(status));
    return err_set(e, ERR_UNAVAILABLE, "%s ended with status %d", conf->runtime,
                   WEXITSTATUS(status));
}

static enum err_code read_pid(const struct shim_conf *conf, pid_t *out, struct err *e)
{
    char path[SHIM_PATH_MAX], text[32];
    uint64_t pid;
    snprintf(path, sizeof path, "%s/pid", conf->directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0)
        close(fd);
    if (len <= 0 || str_parse_u64(str_trim(str_from(text, (size_t)len)), &pid) != ERR_OK)
        return err_set(e, ERR_CORRUPT, "%s holds no pid", path);
    *out = (pid_t)pid;
    return ERR_OK;
}

/* With a tty the runtime connects here and sends the master (SCM_RIGHTS). */
static int console_listen(const struct shim_conf *conf)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char path[SHIM_PATH_MAX], link[64];

    snprintf(path, sizeof path, "%s/console", conf->directory);
    unlink(path);
    /* A long directory does not fit into sun_path; the same directory by descriptor does. */
    int dir = open(conf->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(link, sizeof link, "/proc/self/fd/%d/console", dir);
    memcpy(a.sun_path, link, strlen(link) + 1);
    bool listens = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0;
    if (!listens && fd >= 0)
        close(fd);
    if (dir >= 0)
        close(dir);
    return listens ? fd : -1;
}

/* The runtime's command has ended: what it did not connect or send by then does not come. */
static int console_receive(int listener)
{
    char byte[256], control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {byte, sizeof byte};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    int master = -1, peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0)
        return -1;
    bool got = recvmsg(peer, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) >= 0;
    struct cmsghdr *c = got ? CMSG_FIRSTHDR(&m) : NULL;
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(&master, CMSG_DATA(c), sizeof master);
    close(peer);
    return master;
}

/* out: what we keep. io: what the child gets. */
static enum err_code make_stdio(const struct shim_conf *conf, struct shim_child *out,
                                struct stdio *io, struct err *e)
{
    int in[2] = {-1, -1}, so[2], se[2];
    if (pipe2(so, O_CLOEXEC) != 0 || pipe2(se, O_CLOEXEC) != 0)
        return err_set(e, ERR_UNAVAILABLE, "pipe: %m");
    if (conf->has_stdin && pipe2(in, O_CLOEXEC) != 0)
        return err_set(e, ERR_UNAVAILABLE, "pipe: %m");
    int null = conf->has_stdin ? in[0] : open("/dev/null", O_RDONLY | O_CLOEXEC);
    *io = (struct stdio){{null, so[1], se[1]}};
    *out = (struct shim_child){.pid = -1, .out = {so[0], se[0]}, .in = in[1]};
    return ERR_OK;
}

/* The terminal takes the pipes' place. */
static enum err_code take_tty(int listener, struct shim_child *out, struct err *e)
{
    int master = console_receive(listener);
    if (master < 0)
        return err_set(e, ERR_UNAVAILABLE, "the runtime gave no terminal");
    close(out->out[0]);
    close(out->out[1]);
    out->out[0] = master;
    out->out[1] = -1;
    return ERR_OK;
}

enum err_code shim_launch(const struct shim_conf *conf, struct shim_child *out, struct err *e)
{
    struct shim_child child;
    struct stdio io;
    int listener = conf->tty ? console_listen(conf) : -1, status = 0;

    if (conf->tty && listener < 0)
        return err_set(e, ERR_UNAVAILABLE, "listen for the terminal: %m");
    enum err_code code = make_stdio(conf, &child, &io, e);
    if (code != ERR_OK)
        return code;
    pid_t pid = fork();
    if (pid < 0)
        return err_set(e, ERR_UNAVAILABLE, "fork: %m");
    if (pid == 0)
        run_child(conf, &io);
    for (int i = 0; i < 3; i++)
        close(io.child[i]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return why_not(conf, status, e);
    /* The runtime connected and sent before it ended: both wait in the socket's queue. */
    if (conf->tty)
        code = take_tty(listener, &child, e);
    if (listener >= 0)
        close(listener);
    if (code == ERR_OK)
        code = read_pid(conf, &child.pid, e);
    if (code == ERR_OK)
        *out = child;
    return code;
}
