/*
 * A purse transaction on a card of Chạm's layout, written on libfreefare: lists the applications, authenticates with
 * AES, reads the newest record and the purse, debits, writes a record, and commits.
 *
 * usage: purse_client KEY-NUMBER KEY(32 hexadecimal digits) AMOUNT
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nfc/nfc.h>
#include <freefare.h>

#define APPLICATION 0x484E01
#define PURSE 2
#define RECORD 3
#define RECORD_LENGTH 60

static MifareTag tag;

static void
check (int result, const char *doing)
{
    if (result < 0)
	errx (1, "%s: the card answers %02X, libfreefare %02X", doing, mifare_desfire_last_picc_error (tag),
	      mifare_desfire_last_pcd_error (tag));
    printf ("%s\n", doing);
}

int
main (int argc, char *argv[])
{
    uint8_t key_bytes[16];
    if (argc != 4 || strlen (argv[2]) != 32)
	errx (2, "usage: %s KEY-NUMBER KEY AMOUNT", argv[0]);
    for (int i = 0; i < 16; i++)
	sscanf (argv[2] + 2 * i, "%2hhx", &key_bytes[i]);

    nfc_context *context;
    nfc_connstring devices[8];
    nfc_init (&context);
    if (!context || nfc_list_devices (context, devices, 8) < 1)
	errx (1, "libnfc finds no reader");
    nfc_device *device = nfc_open (context, devices[0]);
    MifareTag *tags = device ? freefare_get_tags (device) : NULL;
    if (!tags || !tags[0] || DESFIRE != freefare_get_tag_type (tags[0]))
	errx (1, "libfreefare finds no DESFire");
    tag = tags[0];
    check (mifare_desfire_connect (tag), "connect");

    MifareDESFireAID *aids;
    size_t count;
    check (mifare_desfire_get_application_ids (tag, &aids, &count), "list applications");
    MifareDESFireAID aid = NULL;
    for (size_t i = 0; i < count; i++)
	if (APPLICATION == mifare_desfire_aid_get_aid (aids[i]))
	    aid = aids[i];
    if (!aid)
	errx (1, "application %06X is not among the %zu of the card", APPLICATION, count);
    check (mifare_desfire_select_application (tag, aid), "select application");

    MifareDESFireKey key = mifare_desfire_aes_key_new (key_bytes);
    check (mifare_desfire_authenticate_aes (tag, atoi (argv[1]), key), "authenticate with AES");

    uint8_t record[RECORD_LENGTH + 16];
    check (mifare_desfire_read_records_ex (tag, RECORD, 0, 1, record, MDCM_MACED), "read the newest record");
    int32_t before, amount = atoi (argv[3]);
    check (mifare_desfire_get_value_ex (tag, PURSE, &before, MDCM_MACED), "read the purse");
    check (mifare_desfire_debit_ex (tag, PURSE, amount, MDCM_MACED), "debit the purse");
    memset (record, 0x5A, RECORD_LENGTH);
    check (mifare_desfire_write_record_ex (tag, RECORD, 0, RECORD_LENGTH, record, MDCM_MACED), "write a record");
    check (mifare_desfire_commit_transaction (tag), "commit");
    int32_t after;
    check (mifare_desfire_get_value_ex (tag, PURSE, &after, MDCM_MACED), "read the purse again");
    if (after != before - amount)
	errx (1, "%d less %d is not %d", before, amount, after);

    mifare_desfire_key_free (key);
    mifare_desfire_free_application_ids (aids);
    mifare_desfire_disconnect (tag);
    freefare_free_tags (tags);
    nfc_close (device);
    nfc_exit (context);
    return 0;
}
