"""Running before all else on a core, for programs that watch it."""

import os
import sys
from time import perf_counter_ns, time_ns

#: What turns a time of `perf_counter_ns` in µs into Unix time.
EPOCH_OFFSET_US = time_ns() // 1000 - perf_counter_ns() // 1000


def go_foremost(core: int) -> None:
    """Stays on that core, before all else there; where that is not allowed, prints [] and ends."""
    os.sched_setaffinity(0, {core})
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))
    except PermissionError:
        print([])
        sys.exit()
