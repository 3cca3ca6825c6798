#!/bin/bash
# time limit: 600
# nlm-linux: two Linux kernels mount an export with NFSv3 and locks. flock and fcntl locks conflict and are handed
# over by callbacks; the daemon is killed and started again, and the locks are reclaimed; a guest is killed, and
# when it comes back, its statd says so and the other one gets what it held.
. "$(dirname "$0")/lib.sh"
command -v rpc.statd >/dev/null && command -v rpcbind >/dev/null || skip "no rpc.statd"
command -v python3 >/dev/null || skip "no python3"
need_guest
need_second_guest
mount -t tmpfs run /run || skip "no tmpfs"
configure 'grace time = 20
lease time = 20'
sed -i 's/^rpcbind = no/rpcbind = serve/' dittofs.conf

work=$top/tests/integration/guest/nlm-work
for guest in first second; do
	mkdir -p "$T/$guest/nfs/sm" "$T/$guest/nfs/sm.bak" "$T/flags"
	: >"$T/$guest/nfs/state"
	chown -R statd "$T/$guest/nfs" 2>/dev/null
done
boot_first() {
	GUEST_NAME=first guest 400 "$work" "$T/first" "$T/flags" "$1" >"$T/first.out" 2>&1 &
	first_pid=$!
}
boot_second() {
	GUEST_NAME=second second_guest 400 "$work" "$T/second" "$T/flags" "$1" >"$T/second.out" 2>&1 &
	second_pid=$!
}
# says GUEST WORDS [SECONDS]
says() {
	if until_ok "${3:-90}" grep -q "^$2" "$T/$1.out"; then
		ok "$1: $2"
	else
		not_ok "$1: $2"
		tail -20 "$T/$1.out"
		tail -20 "$daemon_log"
		return 1
	fi
}

daemon_start
boot_first holder
says first "holds both"
boot_second waiter
says second "waits"
touch "$T/flags/release"
says first "released" 20
# Not by asking again, which a client does every 30 s.
says second "has both" 15
touch "$T/flags/try"
says first "finds both busy" 30

daemon_kill
daemon_start
until_ok 60 grep -q 'grace is over' "$daemon_log" && ok "grace ends" || not_ok "grace ends"
touch "$T/flags/try-again"
says first "still finds both busy" 60
says first "waits" 20
sleep 2
pkill -TERM -P $second_pid # a function of lib.sh is between us and it
wait $second_pid 2>/dev/null
# Its next life can't have the network before it lets go of it.
check "the second guest is killed" until_ok 30 eval '! ip link show tap1 | grep -q LOWER_UP'
sleep 2
if grep -q "^got both" "$T/first.out"; then
	not_ok "what it held stays locked until it says that it restarted"
else
	ok "what it held stays locked until it says that it restarted"
fi
boot_second again
says first "got both" 90
wait $first_pid
is "the first guest's work" $? 0
touch "$T/flags/end"
wait $second_pid
is "the second guest's work" $? 0
cat "$T/first.out" "$T/second.out"
daemon_stop
check_store
finish
