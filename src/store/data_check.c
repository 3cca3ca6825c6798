/*
 * data_check.c - DATA's half of store_check.
 */
#include "store/core_priv.h"

enum err data_check(struct store_checker *checker)
{
    (void)checker;
    return ERR_OK;
}
