"""Runs a program on one core, before others where that is allowed: pin.py CORE PROGRAM ..."""

import os
import sys

os.sched_setaffinity(0, {int(sys.argv[1])})
try:
    os.nice(-10)
except PermissionError:
    pass
os.execvp(sys.argv[2], sys.argv[2:])
