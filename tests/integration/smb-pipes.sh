#!/bin/bash
# smb-pipes: the services behind IPC$, asked by smbclient, rpcclient and impacket.
. "$(dirname "$0")/lib.sh"
command -v rpcclient >/dev/null || skip "no rpcclient"
configure "smb port = 445" "protocols = nfs3 smb
root mode = 0777
[export other]
protocols = smb
[export nfsonly]
protocols = nfs3"
user() { "$dittofsd" -c "$T/dittofs.conf" user "$@" 2>>user.log; }
check "add a user" user add alice 1000 1000 <<<secret
check "add root" user add root 0 0 <<<secret
daemon_start
export HOME=$T
computer=$(hostname -s | tr a-z A-Z | tr -cd 'A-Z0-9-' | cut -c1-15)
computer=${computer:-DITTOFS}

rpc() { timeout 60 rpcclient 127.0.0.1 -U "${who:-alice}%secret" "$@" 2>&1; }
has() {
	local what=$1 wanted=$2
	shift 2
	"$@" >out 2>&1
	grep -qE "$wanted" out && ok "$what" || {
		not_ok "$what: no \"$wanted\""
		sed 's/^/        /' out | tail -20
	}
}

# What a file manager does first.
has "smbclient -L" '^	data +Disk' timeout 60 smbclient -L 127.0.0.1 -U alice%secret
is "all shares of SMB" "$(grep -cE '^	(data|other) +Disk|^	IPC\$ +IPC' out)" 3
is "no share of NFS alone" "$(grep -c nfsonly out)" 0
for dialect in SMB2_02 SMB2_10 SMB3_00; do
	has "smbclient -L, $dialect" '^	data +Disk' \
		timeout 60 smbclient -L 127.0.0.1 -U alice%secret -m $dialect --option="client min protocol=$dialect"
done

has "srvinfo" 'platform_id[[:space:]]*:[[:space:]]*500' rpc -c srvinfo
has "netshareenum" 'netname: data' rpc -c 'netshareenum 1'
has "netshareenumall, level 2" 'path:.*C:.data' rpc -c 'netshareenumall 2'
has "netshareenumall, level 502, as a user" 'WERR_ACCESS_DENIED' rpc -c 'netshareenumall 502'
who=root has "netshareenumall, level 502, as root" 'netname: data' rpc -c 'netshareenumall 502'
has "netsharegetinfo" 'netname: data' rpc -c 'netsharegetinfo data 1'
has "a share that is not there" 'WERR_NERR_NETNAMENOTFOUND|WERR_.*NAME' rpc -c 'netsharegetinfo none 1'
check "netremotetod" rpc -c netremotetod
check "netnamevalidate" rpc -c 'netnamevalidate data 9'
has "a name that can't be" 'WERR_INVALID_NAME' rpc -c 'netnamevalidate a:b 9'
has "sessions are an administrator's" 'WERR_ACCESS_DENIED' rpc -c netsessenum
has "adding a share" 'WERR_ACCESS_DENIED' rpc -c 'netshareadd c:\tmp new 10 comment'
check "wkssvc" rpc -c 'wkssvc_wkstagetinfo 100'

# Names and SIDs, there and back.
has "lsaquery" 'Domain Name: WORKGROUP' rpc -c lsaquery
has "lookupnames" '^alice S-1-5-21-[0-9-]+-3000 \(User: 1\)' rpc -c 'lookupnames alice'
sid=$(awk '/^alice /{ print $2 }' out)
has "lookupsids" "^$sid $computer.alice \(1\)" rpc -c "lookupsids $sid"
has "a well-known name" 'S-1-1-0 .*Well-known' rpc -c 'lookupnames Everyone'
has "a well-known SID" 'S-1-5-32-544 BUILTIN.Administrators \(4\)' rpc -c 'lookupsids S-1-5-32-544'
has "one of two names" 'alice S-1-5-21.*' rpc -c 'lookupnames alice nobodyatall'
has "a name that is none" 'NONE_MAPPED' rpc -c 'lookupnames nobodyatall'
has "a SID that is none" 'S-1-5-21-1-2-3-4 \*unknown\*|NONE_MAPPED' rpc -c 'lookupsids S-1-5-21-1-2-3-4'
has "getusername" "alice" rpc -c getusername
has "a service that is not there" 'NT_STATUS_OBJECT_NAME_NOT_FOUND' rpc -c 'enumprinters'

