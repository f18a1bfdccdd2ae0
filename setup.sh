#!/usr/bin/env bash
# Installs the Debian packages that building, testing and the demonstration need, where they are missing.
set -euo pipefail

packages=(
    build-essential pkgconf                  # C parts of SQLite and ring, and finding libraries
    libpcsclite-dev                          # the PC/SC client library
    pcscd vsmartcard-vpcd                    # a real PC/SC service with virtual readers
    libfontconfig-dev                        # what Slint's text needs
    libx11-6 libxcursor1 libxi6 libxrandr2 libxkbcommon-x11-0 libx11-xcb1 # a window under X11
    xvfb                                     # a display where there is none
    procps                                   # kill
    libssl-dev python3-venv python3-pyscard  # other people's DESFire clients, to test the virtual card
    valgrind strace                          # the figures that are counted
)

missing=()
for package in "${packages[@]}"; do
    dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$' \
        || missing+=("$package")
done

if [ "$(id -u)" = 0 ]; then as_root=(); else as_root=(sudo); fi
if [ ${#missing[@]} -gt 0 ]; then
    apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=400)
    echo "installing: ${missing[*]}"
    "${apt[@]}" update
    "${apt[@]}" install --yes --no-install-recommends "${missing[@]}"
fi

# pcscd insists on its run folder even where it is handed a socket of its own; only root can make it.
[ -d /run/pcscd ] || "${as_root[@]}" mkdir -p /run/pcscd
