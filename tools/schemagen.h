/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemagen.h -- from protobuf descriptors to the schema table.
 *
 * WHAT   schemagen DESCRIPTORS > schema_table.c, at build time. load reads the descriptor set
 *        (descriptor.proto, options.proto) into this model, emit writes the table's C source.
 * WHY    In C with base/wire.h, so that the build needs no other language and no protobuf library.
 * OWNS   Everything lives in the model's arena, until the program ends.
 * FAILS  A schema that the table cannot express ends the build with a sentence.
 */
#ifndef TOOLS_SCHEMAGEN_H
#define TOOLS_SCHEMAGEN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"

/* Numbers of descriptor.proto's FieldDescriptorProto.Type that we meet. */
enum gen_type {
    GEN_INT64 = 3,
    GEN_UINT64 = 4,
    GEN_INT32 = 5,
    GEN_BOOL = 8,
    GEN_STRING = 9,
    GEN_MESSAGE = 11,
    GEN_BYTES = 12,
    GEN_UINT32 = 13,
    GEN_ENUM = 14
};

/* The most of everything; a schema beyond it ends the build. A field's index + 1 is a byte. */
enum { GEN_MESSAGES_MAX = 1024, GEN_FIELDS_MAX = 254, GEN_VALUES_MAX = 32, GEN_COLUMNS_MAX = 24 };

struct gen_field {
    struct str name, json, type_name, doc;
    uint32_t number, type;
    bool is_list, is_map;
    bool presence, always, inlined, required;
    struct str patch_strategy, patch_merge_key;
    struct str values[GEN_VALUES_MAX];
    uint32_t values_count;
    struct str harmless[GEN_VALUES_MAX];
    uint32_t harmless_count;
    struct gen_message *message;
};

struct gen_column {
    struct str name, type, format, path;
    uint64_t priority;
    bool age;
};

struct gen_kind {
    bool is_set, namespaced, status, read_only, create_only;
    struct str group, version, plural, singular;
    struct str short_names[8], categories[8];
    uint32_t short_names_count, categories_count;
};

struct gen_message {
    struct str name, full, c_package, doc;
    bool is_map_entry, typed;
    uint64_t special;
    struct gen_field *fields;
    uint32_t fields_count;
    struct gen_kind kind;
    struct gen_column columns[GEN_COLUMNS_MAX];
    uint32_t columns_count;
    uint32_t index; /* In the table. */
};

struct gen_file {
    struct str path, package, c_package;
    bool generated; /* protobuf-c makes structs of it. */
};

struct gen_model {
    struct arena arena;
    struct gen_message *messages[GEN_MESSAGES_MAX]; /* Map entries last, once loaded. */
    uint32_t messages_count, entries_count;
    struct gen_file files[64];
    uint32_t files_count;
};

void gen_load(struct gen_model *m, struct str descriptors);
void gen_emit(const struct gen_model *m, struct buf *out);

NORETURN void gen_fail(const char *fmt, ...) PRINTF(1, 2);

#endif /* TOOLS_SCHEMAGEN_H */
