"""Runs a program on one core: python pin.py CORE PROGRAM [ARGUMENT ...]"""

import os
import sys

os.sched_setaffinity(0, {int(sys.argv[1])})
os.execvp(sys.argv[2], sys.argv[2:])
