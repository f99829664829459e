"""The load: the contract's mix of requests, each answer checked.

By hand, with Locust's own web UI:

    locust -f locust/locustfile.py --host http://127.0.0.1:8000

Closed loop: each user keeps one connection open and sends one request after another. With an
arrival rate, open loop: requests are sent at times that are set beforehand, whatever the server
does (arrivals.py); it is then one user per process that sends them all. With a file of arms, their
users take turns (arms.py).

Environment, all optional:

POOLSCOPE_CONTRACT           the contract's file (default: apps/contract.json of this checkout).
                             Without "cases" in it or "json" in a route, the bodies of answers are
                             not checked; a route without "status" must answer 2xx
POOLSCOPE_SEED               seed of all random choices (default: 1)
POOLSCOPE_THINK_TIME_MIN_S   shortest and longest pause of a user between two requests
POOLSCOPE_THINK_TIME_MAX_S   (default: 0)
POOLSCOPE_ARRIVAL_RATE       requests per second of all processes together (default: closed loop)
POOLSCOPE_ARRIVALS           "constant" or "poisson" (default: constant)
POOLSCOPE_MAX_CONNECTIONS    arrivals of one process, or arm, that may be without an answer (default: 10000,
                             and no more than open files are allowed); more are dropped
POOLSCOPE_LOCUSTFILE         a locustfile whose user classes send the requests instead (own_users.py);
                             routes, think time and client are then theirs to decide
POOLSCOPE_CLIENT             "lean", or "fast" for Locust's FastHttpUser (default: lean)
POOLSCOPE_TIMEOUT_S          a server that is silent for so long fails the request (default: 60)
POOLSCOPE_RUN_FOLDER         see recorder.py
POOLSCOPE_ARMS               see arms.py; what is an arm's own is then in that file
"""

import gc
import itertools
import os
import random
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import gevent
import gevent.resolver.blocking
import recorder
import share
from arms import Arm, ArmTasks, read_group
from arrivals import Arrivals, LeanSender
from blocks import BlocksRecorder
from clock import EPOCH_OFFSET_US
from fast import FastSender, FastUser
from lean import LeanUser
from locust import TaskSet, User, between, events
from locust.event import EventHook
from locust.user.task import LOCUST_STATE_RUNNING
from own_users import load_arm_users, load_users
from routes import Route, read_routes
from settings import MAX_CONNECTIONS, TIMEOUT_S, choice, number

GROUP = read_group()
"""The arms that take turns; None for a run of its own."""
CONTRACT = Path(
    os.environ.get("POOLSCOPE_CONTRACT")
    or Path(__file__).resolve().parent.parent / "apps" / "contract.json"
)
ROUTES = read_routes(CONTRACT) if GROUP is None else []
SEED = int(os.environ.get("POOLSCOPE_SEED", "1"))
THINK_TIME_S = (number("POOLSCOPE_THINK_TIME_MIN_S", 0), number("POOLSCOPE_THINK_TIME_MAX_S", 0))
ARRIVAL_RATE = number("POOLSCOPE_ARRIVAL_RATE", 0)
ARRIVALS = choice("POOLSCOPE_ARRIVALS", ("constant", "poisson"))
CLIENT = choice("POOLSCOPE_CLIENT", ("lean", "fast"))
OWN_LOCUSTFILE = os.environ.get("POOLSCOPE_LOCUSTFILE")

arrivals: Arrivals | None = None
"""The open loop of this process; None in a closed loop."""

recording: recorder.LoadRecorder | recorder.MasterRecorder | None = None


