/*
 * fuzz_control.c - any bytes as a line of the control socket: words come out that, put together again, give
 * the same words; or none.
 */
#include "daemon/control_request_priv.h"
#include "dittofs/log.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct control_request *request)
{
    static struct control_request again;
    static char line[3 * CONTROL_LINE_MAX + CONTROL_WORDS_MAX];

    line[0] = '\0';
    for (unsigned i = 0; i < request->count; i++) {
        invariant(request->words[i][0] != '\0');
        invariant(control_request_add(line, sizeof line, request->words[i]) == ERR_OK);
    }
    /* What was a byte may have become an escape of three. */
    if (strlen(line) > CONTROL_LINE_MAX)
        return;
    invariant(control_request_parse(line, strlen(line), &again) == ERR_OK && again.count == request->count);
    for (unsigned i = 0; i < request->count; i++)
        invariant(strcmp(again.words[i], request->words[i]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control_request request;
    uint64_t number;

    if (control_request_parse(data, size, &request) != ERR_OK)
        return 0;
    invariant(request.count >= 1 && request.count <= CONTROL_WORDS_MAX);
    check_again(&request);
    for (unsigned i = 0; i < request.count; i++) {
        if (control_parse_number(request.words[i], 1000, &number))
            invariant(number <= 1000);
        (void)control_parse_hex(request.words[i], &number);
    }
    return 0;
}
