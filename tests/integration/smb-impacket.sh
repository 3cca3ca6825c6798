#!/bin/bash
# smb-impacket: impacket, a client of another make, at each dialect, signed and encrypted: creates, reads, writes, renames,
# deletes, lists; what it writes over one dialect it finds over the others.
. "$(dirname "$0")/lib.sh"
/usr/bin/python3 -c 'import impacket' 2>/dev/null || skip "no impacket"
configure "smb port = 445" "protocols = smb
root mode = 0777"
check "add a user" "$dittofsd" -c "$T/dittofs.conf" user add alice 1000 1000 <<<secret
daemon_start
cat >client.py <<'PYTHON'
import io, sys
from impacket.smbconnection import SMBConnection, SessionError
from impacket import smb3structs as s3

def connect(dialect, encrypt, mend=True):
    c = SMBConnection('127.0.0.1', '127.0.0.1', preferredDialect=dialect, timeout=30)
    s = c.getSMBServer()
    assert c.getDialect() == dialect, hex(c.getDialect())
    s._Connection['SupportsEncryption'] = encrypt
    # impacket's login() with NTLM begins the hash of a 3.1.1 session with zeros, not with that of its connection as
    # MS-SMB2 3.2.5.3 says (its kerberosLogin() does that right): all keys are wrong then.
    if mend and dialect == 0x0311:
        s._Session['PreauthIntegrityHashValue'] = s._Connection['PreauthIntegrityHashValue']
    c.login('alice', 'secret')
    return c, s

def fails(code, call, *args, **kw):
    try:
        call(*args, **kw)
    except SessionError as e:
        assert e.getErrorCode() == code, hex(e.getErrorCode())
        return
    raise AssertionError('it worked')

def names(c, pattern):
    return sorted(f.get_longname() for f in c.listPath('data', pattern) if f.get_longname() not in '..')

def work(dialect, encrypt):
    c, s = connect(dialect, encrypt)
    data = bytes(range(256)) * 4100
    folder = 'd%x%d' % (dialect, encrypt)
    c.createDirectory('data', folder)
    fails(0xc0000035, c.createDirectory, 'data', folder)
    c.putFile('data', folder + '\\f', io.BytesIO(data).read)
    out = io.BytesIO()
    c.getFile('data', folder.upper() + '\\F', out.write)
    assert out.getvalue() == data
    tree = c.connectTree('data')
    f = c.createFile(tree, folder + '\\raw')
    assert c.writeFile(tree, f, b'0123456789') == 10
    c.writeFile(tree, f, b'abc', 5)
    assert c.readFile(tree, f, 0, 100) == b'01234abc89'
    assert c.readFile(tree, f, 4, 3) == b'4ab'
    info = c.queryInfo(tree, f)
    assert info['EndOfFile'] == 10, info['EndOfFile']
    c.closeFile(tree, f)
    assert names(c, folder + '\\*') == ['f', 'raw']
    assert names(c, folder + '\\r*') == ['raw']
    fails(0xc000000f, c.listPath, 'data', folder + '\\none')
    c.rename('data', folder + '\\raw', folder + '\\renamed')
    fails(0xc0000101, c.deleteDirectory, 'data', folder)
    fails(0xc0000034, c.openFile, tree, folder + '\\raw')
    for i in range(120):
        c.closeFile(tree, c.createFile(tree, '%s\\many-%03d' % (folder, i)))
    assert len(names(c, folder + '\\*')) == 122
    for i in range(120):
        c.deleteFile('data', '%s\\many-%03d' % (folder, i))
    c.deleteFile('data', folder + '\\f')
    out = io.BytesIO()
    c.getFile('data', folder + '\\renamed', out.write)
    assert out.getvalue() == b'01234abc89'
    if encrypt:
        assert s._Session['SessionFlags'] & s3.SMB2_SESSION_FLAG_ENCRYPT_DATA
    c.disconnectTree(tree)
    c.logoff()

def others():
    c, s = connect(0x0210, False)
    folders = names(c, '*')
    assert len(folders) == int(sys.argv[2]), folders
    for folder in folders:
        out = io.BytesIO()
        c.getFile('data', folder + '\\renamed', out.write)
        assert out.getvalue() == b'01234abc89'
        c.deleteFile('data', folder + '\\renamed')
        c.deleteDirectory('data', folder)
    assert names(c, '*') == []
    c.logoff()

def unmended():
    """Without that line, its signature is wrong, and must be refused."""
    c, s = connect(0x0311, False, mend=False)
    fails(0xc0000022, c.connectTree, 'data')

if sys.argv[1] == 'others':
    others()
elif sys.argv[1] == 'unmended':
    unmended()
else:
    work(int(sys.argv[1], 16), sys.argv[2] == 'encrypted')
PYTHON
for dialect in 0202 0210 0300 0311; do # it has no 3.0.2
	check "$dialect signed" timeout 60 /usr/bin/python3 client.py $dialect signed
done
for dialect in 0300 0311; do
	check "$dialect encrypted" timeout 60 /usr/bin/python3 client.py $dialect encrypted
done
check "what was written over each dialect, over another one" timeout 60 /usr/bin/python3 client.py others 6
check "3.1.1 with impacket's own wrong hash is refused" timeout 60 /usr/bin/python3 client.py unmended
daemon_stop
check_store
finish
