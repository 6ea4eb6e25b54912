/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kinds.h -- what is particular about each kind of object. A kind is a row.
 *
 * WHAT   Which verbs and subresources it has, which fields can be selected, how what a client sent
 *        becomes what is stored (prepare), whether that may be stored (validate), and the cells of
 *        `kubectl get` that are computed.
 * WHY    Names, scope, fields and columns are in proto/ and reach everything through the schema
 *        table; what needs code is here. Adding a kind is its message and a row in kinds[]; routing,
 *        storage, watches, discovery and printing need no edit.
 * OWNS   Rows are constant. What functions add to an object lives in the call's arena.
 * FAILS  Every mistake of an object is a cause, with its field's path; nothing stops at the first.
 *
 * Everything here is pure: it sees the object, the one it replaces, and the call's wall clock.
 */
#ifndef API_KINDS_H
#define API_KINDS_H

#include "api/names.h"
#include "api/schema.h"
#include "api/status.h"
#include "base/time.h"
#include "proto/k8s/core_v1.pb-c.h"

/* Which door a write comes through. */
enum kind_write {
    KIND_CREATE,
    KIND_UPDATE,    /* The object itself: its status stays as it was. */
    KIND_STATUS,    /* .../status: nothing but status, labels and annotations changes. */
    KIND_BIND,      /* pods/binding: nodeName, decided by a client's own scheduler. */
    KIND_EPHEMERAL, /* pods/ephemeralcontainers. */
    KIND_FINALIZE,  /* namespaces/finalize: spec.finalizers. */
};

/* Of the fields that nobody carries out as many are named one by one. */
enum { KIND_WARNINGS_MAX = 32, KIND_MISSED_MAX = 6 };

/* Of a pod, all its three lists together: what an agent may report on (controlplane/core/agents.c). */
enum { KIND_CONTAINERS_MAX = 256 };

/* A PriorityClass, as far as it matters to a workload that names it. */
struct kind_priority {
    bool is_known;
    struct str name, preemption_policy;
    int32_t value;
};

/* One write in preparation. */
struct kind_call {
    struct arena *arena;
    struct wall wall;
    uint64_t random; /* For names made up here; the shell's. */
    /* What the shell found of the class that the workload names, or of the one that is everybody's. */
    struct kind_priority priority;
    /* The LimitRanges of the namespaces it is about, by name; the shell's. */
    const Core__LimitRange *const *limits;
    size_t limits_count;
    enum kind_write write;
    bool
        spec_is_prepared; /* Of a pod: it stands elsewhere and was judged before (prepared.h); the object has none. */
    struct causes causes;
    struct str warnings[KIND_WARNINGS_MAX]; /* "spec.x: ...", for Warning headers. */
    uint32_t warnings_count;
    struct str denied; /* Not the object's fault: 403 with this reason. */
};

void kind_call_init(struct kind_call *c, struct arena *a, enum kind_write write, struct wall wall,
                    uint64_t random);
void kind_warn(struct kind_call *c, const struct field *f, const char *fmt, ...) PRINTF(3, 4);

void kind_deny(struct kind_call *c, const char *fmt, ...) PRINTF(2, 3); /* The first one stays. */

enum kind_flags {
    KIND_NEEDS_VERSION = 1 << 0, /* A PUT without resourceVersion is refused (422). */
    KIND_PUT_CREATES = 1 << 1,   /* A PUT to a name that is free creates it (201). */
    KIND_COUNTS = 1 << 2,        /* metadata.generation counts changes of spec. */
    KIND_DELETED_BODY = 1 << 3,  /* DELETE answers with the object, not with a Status. */
    KIND_READ_ONLY = 1 << 4,     /* Clients may read it; only the control plane writes it. */
    KIND_WARNS = 1 << 5,         /* Stored with fields that nobody carries out; clients are told. */
    KIND_CREATE_ONLY = 1 << 6,   /* A question: a create answers it, and nothing is stored. */
};

