"""Keeps a core from sleeping, behind whatever else runs on it, until its input ends: keep_awake.py CORE

A virtual core that sleeps gives its place on the host away, and waits for one when it should wake.
"""

import os
import select
import sys

os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while not select.select([sys.stdin], [], [], 0)[0]:
    pass
