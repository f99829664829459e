"""The blog of apps/CONTRACT.md in FastAPI, with SQLAlchemy's asyncio extension on asyncpg."""
