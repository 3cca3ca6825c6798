/*
 * state_records.c - records of the state room, kept in the store: they join its batches, and are durable when
 * the batch is.
 */
#include "daemon/state_records_priv.h"

#include <stdlib.h>

struct records_wait {
    struct store_waiter waiter;
    struct recovery_wait *wait;
};

static enum err put(void *data, const char *table, const void *key, size_t key_length, const void *value,
                    size_t value_length)
{
    return store_record_put(data, table, key, key_length, value, value_length);
}

static enum err take_away(void *data, const char *table, const void *key, size_t key_length)
{
    return store_record_delete(data, table, key, key_length);
}

static enum err scan(void *data, const char *table,
                     bool (*each)(void *each_data, const void *key, size_t key_length, const void *value,
                                  size_t value_length),
                     void *each_data)
{
    return store_record_scan(data, table, each, each_data);
}

static void durable(struct store_waiter *waiter, enum err err)
{
    struct records_wait *records = container_of(waiter, struct records_wait, waiter);
    struct recovery_wait *wait = records->wait;

    free(records);
    wait->private_data = NULL;
    wait->done(wait, err);
}

static enum err wait_for(void *data, struct recovery_wait *wait)
{
    struct store *store = data;
    struct records_wait *records = calloc(1, sizeof *records);
    enum err err;

    if (records == NULL)
        return ERR_NOMEM;
    records->waiter.done = durable;
    records->wait = wait;
    err = store_wait(store, store_ticket_metadata(store), &records->waiter);
    if (err == ERR_WAIT)
        wait->private_data = records;
    else
        free(records);
    return err;
}

static void wait_cancel(void *data, struct recovery_wait *wait)
{
    struct records_wait *records = wait->private_data;

    (void)data;
    if (records == NULL)
        return;
    wait->private_data = NULL;
    store_wait_cancel(&records->waiter);
    free(records);
}

struct recovery_store state_records(struct store *store)
{
    return (struct recovery_store){
        .data = store,
        .put = put,
        .remove = take_away,
        .scan = scan,
        .wait = wait_for,
        .wait_cancel = wait_cancel,
    };
}
