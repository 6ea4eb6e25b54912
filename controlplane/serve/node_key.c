/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/node_key.h"

#include "api/kinds.h"
#include "api/typed.h"
#include "controlplane/core/cluster.h"
#include "proto/k8s/core_v1.pb-c.h"

enum { SECRET_ARENA_MAX = 4 << 20 };

static const char prefix[] = CLUSTER_BINDING;
static const char type_name[] = "baton.dev/node-key";
static const char entry_name[] = "fingerprint";

static struct str secret_name(struct str node, char out[sizeof prefix + NODE_NAME_MAX])
{
    memcpy(out, prefix, sizeof prefix - 1);
    str_put(out + sizeof prefix - 1, node);
    return str_from(out, sizeof prefix - 1 + node.len);
}

bool node_key_print(struct str node, char out[INDEX_KEY_MAX + 1], size_t *out_len)
{
    char name[sizeof prefix + NODE_NAME_MAX];

    if (node.len == 0 || node.len > NODE_NAME_MAX || name_subdomain(node).count > 0)
        return false;
    *out_len = index_key_print(&(struct index_key){.group = STR(""),
                                                   .plural = STR("secrets"),
                                                   .namespace = STR("kube-system"),
                                                   .name = secret_name(node, name)},
                               out);
    return *out_len > 0;
}

static struct str fingerprint_of(const Core__Secret *secret)
{
    for (size_t i = 0; i < secret->n_data; i++)
        if (str_is(kind_str(secret->data[i]->key), entry_name))
            return str_from(secret->data[i]->value.data, secret->data[i]->value.len);
    return (struct str){NULL, 0};
}

struct str node_key_find(const struct index_snapshot *objects, struct str node, struct arena *a)
{
    char key[INDEX_KEY_MAX + 1];
    size_t len;
    struct cow_entry *entry =
        node_key_print(node, key, &len) ? index_find(objects, str_from(key, len)) : NULL;
    const Core__Secret *secret =
        entry == NULL ? NULL : typed_open(a, &core__secret__descriptor, blob_str(entry->value));

    if (secret == NULL || !str_is(kind_str(secret->type), type_name))
        return (struct str){NULL, 0};
    return fingerprint_of(secret);
}

bool node_key_is(const struct index_snapshot *objects, struct str node, struct str fingerprint)
{
    struct arena arena;

    arena_init(&arena, SECRET_ARENA_MAX);
    struct str bound = node_key_find(objects, node, &arena);
    bool same = bound.len > 0 && str_eq(bound, fingerprint);
    arena_free(&arena);
    return same;
}

struct blob *node_key_object(struct str node, struct str fingerprint)
{
    char name[sizeof prefix + NODE_NAME_MAX];
    Core__Secret secret = CORE__SECRET__INIT;
    Core__Secret__DataEntry entry = CORE__SECRET__DATA_ENTRY__INIT, *entries = &entry;
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    struct arena arena;

    arena_init(&arena, SECRET_ARENA_MAX);
    meta.name = arena_dup(&arena, secret_name(node, name));
    meta.namespace_ = (char *)(uintptr_t) "kube-system";
    entry.key = (char *)(uintptr_t)entry_name;
    entry.has_value = true;
    entry.value = (ProtobufCBinaryData){fingerprint.len, (uint8_t *)(uintptr_t)fingerprint.at};
    secret.metadata = &meta;
    secret.data = &entries;
    secret.n_data = 1;
    secret.type = (char *)(uintptr_t)type_name;
    struct blob *object = blob_new(typed_wrap(&arena, "v1", "Secret", &secret));
    arena_free(&arena);
    return object;
}
