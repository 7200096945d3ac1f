"""trio.

This follows trio's documentation: every task in a nursery, memory channels between tasks, `move_on_after` and
`fail_after` for time-outs, `trio.to_thread` for files, `SocketStream` for sockets. trio's tasks have no results, so a
task stores its result where its parent reads it. There is no loop outside `trio.run`, so the whole conversation with
the lab is one run. It waits for the lab's next order with a blocking read, because nothing else should run then. HTTP
is parsed by hand, as in the other Python peers. With h11, which trio's documentation recommends, h11 would be measured
and not trio.
"""

import os
import threading
import time

import lab
import trio

BATCH = 100
HOUR_S = 3600


async def spawn_and_join(numbers):
    results = []

    async def number(n):
        results.append(n)

    async with trio.open_nursery() as nursery:
        for n in numbers:
            nursery.start_soon(number, n)
    return sum(results)


async def spawn(params):
    size = params["size"]
    return size, await spawn_and_join(range(size))


async def spawn_batch(params):
    size = params["size"]
    total = 0
    for begun in range(0, size, BATCH):
        total += await spawn_and_join(range(begun, min(size, begun + BATCH)))
    return size, total


async def yields(params):
    done = 0

    async def yield_times():
        nonlocal done
        for _ in range(params["yields"]):
            await trio.lowlevel.checkpoint()
            done += 1

    async with trio.open_nursery() as nursery:
        for _ in range(params["size"]):
            nursery.start_soon(yield_times)
    return done, done


async def pingpong(params):
    size = params["size"]
    to_pong, from_ping = trio.open_memory_channel(1)
    to_ping, from_pong = trio.open_memory_channel(1)
    total = 0

    async def pong():
        async with to_ping:
            async for n in from_ping:
                await to_ping.send(n + 1)

    async def ping():
        nonlocal total
        async with to_pong:
            for n in range(size):
                await to_pong.send(n)
                answer = await from_pong.receive()
                if answer != n + 1:
                    raise ValueError(f"the answer to {n} is {answer}")
                total += answer

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pong)
        nursery.start_soon(ping)
    return size, total


async def skynet_node(first, leaves, sums, place):
    if leaves == 1:
        sums[place] = first
        return
    below = leaves // 10
    children = [0] * 10
    async with trio.open_nursery() as nursery:
        for child in range(10):
            nursery.start_soon(skynet_node, first + child * below, below, children, child)
    sums[place] = sum(children)


async def skynet(params):
    levels = params["size"]
    total = [0]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(skynet_node, 0, 10**levels, total, 0)
    return sum(10**level for level in range(levels + 1)), total[0]


async def fib_tasks(n, into, place):
    if n < 2:
        into[place] = n
        return
    both = [0, 0]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fib_tasks, n - 1, both, 0)
        await fib_tasks(n - 2, both, 1)
    into[place] = both[0] + both[1]


def forks(n):
    return 0 if n < 2 else 1 + forks(n - 1) + forks(n - 2)


async def fib(params):
    answer = [0]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fib_tasks, params["size"], answer, 0)
    return FORKS[0], answer[0]


FORKS = [0]


async def mpmc(params):
    each = params["size"]
    send, receive = trio.open_memory_channel(params["capacity"])
    if params.get("alone"):
        total = 0
        for n in range(each):
            await send.send(n)
            total += await receive.receive()
        return each, total
    count = total = 0

    async def produce(send, producer):
        async with send:
            for n in range(each):
                await send.send((producer, n))

    async def consume(receive):
        nonlocal count, total
        last = [-1] * params["producers"]
        async with receive:
            async for producer, n in receive:
                if n <= last[producer]:
                    raise ValueError(f"item {n} of a producer came after its item {last[producer]}")
                last[producer] = n
                count += 1
                total += n

    async with trio.open_nursery() as nursery:
        for producer in range(params["producers"]):
            nursery.start_soon(produce, send.clone(), producer)
        for _ in range(params["consumers"]):
            nursery.start_soon(consume, receive.clone())
        send.close()
        receive.close()
    return count, total


async def mutex(params):
    lock = trio.Lock()
    counter = 0

    async def work():
        nonlocal counter
        for _ in range(params["size"]):
            async with lock:
                for _ in range(params["held"]):
                    await trio.lowlevel.checkpoint()
                counter += 1

    async with trio.open_nursery() as nursery:
        for _ in range(params["tasks"]):
            nursery.start_soon(work)
    return params["size"] * params["tasks"], counter


async def timers(params, seed):
    late = []

    async def sleeper(deadline):
        # trio's clock has its own offset, so that it can't be confused with other clocks.
        await trio.sleep_until(deadline)
        late.append(trio.current_time() - deadline)

    async with trio.open_nursery() as nursery:
        for delay in lab.delays(params, seed):
            nursery.start_soon(sleeper, trio.current_time() + delay)
    return len(late), len(late), {"late_s": late}


class Connection:
    """The client's end of an HTTP/1.1 connection."""

    def __init__(self, stream):
        self.stream = stream
        self.rest = bytearray()

    async def fetch(self, host, path):
        await self.stream.send_all(lab.request_head(path, host))
        while (end := self.rest.find(b"\r\n\r\n")) < 0:
            await self.more()
        status, length = lab.parse_head(bytes(self.rest[:end]))
        while len(self.rest) < end + 4 + length:
            await self.more()
        body = bytes(self.rest[end + 4 : end + 4 + length])
        del self.rest[: end + 4 + length]
        return status, body

    async def more(self):
        chunk = await self.stream.receive_some(65536)
        if not chunk:
            raise EOFError("the server closed the connection")
        self.rest += chunk


