/*
 * config_values.c - the values of configuration keys: numbers, sizes, choices, addresses.
 *
 * Every parser either fills in its target or gives a reason of which the caller makes "FILE:LINE: reason".
 * Nothing is guessed: a number with something behind it, a word that is not in the list or an address
 * with too many bits is refused.
 */
#include "daemon/config_priv.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORD_BYTES = 128, PATTERN_BYTES = 255 };

static bool refuse(char *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(char *reason, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, CONFIG_REASON_MAX, format, arguments);
    va_end(arguments);
    return false;
}

bool config__parse_string(const struct config_key *key, const char *text, void *target, char *reason)
{
    char *copy = strdup(text);

    if (copy == NULL)
        return refuse(reason, "%s: out of memory", key->name);
    free(*(char **)target);
    *(char **)target = copy;
    return true;
}

bool config__parse_domain(const struct config_key *key, const char *text, void *target, char *reason)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t length = strlen(text);

    if (length > CONFIG_DOMAIN_MAX || strspn(text, allowed) != length || text[0] == '.' ||
        text[length - 1] == '.' || strstr(text, "..") != NULL)
        return refuse(reason, "%s: \"%s\" is not the name of a domain", key->name, text);
    return config__parse_string(key, text, target, reason);
}

static bool parse_boolean(const struct config_key *key, const char *text, bool *value_r, char *reason)
{
    static const char *const yes[] = {"yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};

    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *value_r = strcasecmp(text, yes[i]) == 0;
            return true;
        }
    }
    return refuse(reason, "%s: \"%s\" is neither yes nor no", key->name, text);
}

bool config__parse_yes(const struct config_key *key, const char *text, void *target, char *reason)
{
    return parse_boolean(key, text, target, reason);
}

bool config__parse_no(const struct config_key *key, const char *text, void *target, char *reason)
{
    bool value;

    if (!parse_boolean(key, text, &value, reason))
        return false;
    *(bool *)target = !value;
    return true;
}

