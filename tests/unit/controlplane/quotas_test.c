/* SPDX-License-Identifier: Apache-2.0 */
/* What is let in and never becomes durable counts no more; what is in flight counts. */
#include "api/typed.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "tests/testlib/test.h"
#include "tests/unit/controlplane/world.h"

static void quota_of_one_config_map(struct world *w)
{
    struct arena a;
    Core__ResourceQuota q = CORE__RESOURCE_QUOTA__INIT;
    Core__ResourceQuotaSpec spec = CORE__RESOURCE_QUOTA_SPEC__INIT;
    Core__ResourceQuotaSpec__HardEntry hard = CORE__RESOURCE_QUOTA_SPEC__HARD_ENTRY__INIT;
    Core__ResourceQuotaSpec__HardEntry *list[] = {&hard};
    Resource__Quantity two = RESOURCE__QUANTITY__INIT;
    Meta__ObjectMeta m = META__OBJECT_META__INIT;
    arena_init(&a, 1 << 20);
    m.name = (char *)"q";
    m.namespace_ = (char *)"default";
    two.string = (char *)"2"; /* kube-root-ca.crt is the first. */
    hard.key = (char *)"configmaps";
    hard.value = &two;
    spec.n_hard = 1;
    spec.hard = list;
    q.metadata = &m;
    q.spec = &spec;
    struct world_answer *answer = world_create(
        w, "/resourcequotas/default/q", blob_new(typed_wrap(&a, "v1", "ResourceQuota", &q.base)));
    cr_assert_eq(answer->result, WRITE_OK);
    arena_free(&a);
}

static uint64_t ask(struct world *w, const char *key, const char *name, bool dry_run)
{
    struct blob *object = object_make(&(struct object_parts){.name = name, .namespace = "default"});
    uint64_t op = world_write(
        w, &(struct write_request){
               .verb = WRITE_CREATE, .key = str_of(key), .object = object, .dry_run = dry_run});
    blob_unref(object);
    return op;
}

TEST(quotas, what_is_in_flight_counts_and_what_failed_does_not)
{
    struct world *w = world_new();
    quota_of_one_config_map(w);
    ask(w, "/configmaps/default/a", "a", true);
    ask(w, "/configmaps/default/a", "a", true);
    uint64_t first = ask(w, "/configmaps/default/a", "a", false);
    uint64_t second = ask(w, "/configmaps/default/b", "b", false); /* In the same turn. */
    cr_assert(world_settle(w));
    cr_assert_eq(w->answers[first].result, WRITE_OK, "%s", w->answers[first].text);
    cr_assert_eq(w->answers[second].result, WRITE_DENIED);
    cr_assert_str_eq(w->answers[second].text, "exceeded quota: q, requested: configmaps=1, used: "
                                              "configmaps=2, limited: configmaps=2");
    cr_assert_eq(world_delete(w, "/configmaps/default/a", "Background")->result, WRITE_OK);
    second = ask(w, "/configmaps/default/b", "b", false);
    cr_assert(world_settle(w));
    cr_assert_eq(w->answers[second].result, WRITE_OK, "%s", w->answers[second].text);
    world_free(w);
}
