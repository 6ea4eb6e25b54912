/* SPDX-License-Identifier: Apache-2.0 */
/* What agents are told of each Placement: the workload, and what it mentions. Level-triggered; agents.c hears them. */
#include "base/mem.h"
#include "controlplane/core/cluster.h"
#include "api/assigned.h"
#include "api/specs.h"

enum { DEPENDENCIES_MAX = 256, MENTIONS_BYTES_MAX = 64 << 10 };

/* Takes the reference. */
static void send_bytes(struct core *c, const struct node_state *n, struct blob *bytes)
{
    if (n->session == 0) {
        blob_unref(bytes);
        return;
    }
    core_emit(c, &(struct core_effect){.type = FX_AGENT_SEND,
                                       .session = n->session,
                                       .object = bytes,
                                       .bytes = blob_str(bytes)});
    c->sent_bytes += bytes->len;
    blob_unref(bytes); /* The effect has its own reference. */
}

void agents__send(struct core *c, struct node_state *n, Agent__ServerMessage *m)
{
    send_bytes(c, n, objects_blob(&m->base));
}

/* ---- what a workload mentions ---- */

/* A line each: "configmaps/name", "secrets/name". */
static void mention(struct buf *to, const char *plural, const char *name)
{
    if (name == NULL || name[0] == '\0')
        return;
    buf_add(to, str_of(plural));
    buf_add_char(to, '/');
    buf_add(to, str_of(name));
    buf_add_char(to, '\n');
}

static void mention_env(struct buf *to, const Core__Container *c)
{
    for (size_t i = 0; i < c->n_env; i++) {
        const Core__EnvVarSource *s = c->env[i]->value_from;
        if (s != NULL && s->config_map_key_ref != NULL &&
            s->config_map_key_ref->local_object_reference != NULL)
            mention(to, "configmaps", s->config_map_key_ref->local_object_reference->name);
        if (s != NULL && s->secret_key_ref != NULL &&
            s->secret_key_ref->local_object_reference != NULL)
            mention(to, "secrets", s->secret_key_ref->local_object_reference->name);
    }
    for (size_t i = 0; i < c->n_env_from; i++) {
        const Core__EnvFromSource *s = c->env_from[i];
        if (s->config_map_ref != NULL && s->config_map_ref->local_object_reference != NULL)
            mention(to, "configmaps", s->config_map_ref->local_object_reference->name);
        if (s->secret_ref != NULL && s->secret_ref->local_object_reference != NULL)
            mention(to, "secrets", s->secret_ref->local_object_reference->name);
    }
}

static void mention_volume(struct buf *to, const Core__VolumeSource *s)
{
    if (s == NULL)
        return;
    if (s->config_map != NULL && s->config_map->local_object_reference != NULL)
        mention(to, "configmaps", s->config_map->local_object_reference->name);
    if (s->secret != NULL)
        mention(to, "secrets", s->secret->secret_name);
    for (size_t i = 0; s->projected != NULL && i < s->projected->n_sources; i++) {
        const Core__VolumeProjection *p = s->projected->sources[i];
        if (p->config_map != NULL && p->config_map->local_object_reference != NULL)
            mention(to, "configmaps", p->config_map->local_object_reference->name);
        if (p->secret != NULL && p->secret->local_object_reference != NULL)
            mention(to, "secrets", p->secret->local_object_reference->name);
    }
}

char *agents_mentions(const Core__PodSpec *spec)
{
    struct buf lines, *to = &lines;
    buf_init(to, MENTIONS_BYTES_MAX);
    for (size_t i = 0; i < spec->n_init_containers; i++)
        mention_env(to, spec->init_containers[i]);
    for (size_t i = 0; i < spec->n_containers; i++)
        mention_env(to, spec->containers[i]);
    for (size_t i = 0; i < spec->n_volumes; i++)
        mention_volume(to, spec->volumes[i]->volume_source);
    for (size_t i = 0; i < spec->n_image_pull_secrets; i++)
        mention(to, "secrets", spec->image_pull_secrets[i]->name);
    char *copy = objects_keep(buf_str(to));
    buf_free(to);
    return copy;
}

/* The objects that are there of what is mentioned: their names in the turn's memory, their bytes the index'. */
struct mentions {
    struct assigned_object at[DEPENDENCIES_MAX];
    size_t count;
    uint32_t missing;
    uint64_t stamp; /* Of the newest of them. */
};

