/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/schemagen.h"

#include "api/schema.h"

#include <ctype.h>
#include <stdio.h>

static void put_text(struct buf *out, struct str text)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.at[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            buf_printf(out, "\\%03o", c);
        else
            buf_add_char(out, (char)c);
    }
    buf_add_char(out, '"');
}

static void put_str(struct buf *out, struct str text)
{
    buf_add_char(out, '{');
    put_text(out, text);
    buf_printf(out, ", %zu}", text.len);
}

static void put_member(struct buf *out, const char *name, struct str text)
{
    if (text.len == 0)
        return;
    buf_printf(out, ", .%s = ", name);
    put_str(out, text);
}

static void put_flag(struct buf *out, const char *name, bool is_set)
{
    if (is_set)
        buf_printf(out, ", .%s = true", name);
}

static const char *type_name(const struct gen_field *f)
{
    switch ((enum gen_type)f->type) {
    case GEN_INT64:
        return "SCHEMA_INT64";
    case GEN_UINT64:
        return "SCHEMA_UINT64";
    case GEN_INT32:
        return "SCHEMA_INT32";
    case GEN_BOOL:
        return "SCHEMA_BOOL";
    case GEN_STRING:
        return "SCHEMA_STRING";
    case GEN_MESSAGE:
        return "SCHEMA_MESSAGE";
    case GEN_BYTES:
        return "SCHEMA_BYTES";
    case GEN_UINT32:
        return "SCHEMA_UINT32";
    case GEN_ENUM:
        return "SCHEMA_ENUM";
    }
    gen_fail("field " STR_FMT ": protobuf type %u is not used here", STR_ARG(f->name), f->type);
}

/* Does the comma-separated strategy name it? */
static bool has_strategy(const struct gen_field *f, const char *word)
{
    struct str rest = f->patch_strategy, part;
    while (rest.at != NULL && str_split(&rest, ',', &part)) {
        if (str_is(part, word))
            return true;
    }
    return false;
}

static bool has_rule(const struct gen_field *f)
{
    return f->patch_merge_key.len > 0 || f->values_count > 0 || f->harmless_count > 0;
}

static void put_texts(struct buf *out, const char *name, const struct str *texts, uint32_t count)
{
    if (count == 0)
        return;
    buf_printf(out, ", .%s_count = %u, .%s = (const struct str[]){", name, count, name);
    for (uint32_t i = 0; i < count; i++) {
        put_str(out, texts[i]);
        buf_add(out, STR(", "));
    }
    buf_add_char(out, '}');
}

static void emit_rule(struct buf *out, const struct gen_message *m, const struct gen_field *f,
                      uint32_t index)
{
    buf_printf(out, "static const struct schema_rule rule_%u_%u = {.merge_key = ", m->index, index);
    put_str(out, f->patch_merge_key);
    put_texts(out, "values", f->values, f->values_count);
    put_texts(out, "harmless", f->harmless, f->harmless_count);
    buf_add(out, STR("};\n"));
}

static void emit_field(struct buf *out, const struct gen_message *m, const struct gen_field *f,
                       uint32_t index)
{
    size_t key_len = f->json.len + 4;
    buf_printf(out, "    {.key = {\",\\\"" STR_FMT "\\\":", STR_ARG(f->json));
    for (size_t at = key_len; at < SCHEMA_KEY_SIZE; at++)
        buf_add(out, STR("\\0"));
    buf_printf(out, "\", %zu}, .json = ", key_len);
    put_str(out, f->json);
    buf_printf(out, ", .number = %u, .type = %s", f->number, type_name(f));
    put_flag(out, "repeated", f->is_list);
    put_flag(out, "map", f->is_map);
    put_flag(out, "presence", f->presence);
    put_flag(out, "always", f->always);
    put_flag(out, "inlined", f->inlined);
    put_flag(out, "required", f->required);
    put_flag(out, "merge", has_strategy(f, "merge"));
    put_flag(out, "retain_keys", has_strategy(f, "retainKeys"));
    put_flag(out, "replace", has_strategy(f, "replace"));
    if (f->message != NULL)
        buf_printf(out, ", .message = &schema_messages[%u]", f->message->index);
    if (has_rule(f))
        buf_printf(out, ", .rule = &rule_%u_%u", m->index, index);
    else
        buf_add(out, STR(", .rule = &no_rule"));
    buf_add(out, STR(", .doc = "));
    put_text(out, f->doc);
    buf_add(out, STR("},\n"));
}

