/* settle.c */
#include "store/core_priv.h"
enum err settle_open(struct data *data)
{
    (void)data;
    return ERR_OK;
}
void settle_close(struct data *data)
{
    (void)data;
}
void settle_touched(struct node *node, uint64_t offset, struct block *block)
{
    (void)node;
    (void)offset;
    (void)block;
}
void settle_run(struct data *data)
{
    (void)data;
}
bool settle_is_idle(const struct data *data)
{
    (void)data;
    return true;
}
