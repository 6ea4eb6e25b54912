/* SPDX-License-Identifier: Apache-2.0 */
/* ConfigMap, Secret and ServiceAccount: data that pods use. */
#include "api/kinds_priv.h"
#include "base/buf.h"

enum { DATA_BYTES_MAX = 1 << 20 }; /* Keys are not counted (Kubernetes: MaxSecretSize). */

static struct kind_cell count_cell(size_t count)
{
    return (struct kind_cell){.number = (int64_t)count, .is_number = true};
}

static void too_long(struct kind_call *c, const struct field *f)
{
    causes_add(&c->causes, CAUSE_TOO_LONG, f, "may not be more than %d bytes", DATA_BYTES_MAX);
}

static void fixed_when_immutable(struct kind_call *c, const char *name)
{
    struct field f = field_name(NULL, name);
    causes_add(&c->causes, CAUSE_FORBIDDEN, &f, "field is immutable when `immutable` is set");
}

/* ------------------------------------------------------------------ ConfigMap */

static void config_map_unchanged(struct kind_call *c, const Core__ConfigMap *m,
                                 const Core__ConfigMap *old)
{
    if (!old->has_immutable || !old->immutable)
        return;
    Core__ConfigMap now = *m, was = *old;
    if (!m->has_immutable || !m->immutable)
        fixed_when_immutable(c, "immutable");
    now.metadata = was.metadata = NULL;
    now.has_immutable = was.has_immutable = false;
    now.n_binary_data = was.n_binary_data = 0;
    if (!kind_same(&now.base, &was.base))
        fixed_when_immutable(c, "data");
    now = *m, was = *old;
    now.metadata = was.metadata = NULL;
    now.has_immutable = was.has_immutable = false;
    now.n_data = was.n_data = 0;
    if (!kind_same(&now.base, &was.base))
        fixed_when_immutable(c, "binaryData");
}

static bool config_map_in_both(const Core__ConfigMap *m, const char *key)
{
    return entry_find(m->binary_data, m->n_binary_data, key) < m->n_binary_data;
}

static void config_map_validate(struct kind_call *c, const ProtobufCMessage *object,
                                const ProtobufCMessage *old)
{
    const Core__ConfigMap *m = (const Core__ConfigMap *)object;
    struct field data = field_name(NULL, "data"), binary = field_name(NULL, "binaryData");
    size_t bytes = 0;
    for (size_t i = 0; i < m->n_data; i++) {
        struct str key = kind_str(m->data[i]->key);
        struct field f = field_key(&data, key);
        names_check(&c->causes, &f, key, name_config_key(key));
        if (config_map_in_both(m, key.at))
            causes_invalid(&c->causes, &f, key, "duplicate of key present in binaryData");
        bytes += kind_str(m->data[i]->value).len;
    }
    for (size_t i = 0; i < m->n_binary_data; i++) {
        struct str key = kind_str(m->binary_data[i]->key);
        struct field f = field_key(&binary, key);
        names_check(&c->causes, &f, key, name_config_key(key));
        bytes += m->binary_data[i]->value.len;
    }
    struct field whole = field_key(NULL, STR(""));
    if (bytes > DATA_BYTES_MAX)
        too_long(c, &whole);
    if (old != NULL)
        config_map_unchanged(c, m, (const Core__ConfigMap *)old);
}

static struct kind_cell config_map_cell(const void *object, struct str column, struct arena *a)
{
    const Core__ConfigMap *m = object;
    (void)column, (void)a;
    return count_cell(m->n_data + m->n_binary_data);
}

const struct kind kind_config_map = {
    .group = "",
    .plural = "configmaps",
    .name_rule = name_subdomain,
    .validate = config_map_validate,
    .cell = config_map_cell,
};

/* ------------------------------------------------------------------ Secret */

/* stringData is a way to write data without base64; it is never stored. Its values win. */
static void secret_take_strings(struct kind_call *c, Core__Secret *s)
{
    Core__Secret__DataEntry **data = kind_grow(c->arena, s->data, s->n_data, s->n_string_data);
    size_t sorted = s->n_data;
    if (data == NULL)
        return;
    for (size_t i = 0; i < s->n_string_data; i++) {
        struct str key = kind_str(s->string_data[i]->key);
        struct str value = kind_str(s->string_data[i]->value);
        size_t at = entry_find(data, sorted, key.at);
        at = at < sorted ? at : s->n_data; /* Behind the others: packing sorts them. */
        Core__Secret__DataEntry *entry = kind_new(c->arena, &core__secret__data_entry__descriptor);
        if (entry == NULL)
            return;
        entry->key = (char *)(uintptr_t)key.at;
        entry->has_value = true;
        entry->value = (ProtobufCBinaryData){value.len, (uint8_t *)(uintptr_t)value.at};
        data[at] = entry;
        s->n_data += at == s->n_data;
    }
    s->data = data;
    s->n_string_data = 0;
    s->string_data = NULL;
}

