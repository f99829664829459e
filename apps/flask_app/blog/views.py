"""The routes of the contract."""

import os

from flask import Blueprint, abort, current_app, request
from flask.typing import ResponseReturnValue
from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import joinedload

from .db import get_session
from .delay import hold
from .models import Post, User
from .serializers import post_json, summary_json, user_json
from .validation import MAX_ID, parse_number, parse_post

bp = Blueprint("blog", __name__)

POSTS_WITH_AUTHOR = select(Post).options(joinedload(Post.author, innerjoin=True))


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Says which app and which of its workers this is; the nonce tells one start from another."""
    return {
        "status": "ok",
        "app": "flask",
        "nonce": current_app.config["NONCE"],
        "worker": os.getpid(),
    }


@bp.get("/ping")
def ping() -> ResponseReturnValue:
    """The least that the framework can do: its own ceiling."""
    return {"ping": "pong"}


@bp.get("/users/<user_id>")
def read_user(user_id: str) -> ResponseReturnValue:
    """One user by id."""
    user = get_session().get(User, parse_number(user_id, "id", MAX_ID))
    hold()
    if user is None:
        abort(404, description="User not found")
    return user_json(user)


@bp.get("/users/<user_id>/summary")
def read_summary(user_id: str) -> ResponseReturnValue:
    """Figures over all posts of one user, in one statement; the outer join finds idle users."""
    month = func.to_char(
        Post.created_at.op("AT TIME ZONE")(literal_column("'UTC'")), literal_column("'YYYY-MM'")
    )
    summary = (
        get_session()
        .execute(
            select(
                User.id.label("user_id"),
                User.username,
                func.count(Post.id).label("post_count"),
                func.avg(func.length(Post.body)).label("average_body_length"),
                func.min(Post.created_at).label("first_post_at"),
                func.max(Post.created_at).label("last_post_at"),
                func.mode().within_group(month).label("busiest_month"),
            )
            .outerjoin(Post, Post.author_id == User.id)
            .where(User.id == parse_number(user_id, "id", MAX_ID))
            .group_by(User.id, User.username)
        )
        .one_or_none()
    )
    hold()
    if summary is None:
        abort(404, description="User not found")
    return summary_json(summary)


@bp.get("/posts")
def read_posts() -> ResponseReturnValue:
    """The newest posts first."""
    limit = parse_number(request.args.get("limit", "20"), "limit", 100)
    newest = POSTS_WITH_AUTHOR.order_by(Post.created_at.desc(), Post.id.desc()).limit(limit)
    posts = get_session().scalars(newest).all()
    hold()
    return [post_json(post) for post in posts]


@bp.get("/posts/<post_id>")
def read_post(post_id: str) -> ResponseReturnValue:
    """One post by id."""
    statement = POSTS_WITH_AUTHOR.where(Post.id == parse_number(post_id, "id", MAX_ID))
    post = get_session().scalar(statement)
    hold()
    if post is None:
        abort(404, description="Post not found")
    return post_json(post)


@bp.post("/posts")
def create_post() -> ResponseReturnValue:
    """Creates a post of an author who exists."""
    author_id, title, body = parse_post(request.get_json(silent=True))
    session = get_session()
    author = session.get(User, author_id)
    if author is None:
        abort(404, description="Author not found")
    post = Post(author=author, title=title, body=body)
    session.add(post)
    session.flush()
    hold()
    session.commit()
    return post_json(post), 201
