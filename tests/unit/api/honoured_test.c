/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored and carried out by nobody is told, by the schema; what is carried out never is. */
#include "api/honoured.h"
#include "api/transcode.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "tests/unit/api/world.h"

static struct str pack(struct world *w, const ProtobufCMessage *m)
{
    struct buf raw;
    struct err e;
    buf_init(&raw, 1 << 20);
    cr_assert_eq(transcode_pack(kind_schema(w->kind)->message, m, &w->a, &raw, &e), ERR_OK);
    struct str bytes = arena_str(&w->a, buf_str(&raw));
    buf_free(&raw);
    return bytes;
}

/* As the shell does it: prepared, encoded, warned of. A line per warning. */
static const char *warnings(struct world *w, enum kind_write door, ProtobufCMessage *m,
                            const ProtobufCMessage *old)
{
    struct str text = STR("");
    kind_call_init(&w->call, &w->a, door, (struct wall){1}, 12345);
    cr_assert(kind_prepare(w->kind, &w->call, m, old), STR_FMT ": " STR_FMT,
              STR_ARG(w->call.causes.first->field), STR_ARG(w->call.causes.first->message));
    kind_remark(w->kind, &w->call, pack(w, m), old == NULL ? STR("") : pack(w, old));
    for (uint32_t i = 0; i < w->call.warnings_count; i++)
        text =
            arena_printf(&w->a, STR_FMT STR_FMT "\n", STR_ARG(text), STR_ARG(w->call.warnings[i]));
    return text.len == 0 ? "" : text.at;
}

static const char *causes(struct world *w, const char *json)
{
    struct str text = STR("");
    kind_call_init(&w->call, &w->a, KIND_CREATE, (struct wall){1}, 12345);
    (void)kind_prepare(w->kind, &w->call, parse(w, json), NULL);
    for (const struct cause *c = w->call.causes.first; c != NULL; c = c->next)
        text = arena_printf(&w->a, STR_FMT STR_FMT ": " STR_FMT "\n", STR_ARG(text),
                            STR_ARG(c->field), STR_ARG(c->message));
    return text.len == 0 ? "" : text.at;
}

#define POD(spec) "{\"metadata\":{\"name\":\"p\"},\"spec\":{" spec "}}"
#define C "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]"

/* All of it is carried out, and so are the defaults that every pod gets. */
TEST(honoured, a_pod_that_is_carried_out_is_not_warned_of)
{
    struct world w;
    world_init(&w, "", "pods");
    const char *json = POD(
        "\"initContainers\":[{\"name\":\"s\",\"image\":\"i\",\"restartPolicy\":\"Always\","
        "\"readinessProbe\":{\"tcpSocket\":{\"port\":1}}}],"
        "\"hostPID\":false,\"automountServiceAccountToken\":false,\"priority\":0,"
        "\"activeDeadlineSeconds\":60,"
        "\"os\":{\"name\":\"linux\"},\"hostNetwork\":true,\"dnsPolicy\":\"Default\","
        "\"securityContext\":{\"runAsUser\":1,\"seccompProfile\":{\"type\":\"RuntimeDefault\"}},"
        "\"affinity\":{\"podAntiAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":"
        "[{\"topologyKey\":\"kubernetes.io/hostname\",\"labelSelector\":{\"matchLabels\":"
        "{\"a\":\"b\"}}}]}},\"volumes\":[{\"name\":\"v\",\"projected\":{\"sources\":[{"
        "\"configMap\":"
        "{\"name\":\"m\",\"optional\":true}},{\"downwardAPI\":{\"items\":[{\"path\":\"n\","
        "\"fieldRef\":{\"fieldPath\":\"metadata.name\"}}]}}]}}],"
        "\"containers\":[{\"name\":\"c\",\"image\":\"i\","
        "\"livenessProbe\":{\"httpGet\":{\"port\":1,\"scheme\":\"HTTP\"},\"periodSeconds\":3},"
        "\"startupProbe\":{\"exec\":{\"command\":[\"x\"]}},\"resources\":{\"limits\":"
        "{\"cpu\":\"1\"}},\"lifecycle\":{\"preStop\":{\"sleep\":{\"seconds\":1}}},"
        "\"env\":[{\"name\":\"A\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"k\"}}}]"
        ","
        "\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\",\"readOnly\":true}]}]");
    cr_assert_str_eq(warnings(&w, KIND_CREATE, parse(&w, json), NULL), "");
    arena_free(&w.a);
}

