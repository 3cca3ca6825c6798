#!/bin/bash
# time limit: 600
# nfs4-delegations [VERSION...]: two Linux kernels use the same files. Each is given delegations and then opens,
# reads and closes without asking; what the other one does takes them away well within a lease, and nobody sees
# old data.
. "$(dirname "$0")/lib.sh"
need_guest
need_second_guest
[ $# -gt 0 ] || set -- 4.0 4.1 4.2
declare -A said
TURN_S=8 # of a lease of 40

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
# ask ROLE WORDS [SECONDS]: $got is its answer.
ask() {
	tell "$1" "$2"
	until_ok "${3:-30}" has_answered "$1"
	got=$(answer "$1")
}
# order ROLE WORDS ANSWER [SECONDS]
order() {
	ask "$1" "$2" "${4:-30}"
	is "$version: $1: $2" "$got" "$3"
}
operations() { # ROLE NAME: $got is how often it was sent
	ask "$1" "operations $2"
}

run() {
	rm -rf "$T/orders" "$state"
	mkdir "$T/orders"
	said=([one]=0 [two]=0)
	configure $'lease time = 40\ngrace time = 10'"$1" 'root mode = 0777'
	daemon_start
	GUEST_NAME=one guest 180 "$top/tests/integration/guest/nfs4-delegation" "$version" one "$T/orders" >"$T/one.out" 2>&1 &
	one_pid=$!
	GUEST_NAME=two second_guest 180 "$top/tests/integration/guest/nfs4-delegation" "$version" two "$T/orders" \
		>"$T/two.out" 2>&1 &
	two_pid=$!
	check "$version: one comes" until_ok 60 grep -q "^one ready" "$T/one.out"
	check "$version: two comes" until_ok 60 grep -q "^two ready" "$T/two.out"
}
stop() {
	tell one end
	tell two end
	wait $one_pid
	is "$version: one ends" $? 0
	wait $two_pid
	is "$version: two ends" $? 0
	daemon_stop
	check_store
}

delegations() {
	local before returned
	run ""
	# In 4.0 an owner's first open is confirmed, and comes without.
	order two "write file first 2" done
	order one "read file 1" first $TURN_S
	# A file whose delegation was recalled has none for a third of a lease.
	sleep 15
	order one "read file 3" first
	order two "read file 3" first
	operations one OPEN
	before=$got
	order one "read file 200" first
	operations one OPEN
	at_most "$version: OPENs of one for 200 times reading" $((got - before)) 2
	operations one DELEGRETURN
	returned=$got

	# A writer comes: readers give theirs back, and see what he wrote.
	order two "write file second 1" done $TURN_S
	order one "read file 1" second
	operations one DELEGRETURN
	at_least "$version: delegations that one has returned" $((got - returned)) 1

	# A writer has it to himself: what he has not sent yet is there for who reads.
	order one "write mine 0 3" done
	order one "hold mine 12345678" done
	operations one OPEN
	before=$got
	order one "write mine 12345678 50" done
	operations one OPEN
	at_most "$version: OPENs of one for 50 times writing" $((got - before)) 2
	order two "size mine" 8 $TURN_S
	order two "read mine 1" 12345678 $TURN_S
	order one "drop mine" done

	# Names.
	order one "write gone 1 3" done
	order one "read gone 3" 1
	order two "remove gone" done $TURN_S
	order one "read gone 1" ENOENT
	stop
}

# Without: each time it opens, it asks.
without() {
	local before
	run $'\ndelegations = no'
	order one "write file first 1" done
	order one "read file 3" first
	operations one OPEN
	before=$got
	order one "read file 20" first
	operations one OPEN
	is "$version: without delegations, OPENs for 20 times reading" $((got - before)) 20
	operations one DELEGRETURN
	is "$version: nothing is returned" "$got" 0
	stop
}

for version in "$@"; do
	delegations
done
version=$1
without
finish
