"""Routes that do not touch the database."""

import os

from fastapi import APIRouter

from app.core.config import settings

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str | int]:
    """Says which app and which of its workers this is; the nonce tells one start from another."""
    return {
        "status": "ok",
        "app": "fastapi",
        "nonce": settings.app_nonce,
        "worker": os.getpid(),
    }


@router.get("/ping")
async def ping() -> dict[str, str]:
    """The least that the framework can do: its own ceiling."""
    return {"ping": "pong"}
