#!/bin/bash
# smb-smbclient: Samba's client at every dialect, signed and encrypted: copy, list, rename, delete.
. "$(dirname "$0")/lib.sh"
command -v smbclient >/dev/null || skip "no smbclient"
configure "smb port = 445" "protocols = nfs3 smb
root mode = 0777"
user() { "$dittofsd" -c "$T/dittofs.conf" user "$@" 2>>user.log; }
check "add a user" user add alice 1000 1000 <<<secret
check "add another user" user add bob 1001 1000 100 101 <<<"other password"
is "users" "$(user list | tail -n +2 | tr -s ' ' | tr '\n' ';')" \
	"1000 1000 no - alice;1001 1000 no 100,101 bob;"
user add alice 1002 1000 <<<secret
is "a user that is there" $? 1
user add carol 12x 1000 <<<secret
is "a number that is none" $? 1
check "take one away" user remove bob
daemon_start
check "and while it serves" user list

export HOME=$T
smb() { timeout 60 smbclient //127.0.0.1/data -U "${who:-alice%secret}" "$@"; }
names() { smb "$@" -c 'recurse; ls' 2>/dev/null | awk '/:[0-9][0-9]:/ && $1 !~ /^\./ { print $1 }' | sort | tr '\n' ' '; }
head -c 5000000 /dev/urandom >in
: >empty
one_dialect() {
	local what=$1
	shift
	check "$what: copy in" smb "$@" -c 'mkdir dir; put in dir\file; put empty'
	check "$what: copy out" smb "$@" -c 'get DIR\FILE out'
	check "$what: the same" cmp in out
	is "$what: names" "$(names "$@")" "dir empty file "
	check "$what: rename" smb "$@" -c 'rename dir\file other; rename dir dir2'
	is "$what: new names" "$(names "$@")" "dir2 empty other "
	is "$what: a name that is taken" "$(smb "$@" -c 'rename empty other' 2>&1 | grep -c COLLISION)" 1
	check "$what: delete" smb "$@" -c 'del other; del empty; rmdir dir2'
	is "$what: nothing is left" "$(names "$@")" ""
	rm -f out
}
for dialect in SMB2_02 SMB2_10 SMB3_00 SMB3_02 SMB3_11; do
	one_dialect "$dialect" -m $dialect --option="client min protocol=$dialect"
done
for dialect in SMB3_00 SMB3_11; do
	one_dialect "$dialect encrypted" -m $dialect --client-protection=encrypt
done
for cipher in AES-128-GCM AES-128-CCM AES-256-GCM AES-256-CCM; do
	check "$cipher" smb --client-protection=encrypt --option="client smb3 encryption algorithms=$cipher" \
		-c 'put in; get in out; del in' && check "$cipher: the same" cmp in out
done
for signing in AES-128-GMAC AES-128-CMAC; do
	check "$signing" smb --option="client smb3 signing algorithms=$signing" -c 'put in; get in out; del in' &&
		check "$signing: the same" cmp in out
done

# What is refused.
said() { "$@" 2>&1 | grep -o 'NT_STATUS_[A-Z_]*' | head -1; }
is "a wrong password" "$(who=alice%wrong said smb -c ls)" NT_STATUS_LOGON_FAILURE
is "no user" "$(who=mallory%secret said smb -c ls)" NT_STATUS_LOGON_FAILURE
is "anonymous" "$(said timeout 60 smbclient //127.0.0.1/data -N -U% -c ls)" NT_STATUS_LOGON_FAILURE
is "a share that is not there" "$(said timeout 60 smbclient //127.0.0.1/none -U alice%secret -c ls)" \
	NT_STATUS_BAD_NETWORK_NAME
is "SMB1" "$(smb -m NT1 --option='client min protocol=NT1' -c ls 2>&1 | grep -c 'negotiation failed')" 1
is "NTLMv1" "$(said smb --option='client ntlmv2 auth=no' --option='client use spnego=no' -m SMB2_10 \
	--option='client lanman auth=no' -c ls)" NT_STATUS_LOGON_FAILURE
daemon_stop
check_store
finish
