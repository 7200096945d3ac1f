"""asyncio, and uvloop as its loop.

This follows the documentation of Python 3.11 and later: `asyncio.run` or a Runner, structured tasks with
`asyncio.TaskGroup`, `asyncio.timeout`, streams for sockets, `asyncio.to_thread` for files. `asyncio.Runner` keeps one
loop for all repetitions. If the results of many tasks are needed, the tasks are kept and their results read after the
group. For performance, the documentation recommends `asyncio.Protocol`; uvloop's own benchmarks use it, and so does
echo here. The standard library has no HTTP server for asyncio. The one here reads a head and answers, on a Protocol,
as fast servers do.
"""

import asyncio
import os
import sys
import threading
import time

import lab

BATCH = 100
HOUR_S = 3600


async def number(n):
    return n


async def spawn_and_join(numbers):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(number(n)) for n in numbers]
    return sum(task.result() for task in tasks)


async def spawn(params):
    size = params["size"]
    return size, await spawn_and_join(range(size))


async def spawn_batch(params):
    size = params["size"]
    total = 0
    for begun in range(0, size, BATCH):
        total += await spawn_and_join(range(begun, min(size, begun + BATCH)))
    return size, total


async def yield_times(yields):
    for _ in range(yields):
        await asyncio.sleep(0)
    return yields


async def yields(params):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(yield_times(params["yields"])) for _ in range(params["size"])]
    done = sum(task.result() for task in tasks)
    return done, done


async def pingpong(params):
    there, back = asyncio.Queue(1), asyncio.Queue(1)
    size = params["size"]

    async def pong():
        for _ in range(size):
            await back.put(await there.get() + 1)

    async def ping():
        total = 0
        for n in range(size):
            await there.put(n)
            answer = await back.get()
            if answer != n + 1:
                raise ValueError(f"the answer to {n} is {answer}")
            total += answer
        return total

    async with asyncio.TaskGroup() as group:
        group.create_task(pong())
        rally = group.create_task(ping())
    return size, rally.result()


async def skynet_node(first, leaves):
    if leaves == 1:
        return first
    below = leaves // 10
    children = [asyncio.create_task(skynet_node(first + child * below, below)) for child in range(10)]
    return sum([await child for child in children])


async def skynet(params):
    levels = params["size"]
    total = await asyncio.create_task(skynet_node(0, 10**levels))
    return sum(10**level for level in range(levels + 1)), total


async def fib_tasks(n):
    if n < 2:
        return n
    child = asyncio.create_task(fib_tasks(n - 1))
    here = await fib_tasks(n - 2)
    return here + await child


def forks(n):
    return 0 if n < 2 else 1 + forks(n - 1) + forks(n - 2)


async def fib(params):
    n = params["size"]
    return FORKS[0], await asyncio.create_task(fib_tasks(n))


FORKS = [0]
END = object()


async def mpmc(params):
    queue = asyncio.Queue(params["capacity"])
    each = params["size"]
    if params.get("alone"):
        total = 0
        for n in range(each):
            await queue.put(n)
            total += await queue.get()
        return each, total

    async def produce(producer):
        for n in range(each):
            await queue.put((producer, n))

    async def consume():
        last = [-1] * params["producers"]
        count = total = 0
        while (item := await queue.get()) is not END:
            producer, n = item
            if n <= last[producer]:
                raise ValueError(f"item {n} of a producer came after its item {last[producer]}")
            last[producer] = n
            count += 1
            total += n
        return count, total

    async with asyncio.TaskGroup() as group:
        consumers = [group.create_task(consume()) for _ in range(params["consumers"])]
        async with asyncio.TaskGroup() as producers:
            for producer in range(params["producers"]):
                producers.create_task(produce(producer))
        # Before Python 3.13 a queue can't be shut down, so each consumer gets an end marker.
        for _ in consumers:
            await queue.put(END)
    counts = [consumer.result() for consumer in consumers]
    return sum(count for count, _ in counts), sum(total for _, total in counts)


async def mutex(params):
    lock = asyncio.Lock()
    counter = 0

    async def work():
        nonlocal counter
        for _ in range(params["size"]):
            async with lock:
                for _ in range(params["held"]):
                    await asyncio.sleep(0)
                counter += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(params["tasks"]):
            group.create_task(work())
    return params["size"] * params["tasks"], counter


async def timers(params, seed):
    async def sleeper(deadline):
        await asyncio.sleep(deadline - time.monotonic())
        return time.monotonic() - deadline

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(sleeper(time.monotonic() + delay))
            for delay in lab.delays(params, seed)
        ]
    late = [task.result() for task in tasks]
    return len(late), len(late), {"late_s": late}


async def fetch(reader, writer, host, path):
    writer.write(lab.request_head(path, host))
    head = await reader.readuntil(b"\r\n\r\n")
    status, length = lab.parse_head(head)
    return status, await reader.readexactly(length)


