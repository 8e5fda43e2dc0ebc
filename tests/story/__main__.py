"""``python -m tests.story SEED MINUTES DEEDS [COMMIT]...`` prints the digests of a story as JSON."""

from __future__ import annotations

import json
import sys

from tests.story import play

seed, minutes, deeds, *kills = map(int, sys.argv[1:])
print(json.dumps(play(seed, kills, minutes=minutes, deeds=deeds).digests(), indent=1))