@events.init.add_listener
def on_init(environment, **_) -> None:
    global arrivals, recording
    # gevent looks addresses up in threads, and threads starve while the event loop is busy: users
    # would wait for seconds before their first request.
    gevent.get_hub().resolver = gevent.resolver.blocking.Resolver()
    share.install(environment)
    environment.events.test_start.add_listener(on_test_start)
    if ARRIVAL_RATE > 0:
        arrivals = Arrivals(ROUTES, ARRIVAL_RATE, ARRIVALS, MAX_CONNECTIONS)
        arrivals.event_of = lambda _: environment.events.request
    # What lives by now stays: Python would search it for garbage again and again, for tens of ms.
    gc.collect()
    gc.freeze()
    if GROUP is not None:
        recording = BlocksRecorder(environment, GROUP)
        recorder.wait_for_start_file()
    else:
        recording = recorder.install(environment, SEED, arrivals)


def on_test_start(**_) -> None:
    if share.current is not None:
        # Locust draws tasks and think times from it, in order of completion.
        random.seed(share.current.seed(SEED))


def request_task(route: Route) -> Callable:
    """A Locust task, named as the contract names the route."""

    def task(user) -> None:
        user.send(route)

    task.__name__ = f"{route.method} {route.name}"
    return task


TASKS = {request_task(route): route.weight for route in ROUTES}


class ClosedLoop:
    """A user that sends one request after another."""

    wait_time = between(*THINK_TIME_S)
    timeout_s = TIMEOUT_S
    seed = SEED

    in_flight: tuple[tuple[str, str], int] | None = None
    """(method, name) and start, in perf_counter nanoseconds, of the request without an answer."""

    numbers = itertools.count(1)

    def __init__(self, environment) -> None:
        super().__init__(environment)
        seed = share.current.seed(self.seed) if share.current else self.seed
        self.number = next(self.numbers)
        self.random = random.Random(seed * 1_000_003 + self.number)


class LeanTasks(TaskSet):
    """The mix without a detour through gevent's queue when there is no think time: the wait for an
    answer lets the others run."""

    tasks = TASKS

    def execute_task(self, task: Callable) -> None:
        task(self.user)

    if THINK_TIME_S == (0, 0):

        def execute_next_task(self) -> None:
            task, user, tasks = self._task_queue.popleft(), self.user, self.tasks
            while user._state == LOCUST_STATE_RUNNING:
                task(user)
                task = random.choice(tasks)

        def _sleep(self, seconds: float) -> None:
            pass


class LeanClosedLoop(ClosedLoop, LeanUser):
    """Keeps one connection open and has one request in flight, if any."""

    abstract = True
    routes = ROUTES

    def __init__(self, environment) -> None:
        super().__init__(environment)
        self.requests = prepare(self.endpoint, self.routes)
        self.event = environment.events.request

    def send(self, route: Route) -> None:
        """Sends one request of a route, with random parameters, and checks the answer."""
        connection = self.connection
        path, request = self.requests[route](self.random)
        self.in_flight = route.key, perf_counter_ns()
        try:
            connection.send(request)
            if not connection.done:
                connection.wait()
            elif connection.error is not None:
                gevent.sleep(0)  # nothing was waited for, and others must have their turn
            url = self.endpoint.origin + path
            connection.fire(self.event, route, url, self.context())
        finally:
            self.in_flight = None


class LeanAppUser(LeanClosedLoop):
    """A user of the run's only app."""

    tasks = [LeanTasks]


class ArmUser(LeanClosedLoop):
    """A user of one of several arms, which sends when it is its arm's turn."""

    abstract = True
    tasks = [ArmTasks]
    arm: Arm

    def __init__(self, environment) -> None:
        super().__init__(environment)
        self.event = self.arm.event
        self.arm.endpoint = self.endpoint
        self.arm.keep(self.connection)


class FastClosedLoop(ClosedLoop, FastUser):
    """The same through FastHttpUser."""

    abstract = True
    event_of: Callable[[int], EventHook] | None = None

    def send(self, route: Route) -> None:
        """Sends one request of a route, with random parameters, and checks the answer."""
        self.in_flight = route.key, perf_counter_ns()
        try:
            self.exchange(route, self.random, self.event_of)
        finally:
            self.in_flight = None


