#!/bin/bash
# control: dittofsctl beside a daemon with clients of NFSv3, NFSv4 and SMB: what they hold is listed by path, and
# goes when it is taken away; users are changed while it serves, and while nobody does.
. "$(dirname "$0")/lib.sh"
/usr/bin/python3 -c 'import impacket' 2>/dev/null || skip "no impacket"
configure "smb port = 445" "protocols = nfs3 nfs4 smb
root mode = 0777"
dittofsctl=$DITTOFS_BUILD/dittofsctl
ctl() { timeout 60 "$dittofsctl" -c "$T/dittofs.conf" "$@" 2>>ctl.err; }
# column LIST COLUMN: of the only item.
json() { ctl --json "$1" | /usr/bin/python3 -c "
import json, sys
items = json.load(sys.stdin)
items = items if isinstance(items, list) else [items]
for item in items: print(eval('item' + sys.argv[1]))" "$2"; }

ctl status
is "nobody serves" $? 1
check "says so" grep -q "no dittofsd serves from there" ctl.err
check "a user, while nobody serves" ctl user add alice 1000 1000 <<<secret
is "the list" "$(ctl user list | tail -1 | tr -s ' ')" "1000 1000 no - alice"
daemon_start
is "the mode of the socket" "$(stat -c %a "$state/control")" 600
is "status" "$(json status "['ports']['smb']")" 445
check "a user, while it serves" ctl user add bob 1001 1000 100 <<<other
check "the same by dittofsd" "$dittofsd" -c "$T/dittofs.conf" user passwd bob <<<changed
is "two users" "$(ctl --json user list | grep -c '"user"')" 2
ctl user add bob 1002 1000 <<<other
is "a name that is taken" $? 1
ctl frobnicate
is "a command that is none" $? 1
ctl
is "no command" $? 2
ctl --nonsense status
is "an option that is none" $? 2

# A client of SMB that keeps a file open and locks in it, told what to do by lines.
cat >holder.py <<'PYTHON'
import struct, sys
from impacket.smbconnection import SMBConnection
from impacket import smb3structs as s3
c = SMBConnection('127.0.0.1', '127.0.0.1', preferredDialect=0x0210, timeout=20)
c.login('bob', 'changed')
s = c.getSMBServer()
tree = s.connectTree('data')
def raw(command, data):
    packet = s.SMB_PACKET()
    packet['Command'], packet['TreeID'], packet['Data'] = command, tree, data
    return s.recvSMB(s.sendSMB(packet))['Status']
f = s.create(tree, 'held', 0x12019f, 7, 0x40, 3, 0x80)
status = raw(s3.SMB2_LOCK, struct.pack('<HHI16sQQII', 48, 1, 0, f, 10, 5, 0x12, 0))
print('locked %#x' % status, flush=True)
for line in sys.stdin:
    try:
        if line.strip() == 'write':
            s.write(tree, f, b'x', 0, 1)
        else:
            s.connectTree('IPC$')
        print('ok', flush=True)
    except Exception as e:
        print('%#x' % e.get_error_code() if hasattr(e, 'packet') else type(e).__name__, flush=True)
PYTHON
start_holder() {
	coproc HOLDER { exec /usr/bin/python3 "$T/holder.py" 2>holder.err; }
	holder=$HOLDER_PID
	read -r -t 30 answer <&"${HOLDER[0]}"
	is "an SMB client has a lock" "$answer" "locked 0x0"
}
tell_holder() {
	echo "$1" >&"${HOLDER[1]}"
	read -r -t 30 answer <&"${HOLDER[0]}"
	echo "$answer"
}
start_holder
is "its open" "$(json opens "['path']")" /data/held
is "its access" "$(json opens "['access']")" rw
is "its lock" "$(json locks "['offset'], item['length'], item['kind'], item['name']")" "(10, 5, 'exclusive', 'bob')"
is "of that file" "$(ctl --json opens /data/held | grep -c '"id"')" 1
is "of another one" "$(ctl --json opens /data | grep -c '"id"')" 0
check "as text" eval 'ctl locks | grep -q "exclusive no    10           5            /data/held"'
check "it is unlocked" ctl unlock "$(json locks "['id']")"
is "no lock" "$(ctl locks | wc -l)" 0
is "it goes on" "$(tell_holder write)" ok
check "its open is taken away" ctl close "$(json opens "['id']")"
is "no open" "$(ctl opens | wc -l)" 0
is "it hears of it" "$(tell_holder write)" 0xc0000128
is "its session" "$(json sessions "['protocol'], item['name'], item['opens']")" "('SMB 2.1', 'bob', 1)"
check "the session is ended" ctl disconnect "$(json sessions "['id']")"
is "it hears of that" "$(tell_holder connect)" 0xc0000203
is "no session" "$(ctl sessions | wc -l)" 0
eval "exec ${HOLDER[1]}>&-"
wait "$holder"
start_holder
check "its user is removed" ctl user remove bob
is "its session has ended with that" "$(tell_holder connect)" 0xc0000203
is "no open is left of it" "$(ctl opens | wc -l)" 0
eval "exec ${HOLDER[1]}>&-"

# Reload, and what the log says.
configure "smb port = 445" "protocols = nfs3 nfs4 smb
[export more]"
check "reload" ctl reload
is "two exports" "$(json exports "['export']" | tr '\n' ' ')" "data more "
echo 'nonsense = 1' >>dittofs.conf
"$dittofsctl" -c dittofs.conf status >/dev/null 2>wrong.err
is "a wrong configuration" $? 1
check "says where" grep -q 'dittofs.conf:[0-9]*: nonsense: unknown key' wrong.err
sed -i '/nonsense/d' dittofs.conf
check "actions are logged" grep -q 'control: uid 0: user add bob' "$daemon_log"
is "and hashes are not" "$(grep -ciE '[0-9a-f]{32}' "$daemon_log")" 0

# Grace after a restart is ended by hand.
is "no grace yet" "$(ctl grace)" "no grace period"
daemon_stop
daemon_start
is "nobody held anything" "$(ctl grace)" "no grace period"
ctl grace end
is "nothing to end" $? 1
kill -KILL $daemon_pid
wait $daemon_pid
daemon_pid=
ctl status
is "a socket that was left behind" $? 1
check "users can be listed then" ctl user list
daemon_start
check "it is replaced" ctl status
daemon_stop
check_store
check "the manual" mandoc -T lint -W warning "$top/docs/dittofsctl.8"
finish
