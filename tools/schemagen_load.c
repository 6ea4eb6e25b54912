/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers below are those of descriptor.proto, protobuf-c.proto and proto/baton/options.proto. */
#include "tools/schemagen.h"

#include "base/wire.h"

#include <stdlib.h>

enum { OPTION_KIND = 50000, OPTION_COLUMN, OPTION_SPECIAL, OPTION_TYPED };
enum {
    OPTION_PRESENCE = 50000,
    OPTION_ALWAYS,
    OPTION_INLINE,
    OPTION_PATCH_STRATEGY,
    OPTION_PATCH_MERGE_KEY,
    OPTION_VALUE,
    OPTION_REQUIRED,
    OPTION_HARMLESS
};

static void *gen_alloc(struct gen_model *m, size_t count, size_t size)
{
    void *at = arena_zalloc(&m->arena, count, size);
    if (at == NULL)
        gen_fail("the schema needs over %zu bytes", m->arena.limit);
    return at;
}

static uint32_t count_of(struct str message, uint32_t number)
{
    struct wire_reader r = wire_read(message);
    struct wire_field f;
    uint32_t count = 0;
    while (wire_next(&r, &f))
        count += f.number == number;
    if (r.broken)
        gen_fail("the descriptors are broken");
    return count;
}

static void load_kind(struct gen_kind *kind, struct str bytes)
{
    struct wire_reader r = wire_read(bytes);
    struct wire_field f;
    kind->is_set = true;
    while (wire_next(&r, &f)) {
        if (f.number == 1)
            kind->group = f.bytes;
        else if (f.number == 2)
            kind->version = f.bytes;
        else if (f.number == 3)
            kind->plural = f.bytes;
        else if (f.number == 4)
            kind->singular = f.bytes;
        else if (f.number == 5 && kind->short_names_count < COUNT_OF(kind->short_names))
            kind->short_names[kind->short_names_count++] = f.bytes;
        else if (f.number == 6 && kind->categories_count < COUNT_OF(kind->categories))
            kind->categories[kind->categories_count++] = f.bytes;
        else if (f.number == 7)
            kind->namespaced = f.value != 0;
        else if (f.number == 8)
            kind->status = f.value != 0;
        else if (f.number == 9)
            kind->read_only = f.value != 0;
        else if (f.number == 10)
            kind->create_only = f.value != 0;
        else
            gen_fail("unknown or too many values in a kind (option %u)", f.number);
    }
}

static void load_column(struct gen_column *column, struct str bytes)
{
    struct wire_reader r = wire_read(bytes);
    struct wire_field f;
    while (wire_next(&r, &f)) {
        if (f.number == 1)
            column->name = f.bytes;
        else if (f.number == 2)
            column->type = f.bytes;
        else if (f.number == 3)
            column->format = f.bytes;
        else if (f.number == 4)
            column->priority = f.value;
        else if (f.number == 5)
            column->path = f.bytes;
        else if (f.number == 6)
            column->age = f.value != 0;
    }
}

static void load_message_options(struct gen_message *message, struct str bytes)
{
    struct wire_reader r = wire_read(bytes);
    struct wire_field f;
    while (wire_next(&r, &f)) {
        if (f.number == 7) {
            message->is_map_entry = f.value != 0;
        } else if (f.number == OPTION_KIND) {
            load_kind(&message->kind, f.bytes);
        } else if (f.number == OPTION_COLUMN) {
            if (message->columns_count == GEN_COLUMNS_MAX)
                gen_fail(STR_FMT " has too many columns", STR_ARG(message->full));
            load_column(&message->columns[message->columns_count++], f.bytes);
        } else if (f.number == OPTION_SPECIAL) {
            message->special = f.value;
        } else if (f.number == OPTION_TYPED) {
            message->typed = f.value != 0;
        }
    }
}

