"""Long-running tasks that turn the venue's services into events for the engine. No rules in here."""
