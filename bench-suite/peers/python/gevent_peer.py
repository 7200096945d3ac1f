"""gevent.

This follows gevent's documentation: monkey-patch first, then write blocking code with the standard library;
`gevent.spawn` and `joinall`, `gevent.queue.Queue` between greenlets, `gevent.Timeout`, a thread pool for files,
`StreamServer` and `pywsgi.WSGIServer` for servers, with a suitable `backlog`. The client is `http.client`, which the
patch makes cooperative.
"""

from gevent import monkey

# Standard input stays blocking, because nothing else should run between orders. Threads stay real, because one of them
# waits for the lab.
monkey.patch_all(thread=False)

import http.client
import os
import threading
import time

import gevent
import lab
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer
from gevent.queue import Queue
from gevent.server import StreamServer

BATCH = 100
HOUR_S = 3600


def spawn_and_join(numbers):
    greenlets = [gevent.spawn(int, n) for n in numbers]
    gevent.joinall(greenlets, raise_error=True)
    return sum(greenlet.value for greenlet in greenlets)


def spawn(params):
    size = params["size"]
    return size, spawn_and_join(range(size))


def spawn_batch(params):
    size = params["size"]
    total = 0
    for begun in range(0, size, BATCH):
        total += spawn_and_join(range(begun, min(size, begun + BATCH)))
    return size, total


def yield_times(yields):
    for _ in range(yields):
        gevent.sleep(0)
    return yields


def yields(params):
    greenlets = [gevent.spawn(yield_times, params["yields"]) for _ in range(params["size"])]
    done = sum(greenlet.get() for greenlet in greenlets)
    return done, done


def pingpong(params):
    size = params["size"]
    there, back = Queue(1), Queue(1)

    def pong():
        for _ in range(size):
            back.put(there.get() + 1)

    def ping():
        total = 0
        for n in range(size):
            there.put(n)
            answer = back.get()
            if answer != n + 1:
                raise ValueError(f"the answer to {n} is {answer}")
            total += answer
        return total

    other, rally = gevent.spawn(pong), gevent.spawn(ping)
    total = rally.get()
    other.get()
    return size, total


def skynet_node(first, leaves):
    if leaves == 1:
        return first
    below = leaves // 10
    children = [gevent.spawn(skynet_node, first + child * below, below) for child in range(10)]
    return sum(child.get() for child in children)


def skynet(params):
    levels = params["size"]
    total = gevent.spawn(skynet_node, 0, 10**levels).get()
    return sum(10**level for level in range(levels + 1)), total


def fib_tasks(n):
    if n < 2:
        return n
    child = gevent.spawn(fib_tasks, n - 1)
    here = fib_tasks(n - 2)
    return here + child.get()


def forks(n):
    return 0 if n < 2 else 1 + forks(n - 1) + forks(n - 2)


FORKS = [0]
END = object()


def fib(params):
    return FORKS[0], gevent.spawn(fib_tasks, params["size"]).get()


def mpmc(params):
    each = params["size"]
    queue = Queue(params["capacity"])
    if params.get("alone"):
        total = 0
        for n in range(each):
            queue.put(n)
            total += queue.get()
        return each, total

    def produce(producer):
        for n in range(each):
            queue.put((producer, n))

    def consume():
        last = [-1] * params["producers"]
        count = total = 0
        while (item := queue.get()) is not END:
            producer, n = item
            if n <= last[producer]:
                raise ValueError(f"item {n} of a producer came after its item {last[producer]}")
            last[producer] = n
            count += 1
            total += n
        return count, total

    consumers = [gevent.spawn(consume) for _ in range(params["consumers"])]
    producers = [gevent.spawn(produce, producer) for producer in range(params["producers"])]
    gevent.joinall(producers, raise_error=True)
    for _ in consumers:
        queue.put(END)
    counts = [consumer.get() for consumer in consumers]
    return sum(count for count, _ in counts), sum(total for _, total in counts)


def mutex(params):
    lock = BoundedSemaphore(1)
    counter = 0

    def work():
        nonlocal counter
        for _ in range(params["size"]):
            with lock:
                for _ in range(params["held"]):
                    gevent.sleep(0)
                counter += 1

    workers = [gevent.spawn(work) for _ in range(params["tasks"])]
    gevent.joinall(workers, raise_error=True)
    return params["size"] * params["tasks"], counter


def timers(params, seed):
    def sleeper(deadline):
        gevent.sleep(max(deadline - time.monotonic(), 0))
        return time.monotonic() - deadline

    greenlets = [
        gevent.spawn(sleeper, time.monotonic() + delay) for delay in lab.delays(params, seed)
    ]
    late = [greenlet.get() for greenlet in greenlets]
    return len(late), len(late), {"late_s": late}


def fetch(connection, path):
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


