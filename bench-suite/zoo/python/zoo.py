"""Code that the zoo's Python programs share: lines of JSON, and figures of this process.

src/zoo/pathologies describes the programs, and src/zoo/client.rs describes the servers' answers.
"""

import json
import resource
import sys
import time

HELD = 2.0
CHUNK = bytes(64 * 1024)
CHUNKS = 4096


def say(**word):
    print(json.dumps(word), flush=True)


def arguments():
    """The pathology, its size and the workers, after the name of the loop, if there is one."""
    name, size, workers = sys.argv[-3:]
    return name, int(size), int(workers)


def compute(seconds):
    """Occupies the thread, without a pause."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def block(seconds):
    """Blocks the thread in a system call, even if `time.sleep` was made cooperative."""
    import select

    select.select([], [], [], seconds)


def switches():
    """Voluntary context switches of all threads so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def resident():
    """Resident memory, in bytes."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))
