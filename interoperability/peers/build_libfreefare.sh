#!/usr/bin/env bash
# Builds libnfc and libfreefare from Debian's source archives in FOLDER/source, with the stock tools, libfreefare's own
# suite and our purse client, into FOLDER/libfreefare.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
built=$folder/libfreefare
rm -rf "$built" "$built.part" "$folder"/source/*/
mkdir -p "$built.part"
for archive in "$folder"/source/*.orig.tar.*; do tar --extract --file "$archive" --directory "$folder/source"; done
nfc=$(echo "$folder"/source/libnfc-*/)
freefare=$(echo "$folder"/source/libfreefare-*/)
: >"$built.part/config.h"
include=(-I"$built.part" -I"$nfc/include" -I"$freefare/libfreefare")
quiet=(-O1 -w -fPIC)
# libnfc with the PC/SC driver alone.
(cd "$nfc/libnfc" && cc "${quiet[@]}" -std=c99 -D_XOPEN_SOURCE=600 -DENVVARS -DDRIVER_PCSC_ENABLED \
    -DPACKAGE_NAME='"libnfc"' -DPACKAGE_VERSION='"of Debian"' -DPACKAGE_STRING='"libnfc of Debian"' \
    -I.. -I../include -I. -Ibuses -Idrivers -Ichips $(pkg-config --cflags libpcsclite) \
    -shared -Wl,-soname,libnfc.so.6 -o "$built.part/libnfc.so.6" \
    nfc.c nfc-device.c nfc-emulation.c nfc-internal.c conf.c iso14443-subr.c mirror-subr.c target-subr.c \
    drivers/pcsc.c $(pkg-config --libs libpcsclite))
ln -sf libnfc.so.6 "$built.part/libnfc.so"
cc "${quiet[@]}" -std=gnu99 -DHAVE_SYS_TYPES_H -DHAVE_ENDIAN_H -DHAVE_BYTESWAP_H "${include[@]}" \
    -I"$freefare" -I"$freefare/contrib/libutil" -shared -o "$built.part/libfreefare.so" \
    "$freefare"/libfreefare/*.c "$freefare/contrib/libutil/hexdump.c" -L"$built.part" -lnfc -lcrypto -Wl,-rpath,'$ORIGIN'
link=(-L"$built.part" -lfreefare -lnfc -Wl,-rpath,'$ORIGIN')
for tool in info create-ndef format; do
    cc "${quiet[@]}" -std=gnu99 "${include[@]}" "$freefare/examples/mifare-desfire-$tool.c" \
        -o "$built.part/mifare-desfire-$tool" "${link[@]}"
done
# libfreefare's own suite for real cards: one program for its DESFire tests, one for its EV1 tests.
for suite in mifare_desfire mifare_desfire_ev1; do
    tests=("$freefare/test/test_$suite.c")
    [ $suite = mifare_desfire ] || tests=("$freefare"/test/test_mifare_desfire_ev1*.c)
    cc "${quiet[@]}" -std=gnu99 -I"$here" "${include[@]}" -I"$freefare/test" -I"$freefare/test/common" \
        -rdynamic "$here/suite.c" "${tests[@]}" "$freefare/test/${suite}_fixture.c" \
        "$freefare/test/common/mifare_desfire_auto_authenticate.c" -o "$built.part/suite_$suite" "${link[@]}" -ldl
done
cc -O1 -Wall -Wextra -Werror -std=gnu99 "${include[@]}" "$here/purse_client.c" -o "$built.part/purse_client" "${link[@]}"
basename --multiple "$nfc" "$freefare" >"$built.part/versions"
mv "$built.part" "$built"
