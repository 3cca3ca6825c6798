#!/bin/bash
# time limit: 900
# smb-linux [VERSION...]: a Linux kernel mounts an export with SMB 2.1, 3.0, 3.1.1, and 3.1.1 encrypted (3.1.1e), and works
# in it: files, folders, names, links, sizes, mapped and sparse files, locks, a large file, a tree; it finds all of it
# after a restart; the daemon is killed and started again under the mounted client, also under a file that stays open
# with a persistent handle.
. "$(dirname "$0")/lib.sh"
need_guest
[ $# -gt 0 ] || set -- 2.1 3.0 3.1.1 3.1.1e restart persist
configure "smb port = 445" "protocols = nfs3 smb
root mode = 0777"
check "add a user" "$dittofsd" -c "$T/dittofs.conf" user add alice 1000 1000 <<<secret

work() { # VERSION OPTION
	daemon_start
	guest 280 "$top/tests/integration/guest/smb-work" "$1" "$2"
	is "the guest's work over $1 $2" $? 0
	daemon_stop
	check_store
	daemon_start
	guest 100 "$top/tests/integration/guest/smb-again" "$1" "$2"
	is "all is there after a restart, over $1 $2" $? 0
	daemon_stop
}
# The guest says when the server is to die, and is told when it is back.
kills() {
	local flags=$T/flags guest_pid i
	mkdir -p "$flags"
	daemon_start
	guest 280 "$top/tests/integration/guest/smb-restart" 3.1.1 "" "$flags" >"$T/restart.out" 2>&1 &
	guest_pid=$!
	for i in 1 2 3; do
		if until_ok 90 grep -q "^kill $i" "$T/restart.out"; then
			daemon_kill
			daemon_start
			touch "$flags/again.$i"
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
}
# The same with a file that stays open, whose handle is persistent: it stands again at each start.
persists() {
	local flags=$T/flags.persist guest_pid i stood
	mkdir -p "$flags"
	sed -i 's/^root mode = 0777$/&\npersistent handles = yes/' "$T/dittofs.conf"
	daemon_start
	guest 200 "$top/tests/integration/guest/smb-persist" "$flags" >"$T/persist.out" 2>&1 &
	guest_pid=$!
	for i in 1 2; do
		until_ok 90 grep -q "^kill $i" "$T/persist.out" || not_ok "the guest comes to kill $i"
		daemon_kill
		daemon_start
		stood=$(grep -c 'smb: [1-9][0-9]* persistent handles with [0-9]* locks stand again, 0 don' "$daemon_log")
		is "starts at which the open file stood again" "$stood" "$i"
		touch "$flags/again.$i"
	done
	wait $guest_pid
	is "the guest's work with a file that stays open" $? 0
	cat "$T/persist.out"
	daemon_stop
	check_store
}
for version; do
	case $version in
	restart) kills;;
	persist) persists;;
	*e) work "${version%e}" seal;;
	*) work "$version" "";;
	esac
done
finish
