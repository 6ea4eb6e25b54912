/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"
#include "cli/print.h"
#include "io/clock.h"

enum { HOW_WIDE = 60 };

static void print_checks(struct cli *c, const struct json *section)
{
    static const struct {
        const char *status, *mark;
    } marks[] = {{"ok", "32"}, {"warn", "33"}, {"fail", "31"}};
    const struct json *list = json_find(section, STR("checks"));
    for (const struct json *one = list == NULL ? NULL : list->first; one != NULL; one = one->next) {
        struct str status = json_text(json_find(one, STR("status")));
        const char *mark = "0";
        for (size_t i = 0; i < COUNT_OF(marks); i++)
            if (str_is(status, marks[i].status))
                mark = marks[i].mark;
        if (c->is_terminal)
            printf("  \033[%sm%-4.*s\033[0m  ", mark, STR_ARG(status));
        else
            printf("  %-4.*s  ", STR_ARG(status));
        printf("%-13.*s ", STR_ARG(json_text(json_find(one, STR("name")))));
        print_text(json_text(json_find(one, STR("text"))));
        putchar('\n');
    }
}

/* "3m", "2h", "5d" */
static struct str age_of(struct cli *c, const struct json *thing)
{
    struct wall since;
    if (wall_parse(json_text(json_find(thing, STR("since"))), &since) != ERR_OK)
        return STR("?");
    int64_t s = wall_seconds(clock_wall()) - wall_seconds(since);
    if (s < 0)
        s = 0;
    return s < 120      ? arena_printf(&c->arena, "%llds", (long long)s)
           : s < 7200   ? arena_printf(&c->arena, "%lldm", (long long)s / 60)
           : s < 172800 ? arena_printf(&c->arena, "%lldh", (long long)s / 3600)
                        : arena_printf(&c->arena, "%lldd", (long long)s / 86400);
}

static void print_thing(struct cli *c, const struct json *t, bool fix)
{
    const struct json *removed = json_find(t, STR("removed"));
    struct str error = json_text(json_find(t, STR("error")));
    struct str why = error.len > 0 ? error : json_text(json_find(t, STR("why")));
    const char *done = !fix ? "" : removed != NULL && removed->truth ? "removed  " : "STAYS    ";
    struct str name = json_text(json_find(t, STR("name"))), age = age_of(c, t);
    printf("  %s%-9.*s  %4.*s  ", done, STR_ARG(json_text(json_find(t, STR("kind")))),
           STR_ARG(age));
    print_text(name);
    if (name.len > HOW_WIDE)
        printf("\n%*s", fix ? 30 : 21, "");
    else
        printf("%*s", (int)(HOW_WIDE - name.len) + 2, "");
    print_text(why);
    putchar('\n');
}

static void print_leftovers(struct cli *c, const struct json *node, bool fix)
{
    const struct json *list = json_find(node, STR("leftovers"));
    struct str refused = json_text(json_find(node, STR("refused")));
    if (refused.len > 0) {
        printf("left over\n  not looked for, and nothing is removed: ");
        print_text(refused);
        putchar('\n');
        return;
    }
    if (list == NULL || list->count == 0) {
        printf("left over\n  nothing\n");
        return;
    }
    printf("left over (%u)\n", list->count);
    for (const struct json *one = list->first; one != NULL; one = one->next)
        print_thing(c, one, fix);
    if (!fix)
        printf("baton doctor --fix removes what is left over, and nothing else.\n");
}

static void print_recording(const struct json *of)
{
    const struct json *record = json_find(of, STR("record"));
    struct str file = json_text(json_find(record, STR("name")));
    if (record == NULL)
        return;
    printf("recording\n  ");
    print_text(file.len > 0 ? file : json_text(json_find(record, STR("error"))));
    putchar('\n');
}

void doctor_print(struct cli *c, const struct json *cluster, const struct json *node, bool fix)
{
    struct str server = json_text(json_find(cluster, STR("server")));
    printf("cluster  " STR_FMT "\n", STR_ARG(server));
    print_checks(c, cluster);
    print_recording(cluster);
    if (node == NULL)
        return;
    printf("this node  " STR_FMT "\n", STR_ARG(json_text(json_find(node, STR("state")))));
    print_checks(c, node);
    print_leftovers(c, node, fix);
    print_recording(node);
}
