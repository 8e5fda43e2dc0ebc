"""Alembic migrations, run at start. One module a step, never changed once released."""
