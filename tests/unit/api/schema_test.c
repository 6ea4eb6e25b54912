/* SPDX-License-Identifier: Apache-2.0 */
#include "api/schema.h"
#include "tests/testlib/test.h"

#include <stdio.h>

static const char *type_word(enum schema_type type)
{
    switch (type) {
    case SCHEMA_BOOL:
        return "b";
    case SCHEMA_INT32:
        return "i32";
    case SCHEMA_INT64:
        return "i64";
    case SCHEMA_UINT32:
        return "u32";
    case SCHEMA_UINT64:
        return "u64";
    case SCHEMA_ENUM:
        return "enum";
    case SCHEMA_STRING:
        return "s";
    case SCHEMA_BYTES:
        return "bytes";
    case SCHEMA_MESSAGE:
        return "";
    }
    return "?";
}

/* The field's type as numbers.txt writes it; a message without the package before it. */
static void describe(const struct schema_field *f, char *out, size_t size)
{
    struct str message = f->message == NULL ? STR("") : f->message->name;
    (void)snprintf(out, size, "%s%s" STR_FMT "%s",
                   f->repeated ? "[]"
                   : f->map    ? "map<s,"
                               : "",
                   type_word(f->type), STR_ARG(message), f->map ? ">" : "");
}

/* "meta.Time" to "Time", "map<s,res.Quantity>" to "map<s,Quantity>". */
static void without_packages(char *type)
{
    char *from = type, *to = type, *word = type;
    for (; *from != '\0'; from++) {
        *to++ = *from;
        if (*from == '.')
            to = word;
        else if (*from == ']' || *from == ',')
            word = to;
    }
    *to = '\0';
}

TEST(schema, has_the_published_names_and_numbers)
{
    char line[512], package[128] = "", full[256], message[128], json[128], type[128], have[256];
    unsigned number, lines = 0, fields = 0;
    FILE *f = fopen(TESTS_DIR "/unit/api/numbers.txt", "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (line[0] == '#' || sscanf(line, "package %127s", package) == 1)
            continue;
        cr_assert_eq(sscanf(line, "%127s %127s %u %127s", message, json, &number, type), 4, "%s",
                     line);
        lines++;
        (void)snprintf(full, sizeof full, "%s.%s", package, message);
        const struct schema_message *m = schema_message(str_of(full));
        cr_assert_not_null(m, "no message %s", full);
        const struct schema_field *field = schema_numbered(m, number);
        cr_assert_not_null(field, "%s has no field %u", full, number);
        cr_expect(str_is(field->json, json), "%s %u is " STR_FMT ", not %s", full, number,
                  STR_ARG(field->json), json);
        without_packages(type);
        describe(field, have, sizeof have);
        cr_expect_str_eq(have, type, "%s.%s", full, json);
    }
    fclose(f);
    for (uint32_t i = 0; i < schema_messages_count; i++) {
        if (str_starts(schema_messages[i].full, STR("k8s.io.")))
            fields += schema_messages[i].fields_count;
    }
    cr_expect_eq(fields, lines, "%u fields declared, %u published", fields, lines);
    cr_expect_gt(lines, 1000);
}

TEST(schema, finds_every_field_by_name_and_number)
{
    for (uint32_t i = 0; i < schema_messages_count; i++) {
        const struct schema_message *m = &schema_messages[i];
        cr_assert_eq(schema_message(m->full), m);
        cr_assert_str_eq(m->type->name + (strlen(m->type->name) - m->name.len), m->name.at);
        cr_assert_eq(m->fields_count, m->type->n_fields); /* transcode_struct.c goes by it. */
        for (uint32_t k = 0; k < m->fields_count; k++) {
            const struct schema_field *field = &m->fields[k], *outer;
            cr_assert_eq(schema_numbered(m, field->number), field);
            cr_assert_eq(m->type->fields[k].id, field->number);
            if (field->inlined) {
                const struct schema_field *inner = &field->message->fields[0];
                cr_assert_eq(schema_find(m, inner->json, &outer), inner);
                cr_assert_eq(outer, field);
                continue;
            }
            cr_assert_eq(schema_find(m, field->json, &outer), field);
            cr_assert_null(outer);
        }
        cr_assert_null(schema_find(m, STR("nope"), NULL));
        cr_assert_null(schema_numbered(m, m->number_max + 1));
    }
}

