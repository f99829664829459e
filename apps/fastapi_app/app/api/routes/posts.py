"""Posts with their authors."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from app.api.delay import hold
from app.api.deps import PostId, SessionDep
from app.models import Post, User
from app.schemas import Decimal, PostIn, PostOut

router = APIRouter(prefix="/posts")

POSTS_WITH_AUTHOR = select(Post).options(joinedload(Post.author, innerjoin=True))


@router.get("", response_model=list[PostOut])
async def read_posts(session: SessionDep, limit: Annotated[int, Decimal, Query(ge=1, le=100)] = 20):
    """The newest posts first."""
    newest = POSTS_WITH_AUTHOR.order_by(Post.created_at.desc(), Post.id.desc()).limit(limit)
    posts = (await session.scalars(newest)).all()
    await hold()
    return posts


@router.get("/{post_id}", response_model=PostOut)
async def read_post(post_id: PostId, session: SessionDep):
    """One post by id."""
    post = await session.scalar(POSTS_WITH_AUTHOR.where(Post.id == post_id))
    await hold()
    if post is None:
        raise HTTPException(404, "Post not found")
    return post


@router.post("", response_model=PostOut, status_code=201)
async def create_post(new: PostIn, session: SessionDep):
    """Creates a post of an author who exists."""
    author = await session.get(User, new.author_id)
    if author is None:
        raise HTTPException(404, "Author not found")
    post = Post(author=author, title=new.title, body=new.body)
    session.add(post)
    await session.flush()
    await hold()
    await session.commit()
    return post