def crawl(params, site):
    pool = Pool(params["at_once"])
    host, _, port = site.partition(":")
    now = most = 0

    def page(index):
        nonlocal now, most
        now += 1
        most = max(most, now)
        connection = http.client.HTTPConnection(host, int(port))
        try:
            status, body = fetch(connection, f"/{index}")
        finally:
            connection.close()
        now -= 1
        if status != 200:
            raise ValueError(f"page {index}: {status}")
        return lab.checksum(index, body)

    total = sum(pool.imap_unordered(page, range(params["size"])))
    return params["size"], total, {"most_at_once": most}


def save(path, body):
    with open(path + ".partial", "wb") as file:
        file.write(body)
    os.rename(path + ".partial", path)


def download(params, site, folder):
    queue = Queue(1000)
    threads = gevent.get_hub().threadpool
    limit = params["timeout_ms"] / 1000
    saved = bad = there = 0

    def missing(begun, end):
        paths = [(index, os.path.join(folder, str(index))) for index in range(begun, end)]
        return [(index, path) for index, path in paths if not os.path.exists(path)]

    def produce():
        nonlocal there
        for begun in range(0, params["size"], BATCH):
            end = min(params["size"], begun + BATCH)
            jobs = threads.apply(missing, (begun, end))
            there += end - begun - len(jobs)
            for index, path in jobs:
                queue.put((lab.url_of(site, index), path))
        for _ in range(10):
            queue.put(END)

    def work():
        nonlocal saved, bad
        connection = None
        while (job := queue.get()) is not END:
            url, path = job
            try:
                with gevent.Timeout(limit):
                    host, port, target = lab.split_url(url)
                    if connection is None or (connection.host, connection.port) != (host, port):
                        if connection:
                            connection.close()
                        connection = http.client.HTTPConnection(host, port)
                    status, body = fetch(connection, target)
                if status != 200:
                    raise ValueError(f"{url}: {status}")
                threads.apply(save, (path, body))
                saved += 1
            except (OSError, ValueError, http.client.HTTPException, gevent.Timeout):
                if connection:
                    connection.close()
                connection = None
                bad += 1
        if connection:
            connection.close()

    greenlets = [gevent.spawn(produce)] + [gevent.spawn(work) for _ in range(10)]
    gevent.joinall(greenlets, raise_error=True)
    return saved + bad + there, saved, {"bad": bad}


def echo(socket, _address):
    try:
        while data := socket.recv(4096):
            socket.sendall(data)
    except OSError:
        pass


def answer(_environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(lab.BODY)))])
    return [lab.BODY]


def cpu_bound_task():
    while True:
        lab.compute_once()
        gevent.sleep(lab.CPU_BOUND_SLEEPS)


def serve(workload, params):
    if workload == "http":
        server = WSGIServer(("127.0.0.1", 0), answer, log=None, backlog=16384)
    else:
        server = StreamServer(("127.0.0.1", 0), echo, backlog=16384)
    server.start()
    begun = time.perf_counter()
    for _ in range(params.get("hogs", 0)):
        gevent.spawn(cpu_bound_task)
    lab.say(type="listening", address=f"127.0.0.1:{server.server_port}", workers=1)
    # A real thread that ends the process, because CPU-bound tasks may keep the loop busy for long.
    end = lambda: os._exit(0)
    threading.Thread(target=lab.end_with_stop, args=(begun, end), daemon=True).start()
    server.serve_forever()


def idle(params, wait_for_ever, greenlets):
    ready = Event()
    missing = params["size"]

    def wait():
        nonlocal missing
        missing -= 1
        if missing == 0:
            ready.set()
        wait_for_ever()

    greenlets.extend(gevent.spawn(wait) for _ in range(params["size"]))
    ready.wait()
    return params["size"], params["size"]


BATCHES = {
    "spawn": spawn,
    "spawn-batch": spawn_batch,
    "yield": yields,
    "pingpong": pingpong,
    "skynet-spawn": skynet,
    "fib-spawn": fib,
    "mpmc": mpmc,
    "mutex-contended": mutex,
}


def main():
    request = lab.request()
    workload, params = request["workload"], request["params"]
    if workload in ("echo", "http", "mixed"):
        serve(workload, params)
    elif workload in BATCHES:
        if workload == "fib-spawn":
            FORKS[0] = forks(params["size"])
        lab.serve_orders(lambda order: BATCHES[workload](params))
    elif workload == "timers":
        lab.serve_orders(lambda order: timers(params, request["seed"]))
    elif workload == "crawl":
        lab.serve_orders(lambda order: crawl(params, request["site"]))
    elif workload == "download":
        lab.serve_orders(lambda order: download(params, request["site"], order["folder"]))
    elif workload in ("idle", "idle-timer"):
        greenlets = []
        waits = {"idle": Event().wait, "idle-timer": lambda: gevent.sleep(HOUR_S)}
        lab.serve_orders(lambda order: idle(params, waits[workload], greenlets))
        # The greenlets would keep the process alive.
        os._exit(0)
    else:
        lab.refuse(workload)


if __name__ == "__main__":
    main()
