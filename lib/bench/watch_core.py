"""Writes down when a core stood still: watch_core.py CORE, until its input ends.

It asks to be woken every half a millisecond, before all that runs on that core, the generator too:
when it wakes late, nothing ran there, for the host had taken the core away or the system was busy.
Prints the moments as one line of JSON, [begin, end] in µs of Unix time; none where it may not go
before others.
"""

import json
import select
import sys
from time import perf_counter_ns, sleep

from foremost import EPOCH_OFFSET_US, go_foremost

INTERVAL_NS = 500_000
PAUSE_NS = 300_000

go_foremost(int(sys.argv[1]))

pauses: list[list[int]] = []
due_ns = perf_counter_ns()
while not select.select([sys.stdin], [], [], 0)[0]:
    due_ns += INTERVAL_NS
    sleep(max(0, due_ns - perf_counter_ns()) / 1e9)
    now_ns = perf_counter_ns()
    if now_ns - due_ns > PAUSE_NS:
        pauses.append([at_ns // 1000 + EPOCH_OFFSET_US for at_ns in (due_ns, now_ns)])
        due_ns = now_ns
print(json.dumps(pauses))
