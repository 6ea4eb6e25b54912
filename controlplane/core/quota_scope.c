/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/quota_scope.h"
#include "base/mem.h"
#include "controlplane/core/sched_view.h"

/* What a workload is; what a scope wants it to be, or not to be. */
enum { TERMINATING = 1, BEST_EFFORT = 2, CROSS_NAMESPACE = 4 };

enum class_op { CLASS_IN, CLASS_NOT_IN, CLASS_EXISTS, CLASS_ABSENT };

struct class_rule {
    struct class_rule *next;
    enum class_op op;
    char values[]; /* Each ends with a newline, which no name has. */
};

struct quota_scope {
    uint32_t wanted, unwanted;
    struct class_rule *rules; /* About the priority class's name. */
};

uint64_t quota_scope_id(struct arena *a, const Core__ResourceQuotaSpec *spec)
{
    Core__ResourceQuotaSpec scopes = CORE__RESOURCE_QUOTA_SPEC__INIT;
    if (spec->n_scopes == 0 && spec->scope_selector == NULL)
        return 0;
    scopes.n_scopes = spec->n_scopes;
    scopes.scopes = spec->scopes;
    scopes.scope_selector = spec->scope_selector;
    return str_hash(objects_pack(a, &scopes.base)) | 1;
}

static void add_rule(struct quota_scope *s, enum class_op op, size_t count, char **values)
{
    size_t len = 1;
    for (size_t i = 0; i < count; i++)
        len += strlen(values[i]) + 1;
    struct class_rule *r = mem_zalloc(1, sizeof *r + len);
    char *to = r->values;
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(values[i]);
        memcpy(to, values[i], n);
        to[n] = '\n';
        to += n + 1;
    }
    r->op = op;
    r->next = s->rules;
    s->rules = r;
}

static void add_scope(struct quota_scope *s, const char *name, enum class_op op, size_t count,
                      char **values)
{
    static const struct {
        const char *name;
        uint32_t wanted, unwanted;
    } bits[] = {{"Terminating", TERMINATING, 0},
                {"NotTerminating", 0, TERMINATING},
                {"BestEffort", BEST_EFFORT, 0},
                {"NotBestEffort", 0, BEST_EFFORT},
                {"CrossNamespacePodAffinity", CROSS_NAMESPACE, 0}};
    for (size_t i = 0; i < COUNT_OF(bits); i++)
        if (str_is(str_of(name), bits[i].name)) {
            s->wanted |= bits[i].wanted;
            s->unwanted |= bits[i].unwanted;
            return;
        }
    add_rule(s, op, count, values);
}

static enum class_op op_of(const char *text)
{
    struct str op = str_of(text);
    return str_is(op, "In")       ? CLASS_IN
           : str_is(op, "NotIn")  ? CLASS_NOT_IN
           : str_is(op, "Exists") ? CLASS_EXISTS
                                  : CLASS_ABSENT;
}

struct quota_scope *quota_scope_new(const Core__ResourceQuotaSpec *spec)
{
    struct quota_scope *s = mem_zalloc(1, sizeof *s);
    const Core__ScopeSelector *by = spec->scope_selector;
    for (size_t i = 0; i < spec->n_scopes; i++)
        add_scope(s, spec->scopes[i], CLASS_EXISTS, 0, NULL);
    for (size_t i = 0; by != NULL && i < by->n_match_expressions; i++) {
        const Core__ScopedResourceSelectorRequirement *r = by->match_expressions[i];
        add_scope(s, r->scope_name, op_of(r->operator_), r->n_values, r->values);
    }
    return s;
}

void quota_scope_free(struct quota_scope *s)
{
    for (struct class_rule *r = s == NULL ? NULL : s->rules, *next; r != NULL; r = next) {
        next = r->next;
        mem_free(r);
    }
    mem_free(s);
}

/* ---- a workload ---- */

static bool is_cross(const Core__PodAffinityTerm *t)
{
    return t != NULL && (t->n_namespaces > 0 || t->namespace_selector != NULL);
}

static bool any_cross(size_t required_count, Core__PodAffinityTerm **required,
                      size_t preferred_count, Core__WeightedPodAffinityTerm **preferred)
{
    for (size_t i = 0; i < required_count; i++)
        if (is_cross(required[i]))
            return true;
    for (size_t i = 0; i < preferred_count; i++)
        if (is_cross(preferred[i]->pod_affinity_term))
            return true;
    return false;
}

static bool is_cross_namespace(const Core__Affinity *a)
{
    const Core__PodAffinity *near = a == NULL ? NULL : a->pod_affinity;
    const Core__PodAntiAffinity *apart = a == NULL ? NULL : a->pod_anti_affinity;
    return (near != NULL &&
            any_cross(near->n_required_during_scheduling_ignored_during_execution,
                      near->required_during_scheduling_ignored_during_execution,
                      near->n_preferred_during_scheduling_ignored_during_execution,
                      near->preferred_during_scheduling_ignored_during_execution)) ||
           (apart != NULL &&
            any_cross(apart->n_required_during_scheduling_ignored_during_execution,
                      apart->required_during_scheduling_ignored_during_execution,
                      apart->n_preferred_during_scheduling_ignored_during_execution,
                      apart->preferred_during_scheduling_ignored_during_execution));
}

static bool is_listed(const struct class_rule *r, struct str class)
{
    struct str rest = str_of(r->values), one;
    while (rest.len > 0 && str_split(&rest, '\n', &one))
        if (str_eq(one, class))
            return true;
    return false;
}

static bool rule_holds(const struct class_rule *r, struct str class)
{
    switch (r->op) {
    case CLASS_IN:
        return is_listed(r, class);
    case CLASS_NOT_IN:
        return !is_listed(r, class);
    case CLASS_EXISTS:
        return class.len > 0;
    case CLASS_ABSENT:
        return class.len == 0;
    }
    return false;
}

bool quota_scope_holds(const struct quota_scope *s, const Core__PodSpec *pod,
                       const Kubevirt__VirtualMachineInstanceSpec *machine)
{
    uint32_t is = 0;
    if (pod == NULL && machine == NULL)
        return false;
    struct str class =
        str_of(pod != NULL ? pod->priority_class_name : machine->priority_class_name);
    if (pod != NULL && pod->has_active_deadline_seconds)
        is |= TERMINATING;
    if (pod != NULL && str_is(str_of(sched_view_qos(pod)), "BestEffort"))
        is |= BEST_EFFORT;
    if (is_cross_namespace(pod != NULL ? pod->affinity : machine->affinity))
        is |= CROSS_NAMESPACE;
    if ((is & s->wanted) != s->wanted || (is & s->unwanted) != 0)
        return false;
    for (const struct class_rule *r = s->rules; r != NULL; r = r->next)
        if (!rule_holds(r, class))
            return false;
    return true;
}
