"""What goes over the wire."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from .models import Post, User


def timestamp(value: datetime) -> str:
    """RFC 3339 in UTC."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def user_json(user: User) -> dict[str, Any]:
    """A user."""
    return {
        "id": user.id,
        "username": user.username,
        "full_name": user.full_name,
        "created_at": timestamp(user.created_at),
    }


def post_json(post: Post) -> dict[str, Any]:
    """A post with its author."""
    return {
        "id": post.id,
        "title": post.title,
        "body": post.body,
        "created_at": timestamp(post.created_at),
        "author": user_json(post.author),
    }


def summary_json(row: Row) -> dict[str, Any]:
    """What a user has written, in figures; null where there is no post."""
    average, first, last = row.average_body_length, row.first_post_at, row.last_post_at
    return {
        "user_id": row.user_id,
        "username": row.username,
        "post_count": row.post_count,
        "average_body_length": None if average is None else float(average),
        "first_post_at": None if first is None else timestamp(first),
        "last_post_at": None if last is None else timestamp(last),
        "busiest_month": row.busiest_month,
    }
