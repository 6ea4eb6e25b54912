/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/renewal.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/pki.h"
#include "nodeagent/start/join.h"

struct renewal {
    struct renewal_options o;
    struct loop_client client; /* For what fails before anybody is asked. */
    struct join *join;
    struct tls_config *tls; /* The join's own: the link changes its in the meantime. */
    uint64_t op;
    struct err err;
};

static void answer(struct renewal *r, const struct err *why)
{
    struct agent_host_done done = {.code = why->code, .text = why->text};
    const struct identity *i = r->o.identity;
    char until[WALL_TEXT_MAX];

    join_free(r->join);
    tls_config_free(r->tls);
    r->join = NULL;
    r->tls = NULL;
    wall_print(i->until, until);
    if (why->code == ERR_OK) {
        done.certificate = (struct agent_certificate){i->from, i->until};
        log_event(LOG_INFO, "certificate.renewed", "until=%s", until);
    } else {
        log_event(LOG_WARN, "certificate.not_renewed", "until=%s retrying=later err=%s", until,
                  log_quote(str_of(why->text)).text);
    }
    r->o.done(r->o.owner, r->op, &done);
}

static void on_reply(void *owner, const Agent__JoinReply *reply, const struct err *why)
{
    struct renewal *r = owner;
    struct err e = {0};
    enum err_code code = reply == NULL ? why->code : ERR_OK;

    if (code != ERR_OK)
        e = *why;
    if (code == ERR_OK)
        code = identity_renewed(r->o.identity, r->o.state, reply, &e);
    if (code == ERR_OK)
        code = link_identify(r->o.link, r->o.identity, &e);
    answer(r, &e);
}

static void on_event(struct loop_client *self, const struct io_event *ev)
{
    struct renewal *r = CONTAINER_OF(self, struct renewal, client);
    if (ev->type == IO_DEADLINE)
        answer(r, &r->err);
}

void renewal_do(struct renewal *r, uint64_t op)
{
    const struct identity *i = r->o.identity;
    struct tls_client_options shown = {
        .ca = buf_str(&i->ca), .cert = buf_str(&i->cert), .key = buf_str(&i->key)};
    struct buf csr;

    CHECK(r->join == NULL);
    r->op = op;
    r->err = (struct err){0};
    buf_init(&csr, PKI_PEM_MAX);
    enum err_code code = identity_request(i, &csr, &r->err);
    if (code == ERR_OK)
        code = tls_client_config(&shown, &r->tls, &r->err);
    struct join_request q = {.host = r->o.host,
                             .port = r->o.port,
                             .tls = r->tls,
                             .csr = buf_str(&csr),
                             .node_name = i->node_name};
    if (code == ERR_OK)
        r->join = join_start(r->o.loop, &q, on_reply, r);
    else
        loop_set_deadline(&r->client, loop_now(r->o.loop));
    buf_free(&csr);
}

struct renewal *renewal_new(const struct renewal_options *o)
{
    struct renewal *r = mem_zalloc(1, sizeof *r);
    r->o = *o;
    r->client.event = on_event;
    loop_join(o->loop, &r->client);
    return r;
}

void renewal_free(struct renewal *r)
{
    if (r == NULL)
        return;
    join_free(r->join);
    tls_config_free(r->tls);
    loop_leave(&r->client);
    mem_free(r);
}
