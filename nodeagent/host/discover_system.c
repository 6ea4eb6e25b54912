/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/discover_system.h"

#include "base/buf.h"
#include "io/fs.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

enum { FILE_MAX = 64 << 10 };

void discover_text(char out[DISCOVER_TEXT_MAX], struct str text)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len && len + 1 < DISCOVER_TEXT_MAX; i++)
        if (text.at[i] >= ' ' && text.at[i] < 0x7f)
            out[len++] = text.at[i];
    out[len] = '\0';
}

static void first_line(const char *path, char out[DISCOVER_TEXT_MAX])
{
    struct buf text;
    struct err e;
    buf_init(&text, FILE_MAX);
    if (fs_read(path, &text, &e) == ERR_OK)
        discover_text(out,
                      str_trim(str_slice(buf_str(&text), 0, str_find(buf_str(&text), '\n', 0))));
    buf_free(&text);
}

/* os-release(5): PRETTY_NAME="Debian GNU/Linux 12 (bookworm)" */
static void read_os_image(char out[DISCOVER_TEXT_MAX])
{
    struct buf text;
    struct err e;
    struct str rest, line;

    buf_init(&text, FILE_MAX);
    if (fs_read("/etc/os-release", &text, &e) == ERR_OK)
        for (rest = buf_str(&text); str_split(&rest, '\n', &line);)
            if (str_starts(line, STR("PRETTY_NAME="))) {
                struct str value = str_slice(line, 12, line.len);
                if (value.len > 1 && value.at[0] == '"')
                    value = str_slice(value, 1, value.len - 1);
                discover_text(out, value);
            }
    buf_free(&text);
}

/* The interface of the default route (proc_net: destination 00000000), which is asked first. */
static void default_interface(char out[IF_NAMESIZE])
{
    struct buf text;
    struct err e;
    struct str rest, line, name, destination;

    out[0] = '\0';
    buf_init(&text, FILE_MAX);
    if (fs_read("/proc/net/route", &text, &e) == ERR_OK)
        for (rest = buf_str(&text); str_split(&rest, '\n', &line) && out[0] == '\0';)
            if (str_split(&line, '\t', &name) && str_split(&line, '\t', &destination) &&
                str_is(destination, "00000000") && name.len < IF_NAMESIZE) {
                str_put(out, name);
                out[name.len] = '\0';
            }
    buf_free(&text);
}

static bool has_address(const struct ifaddrs *i)
{
    return i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET && (i->ifa_flags & IFF_UP) != 0;
}

static void add_address(struct discover *d, const struct ifaddrs *i)
{
    if (d->addresses_count == DISCOVER_ADDRESSES_MAX)
        return;
    const struct sockaddr_in *in = (const void *)i->ifa_addr;
    if (inet_ntop(AF_INET, &in->sin_addr, d->addresses[d->addresses_count], 46) != NULL)
        d->addresses_count++;
}

/* A cluster's bridge or tunnel: net.h has their names. */
static bool is_a_clusters(const char *name)
{
    struct str s = str_of(name);
    return s.len == 10 && (str_starts(s, STR("bt")) || str_starts(s, STR("bx")));
}

/* IPv4 addresses of interfaces that are up, loopback and what clusters made left out; without any, loopback: a machine
 * without a network is its own cluster. */
static void read_addresses(struct discover *d)
{
    char preferred[IF_NAMESIZE];
    struct ifaddrs *all;

    default_interface(preferred);
    if (getifaddrs(&all) != 0)
        return;
    for (int pass = 0; pass < 3; pass++)
        for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
            if (!has_address(i))
                continue;
            bool loopback = (i->ifa_flags & IFF_LOOPBACK) != 0;
            bool first = strcmp(i->ifa_name, preferred) == 0;
            bool ours = is_a_clusters(i->ifa_name);
            if ((pass == 0 && first) || (pass == 1 && !first && !loopback && !ours) ||
                (pass == 2 && loopback && d->addresses_count == 0))
                add_address(d, i);
        }
    freeifaddrs(all);
}

static const char *print_address(const struct ifaddrs *i, char out[46])
{
    const struct sockaddr_in *in = (const void *)i->ifa_addr;
    return inet_ntop(AF_INET, &in->sin_addr, out, 46) == NULL ? "" : out;
}

static enum err_code no_such_address(const struct ifaddrs *all, const char *wanted, struct err *e)
{
    char there[128] = "", one[46];
    for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        size_t len = strlen(there);
        if (has_address(i))
            snprintf(there + len, sizeof there - len, "%s%s %s", len == 0 ? "" : ", ", i->ifa_name,
                     print_address(i, one));
    }
    return err_set(e, ERR_INVALID, "--address %.40s: no interface that is up has it; there are %s",
                   wanted, there);
}

enum err_code discover_address(struct discover *d, const char *wanted, struct err *e)
{
    struct ifaddrs *all;
    char text[46];
    enum err_code code = ERR_OK;

    if (getifaddrs(&all) != 0)
        return err_set(e, ERR_UNAVAILABLE, "read the interfaces: %m");
    d->addresses_count = 0;
    for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
        if (has_address(i) &&
            (strcmp(i->ifa_name, wanted) == 0 || strcmp(print_address(i, text), wanted) == 0))
            add_address(d, i);
    if (d->addresses_count == 0)
        code = no_such_address(all, wanted, e);
    freeifaddrs(all);
    return code;
}

enum err_code discover_made_up(struct discover *d, const char *wanted, struct err *e)
{
    struct in_addr in;
    const char *text = wanted == NULL ? "127.0.0.1" : wanted;
    if (inet_pton(AF_INET, text, &in) != 1)
        return err_set(e, ERR_INVALID, "--address %.40s: not an IPv4 address", text);
    snprintf(d->addresses[0], sizeof d->addresses[0], "%s", text);
    d->addresses_count = 1;
    return ERR_OK;
}

/* Kubernetes' names for architectures are Go's. */
static const char *architecture_name(const char *machine)
{
    static const char *const rows[][2] = {
        {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"riscv64", "riscv64"}, {"ppc64le", "ppc64le"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(machine, rows[i][0]) == 0)
            return rows[i][1];
    return machine;
}

void discover_system(const char *state_dir, struct discover *out)
{
    struct utsname names;
    struct statvfs disk;

    if (uname(&names) == 0) {
        discover_text(out->architecture, str_of(architecture_name(names.machine)));
        discover_text(out->kernel, str_of(names.release));
        discover_text(out->hostname, str_of(names.nodename));
    }
    read_os_image(out->os_image);
    first_line("/etc/machine-id", out->machine_id);
    first_line("/proc/sys/kernel/random/boot_id", out->boot_id);
    first_line("/sys/class/dmi/id/product_uuid", out->system_uuid);
    read_addresses(out);
    if (statvfs(state_dir, &disk) == 0)
        out->storage_bytes = (uint64_t)disk.f_frsize * disk.f_blocks;
}
