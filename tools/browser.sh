#!/bin/sh
# Makes a Chromium available for the page tests where that is easy, and never fails: without one they are skipped.
set -u

for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done

skipped() {
    echo "browser: page tests will be skipped: $*" >&2
    exit 0
}

command -v apt-get >/dev/null 2>&1 || skipped "no Chromium in PATH, and this system has no apt-get to install one with."
[ "$(id -u)" = 0 ] || skipped "no Chromium in PATH, and only root may install it (apt-get install chromium)."

echo "browser: installing chromium for the page tests" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ apt-get update -q && apt-get install -q -y --no-install-recommends chromium; } >"$log" 2>&1 </dev/null || {
    tail -n 5 "$log" >&2
    skipped "apt-get could not install chromium (its last lines are above)."
}
command -v chromium >/dev/null 2>&1 || skipped "apt-get installed chromium, yet it is not in PATH."
