/*
 * smb2_credits.c - the window of message ids (MS-SMB2 3.3.1.1, 3.3.1.2).
 *
 * Invariant: high - low <= SMB2_CREDITS_MAX; the bit of an id in the window says that it was used; bits of
 * ids outside are clear. So one id is never taken twice, and what a client may send ahead is bounded.
 */
#include "smb/smb2_priv.h"

#include <string.h>

static bool is_used(const struct smb2_window *window, uint64_t id)
{
    return (window->used[id % SMB2_CREDITS_MAX / 64] >> id % 64 & 1) != 0;
}

void smb2__window_init(struct smb2_window *window)
{
    memset(window, 0, sizeof *window);
    window->high = 1;
}

bool smb2__window_take(struct smb2_window *window, uint64_t id, uint16_t charge)
{
    uint64_t count = charge == 0 ? 1 : charge;

    if (id < window->low || id >= window->high || count > window->high - id)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (is_used(window, id + i))
            return false;
    }
    for (uint64_t i = id; i < id + count; i++)
        window->used[i % SMB2_CREDITS_MAX / 64] |= UINT64_C(1) << i % 64;
    while (window->low < window->high && is_used(window, window->low)) {
        window->used[window->low % SMB2_CREDITS_MAX / 64] &= ~(UINT64_C(1) << window->low % 64);
        window->low++;
    }
    return true;
}

uint16_t smb2__window_grant(struct smb2_window *window, uint16_t wanted)
{
    uint64_t room = SMB2_CREDITS_MAX - (window->high - window->low);
    uint64_t granted = wanted == 0 ? 1 : wanted;

    if (granted > room)
        granted = room;
    /* Ids end before they wrap round. */
    if (granted > UINT64_MAX - 1 - window->high)
        granted = 0;
    window->high += granted;
    return (uint16_t)granted;
}
