/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu_spare.c -- a QEMU that is loaded before there is a machine for it (../spare/spare.h).
 *
 * One at most, made a moment after a machine was, while nobody starts: a node that runs no machines has
 * none, and a burst of machines goes on without. Who finds none ready starts as ever, by a shell; so does
 * everybody when it cannot be had (another libc, no library).
 */
#include "base/log.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/fs.h"
#include "nodeagent/runtime/qemu_args.h"
#include "nodeagent/runtime/qemu_priv.h"
#include "nodeagent/spare/spare.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FAILURES_MAX = 3 }; /* Then it is not tried again. */

/* From a machine's making to the next spare's. One that ends unused, by a memory limit say, is made again after twice as
 * long each time. */
static const struct span AFTER_FIRST = SPAN_MS(50), AFTER_MAX = SPAN_S(60);

_Static_assert((int)SPARE_FDS_MAX >= (int)PROC_FDS_MAX, "what a child inherits");
_Static_assert((int)SPARE_ARGS_MAX >= (int)QEMU_ARGS_MAX, "what a machine is told");

const char *const qemu_environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", "TMPDIR=.", "HOME=/",
                                        NULL};

/* A name is looked for where the environment's PATH says. The loader splits its list at blanks and colons. */
void spare__init(struct runtime_qemu *r, struct str library)
{
    struct qemu_spare *s = &r->spare;
    bool plain =
        str_find(library, ' ', 0) == library.len && str_find(library, ':', 0) == library.len;
    if (plain && library.len < sizeof s->library)
        snprintf(s->library, sizeof s->library, STR_FMT, STR_ARG(library));
    if (s->library[0] != '\0' && !fs_exists(s->library))
        s->library[0] = '\0';
    s->after = AFTER_FIRST;
}

static int program_open(const struct runtime_qemu *r)
{
    static const char *const folders[] = {"/usr/bin", "/bin"};
    char path[FS_PATH_MAX];
    int fd = -1;
    if (strchr(r->command, '/') != NULL)
        return open(r->command, O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; fd < 0 && i < COUNT_OF(folders); i++)
        if (fs_join(path, folders[i], r->command))
            fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd;
}

/* False: it is not there, or a script, whose shell would be stopped in QEMU's place. */
static bool program_read(const struct runtime_qemu *r, struct qemu_spare *out)
{
    char head[SELFMAG];
    struct stat st;
    CLEANUP(fs_close) int fd = program_open(r);
    if (fd < 0 || fstat(fd, &st) != 0 || read(fd, head, sizeof head) != sizeof head ||
        memcmp(head, ELFMAG, SELFMAG) != 0)
        return false;
    out->program.device = st.st_dev;
    out->program.inode = st.st_ino;
    out->program.changed_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
    return true;
}

/* One that was loaded from a program that is not there any more would find the new one's files. */
static bool is_current(const struct runtime_qemu *r)
{
    struct qemu_spare now;
    const struct qemu_spare *s = &r->spare;
    return program_read(r, &now) && now.program.device == s->program.device &&
           now.program.inode == s->program.inode && now.program.changed_ns == s->program.changed_ns;
}

/* ---- one is made ---- */

void spare__wish(struct runtime_qemu *r)
{
    struct qemu_spare *s = &r->spare;
    if (s->library[0] != '\0' && s->child == NULL && s->failures < FAILURES_MAX)
        s->make_at = instant_add(clock_now(), s->after);
}