static void depend(struct core *c, struct mentions *all, struct str namespace, struct str plural,
                   struct str name)
{
    for (size_t i = 0; i < all->count; i++)
        if (str_eq(plural, all->at[i].plural) && str_eq(name, all->at[i].name))
            return;
    const char *of = arena_dup(&c->turn, plural);
    struct cow_entry *e = of == NULL ? NULL : core_find(c, core_key(c, "", of, namespace, name));
    all->missing += e == NULL;
    if (e == NULL || all->count == DEPENDENCIES_MAX)
        return;
    all->stamp = max_u64(all->stamp, e->stamp);
    all->at[all->count++] = (struct assigned_object){
        .plural = str_of(of), .name = arena_str(&c->turn, name), .bytes = blob_str(e->value)};
}

static void look_into(struct core *c, struct held *h, const struct cow_entry *workload)
{
    Core__Pod *pod = h->is_machine || h->mentions_known
                         ? NULL
                         : specs_open(c->specs, &c->turn, blob_str(workload->value));
    if (pod != NULL && pod->spec != NULL)
        h->mentions = agents_mentions(pod->spec);
    h->mentions_known = true;
}

/* Forgets what the decision has left: it is told once, and asked for again seldom. */
static void mentions_of(struct core *c, struct held *h, const struct cow_entry *workload,
                        struct mentions *out)
{
    struct index_key at;
    struct str line, plural;
    out->count = 0;
    out->missing = 0;
    out->stamp = 0;
    look_into(c, h, workload);
    if (index_key_parse(str_of(h->workload_key), &at))
        for (struct str rest = str_of(h->mentions); str_split(&rest, '\n', &line);)
            if (str_split(&line, '/', &plural) && line.len > 0)
                depend(c, out, at.namespace, plural, line);
    mem_free(h->mentions);
    h->mentions = NULL;
    h->mentions_known = false;
}

/* ---- down ---- */

/* placement: it stands, and waits to hear that nothing is left; or NULL. */
static void send_removed(struct core *c, struct held *h, const struct cow_entry *placement)
{
    Agent__ServerMessage m = AGENT__SERVER_MESSAGE__INIT;
    Agent__Assign a = AGENT__ASSIGN__INIT;
    a.placement_uid = h->uid;
    a.has_removed = a.removed = true;
    a.has_placement_revision = placement != NULL;
    a.placement_revision = placement == NULL ? 0 : placement->stamp;
    m.message_case = AGENT__SERVER_MESSAGE__MESSAGE_ASSIGN;
    m.assign = &a;
    agents__send(c, h->node, &m);
}

void agents_tell_removed(struct core *c, struct held *h)
{
    if (h->node != NULL && h->node->greeted && h->told_session == h->node->session)
        send_removed(c, h, NULL);
}

struct cow_entry *agents__workload(struct core *c, const struct held *h, struct meta *out)
{
    struct cow_entry *e = core_find(c, str_of(h->workload_key));
    if (e == NULL || meta_read(blob_str(e->value), out, NULL) != ERR_OK ||
        !str_is(out->uid, h->workload_uid))
        return NULL;
    return e;
}

static void send_assign(struct core *c, const struct held *h, const struct cow_entry *placement,
                        const struct cow_entry *workload, const struct mentions *mentions)
{
    struct assigned told = {
        .revision = max_u64(max_u64(placement->stamp, workload->stamp), mentions->stamp),
        .placement_revision = placement->stamp,
        .placement = blob_str(placement->value),
        .workload = blob_str(workload->value),
        .placement_uid = str_of(h->uid),
        .objects = mentions->at,
        .objects_count = mentions->count};
    send_bytes(c, h->node, assigned_write(&told));
}

/* What is wanted of it now, unless this session knows. */
void agents_tell(struct core *c, struct held *h)
{
    struct meta meta;
    struct node_state *n = h->node;
    if (n == NULL || !n->greeted)
        return;
    struct cow_entry *placement = core_find(c, str_of(h->key));
    struct cow_entry *workload = agents__workload(c, h, &meta);
    if (placement == NULL)
        return;
    if (workload == NULL) {
        send_removed(c, h, placement);
        h->told_session = n->session;
        return;
    }
    bool told = h->told_session == n->session && h->told_leaving == meta.is_deleting &&
                h->told_grace == meta.grace_s && h->told_generation == meta.generation;
    if (told && h->told_missing == 0)
        return;
    struct mentions mentions;
    mentions_of(c, h, workload, &mentions);
    if (told && h->told_missing == mentions.missing)
        return;
    cluster_set_missing(c, h, mentions.missing);
    h->told_session = n->session;
    h->told_leaving = meta.is_deleting;
    h->told_grace = meta.grace_s;
    h->told_generation = meta.generation;
    send_assign(c, h, placement, workload, &mentions);
}
