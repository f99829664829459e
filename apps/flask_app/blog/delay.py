"""A slowdown of known size: a wait before each request is handled."""

import time

from flask import Flask


def init_app(app: Flask) -> None:
    """Makes requests wait; without a delay nothing is registered."""
    seconds = app.config["DELAY_S"]
    if seconds > 0:

        @app.before_request
        def wait() -> None:
            time.sleep(seconds)
