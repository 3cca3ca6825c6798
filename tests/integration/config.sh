#!/bin/bash
# config: wrong configurations are refused with file, line and reason; reload is all or nothing; start, stop and
# readiness are told to the service manager; the unit file is tight.
. "$(dirname "$0")/lib.sh"

# refuse NAME LINE REASON CONTENT
refuse() {
	printf "$4" >wrong.conf
	local out status
	out=$("$dittofsd" -c wrong.conf -f 2>&1)
	status=$?
	is "$1: exit status" $status 1
	case $out in
	"wrong.conf:$2: "*"$3"*) ok "$1: $out";;
	*) not_ok "$1: $out";;
	esac
	"$dittofsd" -c wrong.conf -t >/dev/null 2>&1
	is "$1: -t" $? 1
}
refuse "unknown key" 2 "unknown key" '[global]\nstate dri = /x\n'
refuse "unknown section" 1 "unknown section" '[share]\n'
refuse "bad value" 3 "not a port" '[global]\n\nnfs port = many\n'
refuse "duplicate key" 3 "given twice" '[export a]\nread only = no\nread only = no\n'
refuse "duplicate export" 2 "given twice" '[export a]\n[export a]\n'
refuse "bad host" 2 "not an address" '[export a]\nhosts allow = somewhere.example\n'
out=$("$dittofsd" -c nowhere.conf -t 2>&1)
is "no file" "$?: $out" "1: nowhere.conf: can't be opened: No such file or directory"
check "the sample is good" "$dittofsd" -t -c "$top/config/dittofs.conf"
check "the demo is good" "$dittofsd" -t -c "$top/config/demo.conf"
is "version" "$("$dittofsd" --version | cut -d' ' -f1)" dittofsd
check "help" "$dittofsd" --help
"$dittofsd" --nonsense >/dev/null 2>&1
is "unknown option" $? 2

# Any free port; the log says which.
configure 'nfs port = any
mountd port = any
listen = 127.0.0.1'
daemon_start
mountd=$(sed -nE 's/.* ready: nfs [0-9]+, mountd ([0-9]+).*/\1/p' "$daemon_log")
at_least "a port was picked" "$mountd" 1024
# rpcinfo can be told an address: host.port/256.port%256.
check "it answers there" rpcinfo -a "127.0.0.1.$((mountd / 256)).$((mountd % 256))" -T tcp 100005 3
"$dittofsd" -c dittofs.conf -f >second.out 2>&1
is "a second one on the same folder" $? 1
check "says why" grep -q "in use by another dittofsd" second.out
"$dittofsd" -c dittofs.conf --check >second.out 2>&1
is "--check beside it" $? 2

# Reload.
configure 'nfs port = any
mountd port = any
listen = 127.0.0.1
log level = debug' '[export more]'
kill -HUP $daemon_pid
check "a good file is taken" until_ok 5 grep -q 'reload: .* is in effect, 2 exports' "$daemon_log"
echo 'nonsense = 1' >>dittofs.conf
kill -HUP $daemon_pid
check "a wrong one is not" until_ok 5 grep -q "reload: $T/dittofs.conf:[0-9]*: nonsense: unknown key; nothing is changed" "$daemon_log"
check "and it serves on" rpcinfo -a "127.0.0.1.$((mountd / 256)).$((mountd % 256))" -T tcp 100005 3
configure 'nfs port = 2049'
kill -HUP $daemon_pid
check "what needs a start is told" until_ok 5 grep -q '"nfs port" has changed' "$daemon_log"
kill -USR1 $daemon_pid
check "figures" until_ok 5 grep -q 'figures: rpc connections=' "$daemon_log"
daemon_stop
configure 'listen = 127.0.0.1'
daemon_start
kill -INT $daemon_pid
wait $daemon_pid
is "SIGINT ends it with 0" $? 0
daemon_pid=

# Without NFS what belongs to it is off, too.
configure 'nfs port = 0
smb port = any
listen = 127.0.0.1'
daemon_start
check "SMB alone" grep -qE ' ready: smb [0-9]+$' "$daemon_log"
daemon_stop
configure 'listen = 127.0.0.1'

# The port is taken.
python3 -c 'import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 2049)); s.listen(); print("up", flush=True); time.sleep(30)' >taken &
taken=$!
until_ok 5 grep -q up taken
"$dittofsd" -c dittofs.conf -f >busy.out 2>&1
is "a port that is taken" $? 1
check "says which" grep -q "port 2049" busy.out
kill $taken

# systemd's notifications.
cat >notify.py <<'PY'
import os, socket, subprocess, sys, time
path = "notify.sock"
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(path)
s.settimeout(20)
env = dict(os.environ, NOTIFY_SOCKET=os.path.abspath(path), WATCHDOG_USEC="400000")
p = subprocess.Popen([sys.argv[1], "-c", "dittofs.conf"], env=env, stderr=open("notify.log", "w"))
def until(words):
    while True:
        text = s.recv(4096).decode()
        print(text.replace("\n", " "))
        if words in text:
            return
until("READY=1")
until("WATCHDOG=1")
p.send_signal(1)
until("RELOADING=1")
until("READY=1")
p.send_signal(15)
until("STOPPING=1")
sys.exit(p.wait(20))
PY
check "READY, WATCHDOG, RELOADING, STOPPING" python3 notify.py "$dittofsd"

# In the background, without a service manager.
check "it goes to the background when ready" "$dittofsd" -c dittofs.conf
check "and serves" rpcinfo -a 127.0.0.1.8.1 -T tcp 100003 3
pid=$(pgrep -x dittofsd)
kill -TERM "$pid"
check "and ends" until_ok 10 eval "! kill -0 $pid"
echo 'nonsense = 1' >>dittofs.conf
"$dittofsd" -c dittofs.conf >/dev/null 2>&1
is "its failure is seen" $? 1

# --check.
configure
sed -i 's,^state dir = .*,state dir = /nonexistent/state,' dittofs.conf
"$dittofsd" -c dittofs.conf --check >/dev/null 2>&1
is "--check without a store" $? 2
configure
check_store

# The unit.
score=$(systemd-analyze security --offline=true "$DITTOFS_BUILD/dittofsd.service" | sed -nE 's/.*exposure level.*: ([0-9]+)\.([0-9]).*/\1\2/p')
at_most "the unit's exposure level, in tenths" "$score" 20
# The manuals.
check "manuals" mandoc -T lint -W warning "$top/docs/dittofsd.8" "$top/docs/dittofs.conf.5" "$top/docs/dittofsctl.8"
for key in $(sed -nE 's/.*\.name = "([^"]*)".*/\1/p' "$top/src/daemon/config.c" | tr ' ' '_'); do
	grep -q "${key//_/ }" "$top/docs/dittofs.conf.5" || not_ok "dittofs.conf(5) does not tell of \"${key//_/ }\""
done
finish
