"""The zoo under asyncio, on its own loop or on uvloop."""

import asyncio
import logging
import sys
import time

from zoo import CHUNK, CHUNKS, HELD, arguments, block, compute, resident, say, switches

streamed = 0


async def always_ready():
    while True:
        await asyncio.sleep(0)


async def answer(reader, writer):
    global streamed
    while byte := await reader.read(1):
        if byte == b"s":
            for _ in range(CHUNKS):
                writer.write(CHUNK)
                await writer.drain()
                streamed += 64
            continue
        writer.write(b"%d\n" % streamed if byte == b"c" else byte)
        await writer.drain()
        if byte in b"hb":
            compute(HELD) if byte == b"h" else block(HELD)
            writer.write(b"d")
        elif byte == b"y":
            tasks.append(asyncio.create_task(always_ready()))
    writer.close()


tasks = []


async def serve():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    say(listening=server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def idle_wakeups(size, workers):
    say(listening=0)
    while True:
        await asyncio.sleep(0.001)


async def lifo_chain(size, workers):
    passes, over = 0, False
    players = [asyncio.Event(), asyncio.Event()]

    async def play(me):
        nonlocal passes
        while not over:
            await players[me].wait()
            players[me].clear()
            passes += 1
            players[1 - me].set()

    async def neighbour():
        nonlocal over
        over = True
        return passes

    both = [asyncio.create_task(play(0)), asyncio.create_task(play(1))]
    players[0].set()
    seen = await asyncio.create_task(neighbour())
    for event, task in zip(players, both):
        event.set()
        task.cancel()
    return seen


async def lifo_hostage(size, workers):
    free = 0
    for _ in range(size):
        called, ran = asyncio.Event(), []

        async def wait():
            await called.wait()
            ran.append(True)

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0.001)
        called.set()
        begun = time.monotonic()
        while not ran and time.monotonic() < begun + 0.5:
            pass
        free += len(ran)
        await waiting
    return free


async def priority_inversion(size, workers):
    lock, turns = asyncio.Lock(), 0

    async def busy():
        nonlocal turns
        while True:
            compute(0.001)
            turns += 1
            await asyncio.sleep(0)

    async def owner():
        async with lock:
            for _ in range(5):
                await asyncio.sleep(0)

    kept = [asyncio.create_task(owner())]
    await asyncio.sleep(0)
    kept += [asyncio.create_task(busy()) for _ in range(workers * 2)]
    async with lock:
        return turns / (workers * 2)


async def mutex_convoy(size, workers):
    lock = asyncio.Lock()

    async def take():
        for _ in range(size):
            async with lock:
                compute(0.00001)

    before = switches()
    await asyncio.gather(*(take() for _ in range(32)))
    return (switches() - before) / (size * 32)


async def outside_spawns(size, workers):
    loop, ended, done = asyncio.get_running_loop(), 0, asyncio.Event()

    async def task():
        nonlocal ended
        ended += 1
        if ended == size:
            done.set()

    async def inside():
        for _ in range(size):
            tasks.append(asyncio.create_task(task()))
        await done.wait()

    def outside():
        for _ in range(size):
            asyncio.run_coroutine_threadsafe(task(), loop)

    begun = time.monotonic()
    await inside()
    middle = time.monotonic()
    ended = 0
    done.clear()
    await asyncio.to_thread(outside)
    await done.wait()
    return (time.monotonic() - middle) / (middle - begun)


async def panic_storm(size, workers):
    async def fail():
        await asyncio.sleep(0)
        raise RuntimeError("on purpose")

    reported = 0
    for _ in range(size // 100):
        outcomes = await asyncio.gather(*(fail() for _ in range(100)), return_exceptions=True)
        reported += sum(str(outcome) == "on purpose" for outcome in outcomes)
    await asyncio.create_task(asyncio.sleep(0))
    return reported


async def await_chain(size, workers):
    async def link(before):
        return 1 + await before

    async def chain(first):
        last = first
        for number in range(size):
            last = asyncio.create_task(link(last))
            if number % 1000 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        return last

    loop = asyncio.get_running_loop()
    first = loop.create_future()
    last = await chain(first)
    first.set_result(0)
    links = await last

    last = await chain(loop.create_future())
    last.cancel()
    try:
        await last
    except asyncio.CancelledError:
        return links


def drop_million(size, run):
    dropped = 0

    async def wait():
        nonlocal dropped
        try:
            await asyncio.Event().wait()
        finally:
            dropped += 1

    async def root():
        for _ in range(size):
            tasks.append(asyncio.create_task(wait()))
        await asyncio.sleep(0)

    run(root())
    return dropped


async def cancelled_timers(size, workers):
    loop = asyncio.get_running_loop()

    async def set_and_cancel(count):
        for number in range(count):
            loop.call_later(3600, say).cancel()
            if number % 1000 == 0:
                await asyncio.sleep(0)

    await set_and_cancel(10_000)
    before = resident()
    await set_and_cancel(size)
    return max(resident() - before, 0) / size


async def queue_bound(size, workers):
    queue, taken = asyncio.Queue(), 0

    async def produce():
        nonlocal taken
        for number in range(size):
            await queue.put(number)
            taken += 1

    producer = asyncio.create_task(produce())
    before = 0
    while True:
        await asyncio.sleep(0.1)
        if taken == before and taken > 0:
            producer.cancel()
            return taken
        before = taken


def main():
    logging.disable()
    name, size, workers = arguments()
    run = asyncio.run
    if sys.argv[1] == "uvloop":
        import uvloop

        run = uvloop.run
    if name == "drop-million":
        return say(value=drop_million(size, run))
    program = globals().get(name.replace("-", "_"))
    if program is None:
        return run(serve())

    async def figure():
        say(value=await program(size, workers))

    run(figure())


main()
