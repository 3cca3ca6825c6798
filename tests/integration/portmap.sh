#!/bin/bash
# portmap: rpcinfo and showmount find the services, both through the system's rpcbind and on our own port 111.
. "$(dirname "$0")/lib.sh"
command -v rpcinfo >/dev/null || skip "no rpcbind"
mount -t tmpfs run /run || skip "no tmpfs"
mkdir -p /run/rpcbind
chown _rpc /run/rpcbind 2>/dev/null

programs='^(100003|100005|100021|100024)$' # NFS, MOUNT, NLM, NSM
entries() { rpcinfo -p 127.0.0.1 2>/dev/null | awk -v p="$programs" '$1 ~ p { print $1, $2, $3, $4 }' | sort -u; }
both() { # PROGRAM PORT VERSION...
	local program=$1 port=$2 version
	shift 2
	for version; do
		printf '%s\n' "$program $version tcp $port" "$program $version udp $port"
	done
}
wanted=$(
	echo 100003 3 tcp 2049
	echo 100003 4 tcp 2049
	both 100005 20048 1 2 3
	both 100021 32803 1 3 4
	both 100024 32765 1
)
look() {
	until_ok 5 eval '[ "$(entries)" = "$wanted" ]'
	is "$1: what rpcinfo lists" "$(entries)" "$wanted"
	check "$1: NFS answers" rpcinfo -T tcp 127.0.0.1 100003 3
	check "$1: MOUNT answers over TCP" rpcinfo -T tcp 127.0.0.1 100005 3
	check "$1: MOUNT answers over UDP" rpcinfo -T udp 127.0.0.1 100005 1
	check "$1: NLM answers over UDP" rpcinfo -T udp 127.0.0.1 100021 4
	check "$1: NSM answers over TCP" rpcinfo -T tcp 127.0.0.1 100024 1
	is "$1: showmount -e" "$(showmount -e --no-headers 127.0.0.1 | awk '{ print $1 }')" /data
	check "$1: showmount -a" showmount -a 127.0.0.1
}
state=$T/state
sed '/^rpcbind/d' <<<"$(configure $'nlm port = 32803\nstatd port = 32765'; cat dittofs.conf)" >auto.conf
cp auto.conf dittofs.conf

# Nobody else: our own port 111.
daemon_start
look "our own"
check "over UDP, too" rpcinfo -T udp 127.0.0.1 100000 2
check "version 4" rpcinfo -T tcp 127.0.0.1 100000 4
rpcinfo -d 100005 3 >/dev/null 2>&1
is "nobody can take an entry away" "$(entries)" "$wanted"
daemon_stop

# With the system's.
rpcbind -w -f &
rpcbind_pid=$!
until_ok 5 rpcinfo -p 127.0.0.1
is "rpcbind knows nothing of us yet" "$(entries)" ""
daemon_start
look "rpcbind's"
daemon_stop
is "the entries are gone" "$(entries)" ""
# After a crash, old entries are replaced.
daemon_start
daemon_kill
daemon_start
look "rpcbind's after a crash"
daemon_stop
kill $rpcbind_pid
finish
