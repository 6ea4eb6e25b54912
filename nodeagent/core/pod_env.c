/* SPDX-License-Identifier: Apache-2.0 */
/* A container's arguments and environment: the image's, the pod's, what they refer to, $(NAME). */
#include "nodeagent/core/agent_priv.h"
#include "nodeagent/core/devices.h"
#include "proto/k8s/runtime.pb-c.h"

#include <stdio.h>

static ProtobufCMessage *dependency(struct agent_turn *t, const struct workload *w,
                                    const char *plural, struct str name,
                                    const ProtobufCMessageDescriptor *type)
{
    for (size_t i = 0; i < w->assign->n_dependencies; i++) {
        const Agent__Dependency *d = w->assign->dependencies[i];
        if (str_is(str_of(d->plural), plural) && str_eq(str_of(d->name), name))
            return typed_open(&t->arena, type, str_from(d->object.data, d->object.len));
    }
    return NULL;
}

Core__ConfigMap *pod_config_map(struct agent_turn *t, const struct workload *w, struct str name)
{
    return (Core__ConfigMap *)dependency(t, w, "configmaps", name, &core__config_map__descriptor);
}

Core__Secret *pod_secret(struct agent_turn *t, const struct workload *w, struct str name)
{
    return (Core__Secret *)dependency(t, w, "secrets", name, &core__secret__descriptor);
}

/* metadata.labels['x'] and metadata.annotations['x'] */
static bool keyed(struct str path, struct str prefix, struct str *out_key)
{
    if (!str_starts(path, prefix) || !str_ends(path, STR("']")) || path.len < prefix.len + 2)
        return false;
    *out_key = str_slice(path, prefix.len, path.len - 2);
    return true;
}

/* EnvVarSource.fieldRef: what the downward API offers. */
bool pod_field(struct agent_turn *t, const struct workload *w, struct str path, struct str *out)
{
    const Meta__ObjectMeta *m = w->pod->metadata;
    const Baton__PlacementSpec *p = w->placement->spec;
    struct str key, host_ip = t->agent->config.host_ip;
    struct str ip = p->n_addresses > 0 ? str_of(p->addresses[0]->ip) : host_ip;
    const struct {
        const char *path;
        struct str value;
    } fields[] = {
        {"metadata.name", str_of(m->name)},
        {"metadata.namespace", str_of(m->namespace_)},
        {"metadata.uid", str_of(m->uid)},
        {"spec.nodeName", t->agent->config.node_name},
        {"spec.serviceAccountName", str_of(w->pod->spec->service_account_name)},
        {"status.hostIP", host_ip},
        {"status.hostIPs", host_ip},
        {"status.podIP", ip},
        {"status.podIPs", ip},
    };
    for (uint32_t i = 0; i < COUNT_OF(fields); i++)
        if (str_is(path, fields[i].path))
            return *out = fields[i].value, true;
    if (keyed(path, STR("metadata.labels['"), &key)) {
        for (size_t i = 0; i < m->n_labels; i++)
            if (str_eq(key, str_of(m->labels[i]->key)))
                return *out = str_of(m->labels[i]->value), true;
        return *out = STR(""), true;
    }
    if (keyed(path, STR("metadata.annotations['"), &key)) {
        for (size_t i = 0; i < m->n_annotations; i++)
            if (str_eq(key, str_of(m->annotations[i]->key)))
                return *out = str_of(m->annotations[i]->value), true;
        return *out = STR(""), true;
    }
    return false;
}

struct environment {
    struct agent_turn *turn;
    const struct workload *workload;
    struct str *at; /* NAME=value */
    uint32_t count;
    char *text;
    size_t size;
};

static bool put(struct environment *e, struct str name, struct str value)
{
    struct str line =
        arena_printf(&e->turn->arena, STR_FMT "=" STR_FMT, STR_ARG(name), STR_ARG(value));
    struct str prefix = str_slice(line, 0, name.len + 1);
    for (uint32_t i = 0; i < e->count; i++)
        if (str_starts(e->at[i], prefix))
            return e->at[i] = line, true;
    if (e->count == RUNTIME_ARGS_MAX)
        return snprintf(e->text, e->size, "more than %d environment variables", RUNTIME_ARGS_MAX),
               false;
    e->at[e->count++] = line;
    return true;
}

