/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/network.h"

#include "base/buf.h"
#include "controlplane/core/network.h"
#include "io/fs.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    FILE_MAX = 256,
    FIRST = 10 << 24 | 128 << 16, /* 10.128.0.0/9, in which no common default of others begins. */
    CHOICES = 32,
    PREFIX = 14,
    INTERFACES_MAX = 1024
};

static bool is_free(uint32_t network, const struct hostnet *used, uint32_t used_count)
{
    const uint32_t mask = UINT32_MAX << (32 - PREFIX);
    for (uint32_t i = 0; i < used_count; i++) {
        uint32_t both = mask & used[i].mask;
        if ((network & both) == (used[i].ip & both))
            return false;
    }
    return true;
}

struct network_kept network_choose(uint32_t id, const struct hostnet *used, uint32_t used_count)
{
    struct network_kept out = {.part_prefix = NETWORK_PART_PREFIX_DEFAULT};
    uint32_t network = FIRST + (id % CHOICES << (32 - PREFIX));
    for (uint32_t k = 0; k < CHOICES; k++) {
        uint32_t other = FIRST + ((id + k) % CHOICES << (32 - PREFIX));
        if (is_free(other, used, used_count)) {
            network = other;
            break;
        }
    }
    snprintf(out.cidr, sizeof out.cidr, "%u.%u.%u.%u/%d", network >> 24, network >> 16 & 255,
             network >> 8 & 255, network & 255, PREFIX);
    return out;
}

static enum err_code keep(const char *path, const char *cluster_id,
                          const struct network_asked *asked, struct network_kept *out,
                          struct err *e)
{
    struct hostnet used[INTERFACES_MAX];
    struct network n;
    struct buf text;
    struct network_kept chosen = network_choose((uint32_t)strtoul(cluster_id, NULL, 16), used,
                                                hostnet_list(used, INTERFACES_MAX));
    struct str cidr = str_of(asked->cidr == NULL ? chosen.cidr : asked->cidr);
    enum err_code code = network_parse(cidr, asked->part_prefix, &n, e);

    if (code != ERR_OK)
        return err_wrap(e, "--pod-network");
    snprintf(out->cidr, sizeof out->cidr, STR_FMT, STR_ARG(cidr));
    out->part_prefix = n.part_prefix;
    buf_init(&text, FILE_MAX);
    buf_printf(&text, "%s %u\n", out->cidr, out->part_prefix);
    code = fs_write(path, buf_str(&text), 0600, e);
    buf_free(&text);
    return code;
}

static enum err_code parse(const char *path, struct str text, struct network_kept *out,
                           struct err *e)
{
    struct str rest = str_trim(text), cidr;
    struct network n;
    uint64_t prefix = 0;

    if (!str_split(&rest, ' ', &cidr) || rest.at == NULL ||
        str_parse_u64(rest, &prefix) != ERR_OK || prefix > 32 || cidr.len >= sizeof out->cidr ||
        network_parse(cidr, (uint32_t)prefix, &n, e) != ERR_OK)
        return err_set(e, ERR_CORRUPT, "%s does not hold a network and a prefix", path);
    snprintf(out->cidr, sizeof out->cidr, STR_FMT, STR_ARG(cidr));
    out->part_prefix = (uint32_t)prefix;
    return ERR_OK;
}

static bool is_other(const struct network_asked *asked, const struct network_kept *is)
{
    return (asked->cidr != NULL && strcmp(asked->cidr, is->cidr) != 0) ||
           (asked->part_prefix != 0 && asked->part_prefix != is->part_prefix);
}

enum err_code network_open(const char *state, const char *cluster_id,
                           const struct network_asked *asked, struct network_kept *out,
                           struct err *e)
{
    char path[FS_PATH_MAX];
    struct network_kept is = {.part_prefix = 0};
    struct buf text;

    if (!fs_join(path, state, "control/network"))
        return err_set(e, ERR_LIMIT, "--state %s: the path is too long", state);
    buf_init(&text, FILE_MAX);
    enum err_code code = fs_read(path, &text, e);
    if (code == ERR_NOT_FOUND)
        code = keep(path, cluster_id, asked, &is, e);
    else if (code == ERR_OK)
        code = parse(path, buf_str(&text), &is, e);
    buf_free(&text);
    if (code == ERR_OK && is_other(asked, &is))
        code = err_set(e, ERR_INVALID,
                       "this cluster's pod network is %s with /%u for a node (%s), and that "
                       "cannot be changed: nodes and workloads have addresses of it",
                       is.cidr, is.part_prefix, path);
    if (code == ERR_OK)
        *out = is;
    return code;
}
