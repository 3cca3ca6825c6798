/*
 * smb2_apple.c - what Apple's clients ask a server for when they mount: the create context "AAPL", as their
 * public sources of smbfs lay it out.
 *
 * The client sends it with the CREATE of a share's root, and again after each reconnect, which fails there
 * unless it is answered again: so it is answered always, whatever is opened. Only what is there is claimed.
 * Of the server's capabilities that is none: listings have no Finder information in place of short names,
 * COPYCHUNK no form for whole files, and modes don't travel as entries of access lists. Of the volume's it is
 * that a FLUSH reaches the disk (what F_FULLFSYNC and Time Machine need), where the export's promises are
 * kept at once; names are found whatever their case, so it is not case sensitive.
 *
 * Looking names up by number (command 2) is not built: it is passed over like an unknown context.
 */
#include "smb/smb2_create_priv.h"
#include "dittofs/utf16.h"

#include <string.h>

enum { COMMAND_QUERY = 1, WANTS_SERVER = 1, WANTS_VOLUME = 2, WANTS_MODEL = 4, VOLUME_FULL_SYNC = 4 };

uint32_t smb2__apple_read(struct smb2_create *create, struct reader data)
{
    uint32_t command;

    if (!reader_le32(&data, &command) || !reader_skip(&data, 4))
        return STATUS_INVALID_PARAMETER;
    create->asks_apple = command == COMMAND_QUERY;
    if (!create->asks_apple)
        return STATUS_SUCCESS;
    /* the client's own capabilities follow: nothing here depends on them */
    return reader_le64(&data, &create->apple_wishes) && reader_skip(&data, 8) ? STATUS_SUCCESS
                                                                              : STATUS_INVALID_PARAMETER;
}

bool smb2__apple_is_answered(const struct smb2_create *create)
{
    return create->asks_apple;
}

static uint64_t volume_capabilities(const struct smb2_create *create)
{
    const struct smb2_request *request = create->request;
    const struct vfs_export *export =
        vfs_export_by_id(request->message->server->vfs, request->tree->export_id);

    return export != NULL && vfs_export_config(export)->sync ? VOLUME_FULL_SYNC : 0;
}

static void write_model(struct writer *writer)
{
    static const char model[] = "dittofs";
    size_t at;

    writer_le32(writer, 0);
    writer_le32(writer, 0);
    at = writer->length;
    if (!utf16_from_utf8(writer, model, sizeof model - 1) || writer->failed)
        return;
    writer_patch_le32(writer, at - 4, (uint32_t)(writer->length - at));
    while ((writer->length - at) % 8 != 0 && !writer->failed)
        writer_u8(writer, 0);
}

void smb2__apple_write(const struct smb2_create *create, struct writer *writer)
{
    uint64_t answered = create->apple_wishes & (WANTS_SERVER | WANTS_VOLUME | WANTS_MODEL);

    writer_le32(writer, COMMAND_QUERY);
    writer_le32(writer, 0);
    writer_le64(writer, answered);
    if (answered & WANTS_SERVER)
        writer_le64(writer, 0);
    if (answered & WANTS_VOLUME)
        writer_le64(writer, volume_capabilities(create));
    if (answered & WANTS_MODEL)
        write_model(writer);
}