static bool find(const struct environment *e, struct str name, struct str *out)
{
    for (uint32_t i = 0; i < e->count; i++) {
        size_t eq = str_find(e->at[i], '=', 0);
        if (str_eq(str_slice(e->at[i], 0, eq), name))
            return *out = str_slice(e->at[i], eq + 1, e->at[i].len), true;
    }
    return false;
}

/* $(NAME) becomes its value, $$ a dollar; what is not known stays as it is (Container.args). */
static struct str expand(const struct environment *e, struct str s)
{
    struct buf out;
    buf_init(&out, 128 << 10);
    for (size_t i = 0; i < s.len; i++) {
        size_t end = str_find(s, ')', i);
        struct str value;
        if (s.at[i] == '$' && i + 1 < s.len && s.at[i + 1] == '$') {
            buf_add_char(&out, '$');
            i++;
        } else if (s.at[i] == '$' && i + 1 < s.len && s.at[i + 1] == '(' && end < s.len &&
                   find(e, str_slice(s, i + 2, end), &value)) {
            buf_add(&out, value);
            i = end;
        } else {
            buf_add_char(&out, s.at[i]);
        }
    }
    struct str result = arena_str(&e->turn->arena, buf_str(&out));
    buf_free(&out);
    return result.at == NULL ? STR("") : result;
}

static bool missing(struct environment *e, const char *what, struct str name, struct str key)
{
    if (key.len == 0)
        snprintf(e->text, e->size, "%s \"" STR_FMT "\" not found", what, STR_ARG(name));
    else
        snprintf(e->text, e->size, "couldn't find key " STR_FMT " in %s " STR_FMT, STR_ARG(key),
                 what, STR_ARG(name));
    return false;
}

static bool from_config_map(struct environment *e, struct str env,
                            const Core__ConfigMapKeySelector *s)
{
    struct str name = str_of(pod_ref_name(s->local_object_reference));
    const Core__ConfigMap *cm = pod_config_map(e->turn, e->workload, name);
    for (size_t i = 0; cm != NULL && i < cm->n_data; i++)
        if (str_eq(str_of(cm->data[i]->key), str_of(s->key)))
            return put(e, env, str_of(cm->data[i]->value));
    if (s->optional)
        return true;
    return missing(e, "configmap", name, cm == NULL ? STR("") : str_of(s->key));
}

static bool from_secret(struct environment *e, struct str env, const Core__SecretKeySelector *s)
{
    struct str name = str_of(pod_ref_name(s->local_object_reference));
    const Core__Secret *secret = pod_secret(e->turn, e->workload, name);
    for (size_t i = 0; secret != NULL && i < secret->n_data; i++)
        if (str_eq(str_of(secret->data[i]->key), str_of(s->key)))
            return put(e, env, str_from(secret->data[i]->value.data, secret->data[i]->value.len));
    if (s->optional)
        return true;
    return missing(e, "secret", name, secret == NULL ? STR("") : str_of(s->key));
}

static bool put_prefixed(struct environment *e, const char *prefix, const char *key,
                         struct str value)
{
    return put(e, arena_printf(&e->turn->arena, "%s%s", prefix == NULL ? "" : prefix, key), value);
}

static bool all_of_config_map(struct environment *e, const char *prefix,
                              const Core__ConfigMapEnvSource *s)
{
    const char *name = pod_ref_name(s->local_object_reference);
    const Core__ConfigMap *cm = pod_config_map(e->turn, e->workload, str_of(name));
    if (cm == NULL)
        return s->optional || missing(e, "configmap", str_of(name), STR(""));
    for (size_t i = 0; i < cm->n_data; i++)
        if (!put_prefixed(e, prefix, cm->data[i]->key, str_of(cm->data[i]->value)))
            return false;
    return true;
}

