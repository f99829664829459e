"""Users and what they have written."""

from fastapi import APIRouter, HTTPException
from sqlalchemy import func, literal_column, select

from app.api.delay import hold
from app.api.deps import SessionDep, UserId
from app.models import Post, User
from app.schemas import SummaryOut, UserOut

router = APIRouter(prefix="/users")


@router.get("/{user_id}", response_model=UserOut)
async def read_user(user_id: UserId, session: SessionDep):
    """One user by id."""
    user = await session.get(User, user_id)
    await hold()
    if user is None:
        raise HTTPException(404, "User not found")
    return user


@router.get("/{user_id}/summary", response_model=SummaryOut)
async def read_summary(user_id: UserId, session: SessionDep):
    """Figures over all posts of one user, in one statement; the outer join finds idle users."""
    month = func.to_char(
        Post.created_at.op("AT TIME ZONE")(literal_column("'UTC'")), literal_column("'YYYY-MM'")
    )
    result = await session.execute(
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
        .where(User.id == user_id)
        .group_by(User.id, User.username)
    )
    summary = result.one_or_none()
    await hold()
    if summary is None:
        raise HTTPException(404, "User not found")
    return summary
