/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces that outlive who made them: a namespace lives as long as a file is bound to it
 * (namespaces(7)). The thread that makes one leaves its own for some microseconds; a thread that
 * cannot come back would do everything after in the wrong network, so that is a CHECK.
 */
#include "base/check.h"
#include "io/fs.h"
#include "nodeagent/host/net_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char OWN[] = "/proc/thread-self/ns/net";

static bool is_namespace(int fd)
{
    struct statfs st;
    return fstatfs(fd, &st) == 0 && st.f_type == NSFS_MAGIC;
}

static void come_back(int home)
{
    CHECK(setns(home, CLONE_NEWNET) == 0);
}

/* A new namespace bound to path, which is an empty file. */
static enum err_code bind_new(const char *path, struct err *e)
{
    CLEANUP(fs_close) int home = open(OWN, O_RDONLY | O_CLOEXEC);
    if (home < 0)
        return err_set(e, ERR_UNAVAILABLE, "open %s: %m", OWN);
    if (unshare(CLONE_NEWNET) != 0)
        return err_set(e, errno == EPERM ? ERR_DENIED : ERR_UNAVAILABLE,
                       "make a network namespace: %m");
    bool bound = mount(OWN, path, NULL, MS_BIND, NULL) == 0;
    int why = errno;
    come_back(home);
    errno = why;
    return bound ? ERR_OK : err_set(e, ERR_UNAVAILABLE, "bind %s: %m", path);
}

enum err_code net__netns_make(const char *path, int *out_fd, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_CREAT, 0600);
    if (fd >= 0 && !is_namespace(fd)) {
        close(fd);
        enum err_code code = bind_new(path, e);
        if (code != ERR_OK)
            return code;
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "open %s: %m", path);
    *out_fd = fd;
    return ERR_OK;
}

enum err_code net__netns_remove(const char *path, struct err *e)
{
    if (umount2(path, MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
        return err_set(e, ERR_UNAVAILABLE, "unmount %s: %m", path);
    return fs_remove(path, e);
}

enum err_code net__nl_open_in(int netns, struct net_nl *nl, struct err *e)
{
    CLEANUP(fs_close) int home = open(OWN, O_RDONLY | O_CLOEXEC);
    if (home < 0 || setns(netns, CLONE_NEWNET) != 0)
        return err_set(e, ERR_UNAVAILABLE, "enter a network namespace: %m");
    enum err_code code = net__nl_open(nl, e); /* A socket stays in the namespace of its birth. */
    come_back(home);
    return code;
}
