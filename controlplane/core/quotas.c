/* SPDX-License-Identifier: Apache-2.0 */
/* Amounts are thousandths, as far as they go: 9 petabytes of memory. Many such have room in a sum. */
#include "controlplane/core/quotas.h"
#include "api/quantity.h"
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "controlplane/core/cluster.h"
#include "controlplane/core/controllers_priv.h"
#include "controlplane/core/quota_scope.h"
#include "controlplane/core/sched_view.h"

#include <stdio.h>

enum { QUOTA_SCOPES_MAX = 32 };
enum { SPACES_MAX = 1 << 20, PENDING_MAX = CORE_OPS_MAX, SCRATCH_MAX = 16 << 20 };

struct amount {
    char name[80];
    uint64_t scope_id; /* quota_scope_id(): of whom it is counted; 0: of all. */
    const struct quota_scope *scope;
    __int128 used, pending; /* Durable; created and not yet durable. */
    __int128 planned;       /* Asked for by the Plan that is being answered. */
};

/* A namespace with at least one quota. */
struct space {
    bool is_counted;
    uint32_t count, scopes_count;
    struct amount at[QUOTA_NAMES_MAX];
    struct quota_scope *scopes[QUOTA_SCOPES_MAX];
    char namespace[];
};

/* A create that was let in and is not durable: what it takes, by name. */
struct pending {
    uint64_t id;
    char *namespace;
    uint32_t count;
    struct {
        char name[80];
        uint64_t scope_id;
        int64_t amount;
    } at[];
};

struct quotas {
    struct map spaces;  /* Namespace -> space. */
    struct map pending; /* id, 8 bytes -> pending. */
    uint64_t last_id;
};

/* An object as far as quotas look at it. */
struct counted {
    struct index_key at;
    Core__Pod *pod; /* One of these, or none. */
    Kubevirt__VirtualMachineInstance *machine;
};

static int64_t takes(const struct amount *a, const struct counted *o);

struct quotas *quotas_new(void)
{
    struct quotas *q = mem_zalloc(1, sizeof *q);
    map_init(&q->spaces, SPACES_MAX);
    map_init(&q->pending, PENDING_MAX);
    return q;
}

static void forget_names(struct space *s)
{
    while (s->scopes_count > 0)
        quota_scope_free(s->scopes[--s->scopes_count]);
    s->count = 0;
}

static void drop_spaces(struct map *m)
{
    const struct map_entry *e;
    for (uint32_t at = 0; (e = map_next(m, &at)) != NULL;) {
        forget_names(e->value);
        mem_free(e->value);
    }
    map_fini(m);
}

void quotas_free(struct quotas *q)
{
    const struct map_entry *e;
    drop_spaces(&q->spaces);
    for (uint32_t at = 0; (e = map_next(&q->pending, &at)) != NULL;)
        mem_free(e->value);
    map_fini(&q->pending);
    mem_free(q);
}

static struct space *space_of(struct core *c, struct str namespace)
{
    return map_find(&c->controls->quotas->spaces, namespace);
}

static bool is_quota(const struct index_key *at)
{
    return at->group.len == 0 && str_is(at->plural, "resourcequotas");
}

static struct str quotas_key(struct core *c, struct str namespace)
{
    return core_key(c, "", "resourcequotas", namespace, STR(""));
}

static Core__ResourceQuota *open_quota(struct arena *a, struct cow_entry *e)
{
    Core__ResourceQuota *q = typed_open(a, &core__resource_quota__descriptor, blob_str(e->value));
    return q == NULL || q->spec == NULL || q->metadata == NULL ? NULL : q;
}

/* ---- counting ---- */

static void open_object(struct arena *a, const struct index_key *at, struct str object,
                        struct counted *out)
{
    *out = (struct counted){.at = *at};
    if (at->group.len == 0 && str_is(at->plural, "pods"))
        out->pod = typed_open(a, &core__pod__descriptor, object);
    else if (str_is(at->group, "kubevirt.io") && str_is(at->plural, "virtualmachineinstances"))
        out->machine = typed_open(a, &kubevirt__virtual_machine_instance__descriptor, object);
    if (out->pod != NULL && out->pod->spec == NULL)
        out->pod = NULL;
    if (out->machine != NULL && (out->machine->spec == NULL || out->machine->spec->domain == NULL))
        out->machine = NULL;
}

