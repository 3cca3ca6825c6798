/*
 * nfs3check.h - how the scenario tests of NFS version 3 look at an answer.
 *
 * Each macro makes CALL (an nfs3client function with `&r` last, R being a struct nfs3_result in reach) and
 * checks what RPC and NFS say of it; a failure shows the line of the test.
 */
#ifndef DITTOFS_TESTS_NFS3CHECK_H
#define DITTOFS_TESTS_NFS3CHECK_H

#include "nfs3client.h"

enum nfs3_status {
    NFS3_OK = 0,
    NFS3ERR_PERM = 1,
    NFS3ERR_NOENT = 2,
    NFS3ERR_IO = 5,
    NFS3ERR_NXIO = 6,
    NFS3ERR_ACCES = 13,
    NFS3ERR_EXIST = 17,
    NFS3ERR_XDEV = 18,
    NFS3ERR_NOTDIR = 20,
    NFS3ERR_ISDIR = 21,
    NFS3ERR_INVAL = 22,
    NFS3ERR_FBIG = 27,
    NFS3ERR_ROFS = 30,
    NFS3ERR_NAMETOOLONG = 63,
    NFS3ERR_NOTEMPTY = 66,
    NFS3ERR_STALE = 70,
    NFS3ERR_BADHANDLE = 10001,
    NFS3ERR_NOT_SYNC = 10002,
    NFS3ERR_BAD_COOKIE = 10003,
    NFS3ERR_TOOSMALL = 10005,
    NFS3ERR_BADTYPE = 10007,
    NFS3ERR_JUKEBOX = 10008
};

#define gives(wanted, call)                                                                                  \
    do {                                                                                                     \
        assert_int_equal(call, RPCCLIENT_SUCCESS);                                                           \
        assert_int_equal(r.status, wanted);                                                                  \
    } while (0)
#define works(call) gives(NFS3_OK, call)

/* The wcc_data is whole, shows a directory or file that was changed in between, or one that was not. */
#define assert_wcc_changed(wcc)                                                                              \
    do {                                                                                                     \
        assert_true((wcc).has_before && (wcc).has_after);                                                    \
        assert_true(timestamp_compare((wcc).ctime, (wcc).after.ctime) < 0);                                  \
    } while (0)
#define assert_wcc_same(wcc)                                                                                 \
    do {                                                                                                     \
        assert_true((wcc).has_before && (wcc).has_after);                                                    \
        assert_int_equal(timestamp_compare((wcc).ctime, (wcc).after.ctime), 0);                              \
        assert_int_equal(timestamp_compare((wcc).mtime, (wcc).after.mtime), 0);                              \
        assert_int_equal((wcc).size, (wcc).after.size);                                                      \
    } while (0)

#endif