/* Digits in BASE only, up to the end of TEXT or to *END_R. */
static bool parse_digits(const char *text, unsigned base, uint64_t *value_r, const char **end_r)
{
    uint64_t value = 0;
    const char *at = text;

    for (; *at >= '0' && (unsigned)(*at - '0') < base; at++) {
        unsigned digit = (unsigned)(*at - '0');

        if (value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    if (at == text || (end_r == NULL && *at != '\0'))
        return false;
    *value_r = value;
    if (end_r != NULL)
        *end_r = at;
    return true;
}

static bool parse_number(const struct config_key *key, const char *text, uint64_t *value_r, char *reason)
{
    uint64_t value;

    if (!parse_digits(text, 10, &value, NULL) || value < key->least || value > key->most)
        return refuse(reason, "%s: \"%s\" is not a number from %" PRIu64 " to %" PRIu64, key->name, text,
                      key->least, key->most);
    *value_r = value;
    return true;
}

bool config__parse_u32(const struct config_key *key, const char *text, void *target, char *reason)
{
    uint64_t value = 0;

    if (!parse_number(key, text, &value, reason))
        return false;
    *(uint32_t *)target = (uint32_t)value;
    return true;
}

bool config__parse_seconds_as_ms(const struct config_key *key, const char *text, void *target, char *reason)
{
    uint64_t value = 0;

    if (!parse_number(key, text, &value, reason))
        return false;
    *(uint64_t *)target = value * 1000;
    return true;
}

static bool parse_size(const struct config_key *key, const char *text, uint64_t *value_r, char *reason)
{
    static const char units[] = "KMGT";
    const char *end, *unit;
    uint64_t value;
    unsigned shift = 0;

    if (!parse_digits(text, 10, &value, &end))
        goto bad;
    if (*end != '\0') {
        unit = strchr(units, toupper((unsigned char)*end));
        if (unit == NULL || end[1] != '\0')
            goto bad;
        shift = 10 * (unsigned)(unit - units + 1);
    }
    if (value > UINT64_MAX >> shift)
        goto bad;
    value <<= shift;
    if (value < key->least || value > key->most)
        goto bad;
    *value_r = value;
    return true;
bad:
    return refuse(reason, "%s: \"%s\" is not a size from %" PRIu64 " to %" PRIu64 " bytes (K, M, G, T)",
                  key->name, text, key->least, key->most);
}

bool config__parse_size(const struct config_key *key, const char *text, void *target, char *reason)
{
    _Static_assert(sizeof(size_t) == sizeof(uint64_t), "sizes are written as 64 bits");
    return parse_size(key, text, target, reason);
}

bool config__parse_size_u32(const struct config_key *key, const char *text, void *target, char *reason)
{
    uint64_t value;

    if (!parse_size(key, text, &value, reason))
        return false;
    *(uint32_t *)target = (uint32_t)value;
    return true;
}

bool config__parse_mode(const struct config_key *key, const char *text, void *target, char *reason)
{
    uint64_t value;

    if (!parse_digits(text, 8, &value, NULL) || value > 07777)
        return refuse(reason, "%s: \"%s\" is not an octal mode up to 7777", key->name, text);
    *(uint32_t *)target = (uint32_t)value;
    return true;
}

/* A service's port: 0 turns the service off, "any" takes one that is free. */
bool config__parse_port(const struct config_key *key, const char *text, void *target, char *reason)
{
    struct config_port *port = target;
    uint64_t value;

    if (strcasecmp(text, "any") == 0) {
        *port = (struct config_port){.on = true, .number = 0};
        return true;
    }
    if (!parse_digits(text, 10, &value, NULL) || value > UINT16_MAX)
        return refuse(reason, "%s: \"%s\" is not a port from 1 to 65535, 0 (off) or \"any\"", key->name,
                      text);
    *port = (struct config_port){.on = value != 0, .number = (uint16_t)value};
    return true;
}

static const struct config_word *find_word(const struct config_key *key, const char *text)
{
    for (const struct config_word *word = key->words; word->text != NULL; word++) {
        if (strcasecmp(word->text, text) == 0)
            return word;
    }
    return NULL;
}

static bool refuse_word(const struct config_key *key, const char *text, char *reason)
{
    size_t used =
        (size_t)snprintf(reason, CONFIG_REASON_MAX, "%s: \"%.80s\" is not one of:", key->name, text);

    for (const struct config_word *word = key->words; word->text != NULL && used < CONFIG_REASON_MAX; word++)
        used += (size_t)snprintf(reason + used, CONFIG_REASON_MAX - used, " %s", word->text);
    return false;
}

bool config__parse_choice(const struct config_key *key, const char *text, void *target, char *reason)
{
    const struct config_word *word = find_word(key, text);

    if (word == NULL)
        return refuse_word(key, text, reason);
    *(unsigned *)target = word->value;
    return true;
}

bool config__parse_word(const struct config_key *key, const char *text, void *target, char *reason)
{
    const struct config_word *word = find_word(key, text);

    if (word == NULL)
        return refuse_word(key, text, reason);
    *(bool *)target = word->value != 0;
    return true;
}

/* Cuts the next word (separated by white space or commas) off *TEXT into WORD; false at the end or when it
 * does not fit into SIZE bytes (then *TEXT is not at its end). */
static bool next_word(const char **text, char *word, size_t size)
{
    static const char separators[] = " \t,";
    size_t length;

    *text += strspn(*text, separators);
    length = strcspn(*text, separators);
    if (length == 0 || length >= size)
        return false;
    memcpy(word, *text, length);
    word[length] = '\0';
    *text += length;
    return true;
}

bool config__parse_set(const struct config_key *key, const char *text, void *target, char *reason)
{
    char word[WORD_BYTES];
    unsigned bits = 0;

    while (next_word(&text, word, sizeof word)) {
        const struct config_word *found = find_word(key, word);

        if (found == NULL)
            return refuse_word(key, word, reason);
        bits |= found->value;
    }
    if (*text != '\0' || bits == 0)
        return refuse_word(key, text, reason);
    *(unsigned *)target = bits;
    return true;
}

bool config__parse_listen(const struct config_key *key, const char *text, void *target, char *reason)
{
    struct config_listen *listen = target;
    char word[WORD_BYTES];
    struct in6_addr bytes;

    while (next_word(&text, word, sizeof word)) {
        if (inet_pton(AF_INET, word, &bytes) != 1 && inet_pton(AF_INET6, word, &bytes) != 1)
            return refuse(reason, "%s: \"%s\" is not a numeric address", key->name, word);
        if (listen->count == CONFIG_LISTEN_MAX)
            return refuse(reason, "%s: more than %d addresses", key->name, CONFIG_LISTEN_MAX);
        listen->addresses[listen->count] = strdup(word);
        if (listen->addresses[listen->count] == NULL)
            return refuse(reason, "%s: out of memory", key->name);
        listen->count++;
    }
    if (*text != '\0' || listen->count == 0)
        return refuse(reason, "%s: \"%.80s\" is not a numeric address", key->name, text);
    return true;
}

/* Takes over TEXT, which may be NULL for want of memory. */
static bool add_name(const struct config_key *key, struct config_names *names, char *text, char *reason)
{
    char **grown = NULL;

    if (text != NULL && names->count < CONFIG_NAMES_MAX)
        grown = realloc(names->names, (names->count + 1) * sizeof *grown);
    if (grown == NULL) {
        free(text);
        if (names->count == CONFIG_NAMES_MAX)
            return refuse(reason, "%s: more than %d names", key->name, CONFIG_NAMES_MAX);
        return refuse(reason, "%s: out of memory", key->name);
    }
    names->names = grown;
    grown[names->count++] = text;
    return true;
}

/* As in smb.conf(5) "hide files": patterns between slashes, as they may hold blanks. */
bool config__parse_patterns(const struct config_key *key, const char *text, void *target, char *reason)
{
    struct config_names *names = target;
    size_t length;

    if (*text != '/')
        return refuse(reason, "%s: \"%.80s\" is not of the form /PATTERN/PATTERN/", key->name, text);
    for (; *text != '\0'; text += length) {
        while (*text == '/')
            text++;
        length = strcspn(text, "/");
        if (length > PATTERN_BYTES)
            return refuse(reason, "%s: \"%.80s\" is longer than %d bytes", key->name, text, PATTERN_BYTES);
        if (length > 0 && !add_name(key, names, strndup(text, length), reason))
            return false;
    }
    return names->count > 0 || refuse(reason, "%s: there is no pattern", key->name);
}

bool config__parse_names(const struct config_key *key, const char *text, void *target, char *reason)
{
    struct config_names *names = target;
    char word[WORD_BYTES];

    while (next_word(&text, word, sizeof word)) {
        if (strcmp(word, "@") == 0)
            return refuse(reason, "%s: a group's name is missing behind \"@\"", key->name);
        if (!add_name(key, names, strdup(word), reason))
            return false;
    }
    if (*text != '\0' || names->count == 0)
        return refuse(reason, "%s: \"%.80s\" is not a name", key->name, text);
    return true;
}

void config__free_names(struct config_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
}

/* ---- hosts, as in smb.conf(5) "hosts allow" ---- */

/* Bits behind the prefix do not count. */
static void set_rule(struct vfs_host_rule *rule, const uint8_t address[16], unsigned bits)
{
    rule->prefix_bits = (uint8_t)bits;
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = bits > i * 8 ? bits - i * 8 : 0;

        rule->address[i] = kept >= 8 ? address[i] : (uint8_t)(address[i] & ~(0xffu >> kept));
    }
}

static void set_rule_ipv4(struct vfs_host_rule *rule, const uint8_t address[4], unsigned bits)
{
    uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff};

    memcpy(mapped + 12, address, 4);
    set_rule(rule, mapped, 96 + bits);
}