static void add_object(struct space *s, const struct index_key *at, struct str object, int sign)
{
    struct arena a;
    struct counted o;
    arena_init(&a, SCRATCH_MAX);
    open_object(&a, at, object, &o);
    for (uint32_t i = 0; i < s->count; i++)
        s->at[i].used += sign * takes(&s->at[i], &o);
    arena_free(&a);
}

static struct amount *find_amount(struct space *s, struct str name, uint64_t scope_id)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->at[i].scope_id == scope_id && str_is(name, s->at[i].name))
            return &s->at[i];
    return NULL;
}

/* NULL: of all, or there are too many. */
static const struct quota_scope *scope_of(struct space *s, const Core__ResourceQuotaSpec *spec,
                                          uint64_t id)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->at[i].scope_id == id)
            return s->at[i].scope;
    if (id == 0 || s->scopes_count == QUOTA_SCOPES_MAX)
        return NULL;
    s->scopes[s->scopes_count] = quota_scope_new(spec);
    return s->scopes[s->scopes_count++];
}

static void add_names(struct core *c, struct space *s, const Core__ResourceQuota *q)
{
    uint64_t id = quota_scope_id(&c->turn, q->spec);
    const struct quota_scope *scope = scope_of(s, q->spec, id);
    if (id != 0 && scope == NULL)
        return; /* Unbounded rather than counted wrongly; its status says 0. */
    for (size_t i = 0; i < q->spec->n_hard && s->count < QUOTA_NAMES_MAX; i++) {
        struct str name = str_of(q->spec->hard[i]->key);
        if (name.len >= sizeof s->at->name || find_amount(s, name, id) != NULL)
            continue;
        struct amount *to = &s->at[s->count++];
        *to = (struct amount){.scope_id = id, .scope = scope};
        str_put(to->name, name);
    }
}

static void add_range(struct core *c, struct space *s, const char *group, struct str plural)
{
    struct index_range r;
    struct index_key at;
    struct cow_entry *e;
    core_range(c, &r,
               core_key(c, group, arena_dup(&c->turn, plural), str_of(s->namespace), STR("")));
    while ((e = index_range_next(&r)) != NULL)
        if (index_key_parse(cow_entry_key(e), &at))
            add_object(s, &at, blob_str(e->value), 1);
}

/* "count/configmaps", "count/leases.coordination.k8s.io", "configmaps" into what they count. */
static struct str counted_plural(struct str name, struct str *out_group)
{
    const struct str prefix = STR("count/");
    struct str rest = str_starts(name, prefix) ? str_slice(name, prefix.len, name.len) : name;
    size_t dot = str_starts(name, prefix) ? str_find(rest, '.', 0) : rest.len;
    *out_group = dot < rest.len ? str_slice(rest, dot + 1, rest.len) : STR("");
    return str_slice(rest, 0, dot);
}

static bool is_seen(const struct space *s, uint32_t upto, struct str plural, struct str group)
{
    for (uint32_t i = 0; i < upto; i++) {
        struct str other, is = counted_plural(str_of(s->at[i].name), &other);
        if (str_eq(is, plural) && str_eq(other, group))
            return true;
    }
    return str_is(plural, "pods") || str_is(plural, "virtualmachineinstances");
}

