/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/kubeconfig.h"

#include "api/yaml.h"
#include "base/base64.h"
#include "io/fs.h"

enum { FILE_MAX = 4 << 20 };

/* The entry of that name in a list of {name, KEY: {...}}; its KEY. */
static const struct json *named(const struct json *root, const char *list, struct str name,
                                const char *key)
{
    const struct json *entries = json_find(root, str_of(list));
    for (const struct json *one = entries == NULL ? NULL : entries->first; one != NULL;
         one = one->next)
        if (str_eq(json_text(json_find(one, STR("name"))), name))
            return json_find(one, str_of(key));
    return NULL;
}

static enum err_code read_file(struct arena *a, const char *path, struct str *out, struct err *e)
{
    struct buf content;
    buf_init(&content, FILE_MAX);
    enum err_code code = fs_read(path, &content, e);
    if (code == ERR_OK)
        *out = arena_str(a, buf_str(&content));
    buf_free(&content);
    return code;
}

/* KEY-data holds base64; KEY names a file, beside the kubeconfig when it is relative. */
static enum err_code read_pem(struct arena *a, const struct json *from, const char *key,
                              const char *config, struct str *out, struct err *e)
{
    struct str data = json_text(json_find(from, arena_printf(a, "%s-data", key)));
    struct str path = json_text(json_find(from, str_of(key)));

    if (data.len > 0) {
        char *pem = arena_alloc(a, base64_decoded_max(data.len));
        if (pem == NULL || base64_decode(data, pem, &out->len) != ERR_OK)
            return err_set(e, ERR_INVALID, "%s: %s-data is not base64", config, key);
        out->at = pem;
        return ERR_OK;
    }
    if (path.len == 0)
        return ERR_OK;
    const char *slash = strrchr(config, '/');
    struct str full = path;
    if (path.at[0] != '/' && slash != NULL)
        full = arena_printf(a, STR_FMT "/" STR_FMT, (int)(slash - config), config, STR_ARG(path));
    return read_file(a, arena_dup(a, full), out, e);
}

static enum err_code read_server(struct arena *a, const char *config, struct kubeconfig *out,
                                 struct err *e)
{
    struct str rest = out->server;
    uint64_t port = 443;

    if (!str_starts(rest, STR("https://")))
        return err_set(e, ERR_INVALID, "%s: server is not an https:// address", config);
    rest = str_slice(rest, 8, rest.len);
    rest = str_slice(rest, 0, str_find(rest, '/', 0));
    size_t colon = rest.len;
    while (colon > 0 && rest.at[colon - 1] != ':' && rest.at[colon - 1] != ']')
        colon--;
    if (colon > 0 && rest.at[colon - 1] == ':') {
        if (str_parse_u64(str_slice(rest, colon, rest.len), &port) != ERR_OK || port == 0 ||
            port > 65535)
            return err_set(e, ERR_INVALID, "%s: server has no port between 1 and 65535", config);
        rest = str_slice(rest, 0, colon - 1);
    }
    if (rest.len > 2 && rest.at[0] == '[')
        rest = str_slice(rest, 1, rest.len - 1);
    out->host = arena_dup(a, rest);
    out->port = (uint16_t)port;
    return rest.len > 0 ? ERR_OK : err_set(e, ERR_INVALID, "%s: server names no host", config);
}

static enum err_code read_context(struct arena *a, const char *path, const struct json *root,
                                  struct kubeconfig *out, struct err *e)
{
    struct str current = json_text(json_find(root, STR("current-context")));
    const struct json *context = named(root, "contexts", current, "context");
    const struct json *cluster =
        named(root, "clusters", json_text(json_find(context, STR("cluster"))), "cluster");
    const struct json *user =
        named(root, "users", json_text(json_find(context, STR("user"))), "user");

    if (context == NULL || cluster == NULL)
        return err_set(e, ERR_INVALID,
                       "%s: there is no context \"" STR_FMT
                       "\" (current-context), or no cluster for it",
                       path, STR_ARG(current));
    if (json_find(user, STR("exec")) != NULL || json_find(user, STR("auth-provider")) != NULL)
        return err_set(e, ERR_INVALID, "%s: exec and auth-provider are not supported", path);
    out->server = json_text(json_find(cluster, STR("server")));
    out->namespace = json_text(json_find(context, STR("namespace")));
    out->token = json_text(json_find(user, STR("token")));

    enum err_code code = read_server(a, path, out, e);
    if (code == ERR_OK)
        code = read_pem(a, cluster, "certificate-authority", path, &out->ca, e);
    if (code == ERR_OK)
        code = read_pem(a, user, "client-certificate", path, &out->cert, e);
    if (code == ERR_OK)
        code = read_pem(a, user, "client-key", path, &out->key, e);
    if (code == ERR_OK && out->ca.len == 0)
        code = err_set(e, ERR_INVALID, "%s: the cluster has no certificate-authority", path);
    return code;
}

enum err_code kubeconfig_read(struct arena *a, const char *path, struct kubeconfig *out,
                              struct err *e)
{
    struct json **documents = arena_zalloc(a, YAML_DOCUMENTS_MAX, sizeof *documents);
    struct kubeconfig got = {0};
    struct str text;
    uint32_t count;

    if (documents == NULL)
        return arena_status(a, e);
    enum err_code code = read_file(a, path, &text, e);
    if (code == ERR_NOT_FOUND)
        err_set(e, code, "there is no kubeconfig %s%s: say --kubeconfig FILE, or set KUBECONFIG",
                path, strchr(path, ':') == NULL ? "" : " (one file, not a list of them)");
    if (code == ERR_OK && yaml_parse(a, text, documents, &count, e) != ERR_OK)
        code = err_wrap(e, "%s", path);
    else if (code == ERR_OK && count == 0)
        code = err_set(e, ERR_INVALID, "%s is empty", path);
    if (code == ERR_OK)
        code = read_context(a, path, documents[0], &got, e);
    if (code == ERR_OK)
        code = arena_status(a, e);
    if (code == ERR_OK)
        *out = got;
    return code;
}
