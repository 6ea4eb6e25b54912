/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is answered without looking at any kind: version, health, metrics, and join tokens.
 */
#include "api/version.h"
#include "base/log.h"
#include "base/mem.h"
#include "controlplane/serve/authority.h"
#include "controlplane/serve/front_priv.h"
#include "controlplane/serve/tokens.h"
#include "io/clock.h"

enum { METRICS_MAX = 16 << 20, TTL_DEFAULT_S = 3600, SWEPT_MAX = 16 };

static const char version_text[] = "{\n"
                                   "  \"major\": \"1\",\n"
                                   "  \"minor\": \"" KUBERNETES_MINOR "\",\n"
                                   "  \"emulationMajor\": \"1\",\n"
                                   "  \"emulationMinor\": \"" KUBERNETES_MINOR "\",\n"
                                   "  \"minCompatibilityMajor\": \"1\",\n"
                                   "  \"minCompatibilityMinor\": \"32\",\n"
                                   "  \"gitVersion\": \"" KUBERNETES_VERSION BATON_VERSION "\",\n"
                                   "  \"gitCommit\": \"\",\n"
                                   "  \"gitTreeState\": \"clean\",\n"
                                   "  \"buildDate\": \"1970-01-01T00:00:00Z\",\n"
                                   "  \"goVersion\": \"\",\n"
                                   "  \"compiler\": \"gcc\",\n"
                                   "  \"platform\": \"linux/amd64\"\n"
                                   "}";

static void reply_text(struct rest_request *r, uint32_t status, struct str text)
{
    rest_set_header(r, "x-content-type-options", STR("nosniff"));
    rest_reply(r, status, "text/plain; charset=utf-8", blob_new(text));
}

static void serve_version(struct rest_request *r)
{
    rest_reply(r, 200, "application/json", blob_new(str_of(version_text)));
}

static void serve_alive(struct rest_request *r)
{
    reply_text(r, 200, STR("ok"));
}

static void serve_ready(struct rest_request *r)
{
    if (shell_is_ready(r->front->shared->shell))
        reply_text(r, 200, STR("ok"));
    else
        reply_text(r, 503, STR("[-]store failed: not loaded\nreadyz check failed"));
}

/* Other threads' gauges are as of their last scrape or as they count: a scrape takes no thread's time. */
static void serve_metrics(struct rest_request *r)
{
    struct buf out;

    buf_init(&out, METRICS_MAX);
    front_print_metrics(r->front, &out);
    rest_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_blob(&out));
}

/* ---- join tokens ---- */

struct token_wanted {
    struct rest_request *request;
    struct token_made made;
    struct wall expires;
};

/* The number behind "ttlSeconds" in a small JSON body; the default when it is not there. */
static bool read_ttl(struct str body, uint64_t *out)
{
    const char *at = body.len == 0 ? NULL : memmem(body.at, body.len, "\"ttlSeconds\"", 12);
    *out = TTL_DEFAULT_S;
    if (at == NULL)
        return true;
    struct str rest = str_slice(body, (size_t)(at - body.at) + 12, body.len);
    size_t end = str_find(rest, '}', 0), comma = str_find(rest, ',', 0);
    rest = str_trim(str_slice(rest, 0, end < comma ? end : comma));
    if (rest.len == 0 || rest.at[0] != ':')
        return false;
    return str_parse_u64(str_trim(str_slice(rest, 1, rest.len)), out) == ERR_OK &&
           *out >= TOKENS_TTL_MIN_S && *out <= TOKENS_TTL_MAX_S;
}

static void token_written(void *owner, const struct rest_written *w)
{
    struct token_wanted *t = owner;
    struct rest_request *r = t->request;
    char expires[WALL_TEXT_MAX];
    struct buf out;

    r->waiting = (struct slot_id){0};
    if (w->result != WRITE_OK) {
        rest_refuse(r, 503, STR("the token could not be stored"), 1);
    } else {
        wall_print(t->expires, expires);
        buf_init(&out, 4096);
        buf_printf(&out,
                   "{\"kind\":\"JoinToken\",\"apiVersion\":\"baton.dev/v1\",\"token\":\"%s.%s\","
                   "\"expires\":\"%s\"}\n",
                   t->made.text, r->front->shared->authority->ca_fingerprint, expires);
        rest_reply(r, 201, "application/json", buf_blob(&out));
    }
    seal_wipe(t->made.text, sizeof t->made.text);
    front_settle(r);
}

/* Whoever makes a token takes some away that nobody used: they would pile up as Secrets. */
static void sweep(struct rest_request *r)
{
    struct token_record over[SWEPT_MAX];
    struct slot_id nobody_waits;
    struct index_snapshot objects = index_snapshot(r->front->shared->index);
    uint32_t count = tokens_expired(&objects, clock_wall(), &r->arena, over, SWEPT_MAX);

    index_snapshot_free(&objects);
    for (uint32_t i = 0; i < count && over[i].key.at != NULL && over[i].uid.at != NULL; i++)
        if (!front_write(r->front,
                         &(struct write_request){
                             .verb = WRITE_DELETE, .key = over[i].key, .if_uid = over[i].uid},
                         NULL, NULL, &nobody_waits))
            return; /* The next one does. */
}

/* POST {"ttlSeconds": N}: the answer holds the token, once; the store has its hash. */
static void serve_token(struct rest_request *r)
{
    struct token_record wanted = {.join = true};
    struct token_wanted *t = arena_zalloc(&r->arena, 1, sizeof *t);
    char key[INDEX_KEY_MAX + 1];
    uint64_t ttl;

    if (!str_is(r->method, "POST")) {
        rest_refuse(r, 405, STR("join tokens are made by POST"), 0);
        return;
    }
    if (!read_ttl(r->body, &ttl)) {
        rest_refuse(r, 400, STR("ttlSeconds is not a number of seconds from 60 to 604800"), 0);
        return;
    }
    sweep(r);
    t->expires = wanted.expires = (struct wall){clock_wall().ns + (int64_t)ttl * 1000000000};
    token_new(r->front->shared->seal, &wanted, &r->arena, &t->made);
    struct write_request w = {.verb = WRITE_CREATE, .object = t->made.object, .grace_seconds = -1};
    size_t len = index_key_print(&(struct index_key){.group = STR(""),
                                                     .plural = STR("secrets"),
                                                     .namespace = STR(TOKENS_NAMESPACE),
                                                     .name = t->made.name},
                                 key);
    w.key = str_from(key, len);
    t->request = r;
    if (!front_write(r->front, &w, token_written, t, &r->waiting))
        rest_refuse(r, 429, STR("too many writes at once"), 1);
    blob_unref(t->made.object);
}

bool health_serve(struct rest_request *r)
{
    static const struct {
        const char *path;
        void (*serve)(struct rest_request *r);
    } rows[] = {
        {"/version", serve_version},  {"/version/", serve_version},
        {"/healthz", serve_alive},    {"/livez", serve_alive},
        {"/readyz", serve_ready},     {"/healthz/ping", serve_alive},
        {"/livez/ping", serve_alive}, {"/readyz/ping", serve_alive},
        {"/metrics", serve_metrics},  {"/apis/baton.dev/v1/jointokens", serve_token},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (str_is(r->path, rows[i].path)) {
            rows[i].serve(r);
            return true;
        }
    return false;
}
