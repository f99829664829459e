"""Measures how fast a core is while others use it: watch_speed.py CORE, until its input ends.

Every 4 ms it does the same work, before all else that runs on that core, and times it: what makes that
longer is the machine and whoever shares it, not what runs on this system. The work is of the kind that
apps do: calls of many functions, a loop, and values that lie all over the memory. All of it begins with
cold caches, whatever ran meanwhile.
Prints one line of JSON, [Unix time in µs, ns] for each time; none where it may not go before others.
"""

import datetime
import decimal
import json
import random
import re
import select
import sys
from time import perf_counter_ns, sleep

from foremost import EPOCH_OFFSET_US, go_foremost

INTERVAL_NS = 4_000_000
#: More than any cache holds for one core.
SCATTERED = [float(i) for i in range(1_500_000)]
READ_AT_ONCE = 300
DOCUMENT = {"id": 1, "email": "a@b.c", "created": "2020-01-01T00:00:00", "tags": ["a", {"c": 1.5}]}
ADDRESS = re.compile(r"(\w+)@(\w+)\.(\w)")


def work(turn: int) -> None:
    """Does what is timed; no two turns in a row read the same values."""
    document = json.loads(json.dumps(DOCUMENT))
    ADDRESS.match(document["email"])
    datetime.datetime.fromisoformat(document["created"]).isoformat()
    str(decimal.Decimal("1.5") + 2)
    total = 0
    for i in range(400):
        total += i
    begin = turn * READ_AT_ONCE % len(SCATTERED)
    sum(SCATTERED[begin : begin + READ_AT_ONCE])


random.shuffle(SCATTERED)
go_foremost(int(sys.argv[1]))

times: list[tuple[int, int]] = []
due_ns = perf_counter_ns()
while not select.select([sys.stdin], [], [], 0)[0]:
    due_ns = max(due_ns + INTERVAL_NS, perf_counter_ns())
    sleep(max(0, due_ns - perf_counter_ns()) / 1e9)
    begun_ns = perf_counter_ns()
    work(len(times))
    times.append((begun_ns // 1000 + EPOCH_OFFSET_US, perf_counter_ns() - begun_ns))
print(json.dumps(times))
