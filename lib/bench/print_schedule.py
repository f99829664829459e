"""Prints an open loop's arrivals as a JSON list of µs from the start of the load.

Arguments: folder of the locustfile, "constant" or "poisson", requests per second, seed, seconds.
"""

import json
import sys

folder, kind, rate, seed, seconds = sys.argv[1:]
sys.path.insert(0, folder)

from arrivals import schedule_of  # noqa: E402

offset_ns = schedule_of(kind, float(rate), int(seed), 0, 1)
offsets_us = []
while not offsets_us or offsets_us[-1] < float(seconds) * 1e6:
    offsets_us.append(offset_ns(len(offsets_us)) / 1000)
print(json.dumps(offsets_us))