/* Everything anew: after a start, and when a quota came, changed or went. */
static void recount(struct core *c, struct space *s)
{
    const struct map_entry *pe;
    struct index_range r;
    struct cow_entry *e;
    forget_names(s);
    core_range(c, &r, quotas_key(c, str_of(s->namespace)));
    while ((e = index_range_next(&r)) != NULL) {
        Core__ResourceQuota *q = open_quota(&c->turn, e);
        if (q != NULL)
            add_names(c, s, q);
    }
    add_range(c, s, "", STR("pods"));
    add_range(c, s, "kubevirt.io", STR("virtualmachineinstances"));
    for (uint32_t i = 0; i < s->count; i++) {
        struct str group, plural = counted_plural(str_of(s->at[i].name), &group);
        if (!is_seen(s, i, plural, group))
            add_range(c, s, arena_dup(&c->turn, group), plural);
    }
    for (uint32_t at = 0; (pe = map_next(&c->controls->quotas->pending, &at)) != NULL;) {
        const struct pending *p = pe->value;
        for (uint32_t i = 0; strcmp(p->namespace, s->namespace) == 0 && i < p->count; i++) {
            struct amount *to = find_amount(s, str_of(p->at[i].name), p->at[i].scope_id);
            if (to != NULL)
                to->pending += p->at[i].amount;
        }
    }
    s->is_counted = true;
}

/* ---- what one object takes ---- */

static const struct {
    const char *name, *resource;
    bool limit;
} computed[] = {
    {"cpu", "cpu", false},
    {"requests.cpu", "cpu", false},
    {"limits.cpu", "cpu", true},
    {"memory", "memory", false},
    {"requests.memory", "memory", false},
    {"limits.memory", "memory", true},
    {"ephemeral-storage", "ephemeral-storage", false},
    {"requests.ephemeral-storage", "ephemeral-storage", false},
    {"limits.ephemeral-storage", "ephemeral-storage", true},
};

/* The resource behind a quota's name; empty: it is none of a container's. */
static struct str resource_of(struct str name, bool *out_limit)
{
    const struct str prefix = STR("requests.");
    *out_limit = false;
    for (uint32_t i = 0; i < COUNT_OF(computed); i++)
        if (str_is(name, computed[i].name)) {
            *out_limit = computed[i].limit;
            return str_of(computed[i].resource);
        }
    if (str_starts(name, prefix))
        return str_slice(name, prefix.len, name.len);
    return str_starts(name, STR("hugepages-")) ? name : STR("");
}

static bool is_over(const Core__Pod *pod)
{
    const char *phase = pod->status == NULL ? NULL : pod->status->phase;
    return str_is(str_of(phase), "Succeeded") || str_is(str_of(phase), "Failed");
}

static int64_t amount_of(const struct counted *o, struct str name)
{
    struct str group, plural = counted_plural(name, &group);
    bool is_count = str_starts(name, STR("count/")), limit;
    if (str_eq(plural, o->at.plural) && str_eq(group, o->at.group))
        return !is_count && o->pod != NULL && is_over(o->pod) ? 0 : 1000;
    struct str resource = resource_of(name, &limit);
    if (is_count || resource.len == 0)
        return 0;
    if (o->pod != NULL)
        return is_over(o->pod) ? 0 : sched_view_pod_takes(o->pod->spec, resource, limit);
    return o->machine == NULL ? 0 : sched_view_machine_takes(o->machine->spec, resource, limit);
}

static bool is_in_scope(const struct amount *a, const struct counted *o)
{
    return a->scope == NULL || quota_scope_holds(a->scope, o->pod == NULL ? NULL : o->pod->spec,
                                                 o->machine == NULL ? NULL : o->machine->spec);
}

/* Nothing gives a quota more, not even what was stored when a machine could ask for less than nothing. */
static int64_t takes(const struct amount *a, const struct counted *o)
{
    int64_t amount = is_in_scope(a, o) ? amount_of(o, str_of(a->name)) : 0;
    return amount > 0 ? amount : 0;
}

/* ---- a create ---- */

static struct str print_amount(struct arena *a, struct str name, __int128 milli)
{
    char text[QUANTITY_TEXT_MAX];
    bool limit, bytes = false;
    static const char *const binary[] = {"memory", "ephemeral-storage"};
    struct str resource = resource_of(name, &limit);
    for (uint32_t i = 0; i < COUNT_OF(binary); i++)
        bytes |= str_is(resource, binary[i]);
    bytes |= str_starts(resource, STR("hugepages-"));
    __int128 told = milli < INT64_MAX ? milli : INT64_MAX;
    struct quantity q = {told * 1000000, bytes ? QUANTITY_BINARY : QUANTITY_DECIMAL};
    quantity_print(&q, text);
    return arena_str(a, str_of(text));
}

