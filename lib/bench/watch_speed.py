"""Measures how fast a core is while others use it: watch_speed.py CORE, until its input ends.

Every 3 ms it does the same small work, before all else that runs on that core, and times it: what
makes that longer is the machine and whoever shares it, not what runs on this system. The first pass
is not timed, for it brings back into the cache what others have put out of it.
Prints one line of JSON, [Unix time in µs, ns] for each time; none where it may not go before others.
"""

import json
import os
import select
import sys
from time import perf_counter_ns, sleep, time_ns

INTERVAL_NS = 3_000_000
UNTIMED = range(100)
TIMED = range(1000)
EPOCH_OFFSET_US = time_ns() // 1000 - perf_counter_ns() // 1000

os.sched_setaffinity(0, {int(sys.argv[1])})
try:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))
except PermissionError:
    print([])
    sys.exit()


def work(passes: range) -> None:
    """Keeps the interpreter busy with little memory."""
    total = 0
    for i in passes:
        total += i


times: list[tuple[int, int]] = []
due_ns = perf_counter_ns()
while not select.select([sys.stdin], [], [], 0)[0]:
    due_ns = max(due_ns + INTERVAL_NS, perf_counter_ns())
    sleep(max(0, due_ns - perf_counter_ns()) / 1e9)
    work(UNTIMED)
    begun_ns = perf_counter_ns()
    work(TIMED)
    times.append((begun_ns // 1000 + EPOCH_OFFSET_US, perf_counter_ns() - begun_ns))
print(json.dumps(times))
