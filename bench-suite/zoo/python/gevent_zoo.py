"""The zoo under gevent."""

import time

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.queue import Queue, Channel
from gevent.server import StreamServer

from zoo import CHUNK, CHUNKS, HELD, arguments, block, compute, resident, say, switches

streamed = 0


def always_ready():
    while True:
        gevent.sleep(0)


def answer(socket, _address):
    global streamed
    try:
        while byte := socket.recv(1):
            if byte == b"s":
                for _ in range(CHUNKS):
                    socket.sendall(CHUNK)
                    streamed += 64
                continue
            socket.sendall(b"%d\n" % streamed if byte == b"c" else byte)
            if byte in b"hb":
                compute(HELD) if byte == b"h" else block(HELD)
                socket.sendall(b"d")
            elif byte == b"y":
                gevent.spawn(always_ready)
    except OSError:
        pass  # A client that is gone needs no answer.


def serve(size, workers):
    server = StreamServer(("127.0.0.1", 0), answer)
    server.start()
    say(listening=server.server_port)
    server.serve_forever()


def idle_wakeups(size, workers):
    gevent.sleep(0.1)
    before = time.process_time()
    for _ in range(size):
        gevent.sleep(0.001)
    return (time.process_time() - before) * 1e6 / size


def lifo_chain(size, workers):
    passes, over = 0, False
    balls = [Channel(), Channel()]

    def play(me):
        nonlocal passes
        while not over:
            balls[me].get()
            passes += 1
            balls[1 - me].put(None)

    def neighbour():
        nonlocal over
        over = True
        return passes

    gevent.spawn(play, 0)
    gevent.spawn(play, 1)
    gevent.spawn(balls[0].put, None)
    return gevent.spawn(neighbour).get()


def lifo_hostage(size, workers):
    free = 0
    for _ in range(size):
        called, ran = Event(), []

        def wait():
            called.wait()
            ran.append(True)

        waiting = gevent.spawn(wait)
        gevent.sleep(0.001)
        called.set()
        begun = time.monotonic()
        while not ran and time.monotonic() < begun + 0.5:
            pass
        free += len(ran)
        waiting.join()
    return free


def priority_inversion(size, workers):
    lock, turns = BoundedSemaphore(1), 0

    def busy():
        nonlocal turns
        while True:
            compute(0.001)
            turns += 1
            gevent.sleep(0)

    def owner():
        with lock:
            for _ in range(5):
                gevent.sleep(0)

    gevent.spawn(owner)
    gevent.sleep(0)
    for _ in range(workers * 2):
        gevent.spawn(busy)
    with lock:
        return turns / (workers * 2)


def mutex_convoy(size, workers):
    lock = BoundedSemaphore(1)

    def take():
        for _ in range(size):
            with lock:
                compute(0.00001)

    before = switches()
    gevent.joinall([gevent.spawn(take) for _ in range(32)])
    return (switches() - before) / (size * 32)


def outside_spawns(size, workers):
    hub, ended, done = gevent.get_hub(), 0, Event()

    def task():
        nonlocal ended
        ended += 1
        if ended == size:
            done.set()

    def outside():
        for _ in range(size):
            hub.loop.run_callback_threadsafe(gevent.spawn, task)

    begun = time.monotonic()
    for _ in range(size):
        gevent.spawn(task)
    done.wait()
    middle = time.monotonic()
    ended = 0
    done.clear()
    hub.threadpool.spawn(outside).get()
    done.wait()
    return (time.monotonic() - middle) / (middle - begun)


def panic_storm(size, workers):
    def fail():
        gevent.sleep(0)
        raise RuntimeError("on purpose")

    gevent.get_hub().print_exception = lambda *_: None
    reported = 0
    for _ in range(size // 100):
        for task in gevent.joinall([gevent.spawn(fail) for _ in range(100)]):
            reported += str(task.exception) == "on purpose"
    gevent.spawn(gevent.sleep, 0).get()
    return reported


def await_chain(size, workers):
    def chain(first):
        last = first
        for number in range(size):
            last = gevent.spawn(lambda before: 1 + before.get(), last)
            if number % 1000 == 0:
                gevent.sleep(0)
        gevent.sleep(0)
        return last

    start = Event()
    first = gevent.spawn(lambda: start.wait() and 0)
    last = chain(first)
    start.set()
    links = last.get()
    last = chain(gevent.spawn(Event().wait))
    last.kill()
    return links


def cancelled_timers(size, workers):
    def set_and_cancel(count):
        for number in range(count):
            gevent.Timeout.start_new(3600).close()
            if number % 1000 == 0:
                gevent.sleep(0)

    set_and_cancel(10_000)
    before = resident()
    set_and_cancel(size)
    return max(resident() - before, 0) / size


def queue_bound(size, workers):
    queue, taken = Queue(), 0

    def produce():
        nonlocal taken
        for number in range(size):
            queue.put(number)
            taken += 1

    gevent.spawn(produce)
    before = 0
    while True:
        gevent.sleep(0.1)
        if taken == before and taken > 0:
            return taken
        before = taken


def main():
    name, size, workers = arguments()
    program = globals().get(name.replace("-", "_"), serve)
    say(value=program(size, workers))


main()
