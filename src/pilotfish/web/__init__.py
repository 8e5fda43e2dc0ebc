"""The dashboard and REST: a process of its own that reads the database and never touches the engine."""
