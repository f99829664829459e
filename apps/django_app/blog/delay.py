"""A slowdown of known size: a wait before each request is handled."""

import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


def wait_first(get_response: Callable[[HttpRequest], HttpResponse]):
    """The middleware."""
    seconds = settings.DELAY_S

    def middleware(request: HttpRequest) -> HttpResponse:
        time.sleep(seconds)
        return get_response(request)

    return middleware
