/*
 * ctl_show.c - answers of the daemon as text or JSON, item by item as they come.
 *
 * Names come from clients: what could drive a terminal is shown as a question mark.
 */
#include "daemon/ctl_priv.h"

#include <string.h>

enum { COLUMNS_MAX = 9, TEXT_MAX = 4096, KEY_MAX = 128 };

struct column {
    const char *key, *title;
    int width; /* below 0: the last one, as wide as it is */
};

struct ctl_view {
    const char *word;
    bool one; /* one item: names and values */
    struct column columns[COLUMNS_MAX + 1];
};

#define HOLDER                                                                                               \
    {"protocol", "PROTOCOL", 9},                                                                             \
    {                                                                                                        \
        "name", "CLIENT", 24                                                                                 \
    }

static const struct ctl_view views[] = {
    {.word = "clients",
     .columns = {{"client", "ID", 16},
                 {"protocol", "PROTOCOL", 9},
                 {"status", "STATUS", 11},
                 {"holds", "HOLDS", 5},
                 {"idle_s", "IDLE/S", 6},
                 {"address", "ADDRESS", 21},
                 {"name", "NAME", -1}}},
    {.word = "sessions",
     .columns = {{"id", "ID", 32},
                 {"protocol", "PROTOCOL", 9},
                 {"slots", "SLOTS", 5},
                 {"opens", "OPENS", 5},
                 {"address", "ADDRESS", 21},
                 {"name", "NAME", -1}}},
    {.word = "opens",
     .columns =
         {{"id", "ID", 8}, HOLDER, {"access", "ACCESS", 6}, {"deny", "DENY", 4}, {"path", "PATH", -1}}},
    {.word = "locks",
     .columns = {{"id", "ID", 8},
                 HOLDER,
                 {"kind", "KIND", 9},
                 {"waiting", "WAITS", 5},
                 {"offset", "OFFSET", 12},
                 {"length", "LENGTH", 12},
                 {"path", "PATH", -1}}},
    {.word = "grants",
     .columns =
         {{"id", "ID", 8}, HOLDER, {"kinds", "KINDS", 5}, {"breaking", "BREAKING", 8}, {"path", "PATH", -1}}},
    {.word = "exports",
     .columns = {{"id", "ID", 5},
                 {"read_only", "READONLY", 8},
                 {"sync", "SYNC", 5},
                 {"sec", "SEC", 12},
                 {"protocols", "PROTOCOLS", 14},
                 {"export", "EXPORT", -1}}},
    {.word = "user",
     .columns = {{"uid", "UID", 8},
                 {"gid", "GID", 8},
                 {"disabled", "DISABLED", 8},
                 {"groups", "GROUPS", 16},
                 {"user", "USER", -1}}},
    {.word = "grace"},
    {.word = "status", .one = true},
    {.word = "stats", .one = true},
};

const struct ctl_view *ctl_view_of(const char *word)
{
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        if (strcmp(views[i].word, word) == 0)
            return &views[i];
    }
    return NULL;
}

/* ---- values ---- */

static size_t put_printable(char *to, size_t size, const char *text)
{
    size_t used = 0;

    for (; *text != '\0' && used + 1 < size; text++) {
        unsigned char byte = (unsigned char)*text;

        to[used++] = byte < 0x20 || byte == 0x7f ? '?' : (char)byte;
    }
    to[used] = '\0';
    return used;
}

static void value_text(const json_t *value, char *text, size_t size);

static void list_text(const json_t *list, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(list) && used + 2 < size; i++) {
        if (i > 0)
            text[used++] = ',';
        value_text(json_array_get(list, i), text + used, size - used);
        used += strlen(text + used);
    }
    if (used == 0)
        snprintf(text, size, "-");
}

static void value_text(const json_t *value, char *text, size_t size)
{
    if (json_is_string(value)) {
        if (put_printable(text, size, json_string_value(value)) == 0)
            snprintf(text, size, "-");
    } else if (json_is_integer(value)) {
        snprintf(text, size, "%lld", (long long)json_integer_value(value));
    } else if (json_is_boolean(value)) {
        snprintf(text, size, "%s", json_is_true(value) ? "yes" : "no");
    } else if (json_is_array(value)) {
        list_text(value, text, size);
    } else {
        /* No length: to the end. Not told: nothing. */
        snprintf(text, size, "%s", json_is_null(value) ? "end" : "-");
    }
}

/* ---- views ---- */

static void show_head(const struct ctl_output *output)
{
    for (const struct column *column = output->view->columns; column->key != NULL; column++)
        fprintf(output->file, column->width < 0 ? "%*s%s\n" : "%-*s ", column->width < 0 ? 0 : column->width,
                column->width < 0 ? "" : column->title, column->title);
}

static void show_row(const struct ctl_output *output, const json_t *item)
{
    char text[TEXT_MAX];

    for (const struct column *column = output->view->columns; column->key != NULL; column++) {
        value_text(json_object_get(item, column->key), text, sizeof text);
        if (column->width < 0)
            fprintf(output->file, "%s\n", text);
        else
            fprintf(output->file, "%-*s ", column->width, text);
    }
}

/* "a.b: value" */
static void show_values(FILE *file, const char *prefix, const json_t *object)
{
    char key[KEY_MAX], text[TEXT_MAX];
    void *at = json_object_iter((json_t *)(uintptr_t)object);

    for (; at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        const json_t *value = json_object_iter_value(at);

        snprintf(key, sizeof key, "%s%s%s", prefix, prefix[0] == '\0' ? "" : ".", json_object_iter_key(at));
        if (json_is_object(value)) {
            show_values(file, key, value);
            continue;
        }
        value_text(value, text, sizeof text);
        fprintf(file, "%s: %s\n", key, text);
    }
}

static void show_grace(FILE *file, const json_t *item)
{
    char name[TEXT_MAX];
    const json_t *missing = json_object_get(item, "missing");

    if (missing == NULL) {
        if (json_is_true(json_object_get(item, "active")))
            fprintf(file, "in grace, %lld s left; waiting for:\n",
                    (long long)json_integer_value(json_object_get(item, "left_s")));
        else
            fprintf(file, "no grace period\n");
        return;
    }
    value_text(missing, name, sizeof name);
    if (json_object_get(item, "opens") != NULL) {
        fprintf(file, "  %s (SMB: %lld open files stand for it, %lld s left)\n", name,
                (long long)json_integer_value(json_object_get(item, "opens")),
                (long long)json_integer_value(json_object_get(item, "left_s")));
        return;
    }
    fprintf(file, "  %s%s\n", name, json_is_true(json_object_get(item, "returned")) ? " (is back)" : "");
}

static void show_json(struct ctl_output *output, const json_t *item)
{
    if (output->view == NULL || !output->view->one)
        fputs(output->items == 0 ? "[\n" : ",\n", output->file);
    json_dumpf(item, output->file, JSON_COMPACT);
}

void ctl_show(void *data, const json_t *item)
{
    struct ctl_output *output = data;

    if (output->json) {
        show_json(output, item);
    } else if (output->view == NULL || output->view->one) {
        show_values(output->file, "", item);
    } else if (output->view->columns[0].key == NULL) {
        show_grace(output->file, item);
    } else {
        if (output->items == 0)
            show_head(output);
        show_row(output, item);
    }
    output->items++;
}

void ctl_show_end(struct ctl_output *output)
{
    if (!output->json)
        return;
    if (output->view != NULL && output->view->one)
        fputc('\n', output->file);
    else if (output->items == 0)
        fputs("[]\n", output->file);
    else
        fputs("\n]\n", output->file);
}