static void emit_fields(struct buf *out, const struct gen_message *m)
{
    for (uint32_t i = 0; i < m->fields_count; i++) {
        if (has_rule(&m->fields[i]))
            emit_rule(out, m, &m->fields[i], i);
    }
    buf_printf(out, "static const struct schema_field fields_%u[] = {\n", m->index);
    for (uint32_t i = 0; i < m->fields_count; i++)
        emit_field(out, m, &m->fields[i], i);
    buf_add(out, STR("};\n"));

    uint32_t next = 0, max = m->fields[m->fields_count - 1].number;
    buf_printf(out, "static const uint8_t numbers_%u[] = {", m->index);
    for (uint32_t number = 0; number <= max; number++) {
        bool is_field = m->fields[next].number == number;
        buf_printf(out, "%u, ", is_field ? next + 1 : 0);
        next += is_field;
    }
    buf_add(out, STR("};\n"));
}

/* For each index the next one whose field shows though it is absent; the count: none. */
static void emit_shown(struct buf *out, const struct gen_message *m)
{
    buf_printf(out, "static const uint8_t shown_%u[] = {", m->index);
    for (uint32_t i = 0; i <= m->fields_count; i++) {
        uint32_t next = i;
        while (next < m->fields_count && !m->fields[next].always && !m->fields[next].inlined)
            next++;
        buf_printf(out, "%u, ", next);
    }
    buf_add(out, STR("};\n"));
}

/* JSON names in a table of at least twice their number, so that looking for one ends soon. */
struct names {
    struct {
        struct str json;
        struct schema_name is;
    } slots[2048];
    uint32_t mask;
};

static void names_add(struct names *n, const struct gen_message *m, struct str json, uint32_t field,
                      uint32_t inner)
{
    for (uint32_t i = schema_hash(json);; i++) {
        uint32_t at = i & n->mask;
        if (n->slots[at].is.field == 0) {
            n->slots[at].json = json;
            n->slots[at].is = (struct schema_name){(uint8_t)(field + 1), (uint8_t)inner};
            return;
        }
        if (str_eq(n->slots[at].json, json))
            gen_fail(STR_FMT " has two fields " STR_FMT, STR_ARG(m->full), STR_ARG(json));
    }
}

static uint32_t names_wanted(const struct gen_message *m)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->fields_count; i++)
        count += m->fields[i].inlined ? m->fields[i].message->fields_count : 1;
    return count;
}

static void names_fill(struct names *n, const struct gen_message *m)
{
    n->mask = 3;
    while (n->mask < 2 * names_wanted(m))
        n->mask = 2 * n->mask + 1;
    if (n->mask >= COUNT_OF(n->slots))
        gen_fail(STR_FMT " has too many names", STR_ARG(m->full));
    memset(n->slots, 0, sizeof n->slots);
    for (uint32_t i = 0; i < m->fields_count; i++) {
        const struct gen_field *f = &m->fields[i];
        if (!f->inlined) {
            names_add(n, m, f->json, i, 0);
            continue;
        }
        for (uint32_t k = 0; k < f->message->fields_count; k++) {
            if (f->message->fields[k].inlined)
                gen_fail(STR_FMT ": inlined twice", STR_ARG(m->full));
            names_add(n, m, f->message->fields[k].json, i, k + 1);
        }
    }
}

static void emit_names(struct buf *out, const struct gen_message *m, const struct names *n)
{
    buf_printf(out, "static const struct schema_name names_%u[] = {", m->index);
    for (uint32_t i = 0; i <= n->mask; i++)
        buf_printf(out, "{%u, %u}, ", n->slots[i].is.field, n->slots[i].is.inner);
    buf_add(out, STR("};\n"));
}

/* As protobuf-c derives it: an underscore before a capital that follows no capital. */
static void put_descriptor(struct buf *out, const struct gen_message *m)
{
    bool after_capital = true;
    for (size_t i = 0; i < m->c_package.len; i++)
        buf_add_char(out, (char)tolower(m->c_package.at[i]));
    buf_add(out, STR("__"));
    for (size_t i = 0; i < m->name.len; i++) {
        bool capital = isupper((unsigned char)m->name.at[i]) != 0;
        if (capital && !after_capital)
            buf_add_char(out, '_');
        buf_add_char(out, (char)tolower(m->name.at[i]));
        after_capital = capital;
    }
    buf_add(out, STR("__descriptor"));
}

