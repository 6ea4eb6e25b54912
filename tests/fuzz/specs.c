/* SPDX-License-Identifier: Apache-2.0 */
/* A Pod's bytes, opened three times with what was kept of the times before: each is what opening it anew gives. */
#include "api/specs.h"
#include "api/transcode.h"
#include "api/typed.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(struct arena *a, const Core__Pod *pod, const Core__Pod *whole)
{
    CHECK((pod == NULL) == (whole == NULL));
    if (pod == NULL)
        return;
    struct str is = typed_pack(a, pod), should = typed_pack(a, whole);
    CHECK((is.at == NULL) == (should.at == NULL) && str_eq(is, should));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct buf envelope;
    if (size > 65536)
        return 0;
    arena_init(&a, 64 << 20);
    buf_init(&envelope, 1 << 20);
    transcode_wrap(
        &(struct transcode_envelope){{STR("v1"), STR("Pod")}, str_from((const char *)data, size)},
        &envelope);
    struct specs *s = specs_new();
    const Core__Pod *whole = typed_open(&a, &core__pod__descriptor, buf_str(&envelope));
    for (int i = 0; i < 3; i++) {
        check_same(&a, specs_open(s, &a, buf_str(&envelope)), whole);
        specs_turn(s);
    }
    specs_free(s);
    buf_free(&envelope);
    arena_free(&a);
    return 0;
}