# A client of another make, which writes and reads where the others use one FSCTL.
if /usr/bin/python3 -c 'import impacket' 2>/dev/null; then
	cat >client.py <<-'PYTHON'
	import sys
	from impacket.dcerpc.v5 import transport, srvs, wkst, lsat, lsad
	from impacket.dcerpc.v5.dtypes import MAXIMUM_ALLOWED
	from impacket.dcerpc.v5.rpcrt import DCERPCException
	def bind(pipe, uuid, size=None):
	    rpc = transport.SMBTransport('127.0.0.1', 445, pipe, 'alice', 'secret')
	    rpc.preferred_dialect(0x0300)
	    if size:
	        rpc.set_max_fragment_size(size)
	    dce = rpc.get_dce_rpc()
	    if size:
	        dce.set_max_fragment_size(size)
	    dce.connect()
	    dce.bind(uuid)
	    return dce
	for size in (None, 16):
	    dce = bind(r'\srvsvc', srvs.MSRPC_UUID_SRVS, size)
	    names = [s['shi1_netname'][:-1] for s in srvs.hNetrShareEnum(dce, 1)['InfoStruct']['ShareInfo']['Level1']['Buffer']]
	    assert sorted(names) == ['IPC$', 'data', 'other'], names
	    assert srvs.hNetrShareGetInfo(dce, 'data\0', 1)['InfoStruct']['ShareInfo1']['shi1_netname'] == 'data\0'
	    assert srvs.hNetrServerGetInfo(dce, 101)['InfoStruct']['ServerInfo101']['sv101_version_major'] == 6
	    assert srvs.hNetrRemoteTOD(dce)['BufferPtr']['tod_year'] > 2000
	    for denied in (lambda: srvs.hNetrSessionEnum(dce, '\0', '\0', 10), lambda: srvs.hNetrShareEnum(dce, 502),
	                   lambda: srvs.hNetrConnectionEnum(dce, 'data\0', 1), lambda: srvs.hNetrFileEnum(dce, '\0', '\0', 3)):
	        try:
	            denied()
	        except DCERPCException as e:
	            assert e.get_error_code() == 5, e
	        else:
	            assert False, 'not denied'
	    dce.disconnect()
	dce = bind(r'\wkssvc', wkst.MSRPC_UUID_WKST)
	for level in (100, 101, 102):
	    info = wkst.hNetrWkstaGetInfo(dce, level)['WkstaInfo']['WkstaInfo%d' % level]
	    assert info['wki%d_langroup' % level] == 'WORKGROUP\0'
	dce.disconnect()
	dce = bind(r'\lsarpc', lsat.MSRPC_UUID_LSAT)
	policy = lsad.hLsarOpenPolicy2(dce, MAXIMUM_ALLOWED | lsat.POLICY_LOOKUP_NAMES)['PolicyHandle']
	domain = lsad.hLsarQueryInformationPolicy2(dce, policy, lsad.POLICY_INFORMATION_CLASS.PolicyAccountDomainInformation)
	sid = domain['PolicyInformation']['PolicyAccountDomainInfo']['DomainSid'].formatCanonical()
	r = lsat.hLsarLookupSids(dce, policy, [sid + '-3000', 'S-1-1-0'])
	assert [n['Name'] for n in r['TranslatedNames']['Names']] == ['alice', 'Everyone']
	for call in (lsat.hLsarLookupNames, lsat.hLsarLookupNames2, lsat.hLsarLookupNames3):
	    r = call(dce, policy, ('alice', 'Everyone'))
	    assert r['MappedCount'] == 2
	assert lsat.hLsarLookupSids2(dce, policy, [sid + '-3000'])['MappedCount'] == 1
	assert lsat.hLsarGetUserName(dce)['UserName'] == 'alice'
	lsad.hLsarClose(dce, policy)
	try:
	    lsad.hLsarClose(dce, policy)
	except DCERPCException:
	    pass
	else:
	    assert False, 'closed twice'
	PYTHON
	check "impacket" timeout 60 /usr/bin/python3 client.py
fi
daemon_stop
check_store
finish
