/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/tap.h"
#include "io/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>

/* Who made the tap has closed it, but a child that another thread forked meanwhile holds a copy until
 * it has come to its exec(): a millisecond, more on a machine that is busy. */
enum { FORKS_MS = 100 };

enum err_code tap_open(struct str name, int *out_fd, struct err *e)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    if (name.len == 0 || name.len >= sizeof request.ifr_name)
        return err_set(e, ERR_INVALID, "\"" STR_FMT "\" is not a tap's name", STR_ARG(name));
    str_put(request.ifr_name, name);
    if (if_nametoindex(request.ifr_name) == 0) /* TUNSETIFF would make one. */
        return err_set(e, ERR_NOT_FOUND, "no tap %s", request.ifr_name);

    CLEANUP(fs_close) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "open /dev/net/tun: %m");
    int rc = ioctl(fd, TUNSETIFF, &request);
    for (int i = 0; rc != 0 && errno == EBUSY && i < FORKS_MS; i++) {
        poll(NULL, 0, 1);
        rc = ioctl(fd, TUNSETIFF, &request);
    }
    if (rc != 0)
        return err_set(e, errno == EBUSY ? ERR_BUSY : ERR_UNAVAILABLE, "tap %s: %m",
                       request.ifr_name);
    *out_fd = fd;
    fd = -1;
    return ERR_OK;
}
