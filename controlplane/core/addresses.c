/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Under which addresses a machine is reached is its agent's word, and other nodes send their pods' packets by it. So it is believed
 * only as long as nobody else is found there: the first address a node tells is its own until it tells another or its Node is
 * deleted, silent or not; the control plane's are no node's but the one on its machine; and none lies in the pod network
 * (docs/decisions/0211, 0250). What is refused is left out of what the node has, wherever that is shown.
 */
#include "api/names.h"
#include "base/check.h"
#include "controlplane/core/cluster.h"
#include "controlplane/core/events.h"

#include <stdio.h>

static bool in_pod_network(struct core *c, struct str address)
{
    const struct network *w = &c->cluster->network;
    uint32_t ip, prefix;
    struct str cidr = arena_printf(&c->turn, STR_FMT "/30", STR_ARG(address));
    uint32_t shift = 32 - w->prefix;
    return sched_view_subnet(cidr, &ip, &prefix) == ERR_OK && ip >> shift == w->first >> shift;
}

static const struct node_state *owner_of(struct core *c, const struct node_state *n,
                                         struct str address)
{
    const struct node_state *other = map_find(&c->cluster->addresses, address);
    return other != n && !network_is_loopback(address) ? other : NULL;
}

/* Another spelling of an address ("192.0.2.01") would be another one here and the same to other agents. */
static bool is_machines(struct str address)
{
    uint64_t first = 0;
    struct str rest = address, part;
    if (name_ip(address).count > 0)
        return false;
    bool is_number = str_split(&rest, '.', &part) && str_parse_u64(part, &first) == ERR_OK;
    return !is_number || (first > 0 && first < 224);
}

static bool is_barred(const struct node_state *n, struct str address)
{
    struct str rest = n->barred == NULL ? STR("") : blob_str(n->barred), one;
    while (str_split(&rest, ' ', &one))
        if (str_eq(one, address))
            return !network_is_loopback(address);
    return false;
}

/* Why this node may not have it; empty: it may. */
static struct str refusal(struct core *c, const struct node_state *n, struct str address)
{
    const struct node_state *owner = owner_of(c, n, address);
    if (!is_machines(address))
        return STR("what it says is no machine's address");
    if (in_pod_network(c, address))
        return arena_printf(&c->turn, STR_FMT " is of the pod network", STR_ARG(address));
    if (is_barred(n, address))
        return arena_printf(&c->turn, STR_FMT " is the control plane's", STR_ARG(address));
    if (owner == NULL)
        return STR("");
    return arena_printf(
        &c->turn, STR_FMT " is node %s's%s", STR_ARG(address), owner->name,
        owner->ready ? "" : ", which is silent (delete the Node of a machine that is gone)");
}

static void disown(struct core *c, struct node_state *n)
{
    if (n->address[0] != '\0' && map_find(&c->cluster->addresses, str_of(n->address)) == n)
        map_remove(&c->cluster->addresses, str_of(n->address));
    n->address[0] = '\0';
}

/* Nobody else has it: refusal() came before. */
static void own(struct core *c, struct node_state *n, struct str address)
{
    if (str_eq(address, str_of(n->address)) || address.len >= sizeof n->address)
        return;
    disown(c, n);
    snprintf(n->address, sizeof n->address, STR_FMT, STR_ARG(address));
    if (address.len > 0 && map_put(&c->cluster->addresses, str_of(n->address), n) != ERR_OK)
        n->address[0] = '\0';
}

static void say(struct core *c, struct node_state *n, struct str why)
{
    char text[sizeof n->mistaken];
    snprintf(text, sizeof text, STR_FMT, STR_ARG(why));
    bool is_new = why.len > 0 && strcmp(text, n->mistaken) != 0;
    c->cluster->mistaken += why.len > 0;
    c->cluster->mistaken -= n->mistaken[0] != '\0';
    memcpy(n->mistaken, text, sizeof text);
    if (is_new)
        events_tell(
            c, &(struct event_note){.api_version = "v1",
                                    .kind = "Node",
                                    .name = str_of(n->name),
                                    .reason = "AddressRefused",
                                    .warning = true,
                                    .message = arena_printf(&c->turn,
                                                            "its agent says that it is reached at "
                                                            "what it cannot have: %s",
                                                            n->mistaken)});
}

/* The hardware without what was refused, as the agent would have told it. */
static void leave_out(struct core *c, struct node_state *n, char **kept, size_t count)
{
    Baton__NodeHardwareSpec whole = *n->spec;
    whole.host_addresses = kept;
    whole.n_host_addresses = count;
    struct str bytes = objects_pack(&c->turn, &whole.base);
    CHECK(bytes.at != NULL); /* It came in one message, and now it is less. */
    struct blob *blob = blob_new(bytes);
    cluster_set_hardware(n, blob);
    blob_unref(blob);
}

void addresses_judge(struct core *c, struct node_state *n)
{
    const Baton__NodeHardwareSpec *hw = n->spec;
    struct str all = STR("");
    char **kept = arena_zalloc(&c->turn, hw->n_host_addresses + 1, sizeof *kept);
    size_t count = 0;
    CHECK(kept != NULL);
    for (size_t i = 0; i < hw->n_host_addresses; i++) {
        struct str why = refusal(c, n, str_of(hw->host_addresses[i]));
        if (why.len == 0)
            kept[count++] = hw->host_addresses[i];
        else if (all.len < sizeof n->mistaken) /* No more is shown. */
            all = arena_printf(&c->turn, STR_FMT "%s" STR_FMT, STR_ARG(all),
                               all.len > 0 ? "; " : "", STR_ARG(why));
    }
    bool moves = !str_eq(str_of(n->address), count > 0 ? str_of(kept[0]) : STR(""));
    own(c, n, count > 0 && !network_is_loopback(str_of(kept[0])) ? str_of(kept[0]) : STR(""));
    if (moves)
        addresses_review(c);
    say(c, n, all);
    if (count < hw->n_host_addresses)
        leave_out(c, n, kept, count);
}

void addresses_review(struct core *c)
{
    const struct map_entry *e;
    for (uint32_t at = 0;
         c->cluster->mistaken > 0 && (e = map_next(&c->cluster->nodes, &at)) != NULL;) {
        struct node_state *n = e->value;
        if (n->mistaken[0] != '\0')
            nodes_look(c, n);
    }
}

void addresses_loaded(struct core *c, struct node_state *n)
{
    const Baton__NodeHardwareSpec *hw = n->spec;
    if (hw != NULL && hw->n_host_addresses > 0 &&
        !network_is_loopback(str_of(hw->host_addresses[0])) &&
        map_find(&c->cluster->addresses, str_of(hw->host_addresses[0])) == NULL)
        own(c, n, str_of(hw->host_addresses[0]));
}

void addresses_forget(struct core *c, struct node_state *n)
{
    disown(c, n);
    addresses_review(c);
}

void addresses_bar(struct node_state *n, struct str list)
{
    blob_unref(n->barred);
    n->barred = list.len == 0 ? NULL : blob_new(list);
}
