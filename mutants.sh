#!/usr/bin/env bash
# Mutates the code that .cargo/mutants.toml names, one mutant at a time, and runs the tests of its crate on each; with
# files given, only those. It takes hours; what it finds lies under target/mutants.
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-$PWD/target}
output=$target/mutants
tool_version=27.1.0

if ! command -v cargo-mutants >/dev/null; then
    PATH=$target/tools/bin:$PATH
    command -v cargo-mutants >/dev/null ||
        cargo install --quiet --locked --root "$target/tools" --version "$tool_version" cargo-mutants
fi

# A copy is mutated, always in the same place, so that a later run builds on what an earlier one has compiled.
rm -rf "$output/source"
mkdir -p "$output/source"
git ls-files -z --cached --others --exclude-standard |
    xargs --null cp --parents --preserve=timestamps --target-directory "$output/source"
export CARGO_TARGET_DIR=$output/build CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_DEBUG=none
# The same cases of the property tests for every mutant.
export PROPTEST_RNG_SEED=1

# Tests that only cost time here: what they find, another one finds sooner.
declare -A skipped=(
    [transit]=""
    [clearing-house]="properties:: verify:: ingest::poison_at_any_place"
    [validator]="malformed:: real:: process::"
    [counter]="process::"
)
total=0 caught=0
for package in transit clearing-house validator counter; do
    # The files of the configuration, or those given.
    files=()
    for file in "$@"; do [[ $file != "$package"/* ]] || files+=(--file "$file"); done
    if [ $# -gt 0 ]; then
        [ ${#files[@]} -gt 0 ] || continue
        files+=(--no-config)
    fi
    tests=()
    for name in ${skipped[$package]}; do tests+=(--skip "$name"); done
    # 2: a mutant was missed; 3: at one the tests did not end. Neither ends this run.
    status=0
    cargo mutants --dir "$output/source" --in-place --package "$package" --output "$output/$package" --no-times \
        --build-timeout 1800 --timeout 600 "${files[@]}" -- --locked --test it -- "${tests[@]}" || status=$?
    case $status in 0 | 2 | 3) ;; *) exit "$status" ;; esac
    found=$output/$package/mutants.out
    caught=$((caught + $(cat "$found"/{caught,timeout}.txt | wc --lines)))
    total=$((total + $(cat "$found"/{caught,timeout,missed}.txt | wc --lines)))
done
echo "mutants_total $total"
awk -v caught="$caught" -v total="$total" \
    'BEGIN { printf "mutants_caught_percent %.1f\n", (total > 0 ? 100 * caught / total : 0) }'