class FastAppUser(FastClosedLoop):
    """A user of the run's only app."""

    tasks = TASKS


class FastArmUser(FastClosedLoop):
    """A user of one of several arms, which sends when it is its arm's turn."""

    abstract = True
    tasks = [ArmTasks]
    arm: Arm

    def event_of(self, intended_ns: int) -> EventHook:
        return self.arm.event


def user_classes_of(arm: Arm) -> dict[str, type[User]]:
    """By name."""
    if arm.locustfile is not None:
        return load_arm_users(Path(arm.locustfile), arm)
    kinds = {
        ("lean", False): ArmUser,
        ("fast", False): FastArmUser,
        ("lean", True): LeanArmArrivalUser,
        ("fast", True): FastArmArrivalUser,
    }
    base = kinds[arm.client, arm.arrivals is not None]
    attributes = {
        "abstract": False,
        "arm": arm,
        "host": arm.host,
        "fixed_count": arm.users,
        "routes": arm.routes,
        "seed": arm.seed,
        "numbers": itertools.count(1),
    }
    return {arm.name: type(arm.name, (base,), attributes)}


def prepare(endpoint, routes: list[Route]) -> dict[Route, Callable]:
    """The requests of all routes, made once for all users."""
    if endpoint.requests is None:
        endpoint.requests = {
            route: route.prepare(endpoint.prefix, endpoint.headers) for route in routes
        }
    return endpoint.requests


def send_arrivals(user) -> None:
    """Until the user is stopped."""
    user.arrivals.run(user.begin)


class OpenLoop:
    """A user that sends all arrivals of its process."""

    timeout_s = TIMEOUT_S

    @property
    def arrivals(self) -> Arrivals:
        return arrivals

    def begin(self) -> None:
        part = share.current
        start_ns = (part.start_us - EPOCH_OFFSET_US) * 1000
        self.arrivals.schedule(start_ns, part.seed(SEED), part.index, part.processes)


class LeanArrivalUser(OpenLoop, LeanUser):
    """Through our own client."""

    tasks = [send_arrivals]
    routes = ROUTES

    def __init__(self, environment) -> None:
        super().__init__(environment)
        own, endpoint = self.arrivals, self.endpoint
        requests = prepare(endpoint, self.routes)
        own.make_sender = lambda: LeanSender(own, endpoint, requests)


class FastArrivalUser(OpenLoop, FastUser):
    """The same through FastHttpUser, a greenlet for each arrival."""

    tasks = [send_arrivals]

    def __init__(self, environment) -> None:
        super().__init__(environment)
        own, user_class = self.arrivals, type(self)
        own.make_sender = lambda: FastSender(own, user_class(environment))


class ArmOpenLoop:
    """Sends all arrivals of one of several arms; blocks.py schedules them."""

    arm: Arm

    @property
    def arrivals(self) -> Arrivals:
        return self.arm.arrivals

    def begin(self) -> None:
        self.arm.joined = 1


class LeanArmArrivalUser(ArmOpenLoop, LeanArrivalUser):
    abstract = True

    def __init__(self, environment) -> None:
        super().__init__(environment)
        self.arm.endpoint = self.endpoint


class FastArmArrivalUser(ArmOpenLoop, FastArrivalUser):
    abstract = True


# Locust runs those of the user classes that are not abstract.
KIND = None if OWN_LOCUSTFILE or GROUP else (CLIENT, ARRIVAL_RATE > 0)
LeanAppUser.abstract = KIND != ("lean", False)
FastAppUser.abstract = KIND != ("fast", False)
LeanArrivalUser.abstract = KIND != ("lean", True)
FastArrivalUser.abstract = KIND != ("fast", True)
if GROUP is not None:
    for one in GROUP.arms:
        globals().update(user_classes_of(one))
elif OWN_LOCUSTFILE:
    globals().update(load_users(Path(OWN_LOCUSTFILE)))
