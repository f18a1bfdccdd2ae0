#!/usr/bin/env bash
# Fetches and builds the DESFire clients of others that come from Debian's and Python's registries, in the folder that
# is given. A client that cannot be had is skipped by name: FOLDER/NAME.skipped says why, and so does this.
#
# libnfc and libfreefare (LGPL-3.0) are built and run beside the project; nothing of them is part of it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)

skip() { # NAME WHY
    echo "$2" >"$folder/$1.skipped"
    echo "SKIPPED: $1: $2" >&2
}

# Debian's source packages by a private list, so that the machine's own lists stay as they are: the archives that it
# installs from, with their sources. apt checks the signatures as always.
fetch_sources() {
    local apt=$folder/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$folder/source"
    apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Component: main' \
        'Origin: Debian' | sort --unique >"$apt/sources.list"
    [ -s "$apt/sources.list" ]
    cat >"$apt/apt.conf" <<EOF
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Sandbox::User "";
Acquire::Retries "2";
EOF
    # libnfc's archive is all that is needed: Debian's changes leave the PC/SC driver, which its package does not build.
    APT_CONFIG=$apt/apt.conf apt-get -qq update &&
        (cd "$folder/source" && APT_CONFIG=$apt/apt.conf apt-get -qq source --tar-only libnfc libfreefare)
}

# Nothing is done twice: what was built from the same recipe stays.
recipe=$(cat "$0" "$here"/peers/* | sha256sum | cut -d ' ' -f 1)
is_done() { [ "$(cat "$folder/$1.recipe" 2>/dev/null)" = "$recipe" ] && [ -e "$folder/$1" ]; }
done_with() { echo "$recipe" >"$folder/$1.recipe" && rm -f "$folder/$1.skipped"; }

if ! is_done libfreefare; then
    log=$folder/libfreefare.log
    if ! ls "$folder"/source/libnfc_*.tar.* "$folder"/source/libfreefare_*.tar.* >/dev/null 2>&1 &&
        ! fetch_sources >"$log" 2>&1; then
        skip libfreefare "Debian's source packages cannot be reached (offline, or no apt); see $log"
    elif ! "$here/peers/build_libfreefare.sh" "$folder" >"$log" 2>&1; then
        skip libfreefare "libnfc and libfreefare cannot be built; see $log"
    else
        done_with libfreefare
    fi
fi

if ! is_done python-desfire; then
    log=$folder/python-desfire.log
    rm -rf "$folder/python-desfire"
    # The system's Python, for whose pyscard Debian cares.
    if /usr/bin/python3 -m venv --system-site-packages "$folder/python-desfire" >"$log" 2>&1 &&
        "$folder/python-desfire/bin/pip" --quiet --disable-pip-version-check install --only-binary :all: \
            --require-hashes --requirement "$here/peers/requirements.txt" >>"$log" 2>&1; then
        done_with python-desfire
    else
        rm -rf "$folder/python-desfire"
        skip python-desfire "Python's registry cannot be reached, or python3-venv is missing; see $log"
    fi
fi
