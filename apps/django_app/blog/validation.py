"""The rules for what comes over the wire; what breaks one is answered 422."""

import json
from typing import Any

from django.http import HttpRequest

from .errors import Invalid

MAX_ID = 2_147_483_647


def parse_number(text: str, name: str, high: int) -> int:
    """A number of plain decimal digits; int() would also take "+1" and "1_000"."""
    # Longer than any number in range, and Python refuses to convert thousands of digits.
    if text.isascii() and text.isdigit() and len(text) <= 100 and 1 <= int(text) <= high:
        return int(text)
    raise Invalid(f"{name} must be an integer from 1 to {high}")


def _storable(text: str) -> bool:
    """PostgreSQL stores UTF-8 without U+0000; JSON can hold a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def parse_text(value: Any, name: str, high: int) -> str:
    """A string of 1 to `high` characters that the database can store."""
    if isinstance(value, str) and 1 <= len(value) <= high and _storable(value):
        return value
    raise Invalid(f"{name} must be a string of 1 to {high} characters")


def parse_post(request: HttpRequest) -> tuple[int, str, str]:
    """Author, title and body of a post to create."""
    try:
        data = json.loads(request.body) if request.content_type == "application/json" else None
    except ValueError:  # JSON or its UTF-8 is malformed.
        data = None
    if not isinstance(data, dict):
        raise Invalid("request body must be a JSON object")
    author_id = data.get("author_id")
    # bool is an int in Python, but not in JSON.
    if type(author_id) is not int or not 1 <= author_id <= MAX_ID:
        raise Invalid(f"author_id must be an integer from 1 to {MAX_ID}")
    return (
        author_id,
        parse_text(data.get("title"), "title", 200),
        parse_text(data.get("body"), "body", 10_000),
    )
