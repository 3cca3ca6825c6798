#!/bin/bash
# time limit: 400
# cross-protocol: a Linux kernel has one export by NFSv3, NFSv4.2 and SMB at once: content, names,
# sizes and times agree at once; share modes, byte ranges and deletions of each count for the others; a watch of SMB sees what
# NFS does.
. "$(dirname "$0")/lib.sh"
need_guest
/usr/bin/python3 -c 'import impacket' 2>/dev/null || skip "no impacket"
configure "smb port = 445" "protocols = nfs3 nfs4 smb
root mode = 0777"
check "add a user" "$dittofsd" -c "$T/dittofs.conf" user add alice 1000 1000 <<<secret
daemon_start
guest 300 "$top/tests/integration/guest/cross-work"
is "the guest's work" $? 0
daemon_stop
check_store
finish
