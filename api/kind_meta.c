/* SPDX-License-Identifier: Apache-2.0 */
/* ObjectMeta, which every object has: Kubernetes API conventions, "Metadata". */
#include "api/kinds_priv.h"

enum { ANNOTATIONS_BYTES_MAX = 256 << 10 };

static void labels_validate(struct kind_call *c, const Meta__ObjectMeta *m, const struct field *up)
{
    struct field f = field_name(up, "labels");
    for (size_t i = 0; i < m->n_labels; i++) {
        struct str key = kind_str(m->labels[i]->key), value = kind_str(m->labels[i]->value);
        names_check(&c->causes, &f, key, name_qualified(key));
        names_check(&c->causes, &f, value, name_label_value(value));
    }
}

static struct str lower(struct str s, struct arena *a)
{
    char *at = arena_dup(a, s);
    for (size_t i = 0; at != NULL && i < s.len; i++)
        if (at[i] >= 'A' && at[i] <= 'Z')
            at[i] += 'a' - 'A';
    return (struct str){at, at == NULL ? 0 : s.len};
}

static void annotations_validate(struct kind_call *c, const Meta__ObjectMeta *m,
                                 const struct field *up)
{
    struct field f = field_name(up, "annotations");
    size_t bytes = 0;
    for (size_t i = 0; i < m->n_annotations; i++) {
        struct str key = kind_str(m->annotations[i]->key);
        bytes += key.len + kind_str(m->annotations[i]->value).len;
        /* Upper case is fine in the prefix here, unlike in a label's. */
        names_check(&c->causes, &f, key, name_qualified(lower(key, c->arena)));
    }
    if (bytes > ANNOTATIONS_BYTES_MAX)
        causes_add(&c->causes, CAUSE_TOO_LONG, &f, "may not be more than %d bytes",
                   ANNOTATIONS_BYTES_MAX);
}

static void owners_validate(struct kind_call *c, const Meta__ObjectMeta *m, const struct field *up)
{
    struct field list = field_name(up, "ownerReferences");
    const Meta__OwnerReference *controller = NULL;
    for (size_t i = 0; i < m->n_owner_references; i++) {
        const Meta__OwnerReference *o = m->owner_references[i];
        struct field at = list; /* Kubernetes names the list, not the element. */
        const struct {
            const char *name, *text;
        } parts[] = {
            {"apiVersion", o->api_version}, {"kind", o->kind}, {"name", o->name}, {"uid", o->uid}};
        for (size_t p = 0; p < COUNT_OF(parts); p++) {
            struct field f = field_name(&at, parts[p].name);
            if (!is_empty(parts[p].text))
                continue;
            causes_invalid(&c->causes, &f, STR(""),
                           p == 0 ? "version must not be empty" : "must not be empty");
        }
        if (o->has_controller && o->controller) {
            if (controller != NULL)
                causes_add(&c->causes, CAUSE_INVALID, &list,
                           "Only one reference can have Controller set to true. Found \"true\" in "
                           "references for %s and %s",
                           controller->name, o->name);
            controller = o;
        }
    }
}

static void finalizers_validate(struct kind_call *c, const Meta__ObjectMeta *m,
                                const struct field *up)
{
    struct field list = field_name(up, "finalizers");
    bool has_orphan = false, has_foreground = false;
    for (size_t i = 0; i < m->n_finalizers; i++) {
        struct str name = kind_str(m->finalizers[i]);
        names_check(&c->causes, &list, name, name_qualified(name));
        has_orphan = has_orphan || str_is(name, "orphan");
        has_foreground = has_foreground || str_is(name, "foregroundDeletion");
    }
    for (size_t i = 0; i < m->n_finalizers; i++) {
        struct str name = kind_str(m->finalizers[i]);
        struct field at = field_index(&list, i);
        bool is_standard = str_is(name, "orphan") || str_is(name, "foregroundDeletion") ||
                           str_is(name, "kubernetes");
        if (str_find(name, '/', 0) == name.len && !is_standard)
            causes_invalid(&c->causes, &at, name,
                           "name is neither a standard finalizer name nor is it fully qualified");
    }
    if (has_orphan && has_foreground)
        causes_add(&c->causes, CAUSE_INVALID, &list,
                   "[]string{\"orphan\", \"foregroundDeletion\"}: finalizer orphan and "
                   "foregroundDeletion cannot be both set");
}

