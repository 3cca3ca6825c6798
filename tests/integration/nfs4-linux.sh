#!/bin/bash
# time limit: 900
# parts: 4.0 4.1 4.2 4.2n acl build
# nfs4-linux [VERSION...]: a Linux kernel mounts an export with NFSv4.0, 4.1, 4.2, and 4.2 over four connections
# (4.2n), and does there what nfs3-linux does, and what version 4 has beyond it; the daemon is killed and started
# again under the mounted client that has files open and a lock; lists are set and obeyed (acl); a C source tree is
# built there.
. "$(dirname "$0")/lib.sh"
need_guest
[ $# -gt 0 ] || set -- 4.0 4.1 4.2 4.2n acl build
configure $'lease time = 10\ngrace time = 15' 'root mode = 0755'

work() { # VERSION OPTION
	daemon_start
	guest 400 "$top/tests/integration/guest/nfs4-work" "$1" "$2"
	is "the guest's work over $1 $2" $? 0
	daemon_stop
	check_store
	daemon_start
	guest 150 "$top/tests/integration/guest/nfs4-again" "$1"
	is "all is there after a restart, over $1" $? 0
	daemon_stop
}

# The guest says when it is in the middle of its work; it never notices more than a pause.
restarts() { # VERSION OPTION
	daemon_start
	guest 400 "$top/tests/integration/guest/nfs4-restart" "$1" "$2" >"$T/restart.out" 2>&1 &
	local pid=$!
	for i in 1 2 3; do
		if until_ok 100 grep -q "^kill $i" "$T/restart.out"; then
			sleep 1
			daemon_kill
			daemon_start
			ok "killed and started again, time $i"
		else
			not_ok "the guest comes to kill $i"
		fi
	done
	wait $pid
	is "the guest's work across kills over $1 $2" $? 0
	cat "$T/restart.out"
	daemon_stop
	check_store
}

for version in "$@"; do
	case $version in
	acl)
		for minor in 4.0 4.1 4.2; do
			daemon_start
			guest 150 "$top/tests/integration/guest/nfs4-acl" "$minor"
			is "access control lists over $minor" $? 0
			daemon_stop
			check_store
		done
		;;
	build)
		daemon_start
		guest 600 "$top/tests/integration/guest/nfs4-build" 4.2
		is "a build over 4.2" $? 0
		daemon_stop
		check_store
		;;
	4.2n)
		work 4.2 nconnect=4
		restarts 4.2 nconnect=4
		;;
	*)
		work "$version" ""
		restarts "$version" ""
		;;
	esac
done
finish
