#!/bin/bash
# time limit: 600
# nfs3-linux: a Linux kernel mounts an export with NFSv3 and works in it: files, folders, names, links,
# permissions, sizes, sparse and mapped files, large files, a tree of 5,000 files; then the daemon is killed
# and started again under the mounted client.
. "$(dirname "$0")/lib.sh"
need_guest
configure '' 'root mode = 0755'
daemon_start
guest 280 "$top/tests/integration/guest/nfs3-work"
is "the guest's work" $? 0
daemon_stop
check_store
daemon_start
guest 100 "$top/tests/integration/guest/nfs3-again"
is "all is there after a restart" $? 0

# The guest says when it is in the middle of its work; it never notices more than a pause.
guest 150 "$top/tests/integration/guest/nfs3-restart" >"$T/restart.out" 2>&1 &
guest_pid=$!
for i in 1 2 3; do
	if until_ok 60 grep -q "^kill $i" "$T/restart.out"; then
		sleep 1
		daemon_kill
		daemon_start
		ok "killed and started again, time $i"
	else
		not_ok "the guest comes to kill $i"
	fi
done
wait $guest_pid
is "the guest's work across kills" $? 0
cat "$T/restart.out"
daemon_stop
check_store
finish