/* Kubernetes: what a quota bounds must be said by every container. */
static struct str unsaid(struct arena *a, const Core__Pod *pod, struct str name)
{
    bool limit;
    struct str resource = resource_of(name, &limit), list = STR("");
    bool must = str_is(resource, "cpu") || str_is(resource, "memory");
    for (size_t i = 0; must && i < pod->spec->n_containers; i++) {
        const Core__Container *k = pod->spec->containers[i];
        if (!sched_view_says(k->resources, resource, limit))
            list = arena_printf(a, STR_FMT "%s%s", STR_ARG(list), list.len > 0 ? "," : "", k->name);
    }
    return list;
}

struct lists {
    struct str requested, used, limited, unsaid;
};

static void add_pair(struct arena *a, struct str *list, struct str name, __int128 milli)
{
    struct str amount = print_amount(a, name, milli);
    *list = arena_printf(a, STR_FMT "%s" STR_FMT "=" STR_FMT, STR_ARG(*list),
                         list->len > 0 ? "," : "", STR_ARG(name), STR_ARG(amount));
}

static void judge(struct core *c, struct space *s, const Core__ResourceQuota *q,
                  const struct counted *o, struct lists *out)
{
    struct arena *a = &c->turn;
    uint64_t id = quota_scope_id(a, q->spec);
    for (size_t i = 0; i < q->spec->n_hard; i++) {
        struct str name = str_of(q->spec->hard[i]->key);
        const struct amount *is = find_amount(s, name, id);
        if (is == NULL || !is_in_scope(is, o))
            continue;
        int64_t hard = objects_milli_of(q->spec->hard[i]->value), wants = takes(is, o);
        __int128 used = is->used + is->pending + is->planned;
        struct str missing = o->pod == NULL ? STR("") : unsaid(a, o->pod, name);
        if (missing.len > 0)
            out->unsaid =
                arena_printf(a, STR_FMT "%s" STR_FMT " for: " STR_FMT, STR_ARG(out->unsaid),
                             out->unsaid.len > 0 ? "; " : "", STR_ARG(name), STR_ARG(missing));
        if (wants == 0 || used + wants <= hard)
            continue;
        add_pair(a, &out->requested, name, wants);
        add_pair(a, &out->used, name, used);
        add_pair(a, &out->limited, name, hard);
    }
}

static void settled(struct core *c, uint64_t id, bool durable)
{
    struct pending *p = map_remove(&c->controls->quotas->pending, str_from(&id, sizeof id));
    struct space *s = p == NULL ? NULL : space_of(c, str_of(p->namespace));
    (void)durable; /* Then it was counted as what it is now. */
    for (uint32_t i = 0; s != NULL && s->is_counted && i < p->count; i++) {
        struct amount *at = find_amount(s, str_of(p->at[i].name), p->at[i].scope_id);
        if (at != NULL)
            at->pending -= p->at[i].amount;
    }
    mem_free(p);
}

static void let_in(struct core *c, struct stage *s, struct space *space, const struct counted *o)
{
    struct quotas *all = c->controls->quotas;
    size_t text = strlen(space->namespace) + 1;
    struct pending *p = mem_zalloc(1, sizeof *p + space->count * sizeof p->at[0] + text);
    p->id = ++all->last_id;
    p->namespace = (char *)&p->at[space->count];
    memcpy(p->namespace, space->namespace, text);
    for (uint32_t i = 0; i < space->count; i++) {
        int64_t wants = takes(&space->at[i], o);
        if (wants == 0)
            continue;
        memcpy(p->at[p->count].name, space->at[i].name, sizeof p->at->name);
        p->at[p->count].scope_id = space->at[i].scope_id;
        p->at[p->count++].amount = wants;
        space->at[i].pending += wants;
    }
    if (map_put(&all->pending, str_from(&p->id, sizeof p->id), p) == ERR_OK) {
        stage_on_settled(s, settled, p->id);
        return;
    }
    for (uint32_t i = 0; i < p->count; i++)
        find_amount(space, str_of(p->at[i].name), p->at[i].scope_id)->pending -= p->at[i].amount;
    mem_free(p);
    stage_refuse(s, WRITE_BUSY, "too much at once");
}

