"""The rules: pure, deterministic, integers only.

``engine.Engine.apply(event) -> list[Effect]`` is the only door. Nothing in here reads a clock, a socket, a file or
a random number; time is ``event.at``. The same events give the same effects, byte for byte.
"""
