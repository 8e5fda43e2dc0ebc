"""``python -m tests.story SEED`` prints the digests of a story as JSON."""

from __future__ import annotations

import json
import sys

from tests.story import play

print(json.dumps(play(int(sys.argv[1])).digests(), indent=1))