/* In Kubernetes' words, at the first quota that minds; empty: none does. */
static struct str objection(struct core *c, struct space *space, const struct counted *o)
{
    struct index_range r;
    struct cow_entry *e;
    core_range(c, &r, quotas_key(c, str_of(space->namespace)));
    while ((e = index_range_next(&r)) != NULL) {
        struct lists l = {STR(""), STR(""), STR(""), STR("")};
        const Core__ResourceQuota *q = open_quota(&c->turn, e);
        if (q == NULL)
            continue;
        judge(c, space, q, o, &l);
        if (l.unsaid.len > 0)
            return arena_printf(&c->turn, "failed quota: %s: must specify " STR_FMT,
                                q->metadata->name, STR_ARG(l.unsaid));
        if (l.requested.len > 0)
            return arena_printf(
                &c->turn,
                "exceeded quota: %s, requested: " STR_FMT ", used: " STR_FMT ", limited: " STR_FMT,
                q->metadata->name, STR_ARG(l.requested), STR_ARG(l.used), STR_ARG(l.limited));
    }
    return STR("");
}

void quotas_admit(struct core *c, struct stage *s, struct draft *d)
{
    struct space *space = d->at.namespace.len == 0 ? NULL : space_of(c, d->at.namespace);
    struct counted o;
    if (space == NULL)
        return;
    if (!space->is_counted)
        recount(c, space);
    open_object(&c->turn, &d->at, d->object, &o);
    struct str why = objection(c, space, &o);
    if (why.len > 0)
        stage_refuse(s, WRITE_DENIED, STR_FMT, STR_ARG(why));
    else
        let_in(c, s, space, &o);
}

struct str quotas_plan(struct core *c, struct str namespace, Core__Pod *pod,
                       Kubevirt__VirtualMachineInstance *machine)
{
    struct space *space = space_of(c, namespace);
    const struct counted o = {
        .at = {.group = pod != NULL ? STR("") : STR("kubevirt.io"),
               .plural = pod != NULL ? STR("pods") : STR("virtualmachineinstances"),
               .namespace = namespace},
        .pod = pod,
        .machine = machine};
    if (space == NULL)
        return STR("");
    if (!space->is_counted)
        recount(c, space);
    struct str why = objection(c, space, &o);
    for (uint32_t i = 0; why.len == 0 && i < space->count; i++)
        space->at[i].planned += takes(&space->at[i], &o);
    return why;
}

void quotas_plan_end(struct core *c)
{
    const struct map_entry *e;
    for (uint32_t at = 0; (e = map_next(&c->controls->quotas->spaces, &at)) != NULL;) {
        struct space *s = e->value;
        for (uint32_t i = 0; i < s->count; i++)
            s->at[i].planned = 0;
    }
}

/* ---- the controller ---- */

void quotas_loaded(struct core *c)
{
    struct map *m = &c->controls->quotas->spaces;
    drop_spaces(m);
    map_init(m, SPACES_MAX);
}

static struct space *make_space(struct core *c, struct str namespace)
{
    struct space *s = mem_zalloc(1, sizeof *s + namespace.len + 1);
    str_put(s->namespace, namespace);
    if (map_put(&c->controls->quotas->spaces, str_of(s->namespace), s) == ERR_OK)
        return s;
    mem_free(s);
    return NULL;
}

/* A change of its status alone, which is ours. */
static bool is_same_spec(const struct core_change *change)
{
    struct arena a;
    if (change->is.before == NULL || change->is.deleted)
        return false;
    arena_init(&a, SCRATCH_MAX);
    const Core__ResourceQuota *was = open_quota(&a, change->is.before);
    const Core__ResourceQuota *is = open_quota(&a, change->is.now);
    bool same = was != NULL && is != NULL &&
                str_eq(objects_pack(&a, &was->spec->base), objects_pack(&a, &is->spec->base));
    arena_free(&a);
    return same;
}

