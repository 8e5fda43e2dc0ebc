"""What is kept: tables and migrations, one writer thread, queries that pages, REST and commands share, and the proof.

SQLite (WAL) by default, PostgreSQL through ``DATABASE_URL``. Times are µs since the epoch, amounts are millionths.
"""
