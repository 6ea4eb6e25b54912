/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/blackbox.h"

#include "base/log.h"
#include "io/fs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { STACK_BYTES = 64 << 10 };

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

/* A signal's handler is given nothing: what it needs lies here. */
static struct {
    const struct flight *recorder;
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
    struct str parts[FLIGHT_PARTS];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    flight_parts(box.recorder, parts);
    bool whole = true;
    for (int i = 0; i < FLIGHT_PARTS && whole; i++)
        whole = write_all(fd, parts[i]);
    whole = fsync(fd) == 0 && whole;
    return close(fd) == 0 && whole;
}

static void on_fault(int signo)
{
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

enum err_code blackbox_open(const char *state, const struct flight *recorder, struct err *e)
{
    char folder[FS_PATH_MAX], previous[FS_PATH_MAX];
    if (!fs_join(folder, state, "flight") || !fs_join(box.crash, folder, "crash") ||
        !fs_join(previous, folder, "crash.previous") || !fs_join(box.asked, state, BLACKBOX_ASKED))
        return err_set(e, ERR_LIMIT, "--state is too long");
    enum err_code code = fs_mkdir(folder, 0700, e);
    if (code != ERR_OK)
        return code;
    if (rename(box.crash, previous) == 0)
        log_event(LOG_WARN, "flight.found", "path=%s why=%s", log_quote(str_of(previous)).text,
                  "\"the last agent died of a fault; baton-sim --replay shows it\"");
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
