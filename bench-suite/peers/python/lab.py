"""A Python peer's conversation with the lab: `lab.child/1` in lines of JSON over standard input and output.

A batch workload is a function that does the work once and returns (ops, answer) or (ops, answer, more fields). While
this process waits here for the next order, the lab reads what it has used.
"""

import gc
import json
import random
import sys
import time


def request():
    """The lab's request, which is the first line."""
    return json.loads(sys.stdin.readline())


def say(**word):
    sys.stdout.write(json.dumps(word) + "\n")
    sys.stdout.flush()


def orders():
    """The lab's orders to run, until it says stop or is gone."""
    while line := sys.stdin.readline():
        order = json.loads(line)
        if order["type"] == "stop":
            return
        yield order


def serve_orders(run):
    """Executes orders: `run(order)` does the work once."""
    gc.collect()
    say(type="ready", workers=1)
    for order in orders():
        sum_up = Sum()
        for _ in range(order["repetitions"]):
            sum_up.add(run(order))
        sum_up.tell()


async def serve_orders_within(run):
    """The same inside a running event loop: awaits `run(order)`."""
    gc.collect()
    say(type="ready", workers=1)
    for order in orders():
        sum_up = Sum()
        for _ in range(order["repetitions"]):
            sum_up.add(await run(order))
        sum_up.tell()


class Sum:
    """The sums over the repetitions of an order. The clock runs from the creation to `tell`."""

    def __init__(self):
        self.ops = self.answer = 0
        self.more = {}
        self.begun = time.perf_counter_ns()

    def add(self, outcome):
        self.ops += outcome[0]
        self.answer += outcome[1]
        self.more = outcome[2] if len(outcome) > 2 else {}

    def tell(self):
        wall_ns = time.perf_counter_ns() - self.begun
        late = self.more.pop("late_s", None)
        say(type="done", ops=self.ops, wall_ns=wall_ns, answer=self.answer, **self.more)
        if late is not None:
            # In a separate line, so that formatting it is not part of the work.
            say(type="late", late_ns=[round(each * 1e9) for each in late])


def refuse(workload):
    say(type="failure", status="refused", error=f"no {workload} here")


def delays(params, seed):
    """Seeded sleeps of 0 to `span_ms`, in seconds."""
    chance = random.Random(seed)
    return [chance.random() * params["span_ms"] / 1000 for _ in range(params["size"])]


def checksum(page, body):
    """The number that the lab adds up over the pages of `crawl`."""
    return sum(body) * (page + 1)


def split_url(url):
    """Host, port and path; ValueError if `url` has no host."""
    scheme, _, rest = url.partition("://")
    host, colon, path = rest.partition("/")
    if scheme != "http" or not host:
        raise ValueError(f"{url}: no host")
    name, _, port = host.partition(":")
    return name, int(port or 80), "/" + path


def url_of(site, index):
    """The list of `download`, the same for every runtime: three in a hundred are bad, in three different ways."""
    kind = index % 100
    if kind == 13:
        return f"http:/{index}"
    if kind == 57:
        return f"http://127.0.0.1:1/{index}"
    if kind == 83:
        return f"http://{site}/missing/{index}"
    return f"http://{site}/{index}"


def request_head(path, host):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def parse_head(head):
    """Status and length of a response's head."""
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ", 2)[1])
    length = 0
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return status, length


BODY = b"Hello, world!\n"
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
    % (len(BODY), BODY)
)

CPU_BOUND_COMPUTES = 0.1
CPU_BOUND_SLEEPS = 0.01
computed_s = 0.0


def compute_once():
    """Computes for 100 ms without a pause, and counts the CPU time."""
    global computed_s
    cpu = time.thread_time()
    until = time.perf_counter() + CPU_BOUND_COMPUTES
    state = 0
    while time.perf_counter() < until:
        for _ in range(100):
            state = (state * 0x5851F42D4C957F2D + 1) & 0xFFFFFFFFFFFFFFFF
    computed_s += time.thread_time() - cpu


def end_with_stop(begun, end):
    """For a server, in a thread: waits until the lab says stop, reports what the tasks computed, and calls `end`."""
    for _ in orders():
        pass
    extra = {"hog_cores": computed_s / (time.perf_counter() - begun)} if computed_s else {}
    say(type="result", extra=extra)
    end()