static bool has_finalizer(const Meta__ObjectMeta *m, const char *name)
{
    for (size_t i = 0; i < m->n_finalizers; i++)
        if (is_text(m->finalizers[i], name))
            return true;
    return false;
}

static void no_new_finalizers(struct kind_call *c, const Meta__ObjectMeta *m,
                              const Meta__ObjectMeta *old, const struct field *up)
{
    struct field list = field_name(up, "finalizers");
    struct str found = STR("");
    for (size_t i = 0; i < m->n_finalizers; i++)
        if (!has_finalizer(old, m->finalizers[i]))
            found = arena_printf(c->arena, STR_FMT "%s\"%s\"", STR_ARG(found),
                                 found.len == 0 ? "" : ", ", m->finalizers[i]);
    if (found.len > 0)
        causes_add(&c->causes, CAUSE_FORBIDDEN, &list,
                   "no new finalizers can be added if the object is being deleted, found new "
                   "finalizers []string{" STR_FMT "}",
                   STR_ARG(found));
}

static void name_validate(const struct kind *k, struct kind_call *c, const Meta__ObjectMeta *m,
                          const struct field *up)
{
    struct field name = field_name(up, "name"), prefix = field_name(up, "generateName");
    struct str given = kind_str(m->name), start = kind_str(m->generate_name);
    if (start.len > 0) {
        struct str bare = start; /* A prefix may end where a name may not. */
        while (bare.len > 1 && bare.at[bare.len - 1] == '-')
            bare.len--;
        names_check(&c->causes, &prefix, start, k->name_rule(bare));
    }
    if (given.len == 0 && start.len == 0)
        causes_add(&c->causes, CAUSE_REQUIRED, &name, "name or generateName is required");
    if (given.len == 0 && start.len > 0) /* What the core would make of it. */
        given = arena_printf(c->arena, STR_FMT STR_FMT, STR_ARG(str_slice(start, 0, 58)),
                             STR_ARG(kind_suffix(c)));
    if (given.len > 0)
        names_check(&c->causes, &name, given, k->name_rule(given));
}

void meta_validate(const struct kind *k, struct kind_call *c, const Meta__ObjectMeta *m,
                   const Meta__ObjectMeta *old)
{
    struct field f = field_name(NULL, "metadata");
    if (old == NULL)
        name_validate(k, c, m, &f);
    if (old != NULL && (k->flags & KIND_NEEDS_VERSION) && is_empty(m->resource_version)) {
        struct field version = field_name(&f, "resourceVersion");
        causes_add(&c->causes, CAUSE_INVALID, &version, "0x0: must be specified for an update");
    }
    struct field finalizers = field_name(&f, "finalizers");
    if (!check_count(c, &finalizers, m->n_finalizers))
        return;
    if (old != NULL && old->deletion_timestamp != NULL)
        no_new_finalizers(c, m, old, &f);
    labels_validate(c, m, &f);
    annotations_validate(c, m, &f);
    owners_validate(c, m, &f);
    finalizers_validate(c, m, &f);
}

bool check_most(struct kind_call *c, const struct field *f, size_t count, size_t most)
{
    if (count > most)
        causes_add(&c->causes, CAUSE_TOO_MANY, f, "%zu: must have at most %zu items", count, most);
    return count <= most;
}

bool check_count(struct kind_call *c, const struct field *f, size_t count)
{
    return check_most(c, f, count, KIND_LIST_MAX);
}

/* What every entry that protobuf-c makes of a map begins with. */
struct entry {
    ProtobufCMessage base;
    char *key;
};

size_t entry_find(const void *entries, size_t count, const char *key)
{
    const struct entry *const *at = entries;
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(kind_str(at[middle]->key).at, key);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return count;
}

void check_one_of(struct kind_call *c, const struct field *f, const char *text,
                  const char *const *values)
{
    for (const char *const *v = values; *v != NULL; v++)
        if (is_text(text, *v))
            return;
    if (is_empty(text))
        causes_add(&c->causes, CAUSE_REQUIRED, f, "%s", "");
    else
        causes_unsupported(&c->causes, f, str_of(text), values);
}

struct str kind_letters(struct arena *a, uint64_t number)
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    char text[6] = "";
    for (int i = 0; i < 5; i++, number /= sizeof letters - 1)
        text[i] = letters[number % (sizeof letters - 1)];
    return arena_str(a, str_of(text));
}

struct str kind_suffix(struct kind_call *c)
{
    return kind_letters(c->arena, c->random);
}
