"""What the programs of the zoo in Python have in common: lines of JSON, and looking at this process.

What each program does is said in src/zoo/pathologies, and what the servers answer in src/zoo/client.rs.
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
    """The pathology, its size and the workers: after the name of the loop, if there is one."""
    name, size, workers = sys.argv[-3:]
    return name, int(size), int(workers)


def compute(seconds):
    """Holds the thread, without a pause."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def block(seconds):
    """Holds the thread in a system call, also where `time.sleep` was made cooperative."""
    import select

    select.select([], [], [], seconds)


def switches():
    """Voluntary context switches of all threads so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def resident():
    """Memory that is resident, in bytes."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))
