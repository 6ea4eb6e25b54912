/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/objects.h"

#include "api/quantity.h"
#include "base/check.h"
#include "base/mem.h"
#include "controlplane/core/core_priv.h"

struct str objects_pack(struct arena *a, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = arena_alloc(a, len + 1);
    if (bytes == NULL)
        return (struct str){NULL, 0};
    protobuf_c_message_pack(message, bytes);
    return str_from(bytes, len);
}

struct blob *objects_blob(const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    CHECK(len < UINT32_MAX);
    struct blob *bytes = blob_reserve((uint32_t)len);
    protobuf_c_message_pack(message, (uint8_t *)bytes->at);
    return bytes;
}

Meta__Time *objects_time(struct arena *a, struct wall at)
{
    Meta__Time *t = arena_alloc(a, sizeof *t);
    if (t == NULL)
        return NULL;
    meta__time__init(t);
    t->has_seconds = true;
    t->seconds = wall_seconds(at);
    return t;
}

/* How long the character is that begins there; 0: none does. */
static size_t character(struct str text, size_t at)
{
    enum { CHARACTER_MAX = 4 }; /* RFC 3629. */
    for (size_t len = 1; len <= CHARACTER_MAX && at + len <= text.len; len++)
        if (str_is_utf8(str_slice(text, at, at + len)))
            return len;
    return 0;
}

/* An object that holds what is no text is not stored: a message cut within a character would take with it all that is
 * told beside it. */
char *objects_text(struct arena *a, struct str text)
{
    char *copy = text.len == 0 ? NULL : arena_dup(a, text);
    if (copy == NULL || str_is_text(text))
        return copy;
    for (size_t at = 0, len; at < text.len; at += len == 0 ? 1 : len) {
        len = character(text, at);
        if (len == 0 || copy[at] == '\0')
            copy[at] = '?';
    }
    return copy;
}

static Resource__Quantity *quantity_of(struct arena *a, struct str text)
{
    Resource__Quantity *q = arena_alloc(a, sizeof *q);
    if (q == NULL)
        return NULL;
    resource__quantity__init(q);
    q->string = (char *)text.at;
    return q;
}

Resource__Quantity *objects_milli(struct arena *a, uint64_t milli)
{
    bool whole = milli % 1000 == 0;
    return quantity_of(a, arena_printf(a, whole ? "%llu" : "%llum",
                                       (unsigned long long)(whole ? milli / 1000 : milli)));
}

/* The canonical form: the largest binary unit that loses nothing. */
Resource__Quantity *objects_bytes(struct arena *a, uint64_t bytes)
{
    static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    uint32_t unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < COUNT_OF(units)) {
        bytes /= 1024;
        unit++;
    }
    return quantity_of(a, arena_printf(a, "%llu%s", (unsigned long long)bytes, units[unit]));
}

int64_t objects_units(const Resource__Quantity *q)
{
    struct quantity parsed;
    if (q == NULL || quantity_parse(str_of(q->string), &parsed, NULL) != ERR_OK)
        return 0;
    return quantity_units(&parsed);
}

int64_t objects_milli_of(const Resource__Quantity *q)
{
    struct quantity parsed;
    if (q == NULL || quantity_parse(str_of(q->string), &parsed, NULL) != ERR_OK)
        return 0;
    return quantity_milli(&parsed);
}

char *objects_keep(struct str text)
{
    char *copy = text.len == 0 ? NULL : mem_alloc(text.len + 1);
    if (copy == NULL)
        return NULL;
    str_put(copy, text);
    copy[text.len] = '\0';
    return copy;
}
