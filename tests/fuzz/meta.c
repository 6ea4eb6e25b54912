/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes are read or refused; what is written reads back as it was meant, and again the same. */
#include "api/meta.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct meta *m)
{
    struct meta_owner owner;
    struct str text, value;
    uint32_t owners = 0, finalizers = 0, labels = 0;
    struct wire_reader r = wire_read(m->raw);
    while (meta_next_owner(&r, &owner))
        owners++;
    r = wire_read(m->raw);
    while (meta_next_finalizer(&r, &text))
        finalizers++;
    r = wire_read(m->raw);
    while (meta_next_label(&r, &text, &value))
        labels++;
    CHECK(owners == m->owners_count && finalizers == m->finalizers_count);
    CHECK(labels == m->labels_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct meta_edit edit = {.uid = STR("u"),
                             .revision = 7,
                             .set_deleted = true,
                             .deleted_s = 9,
                             .grace_s = 3,
                             .add_finalizer = STR("orphan"),
                             .label_key = STR("k"),
                             .label_value = STR("v")};
    struct meta m;
    struct buf once, twice;
    if (meta_read(str_from(data, size), &m, NULL) == ERR_OK)
        walk(&m);
    buf_init(&once, 1 << 20);
    buf_init(&twice, 1 << 20);
    if (meta_write(str_from(data, size), &edit, &once, NULL) == ERR_OK &&
        buf_status(&once, NULL) == ERR_OK) {
        CHECK(meta_read(buf_str(&once), &m, NULL) == ERR_OK);
        CHECK(str_is(m.uid, "u") && m.revision == 7 && m.is_deleting && m.grace_s == 3);
        CHECK(meta_has_finalizer(&m, STR("orphan")));
        CHECK(meta_write(buf_str(&once), &edit, &twice, NULL) == ERR_OK);
    }
    buf_free(&once);
    buf_free(&twice);
    return 0;
}
