/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spare.c -- between QEMU's loader and its main().
 *
 * __libc_start_main() is what a program's entry calls with main(); ours comes first, because it is
 * preloaded. libc is whole by then, the constructors of all libraries have run, those of QEMU itself have
 * not. One thread, nothing open but what is named here; where that is not so, it ends and is not used.
 */
#include "nodeagent/spare/spare.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where what was received waits until the machine's own numbers are free. */
enum { PASSED_MAX = 1 + SPARE_GROUPS_MAX + SPARE_FDS_MAX, PARKED_FD = 256, ENV_MAX = 64 };

enum { STAT_FIRST = 26, STAT_COUNT = 52 - STAT_FIRST };

typedef int main_fn(int, char **, char **);
typedef int start_fn(main_fn *, int, char **, void (*)(void), void (*)(void), void (*)(void),
                     void *);

/* One mapping, kept: main()'s arguments live in it. */
struct order {
    struct spare_word word;
    char text[SPARE_TEXT_MAX]; /* Right behind the word: they are read in one piece. */
    int fds[PASSED_MAX];
    uint32_t fds_count;
    char *argv[SPARE_ARGS_MAX + 1 + ENV_MAX + 1]; /* Arguments, NULL, environment, NULL. */
};

_Static_assert(offsetof(struct order, text) == sizeof(struct spare_word), "one piece");

static void give_up(const char *what)
{
    dprintf(STDERR_FILENO, "spare: %s: %s\n", what, strerror(errno));
    _exit(1);
}

/* Where what it receives is parked must be numbers that it may have. */
static bool may_park(void)
{
    struct rlimit files;
    return getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur >= PARKED_FD + PASSED_MAX;
}

/* A second thread would be lost, and an open file would be in the way of the machine's. */
static bool is_alone(void)
{
    struct stat st;
    if (stat("/proc/self/task", &st) != 0 || st.st_nlink != 3)
        return false;
    for (int fd = SPARE_SOCKET + 1; fd < PARKED_FD + PASSED_MAX; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return false;
    return true;
}

/* ---- the message ---- */

static void take_fds(struct order *o, struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        o->fds_count = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(o->fds, CMSG_DATA(c), o->fds_count * sizeof(int));
    }
}

static bool is_whole(const struct order *o, size_t got)
{
    const struct spare_word *w = &o->word;
    return got > sizeof *w && w->version == SPARE_VERSION && w->text_len == got - sizeof *w &&
           o->text[w->text_len - 1] == '\0' && w->groups_count <= SPARE_GROUPS_MAX &&
           w->fds_count <= SPARE_FDS_MAX && w->args_count > 0 && w->args_count <= SPARE_ARGS_MAX &&
           o->fds_count == 1 + w->groups_count + w->fds_count;
}

static void hear(struct order *o)
{
    union {
        struct cmsghdr align;
        char at[CMSG_SPACE(PASSED_MAX * sizeof(int))];
    } control;
    struct iovec body = {o, sizeof o->word + sizeof o->text};
    struct msghdr m = {.msg_iov = &body,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};
    ssize_t got;
    while ((got = recvmsg(SPARE_SOCKET, &m, 0)) < 0 && errno == EINTR)
        ;
    if (got <= 0)
        _exit(0); /* Its agent is gone. */
    take_fds(o, &m);
    errno = EBADMSG;
    if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || !is_whole(o, (size_t)got))
        give_up("what the agent said");
}

/* ---- what it says, done ---- */

/* They lie where the machine's own numbers may be, and the machine's come first in nobody's order. */
static void park(struct order *o)
{
    for (uint32_t i = 0; i < o->fds_count; i++) {
        int parked = fcntl(o->fds[i], F_DUPFD_CLOEXEC, PARKED_FD);
        if (parked < 0)
            give_up("park a descriptor");
        close(o->fds[i]);
        o->fds[i] = parked;
    }
    close(SPARE_SOCKET);
}

static void inherit(const struct order *o)
{
    const int *fds = o->fds + 1 + o->word.groups_count;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        give_up("/dev/null");
    close(null);
    for (uint32_t i = 0; i < o->word.fds_count; i++) {
        if (dup2(fds[i], o->word.fds[i]) < 0)
            give_up("inherit a descriptor");
        close(fds[i]);
    }
}

