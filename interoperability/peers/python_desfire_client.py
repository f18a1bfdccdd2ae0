"""Uses a virtual card through python-desfire and pyscard, as its documentation tells.

usage: python_desfire_client.py READER

The card has application 112233 with three AES keys of zeros. Every answer's CMAC is checked by the library. Prints one
line for each thing that was done.
"""

import sys

from desfire import DESFire
from desfire.devices.pcsc import PCSCDevice
from desfire.enums import DESFireCommunicationMode, DESFireFileType, DESFireKeySettings, DESFireKeyType
from desfire.exceptions import DESFireCommunicationError
from desfire.key import DESFireKey
from desfire.schemas import FilePermissions, FileSettings, KeySettings
from smartcard.System import readers

APPLICATION = "112233"
NEW_KEY = "00112233445566778899AABBCCDDEEFF"


def aes_key(data: str) -> DESFireKey:
    settings = KeySettings(key_type=DESFireKeyType.DF_KEY_AES, settings=[DESFireKeySettings.KS_FACTORY_DEFAULT])
    return DESFireKey(settings, data)


def main() -> None:
    reader = next(reader for reader in readers() if str(reader) == sys.argv[1])
    connection = reader.createConnection()
    connection.connect()
    card = DESFire(PCSCDevice(connection.component))

    def zero() -> DESFireKey:
        """A key of its own for each use: the library turns the one that it authenticates with into the session's."""
        return aes_key("00" * 16)

    card.get_card_version()
    print("GetVersion")
    applications = card.get_application_ids()
    assert [0x11, 0x22, 0x33] in applications, applications
    print("GetApplicationIDs")

    card.select_application(APPLICATION)
    print("SelectApplication")
    settings = card.get_key_setting()
    assert settings.key_type == DESFireKeyType.DF_KEY_AES and settings.max_keys == 3, vars(settings)
    print("GetKeySettings")

    card.authenticate(0, zero())
    print("AuthenticateAES, key 0")
    assert card.get_key_version(0) == 0
    print("GetKeyVersion")

    for number, mode in enumerate(DESFireCommunicationMode, start=1):
        rights = FilePermissions(read_key=0, write_key=0, read_write_key=0, change_key=0)
        wanted = FileSettings(mode, DESFireFileType.MDFT_STANDARD_DATA_FILE, rights, 120)
        card.create_standard_file(number, wanted)
        print(f"CreateStdDataFile, {mode.name}")
        found = card.get_file_settings(number)
        assert (found.encryption, found.file_size) == (mode, 120), repr(found)
        print("GetFileSettings")
        # The library appends the last half of the CMAC to a command where the chip wants the first: in that mode it only reads.
        writes = mode != DESFireCommunicationMode.CMAC
        for part in range(3 if writes else 0):
            card.write_file_data(number, 40 * part, mode, [16 * number + part] * 40)
            print(f"WriteData, {mode.name}")
        # Inside a session an answer in plain mode carries a CMAC all the same, which the library leaves to its caller.
        found.encryption = DESFireCommunicationMode.CMAC if mode == DESFireCommunicationMode.PLAIN else mode
        data = card.read_file_data(number, found)
        assert data == [16 * number + part if writes else 0 for part in range(3) for _ in range(40)], data
        print(f"ReadData, {mode.name}")
    assert sorted(card.get_file_ids()) == [1, 2, 3]
    print("GetFileIDs")

    card.change_key(1, zero(), aes_key(NEW_KEY), 0x21)
    print("ChangeKey, another one")
    assert card.get_key_version(1) == 0x21
    print("GetKeyVersion")
    card.change_key(0, zero(), aes_key(NEW_KEY), 0x42)
    print("ChangeKey, the session's own")
    try:
        card.authenticate(0, zero())
        raise AssertionError("the card takes the old key")
    except DESFireCommunicationError:
        print("the old key is refused")
    for number in (0, 1):
        card.authenticate(number, aes_key(NEW_KEY))
        print(f"AuthenticateAES, key {number}, new")
    connection.disconnect()


main()
