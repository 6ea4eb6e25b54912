/* SPDX-License-Identifier: Apache-2.0 */
#include "io/blackbox.h"

#include "base/log.h"
#include "io/clock.h"
#include "io/fs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 64 << 10, ASK_PAUSE_NS = 10000000 };

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

/* A signal's handler is given nothing: what it needs lies here. */
static struct {
    struct recorder *recorder;
    char crash[FS_PATH_MAX], asked[FS_PATH_MAX];
    struct sigaction before[COUNT_OF(faults)];
    char stack[STACK_BYTES]; /* The fault may be that there was no more of the other. */
} box;

static bool write_all(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.at, bytes.len);
        if (put <= 0)
            return false;
        bytes = (struct str){bytes.at + put, bytes.len - (size_t)put};
    }
    return true;
}

/* Async-signal-safe. */
static bool write_parts(const char *path)
{
    struct str parts[RECORDER_PARTS];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    recorder_parts(box.recorder, parts);
    bool whole = true;
    for (int i = 0; i < RECORDER_PARTS && whole; i++)
        whole = write_all(fd, parts[i]);
    whole = fsync(fd) == 0 && whole;
    return close(fd) == 0 && whole;
}

static void on_fault(int signo)
{
    recorder_stop(box.recorder); /* Other threads go on meanwhile. */
    (void)write_parts(box.crash);
    for (size_t i = 0; i < COUNT_OF(faults); i++)
        sigaction(faults[i], &box.before[i], NULL);
    raise(signo); /* Blocked until we return; then as if we had never been. */
}

static void catch_faults(void)
{
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK | SA_RESETHAND};
    stack_t stack = {.ss_sp = box.stack, .ss_size = sizeof box.stack}, there;
    if (sigaltstack(NULL, &there) == 0 && (there.ss_flags & SS_DISABLE) != 0)
        sigaltstack(&stack, NULL);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < COUNT_OF(faults); i++)
        sigaction(faults[i], &action, &box.before[i]);
}

enum err_code blackbox_open(const char *folder, struct recorder *recorder, struct err *e)
{
    char previous[FS_PATH_MAX];
    if (!fs_join(box.crash, folder, "crash") || !fs_join(previous, folder, "crash.previous") ||
        !fs_join(box.asked, folder, BLACKBOX_ASKED))
        return err_set(e, ERR_LIMIT, "--state is too long");
    enum err_code code = fs_mkdir(folder, 0700, e);
    if (code != ERR_OK)
        return code;
    if (rename(box.crash, previous) == 0)
        log_event(LOG_WARN, "flight.found", "path=%s why=%s", log_quote(str_of(previous)).text,
                  "\"the last life ended by a fault; baton-sim --replay shows it\"");
    box.recorder = recorder;
    catch_faults();
    return ERR_OK;
}

enum err_code blackbox_write(struct err *e)
{
    char fresh[FS_PATH_MAX];
    int len = snprintf(fresh, sizeof fresh, "%s.new", box.asked);
    if (box.recorder == NULL || len >= (int)sizeof fresh)
        return err_set(e, ERR_INVALID, "nothing is recorded");
    if (!write_parts(fresh) || rename(fresh, box.asked) != 0)
        return err_set(e, ERR_UNAVAILABLE, "write %s: %m", fresh);
    return ERR_OK;
}

void blackbox_say_pid(int lock)
{
    if (ftruncate(lock, 0) == 0)
        dprintf(lock, "%d\n", (int)getpid());
}

static bool read_pid(const char *lock, pid_t *out)
{
    uint64_t pid = 0;
    struct buf text;
    buf_init(&text, 64);
    bool known = fs_read(lock, &text, NULL) == ERR_OK &&
                 str_parse_u64(str_trim(buf_str(&text)), &pid) == ERR_OK && pid > 1;
    buf_free(&text);
    *out = (pid_t)pid;
    return known;
}

enum err_code blackbox_ask(const char *lock, const char *asked, struct span patience, struct err *e)
{
    pid_t pid;
    int fd;
    enum err_code code = fs_lock(lock, &fd, e);
    if (code == ERR_OK) /* Nobody holds it: whose number it was, a stranger may have now. */
        fs_close(&fd);
    if (code == ERR_OK || !read_pid(lock, &pid))
        return err_set(e, ERR_NOT_FOUND, "nothing runs that has a recording");
    code = fs_remove(asked, e);
    if (code != ERR_OK)
        return code;
    if (kill(pid, SIGUSR1) != 0)
        return err_set(e, ERR_UNAVAILABLE, "signal process %d: %m", (int)pid);
    struct instant until = instant_add(clock_now(), patience);
    while (!fs_exists(asked)) {
        if (instant_due(until, clock_now()))
            return err_set(e, ERR_UNAVAILABLE, "process %d has not written %s", (int)pid, asked);
        nanosleep(&(struct timespec){.tv_nsec = ASK_PAUSE_NS}, NULL);
    }
    return ERR_OK;
}