static void load_field_options(struct gen_field *field, struct str bytes)
{
    struct wire_reader r = wire_read(bytes);
    struct wire_field f;
    while (wire_next(&r, &f)) {
        if (f.number == OPTION_PRESENCE) {
            field->presence = f.value != 0;
        } else if (f.number == OPTION_ALWAYS) {
            field->always = f.value != 0;
        } else if (f.number == OPTION_INLINE) {
            field->inlined = f.value != 0;
        } else if (f.number == OPTION_PATCH_STRATEGY) {
            field->patch_strategy = f.bytes;
        } else if (f.number == OPTION_PATCH_MERGE_KEY) {
            field->patch_merge_key = f.bytes;
        } else if (f.number == OPTION_REQUIRED) {
            field->required = f.value != 0;
        } else if (f.number == OPTION_VALUE) {
            if (field->values_count == GEN_VALUES_MAX)
                gen_fail(STR_FMT " has too many values", STR_ARG(field->name));
            field->values[field->values_count++] = f.bytes;
        } else if (f.number == OPTION_HARMLESS) {
            if (field->harmless_count == GEN_VALUES_MAX)
                gen_fail(STR_FMT " has too many values", STR_ARG(field->name));
            field->harmless[field->harmless_count++] = f.bytes;
        }
    }
}

static void load_field(struct gen_field *field, struct str bytes)
{
    struct wire_reader r = wire_read(bytes);
    struct wire_field f;
    while (wire_next(&r, &f)) {
        if (f.number == 1)
            field->name = f.bytes;
        else if (f.number == 3)
            field->number = (uint32_t)f.value;
        else if (f.number == 4)
            field->is_list = f.value == 3;
        else if (f.number == 5)
            field->type = (uint32_t)f.value;
        else if (f.number == 6)
            field->type_name = str_slice(f.bytes, 1, f.bytes.len); /* Without the first dot. */
        else if (f.number == 8)
            load_field_options(field, f.bytes);
        else if (f.number == 10)
            field->json = f.bytes;
    }
}

