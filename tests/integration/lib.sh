# lib.sh - what the integration tests share; sourced first by each of them.
#
# A test runs in a network, mount and process namespace of its own: it may use any port, and whatever it
# leaves running ends with it. $T is its folder on disk, gone after a success (KEEP=1 keeps it). It prints
# a line for every check and ends with `finish`. Where namespaces can't be had the test is skipped (77).
#
#   DITTOFS_BUILD    build folder of the program under test (build-test, sanitised)
#   DITTOFS_RELEASE  build folder without sanitisers, for what is measured (build-release)

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
name=$(basename "$0" .sh)
DITTOFS_BUILD=${DITTOFS_BUILD:-$top/build-test}
DITTOFS_RELEASE=${DITTOFS_RELEASE:-$top/build-release}
export DITTOFS_BUILD DITTOFS_RELEASE

skip() {
	echo "skipped: $*"
	exit 77
}

if [ "${DITTOFS_IN_NAMESPACE:-}" != "$name" ]; then
	flags=(--net --mount --pid --fork --kill-child --mount-proc)
	[ "$(id -u)" = 0 ] || flags+=(--user --map-root-user)
	unshare "${flags[@]}" true 2>/dev/null || skip "no namespaces can be made here"
	DITTOFS_IN_NAMESPACE=$name exec unshare "${flags[@]}" bash "$0" "$@"
fi
set -u
ip link set lo up

part=${1:-}
T=${DITTOFS_WORK:-$top/build-test/run}/$name${part:+-${part//\//_}} # parts run beside each other
rm -rf "$T" && mkdir -p "$T" || exit 1
cd "$T" || exit 1
checks=0 broken=0

ok() {
	checks=$((checks + 1))
	echo "ok      $*"
}
not_ok() {
	checks=$((checks + 1)) broken=$((broken + 1))
	echo "NOT OK  $*"
}
# check NAME COMMAND...: is the command's status 0? Its output is shown when it is not.
check() {
	local what=$1
	shift
	if "$@" >"$T/check.out" 2>&1; then
		ok "$what"
	else
		not_ok "$what (status $?: $*)"
		tail -20 "$T/check.out" | sed 's/^/        /'
		return 1
	fi
}
# is NAME GOT WANTED
is() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1: got \"$2\", not \"$3\""
		return 1
	fi
}
# at_most NAME NUMBER LIMIT
at_most() {
	if [ -n "$2" ] && [ "$2" -le "$3" ]; then
		ok "$1: $2 (at most $3)"
	else
		not_ok "$1: \"$2\" is not at most $3"
		return 1
	fi
}
at_least() {
	if [ -n "$2" ] && [ "$2" -ge "$3" ]; then
		ok "$1: $2 (at least $3)"
	else
		not_ok "$1: \"$2\" is not at least $3"
		return 1
	fi
}
finish() {
	[ -z "${daemon_pid:-}" ] || daemon_stop
	if [ $checks = 0 ]; then
		echo "no check was made"
		exit 1
	fi
	echo "$checks checks, $broken broken"
	[ $broken = 0 ] || exit 1
	cd /
	[ -n "${KEEP:-}" ] || rm -rf "$T"
	exit 0
}
# until SECONDS COMMAND...: tries it until it succeeds.
until_ok() {
	local end=$(($(date +%s%N) + $1 * 1000000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s%N)" -lt $end ] || return 1
		sleep 0.05
	done
}

# ---- the daemon ----

dittofsd=$DITTOFS_BUILD/dittofsd
daemon_pid= daemon_log=$T/dittofsd.log
state=$T/state

# configure [GLOBAL_LINES] [EXPORT_LINES]: a configuration with one export that anybody may write to.
configure() {
	cat >"$T/dittofs.conf" <<-CONF
	[global]
	state dir = $state
	rpcbind = no
	${1:-}
	[export data]
	squash = none
	${2:-}
	CONF
}
# Starts it in the foreground and waits until it is ready. Its log is added to $daemon_log.
daemon_start() {
	[ -e "$T/dittofs.conf" ] || configure
	: >>"$daemon_log"
	local before
	before=$(grep -c ' INFO ready: ' "$daemon_log")
	"$dittofsd" -c "$T/dittofs.conf" -f "$@" 2>>"$daemon_log" </dev/null &
	daemon_pid=$!
	daemon_is_ready() { [ "$(grep -c ' INFO ready: ' "$daemon_log")" -gt "$before" ]; }
	until_ok 60 eval 'daemon_is_ready || ! kill -0 $daemon_pid' && daemon_is_ready && return 0
	tail -20 "$daemon_log"
	not_ok "dittofsd starts"
	daemon_pid=
	finish
}
# Ends it with SIGTERM: it must say that all went well, and no sanitiser may have complained.
daemon_stop() {
	local status pid=$daemon_pid
	[ -n "$pid" ] || return 0
	daemon_pid=
	kill -TERM "$pid"
	wait "$pid"
	status=$?
	if [ $status != 0 ] || grep -qE 'ERROR: AddressSanitizer|LeakSanitizer|runtime error' "$daemon_log"; then
		not_ok "dittofsd ends well (status $status)"
		grep -nE -A 15 'Sanitizer|runtime error|panic' "$daemon_log" | head -40
		tail -5 "$daemon_log"
		return 1
	fi
	ok "dittofsd ends well"
}
# Ends it as a crash would.
daemon_kill() {
	kill -KILL "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=
}
# Kilobytes of memory it uses now.
daemon_rss_kb() {
	awk '/^VmRSS/ { print $2 }' "/proc/$daemon_pid/status"
}
# Examines the store; the daemon must not run.
check_store() {
	check "the store is clean" "$dittofsd" -c "$T/dittofs.conf" --check
}

# ---- the kernel's client ----

# guest SECONDS SCRIPT [ARG...]: runs SCRIPT as root on a Linux kernel of its own that reaches us at $HOST_IP.
HOST_IP=10.77.0.1 GUEST_IP=10.77.0.2
export HOST_IP GUEST_IP
guest() {
	local limit=$1
	shift
	"$top/tests/integration/uml-client" --timeout "$limit" "$@"
}
need_guest() {
	command -v linux.uml >/dev/null || skip "no user-mode-linux"
	[ -r /dev/net/tun ] && [ -w /dev/net/tun ] || skip "no /dev/net/tun"
	ip tuntap add dev tap0 mode tap && ip addr add $HOST_IP/24 dev tap0 && ip link set tap0 up ||
		skip "no tap device can be made"
}
# second_guest SECONDS SCRIPT [ARG...]: another one, beside the first; after need_second_guest.
second_guest() {
	DITTOFS_TAP=tap1 HOST_IP=10.78.0.1 GUEST_IP=10.78.0.2 guest "$@"
}
need_second_guest() {
	ip tuntap add dev tap1 mode tap && ip addr add 10.78.0.1/24 dev tap1 && ip link set tap1 up ||
		skip "no second tap device can be made"
}
