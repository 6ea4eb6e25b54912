/* SPDX-License-Identifier: Apache-2.0 */
/* The network's part: ports of our bridge, elements of our tables (nft's JSON: libnftables-json(5)). */
#include "base/json.h"
#include "io/fs.h"
#include "io/proc.h"
#include "nodeagent/doctor/inventory.h"

#include <stdio.h>

enum { NFT_LIMIT_S = 20, NFT_TEXT_MAX = 16 << 20 };

/* ---- links ---- */

static bool visit_link(void *arg, enum net_kind kind, struct str name)
{
    if (kind != NET_POD) /* A namespace is found by its file. */
        inventory__add(arg, (struct host_thing){.kind = HOST_LINK, .name = name, .link = name});
    return true;
}

static bool is_of(struct inventory *v, struct str link, struct str uid)
{
    struct net_link veth;
    char tap[NET_NAME_MAX];
    net_pod_link(v->net, &(struct net_pod){.id = uid}, &veth);
    net_tap_name(v->net, uid, tap);
    return str_is(link, veth.name) || str_is(link, tap);
}

void inventory__name_links(struct inventory *v)
{
    for (uint32_t i = 0; i < v->things_count; i++)
        for (uint32_t w = 0; w < v->wanted_count && v->things[i].link.len > 0; w++)
            if (is_of(v, v->things[i].link, v->wanted[w]))
                v->things[i].uid = v->wanted[w];
}

/* ---- nft ---- */

/* "a", 80 or {"concat": ["a", 80]} as nft writes it: "a" . 80 */
static struct str element_text(struct arena *a, const struct json *element)
{
    const struct json *parts = json_find(element, STR("concat"));
    const struct json *one = parts == NULL ? element : parts->first;
    struct str out = {0};
    for (; one != NULL; one = parts == NULL ? NULL : one->next)
        out = arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(out), out.len > 0 ? " . " : "",
                           STR_ARG(one->text));
    return out;
}

static struct str first_word(struct str text)
{
    return str_slice(text, 0, str_find(text, ' ', 0));
}

/* Which interface an address was given to, by the set that guards it. */
static struct str link_of_address(struct inventory *v, struct str address)
{
    struct str end = arena_printf(&v->arena, " . " STR_FMT " }", STR_ARG(address));
    for (uint32_t i = 0; i < v->things_count; i++)
        if (v->things[i].kind == HOST_NFT && str_ends(v->things[i].name, end))
            return v->things[i].link;
    return (struct str){NULL, 0};
}

/* of: the set or map. name of the thing: what `nft delete element` is told. */
static void add_elements(struct inventory *v, const char *family, const struct json *of, bool map)
{
    struct str set = json_text(json_find(of, STR("name")));
    const struct json *list = json_find(of, STR("elem"));
    for (const struct json *one = list == NULL ? NULL : list->first; one != NULL; one = one->next) {
        struct str text = element_text(&v->arena, map ? one->first : one);
        struct str link = first_word(text);
        if (map)
            link = link_of_address(v, first_word(element_text(&v->arena, one->last)));
        struct str name = arena_printf(&v->arena, "%s %s " STR_FMT " { " STR_FMT " }", family,
                                       v->group, STR_ARG(set), STR_ARG(text));
        inventory__add(v, (struct host_thing){.kind = HOST_NFT, .name = name, .link = link});
    }
}

static void add_table(struct inventory *v, const char *family, struct str listing)
{
    struct json *root;
    struct err e;
    if (json_parse(&v->arena, listing, &root, &e) != ERR_OK)
        return;
    const struct json *all = json_find(root, STR("nftables"));
    for (const struct json *one = all == NULL ? NULL : all->first; one != NULL; one = one->next) {
        const struct json *set = json_find(one, STR("set")), *map = json_find(one, STR("map"));
        if (set != NULL || map != NULL)
            add_elements(v, family, set != NULL ? set : map, set == NULL);
    }
}

/* A table that is not there has nothing in it. The bridge's first: it says whose an address is. */
static enum err_code read_tables(struct inventory *v, struct err *e)
{
    static const char *const families[] = {"bridge", "ip"};
    for (size_t f = 0; f < COUNT_OF(families); f++) {
        const char *const argv[] = {"nft", "-j", "list", "table", families[f], v->group, NULL};
        struct proc_request r = {
            .argv = argv, .timeout = SPAN_S(NFT_LIMIT_S), .capture_max = NFT_TEXT_MAX};
        struct buf text;
        int status = 0;
        buf_init(&text, NFT_TEXT_MAX);
        enum err_code code = proc_run_wait(&r, &text, NULL, &status, e);
        if (code == ERR_OK && status == 0)
            add_table(v, families[f], arena_str(&v->arena, buf_str(&text)));
        buf_free(&text);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

enum err_code inventory__links(struct inventory *v, struct err *e)
{
    char netns[FS_PATH_MAX];
    /* Looking asks nothing of the address; it is names that count. */
    struct net_address gateway = {{10, 0, 0, 1}, 24};

    if (!fs_join(netns, v->state, "netns"))
        return err_set(e, ERR_LIMIT, "--state is too long");
    enum err_code code =
        net_open(&(struct net_config){.cluster = str_of(v->group + sizeof "baton-" - 1),
                                      .netns_directory = str_of(netns),
                                      .gateway = gateway},
                 &v->net, e);
    if (code == ERR_OK)
        code = net_list(v->net, visit_link, v, e);
    return code == ERR_OK ? read_tables(v, e) : code;
}
