#!/usr/bin/env python3
"""Answers far over one connection's buffers: lists in chunks, watches of large objects, pages of a state
that changes meanwhile, all on one connection (what one answer leaves behind, the next one trips over).

  big.py SERVER CA CERT KEY
"""
import http.client, json, ssl, sys
from urllib.parse import urlsplit

SIZE, COUNT = 300000, 24

def main():
    url, (ca, cert, key) = urlsplit(sys.argv[1]), sys.argv[2:5]
    tls = ssl.create_default_context(cafile=ca)
    tls.load_cert_chain(cert, key)
    conn = http.client.HTTPSConnection(url.hostname, url.port, context=tls, timeout=60)

    def ask(method, path, body=None, **headers):
        conn.request(method, "/api/v1/namespaces/default/configmaps" + path, json.dumps(body) if body else None,
                     {"Content-Type": "application/json", "Accept": "application/json", **headers})
        answer = conn.getresponse()
        return answer.status, answer.read()

    def ours(items):
        return [i["metadata"]["name"] for i in items if i["metadata"]["name"].startswith("big")]

    def check(ok, what):
        if not ok:
            sys.exit("big: " + what)

    for i in range(COUNT):
        status, _ = ask("POST", "", {"metadata": {"name": "big%02d" % i}, "data": {"x": "y" * SIZE}})
        check(status == 201, "create %d: %d" % (i, status))
    for _ in range(2):
        status, text = ask("GET", "")
        check(status == 200 and len(ours(json.loads(text)["items"])) == COUNT, "list")
    for accept in ("application/vnd.kubernetes.protobuf", "application/yaml", "application/json;as=Table;v=v1;g=meta.k8s.io"):
        check(ask("GET", "", Accept=accept)[0] == 200, accept)
    for since in ("", "&resourceVersion=1"):
        status, text = ask("GET", "?watch=true&timeoutSeconds=1" + since)
        events = [json.loads(line) for line in text.splitlines()]
        check(len(ours([e["object"] for e in events if e["type"] == "ADDED"])) == COUNT, "watch%s: %d events" % (since, len(events)))

    names, next_page = [], ""
    while True:
        page = json.loads(ask("GET", "?limit=7" + next_page)[1])
        names += ours(page["items"])
        if not page["metadata"].get("continue"):
            break
        next_page = "&continue=" + page["metadata"]["continue"]
        ask("DELETE", "/big%02d" % (COUNT - 1))
        ask("POST", "", {"metadata": {"name": "big10x"}})
    check(names == ["big%02d" % i for i in range(COUNT)], "pages of one state: %s" % names)
    status, text = ask("DELETE", "")
    check(status == 200 and len(ours(json.loads(text)["items"])) == COUNT, "deletecollection")
    print("big: answers over the buffers, whole and in order")

main()
