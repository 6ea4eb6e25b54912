/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken has a canonical text that is the same amount and stays as it is. */
#include "api/quantity.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char once[QUANTITY_TEXT_MAX], twice[QUANTITY_TEXT_MAX];
    size_t len = 0, len_again = 0;
    struct quantity a, b;
    struct err e;
    struct str text = str_from(data, size);
    if (quantity_canonical(text, once, &len, &e) != ERR_OK)
        return 0;
    CHECK(quantity_parse(text, &a, &e) == ERR_OK);
    CHECK(quantity_parse(str_from(once, len), &b, &e) == ERR_OK);
    CHECK(quantity_cmp(&a, &b) == 0);
    CHECK(quantity_canonical(str_from(once, len), twice, &len_again, &e) == ERR_OK);
    CHECK(str_eq(str_from(once, len), str_from(twice, len_again)));
    (void)quantity_units(&a);
    (void)quantity_milli(&a);
    return 0;
}
