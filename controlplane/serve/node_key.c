/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/node_key.h"

#include "api/meta.h"
#include "api/names.h"
#include "base/wire.h"

/* Field numbers of k8s.io/api/core/v1 Secret and its map entries, ObjectMeta and runtime.Unknown. */
enum { SECRET_META = 1, SECRET_DATA = 2, SECRET_TYPE = 3, ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { META_NAME = 1, META_NAMESPACE = 3, UNKNOWN_TYPE = 1, UNKNOWN_RAW = 2 };
enum { TYPE_API_VERSION = 1, TYPE_KIND = 2, SECRET_SIZE_MAX = 4 << 10 };

static const char prefix[] = "node-key-";
static const char type_name[] = "baton.dev/node-key";

static struct str secret_name(struct str node, char out[sizeof prefix + NODE_NAME_MAX])
{
    memcpy(out, prefix, sizeof prefix - 1);
    memcpy(out + sizeof prefix - 1, node.at, node.len);
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

struct str node_key_find(const struct index_snapshot *objects, struct str node)
{
    char key[INDEX_KEY_MAX + 1];
    struct meta_type type;
    struct err e;
    size_t len;
    struct cow_entry *entry =
        node_key_print(node, key, &len) ? index_find(objects, str_from(key, len)) : NULL;

    if (entry == NULL || meta_type(blob_str(entry->value), &type, &e) != ERR_OK ||
        !str_is(wire_find_bytes(type.raw, SECRET_TYPE), type_name))
        return (struct str){NULL, 0};
    return wire_find_bytes(wire_find_bytes(type.raw, SECRET_DATA), ENTRY_VALUE);
}

bool node_key_is(const struct index_snapshot *objects, struct str node, struct str fingerprint)
{
    struct str bound = node_key_find(objects, node);
    return bound.len > 0 && str_eq(bound, fingerprint);
}

struct blob *node_key_object(struct str node, struct str fingerprint)
{
    char name[sizeof prefix + NODE_NAME_MAX];
    struct buf b;

    buf_init(&b, SECRET_SIZE_MAX);
    buf_add(&b, str_from("k8s\0", 4));
    size_t type = wire_begin(&b, UNKNOWN_TYPE);
    wire_put_bytes(&b, TYPE_API_VERSION, STR("v1"));
    wire_put_bytes(&b, TYPE_KIND, STR("Secret"));
    wire_end(&b, type);
    size_t raw = wire_begin(&b, UNKNOWN_RAW);
    size_t meta = wire_begin(&b, SECRET_META);
    wire_put_bytes(&b, META_NAME, secret_name(node, name));
    wire_put_bytes(&b, META_NAMESPACE, STR("kube-system"));
    wire_end(&b, meta);
    size_t entry = wire_begin(&b, SECRET_DATA);
    wire_put_bytes(&b, ENTRY_KEY, STR("fingerprint"));
    wire_put_bytes(&b, ENTRY_VALUE, fingerprint);
    wire_end(&b, entry);
    wire_put_bytes(&b, SECRET_TYPE, str_of(type_name));
    wire_end(&b, raw);
    return buf_blob(&b);
}