struct kind_subresource {
    const char *name;  /* "status" */
    const char *group; /* Of kind where it is another's: "policy"; NULL: the object's own. */
    const char *version, *kind;
    const char *verbs; /* As discovery lists them: "get patch update". */
};

/* One computed cell: text, or a number where is_number. */
struct kind_cell {
    struct str text;
    int64_t number;
    bool is_number;
};

struct kind {
    const char *group, *plural;
    struct names_why (*name_rule)(struct str name);
    uint32_t flags;            /* enum kind_flags. */
    const char *const *fields; /* Selectable, beside metadata.name and -.namespace. */
    const struct kind_subresource *subresources; /* NULL name at the end. */

    /* What is left out gets its default; what is not the client's is put right. old is NULL on
     * create. Total and idempotent. */
    void (*prepare)(struct kind_call *c, ProtobufCMessage *object, const ProtobufCMessage *old);
    void (*validate)(struct kind_call *c, const ProtobufCMessage *object,
                     const ProtobufCMessage *old);
    /* The cell of a column that names no field. object: what notes() made of the stored bytes, once for all its cells
     * (NULL: the arena is full); of a kind without notes(), the struct. */
    void *(*notes)(struct str raw, struct arena *a);
    struct kind_cell (*cell)(const void *object, struct str column, struct arena *a);
};

extern const struct kind *const kinds[]; /* NULL at the end. */

const struct kind *kind_find(struct str group, struct str plural); /* NULL: we do not serve it. */
const struct schema_kind *kind_schema(const struct kind *k);

/* Every object's metadata; made where the message has none. */
Meta__ObjectMeta *kind_meta(ProtobufCMessage *object, struct arena *a);
const Meta__ObjectMeta *kind_meta_get(const ProtobufCMessage *object); /* May be NULL. */

/*
 * What the client sent becomes what would be stored: metadata that is not the client's is put right,
 * status kept or cleared by the door, the kind's prepare() and validate(), generation counted. old:
 * the stored one, NULL on create. True when there is no cause in c and nothing was denied.
 */
bool kind_prepare(const struct kind *k, struct kind_call *c, ProtobufCMessage *object,
                  const ProtobufCMessage *old);

/*
 * The fields of spec that are set and that nobody carries out (api/honoured.h), with their paths, the
 * first max of them in paths[]. raw: the object, encoded. Returns how many there are.
 */
uint32_t kind_missed(const struct kind *k, struct str raw, struct arena *a, struct str *paths,
                     uint32_t max);

/* Warns of them where spec is not what it was; old: empty on create. After kind_prepare(). */
void kind_remark(const struct kind *k, struct kind_call *c, struct str raw, struct str old);

/* Same content, as their encodings have it. NULL is empty. */
bool kind_same(const ProtobufCMessage *a, const ProtobufCMessage *b);

/* The two classes that are always there. */
bool kind_system_priority(struct str name, int32_t *out);

/* raw, a PriorityClass encoded, has that name; without a name: it is everybody's. */
bool kind_priority_fits(struct str raw, struct str name);

/* A message's encoding, in the arena; empty for NULL. */
struct str kind_bytes(const ProtobufCMessage *m, struct arena *a);

/* For the kinds' own files: a message, or an array of count pointers, in the call's arena. NULL when
 * that is full (found where the answer is sent). */
void *kind_new(struct arena *a, const ProtobufCMessageDescriptor *type);
void *kind_grow(struct arena *a, const void *list, size_t count, size_t more);

/* Five characters of an alphabet that makes no words, as generated names end with: of a number, or at random. */
struct str kind_letters(struct arena *a, uint64_t number);
struct str kind_suffix(struct kind_call *c);

static inline struct str kind_str(const char *text) /* A field's text; "" where absent. */
{
    return text == NULL ? STR("") : str_of(text);
}

#endif /* API_KINDS_H */