static void enter(const struct order *o)
{
    for (uint32_t i = 1; i <= o->word.groups_count; i++) {
        if (write(o->fds[i], "0\n", 2) != 2)
            give_up("enter its cgroup");
        close(o->fds[i]);
    }
    if (fchdir(o->fds[0]) != 0)
        give_up("its working directory");
    close(o->fds[0]);
}

/* The numbers of /proc/self/stat from field 26 on (proc(5)): where code, stack, data lie. */
static bool read_layout(unsigned long long out[STAT_COUNT])
{
    char text[2048];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    close(fd);
    text[got < 0 ? 0 : got] = '\0';
    char *at = strrchr(text, ')'); /* The end of field 2, which may hold blanks. */
    for (int field = 2; at != NULL && field < STAT_FIRST; field++)
        at = strchr(at + 1, ' ');
    for (int i = 0; at != NULL && i < STAT_COUNT; i++)
        out[i] = strtoull(at, &at, 10);
    return at != NULL;
}

/* For ps and whoever reads /proc/PID/cmdline; a machine runs as well without. A map of all of it, because
 * that needs no capability: PR_SET_MM_ARG_START would. */
static void show_arguments(const struct order *o)
{
    unsigned long long at[STAT_COUNT];
    if (!read_layout(at))
        return;
    struct prctl_mm_map map = {.start_code = at[0],
                               .end_code = at[1],
                               .start_stack = at[2],
                               .start_data = at[45 - STAT_FIRST],
                               .end_data = at[46 - STAT_FIRST],
                               .start_brk = at[47 - STAT_FIRST],
                               .brk = (uintptr_t)sbrk(0),
                               .arg_start = (uintptr_t)o->text,
                               .arg_end = (uintptr_t)o->text + o->word.text_len,
                               .env_start = at[50 - STAT_FIRST],
                               .env_end = at[51 - STAT_FIRST],
                               .exe_fd = UINT32_MAX};
    (void)prctl(PR_SET_MM, PR_SET_MM_MAP, (unsigned long)&map, sizeof map, 0);
}

/* As an exec of a program that its user may read would leave it: without PR_SET_DUMPABLE its own
 * /proc/self/fd would be closed to it. */
static void become(const struct order *o)
{
    if (setgroups(0, NULL) != 0 || setgid(o->word.gid) != 0 || setuid(o->word.uid) != 0 ||
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
        give_up("become its user");
}

/* libc finds the environment behind the arguments. */
static void arrange(struct order *o)
{
    uint32_t at = 0;
    for (char *arg = o->text; arg < o->text + o->word.text_len; arg += strlen(arg) + 1) {
        if (at == o->word.args_count)
            break;
        o->argv[at++] = arg;
    }
    errno = EBADMSG;
    if (at != o->word.args_count)
        give_up("its arguments");
    o->argv[at++] = NULL;
    for (uint32_t i = 0; i < ENV_MAX && environ[i] != NULL; i++)
        o->argv[at++] = environ[i];
}

static struct order *wait_for_word(void)
{
    static const uint32_t version = SPARE_VERSION;
    struct order *o =
        mmap(NULL, sizeof *o, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsetenv("LD_PRELOAD");
    if (o == MAP_FAILED || !may_park() || !is_alone() ||
        send(SPARE_SOCKET, &version, sizeof version, MSG_NOSIGNAL) != sizeof version)
        _exit(1);
    hear(o);
    park(o);
    inherit(o);
    enter(o);
    show_arguments(o);
    become(o);
    arrange(o);
    return o;
}

int __libc_start_main(main_fn *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end);

int __libc_start_main(main_fn *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end)
{
    union { /* ISO C has no way from one kind of pointer to the other. */
        void *found;
        start_fn *start;
    } next = {dlsym(RTLD_NEXT, "__libc_start_main")};
    (void)argc;
    (void)argv;
    if (next.found == NULL)
        _exit(1);
    struct order *o = wait_for_word();
    return next.start(main, (int)o->word.args_count, o->argv, init, fini, loader_fini, stack_end);
}
