/* SPDX-License-Identifier: Apache-2.0 */
/* What every kind's rules call: memory for what is added, what is remarked, an object as bytes. */
#include "api/kinds_priv.h"
#include "api/transcode.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const struct schema_kind *kind_schema(const struct kind *k)
{
    struct str plural = str_of(k->plural), group = str_of(k->group);
    for (uint32_t i = 0; i < schema_kinds_count; i++)
        if (str_eq(schema_kinds[i].plural, plural) && str_eq(schema_kinds[i].group, group))
            return &schema_kinds[i];
    return NULL;
}

void kind_call_init(struct kind_call *c, struct arena *a, enum kind_write write, struct wall wall,
                    uint64_t random)
{
    *c = (struct kind_call){.arena = a, .wall = wall, .random = random, .write = write};
    causes_init(&c->causes, a);
}

void kind_warn(struct kind_call *c, const struct field *f, const char *fmt, ...)
{
    if (c->warnings_count == KIND_WARNINGS_MAX)
        return;
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct str path = field_print(f, c->arena);
    c->warnings[c->warnings_count++] =
        arena_printf(c->arena, STR_FMT "%s%s", STR_ARG(path), path.len == 0 ? "" : ": ", text);
}

void kind_deny(struct kind_call *c, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (c->denied.len == 0)
        c->denied = arena_str(c->arena, str_of(text));
}

void *kind_new(struct arena *a, const ProtobufCMessageDescriptor *type)
{
    void *at = arena_alloc(a, type->sizeof_message);
    if (at != NULL)
        protobuf_c_message_init(type, at);
    return at;
}

void *kind_grow(struct arena *a, const void *list, size_t count, size_t more)
{
    void **at = arena_zalloc(a, count + more, sizeof *at);
    if (at != NULL && count > 0)
        memcpy(at, list, count * sizeof *at);
    return at;
}

/* Where an object keeps the sub-message of that name; NULL: it has none such. */
ProtobufCMessage **kind__part(const ProtobufCMessage *object, const char *name)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(object->descriptor, name);
    if (f == NULL || f->type != PROTOBUF_C_TYPE_MESSAGE)
        return NULL;
    return (ProtobufCMessage **)(void *)((char *)(uintptr_t)object + f->offset);
}

const Meta__ObjectMeta *kind_meta_get(const ProtobufCMessage *object)
{
    ProtobufCMessage **at = object == NULL ? NULL : kind__part(object, "metadata");
    return at == NULL ? NULL : (const Meta__ObjectMeta *)*at;
}

struct str kind_bytes(const ProtobufCMessage *m, struct arena *a)
{
    if (m == NULL)
        return STR("");
    size_t len = protobuf_c_message_get_packed_size(m);
    uint8_t *at = arena_alloc(a, len + 1);
    if (at != NULL)
        protobuf_c_message_pack(m, at);
    return str_from(at, at == NULL ? 0 : len);
}

/* ------------------------------------------------------------------ twins */

static int by_key_and_place(const void *a, const void *b)
{
    const struct str *const *x = a, *const *y = b;
    int order = str_cmp(**x, **y);
    return order != 0 ? order : *x < *y ? -1 : *x > *y;
}

const size_t *kind_twins(struct arena *a, const struct str *keys, size_t count)
{
    size_t *first = arena_zalloc(a, count + 1, sizeof *first);
    const struct str **sorted = arena_zalloc(a, count + 1, sizeof *sorted);
    if (first == NULL || sorted == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &keys[i];
    qsort(sorted, count, sizeof *sorted, by_key_and_place);
    for (size_t i = 0; i < count; i++) {
        bool again = i > 0 && str_eq(*sorted[i], *sorted[i - 1]);
        size_t at = (size_t)(sorted[i] - keys);
        first[at] = again ? first[sorted[i - 1] - keys] : at;
    }
    return first;
}
