"""Running it: configuration from the environment, the worker's life cycle, health, logs."""