static int by_number(const void *a, const void *b)
{
    const struct gen_field *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static struct gen_message *load_message(struct gen_model *m, const struct gen_file *file,
                                        struct str scope, struct str bytes)
{
    struct gen_message *message = gen_alloc(m, 1, sizeof *message);
    struct wire_reader r = wire_read(bytes);
    struct wire_field f;

    message->name = wire_find_bytes(bytes, 1);
    message->full =
        arena_printf(&m->arena, STR_FMT "." STR_FMT, STR_ARG(scope), STR_ARG(message->name));
    message->c_package = file->c_package;
    message->fields = gen_alloc(m, count_of(bytes, 2) + 1, sizeof *message->fields);
    if (m->messages_count == GEN_MESSAGES_MAX)
        gen_fail("more than %d messages", GEN_MESSAGES_MAX);
    m->messages[m->messages_count++] = message;
    while (wire_next(&r, &f)) {
        if (f.number == 2)
            load_field(&message->fields[message->fields_count++], f.bytes);
        else if (f.number == 3)
            (void)load_message(m, file, message->full, f.bytes);
        else if (f.number == 7)
            load_message_options(message, f.bytes);
    }
    if (message->fields_count > GEN_FIELDS_MAX)
        gen_fail(STR_FMT " has too many fields", STR_ARG(message->full));
    return message;
}

/* A comment's lines as one, without the blanks around them. */
static struct str one_line(struct gen_model *m, struct str comment)
{
    char *copy = gen_alloc(m, comment.len + 1, 1);
    size_t len = 0;
    for (size_t i = 0; i < comment.len; i++) {
        char c = comment.at[i] == '\n' ? ' ' : comment.at[i];
        if (c != ' ' || (len > 0 && copy[len - 1] != ' '))
            copy[len++] = c;
    }
    return str_trim(str_from(copy, len));
}

/* SourceCodeInfo.Location: the comment above what path names, or behind it on its line. */
static void load_comment(struct gen_model *m, struct gen_message **top, uint32_t top_count,
                         struct str location)
{
    struct wire_reader path = wire_read(wire_find_bytes(location, 1));
    uint64_t at[4], step;
    uint32_t depth = 0;
    struct str text = wire_find_bytes(location, 3);
    if (text.at == NULL)
        text = wire_find_bytes(location, 4);
    if (text.at == NULL)
        return;
    while (wire_varint(&path, &step)) {
        if (depth == COUNT_OF(at))
            return;
        at[depth++] = step;
    }
    if (depth < 2 || at[0] != 4 || at[1] >= top_count)
        return;
    struct gen_message *message = top[at[1]];
    if (depth == 2)
        message->doc = one_line(m, text);
    else if (depth == 4 && at[2] == 2 && at[3] < message->fields_count)
        message->fields[at[3]].doc = one_line(m, text);
}

static void load_file_options(struct gen_file *file, struct str bytes)
{
    struct str protobuf_c = wire_find_bytes(bytes, 1019);
    struct wire_reader r = wire_read(protobuf_c);
    struct wire_field f;
    file->generated = protobuf_c.at != NULL;
    file->c_package = wire_find_bytes(protobuf_c, 6);
    while (wire_next(&r, &f)) {
        if (f.number == 1 && f.value != 0)
            file->generated = false;
    }
}

static void load_file(struct gen_model *m, struct str bytes)
{
    struct gen_file file = {.path = wire_find_bytes(bytes, 1),
                            .package = wire_find_bytes(bytes, 2)};
    load_file_options(&file, wire_find_bytes(bytes, 8));
    if (!file.generated)
        return;
    if (m->files_count == COUNT_OF(m->files))
        gen_fail("more than %zu files", COUNT_OF(m->files));
    m->files[m->files_count++] = file;

    struct gen_message **top = gen_alloc(m, count_of(bytes, 4) + 1, sizeof(struct gen_message *));
    uint32_t top_count = 0;
    struct wire_reader r = wire_read(bytes);
    struct wire_field f;
    while (wire_next(&r, &f)) {
        if (f.number == 4)
            top[top_count++] = load_message(m, &file, file.package, f.bytes);
    }
    r = wire_read(wire_find_bytes(bytes, 9));
    while (wire_next(&r, &f)) {
        if (f.number == 1)
            load_comment(m, top, top_count, f.bytes);
    }
}

static struct gen_message *find_message(const struct gen_model *m, struct str full)
{
    for (uint32_t i = 0; i < m->messages_count; i++) {
        if (str_eq(m->messages[i]->full, full))
            return m->messages[i];
    }
    gen_fail("no message " STR_FMT, STR_ARG(full));
}

/* A list of map entries becomes a map of the entries' value. */
static void resolve_field(const struct gen_model *m, struct gen_field *field)
{
    if (field->type != GEN_MESSAGE)
        return;
    field->message = find_message(m, field->type_name);
    if (!field->message->is_map_entry)
        return;
    const struct gen_field *key = &field->message->fields[0], *value = &field->message->fields[1];
    if (key->type != GEN_STRING)
        gen_fail(STR_FMT ": the keys of maps are texts", STR_ARG(field->message->full));
    field->is_map = true;
    field->is_list = false;
    field->type = value->type;
    field->message = value->type == GEN_MESSAGE ? find_message(m, value->type_name) : NULL;
}

static int by_entry_and_name(const void *a, const void *b)
{
    const struct gen_message *const *x = a, *const *y = b;
    if ((*x)->is_map_entry != (*y)->is_map_entry)
        return (*x)->is_map_entry ? 1 : -1;
    return str_cmp((*x)->full, (*y)->full);
}

void gen_load(struct gen_model *m, struct str descriptors)
{
    struct wire_reader r = wire_read(descriptors);
    struct wire_field f;
    while (wire_next(&r, &f)) {
        if (f.number == 1)
            load_file(m, f.bytes);
    }
    if (r.broken)
        gen_fail("the descriptors are broken");
    for (uint32_t i = 0; i < m->messages_count; i++) {
        struct gen_message *message = m->messages[i];
        for (uint32_t k = 0; k < message->fields_count; k++)
            resolve_field(m, &message->fields[k]);
        qsort(message->fields, message->fields_count, sizeof *message->fields, by_number);
    }
    qsort(m->messages, m->messages_count, sizeof m->messages[0], by_entry_and_name);
    for (uint32_t i = 0; i < m->messages_count; i++)
        m->entries_count += m->messages[i]->is_map_entry;
    m->messages_count -= m->entries_count;
    for (uint32_t i = 0; i < m->messages_count; i++)
        m->messages[i]->index = i;
}