static bool all_of_secret(struct environment *e, const char *prefix, const Core__SecretEnvSource *s)
{
    const char *name = pod_ref_name(s->local_object_reference);
    const Core__Secret *secret = pod_secret(e->turn, e->workload, str_of(name));
    if (secret == NULL)
        return s->optional || missing(e, "secret", str_of(name), STR(""));
    for (size_t i = 0; i < secret->n_data; i++) {
        const ProtobufCBinaryData *value = &secret->data[i]->value;
        if (!put_prefixed(e, prefix, secret->data[i]->key, str_from(value->data, value->len)))
            return false;
    }
    return true;
}

static bool from_all(struct environment *e, const Core__EnvFromSource *s)
{
    return (s->config_map_ref == NULL || all_of_config_map(e, s->prefix, s->config_map_ref)) &&
           (s->secret_ref == NULL || all_of_secret(e, s->prefix, s->secret_ref));
}

static bool one(struct environment *e, const Core__EnvVar *v)
{
    struct str name = str_of(v->name), value;
    if (v->value_from == NULL)
        return put(e, name, expand(e, str_of(v->value)));
    if (v->value_from->config_map_key_ref != NULL)
        return from_config_map(e, name, v->value_from->config_map_key_ref);
    if (v->value_from->secret_key_ref != NULL)
        return from_secret(e, name, v->value_from->secret_key_ref);
    if (v->value_from->field_ref != NULL &&
        pod_field(e->turn, e->workload, str_of(v->value_from->field_ref->field_path), &value))
        return put(e, name, value);
    return snprintf(e->text, e->size, "env %s: this source is not supported yet", v->name), false;
}

static bool arguments(const struct environment *e, const Core__Container *c,
                      const struct agent_image *image, struct runtime_container *out)
{
    size_t entry = c->n_command > 0 ? c->n_command : image->entrypoint_count;
    size_t rest = c->n_args > 0 ? c->n_args : c->n_command > 0 ? 0 : image->cmd_count;
    if (entry + rest == 0)
        return snprintf(e->text, e->size, "no command specified"), false;
    if (entry + rest > RUNTIME_ARGS_MAX)
        return snprintf(e->text, e->size, "more than %d arguments", RUNTIME_ARGS_MAX), false;
    struct str *args = arena_zalloc(&e->turn->arena, entry + rest, sizeof *args);
    CHECK(args != NULL);
    for (size_t i = 0; i < entry; i++)
        args[i] = c->n_command > 0 ? expand(e, str_of(c->command[i])) : image->entrypoint[i];
    for (size_t i = 0; i < rest; i++)
        args[entry + i] = c->n_args > 0 ? expand(e, str_of(c->args[i])) : image->cmd[i];
    out->args = args;
    out->args_count = (uint32_t)(entry + rest);
    return true;
}

bool pod_env(struct agent_turn *t, const struct workload *w, const Core__Container *c,
             const struct agent_image *image, struct runtime_container *out, char *text,
             size_t size)
{
    struct environment e = {.turn = t, .workload = w, .text = text, .size = size};
    e.at = arena_zalloc(&t->arena, RUNTIME_ARGS_MAX, sizeof *e.at);
    CHECK(e.at != NULL);
    bool ok =
        put(&e, STR("PATH"), STR("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")) &&
        put(&e, STR("HOSTNAME"), out->hostname);
    struct pod_variable v[2];
    for (size_t i = 0; ok && c->resources != NULL && i < c->resources->n_limits; i++) {
        if (pod_device_variable(t, w, c, i, v))
            ok = put(&e, v[0].name, v[0].value);
        if (ok && pod_part_variables(t, w, c, i, v))
            ok = put(&e, v[0].name, v[0].value) && put(&e, v[1].name, v[1].value);
    }
    for (uint32_t i = 0; ok && i < image->env_count; i++) {
        size_t eq = str_find(image->env[i], '=', 0);
        ok = put(&e, str_slice(image->env[i], 0, eq),
                 str_slice(image->env[i], eq + 1, image->env[i].len));
    }
    for (size_t i = 0; ok && i < c->n_env_from; i++)
        ok = from_all(&e, c->env_from[i]);
    for (size_t i = 0; ok && i < c->n_env; i++)
        ok = one(&e, c->env[i]);
    out->env = e.at;
    out->env_count = e.count;
    return ok && arguments(&e, c, image, out);
}
