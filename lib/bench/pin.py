"""Runs a program on one core, before others where that is allowed: pin.py CORE PROGRAM ...

`--realtime` after the core puts it before all others, which is for programs that rest now and then:
the system halts those that take more than 95 % of a second.
"""

import os
import sys

core, *command = sys.argv[1:]
os.sched_setaffinity(0, {int(core)})
try:
    if command[0] == "--realtime":
        del command[0]
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    else:
        os.nice(-10)
except PermissionError:
    pass
os.execvp(command[0], command)