void quotas_changed(struct core *c, const struct core_change *change)
{
    struct space *s = change->at.namespace.len == 0 ? NULL : space_of(c, change->at.namespace);
    if (s == NULL && is_quota(&change->at) && !change->is.deleted)
        s = make_space(c, change->at.namespace);
    if (s == NULL)
        return;
    if (is_quota(&change->at) && !is_same_spec(change)) {
        s->is_counted = false; /* Its names may be others. */
    } else if (s->is_counted) {
        if (change->is.before != NULL)
            add_object(s, &change->at, blob_str(change->is.before->value), -1);
        if (!change->is.deleted)
            add_object(s, &change->at, blob_str(change->is.now->value), 1);
    }
    core_mark(c, CONTROL_QUOTAS, quotas_key(c, change->at.namespace));
}

static Core__ResourceQuotaStatus *status_of(struct core *c, struct space *s,
                                            const Core__ResourceQuota *q)
{
    size_t count = q->spec->n_hard;
    uint64_t id = quota_scope_id(&c->turn, q->spec);
    Core__ResourceQuotaStatus *st = arena_alloc(&c->turn, sizeof *st);
    if (st == NULL)
        return NULL;
    core__resource_quota_status__init(st);
    st->hard = arena_zalloc(&c->turn, count + 1, sizeof *st->hard);
    st->used = arena_zalloc(&c->turn, count + 1, sizeof *st->used);
    for (size_t i = 0; st->hard != NULL && st->used != NULL && i < count; i++) {
        struct str name = str_of(q->spec->hard[i]->key);
        const struct amount *is = find_amount(s, name, id);
        Resource__Quantity *used = arena_alloc(&c->turn, sizeof *used);
        Core__ResourceQuotaStatus__HardEntry *hard = arena_alloc(&c->turn, sizeof *hard);
        Core__ResourceQuotaStatus__UsedEntry *entry = arena_alloc(&c->turn, sizeof *entry);
        if (used == NULL || hard == NULL || entry == NULL)
            return NULL;
        core__resource_quota_status__hard_entry__init(hard);
        core__resource_quota_status__used_entry__init(entry);
        resource__quantity__init(used);
        used->string = (char *)print_amount(&c->turn, name, is == NULL ? 0 : is->used).at;
        hard->key = entry->key = q->spec->hard[i]->key;
        hard->value = q->spec->hard[i]->value;
        entry->value = used;
        st->hard[st->n_hard++] = hard;
        st->used[st->n_used++] = entry;
    }
    return st;
}

static bool write_status(struct core *c, struct space *s, struct cow_entry *e)
{
    struct str key = cow_entry_key(e);
    Core__ResourceQuota *q = open_quota(&c->turn, e);
    if (q == NULL)
        return true;
    if (core_is_busy(c, key) || !cluster_has_room(c))
        return false;
    struct str before = typed_wrap(&c->turn, "v1", "ResourceQuota", &q->base);
    q->status = status_of(c, s, q);
    struct str after = typed_wrap(&c->turn, "v1", "ResourceQuota", &q->base);
    if (after.at == NULL || str_eq(before, after))
        return after.at != NULL;
    struct stage *stage = stage_begin(c);
    stage_put(stage, key, after, NULL);
    stage_end(stage);
    return true;
}

/* key: the quotas of one namespace. */
enum reconcile quotas_reconcile(struct core *c, struct str key)
{
    struct index_key at;
    struct index_range r;
    struct cow_entry *e;
    bool any = false, done = true;
    struct space *s = index_key_parse(key, &at) ? space_of(c, at.namespace) : NULL;
    if (s == NULL)
        return RECONCILE_DONE;
    if (!s->is_counted)
        recount(c, s);
    core_range(c, &r, key);
    while ((e = index_range_next(&r)) != NULL) {
        any = true;
        done &= write_status(c, s, e);
    }
    if (any)
        return done ? RECONCILE_DONE : RECONCILE_LATER;
    map_remove(&c->controls->quotas->spaces, at.namespace);
    forget_names(s);
    mem_free(s);
    return RECONCILE_DONE;
}
