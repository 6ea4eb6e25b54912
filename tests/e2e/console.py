#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`baton console VMI` on a real pseudo-terminal, against a guest with a shell on its serial line.

  console.py talk BATON VMI     typing reaches the guest, its output comes back, Ctrl-] ends it
  console.py killed BATON VMI   TERM, HUP and INT end it, with 128 + signal
  console.py taken BATON VMI    a second console takes the line over, and the first is told
  console.py cut BATON VMI      the connection goes away
  console.py gone BATON VMI     the machine is deleted meanwhile (by COMMAND..., which follows)
  console.py refused BATON VMI  no terminal, no such machine

Whichever way it ends, the terminal is what it was. Exit 0, or 1 with the reason.
"""
import os, pty, re, select, signal, socket, subprocess, sys, termios, threading, time

ESCAPE = b"\x1d"
PATIENCE_S = 40
ASKED_MAX = 3


def fail(text):
    sys.exit("console.py: " + text)


class Console:
    """A `baton console` on a terminal of its own."""

    def __init__(self, baton, vmi, env=None):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.child = subprocess.Popen([baton, "console", vmi], stdin=self.slave, stdout=self.slave,
                                      stderr=self.slave, env=env or os.environ, start_new_session=True)

    def read(self, wait_s):
        ready, _, _ = select.select([self.master], [], [], wait_s)
        if ready:
            self.seen += os.read(self.master, 65536)
        return bool(ready)

    def sees(self, pattern, patience_s):
        end = time.monotonic() + patience_s
        while not re.search(pattern, self.seen):
            if time.monotonic() > end:
                return False
            self.read(0.1)
        return True

    def expect(self, pattern):
        if not self.sees(pattern, PATIENCE_S):
            fail("%r did not come; there was %r" % (pattern, self.seen[-300:]))

    def type(self, text):
        os.write(self.master, text)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def open(self):
        self.expect(rb"leave with Ctrl-\]")
        end = time.monotonic() + PATIENCE_S
        while not self.is_raw():
            if time.monotonic() > end:
                fail("the terminal was never made raw")
            self.read(0.05)
        return self

    def ask(self, number):
        """The guest's shell computes, so that no echo can be taken for an answer. Asked again when it does not answer:
        busybox 1.35's shell may lose its heap, and be started anew by the guest's init, at a Ctrl-C in its line editor."""
        for _ in range(ASKED_MAX):
            self.type(b"\recho answer=$((%d * 2))\r" % number)
            if self.sees(rb"answer=%d" % (number * 2), PATIENCE_S / ASKED_MAX):
                return
        fail("%d was not answered; there was %r" % (number, self.seen[-300:]))

    def end(self, status):
        end = time.monotonic() + PATIENCE_S
        while self.child.poll() is None:
            if time.monotonic() > end:
                self.child.kill()
                fail("it did not end; there was %r" % self.seen[-300:])
            self.read(0.05)
        while self.read(0.05):
            pass
        if self.child.returncode != status:
            fail("it ended with %d, not %d: %r" % (self.child.returncode, status, self.seen[-300:]))
        if termios.tcgetattr(self.slave) != self.before:
            fail("the terminal is not what it was")
        os.close(self.master)
        os.close(self.slave)
        return self.seen.decode(errors="replace")


def talk(baton, vmi):
    c = Console(baton, vmi).open()
    c.ask(1021)
    c.type(b"\x03")  # Ctrl-C is the guest's, too.
    c.ask(1022)
    c.type(ESCAPE)
    c.end(0)


def killed(baton, vmi):
    for signo in signal.SIGTERM, signal.SIGHUP, signal.SIGINT:
        c = Console(baton, vmi).open()
        c.child.send_signal(signo)
        c.end(128 + signo)


def taken(baton, vmi):
    first = Console(baton, vmi).open()
    first.ask(1031)
    second = Console(baton, vmi).open()
    second.ask(1032)
    text = first.end(1)
    if "taken the console over" not in text:
        fail("the first one is not told: %r" % text[-300:])
    second.ask(1033)
    second.type(ESCAPE)
    second.end(0)


class Proxy:
    """Stands between the command and the server, and can be cut."""

    def __init__(self, port):
        self.to, self.ends = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            one, _ = self.listener.accept()
            other = socket.create_connection(("127.0.0.1", self.to))
            self.ends += [one, other]
            for a, b in (one, other), (other, one):
                threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    def copy(self, a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass

    def cut(self):
        for s in self.ends:
            s.shutdown(socket.SHUT_RDWR)


def cut(baton, vmi):
    with open(os.environ["KUBECONFIG"]) as f:
        text = f.read()
    port = int(re.search(r"server: https://127\.0\.0\.1:(\d+)", text).group(1))
    proxy = Proxy(port)
    path = os.environ["KUBECONFIG"] + ".proxy"
    with open(path, "w") as f:
        f.write(text.replace(":%d" % port, ":%d" % proxy.port))
    try:
        c = Console(baton, vmi, dict(os.environ, KUBECONFIG=path)).open()
        c.ask(1041)
        proxy.cut()
        text = c.end(1)
    finally:
        os.unlink(path)
    if "closed the connection" not in text:
        fail("nobody is told: %r" % text[-300:])


def gone(baton, vmi, *command):
    c = Console(baton, vmi).open()
    c.ask(1051)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
    text = c.end(0)
    if "ended" not in text.splitlines()[-1]:
        fail("it does not say that the machine ended: %r" % text[-300:])


def refused(baton, vmi):
    got = subprocess.run([baton, "console", vmi], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=PATIENCE_S)
    if got.returncode != 2 or "terminal" not in got.stderr or "baton logs" not in got.stderr:
        fail("without a terminal: %d %r" % (got.returncode, got.stderr))
    c = Console(baton, vmi + "-not")
    text = c.end(1)
    if '"%s-not" not found' % vmi not in text or "leave with" in text:
        fail("no such machine: %r" % text)


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] not in ("talk", "killed", "taken", "cut", "gone", "refused"):
        sys.exit(__doc__)
    globals()[sys.argv[1]](*sys.argv[2:])
