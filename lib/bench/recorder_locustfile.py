"""The project's locustfile with its recorder switched on and off in blocks, for `bench recorder`.

Environment, besides the locustfile's own: POOLSCOPE_BENCH_LOCUST (the folder of the locustfile),
POOLSCOPE_BENCH_PAIRS and POOLSCOPE_BENCH_BLOCK_S. Each pair is one block with and one without, in
an order drawn from the seed. Writes blocks.json into the run folder: pairs of [CPU s, requests,
steal s of the host], the block with recording first.
"""

import json
import os
import random
import sys
import time
from pathlib import Path

import gevent
from locust import events
from locust.event import EventHook

sys.path.insert(0, os.environ["POOLSCOPE_BENCH_LOCUST"])

import locustfile  # noqa: E402
import recorder  # noqa: E402

LeanAppUser = locustfile.LeanAppUser
PAIRS = int(os.environ["POOLSCOPE_BENCH_PAIRS"])
BLOCK_S = float(os.environ["POOLSCOPE_BENCH_BLOCK_S"])
FOLDER = Path(os.environ["POOLSCOPE_RUN_FOLDER"])

# What the recorder does each second is done after each second of recording instead.
recorder.TICK_S, TICK_S = 3600.0, recorder.TICK_S


def steal_s() -> float:
    """What the host has taken from this machine's cores so far."""
    with open("/proc/stat", encoding="ascii") as file:
        return int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


@events.test_start.add_listener
def on_test_start(environment, **_) -> None:
    gevent.spawn(measure, environment)


def measure(environment) -> None:
    event = environment.events.request
    while not locustfile.recording.in_window:
        gevent.sleep(0.05)
    recorded = event.__class__
    stats = environment.runner.stats.total
    draw = random.Random(locustfile.SEED)
    pairs = []
    since_report_s = 0.0
    for _ in range(PAIRS):
        first_on = draw.random() < 0.5
        pair = {}
        for is_on in (first_on, not first_on):
            event.__class__ = recorded if is_on else EventHook
            stolen_s = steal_s()
            requests, cpu_s = stats.num_requests, time.process_time()
            gevent.sleep(BLOCK_S)
            since_report_s += BLOCK_S * is_on
            if is_on and since_report_s >= TICK_S:
                locustfile.recording.report()
                since_report_s -= TICK_S
            cpu_s = time.process_time() - cpu_s
            pair[is_on] = cpu_s, stats.num_requests - requests, steal_s() - stolen_s
        pairs.append((pair[True], pair[False]))
    event.__class__ = recorded
    (FOLDER / "blocks.json").write_text(json.dumps(pairs))
