/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What opens the registries of a pod's images: its imagePullSecrets, in their order. Of a Secret's document
 * only "auths" is handed on: "credHelpers" and "credsStore" would name programs that run as root here.
 */
#include "base/json.h"
#include "nodeagent/core/agent_priv.h"

static struct str data_of(const Core__Secret *s, const char *key)
{
    for (size_t i = 0; i < s->n_data; i++)
        if (str_is(str_of(s->data[i]->key), key))
            return str_from(s->data[i]->value.data, s->data[i]->value.len);
    return (struct str){NULL, 0};
}

/* {"auths": ...} of either type of Secret; empty when it holds none. */
static struct str auths_of(struct agent_turn *t, const Core__Secret *s)
{
    bool older = str_is(str_of(s->type), "kubernetes.io/dockercfg");
    struct str text = data_of(s, older ? ".dockercfg" : ".dockerconfigjson"), out = {"", 0};
    struct json *document;
    struct err e;
    struct buf printed;

    if (text.len == 0 || json_parse(&t->arena, text, &document, &e) != ERR_OK)
        return out;
    const struct json *auths = older ? document : json_find(document, STR("auths"));
    if (auths == NULL || auths->type != JSON_OBJECT)
        return out;
    buf_init(&printed, AGENT_MESSAGE_MAX);
    buf_add(&printed, STR("{\"auths\":"));
    json_print(&printed, auths);
    buf_add_char(&printed, '}');
    if (buf_status(&printed, &e) == ERR_OK)
        out = arena_str(&t->arena, buf_str(&printed));
    buf_free(&printed);
    return out;
}

void pod_pull_secrets(struct agent_turn *t, const struct workload *w, struct agent_fx_image *out)
{
    const Core__PodSpec *spec = w->pod->spec;
    struct str *auths = arena_zalloc(&t->arena, AGENT_PULL_SECRETS_MAX, sizeof *auths);
    for (size_t i = 0; auths != NULL && i < spec->n_image_pull_secrets; i++) {
        const char *name = pod_ref_name(spec->image_pull_secrets[i]);
        const Core__Secret *s = pod_secret(t, w, str_of(name));
        struct str auth = s == NULL ? (struct str){"", 0} : auths_of(t, s);
        if (auth.len == 0 || out->auths_count == AGENT_PULL_SECRETS_MAX)
            out->secret_unused = arena_dup(&t->arena, str_of(name));
        else
            auths[out->auths_count++] = auth;
    }
    out->auths = auths;
}
