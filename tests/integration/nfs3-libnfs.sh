#!/bin/bash
# nfs3-libnfs: a second client, libnfs, copies in and out, lists and stats.
. "$(dirname "$0")/lib.sh"
command -v nfs-cp >/dev/null || skip "no libnfs-utils"
daemon_start
url=nfs://127.0.0.1/data
ports='?version=3&nfsport=2049&mountport=20048'
head -c 5000000 /dev/urandom >in
check "copy in" nfs-cp in "$url/file$ports"
check "copy out" nfs-cp "$url/file$ports" out
check "the same" cmp in out
nfs-cat "$url/file$ports" >cat.out
check "the same by nfs-cat" cmp in cat.out
is "its size in the listing" "$(nfs-ls "$url$ports" | awk '$NF == "file" { print $5 }')" 5000000
: >empty
check "an empty file" nfs-cp empty "$url/empty$ports"
is "names" "$(nfs-ls "$url$ports" | awk '{ print $NF }' | grep -v '^\.' | sort | tr '\n' ' ')" "empty file "
nfs-cp "$url/none$ports" none.out >/dev/null 2>&1
is "a file that is not there" $? 10
daemon_stop
check_store
finish
