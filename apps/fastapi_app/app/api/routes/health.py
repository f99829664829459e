"""Routes that do not touch the database."""

from fastapi import APIRouter

from app.core.config import settings

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Says which app this is; the nonce tells one start of it from another."""
    return {"status": "ok", "app": "fastapi", "nonce": settings.app_nonce}


@router.get("/ping")
async def ping() -> dict[str, str]:
    """The least that the framework can do: its own ceiling."""
    return {"ping": "pong"}
