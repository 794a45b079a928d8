#!/bin/sh
# Installs Chromium for the tests in test/browser. Idempotent, and tolerant: where it is not to be had
# that is said, and the tests skip with the reason.
set -u
CHROMIUM="${CHROMIUM_PATH:-/usr/bin/chromium}"
LOG=$(mktemp)

say() { echo "install-chromium: $*"; }
run() { timeout "$1" sh -c "$2" >"$LOG" 2>&1; }
install() {
  run 300 "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium fonts-dejavu-core"
}

if [ -x "$CHROMIUM" ]; then
  say "Chromium is here"
elif ! command -v apt-get >/dev/null; then
  say "skipped: no apt-get"
elif [ "$(id -u)" != 0 ]; then
  say "skipped: apt-get install needs root"
elif install || { run 120 "apt-get update" && install; }; then
  say "Chromium installed"
else
  say "skipped: $(tail -n 1 "$LOG")"
fi
rm -f "$LOG"
exit 0
