/* SPDX-License-Identifier: Apache-2.0 */
#include "api/quantity.h"
#include "tests/testlib/test.h"

#include <stdio.h>

static const struct {
    const char *text, *want;
} forms[] = {
    /* Recorded from Kubernetes' server. */
    {"1.5Gi", "1536Mi"},
    {"1024Mi", "1Gi"},
    {"1000m", "1"},
    {"0.5", "500m"},
    {"100n", "100n"},
    {"1e3", "1e3"},
    {"+1", "+1"},
    {"5.", "5."},
    {"1073741824", "1073741824"},
    /* Every way of writing nothing. */
    {"0", "0"},
    {"0.0", "0"},
    {"-0", "0"},
    {"0Mi", "0"},
    {"000", "0"},
    {".", "0"},
    {"1", "1"},
    {"100m", "100m"},
    {"1500m", "1500m"},
    {"2", "2"},
    {"1000", "1k"},
    {"1000000", "1M"},
    {"1001", "1001"},
    {"100000", "100k"},
    {"0.25", "250m"},
    {"-1.5", "-1500m"},
    {"1.0", "1"},
    {"10.00", "10"},
    {"100.0", "100"},
    {"0.001k", "1"},
    {"1Ki", "1Ki"},
    {"8Ki", "8Ki"},
    {"1023Ki", "1023Ki"},
    {"2048Ki", "2Mi"},
    {"1025Mi", "1025Mi"},
    {"0.5Ki", "512"},
    {"0.1Ki", "102400m"},
    {"1.5Mi", "1536Ki"},
    {"312.5Ki", "320k"}, /* Kubernetes prints 320000, and reads that as 320k. */
    {"1000.5Ki", "1024512"},
    {"1.0001Ki", "1024102400u"},
    {"12e6", "12e6"},
    {"12E6", "12E6"},
    {"1200e3", "1200e3"},
    {"12000e3", "12e6"},
    {"1.5e3", "1500"},
    {"1e-3", "1e-3"},
    {"0.1n", "1n"},
    {"0.0000000001", "1n"},
    {"1u", "1u"},
    {"1E", "1E"},
    {"1Ei", "1Ei"},
    {"16Ei", "9223372036854775807"},
    {"007", "007"},
    {" 1 ", "1"},
    {"64Mi", "64Mi"},
    {"4096", "4096"},
    {"128974848", "128974848"},
    {"129e6", "129e6"},
    {"129M", "129M"},
    {"128974848000m", "128974848"},
    {"123Mi", "123Mi"},
};

TEST(quantity, canonical_forms)
{
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        char out[QUANTITY_TEXT_MAX];
        size_t len = 0;
        struct err e = {0};
        cr_assert_eq(quantity_canonical(str_of(forms[i].text), out, &len, &e), ERR_OK, "%s: %s",
                     forms[i].text, e.text);
        cr_expect_str_eq(out, forms[i].want, "%s gives %s, not %s", forms[i].text, out,
                         forms[i].want);
        cr_expect_eq(len, strlen(out));
    }
}

/* What is canonical stays so, and is the same amount. */
TEST(quantity, canonical_is_stable)
{
    static const char *const suffixes[] = {"",   "n",  "u",  "m",  "k",   "M", "G",
                                           "Ki", "Mi", "Gi", "e3", "e-3", "E6"};
    static const char *const numbers[] = {"1",         "7",      "8",     "10",    "999",
                                          "1000",      "1024",   "1.5",   "0.125", "12345.678",
                                          "100000000", "33.333", "312.5", "1000.5"};
    for (size_t s = 0; s < COUNT_OF(suffixes); s++) {
        for (size_t n = 0; n < COUNT_OF(numbers); n++) {
            char text[64], once[QUANTITY_TEXT_MAX], twice[QUANTITY_TEXT_MAX];
            size_t len;
            struct quantity a, b;
            (void)snprintf(text, sizeof text, "%s%s", numbers[n], suffixes[s]);
            cr_assert_eq(quantity_canonical(str_of(text), once, &len, NULL), ERR_OK, "%s", text);
            cr_assert_eq(quantity_canonical(str_of(once), twice, &len, NULL), ERR_OK, "%s", once);
            cr_expect_str_eq(once, twice, "%s", text);
            cr_assert_eq(quantity_parse(str_of(text), &a, NULL), ERR_OK);
            cr_assert_eq(quantity_parse(str_of(once), &b, NULL), ERR_OK);
            cr_expect_eq(quantity_cmp(&a, &b), 0, "%s and %s", text, once);
        }
    }
}

TEST(quantity, refuses_what_is_none)
{
    static const char *const bad[] = {
        "",     "0x10",   "1KI",   "abc",
        "1 2",  "--1",    "1.2.3", "1e",
        "1ee3", "1Kii",   "1e3m",  "1mm",
        "e",    "1e9999", "1,5",   "1000000000000000000000000000000000000000000"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct quantity q;
        struct err e = {0};
        cr_expect_eq(quantity_parse(str_of(bad[i]), &q, &e), ERR_INVALID, "%s", bad[i]);
        cr_expect(e.text[0] != '\0');
    }
}

TEST(quantity, counts_round_up)
{
    static const struct {
        const char *text;
        int64_t units, milli;
    } cases[] = {{"1500m", 2, 1500},
                 {"1", 1, 1000},
                 {"1n", 1, 1},
                 {"-1500m", -2, -1500},
                 {"1Gi", 1 << 30, (int64_t)1000 << 30},
                 {"0", 0, 0},
                 {"1e20", INT64_MAX, INT64_MAX}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct quantity q;
        cr_assert_eq(quantity_parse(str_of(cases[i].text), &q, NULL), ERR_OK);
        cr_expect_eq(quantity_units(&q), cases[i].units, "%s", cases[i].text);
        cr_expect_eq(quantity_milli(&q), cases[i].milli, "%s", cases[i].text);
    }
}
