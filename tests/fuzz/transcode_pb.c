/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses a message, the rest is anybody's protobuf. What is taken is canonical:
 * taking it again changes nothing, and it comes back from JSON and from a struct. */
#include "api/table.h"
#include "api/texts.h"
#include "tests/testlib/transcode_back.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As JSON it is the same whether its parts were written before. */
static void check_texts(const struct schema_message *m, struct str input)
{
    struct transcode_json how = {.texts = texts_new()};
    struct buf plain, kept;
    buf_init(&plain, 1 << 20);
    buf_init(&kept, 1 << 20);
    enum err_code should = transcode_to_json(m, input, NULL, &plain, NULL);
    for (int i = 0; i < 3; i++) {
        buf_clear(&kept);
        CHECK(transcode_to_json(m, input, &how, &kept, NULL) == should);
        CHECK(str_eq(buf_str(&kept), buf_str(&plain)));
    }
    texts_free(how.texts);
    buf_free(&plain);
    buf_free(&kept);
}

/* A row of what decodes is JSON once its ages are told; of what does not, it does no harm. */
static void check_row(const struct schema_kind *s, struct str bytes, bool is_canonical,
                      struct arena *a)
{
    const struct kind *k = kind_find(s->group, s->plural);
    struct buf row, told;
    struct json *tree;
    struct err e;
    buf_init(&row, 1 << 20);
    buf_init(&told, 2 << 20);
    enum err_code rc = table_cells(k, bytes, a, &row, &e);
    table_tell(buf_str(&row), (struct wall){INT64_C(1800000000000000000)}, &told);
    if (is_canonical && rc == ERR_OK)
        CHECK(json_parse(a, buf_str(&told), &tree, &e) == ERR_OK);
    buf_free(&row);
    buf_free(&told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct buf bytes;
    struct transcode_envelope envelope;
    ProtobufCMessage *object = NULL;
    struct err e;
    if (size == 0 || size > 65536)
        return 0;
    const struct schema_kind *kind = &schema_kinds[data[0] % schema_kinds_count];
    const struct schema_message *m = kind->message;
    struct str input = str_from(data + 1, size - 1);
    arena_init(&a, 256 << 20);
    buf_init(&bytes, 1 << 20);
    if (transcode_open(input, &envelope, &e) == ERR_OK)
        input = envelope.raw;
    if (transcode_from_protobuf(m, input, &a, &bytes, &e) == ERR_OK)
        transcode_comes_back(m, buf_str(&bytes), &a);
    else
        CHECK(bytes.len == 0 && e.text[0] != '\0');
    if (bytes.len > 0)
        check_row(kind, buf_str(&bytes), true, &a);

    /* Not canonical, and from a peer: refused or taken, never worse. */
    check_texts(m, input);
    check_row(kind, input, false, &a);
    buf_clear(&bytes);
    enum err_code ignored = transcode_set_version(m, input, 7, &bytes, &e);
    ignored = transcode_unpack(m, input, &a, &object, &e);
    ignored = transcode_unpack(schema_message(STR("baton.agent.v1.AgentMessage")), input, &a,
                               &object, &e);
    (void)ignored;
    buf_free(&bytes);
    arena_free(&a);
    return 0;
}
