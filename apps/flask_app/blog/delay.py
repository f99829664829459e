"""Slowdowns of known size: a wait, and CPU time that is used, before each request is handled; and a
wait in its transaction."""

import time

from flask import Flask, current_app


def init_app(app: Flask) -> None:
    """Makes requests wait; without a delay nothing is registered."""
    delay_s, cpu_s = app.config["DELAY_S"], app.config["CPU_S"]
    if delay_s > 0 or cpu_s > 0:

        @app.before_request
        def wait() -> None:
            if delay_s > 0:
                time.sleep(delay_s)
            burn(cpu_s)


def hold() -> None:
    """Waits for something else, while the request's transaction is open."""
    if current_app.config["HOLD_S"] > 0:
        time.sleep(current_app.config["HOLD_S"])


def burn(seconds: float) -> None:
    """Uses the CPU for so long, however often others are let run meanwhile."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
