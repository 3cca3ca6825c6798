#!/bin/bash
# time limit: 600
# cross-matrix [CELLS]: a Linux kernel has one export by NFSv3, NFSv4.0, 4.1, 4.2 and SMB 3.1.1 at once: what one of them holds
# (byte ranges, opens, share modes, delegations and leases), and what that means to the others (cross-cells.txt).
. "$(dirname "$0")/lib.sh"
need_guest
/usr/bin/python3 -c 'import impacket' 2>/dev/null || skip "no impacket"
command -v rpc.statd >/dev/null && command -v rpcbind >/dev/null || skip "no rpc.statd"
configure "smb port = 445" "protocols = nfs3 nfs4 smb
root mode = 0777"
sed -i 's/^rpcbind = no/rpcbind = serve/' dittofs.conf
check "add a user" "$dittofsd" -c "$T/dittofs.conf" user add alice 1000 1000 <<<secret
daemon_start
guest 500 "$top/tests/integration/guest/cross-matrix" "${1:-$top/tests/integration/cross-cells.txt}"
is "the guest's work" $? 0
daemon_stop
check_store
finish
