/* SPDX-License-Identifier: Apache-2.0 */
/* What every part stands on: reading, and what the turn asks for. Calls no other part. */
#include "controlplane/core/writes_priv.h"

#include "base/mem.h"

/* ---- Reading ---- */

bool core_in_memory(struct str group, struct str plural)
{
    return group.len == 0 && str_is(plural, "events");
}

bool memory_has(struct str key)
{
    return str_starts(key, STR("/events/"));
}

/* What a stage has just put into the tree is looked for by those who are told of it. */
static struct cow_entry *find_settling(const struct stage *s, struct str key)
{
    for (uint32_t i = 0; s != NULL && i < s->count; i++)
        if (str_eq(cow_entry_key(s->at[i].now), key))
            return s->at[i].deleted ? NULL : s->at[i].now;
    return NULL;
}

struct cow_entry *core_find(struct core *c, struct str key)
{
    struct cow_entry *e = find_settling(c->writes->settling, key);
    if (e != NULL)
        return e;
    struct index *x = memory_has(key) ? c->memory->index : c->index;
    return cow_find(index_tree(x)->root, key);
}

bool core_is_busy(struct core *c, struct str key)
{
    return map_find(&c->writes->busy, key) != NULL;
}

void core_range(struct core *c, struct index_range *r, struct str prefix)
{
    struct index *x = memory_has(prefix) ? c->memory->index : c->index;
    struct index_snapshot s = {.root = index_tree(x)->root};
    index_range(r, &s, prefix, STR(""));
}

struct str core_key(struct core *c, const char *group, const char *plural, struct str namespace,
                    struct str name)
{
    char text[INDEX_KEY_MAX + 1];
    struct index_key key = {str_of(group), str_of(plural), namespace, name};
    size_t len = index_key_print(&key, text);
    return len == 0 ? (struct str){NULL, 0} : arena_str(&c->turn, str_from(text, len));
}

const struct core_rule *core_rule(struct core *c, struct str group, struct str plural)
{
    for (uint32_t i = 0; i < c->above->rules_count; i++) {
        const struct core_rule *r = &c->above->rules[i];
        if (str_is(plural, r->plural) && str_is(group, r->group))
            return r;
    }
    return NULL;
}

/* ---- Memory ---- */

void core_part_begin(struct core *c, struct core_part *p)
{
    *p = (struct core_part){c->turn, c->effects_count};
    arena_part(&c->turn, &p->turn);
}

void core_part_end(struct core *c, struct core_part *p)
{
    struct arena part = c->turn;
    c->turn = p->turn;
    if (c->effects_count > p->effects_count)
        arena_adopt(&c->turn, &part);
    else
        arena_free(&part);
}

/* ---- Effects ---- */

void core_emit(struct core *c, const struct core_effect *fx)
{
    if (c->effects_count == c->effects_size) {
        c->effects_size = c->effects_size == 0 ? 64 : c->effects_size * 2;
        c->effects = mem_resize(c->effects, c->effects_size * sizeof *c->effects);
    }
    c->effects[c->effects_count++] = *fx;
    blob_ref(fx->object);
}

void core_poisoned(struct core *c, struct str key, const char *why)
{
    core_emit(c, &(struct core_effect){.type = FX_POISONED,
                                       .bytes = arena_str(&c->turn, key),
                                       .text = arena_dup(&c->turn, str_of(why))});
}
