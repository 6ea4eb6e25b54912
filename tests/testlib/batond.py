# SPDX-License-Identifier: Apache-2.0
"""A batond of a test's own: started, waited for, asked as its administrator."""
import http.client
import json
import os
import ssl
import subprocess
import time


def free_port():
    return int(subprocess.check_output([os.path.join(os.path.dirname(os.path.abspath(__file__)), "free-port")]))


class Batond:
    """It lives in state; what it says is appended to the file log, or told here when that is None. port 0: any that is free."""

    def __init__(self, program, state, log=None, options=(), port=0):
        self.state, self.port = state, port or free_port()
        out = open(log, "a") if log else None
        self.process = subprocess.Popen([program, "--state", state, "--listen", "127.0.0.1", "--port", str(self.port), "--io-threads",
                                         os.environ.get("BATON_IO_THREADS", "2"), *options], stdout=out, stderr=out)
        if out:
            out.close()

    def ready(self, seconds=20):
        """True once it serves. False when it ended before or the time is over: it is killed then."""
        until = time.time() + seconds
        while self.process.poll() is None and time.time() < until:
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return True
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)
        self.kill()
        return False

    def connect(self):
        context = ssl.create_default_context(cafile=self.state + "/control/pki/ca.crt")
        context.load_cert_chain(self.state + "/control/pki/admin.crt", self.state + "/control/pki/admin.key")
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=20)

    def ask(self, verb, path, body=None, accept="application/json", connection=None):
        """Status and bytes. body: what becomes JSON, or text that is sent as it is."""
        c = connection or self.connect()
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        c.request(verb, path, text, {"Content-Type": "application/json", "Accept": accept})
        answer = c.getresponse()
        return answer.status, answer.read()

    def end(self):
        """Asked to end: its exit status."""
        self.process.terminate()
        return self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()
