"""Slowdowns of known size: a wait, and CPU time that is used, before each request is handled."""

import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


def wait_first(get_response: Callable[[HttpRequest], HttpResponse]):
    """The middleware."""
    delay_s, cpu_s = settings.DELAY_S, settings.CPU_S

    def middleware(request: HttpRequest) -> HttpResponse:
        if delay_s > 0:
            time.sleep(delay_s)
        burn(cpu_s)
        return get_response(request)

    return middleware


def burn(seconds: float) -> None:
    """Uses the CPU for so long, however often others are let run meanwhile."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