TEST(schema, knows_what_protobuf_cannot_say)
{
    const struct schema_message *spec = schema_message(STR("k8s.io.api.core.v1.PodSpec"));
    const struct schema_field *f = schema_find(spec, STR("terminationGracePeriodSeconds"), NULL);
    cr_expect(f->presence && !f->always && !f->merge);
    f = schema_find(spec, STR("containers"), NULL);
    cr_expect(f->merge && !f->retain_keys && f->always && str_is(f->rule->merge_key, "name"));
    f = schema_find(spec, STR("volumes"), NULL);
    cr_expect(f->merge && f->retain_keys);

    const struct schema_field *outer = NULL;
    f = schema_find(schema_message(STR("k8s.io.api.core.v1.Volume")), STR("emptyDir"), &outer);
    cr_assert(f != NULL && outer != NULL && outer->inlined);
    cr_expect(str_is(outer->json, "volumeSource") && f->number == 2);
    cr_expect_null(
        schema_find(schema_message(STR("k8s.io.api.core.v1.Volume")), STR("volumeSource"), NULL));
}

static struct str version_of(const char *api_version)
{
    const char *slash = strchr(api_version, '/');
    return str_of(slash == NULL ? api_version : slash + 1);
}

TEST(schema, lists_the_kinds)
{
    static const struct {
        const char *group, *kind, *plural, *api_version;
        bool namespaced;
    } want[] = {
        {"", "Namespace", "namespaces", "v1", false},
        {"", "Node", "nodes", "v1", false},
        {"", "Pod", "pods", "v1", true},
        {"", "ConfigMap", "configmaps", "v1", true},
        {"", "Secret", "secrets", "v1", true},
        {"", "Event", "events", "v1", true},
        {"", "ResourceQuota", "resourcequotas", "v1", true},
        {"", "LimitRange", "limitranges", "v1", true},
        {"", "ServiceAccount", "serviceaccounts", "v1", true},
        {"coordination.k8s.io", "Lease", "leases", "coordination.k8s.io/v1", true},
        {"kubevirt.io", "VirtualMachineInstance", "virtualmachineinstances", "kubevirt.io/v1",
         true},
        {"baton.dev", "NodeHardware", "nodehardware", "baton.dev/v1", false},
        {"baton.dev", "Placement", "placements", "baton.dev/v1", true},
        {"baton.dev", "Plan", "plans", "baton.dev/v1", false},
        {"scheduling.k8s.io", "PriorityClass", "priorityclasses", "scheduling.k8s.io/v1", false},
        {"policy", "PodDisruptionBudget", "poddisruptionbudgets", "policy/v1", true},
        {"scheduling.x-k8s.io", "PodGroup", "podgroups", "scheduling.x-k8s.io/v1alpha1", true},
    };
    cr_expect_eq(schema_kinds_count, COUNT_OF(want));
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        const struct schema_kind *k = schema_kind(
            str_of(want[i].group), version_of(want[i].api_version), str_of(want[i].kind));
        cr_assert_not_null(k, "%s", want[i].kind);
        cr_expect_eq(schema_kind_plural(k->group, k->version, str_of(want[i].plural)), k);
        cr_expect(str_is(k->api_version, want[i].api_version));
        cr_expect_eq(k->namespaced, want[i].namespaced);
        cr_expect_eq(k->message->kind, k);
        cr_expect(k->message->typed && k->list->typed && k->columns_count > 1);
        cr_expect(str_is(k->columns[0].name, "Name") || str_is(k->kind, "Event"));
    }
}
