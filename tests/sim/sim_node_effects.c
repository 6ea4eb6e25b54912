/* SPDX-License-Identifier: Apache-2.0 */
/* What a simulated node does when its agent wants something: at once, after a while, or with a fault. */
#include "tests/sim/sim_node_priv.h"

#include <stdio.h>

static void answer(struct sim_node *n, uint64_t op, struct span in, bool fails, const char *text)
{
    CHECK(n->answers_count < SIM_ANSWERS_MAX);
    n->answers[n->answers_count++] = (struct answer){.at = instant_add(n->sim->now, in),
                                                     .op = op,
                                                     .code = fails ? ERR_UNAVAILABLE : ERR_OK,
                                                     .text = fails ? text : ""};
}

static void image(struct sim_node *n, const struct agent_effect *fx)
{
    struct sim *s = n->sim;
    answer(n, fx->op, sim_fault(s, SIM_IMAGE_SLOW) ? SPAN_S(20) : SPAN_MS(20),
           sim_fault(s, SIM_IMAGE_FAILS), "registry: connection refused");
    n->answers[n->answers_count - 1].image = true;
}

/* A slow registry is waited for no longer; what was nearly here comes. */
static void give_up(struct sim_node *n, uint64_t op)
{
    struct instant soon = instant_add(n->sim->now, SPAN_MS(250));
    for (uint32_t i = 0; i < n->answers_count; i++)
        if (n->answers[i].op == op && n->answers[i].at.ns > soon.ns) {
            n->answers[i].at = soon;
            n->answers[i].code = ERR_UNAVAILABLE;
            n->answers[i].text = "nobody wants it any more";
        }
}

static void forget(struct sim_node *n, struct str uid)
{
    struct record *r = map_remove(&n->disk, uid);
    if (r == NULL)
        return;
    blob_unref(r->bytes);
    mem_free(r);
}

static void forget_durably(struct sim_node *n, const struct agent_effect *fx)
{
    const struct record *r = map_find(&n->disk, fx->uid);
    if (r != NULL && r->logs)
        sim_node__broken(n, "a record is forgotten before its logs are removed");
    forget(n, fx->uid);
    answer(n, fx->op, SPAN_MS(1), false, "");
}

/* What was logged is removed before its record is. */
static void mark_logs(struct sim_node *n, struct str uid, bool there)
{
    struct record *r = map_find(&n->disk, uid);
    if (r != NULL)
        r->logs = there;
}

static void clean(struct sim_node *n, const struct agent_effect *fx)
{
    bool fails = sim_fault(n->sim, SIM_CLEAN_FAILS);
    if (!fails && fx->logs)
        mark_logs(n, fx->uid, false);
    answer(n, fx->op, SPAN_MS(2), fails, "umount: busy");
}

static void save(struct sim_node *n, const struct agent_effect *fx)
{
    bool fails = sim_fault(n->sim, SIM_SAVE_FAILS);
    if (!fails) {
        struct record *r = mem_zalloc(1, sizeof *r), *old = map_find(&n->disk, fx->uid);
        CHECK(!fx->unsynced || old == NULL); /* A power cut takes no record that was synced. */
        r->logs = old != NULL && old->logs;
        forget(n, fx->uid);
        snprintf(r->uid, sizeof r->uid, STR_FMT, STR_ARG(fx->uid));
        r->bytes = blob_new(fx->bytes);
        CHECK(map_put(&n->disk, str_of(r->uid), r) == ERR_OK);
    }
    answer(n, fx->op, SPAN_MS(1), fails, "no space left on device");
}

static void send(struct sim_node *n, const struct agent_effect *fx)
{
    struct sim *s = n->sim;
    bool report = fx->bytes.len > 0 && fx->bytes.at[0] == (4 << 3 | 2); /* workload_status */
    if (report && sim_fault(s, SIM_REPORT_LOST))
        return;
    sim_net_send(s, n->index, n->session, true, fx->bytes);
    if (report && sim_fault(s, SIM_REPORT_DOUBLED))
        sim_net_send(s, n->index, n->session, true, fx->bytes);
}

static void pool(struct sim_node *n, const struct agent_effect *fx)
{
    bool fails = sim_fault(n->sim, SIM_POOL_FAILS);
    for (uint32_t kind = 0; kind < 2 && !fails; kind++)
        runtime_fake_set_pool(n->runtimes[kind], fx->pool);
    answer(n, fx->op, SPAN_MS(1), fails, "the pool's cpus are not what was written");
}

void sim_disk(struct sim *s, uint32_t node, uint64_t free_bytes, const char *place, uint64_t bytes)
{
    struct sim_disk *w = &s->nodes[node]->usage;
    w->free_bytes = free_bytes;
    w->bytes = bytes;
    snprintf(w->place, sizeof w->place, "%s", place);
}

static void measure(struct sim_node *n, const struct agent_effect *fx)
{
    answer(n, fx->op, SPAN_MS(10), false, "");
    n->answers[n->answers_count - 1].measured =
        sim_disk_answer(&n->usage, n->sim->options.disk_bytes, fx);
}