static void secret_prepare(struct kind_call *c, ProtobufCMessage *object,
                           const ProtobufCMessage *old)
{
    Core__Secret *s = (Core__Secret *)object;
    const Core__Secret *was = (const Core__Secret *)old;
    if (s->n_string_data > 0)
        secret_take_strings(c, s);
    default_text(&s->type, was != NULL && !is_empty(was->type) ? was->type : "Opaque");
}

/* Keys that a secret of a type must have; with any, one of them is enough. */
static const struct secret_rule {
    const char *type;
    const char *keys[2];
    bool any;
} secret_rules[] = {
    {"kubernetes.io/dockercfg", {".dockercfg"}, false},
    {"kubernetes.io/dockerconfigjson", {".dockerconfigjson"}, false},
    {"kubernetes.io/basic-auth", {"username", "password"}, true},
    {"kubernetes.io/ssh-auth", {"ssh-privatekey"}, false},
    {"kubernetes.io/tls", {"tls.crt", "tls.key"}, false},
};

static bool secret_has(const Core__Secret *s, const char *key)
{
    for (size_t i = 0; key != NULL && i < s->n_data; i++)
        if (is_text(s->data[i]->key, key))
            return true;
    return false;
}

static void secret_rule_check(struct kind_call *c, const Core__Secret *s,
                              const struct secret_rule *r)
{
    struct field data = field_name(NULL, "data");
    if (r->any && (secret_has(s, r->keys[0]) || secret_has(s, r->keys[1])))
        return;
    for (size_t i = 0; i < COUNT_OF(r->keys) && r->keys[i] != NULL; i++) {
        struct field f = field_key(&data, str_of(r->keys[i]));
        if (!secret_has(s, r->keys[i]))
            causes_add(&c->causes, CAUSE_REQUIRED, &f, "%s", "");
    }
}

static void secret_unchanged(struct kind_call *c, const Core__Secret *s, const Core__Secret *old)
{
    struct field type = field_name(NULL, "type");
    if (!is_text(s->type, kind_str(old->type).at))
        causes_invalid(&c->causes, &type, kind_str(s->type), "field is immutable");
    if (!old->has_immutable || !old->immutable)
        return;
    if (!s->has_immutable || !s->immutable)
        fixed_when_immutable(c, "immutable");
    Core__Secret now = *s, was = *old;
    now.metadata = was.metadata = NULL;
    now.type = was.type = NULL;
    now.has_immutable = was.has_immutable = false;
    if (!kind_same(&now.base, &was.base))
        fixed_when_immutable(c, "data");
}

static void secret_validate(struct kind_call *c, const ProtobufCMessage *object,
                            const ProtobufCMessage *old)
{
    const Core__Secret *s = (const Core__Secret *)object;
    struct field data = field_name(NULL, "data");
    size_t bytes = 0;
    for (size_t i = 0; i < s->n_data; i++) {
        struct str key = kind_str(s->data[i]->key);
        struct field f = field_key(&data, key);
        names_check(&c->causes, &f, key, name_config_key(key));
        bytes += s->data[i]->value.len;
    }
    if (bytes > DATA_BYTES_MAX)
        too_long(c, &data);
    for (size_t i = 0; i < COUNT_OF(secret_rules); i++)
        if (is_text(s->type, secret_rules[i].type))
            secret_rule_check(c, s, &secret_rules[i]);
    if (old != NULL)
        secret_unchanged(c, s, (const Core__Secret *)old);
}

static struct kind_cell secret_cell(const void *object, struct str column, struct arena *a)
{
    (void)column, (void)a;
    return count_cell(((const Core__Secret *)object)->n_data);
}

static const char *const secret_fields[] = {"type", NULL};

const struct kind kind_secret = {
    .group = "",
    .plural = "secrets",
    .name_rule = name_subdomain,
    .fields = secret_fields,
    .prepare = secret_prepare,
    .validate = secret_validate,
    .cell = secret_cell,
};

/* ------------------------------------------------------------------ ServiceAccount */

/* A reference to a secret is its name alone: it is in the same namespace. */
static void account_prepare(struct kind_call *c, ProtobufCMessage *object,
                            const ProtobufCMessage *old)
{
    Core__ServiceAccount *s = (Core__ServiceAccount *)object;
    (void)old;
    Core__ObjectReference **secrets = kind_grow(c->arena, NULL, 0, s->n_secrets);
    for (size_t i = 0; secrets != NULL && i < s->n_secrets; i++) {
        secrets[i] = kind_new(c->arena, &core__object_reference__descriptor);
        if (secrets[i] == NULL)
            return;
        secrets[i]->name = s->secrets[i]->name;
    }
    s->secrets = secrets;
}

static struct kind_cell account_cell(const void *object, struct str column, struct arena *a)
{
    (void)column, (void)a;
    return count_cell(((const Core__ServiceAccount *)object)->n_secrets);
}

const struct kind kind_service_account = {
    .group = "",
    .plural = "serviceaccounts",
    .name_rule = name_subdomain,
    .flags = KIND_DELETED_BODY,
    .prepare = account_prepare,
    .cell = account_cell,
};
