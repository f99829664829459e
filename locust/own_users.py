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
from time import perf_counter, perf_counter_ns
from types import ModuleType

import gevent
from arms import Arm
from locust import FastHttpUser, HttpUser, LoadTestShape, TaskSet, User
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.event import EventHook

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
    for one in classes.values():
        if not issubclass(one, (HttpUser, FastHttpUser)):
            sys.exit(f"Cannot use the app's locustfile: {one.__name__} has a client of its own, whose "
                     "requests cannot wait for their turn; derive it from HttpUser or FastHttpUser, "
                     "or use --design consecutive")
    counts = share_users(arm.users, list(classes.values()))
    numbers = itertools.count(1)
    return {
        f"{arm.name}{name}": type(
            f"{arm.name}{name}",
            (OwnArmUser, one),
            {"arm": arm, "host": arm.host, "fixed_count": count, "_arm_numbers": numbers},
        )
        for (name, one), count in zip(classes.items(), counts)
        if count > 0
    }


def share_users(total: int, classes: list[type[User]]) -> list[int]:
    """As Locust does: fixed numbers first, the rest by weight."""
    fixed = [one.fixed_count for one in classes]
    weights = [0 if one.fixed_count else one.weight for one in classes]
    if sum(fixed) >= total or not any(weights):
        return share_out(total, fixed)
    rest = share_out(total - sum(fixed), weights)
    return [own + more for own, more in zip(fixed, rest)]


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
    _arm_numbers: itertools.count

    def __init__(self, environment) -> None:
        own = copy(environment)
        own.events = copy(environment.events)
        own.events.request = self.arm.event
        own.events.user_error = EventHook()
        own.events.user_error.add_listener(self.arm.log_exception)
        super().__init__(own)
        self._arm_turn = self.arm.turn
        self._arm_number = next(self._arm_numbers)

    def on_start(self) -> None:
        self._arm_turn.wait()
        gevent.sleep((self._arm_number - 1) / self.arm.spawn_rate)
        self._arm_turn.wait()
        self.arm.joined += 1
        super().on_start()


def pause(self, seconds: float) -> None:
    """Of a TaskSet: the pause between two tasks."""
    turn = getattr(self.user, "_arm_turn", None)
    if turn is None:
        gevent.sleep(seconds)
        return
    begun = perf_counter()
    turn.pause(seconds)
    # Paces are of own time, too.
    foreign = perf_counter() - begun - seconds
    for one in (self, self.user):
        one._cp_last_run += foreign


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
        turn = getattr(user, "_arm_turn", None)
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
