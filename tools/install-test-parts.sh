#!/bin/sh
# The real parts of the tests beside Python packages: Chromium and Firefox (Debian) and anvil, an EVM node (npm).
# What cannot be installed is said loudly, and its tests fail in CI (CI=true) and are left out elsewhere.
set -u
ANVIL=1.7.1
missing=""
if ! command -v chromium >/dev/null 2>&1; then
  echo "== Chromium (Debian's package)"
  sh tools/debian.sh chromium fonts-dejavu-core || missing="$missing chromium"
fi
if ! command -v firefox-esr >/dev/null 2>&1 && ! command -v firefox >/dev/null 2>&1; then
  echo "== Firefox (Debian's package)"
  sh tools/debian.sh firefox-esr || missing="$missing firefox-esr"
fi
if [ ! -x .cache/npm/node_modules/.bin/anvil ]; then
  command -v npm >/dev/null 2>&1 || { echo "== npm (Debian's package)"; sh tools/debian.sh npm || true; }
  echo "== anvil $ANVIL (npm package)"
  mkdir -p .cache/npm
  npm install --prefix .cache/npm --no-save --no-package-lock --no-fund --no-audit --loglevel=error \
    "@foundry-rs/anvil@$ANVIL" || missing="$missing anvil"
fi
if [ -n "$missing" ]; then
  echo "!! NOT INSTALLED:$missing. Their tests will not run here." >&2
  if [ "${CI:-}" = true ]; then
    exit 1
  fi
fi
exit 0