static void ask_runtime(struct sim_node *n, const struct agent_effect *fx)
{
    struct runtime *r = n->runtimes[fx->kind];
    runtime_fake_now(r, n->sim->now, n->sim->wall);
    if (fx->type == FX_CREATE) {
        mark_logs(n, fx->uid, true);
        r->ops->create(r, fx->op, fx->spec);
    } else if (fx->type == FX_START) {
        r->ops->start(r, fx->op, fx->id);
    } else if (fx->type == FX_STOP) {
        r->ops->stop(r, fx->op, fx->id);
    } else if (fx->type == FX_KILL) {
        r->ops->kill(r, fx->op, fx->id);
    } else if (fx->type == FX_DESTROY) {
        r->ops->destroy(r, fx->op, fx->id);
    } else if (fx->type == FX_SET_CPUS) {
        r->ops->set_cpus(r, fx->op, fx->id, fx->cpu);
    } else if (fx->type == FX_EXEC) {
        r->ops->exec(r, fx->op, fx->id, &fx->exec);
    } else {
        r->ops->list(r, fx->op);
    }
}

void sim_node__perform(struct sim_node *n, const struct agent_effect *fx)
{
    struct sim *s = n->sim;
    n->crashed = sim_fault(s, SIM_AGENT_CRASHES);
    if (n->crashed)
        return; /* This effect and what follows it never happened. */
    switch (fx->type) {
    case FX_CONNECT:
        n->session = sim_net_connect(s, n->index);
        break;
    case FX_DISCONNECT:
        sim_net_close(s, n->index, n->session, false);
        n->session = 0;
        break;
    case FX_SEND:
        send(n, fx);
        break;
    case FX_SAVE:
        save(n, fx);
        break;
    case FX_FORGET:
        forget_durably(n, fx);
        break;
    case FX_IMAGE:
        image(n, fx);
        break;
    case FX_GIVE_UP:
        give_up(n, fx->op);
        break;
    case FX_NETWORK:
        answer(n, fx->op, SPAN_MS(2), sim_fault(s, SIM_NETWORK_FAILS), "netlink: no space");
        n->answers[n->answers_count - 1].machine = fx->network.machine;
        break;
    case FX_VOLUMES:
        answer(n, fx->op, SPAN_MS(1), sim_fault(s, SIM_VOLUMES_FAIL), "mkdir: read-only");
        break;
    case FX_CLEAN:
        clean(n, fx);
        break;
    case FX_POOL:
        pool(n, fx);
        break;
    case FX_MEASURE:
        measure(n, fx);
        break;
    case FX_RENEW: /* A simulated node has no certificate. */
    case FX_TELL:
    case FX_STREAM:
    case FX_PEERS: /* Nobody sends packets here. */
        break;
    case FX_CREATE:
    case FX_START:
    case FX_STOP:
    case FX_KILL:
    case FX_DESTROY:
    case FX_SET_CPUS:
    case FX_EXEC:
    case FX_LIST:
        ask_runtime(n, fx);
        break;
    case FX_CHECK: /* Nobody listens at port 1. */
        answer(n, fx->op, SPAN_MS(1), fx->check.port == 1, "connection refused");
        break;
    }
}

uint32_t sim_node__earliest(const struct sim_node *n)
{
    uint32_t best = n->answers_count;
    for (uint32_t i = 0; i < n->answers_count; i++)
        if (best == n->answers_count || n->answers[i].at.ns < n->answers[best].at.ns ||
            (n->answers[i].at.ns == n->answers[best].at.ns &&
             n->answers[i].op < n->answers[best].op))
            best = i;
    return best;
}

void sim_node__answer_next(struct sim_node *n)
{
    static const struct str cmd[] = {STR("run")};
    uint32_t i = sim_node__earliest(n);
    if (i == n->answers_count || n->answers[i].at.ns > n->sim->now.ns)
        return;
    struct answer a = n->answers[i];
    n->answers[i] = n->answers[--n->answers_count];
    if (a.measured != NULL) {
        sim_node__step(n, (struct agent_event){
                              .type = EV_MEASURED, .op = a.op, .bytes = blob_str(a.measured)});
        blob_unref(a.measured);
        return;
    }
    struct agent_host_done done = {.code = a.code, .text = a.text};
    if (a.image) {
        done.image.id = STR("image@sha256:0");
        done.image.cmd = cmd;
        done.image.cmd_count = 1;
    }
    done.network = a.machine ? STR("tap0") : STR("/sim/netns");
    sim_node__step(n, (struct agent_event){.type = EV_HOST_DONE, .op = a.op, .host = &done});
}

void sim_node__drop_answers(struct sim_node *n)
{
    for (uint32_t i = 0; i < n->answers_count; i++)
        blob_unref(n->answers[i].measured);
    n->answers_count = 0;
}
