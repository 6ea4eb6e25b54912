/* SPDX-License-Identifier: Apache-2.0 */
/* metadata.continue: where the next page of a list begins. Opaque to clients, but they show what is in it. */
#include "base/base64.h"
#include "base/json.h"
#include "controlplane/serve/rest_read.h"

/* RFC 4648 section 5, without padding: a token stands in a URL. */
static struct str url_text(struct arena *a, struct str plain, bool to_url)
{
    static const char standard[] = "+/", url[] = "-_";
    size_t pad = to_url ? 0 : (4 - plain.len % 4) % 4;
    char *at = arena_alloc(a, plain.len + pad + 1);
    size_t n = 0;
    for (size_t i = 0; at != NULL && i < plain.len; i++) {
        const char *from = to_url ? standard : url, *to = to_url ? url : standard;
        const char *hit = plain.at[i] == '\0' ? NULL : strchr(from, plain.at[i]);
        if (plain.at[i] != '=')
            at[n++] = hit == NULL ? plain.at[i] : to[hit - from];
    }
    for (; at != NULL && pad > 0; pad--)
        at[n++] = '=';
    return (struct str){at, n};
}

/* {"v":"meta.k8s.io/v1","rv":N,"start":"NAMESPACE/NAME"}: what Kubernetes' own clients show. */
struct str page_token(struct arena *a, struct str prefix, struct str key, uint64_t revision)
{
    struct str start = str_slice(key, prefix.len, key.len);
    struct buf json, out;
    buf_init(&json, 4096);
    buf_init(&out, 8192);
    buf_printf(&json, "{\"v\":\"meta.k8s.io/v1\",\"rv\":%lld,\"start\":",
               revision == 0 ? -1LL : (long long)revision);
    json_print_string(&json, start);
    buf_add_char(&json, '}');
    buf_add_base64(&out, buf_str(&json));
    struct str token = url_text(a, buf_str(&out), true);
    buf_free(&out);
    buf_free(&json);
    return token;
}

static bool refused(struct call *c, const char *why)
{
    return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                      "invalid continue token: continue key is not valid: %s", why);
}

bool page_token_parse(struct call *c, struct str token, struct str prefix, struct str *out_key,
                      uint64_t *out_revision)
{
    struct arena *a = &c->r->arena;
    struct json *tree;
    struct err e;
    int64_t revision;
    size_t len = 0;
    struct str plain = url_text(a, token, false);
    char *text = arena_alloc(a, base64_decoded_max(plain.len));
    if (text == NULL || base64_decode(plain, text, &len) != ERR_OK)
        return refused(c, "illegal base64 data");
    if (json_parse(a, str_from(text, len), &tree, &e) != ERR_OK)
        return refused(c, e.text);
    struct str start = json_text(json_find(tree, STR("start")));
    if (start.len == 0 || json_i64(json_find(tree, STR("rv")), &revision) != ERR_OK)
        return refused(c, "incorrect encoded start resourceVersion");
    *out_key = arena_printf(a, STR_FMT STR_FMT, STR_ARG(prefix), STR_ARG(start));
    *out_revision = revision < 0 ? 0 : (uint64_t)revision;
    return true;
}
