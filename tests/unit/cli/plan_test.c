/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/plan.h"
#include "tests/testlib/test.h"

/* Every column, and memory in all its forms: plain, beside pages of either size, pages alone, none. */
TEST(plan, the_table)
{
    static const char steps[] =
        "[{\"workload\":{\"kind\":\"Pod\",\"namespace\":\"default\",\"name\":\"web\"},"
        "\"result\":\"Fits\",\"placement\":{\"node\":\"n1\",\"sharedMillis\":500,"
        "\"memoryBytes\":16777216}},"
        "{\"workload\":{\"kind\":\"VirtualMachineInstance\",\"namespace\":\"a\",\"name\":\"vm\"},"
        "\"result\":\"Moves\",\"from\":\"n1\",\"placement\":{\"node\":\"n2\",\"exclusive\":{"
        "\"cpus\":"
        "[2,6]},\"memoryBytes\":16777216,\"hugepages\":[{\"numaNode\":0,\"pageBytes\":"
        "2097152,"
        "\"pages\":512},{\"numaNode\":1,\"pageBytes\":1073741824,\"pages\":2}]}},"
        "{\"workload\":{\"kind\":\"Pod\",\"namespace\":\"a\",\"name\":\"p\"},\"result\":\"Fits\","
        "\"placement\":{\"node\":\"n2\",\"hugepages\":[{\"pageBytes\":1073741824,\"pages\":3}],"
        "\"devices\":[{\"pciAddress\":"
        "\"0000:41:00.0\"},{\"paths\":[\"/dev/x0\"],\"milli\":250}]}},"
        "{\"workload\":{\"kind\":\"Pod\",\"namespace\":\"a\",\"name\":\"q\"},\"result\":"
        "\"DoesNotFit\"}]";
    static const char *const expected[][8] = {
        {"pod/default/web", "Fits", "-", "n1", "-", "500m", "16Mi", "-"},
        {"vmi/a/vm", "Moves", "n1", "n2", "2,6", "-", "16Mi+512x2Mi+2x1Gi", "-"},
        {"pod/a/p", "Fits", "-", "n2", "-", "-", "3x1Gi", "0000:41:00.0,/dev/x0:250"},
        {"pod/a/q", "DoesNotFit", "-", "-", "-", "-", "-", "-"},
    };
    struct arena a;
    struct json *list;
    uint32_t i = 0;
    arena_init(&a, 1 << 20);
    cr_assert_eq(json_parse(&a, str_of(steps), &list, NULL), ERR_OK);
    const struct json *table = plan_table(&a, list);
    for (const struct json *row = json_find(table, STR("rows"))->first; row != NULL;
         row = row->next) {
        uint32_t k = 0;
        cr_assert_lt(i, COUNT_OF(expected));
        for (const struct json *x = json_find(row, STR("cells"))->first; x != NULL; x = x->next) {
            cr_expect(str_is(json_text(x), expected[i][k]), "row %u, column %u: " STR_FMT, i, k,
                      STR_ARG(json_text(x)));
            k++;
        }
        cr_expect_eq(k, 8u);
        i++;
    }
    cr_expect_eq(i, COUNT_OF(expected));
    arena_free(&a);
}
