#!/usr/bin/env bash
# Runs every fuzz target for the given number of seconds, one after the other, with two jobs; ends at the first finding.
# New inputs go to a folder under target, never to the seeds that are kept here.
set -euo pipefail
cd "$(dirname "$0")/.."
each_s=${1:?how many seconds each}
target=${CARGO_TARGET_DIR:-$PWD/target}
tool_version=0.13.2

if ! command -v cargo-fuzz >/dev/null; then
    PATH=$target/tools/bin:$PATH
    command -v cargo-fuzz >/dev/null ||
        cargo install --quiet --locked --root "$target/tools" --version "$tool_version" cargo-fuzz
fi
# Coverage wants compiler flags that are not stable; this lets any toolchain take them. There is no unsafe code of ours
# to watch, so the address sanitizer stays out; overflow checks are on.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$target/fuzz
options=(--fuzz-dir fuzz --sanitizer none)
cargo fuzz build "${options[@]}"

for name in $(cargo fuzz list --fuzz-dir fuzz); do
    found=$target/fuzz/corpus/$name
    mkdir -p "$found" "fuzz/seeds/$name"
    log=$target/fuzz/$name.log
    if ! cargo fuzz run "${options[@]}" "$name" "$found" "fuzz/seeds/$name" -- \
        -fork=2 -max_total_time="$each_s" -timeout=10 -rss_limit_mb=4096 -artifact_prefix="$target/fuzz/$name-" \
        >"$log" 2>&1; then
        grep --extended-regexp 'panicked|ERROR|SUMMARY|Test unit written' --after-context 3 "$log" | head --lines 20 >&2
        echo "$name: a finding; the whole report: $log" >&2
        exit 1
    fi
    echo "$name: $each_s s, $(grep --only-matching --extended-regexp '^#[0-9]+' "$log" | tail -n 1 | tr --delete '#') runs, no finding"
done