static void make(struct runtime_qemu *r)
{
    struct qemu_spare *s = &r->spare;
    const char *const argv[] = {r->command, NULL};
    char preload[QEMU_PATH_MAX + 16];
    const char *env[8];
    uint32_t count = 0;
    int ends[2];

    for (; qemu_environment[count] != NULL; count++)
        env[count] = qemu_environment[count];
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", s->library);
    env[count++] = preload;
    env[count] = NULL;
    if (!program_read(r, s) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return; /* The next machine wishes again. */
    s->child = proc_run(&r->client, SPARE_OP,
                        &(struct proc_request){.argv = argv,
                                               .env = env,
                                               .cwd = "/",
                                               .detached = true,
                                               .no_capture = true,
                                               .fds = {{SPARE_SOCKET, ends[1]}},
                                               .fds_count = 1});
    close(ends[1]);
    s->socket = ends[0];
    s->ready = false;
    if (s->child == NULL) {
        s->failures++;
        close(s->socket);
    }
}

static bool anybody_starts(const struct runtime_qemu *r)
{
    for (uint32_t i = 0; i < RUNTIME_INSTANCES_MAX; i++)
        if (r->machines[i] != NULL && r->machines[i]->state != MACHINE_ATTACHING &&
            r->machines[i]->state < MACHINE_RUNNING)
            return true;
    return false;
}

void spare__tick(struct runtime_qemu *r, struct instant now)
{
    struct qemu_spare *s = &r->spare;
    if (!instant_due(s->make_at, now))
        return;
    s->make_at = (struct instant){0};
    if (anybody_starts(r))
        spare__wish(r);
    else
        make(r);
}

/* ---- one is used ---- */

static bool is_ready(struct qemu_spare *s)
{
    uint32_t version = 0;
    if (s->child != NULL && !s->ready)
        s->ready = recv(s->socket, &version, sizeof version, MSG_DONTWAIT) == sizeof version &&
                   version == SPARE_VERSION;
    return s->child != NULL && s->ready;
}

bool spare__take(struct runtime_qemu *r, struct machine *m, int *out_socket)
{
    struct qemu_spare *s = &r->spare;
    if (!is_ready(s) || proc_start_time(proc_pid(s->child)) == 0)
        return false; /* Or it has died, and we shall hear of it. */
    if (!is_current(r)) {
        proc_kill(s->child, SIGKILL); /* Its end wishes for the next. */
        return false;
    }
    m->child = s->child;
    proc_set_op(s->child, slot_pack(m->slot));
    *out_socket = s->socket;
    s->child = NULL;
    s->failures = 0;
    s->after = AFTER_FIRST;
    return true;
}

/* False: they are more than one message holds. */
static bool put_arguments(struct buf *text, const char *const *argv, struct spare_word *word)
{
    for (word->args_count = 0; argv[word->args_count] != NULL; word->args_count++)
        buf_add(text, str_from(argv[word->args_count], strlen(argv[word->args_count]) + 1));
    word->text_len = (uint32_t)text->len;
    return !text->overflow && word->args_count <= SPARE_ARGS_MAX;
}

enum { PASSED_MAX = 1 + SPARE_GROUPS_MAX + SPARE_FDS_MAX };

/* In the order of spare.h. */
static uint32_t put_descriptors(const struct spare_order *o, struct spare_word *word,
                                int out[PASSED_MAX])
{
    uint32_t count = 0;
    CHECK(o->groups_count <= SPARE_GROUPS_MAX && o->fds_count <= SPARE_FDS_MAX);
    out[count++] = o->directory;
    for (uint32_t i = 0; i < o->groups_count; i++)
        out[count++] = o->groups[i];
    for (uint32_t i = 0; i < o->fds_count; i++) {
        word->fds[i] = o->fds[i].child;
        out[count++] = o->fds[i].ours;
    }
    word->groups_count = o->groups_count;
    word->fds_count = o->fds_count;
    return count;
}

static ssize_t send_with(int socket, struct iovec *body, size_t body_count, const int *fds,
                         uint32_t fds_count)
{
    union {
        struct cmsghdr align;
        char at[CMSG_SPACE(PASSED_MAX * sizeof(int))];
    } control = {.at = {0}};
    struct msghdr m = {.msg_iov = body,
                       .msg_iovlen = body_count,
                       .msg_control = &control,
                       .msg_controllen = CMSG_SPACE(fds_count * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds_count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, fds_count * sizeof(int));
    return sendmsg(socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

enum err_code spare__tell(int socket, const struct spare_order *o, struct err *e)
{
    struct spare_word word = {.version = SPARE_VERSION, .uid = o->uid, .gid = o->gid};
    struct buf text;
    int fds[PASSED_MAX];
    enum err_code code = ERR_OK;

    buf_init(&text, SPARE_TEXT_MAX);
    if (!put_arguments(&text, o->argv, &word)) {
        code = err_set(e, ERR_LIMIT, "the machine's arguments are too long");
    } else {
        uint32_t count = put_descriptors(o, &word, fds);
        struct iovec body[] = {{&word, sizeof word}, {text.at, text.len}};
        if (send_with(socket, body, COUNT_OF(body), fds, count) !=
            (ssize_t)(sizeof word + text.len))
            code = err_set(e, ERR_UNAVAILABLE, "the spare QEMU is gone: %m");
    }
    buf_free(&text);
    return code;
}

/* ---- its end ---- */

void spare__ended(struct runtime_qemu *r)
{
    struct qemu_spare *s = &r->spare;
    if (s->child == NULL)
        return; /* It was never begun, and that was counted. */
    if (!is_ready(s) && ++s->failures == FAILURES_MAX)
        log_event(LOG_WARN, "machine.no_spare", "library=%s", log_quote(str_of(s->library)).text);
    s->child = NULL;
    close(s->socket);
    s->after.ns = s->after.ns * 2 < AFTER_MAX.ns ? s->after.ns * 2 : AFTER_MAX.ns;
    spare__wish(r);
}

/* It ends with its socket. */
void spare__close(struct runtime_qemu *r)
{
    struct qemu_spare *s = &r->spare;
    if (s->child == NULL)
        return;
    proc_forget(s->child);
    close(s->socket);
    s->child = NULL;
}
