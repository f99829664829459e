"""What routes ask for."""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Depends, Path
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import session_factory
from app.schemas import MAX_ID, Decimal


async def get_session() -> AsyncGenerator[AsyncSession]:
    """One session for each request; what was not committed is rolled back."""
    async with session_factory() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]
UserId = Annotated[int, Decimal, Path(ge=1, le=MAX_ID)]
PostId = Annotated[int, Decimal, Path(ge=1, le=MAX_ID)]
