#!/bin/sh
# Makes the virtual environment $1 with exactly what the lock file $2 says, and this project in it.
set -eu
venv=$1 lock=$2 python=${PYTHON:-python3}
say() { printf '== %s\n' "$1"; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
  echo "Python 3.11 or newer is needed; '$python' is not. Set PYTHON, for example: make PYTHON=python3.12" >&2
  exit 1
}
if [ ! -x "$venv/bin/python" ]; then
  say "virtual environment $venv ($("$python" --version))"
  if ! "$python" -m venv "$venv" 2>/dev/null; then
    rm -rf "$venv"
    say "python3-venv is missing; installing Debian's package"
    sh tools/debian.sh python3-venv
    "$python" -m venv "$venv"
  fi
fi
say "packages of $lock"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
if ! "$venv/bin/uv" pip install --python "$venv/bin/python" --require-hashes -r "$lock"; then
  say "uv could not; pip installs the same"
  "$venv/bin/python" -m pip install --disable-pip-version-check --require-hashes -r "$lock"
fi
say "pilotfish itself"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
say "ready: $venv/bin/pilotfish"
