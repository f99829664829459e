"""Three plain quantiles of every run with pandas, timed.

Usage: pandas_quantiles.py FOLDER WINDOW_START_US WINDOW_END_US

Reads `run-*/requests.csv` of the folder, prints the rows as one JSON line, and then answers each
line of standard input with one JSON line: the seconds that the quantiles took, and the quantiles.
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd

folder, start, end = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
columns = ["start_us", "service_us", "error"]
files = sorted(folder.glob("run-*/requests.csv"), key=lambda file: int(file.parent.name[4:]))
frames = [
    pd.read_csv(file, usecols=columns).assign(run=run) for run, file in enumerate(files)
]
requests = pd.concat(frames, ignore_index=True)
del frames
print(json.dumps({"rows": len(requests)}), flush=True)

for _ in sys.stdin:
    begun = time.perf_counter()
    completed_us = requests.start_us + requests.service_us
    correct = requests[
        (completed_us >= start) & (completed_us < end) & requests.error.isna()
    ]
    quantiles = correct.groupby("run").service_us.quantile([0.5, 0.95, 0.99])
    seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    requests.service_us.quantile([0.5, 0.95, 0.99])
    column_seconds = time.perf_counter() - begun
    answer = {"s": seconds, "column_s": column_seconds, "us": list(quantiles)}
    print(json.dumps(answer), flush=True)