/* "10.1." stands for 10.1.0.0/16. */
static bool parse_dotted_prefix(const char *text, struct vfs_host_rule *rule)
{
    uint8_t address[4] = {0};
    unsigned octets = 0;

    while (*text != '\0') {
        uint64_t value;

        if (octets == 3 || !parse_digits(text, 10, &value, &text) || value > 255 || *text != '.')
            return false;
        address[octets++] = (uint8_t)value;
        text++;
    }
    set_rule_ipv4(rule, address, 8 * octets);
    return octets > 0;
}

/* "255.255.0.0" as a number of bits; false when its ones are not in one piece. */
static bool parse_netmask(const char *text, uint64_t *bits_r)
{
    struct in_addr mask;
    uint32_t zeros;

    if (inet_pton(AF_INET, text, &mask) != 1)
        return false;
    zeros = ~ntohl(mask.s_addr);
    if ((zeros & (zeros + 1)) != 0)
        return false;
    *bits_r = 32u - (unsigned)__builtin_popcount(zeros);
    return true;
}

static bool parse_network(char *text, struct vfs_host_rule *rule)
{
    char *slash = strchr(text, '/');
    uint8_t address[16];
    uint64_t bits = UINT64_MAX;

    if (slash != NULL) {
        *slash = '\0';
        if (!parse_digits(slash + 1, 10, &bits, NULL) && !parse_netmask(slash + 1, &bits))
            return false;
    }
    if (inet_pton(AF_INET, text, address) == 1) {
        if (slash != NULL && bits > 32)
            return false;
        set_rule_ipv4(rule, address, slash != NULL ? (unsigned)bits : 32);
        return true;
    }
    if (inet_pton(AF_INET6, text, address) == 1) {
        if (slash != NULL && (bits > 128 || strchr(slash + 1, '.') != NULL))
            return false;
        set_rule(rule, address, slash != NULL ? (unsigned)bits : 128);
        return true;
    }
    return false;
}