/* "k8s.io.api.core.v1.Pod" is published as "io.k8s.api.core.v1.Pod". */
static void put_openapi_name(struct buf *out, struct str full)
{
    size_t first = str_find(full, '.', 0), second = str_find(full, '.', first + 1);
    buf_printf(out, "\"" STR_FMT "." STR_FMT STR_FMT "\"",
               STR_ARG(str_slice(full, first + 1, second)), STR_ARG(str_slice(full, 0, first)),
               STR_ARG(str_slice(full, second, full.len)));
}

static bool is_list_of_objects(const struct gen_message *m)
{
    return str_ends(m->name, STR("List")) && m->fields_count > 0 && m->fields[0].message != NULL &&
           str_is(m->fields[0].message->name, "ListMeta");
}

/* Index + 1 of the inlined field. There is at most one: decoding counts on it. */
static uint32_t inlined_of(const struct gen_message *m)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < m->fields_count; i++) {
        if (!m->fields[i].inlined)
            continue;
        if (found > 0)
            gen_fail(STR_FMT " inlines two messages", STR_ARG(m->full));
        found = i + 1;
    }
    return found;
}

static void emit_message(struct buf *out, const struct gen_message *m, uint32_t names_mask,
                         uint32_t kind)
{
    static const char *const specials[] = {
        "SCHEMA_PLAIN",         "SCHEMA_TIME",     "SCHEMA_MICRO_TIME", "SCHEMA_QUANTITY",
        "SCHEMA_INT_OR_STRING", "SCHEMA_RAW_JSON", "SCHEMA_STRINGS"};
    if (m->special >= COUNT_OF(specials))
        gen_fail(STR_FMT " is special in a way not known", STR_ARG(m->full));
    buf_add(out, STR("    {.name = "));
    put_str(out, m->name);
    put_member(out, "full", m->full);
    buf_add(out, STR(", .openapi = {"));
    put_openapi_name(out, m->full);
    buf_printf(out, ", %zu}, .type = &", m->full.len);
    put_descriptor(out, m);
    buf_printf(out, ", .special = %s", specials[m->special]);
    put_flag(out, "typed", m->typed || m->kind.is_set || is_list_of_objects(m));
    if (m->fields_count > 0)
        buf_printf(
            out,
            ", .fields = fields_%u, .fields_count = %u, .names = names_%u, .names_mask = %u, "
            ".by_number = numbers_%u, .number_max = %u, .shown = shown_%u",
            m->index, m->fields_count, m->index, names_mask, m->index,
            m->fields[m->fields_count - 1].number, m->index);
    if (inlined_of(m) > 0)
        buf_printf(out, ", .inlined = %u", inlined_of(m));
    if (m->kind.is_set)
        buf_printf(out, ", .kind = &schema_kinds[%u]", kind);
    buf_add(out, STR(", .doc = "));
    put_text(out, m->doc);
    buf_add(out, STR("},\n"));
}

static const struct gen_field *field_of(const struct gen_message *m, struct str json)
{
    for (uint32_t i = 0; m != NULL && i < m->fields_count; i++)
        if (str_eq(m->fields[i].json, json))
            return &m->fields[i];
    return NULL;
}

/* A column's path, step by step. */
static void put_steps(struct buf *out, const struct gen_message *kind, const struct gen_column *c)
{
    const struct gen_message *m = kind, *of = NULL;
    const struct gen_field *f = NULL;
    struct str rest = c->path, part;
    uint32_t count = 0;
    buf_add(out, STR(", .steps = {"));
    for (; str_split(&rest, '.', &part); m = f->message) {
        of = m;
        f = field_of(m, part);
        if (f == NULL || f->is_list || f->is_map || f->inlined || ++count > SCHEMA_STEPS_MAX)
            gen_fail("the column " STR_FMT " of " STR_FMT " has no path", STR_ARG(c->name),
                     STR_ARG(kind->full));
        buf_printf(out, "%u, ", f->number);
    }
    if (c->age ? m == NULL || m->special != SCHEMA_TIME : m != NULL || f->type == GEN_BYTES)
        gen_fail("the column " STR_FMT " of " STR_FMT " is no %s", STR_ARG(c->name),
                 STR_ARG(kind->full), c->age ? "instant" : "scalar");
    buf_printf(out, "}, .field = &fields_%u[%u]", of->index, (unsigned)(f - of->fields));
}

