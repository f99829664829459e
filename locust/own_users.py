"""The user classes of a reader's own locustfile, which the recorder joins.

What they send is recorded like our own users' requests: through Locust's request event, and what has
no answer when the window ends through HttpUser's and FastHttpUser's clients.
"""

import importlib.util
import os
import sys
from collections.abc import Callable
from functools import wraps
from inspect import isclass
from pathlib import Path
from time import perf_counter_ns
from types import ModuleType

from locust import LoadTestShape, User
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession

HEADER_PREFIX = "POOLSCOPE_HEADER_"


def load_users(file: Path) -> dict[str, type[User]]:
    """The classes that Locust is to run, by name; ends Locust with one line if they cannot be."""
    for name, value in list(os.environ.items()):
        if name.startswith(HEADER_PREFIX):
            os.environ.setdefault(name.removeprefix(HEADER_PREFIX), value)
    classes = [item for item in vars(execute(file)).values() if isclass(item)]
    shape = next((one for one in classes if issubclass(one, LoadTestShape)
                  and one is not LoadTestShape), None)
    if shape is not None:
        sys.exit(f"Cannot use the app's locustfile: it has the shape {shape.__name__}, but a "
                 "scenario says how many users there are; remove the shape")
    users = {one.__name__: one for one in classes if issubclass(one, User) and not one.abstract}
    if not users:
        sys.exit("Cannot use the app's locustfile: it has no user class; write one")
    for session in (HttpSession, FastHttpSession):
        session.request = noted(session.request)
    return users


def execute(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("app_locustfile", file)
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
        user.in_flight = (method, name or session.request_name or url), perf_counter_ns()
        try:
            return request(session, method, url, name, *args, **options)
        finally:
            user.in_flight = None

    return note
