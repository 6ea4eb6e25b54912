/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/tap.h"
#include "io/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

enum err_code tap_open(struct str name, int *out_fd, struct err *e)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    if (name.len == 0 || name.len >= sizeof request.ifr_name)
        return err_set(e, ERR_INVALID, "\"" STR_FMT "\" is not a tap's name", STR_ARG(name));
    memcpy(request.ifr_name, name.at, name.len);
    if (if_nametoindex(request.ifr_name) == 0) /* TUNSETIFF would make one. */
        return err_set(e, ERR_NOT_FOUND, "no tap %s", request.ifr_name);

    CLEANUP(fs_close) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "open /dev/net/tun: %m");
    if (ioctl(fd, TUNSETIFF, &request) != 0)
        return err_set(e, errno == EBUSY ? ERR_BUSY : ERR_UNAVAILABLE, "tap %s: %m",
                       request.ifr_name);
    *out_fd = fd;
    fd = -1;
    return ERR_OK;
}
