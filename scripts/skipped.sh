#!/bin/sh
# Prints how many tests of the last `cargo nextest run` were skipped, and why. A test is skipped when
# it prints a line that begins with "skipped: ", because this machine lacks what it needs.
set -eu

report=$(dirname "$0")/../target/nextest/default/junit.xml
reasons=$(sed -n 's/^.*skipped: \([^<]*\).*$/\1/p' "$report" | sed "s/&quot;/\"/g; s/&apos;/'/g")
count=$(printf '%s' "$reasons" | grep -c '' || true)
echo "tests skipped because this machine lacks something: $count"
[ "$count" = 0 ] || printf '%s\n' "$reasons" | sort | uniq -c | sort -rn