async def crawl(params, site):
    turns = trio.CapacityLimiter(params["at_once"])
    name, _, port = site.partition(":")
    now = most = total = 0

    async def page(index):
        nonlocal now, most, total
        async with turns:
            now += 1
            most = max(most, now)
            async with await trio.open_tcp_stream(name, int(port)) as stream:
                status, body = await Connection(stream).fetch(site, f"/{index}")
            now -= 1
        if status != 200:
            raise ValueError(f"page {index}: {status}")
        total += lab.checksum(index, body)

    async with trio.open_nursery() as nursery:
        for index in range(params["size"]):
            nursery.start_soon(page, index)
    return params["size"], total, {"most_at_once": most}


def save(path, body):
    with open(path + ".partial", "wb") as file:
        file.write(body)
    os.rename(path + ".partial", path)


async def download(params, site, folder):
    send, receive = trio.open_memory_channel(1000)
    limit = params["timeout_ms"] / 1000
    saved = bad = there = 0

    def missing(begun, end):
        paths = [(index, os.path.join(folder, str(index))) for index in range(begun, end)]
        return [(index, path) for index, path in paths if not os.path.exists(path)]

    async def produce():
        nonlocal there
        async with send:
            for begun in range(0, params["size"], BATCH):
                end = min(params["size"], begun + BATCH)
                jobs = await trio.to_thread.run_sync(missing, begun, end)
                there += end - begun - len(jobs)
                for index, path in jobs:
                    await send.send((lab.url_of(site, index), path))

    async def work():
        nonlocal saved, bad
        connection = None
        async for url, path in receive.clone():
            try:
                with trio.fail_after(limit):
                    host, port, target = lab.split_url(url)
                    if connection is None or connection[0] != (host, port):
                        if connection:
                            await connection[1].stream.aclose()
                            connection = None
                        stream = await trio.open_tcp_stream(host, port)
                        connection = (host, port), Connection(stream)
                    status, body = await connection[1].fetch(f"{host}:{port}", target)
                if status != 200:
                    raise ValueError(f"{url}: {status}")
                await trio.to_thread.run_sync(save, path, body)
                saved += 1
            except (OSError, ValueError, EOFError, trio.TooSlowError):
                if connection:
                    await connection[1].stream.aclose()
                    connection = None
                bad += 1
        if connection:
            await connection[1].stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce)
        for _ in range(10):
            nursery.start_soon(work)
    receive.close()
    return saved + bad + there, saved, {"bad": bad}


async def echo(stream):
    async with stream:
        try:
            async for data in stream:
                await stream.send_all(data)
        except trio.BrokenResourceError:
            pass


async def http(stream):
    rest = b""
    async with stream:
        try:
            async for data in stream:
                *heads, rest = (rest + data).split(b"\r\n\r\n")
                if heads:
                    await stream.send_all(lab.RESPONSE * len(heads))
        except trio.BrokenResourceError:
            pass


async def cpu_bound_task():
    while True:
        lab.compute_once()
        await trio.sleep(lab.CPU_BOUND_SLEEPS)


async def serve(workload, params):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=16384)
    host, port = listener.socket.getsockname()
    begun = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(params.get("hogs", 0)):
            nursery.start_soon(cpu_bound_task)
        lab.say(type="listening", address=f"{host}:{port}", workers=1)
        # It ends the process, because CPU-bound tasks may keep the loop busy for long.
        end = lambda: os._exit(0)
        threading.Thread(target=lab.end_with_stop, args=(begun, end), daemon=True).start()
        await trio.serve_listeners(http if workload == "http" else echo, [listener])


async def idle(params, wait_for_ever):
    size = params["size"]
    ready = trio.Event()
    missing = size

    async def wait():
        nonlocal missing
        missing -= 1
        if missing == 0:
            ready.set()
        await wait_for_ever()

    lab.say(type="ready", workers=1)
    async with trio.open_nursery() as nursery:
        for _ in lab.orders():
            begun = time.perf_counter_ns()
            for _ in range(size):
                nursery.start_soon(wait)
            await ready.wait()
            wall_ns = time.perf_counter_ns() - begun
            lab.say(type="done", ops=size, wall_ns=wall_ns, answer=size)
        # Cancelling all of them could take long.
        os._exit(0)


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


async def main():
    request = lab.request()
    workload, params = request["workload"], request["params"]
    if workload in ("echo", "http", "mixed"):
        await serve(workload, params)
    elif workload in ("idle", "idle-timer"):
        waits = {"idle": trio.sleep_forever, "idle-timer": lambda: trio.sleep(HOUR_S)}
        await idle(params, waits[workload])
    elif workload in BATCHES:
        if workload == "fib-spawn":
            FORKS[0] = forks(params["size"])
        await lab.serve_orders_within(lambda order: BATCHES[workload](params))
    elif workload == "timers":
        await lab.serve_orders_within(lambda order: timers(params, request["seed"]))
    elif workload == "crawl":
        await lab.serve_orders_within(lambda order: crawl(params, request["site"]))
    elif workload == "download":
        await lab.serve_orders_within(lambda order: download(params, request["site"], order["folder"]))
    else:
        lab.refuse(workload)


if __name__ == "__main__":
    trio.run(main)
