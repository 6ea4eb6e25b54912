/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/resource.h"

enum { PART_MAX = 64 << 10 }; /* Of a path; more than any server takes. */

static bool has_name(const struct json *r, struct str name)
{
    if (str_eq_nocase(json_text(json_find(r, STR("name"))), name) ||
        str_eq_nocase(json_text(json_find(r, STR("singularName"))), name) ||
        str_eq_nocase(json_text(json_find(r, STR("kind"))), name))
        return true;
    const struct json *shorts = json_find(r, STR("shortNames"));
    for (const struct json *s = shorts == NULL ? NULL : shorts->first; s != NULL; s = s->next)
        if (str_eq_nocase(json_text(s), name))
            return true;
    return false;
}

/* The resource of that name in one group version; subresources ("pods/log") are not asked for. */
static bool search(struct cli *c, struct str group_version, struct str name, struct resource *out,
                   struct err *e)
{
    const struct json *list;
    bool is_core = str_find(group_version, '/', 0) == group_version.len;
    struct str path =
        arena_printf(&c->arena, "/%s/" STR_FMT, is_core ? "api" : "apis", STR_ARG(group_version));

    if (client_json(c->client, &c->arena, &(struct client_request){.path = path.at}, &list, e) !=
        ERR_OK)
        return false;
    const struct json *resources = json_find(list, STR("resources"));
    for (const struct json *r = resources == NULL ? NULL : resources->first; r != NULL;
         r = r->next) {
        struct str plural = json_text(json_find(r, STR("name")));
        if (str_find(plural, '/', 0) < plural.len || !has_name(r, name))
            continue;
        const struct json *namespaced = json_find(r, STR("namespaced"));
        *out = (struct resource){.group_version = group_version,
                                 .plural = plural,
                                 .kind = json_text(json_find(r, STR("kind"))),
                                 .namespaced = namespaced != NULL && namespaced->truth};
        return true;
    }
    return false;
}

enum err_code resource_find(struct cli *c, struct str name, struct resource *out, struct err *e)
{
    const struct json *groups;

    if (cli_client(c, e) == NULL)
        return e->code;
    e->code = ERR_OK;
    if (search(c, STR("v1"), name, out, e))
        return ERR_OK;
    if (e->code != ERR_OK)
        return e->code;
    enum err_code code =
        client_json(c->client, &c->arena, &(struct client_request){.path = "/apis"}, &groups, e);
    if (code != ERR_OK)
        return code;
    const struct json *list = json_find(groups, STR("groups"));
    for (const struct json *g = list == NULL ? NULL : list->first; g != NULL; g = g->next) {
        struct str gv = json_text(json_path(g, "preferredVersion.groupVersion"));
        if (search(c, gv, name, out, e))
            return ERR_OK;
    }
    return err_set(e, ERR_NOT_FOUND, "the server has no resource \"" STR_FMT "\"", STR_ARG(name));
}

enum err_code resource_of_kind(struct cli *c, struct str api_version, struct str kind,
                               struct resource *out, struct err *e)
{
    if (cli_client(c, e) == NULL)
        return e->code;
    e->code = ERR_OK;
    if (search(c, api_version, kind, out, e))
        return ERR_OK;
    if (e->code != ERR_OK && e->code != ERR_NOT_FOUND)
        return e->code;
    return err_set(e, ERR_NOT_FOUND, "the server has no kind \"" STR_FMT "\" in \"" STR_FMT "\"",
                   STR_ARG(kind), STR_ARG(api_version));
}

bool resource_name_ok(struct str name, struct err *e)
{
    bool is_dots = str_is(name, ".") || str_is(name, "..");
    if (!is_dots && str_find(name, '/', 0) == name.len && str_find(name, '%', 0) == name.len)
        return true;
    err_set(e, ERR_INVALID, "\"" STR_FMT "\" is not a name: it may not be . or .., or hold / or %%",
            STR_ARG(str_slice(name, 0, 100)));
    return false;
}

struct str resource_escape(struct cli *c, struct str part)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    struct buf out;
    buf_init(&out, PART_MAX);
    for (size_t i = 0; i < part.len; i++)
        if (part.at[i] != '\0' && strchr(plain, part.at[i]) != NULL)
            buf_add_char(&out, part.at[i]);
        else
            buf_printf(&out, "%%%02X", (unsigned char)part.at[i]);
    struct str text = arena_str(&c->arena, buf_str(&out));
    buf_free(&out);
    return text;
}

const char *resource_path(struct cli *c, const struct resource *r, struct str namespace,
                          struct str name)
{
    bool is_core = str_find(r->group_version, '/', 0) == r->group_version.len;
    struct str where = {"", 0};
    if (r->namespaced && namespace.len > 0)
        where =
            arena_printf(&c->arena, "/namespaces/" STR_FMT, STR_ARG(resource_escape(c, namespace)));
    name = resource_escape(c, name);
    return arena_printf(&c->arena, "/%s/" STR_FMT STR_FMT "/" STR_FMT "%s" STR_FMT,
                        is_core ? "api" : "apis", STR_ARG(r->group_version), STR_ARG(where),
                        STR_ARG(r->plural), name.len > 0 ? "/" : "", STR_ARG(name))
        .at;
}

enum err_code resource_parse(struct cli *c, const char *text, struct resource *out,
                             struct str *out_name, struct err *e)
{
    struct str whole = str_of(text);
    size_t slash = str_find(whole, '/', 0);
    if (slash == 0 || slash + 1 >= whole.len)
        return err_set(e, ERR_INVALID, "\"%s\" is not KIND/NAME, as in pod/web or vmi/db", text);
    *out_name = str_slice(whole, slash + 1, whole.len);
    if (!resource_name_ok(*out_name, e))
        return e->code;
    return resource_find(c, str_slice(whole, 0, slash), out, e);
}

static enum err_code get_one(struct cli *c, const struct resource *r, struct str name,
                             const struct json **out, struct err *e)
{
    const char *path = resource_path(c, r, str_of(cli_namespace(c)), name);
    return client_json(c->client, &c->arena, &(struct client_request){.path = path}, out, e);
}

enum err_code workload_get(struct cli *c, const char *text, struct resource *out,
                           const struct json **out_object, struct err *e)
{
    static const struct resource kinds[] = {
        {STR("v1"), STR("pods"), STR("Pod"), true},
        {STR("kubevirt.io/v1"), STR("virtualmachineinstances"), STR("VirtualMachineInstance"),
         true},
    };
    struct str name = str_of(text);

    if (cli_client(c, e) == NULL)
        return e->code;
    if (strchr(text, '/') != NULL) {
        enum err_code code = resource_parse(c, text, out, &name, e);
        return code == ERR_OK ? get_one(c, out, name, out_object, e) : code;
    }
    for (uint32_t i = 0; i < COUNT_OF(kinds); i++) {
        *out = kinds[i];
        enum err_code code = get_one(c, out, name, out_object, e);
        if (code != ERR_NOT_FOUND)
            return code;
    }
    return err_set(e, ERR_NOT_FOUND,
                   "no pod and no virtual machine is called \"%s\" in namespace %s", text,
                   cli_namespace(c));
}
