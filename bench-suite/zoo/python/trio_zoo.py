"""The zoo under trio."""

import time

import trio

from zoo import CHUNK, CHUNKS, HELD, arguments, block, compute, resident, say, switches

streamed = 0
nursery = None


async def always_ready():
    while True:
        await trio.lowlevel.checkpoint()


async def answer(stream):
    global streamed
    while byte := await stream.receive_some(1):
        if byte == b"s":
            for _ in range(CHUNKS):
                await stream.send_all(CHUNK)
                streamed += 64
            continue
        await stream.send_all(b"%d\n" % streamed if byte == b"c" else byte)
        if byte in b"hb":
            compute(HELD) if byte == b"h" else block(HELD)
            await stream.send_all(b"d")
        elif byte == b"y":
            nursery.start_soon(always_ready)


async def served(stream):
    try:
        await answer(stream)
    except trio.BrokenResourceError:
        pass  # A client that is gone needs no answer.


async def serve(size, workers):
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    say(listening=listeners[0].socket.getsockname()[1])
    await trio.serve_listeners(served, listeners)


async def idle_wakeups(size, workers):
    await trio.sleep(0.1)
    before = time.process_time()
    for _ in range(size):
        await trio.sleep(0.001)
    return (time.process_time() - before) * 1e6 / size


async def lifo_chain(size, workers):
    passes, over, seen = 0, False, trio.Event()
    balls = [trio.open_memory_channel(1), trio.open_memory_channel(1)]

    async def play(me):
        nonlocal passes
        while not over:
            await balls[me][1].receive()
            passes += 1
            await balls[1 - me][0].send(None)

    async def neighbour():
        nonlocal over
        over = True
        seen.set()

    nursery.start_soon(play, 0)
    nursery.start_soon(play, 1)
    balls[0][0].send_nowait(None)
    nursery.start_soon(neighbour)
    await seen.wait()
    return passes


async def lifo_hostage(size, workers):
    free = 0
    for _ in range(size):
        called, ran = trio.Event(), []

        async def wait(called, ran):
            await called.wait()
            ran.append(True)

        nursery.start_soon(wait, called, ran)
        await trio.sleep(0.001)
        called.set()
        begun = time.monotonic()
        while not ran and time.monotonic() < begun + 0.5:
            pass
        free += len(ran)
    return free


async def priority_inversion(size, workers):
    lock, turns, held = trio.Lock(), 0, trio.Event()

    async def busy():
        nonlocal turns
        while True:
            compute(0.001)
            turns += 1
            await trio.lowlevel.checkpoint()

    async def owner():
        async with lock:
            held.set()
            for _ in range(5):
                await trio.lowlevel.checkpoint()

    nursery.start_soon(owner)
    await held.wait()
    for _ in range(workers * 2):
        nursery.start_soon(busy)
    async with lock:
        return turns / (workers * 2)


async def mutex_convoy(size, workers):
    lock = trio.Lock()

    async def take():
        for _ in range(size):
            async with lock:
                compute(0.00001)

    before = switches()
    async with trio.open_nursery() as all_of_them:
        for _ in range(32):
            all_of_them.start_soon(take)
    return (switches() - before) / (size * 32)


async def outside_spawns(size, workers):
    token, ended, done = trio.lowlevel.current_trio_token(), 0, None

    async def task():
        nonlocal ended
        ended += 1
        if ended == size:
            done.set()

    def outside():
        for _ in range(size):
            token.run_sync_soon(nursery.start_soon, task)

    async def measure(start):
        nonlocal ended, done
        ended, done, begun = 0, trio.Event(), time.monotonic()
        await start()
        await done.wait()
        return time.monotonic() - begun

    async def inside():
        for _ in range(size):
            nursery.start_soon(task)

    within = await measure(inside)
    return await measure(lambda: trio.to_thread.run_sync(outside)) / within


# An error ends its whole nursery, so a task that may fail alone gets its own nursery.
async def panic_storm(size, workers):
    async def fail():
        await trio.lowlevel.checkpoint()
        raise RuntimeError("on purpose")

    reported = 0
    for _ in range(size):
        try:
            async with trio.open_nursery() as alone:
                alone.start_soon(fail)
        except* RuntimeError as group:
            reported += sum(str(error) == "on purpose" for error in group.exceptions)
    await trio.lowlevel.checkpoint()
    return reported


# Tasks have no handles to await, so each link sets an event that the next one waits for.
async def await_chain(size, workers):
    async def chain(links, first):
        last = first
        for _ in range(size):
            before, last = last, [trio.Event(), 0]
            links.start_soon(link, before, last)
        await trio.lowlevel.checkpoint()
        return last

    async def link(before, after):
        await before[0].wait()
        after[1] = before[1] + 1
        after[0].set()

    async with trio.open_nursery() as links:
        first = [trio.Event(), 0]
        last = await chain(links, first)
        first[0].set()
        await last[0].wait()
    async with trio.open_nursery() as links:
        await chain(links, [trio.Event(), 0])
        links.cancel_scope.cancel()
    return last[1]


async def drop_million(size, workers):
    dropped = 0

    async def wait():
        nonlocal dropped
        try:
            await trio.sleep_forever()
        finally:
            dropped += 1

    async with trio.open_nursery() as waiting:
        for _ in range(size):
            waiting.start_soon(wait)
        await trio.lowlevel.checkpoint()
        waiting.cancel_scope.cancel()
    return dropped


async def cancelled_timers(size, workers):
    async def set_and_cancel(count):
        for number in range(count):
            with trio.move_on_after(3600):
                if number % 1000 == 0:
                    await trio.lowlevel.checkpoint()

    await set_and_cancel(10_000)
    before = resident()
    await set_and_cancel(size)
    return max(resident() - before, 0) / size


async def queue_bound(size, workers):
    sender, receiver = trio.open_memory_channel(16)
    taken = 0

    async def produce():
        nonlocal taken
        for number in range(size):
            await sender.send(number)
            taken += 1

    nursery.start_soon(produce)
    before = 0
    while True:
        await trio.sleep(0.1)
        if taken == before and taken > 0:
            return taken
        before = taken


async def main():
    global nursery
    name, size, workers = arguments()
    program = globals().get(name.replace("-", "_"), serve)
    async with trio.open_nursery() as nursery:
        say(value=await program(size, workers))
        nursery.cancel_scope.cancel()


trio.run(main)
