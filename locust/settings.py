"""Settings from the environment, refused in one line when they are not what they must be."""

import os
from collections.abc import Sequence


def number(variable: str, default: float | None = None) -> float:
    """A finite number of at least 0; without a default it must be set."""
    text = os.environ.get(variable, "")
    if not text and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f'Cannot read {variable} "{text}": must be a number of at least 0')
    return value


TIMEOUT_S = number("POOLSCOPE_TIMEOUT_S", 60)
"""A server that is silent for so long fails the request."""


def choice(variable: str, choices: Sequence[str]) -> str:
    """One of the choices; the first is the default."""
    text = os.environ.get(variable) or choices[0]
    if text not in choices:
        raise ValueError(f'Cannot read {variable} "{text}": must be one of {", ".join(choices)}')
    return text
MAX_CONNECTIONS = int(number("POOLSCOPE_MAX_CONNECTIONS", 10_000))
"""Arrivals that may be without an answer."""