TEST(honoured, each_field_that_nobody_carries_out_is_named)
{
    struct world w;
    world_init(&w, "", "pods");
    const char *json =
        POD("\"hostPID\":true,\"dnsPolicy\":\"None\",\"dnsConfig\":{\"nameservers\":[\"1.1.1.1\"]},"
            "\"containers\":[{\"name\":\"c\",\"image\":\"i\"},{\"name\":\"d\",\"image\":\"i\","
            "\"readinessProbe\":{\"httpGet\":{\"port\":1,\"scheme\":\"HTTPS\"}},"
            "\"livenessProbe\":{\"grpc\":{\"port\":1}},\"terminationMessagePath\":\"/x\"}]");
    cr_assert_str_eq(
        warnings(&w, KIND_CREATE, parse(&w, json), NULL),
        "spec.containers[1].livenessProbe.grpc: stored, but not carried out yet\n"
        "spec.containers[1].readinessProbe.httpGet.scheme: stored, but not carried out "
        "yet\n"
        "spec.containers[1].terminationMessagePath: stored, but not carried out yet\n"
        "spec.dnsPolicy: stored, but not carried out yet\n"
        "spec.hostPID: stored, but not carried out yet\n"
        "spec.dnsConfig: stored, but not carried out yet\n");
    arena_free(&w.a);
}

/* The volume for the access to the API is ours and of no interest; a client's own token is. */
TEST(honoured, a_token_that_a_client_asks_for_is_named)
{
    struct world w;
    world_init(&w, "", "pods");
    const char *json = POD(C ",\"volumes\":[{\"name\":\"t\",\"projected\":{\"sources\":"
                             "[{\"serviceAccountToken\":{\"path\":\"t\"}}]}}]");
    cr_assert_str_eq(warnings(&w, KIND_CREATE, parse(&w, json), NULL),
                     "spec.volumes[0].projected.sources[0].serviceAccountToken: stored, but not "
                     "carried out yet\n");
    arena_free(&w.a);
}

TEST(honoured, an_update_is_warned_of_when_spec_changes)
{
    struct world w;
    world_init(&w, "", "pods");
    ProtobufCMessage *was = parse(&w, POD("\"hostIPC\":true," C));
    (void)warnings(&w, KIND_CREATE, was, NULL);
    ProtobufCMessage *labelled =
        parse(&w, "{\"metadata\":{\"name\":\"p\",\"labels\":{\"a\":\"b\"}},\"spec\":{"
                  "\"hostIPC\":true," C "}}");
    ((Core__Pod *)labelled)->spec = ((Core__Pod *)was)->spec;
    cr_assert_str_eq(warnings(&w, KIND_UPDATE, labelled, was), "");
    Core__PodSpec changed = *((Core__Pod *)was)->spec;
    Core__Toleration brief = CORE__TOLERATION__INIT, *tolerations[8];
    cr_assert_lt(changed.n_tolerations, COUNT_OF(tolerations));
    memcpy(tolerations, changed.tolerations, changed.n_tolerations * sizeof *tolerations);
    brief.key = (char *)"k";
    brief.operator_ = (char *)"Exists";
    brief.effect = (char *)"NoExecute";
    brief.has_toleration_seconds = true;
    brief.toleration_seconds = 5;
    tolerations[changed.n_tolerations++] = &brief;
    changed.tolerations = tolerations;
    ((Core__Pod *)labelled)->spec = &changed;
    cr_assert_str_eq(warnings(&w, KIND_UPDATE, labelled, was),
                     "spec.hostIPC: stored, but not carried out yet\n"
                     "spec.tolerations[2].tolerationSeconds: stored, but not carried out yet\n");
    arena_free(&w.a);
}

