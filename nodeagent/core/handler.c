/* SPDX-License-Identifier: Apache-2.0 */
/* What a probe or a hook does: a command inside the container, a request or a connection to the pod's address. */
#include "nodeagent/core/agent_priv.h"

bool handler_is_known(const Core__ProbeHandler *h)
{
    bool plain = h->http_get != NULL && !str_eq_nocase(str_of(h->http_get->scheme), STR("HTTPS"));
    return h->exec != NULL || plain || h->tcp_socket != NULL;
}

/* By number, or by the name of one of the container's ports; 0: neither. */
static uint16_t port_of(const Core__Container *c, const Intstr__IntOrString *port)
{
    uint64_t number = 0;
    if (port == NULL)
        return 0;
    if (port->type == 0)
        return port->int_val > 0 && port->int_val <= UINT16_MAX ? (uint16_t)port->int_val : 0;
    for (size_t i = 0; i < c->n_ports; i++)
        if (str_eq(str_of(c->ports[i]->name), str_of(port->str_val)))
            return (uint16_t)c->ports[i]->container_port;
    bool digits = str_parse_u64(str_of(port->str_val), &number) == ERR_OK;
    return digits && number <= UINT16_MAX ? (uint16_t)number : 0;
}

static struct str host_of(const struct agent_turn *t, const struct workload *w, const char *host)
{
    if (host != NULL && host[0] != '\0')
        return str_of(host);
    if (!w->pod->spec->host_network && w->placement->spec->n_addresses > 0)
        return str_of(w->placement->spec->addresses[0]->ip);
    return t->agent->config.host_ip.len > 0 ? t->agent->config.host_ip : STR("127.0.0.1");
}

static struct agent_effect *ask(struct agent *a, struct agent_turn *t, struct workload *w,
                                uint32_t n, enum agent_effect_type type)
{
    uint64_t op = agent_op(a, w->slot.slot, n);
    struct agent_effect *fx = agent_do(t, type);
    fx->op = op;
    fx->kind = w->kind->runtime;
    fx->uid = str_of(w->uid);
    fx->id = str_of(w->instances[n].id);
    return fx;
}

static void check_http(struct agent_turn *t, const Core__HTTPGetAction *get,
                       struct agent_check *out)
{
    struct agent_header *headers =
        arena_zalloc(&t->arena, get->n_http_headers + 1, sizeof *headers);
    CHECK(headers != NULL);
    for (size_t i = 0; i < get->n_http_headers; i++)
        headers[i] = (struct agent_header){str_of(get->http_headers[i]->name),
                                           str_of(get->http_headers[i]->value)};
    out->http = true;
    out->path = get->path == NULL || get->path[0] == '\0' ? STR("/") : str_of(get->path);
    out->headers = headers;
    out->headers_count = (uint32_t)get->n_http_headers;
}

uint64_t handler_ask(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                     const Core__ProbeHandler *h, struct span timeout)
{
    const Core__Container *c = pod_container(w, n);
    if (h->exec != NULL) {
        struct str *args = arena_zalloc(&t->arena, h->exec->n_command + 1, sizeof *args);
        CHECK(args != NULL);
        for (size_t i = 0; i < h->exec->n_command; i++)
            args[i] = str_of(h->exec->command[i]);
        struct agent_effect *fx = ask(a, t, w, n, FX_EXEC);
        fx->exec = (struct runtime_exec){args, (uint32_t)h->exec->n_command, timeout};
        return fx->op;
    }
    struct agent_check check = {.timeout = timeout};
    if (h->http_get != NULL) {
        check_http(t, h->http_get, &check);
        check.host = host_of(t, w, h->http_get->host);
        check.port = port_of(c, h->http_get->port);
    } else {
        check.host = host_of(t, w, h->tcp_socket->host);
        check.port = port_of(c, h->tcp_socket->port);
    }
    struct agent_effect *fx = ask(a, t, w, n, FX_CHECK);
    fx->check = check;
    return fx->op;
}
