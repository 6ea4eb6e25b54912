/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h -- every message of the API as a table.
 *
 * WHAT   What proto/ declares: messages, their fields with numbers, JSON names and options, and
 *        the kinds made of them. Constant data, made at build time by tools/schemagen.
 * WHY    Conversion, validation of fields, strategic merge, OpenAPI and printing are one walk each
 *        over this table, and learn of a new kind by themselves.
 * OWNS   Nothing: everything is constant and lives as long as the program.
 */
#ifndef API_SCHEMA_H
#define API_SCHEMA_H

#include "base/str.h"
#include <protobuf-c/protobuf-c.h>

enum schema_type {
    SCHEMA_BOOL,
    SCHEMA_INT32,
    SCHEMA_INT64,
    SCHEMA_UINT32,
    SCHEMA_UINT64,
    SCHEMA_ENUM, /* A number on both sides; only in the agent's session. */
    SCHEMA_STRING,
    SCHEMA_BYTES, /* Base64 in JSON. */
    SCHEMA_MESSAGE
};

/* A message whose JSON form is not an object of its fields (proto/baton/options.proto). */
enum schema_special {
    SCHEMA_PLAIN,
    SCHEMA_TIME,
    SCHEMA_MICRO_TIME,
    SCHEMA_QUANTITY,
    SCHEMA_INT_OR_STRING,
    SCHEMA_RAW_JSON,
    SCHEMA_STRINGS
};

enum { SCHEMA_KEY_SIZE = 32 }; /* So much may be read of a key at least: zeros stand behind it. */

/* What few fields have. */
struct schema_rule {
    struct str merge_key;     /* JSON name in the element; empty: the elements are texts. */
    const struct str *values; /* The texts allowed, where they are known. */
    uint32_t values_count;
    const struct str *harmless; /* Values that ask for nothing; all others are not honoured. */
    uint32_t harmless_count;
};

struct schema_field {
    struct str key;  /* ",\"hostIP\":", as it stands in JSON behind another */
    struct str json; /* "hostIP" */
    uint32_t number;
    enum schema_type type; /* Of one element; of the value where map is set. */
    bool repeated;         /* A list. Never together with map. */
    bool map;              /* Keys are strings. */
    bool presence;         /* Zero and "" are values. Otherwise they are the same as absent. */
    bool always;           /* In JSON even where absent: "", 0, false, null, {} */
    bool inlined;          /* A message whose fields stand in the JSON object around it. */
    bool required;
    bool merge;       /* Strategic merge: a list whose elements are merged by rule->merge_key, */
    bool retain_keys; /* and $retainKeys is honoured; */
    bool replace;     /* or replaced whole, though it is a message. */
    const struct schema_message *message; /* SCHEMA_MESSAGE: what it is. */
    const struct schema_rule *rule;       /* Never NULL; one in twenty says anything. */
    const char *doc;                      /* For users; "" where we do not honour it. */
};

struct schema_name; /* One slot of a message's hash table of JSON names. */

struct schema_message {
    struct str name;    /* "PodSpec" */
    struct str full;    /* "k8s.io.api.core.v1.PodSpec" */
    struct str openapi; /* "io.k8s.api.core.v1.PodSpec" */
    const ProtobufCMessageDescriptor *type;
    enum schema_special special;
    bool typed;                        /* Its JSON may carry apiVersion and kind. */
    const struct schema_field *fields; /* By rising number. */
    uint32_t fields_count;
    const uint8_t *shown; /* By index: the next field at or after it that JSON shows when absent. */
    uint32_t inlined;     /* Index + 1 of the field that is inlined; 0: none. */
    const struct schema_name *names; /* Open addressing over names_mask + 1 slots. */
    uint32_t names_mask;
    const uint8_t *by_number; /* Index + 1 of a field, 0 none; numbers up to number_max. */
    uint32_t number_max;
    const struct schema_kind *kind; /* NULL: not an object. */
    const char *doc;
};

enum { SCHEMA_STEPS_MAX = 4 };

struct schema_column {
    struct str name, type, format;
    int32_t priority; /* Above 0: only with -o wide. */
    const struct schema_field
        *field; /* A scalar or an instant; NULL: the kind computes the cell. */
    uint32_t
        steps[SCHEMA_STEPS_MAX + 1]; /* The numbers of fields on the way to it; 0 at the end. */
    bool age;                        /* The cell is how long ago field was. */
};

struct schema_kind {
    struct str group, version, kind, plural, singular; /* group: empty for the core group. */
    struct str api_version;                            /* "v1", "baton.dev/v1" */
    const struct str *short_names, *categories;
    uint32_t short_names_count, categories_count;
    bool namespaced, status; /* status: has a status subresource. */
    bool read_only;          /* For clients. */
    bool create_only;        /* A question, answered and not stored. */
    const struct schema_message *message, *list;
    const struct schema_column *columns;
    uint32_t columns_count;
};

extern const struct schema_message schema_messages[];
extern const uint32_t schema_messages_count;
extern const struct schema_kind schema_kinds[];
extern const uint32_t schema_kinds_count;

/* NULL: no such. full: "k8s.io.api.core.v1.PodSpec". */
const struct schema_message *schema_message(struct str full);
const struct schema_kind *schema_kind(struct str group, struct str version, struct str kind);
const struct schema_kind *schema_kind_plural(struct str group, struct str version,
                                             struct str plural);

/* The field with that JSON name, also one of an inlined message; NULL: unknown. apiVersion and
 * kind of a typed message are not fields. *out_outer, unless NULL, becomes the inlined field that
 * holds it, or NULL. */
const struct schema_field *schema_find(const struct schema_message *m, struct str json,
                                       const struct schema_field **out_outer);

/* The field with that number, as an index into m->fields; SCHEMA_NO_FIELD: unknown. */
#define SCHEMA_NO_FIELD UINT32_MAX
static inline uint32_t schema_index(const struct schema_message *m, uint32_t number)
{
    return number <= m->number_max ? (uint32_t)m->by_number[number] - 1 : SCHEMA_NO_FIELD;
}

/* The same as a field; NULL: unknown. */
static inline const struct schema_field *schema_numbered(const struct schema_message *m,
                                                         uint32_t number)
{
    uint32_t at = schema_index(m, number);
    return at == SCHEMA_NO_FIELD ? NULL : &m->fields[at];
}

/* What a hash slot holds, and the hash; for schemagen and schema_find(). The name is the field's: a slot has no pointer,
 * which a program that may lie anywhere would have to write down in memory of its own (docs/decisions/0295). */
struct schema_name {
    uint8_t field; /* Index + 1; 0: a free slot. */
    uint8_t inner; /* Index + 1 in the inlined message; 0: not inlined. */
};

/* Of the first and the last up to eight bytes and the length: names differ in these. */
static inline uint32_t schema_hash(struct str name)
{
    uint64_t head = 0, tail = 0;
    if (name.len >= 8) {
        memcpy(&head, name.at, 8);
        memcpy(&tail, name.at + name.len - 8, 8);
    } else if (name.len >= 4) {
        memcpy(&head, name.at, 4);
        memcpy(&tail, name.at + name.len - 4, 4);
    } else if (name.len > 0) {
        head = (uint8_t)name.at[0];
        tail = (uint64_t)(uint8_t)name.at[name.len / 2] << 8 | (uint8_t)name.at[name.len - 1];
    }
    uint64_t mixed = (head ^ (tail << 23 | tail >> 41) ^ name.len) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(mixed >> 40);
}

#endif /* API_SCHEMA_H */
