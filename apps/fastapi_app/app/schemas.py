"""What goes over the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
)

MAX_ID = 2_147_483_647


def only_digits(text: str) -> str:
    """Refuses what int() would also take, such as "+1", "1.0" and "1_000"."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError("not a number in decimal digits")
    return text


def storable(text: str) -> str:
    """Refuses the one character that PostgreSQL cannot store."""
    if "\0" in text:
        raise ValueError("contains U+0000")
    return text


#: Marks a number in a path or query as plain decimal digits.
Decimal = BeforeValidator(only_digits)


class UserOut(BaseModel):
    """A user."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    username: str
    full_name: str
    created_at: datetime


class PostIn(BaseModel):
    """A post to create."""

    author_id: Annotated[StrictInt, Field(ge=1, le=MAX_ID)]
    title: Annotated[StrictStr, Field(min_length=1, max_length=200), AfterValidator(storable)]
    body: Annotated[StrictStr, Field(min_length=1, max_length=10_000), AfterValidator(storable)]


class PostOut(BaseModel):
    """A post with its author."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    body: str
    created_at: datetime
    author: UserOut


class SummaryOut(BaseModel):
    """What a user has written, in figures; null where there is no post."""

    model_config = ConfigDict(from_attributes=True)

    user_id: int
    username: str
    post_count: int
    average_body_length: float | None
    first_post_at: datetime | None
    last_post_at: datetime | None
    busiest_month: str | None