static void emit_columns(struct buf *out, const struct gen_message *m)
{
    buf_printf(out, "static const struct schema_column columns_%u[] = {\n", m->index);
    for (uint32_t i = 0; i < m->columns_count; i++) {
        const struct gen_column *c = &m->columns[i];
        buf_add(out, STR("    {.name = "));
        put_str(out, c->name);
        put_member(out, "type", c->type);
        put_member(out, "format", c->format);
        buf_printf(out, ", .priority = %u", (unsigned)c->priority);
        if (c->path.len > 0)
            put_steps(out, m, c);
        put_flag(out, "age", c->age);
        buf_add(out, STR("},\n"));
    }
    buf_add(out, STR("};\n"));
}

static struct str lower(struct buf *scratch, struct str text)
{
    buf_clear(scratch);
    for (size_t i = 0; i < text.len; i++)
        buf_add_char(scratch, (char)tolower(text.at[i]));
    return buf_str(scratch);
}

static uint32_t list_index(const struct gen_model *model, const struct gen_message *m)
{
    for (uint32_t i = 0; i < model->messages_count; i++) {
        struct str full = model->messages[i]->full;
        if (str_starts(full, m->full) && str_is(str_slice(full, m->full.len, full.len), "List"))
            return i;
    }
    gen_fail("the kind " STR_FMT " has no list", STR_ARG(m->full));
}

static void emit_kind(struct buf *out, const struct gen_model *model, const struct gen_message *m)
{
    const struct gen_kind *k = &m->kind;
    struct buf scratch;
    buf_init(&scratch, 256);
    buf_printf(out, "    {.message = &schema_messages[%u], .list = &schema_messages[%u]", m->index,
               list_index(model, m));
    buf_add(out, STR(", .group = "));
    put_str(out, k->group);
    put_member(out, "version", k->version);
    put_member(out, "kind", m->name);
    put_member(out, "plural", k->plural);
    put_member(out, "singular", k->singular.len > 0 ? k->singular : lower(&scratch, m->name));
    buf_clear(&scratch);
    if (k->group.len > 0)
        buf_printf(&scratch, STR_FMT "/", STR_ARG(k->group));
    buf_add(&scratch, k->version);
    put_member(out, "api_version", buf_str(&scratch));
    put_texts(out, "short_names", k->short_names, k->short_names_count);
    put_texts(out, "categories", k->categories, k->categories_count);
    put_flag(out, "namespaced", k->namespaced);
    put_flag(out, "status", k->status);
    put_flag(out, "read_only", k->read_only);
    put_flag(out, "create_only", k->create_only);
    buf_printf(out, ", .columns = columns_%u, .columns_count = %u},\n", m->index, m->columns_count);
    buf_free(&scratch);
}

static void emit_kinds(struct buf *out, const struct gen_model *model)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->messages_count; i++) {
        const struct gen_message *m = model->messages[i];
        if (!m->kind.is_set)
            continue;
        count++;
        emit_columns(out, m);
    }
    buf_add(out, STR("const struct schema_kind schema_kinds[] = {\n"));
    for (uint32_t i = 0; i < model->messages_count; i++) {
        if (model->messages[i]->kind.is_set)
            emit_kind(out, model, model->messages[i]);
    }
    buf_printf(out, "};\nconst uint32_t schema_kinds_count = %u;\n", count);
}

void gen_emit(const struct gen_model *model, struct buf *out)
{
    static struct names names;
    static uint32_t masks[GEN_MESSAGES_MAX];
    uint32_t kind = 0;

    buf_add(out, STR("/* Made by tools/schemagen from proto/; do not edit. */\n"
                     "#include \"api/schema.h\"\n"
                     "static const struct schema_rule no_rule;\n"));
    for (uint32_t i = 0; i < model->files_count; i++) {
        struct str path = model->files[i].path;
        buf_printf(out, "#include \"" STR_FMT ".pb-c.h\"\n",
                   STR_ARG(str_slice(path, 0, path.len - strlen(".proto"))));
    }
    for (uint32_t i = 0; i < model->messages_count; i++) {
        const struct gen_message *m = model->messages[i];
        if (m->fields_count == 0)
            continue;
        emit_fields(out, m);
        emit_shown(out, m);
        names_fill(&names, m);
        emit_names(out, m, &names);
        masks[i] = names.mask;
    }
    buf_add(out, STR("const struct schema_message schema_messages[] = {\n"));
    for (uint32_t i = 0; i < model->messages_count; i++) {
        emit_message(out, model->messages[i], masks[i], kind);
        kind += model->messages[i]->kind.is_set;
    }
    buf_printf(out, "};\nconst uint32_t schema_messages_count = %u;\n", model->messages_count);
    emit_kinds(out, model);
}
