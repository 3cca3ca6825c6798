#!/bin/bash
# time limit: 480
# smb-torture [NAME...]: the tests of Samba's smbtorture for SMB 2 and 3, by their names. smbtorture-expected.txt says
# which fail and why; any other failure fails this, and so does a test that passes although it is in there. Tests
# marked slow are run when SMBTORTURE=all. Names given may hold * and are run alone. Those that cut connections need
# iptables, and are left out, and counted, where it does not work.
. "$(dirname "$0")/lib.sh"
command -v smbtorture >/dev/null || skip "no smbtorture"
here=$top/tests/integration
expected=$here/smbtorture-expected.txt

configure "smb port = 445
map to guest = bad user" "protocols = nfs3 nfs4 smb
root mode = 0777"
share() { # NAME LINES [MODE]
	printf '[export %s]\nprotocols = nfs3 nfs4 smb\nsquash = none\nroot mode = %s\n%s\n' "$1" "${3:-0777}" "$2" \
		>>"$T/dittofs.conf"
}
share hidenames "hide dot files = yes
hide files = /hidefile/"
share hideunread "hide unreadable = yes"
share noperm "" 0700
share kept "persistent handles = yes"
share guests "guest ok = yes"
for user in alice:1000 bob:1001; do
	check "add ${user%:*}" "$dittofsd" -c "$T/dittofs.conf" user add "${user%:*}" "${user#*:}" 1000 <<<secret
done
daemon_start
: >empty
check "a file that a test is told of" smbclient //127.0.0.1/data -U alice%secret -c 'put empty special-file'

# A suite's test is listed as smb2.rw.rw1.rw1 where results say smb2.rw.rw1.
smbtorture --list 2>/dev/null | grep '^smb2\.' | sed -E 's/\.([^.]+)\.\1$/.\1/' | awk '!seen[$0]++' >listed
words() { awk -F'\t+' -v kind="$1" '$1 == kind { print $2 }' "$expected"; }
is_wanted() { # NAME, against what is never run, what is slow and what was asked for
	local name=$1 pattern
	[ -n "$has_iptables" ] || ! grep -qxF "$name" cuts || return 1
	if [ ${#asked[@]} -gt 0 ]; then
		for pattern in "${asked[@]}"; do
			[[ $name == $pattern ]] && return 0
		done
		return 1
	fi
	for pattern in $never; do
		[[ $name == "$pattern" || $name == "$pattern".* ]] && return 1
	done
	[ "${SMBTORTURE:-}" = all ] && return 0
	! grep -qxF "$name" slow
}
awk -F'\t+' '$1 == "with" { print $2, $3 }' "$expected" >special
asked=("$@") never=$(words never | tr '\n' ' ')
words slow >slow
words cuts >cuts
has_iptables=
! iptables -w -N PROBE >/dev/null 2>&1 || ! iptables -w -X PROBE || has_iptables=yes
export SMBTORTURE_IPTABLES=$has_iptables
# What a client has got is to be acknowledged before it is cut off, or TCP would hold back what it is told next.
[ -z "$has_iptables" ] || check "acknowledgments are not put off" \
	ip route replace local 127.0.0.1 dev lo table local proto kernel scope host src 127.0.0.1 quickack 1
[ "${SMBTORTURE:-}" != all ] || export SMBTORTURE_LIMIT=120
while read -r name; do
	is_wanted "$name" && echo "$name"
done <listed >tests
is "names in smbtorture-expected.txt that smbtorture does not have" \
	"$(cat <(words fails) <(words may) <(words slow) <(words cuts) <(words guests) | sort -u | comm -23 - <(sort listed) | tr '\n' ' ')" ""
[ $# -gt 0 ] || at_least "tests to run" "$(wc -l <tests)" 400

# Some are about guests, which others want refused.
words guests | grep -xFf - tests >guests.tests
grep -vxFf guests.tests tests >main.tests
if [ -s guests.tests ]; then
	"$here/smbtorture" 445 guests guests.tests guests.results special
fi
daemon_stop
sed -i '/^map to guest/d' "$T/dittofs.conf"
daemon_start
if [ -s main.tests ]; then
	"$here/smbtorture" 445 data main.tests results special
fi
cat guests.results >>results 2>/dev/null
is "tests without a result" "$(cut -f1 results | sort | comm -13 - <(sort tests) | tr '\n' ' ')" ""
# Some wait for a second and no more: on a machine that is busy they may fail, so what fails is tried once again.
words fails | sort >fail
words may | sort >may
awk -F'\t' '$2 != "success" && $2 != "skip" { print $1 }' results | sort | comm -23 - fail | comm -23 - may >again
if [ -s again ] && [ "$(wc -l <again)" -le 20 ]; then
	"$here/smbtorture" 445 data again results.again special
	awk -F'\t' 'NR == FNR { second[$1] = $0; next } { print ($1 in second) ? second[$1] : $0 }' results.again results >both
	mv both results
fi
passed=$(awk -F'\t' '$2 == "success"' results | wc -l)
while IFS=$'\t' read -r name result seconds reason; do
	if grep -qxF "$name" fail; then
		[ "$result" != success ] || not_ok "$name passes: take it out of smbtorture-expected.txt"
	elif ! grep -qxF "$name" may; then
		[ "$result" = success ] || [ "$result" = skip ] || not_ok "$name: $result after $seconds s: $reason"
	fi
done <results
# Where handles are persistent these ask for other answers.
if [ $# = 0 ]; then
	grep -E '^smb2\.durable-v2-open\.' listed >kept.tests
	"$here/smbtorture" 445 kept kept.tests kept.results special
	at_least "tests of durable handles" "$(wc -l <kept.results)" 15
	is "tests that fail on a share with persistent handles" "$(awk -F'\t' '$2 != "success" { print $1 }' kept.results)" ""
fi
at_least "tests that pass" "$passed" "$([ $# -gt 0 ] && echo 0 || echo 1)"
echo "$(wc -l <results) tests: $(cut -f2 results | sort | uniq -c | tr -s ' \n' ' ')"
[ -n "$has_iptables" ] || echo "left out: $(wc -l <cuts) tests that cut connections, as iptables does not work here"
[ -z "${SMBTORTURE_RESULTS:-}" ] || cp results "$SMBTORTURE_RESULTS"
daemon_stop
check_store
finish
