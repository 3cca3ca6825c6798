/* gc.c */
#include "store/core_priv.h"
enum err gc_open(struct data *data)
{
    (void)data;
    return ERR_OK;
}
void gc_begin(struct data *data)
{
    (void)data;
}
void gc_freed(struct data *data, uint64_t place, uint64_t bytes)
{
    (void)data;
    (void)place;
    (void)bytes;
}
void gc_run(struct data *data)
{
    (void)data;
}
void gc_close(struct data *data)
{
    (void)data;
}
