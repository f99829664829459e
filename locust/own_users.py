"""The user classes of a reader's own locustfile, which the recorder joins.

What they send is recorded like our own users' requests: through Locust's request event, and what has
no answer when the window ends through HttpUser's and FastHttpUser's clients.
"""

import importlib.util
import itertools
import os
import sys
from collections.abc import Callable
from copy import copy
from functools import wraps
from inspect import isclass
from pathlib import Path
from time import perf_counter_ns
from types import ModuleType

import gevent
from arms import Arm
from locust import LoadTestShape, TaskSet, User
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession

HEADER_PREFIX = "POOLSCOPE_HEADER_"


def load_users(file: Path, module_name: str = "app_locustfile") -> dict[str, type[User]]:
    """The classes that Locust is to run, by name; ends Locust with one line if they cannot be. Of each
    name the file is executed anew."""
    for name, value in list(os.environ.items()):
        if name.startswith(HEADER_PREFIX):
            os.environ.setdefault(name.removeprefix(HEADER_PREFIX), value)
    classes = [item for item in vars(execute(file, module_name)).values() if isclass(item)]
    shape = next((one for one in classes if issubclass(one, LoadTestShape)
                  and one is not LoadTestShape), None)
    if shape is not None:
        sys.exit(f"Cannot use the app's locustfile: it has the shape {shape.__name__}, but a "
                 "scenario says how many users there are; remove the shape")
    users = {one.__name__: one for one in classes if issubclass(one, User) and not one.abstract}
    if not users:
        sys.exit("Cannot use the app's locustfile: it has no user class; write one")
    for session in (HttpSession, FastHttpSession):
        if not hasattr(session.request, "__wrapped__"):
            session.request = noted(session.request)
    return users


def load_arm_users(file: Path, arm: Arm) -> dict[str, type[User]]:
    """The same for one of several arms, which share their users out by the classes' weights."""
    classes = load_users(file, f"app_locustfile_{arm.name}")
    counts = share_out(arm.users, [one.fixed_count or one.weight for one in classes.values()])
    numbers = itertools.count(1)
    return {
        f"{arm.name}{name}": type(
            f"{arm.name}{name}",
            (OwnArmUser, one),
            {"arm": arm, "host": arm.host, "fixed_count": count, "numbers": numbers},
        )
        for (name, one), count in zip(classes.items(), counts)
        if count > 0
    }


def share_out(total: int, weights: list[float]) -> list[int]:
    """Whole numbers in proportion to the weights, by the largest remainders."""
    shares = [total * weight / sum(weights) for weight in weights]
    counts = [int(share) for share in shares]
    by_rest = sorted(range(len(shares)), key=lambda i: counts[i] - shares[i])
    for i in by_rest[: total - sum(counts)]:
        counts[i] += 1
    return counts


class OwnArmUser:
    """What makes a reader's user class one of an arm: its requests wait for their turn, in which its
    pauses go on, and its arm alone hears of them."""

    arm: Arm
    numbers: itertools.count

    def __init__(self, environment) -> None:
        own = copy(environment)
        own.events = copy(environment.events)
        own.events.request = self.arm.event
        super().__init__(own)
        self.turn = self.arm.turn
        self.number = next(self.numbers)

    def on_start(self) -> None:
        self.turn.wait()
        gevent.sleep((self.number - 1) / self.arm.spawn_rate)
        self.turn.wait()
        self.arm.joined += 1
        super().on_start()


def pause(self, seconds: float) -> None:
    """Of a TaskSet: the pause between two tasks."""
    turn = getattr(self.user, "turn", None)
    if turn is None:
        gevent.sleep(seconds)
    else:
        turn.pause(seconds)


TaskSet._sleep = pause


def execute(file: Path, module_name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(module_name, file)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True  # it lies in the run's folder
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def noted(request: Callable) -> Callable:
    """A client's method that lets its user say what it waits for."""

    @wraps(request)
    def note(session, method, url, name=None, *args, **options):
        user = session.user
        if user is None:
            return request(session, method, url, name, *args, **options)
        turn = getattr(user, "turn", None)
        if turn is not None:
            turn.enter()
        user.in_flight = (method, name or session.request_name or url), perf_counter_ns()
        try:
            return request(session, method, url, name, *args, **options)
        finally:
            user.in_flight = None
            if turn is not None:
                turn.leave()

    return note
