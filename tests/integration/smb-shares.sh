#!/bin/bash
# smb-shares: who may use which share, how it is listed, encryption, signing and guests, as configured.
. "$(dirname "$0")/lib.sh"
command -v smbclient >/dev/null || skip "no smbclient"
shares='comment = all of it
protocols = smb
root mode = 0777
[export team]
protocols = smb
root mode = 0777
valid users = bob @500
[export hidden]
protocols = smb
browseable = no
[export secret]
protocols = smb
root mode = 0777
smb encrypt = required
[export careful]
protocols = smb
root mode = 0777
smb encrypt = desired
[export open]
protocols = smb
root mode = 0777
guest ok = yes
anonuid = 1234
anongid = 1235'
set_up() { configure "smb port = 445
server string = a quiet server
$1" "$shares"; }
set_up ""
user() { "$dittofsd" -c "$T/dittofs.conf" user "$@" 2>>user.log; }
check "add alice" user add alice 1000 1000 <<<secret
check "add bob" user add bob 1001 1000 <<<secret
check "add carol, of group 500" user add carol 1002 1000 500 <<<secret
daemon_start
export HOME=$T

smb() {
	local share=$1
	shift
	timeout 60 smbclient "//127.0.0.1/$share" -U "${who-alice%secret}" "$@" 2>&1
}
# What using a share comes to: "ok", or the status that it ends with.
outcome() {
	local out
	out=$(smb "$@") && echo ok || grep -o 'NT_STATUS_[A-Z_]*' <<<"$out" | head -1
}
plain() { outcome "$@" -c ls; }
encrypted() { outcome "$@" --client-protection=encrypt -c ls; }
listed() { timeout 60 smbclient -L 127.0.0.1 -U "${who-alice%secret}" "$@" 2>&1 | awk '$2 == "Disk" { print $1 }' | sort | tr '\n' ' '; }

is "the list" "$(listed)" "careful data open secret team "
is "a comment" "$(smbclient -L 127.0.0.1 -U alice%secret 2>/dev/null | grep -c 'data  *Disk  *all of it')" 1
is "what is hidden can be used" "$(plain hidden)" ok

is "valid users: alice" "$(plain team)" NT_STATUS_ACCESS_DENIED
is "valid users: bob" "$(who=bob%secret plain team)" ok
is "valid users: carol, by her group" "$(who=carol%secret plain team)" ok

is "encryption required, plain" "$(plain secret)" ok
is "encryption required, encrypted" "$(encrypted secret)" ok
is "encryption required, 2.1" "$(outcome secret -m SMB2_10 --option='client min protocol=SMB2_10' -c ls)" \
	NT_STATUS_ACCESS_DENIED
is "encryption desired, 2.1" "$(outcome careful -m SMB2_10 --option='client min protocol=SMB2_10' -c ls)" ok
is "encryption desired" "$(plain careful)" ok
is "encryption off, encrypted" "$(encrypted data)" ok
# A peer that leaves encryption out although the share says so.
if /usr/bin/python3 -c 'import impacket' 2>/dev/null; then
	cat >unencrypted.py <<-'PYTHON'
	import sys
	from impacket.smbconnection import SMBConnection, SessionError
	c = SMBConnection('127.0.0.1', '127.0.0.1', preferredDialect=0x0300)
	c.login('alice', 'secret')
	smb = c.getSMBServer()
	smb._Connection['SupportsEncryption'] = False
	smb._Session['SessionFlags'] = 0
	tree = c.connectTree(sys.argv[1])
	smb._Session['TreeConnectTable'][tree]['EncryptData'] = False
	try:
	    c.openFile(tree, 'new', creationOption=0x40, desiredAccess=0x2, creationDisposition=3)
	    print('ok')
	except SessionError as e:
	    print(hex(e.getErrorCode()))
	PYTHON
	is "without encryption where it is required" "$(timeout 60 /usr/bin/python3 unencrypted.py secret)" 0xc0000022
	is "without encryption where it is desired" "$(timeout 60 /usr/bin/python3 unencrypted.py careful)" ok
fi

is "no guests: a user that is not there" "$(who=mallory%x plain open)" NT_STATUS_LOGON_FAILURE
is "no guests: nobody" "$(who=% plain open -N)" NT_STATUS_LOGON_FAILURE
is "no guests: a wrong password" "$(who=alice%x plain open)" NT_STATUS_LOGON_FAILURE

# A reload takes what was given, at once.
(sleep 1.5; echo ls; until [ -e reloaded ]; do sleep 0.1; done; echo ls; echo quit) |
	who=bob%secret smb team >session.out &
session=$!
until_ok 30 grep -q 'blocks available' session.out
sed -i 's/^valid users = .*/valid users = carol/' "$T/dittofs.conf"
kill -HUP $daemon_pid
until_ok 30 grep -q 'is in effect' "$daemon_log"
touch reloaded
wait $session
is "a session whose user may no longer" "$(grep -c NT_STATUS_ACCESS_DENIED session.out)" 1
is "nor come back" "$(who=bob%secret plain team)" NT_STATUS_ACCESS_DENIED
daemon_stop

# Guests, and clients that don't sign.
set_up "map to guest = bad user
smb signing = enabled"
daemon_start
guest() { who=mallory%x outcome "$@" --option='client ipc signing=off' --option='client signing=off'; }
echo hello >in
is "a guest" "$(guest open -c 'put in; ls')" ok
is "a guest elsewhere" "$(guest data -c ls)" NT_STATUS_ACCESS_DENIED
is "a guest where encryption is required" "$(guest secret -c ls)" NT_STATUS_ACCESS_DENIED
is "nobody as a guest" "$(who=% outcome open -N --option='client signing=off' -c 'get in out')" ok
check "what the guest wrote" cmp in out
is "a wrong password makes no guest" "$(who=alice%x plain open)" NT_STATUS_LOGON_FAILURE
is "a user signs if she likes" "$(outcome data --option='client signing=required' -c ls)" ok
is "or not" "$(outcome data --option='client signing=off' -c 'put in; get in out; del in')" ok
check "unsigned, the same" cmp in out
is "the guest's list" "$(who=mallory%x listed --option='client ipc signing=off')" "careful data open secret team "
daemon_stop

# Encryption of everything.
set_up "smb encrypt = required"
daemon_start
is "all encrypted" "$(encrypted data)" ok
is "told to" "$(plain data)" ok
is "2.1 can't" "$(outcome data -m SMB2_10 --option='client min protocol=SMB2_10' -c ls)" NT_STATUS_ACCESS_DENIED
daemon_stop
set_up "smb encrypt = desired"
daemon_start
is "desired" "$(plain data)" ok
is "desired, 2.1" "$(outcome data -m SMB2_10 --option='client min protocol=SMB2_10' -c ls)" ok
daemon_stop

# Wrong is wrong.
wrong() {
	set_up "$1"
	"$dittofsd" -c "$T/dittofs.conf" -t 2>&1 | grep -q "$2" && ok "refused: $1" || not_ok "refused: $1"
}
wrong "smb encrypt = maybe" 'smb encrypt: "maybe" is not one of: off desired required'
wrong "map to guest = bad password" 'map to guest: "bad password" is not one of'
wrong "smb signing = no" 'smb signing: "no" is not one of'
set_up ""
check_store
finish