/* A client cannot make us say more than a few lines. */
TEST(honoured, many_fields_are_counted)
{
    struct world w;
    struct buf json;
    world_init(&w, "", "pods");
    buf_init(&json, 1 << 20);
    buf_add(&json, STR("{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":["));
    for (int i = 0; i < 40; i++)
        buf_printf(&json, "%s{\"name\":\"c%d\",\"image\":\"i\",\"stdinOnce\":true}",
                   i == 0 ? "" : ",", i);
    buf_add(&json, STR("]}}"));
    const char *text = arena_dup(&w.a, buf_str(&json));
    const char *said = warnings(&w, KIND_CREATE, parse(&w, text), NULL);
    cr_assert_eq(w.call.warnings_count, KIND_MISSED_MAX + 1, "%s", said);
    cr_assert_not_null(
        strstr(said, "spec: and 34 more fields that are stored, but not carried out yet\n"), "%s",
        said);
    buf_free(&json);
    arena_free(&w.a);
}

/* An init container that runs to its end is never probed: refused, as by Kubernetes. */
TEST(honoured, what_no_init_container_may_have)
{
    struct world w;
    world_init(&w, "", "pods");
    cr_assert_str_eq(
        causes(&w, POD("\"initContainers\":[{\"name\":\"i\",\"image\":\"i\",\"livenessProbe\":"
                       "{\"tcpSocket\":{\"port\":1}},\"lifecycle\":{}},"
                       "{\"name\":\"j\",\"image\":\"i\",\"restartPolicy\":\"Never\"}],"
                       "\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"restartPolicy\":"
                       "\"Always\"}]")),
        "spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers\n"
        "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without "
        "restartPolicy=Always\n"
        "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers "
        "without restartPolicy=Always\n"
        "spec.initContainers[1].restartPolicy: Unsupported value: \"Never\": supported values: "
        "\"Always\"\n");
    arena_free(&w.a);
}

/* Of a machine nothing is ignored. */
TEST(honoured, a_machine_is_refused_with_every_path)
{
    struct world w;
    world_init(&w, "kubevirt.io", "virtualmachineinstances");
    const char *json =
        "{\"metadata\":{\"name\":\"m\"},\"spec\":{\"readinessProbe\":{\"tcpSocket\":{\"port\":1}},"
        "\"livenessProbe\":{\"exec\":{\"command\":[\"x\"]}},\"domain\":{\"memory\":{\"guest\":"
        "\"64Mi\"},\"devices\":{\"rng\":{}}},\"tolerations\":[{\"operator\":\"Exists\","
        "\"effect\":\"NoExecute\",\"tolerationSeconds\":5}],"
        "\"volumes\":[{\"name\":\"a\",\"cloudInitNoCloud\":{}}]}}";
    const char *said = causes(&w, json);
    static const char *const paths[] = {
        "spec.livenessProbe", "spec.readinessProbe", "spec.domain.devices.rng",
        "spec.tolerations[0].tolerationSeconds", "spec.volumes[0].cloudInitNoCloud"};
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        cr_assert_not_null(
            strstr(said,
                   arena_printf(&w.a, "%s: Forbidden: Baton does not support this yet\n", paths[i])
                       .at),
            "%s is not in %s", paths[i], said);
    arena_free(&w.a);
}

/* Every value said to be harmless is one the field may have. */
TEST(honoured, harmless_values_are_values)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < schema_messages_count; i++)
        for (uint32_t k = 0; k < schema_messages[i].fields_count; k++) {
            const struct schema_field *f = &schema_messages[i].fields[k];
            seen += f->rule->harmless_count > 0;
            cr_assert(f->rule->harmless_count == 0 || (f->type != SCHEMA_MESSAGE && !f->map),
                      STR_FMT ": a message has no harmless value", STR_ARG(f->json));
            for (uint32_t n = 0; n < f->rule->harmless_count && f->rule->values_count > 0; n++) {
                bool is_value = false;
                for (uint32_t v = 0; v < f->rule->values_count; v++)
                    is_value = is_value || str_eq(f->rule->values[v], f->rule->harmless[n]);
                cr_assert(is_value, STR_FMT "." STR_FMT ": " STR_FMT,
                          STR_ARG(schema_messages[i].name), STR_ARG(f->json),
                          STR_ARG(f->rule->harmless[n]));
            }
        }
    cr_assert_gt(seen, 5);
}
