#!/bin/bash
# time limit: 900
# nfs4-locks [VERSION...]: two Linux kernels, each a client of its own, lock ranges of one file: conflicts,
# waiting, hand-over with the data; the daemon is killed and started again under held locks (they are reclaimed,
# and nobody else gets them meanwhile); one client dies with a lock that the other waits for.
. "$(dirname "$0")/lib.sh"
need_guest
need_second_guest
[ $# -gt 0 ] || set -- 4.0 4.1 4.2
configure $'lease time = 10\ngrace time = 15' 'root mode = 0777'
declare -A said

# tell ROLE WORDS: the guest's next order.
tell() {
	said[$1]=$((${said[$1]} + 1))
	echo "$2" >"$T/orders/$1.new"
	mv "$T/orders/$1.new" "$T/orders/$1.${said[$1]}"
}
answer() { # ROLE: to its last order, or nothing
	sed -n "s/^$1 ${said[$1]} //p" "$T/$1.out"
}
has_answered() {
	[ -n "$(answer "$1")" ]
}
# order ROLE WORDS ANSWER [SECONDS]
order() {
	tell "$1" "$2"
	until_ok "${4:-20}" has_answered "$1"
	is "$version: $1: $2" "$(answer "$1")" "$3"
}

run() {
	rm -rf "$T/orders"
	mkdir "$T/orders"
	said=([one]=0 [two]=0)
	daemon_start
	guest 250 "$top/tests/integration/guest/nfs4-lock" "$version" one "$T/orders" >"$T/one.out" 2>&1 &
	one_pid=$!
	second_guest 250 "$top/tests/integration/guest/nfs4-lock" "$version" two "$T/orders" >"$T/two.out" 2>&1 &
	two_pid=$!
	check "$version: one comes" until_ok 60 grep -q "^one ready" "$T/one.out"
	check "$version: two comes" until_ok 60 grep -q "^two ready" "$T/two.out"
	sleep 16 # the grace period, where there is one

	order one "try x 0 100" done
	order two "try x 50 10" EAGAIN
	order two "try s 99 1" EAGAIN
	order two "try x 100 100" done
	order one "write 0 first" done
	order one "try s 0 50" done
	order two "try s 0 50" done
	order two "try s 50 10" EAGAIN
	order one "try x 0 100" EAGAIN
	order two "unlock 0 50" done
	order one "try x 0 100" done
	# Waiting: it comes when the lock is given back, and with it what was written under it. A client asks again after
	# 1, 3, 7, 15, 31 s; one of 4.1 is told (CB_NOTIFY_LOCK), and need not.
	tell two "wait x 0 100"
	sleep 8
	is "$version: two waits" "$(answer two)" ""
	order one "write 10 second" done
	order one "unlock 0 0" done
	given=$(date +%s%N)
	check "$version: two has it" until_ok 45 has_answered two
	took=$((($(date +%s%N) - given) / 1000000))
	echo "        after $took ms"
	[ "$version" = 4.0 ] || check "$version: two was told" [ $took -lt 4000 ]
	order two "read 10 6" "second"
	order one "try x 20 1" EAGAIN

	# The daemon dies; who holds keeps, who does not hold gets nothing.
	daemon_kill
	daemon_start
	tell one "try x 20 1"
	order two "write 30 third" done 60
	check "$version: one is answered" until_ok 60 has_answered one
	is "$version: one gets nothing of two's" "$(answer one)" EAGAIN
	order two "unlock 0 0" done 60
	order one "try x 20 1" done 60
	order one "read 30 5" third

	# One dies with its lock.
	tell two "wait x 20 1"
	sleep 2
	is "$version: two waits for one" "$(answer two)" ""
	kill -TERM $(cat "/proc/$one_pid/task/$one_pid/children")
	wait $one_pid 2>/dev/null
	check "$version: two has it when one's lease is over" until_ok 60 has_answered two
	is "$version: so it says" "$(answer two)" done
	tell two end
	wait $two_pid
	is "$version: two ends" $? 0
	daemon_stop
	check_store
}
for version in "$@"; do
	run
done
finish
