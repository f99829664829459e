"""One clock for a run: Unix time whose differences are monotonic."""

import time
from time import perf_counter_ns

# Taken once, before processes are forked, so that they share it.
EPOCH_OFFSET_US = time.time_ns() // 1000 - perf_counter_ns() // 1000


def now_us() -> int:
    return perf_counter_ns() // 1000 + EPOCH_OFFSET_US