/* Puts one or two rules at RULES_R; returns how many, 0 when TEXT is none. */
static size_t parse_host(const char *text, struct vfs_host_rule rules_r[2])
{
    static const uint8_t loopback_ipv4[4] = {127};
    static const uint8_t loopback_ipv6[16] = {[15] = 1};
    static const uint8_t nothing[16];
    char copy[WORD_BYTES];

    if (strcasecmp(text, "localhost") == 0) {
        set_rule_ipv4(&rules_r[0], loopback_ipv4, 8);
        set_rule(&rules_r[1], loopback_ipv6, 128);
        return 2;
    }
    if (strcasecmp(text, "ALL") == 0) {
        set_rule(&rules_r[0], nothing, 0);
        return 1;
    }
    snprintf(copy, sizeof copy, "%s", text);
    if (strlen(text) < sizeof copy && (parse_dotted_prefix(text, rules_r) || parse_network(copy, rules_r)))
        return 1;
    return 0;
}

bool config__parse_hosts(const struct config_key *key, const char *text, void *target, char *reason)
{
    struct config_hosts *hosts = target;
    char word[WORD_BYTES];

    while (next_word(&text, word, sizeof word)) {
        struct vfs_host_rule found[2], *grown;
        size_t count = parse_host(word, found);

        if (count == 0)
            return refuse(reason,
                          "%s: \"%s\" is not an address, a network, \"localhost\" or \"ALL\" (host names "
                          "and EXCEPT are not supported)",
                          key->name, word);
        if (hosts->count + count > CONFIG_HOSTS_MAX)
            return refuse(reason, "%s: more than %d hosts", key->name, CONFIG_HOSTS_MAX);
        grown = realloc(hosts->rules, (hosts->count + count) * sizeof *grown);
        if (grown == NULL)
            return refuse(reason, "%s: out of memory", key->name);
        memcpy(grown + hosts->count, found, count * sizeof *grown);
        hosts->rules = grown;
        hosts->count += count;
    }
    if (*text != '\0' || hosts->count == 0)
        return refuse(reason, "%s: \"%.80s\" is not an address or a network", key->name, text);
    return true;
}