async def crawl(params, site):
    turns = asyncio.Semaphore(params["at_once"])
    name, _, port = site.partition(":")
    now = most = 0

    async def page(index):
        nonlocal now, most
        async with turns:
            now += 1
            most = max(most, now)
            reader, writer = await asyncio.open_connection(name, int(port))
            try:
                status, body = await fetch(reader, writer, site, f"/{index}")
            finally:
                writer.close()
            now -= 1
        if status != 200:
            raise ValueError(f"page {index}: {status}")
        return lab.checksum(index, body)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(page(index)) for index in range(params["size"])]
    return len(tasks), sum(task.result() for task in tasks), {"most_at_once": most}


def save(path, body):
    with open(path + ".partial", "wb") as file:
        file.write(body)
    os.rename(path + ".partial", path)


async def download(params, site, folder):
    queue = asyncio.Queue(1000)
    limit = params["timeout_ms"] / 1000
    saved = bad = there = 0

    def missing(begun, end):
        paths = [(index, os.path.join(folder, str(index))) for index in range(begun, end)]
        return [(index, path) for index, path in paths if not os.path.exists(path)]

    async def produce():
        nonlocal there
        for begun in range(0, params["size"], BATCH):
            end = min(params["size"], begun + BATCH)
            jobs = await asyncio.to_thread(missing, begun, end)
            there += end - begun - len(jobs)
            for index, path in jobs:
                await queue.put((lab.url_of(site, index), path))
        for _ in range(10):
            await queue.put(END)

    async def work():
        nonlocal saved, bad
        connection = None
        while (job := await queue.get()) is not END:
            url, path = job
            try:
                async with asyncio.timeout(limit):
                    host, port, target = lab.split_url(url)
                    if connection is None or connection[0] != (host, port):
                        if connection:
                            connection[2].close()
                            connection = None
                        connection = ((host, port), *await asyncio.open_connection(host, port))
                    status, body = await fetch(*connection[1:], f"{host}:{port}", target)
                if status != 200:
                    raise ValueError(f"{url}: {status}")
                await asyncio.to_thread(save, path, body)
                saved += 1
            except (OSError, ValueError, asyncio.IncompleteReadError):
                if connection:
                    connection[2].close()
                    connection = None
                bad += 1
        if connection:
            connection[2].close()

    async with asyncio.TaskGroup() as group:
        group.create_task(produce())
        for _ in range(10):
            group.create_task(work())
    return saved + bad + there, saved, {"bad": bad}


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Http(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.rest = b""

    def data_received(self, data):
        *heads, self.rest = (self.rest + data).split(b"\r\n\r\n")
        if heads:
            self.transport.write(lab.RESPONSE * len(heads))


async def cpu_bound_task():
    while True:
        lab.compute_once()
        await asyncio.sleep(lab.CPU_BOUND_SLEEPS)


async def serve(workload, params):
    loop = asyncio.get_running_loop()
    protocol = Http if workload == "http" else Echo
    server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=16384)
    begun = time.perf_counter()
    cpu_bound = [asyncio.create_task(cpu_bound_task()) for _ in range(params.get("hogs", 0))]
    host, port = server.sockets[0].getsockname()
    lab.say(type="listening", address=f"{host}:{port}", workers=1)
    # It ends the process, because CPU-bound tasks may keep the loop busy for long.
    end = lambda: os._exit(0)
    threading.Thread(target=lab.end_with_stop, args=(begun, end), daemon=True).start()
    await server.serve_forever()
    del cpu_bound


async def idle(params, wait_for_ever, tasks):
    gate = asyncio.Event()
    missing = params["size"]

    async def wait():
        nonlocal missing
        missing -= 1
        if missing == 0:
            gate.set()
        await wait_for_ever()

    tasks.extend(asyncio.create_task(wait()) for _ in range(params["size"]))
    await gate.wait()
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
    factory = None
    if sys.argv[1] == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        run = lambda coroutine: runner.run(coroutine)
        if workload in ("echo", "http", "mixed"):
            run(serve(workload, params))
        elif workload in BATCHES:
            if workload == "fib-spawn":
                FORKS[0] = forks(params["size"])
            lab.serve_orders(lambda order: run(BATCHES[workload](params)))
        elif workload == "timers":
            lab.serve_orders(lambda order: run(timers(params, request["seed"])))
        elif workload == "crawl":
            lab.serve_orders(lambda order: run(crawl(params, request["site"])))
        elif workload == "download":
            lab.serve_orders(lambda order: run(download(params, request["site"], order["folder"])))
        elif workload in ("idle", "idle-timer"):
            tasks = []

            async def make_event():
                return asyncio.Event()

            event = run(make_event())
            waits = {"idle": event.wait, "idle-timer": lambda: asyncio.sleep(HOUR_S)}
            lab.serve_orders(lambda order: run(idle(params, waits[workload], tasks)))
            # Cancelling all of them could take long.
            os._exit(0)
        else:
            lab.refuse(workload)


if __name__ == "__main__":
    main()
