#!/bin/bash
# time limit: 600
# dedup: two identical files take the space of one, by what df says and by what the state folder takes;
# removing both gives the space back.
. "$(dirname "$0")/lib.sh"
dittofsd=$DITTOFS_RELEASE/dittofsd
mib=${DEDUP_MIB:-1024}
[ "$(df --output=avail -m "$T" | tail -1)" -gt $((mib * 4)) ] || skip "less than $((mib * 4)) MiB free"
command -v nfs-cp >/dev/null || skip "no libnfs-utils"
daemon_start
url=nfs://127.0.0.1/data
ports='?version=3&nfsport=2049&mountport=20048'
openssl enc -aes-128-ctr -nosalt -pass pass:x -pbkdf2 -iter 1 </dev/zero 2>/dev/null | head -c $((mib << 20)) >in
figure() { # NAME: of the last "figures: space" line
	kill -USR1 "$daemon_pid"
	sleep 0.3
	sed -nE "s/.*figures: space .*\b$1=([0-9]+).*/\1/p" "$daemon_log" | tail -1
}
stored_mib() { echo $(($(figure stored) >> 20)); }
disk_mib() { du -sm "$state" | cut -f1; }
# settled LEAST MOST: waits until the folder's size is in between.
settled() { until_ok 90 eval "[ \$(disk_mib) -ge $1 ] && [ \$(disk_mib) -le $2 ]"; }

check "first copy" nfs-cp in "$url/one$ports"
settled $mib $((mib * 12 / 10 + 300))
first=$(disk_mib)
at_most "MiB on disk with one" "$first" $((mib * 12 / 10 + 300))
check "second copy" nfs-cp in "$url/two$ports"
settled 0 $((first + mib / 10))
at_most "MiB on disk with two" "$(disk_mib)" $((first + mib / 10))
until_ok 90 eval "[ \$(stored_mib) -le $((mib + mib / 20)) ]" # the last blocks are hashed in idle time
at_most "MiB stored with two" "$(stored_mib)" $((mib + mib / 20))
at_least "MiB that clients see" $(($(figure logical) >> 20)) $((2 * mib))
nfs-cat "$url/two$ports" | cmp - in
is "the second reads back" ${PIPESTATUS[1]} 0
"$DITTOFS_RELEASE/nfsrm" 127.0.0.1 2049 20048 /data one two
is "removed" $? 0
settled 0 $((mib / 10 + 320))
at_most "MiB on disk with none" "$(disk_mib)" $((mib / 10 + 320))
at_most "MiB stored with none" "$(stored_mib)" $((mib / 100))
daemon_stop
check_store
finish
