#!/bin/bash
# smb-durable: TCP is cut under an open with a byte range and a lease. Within its time-out the client finds all of it
# again; after it, nothing. The same with persistent handles, when the daemon is killed.
. "$(dirname "$0")/lib.sh"
/usr/bin/python3 -c 'import impacket' 2>/dev/null || skip "no impacket"
configure "smb port = 445" "protocols = smb
root mode = 0777
persistent handles = yes"
check "add a user" "$dittofsd" -c "$T/dittofs.conf" user add alice 1000 1000 <<<secret
daemon_start
cat >durable.py <<'PYTHON'
import random, struct, sys, time
from impacket.smbconnection import SMBConnection
from impacket import smb3, smb3structs as s3

KEY, GUID = b'lease key no. 1.', b'create guid no 1'

smb3.SMB2_GLOBAL_CAP_ENCRYPTION |= 0x10 # it says that it knows persistent handles, too

def connect():
    random.seed(1) # impacket makes its ClientGuid of it: always the same machine
    c = SMBConnection('127.0.0.1', '127.0.0.1', preferredDialect=0x0300, timeout=10)
    s = c.getSMBServer()
    c.login('alice', 'secret')
    return s, s.connectTree('data')

def raw(server, tree, command, data):
    packet = server.SMB_PACKET()
    packet['Command'] = command
    packet['TreeID'] = tree
    packet['Data'] = data
    reply = server.recvSMB(server.sendSMB(packet))
    return reply['Status'], reply.getData()

def contexts(*pairs):
    out = b''
    for i, (tag, data) in enumerate(pairs):
        one = struct.pack('<HHHHI', 16, 4, 0, 24, len(data)) + tag + bytes(4) + data
        one += bytes(-(len(one) + 4) % 8)
        out += struct.pack('<I', len(one) + 4 if i < len(pairs) - 1 else 0) + one
    return out

def create(server, tree, name, *pairs):
    """The status, the file id, and the data of the reply's contexts."""
    path = name.encode('utf-16-le')
    at = 64 + 56 + len(path) + -len(path) % 8
    blob = contexts(*pairs)
    status, reply = raw(server, tree, s3.SMB2_CREATE, struct.pack(
        '<HBBIQQIIIIIHHII', 57, 0, 0xff, 2, 0, 0, 0x12019f, 0, 7, 3, 0x40, 120, len(path), at, len(blob)) +
        path + bytes(-len(path) % 8) + blob)
    if status:
        return status, None, {}
    body = reply[64:]
    offset, length = struct.unpack_from('<II', body, 80)
    found, at = {}, offset
    while length:
        following, name_at, name_length, _, data_at, data_length = struct.unpack_from('<IHHHHI', reply, at)
        found[reply[at + name_at:at + name_at + name_length]] = reply[at + data_at:at + data_at + data_length]
        if not following:
            break
        at += following
    return status, body[64:80], found

def lease(state=7):
    return b'RqLs', KEY + struct.pack('<IIQ16sHH', state, 0, 0, bytes(16), 0, 0)

def wish(timeout, flags=0):
    return b'DH2Q', struct.pack('<IIQ', timeout, flags, 0) + GUID

def again(file, flags=0):
    return b'DH2C', file + GUID + struct.pack('<I', flags)

def lock(server, tree, file, flags):
    return raw(server, tree, s3.SMB2_LOCK, struct.pack('<HHI16sQQII', 48, 1, 0, file, 0, 3, flags, 0))[0]

def write(server, tree, file, data):
    return raw(server, tree, s3.SMB2_WRITE, struct.pack('<HHIQ16sIIHHI', 49, 112, len(data), 0, file, 0, 0, 0, 0, 0) +
               data)[0]

def read(server, tree, file, length):
    status, reply = raw(server, tree, s3.SMB2_READ, struct.pack('<HBBIQ16sIIIHHB', 49, 80, 0, length, 0, file, 0, 0, 0, 0,
                                                                0, 0))
    return b'' if status else reply[80:80 + length]

def close(server, tree, file):
    return raw(server, tree, s3.SMB2_CLOSE, struct.pack('<HHI16s', 24, 0, 0, file))[0]

def expect(what, got, wanted):
    assert got == wanted, '%s: %s, not %s' % (what, hex(got), hex(wanted))
    print('ok', what)

def cut(server):
    server._NetBIOSSession.get_socket().close()

def taken_up(file, limit=10):
    """The file id after reconnecting, as soon as the server has seen the end of the old connection."""
    end = time.monotonic() + limit
    while True:
        server, tree = connect()
        status, file_now, found = create(server, tree, 'f', lease(), again(file))
        if status == 0 or time.monotonic() > end:
            return status, server, tree, file_now, found
        cut(server)
        time.sleep(0.1)

def within():
    server, tree = connect()
    status, file, found = create(server, tree, 'f', lease(), wish(60000))
    expect('an open', status, 0)
    expect('it is durable for', struct.unpack_from('<I', found[b'DH2Q'])[0], 60000)
    expect('with a lease', struct.unpack_from('<I', found[b'RqLs'], 16)[0], 7)
    expect('and data', write(server, tree, file, b'hello'), 0)
    expect('and a range', lock(server, tree, file, 0x12), 0)
    cut(server)
    status, server, tree, file, found = taken_up(file)
    expect('it is there', status, 0)
    expect('with its lease', struct.unpack_from('<I', found[b'RqLs'], 16)[0], 7)
    assert read(server, tree, file, 5) == b'hello'
    status, second, found = create(server, tree, 'f', lease())
    expect('its range is held', lock(server, tree, second, 0x12), 0xc0000055)
    expect('and can be given back', lock(server, tree, file, 4), 0)
    expect('so that it is free', lock(server, tree, second, 0x12), 0)
    expect('close', close(server, tree, file), 0)
    expect('close', close(server, tree, second), 0)

def after():
    server, tree = connect()
    status, file, found = create(server, tree, 'f', lease(), wish(1000))
    expect('an open for a second', status, 0)
    expect('with a range', lock(server, tree, file, 0x12), 0)
    cut(server)
    time.sleep(3)
    server, tree = connect()
    status, nothing, found = create(server, tree, 'f', lease(), again(file))
    expect('it is gone', status, 0xc0000034)
    status, file, found = create(server, tree, 'f', lease())
    expect('the file is there', status, 0)
    expect('its range is free', lock(server, tree, file, 0x12), 0)
    expect('close', close(server, tree, file), 0)

PERSISTENT = 2

def before_kill():
    server, tree = connect()
    status, file, found = create(server, tree, 'p', lease(), wish(60000, PERSISTENT))
    expect('a persistent open', status, 0)
    expect('it is persistent', struct.unpack_from('<I', found[b'DH2Q'], 4)[0], PERSISTENT)
    expect('and data', write(server, tree, file, b'hello'), 0)
    expect('and a range', lock(server, tree, file, 0x12), 0)
    open('file', 'wb').write(file)

def after_kill():
    server, tree = connect()
    status, other, found = create(server, tree, 'p', lease())
    file = open('file', 'rb').read()
    status, nothing, found = create(server, tree, 'p', lease(), again(file))
    expect('nothing for who calls it durable', status, 0xc0000034)
    status, file, found = create(server, tree, 'p', lease(), again(file, PERSISTENT))
    expect('it is there', status, 0)
    expect('with its lease', struct.unpack_from('<I', found[b'RqLs'], 16)[0], 7)
    assert read(server, tree, file, 5) == b'hello'
    expect('its range is held', lock(server, tree, other, 0x12), 0xc0000055)
    expect('and can be given back', lock(server, tree, file, 4), 0)
    expect('so that it is free', lock(server, tree, other, 0x12), 0)
    expect('close', close(server, tree, file), 0)
    expect('close', close(server, tree, other), 0)

globals()[sys.argv[1]]()
PYTHON
for part in within after; do
	check "$part its time" timeout 60 /usr/bin/python3 durable.py $part && sed -n 's/^ok/        ok/p' check.out
done
run() { check "$1" timeout 60 /usr/bin/python3 durable.py "$1" && sed -n 's/^ok/        ok/p' check.out; }
missing() { "$DITTOFS_BUILD/dittofsctl" -c "$T/dittofs.conf" grace | grep -c '^  alice at 127.0.0.1:.*1 open files'; }
run before_kill
daemon_kill
daemon_start
is "who is missing" "$(missing)" 1
run after_kill
is "who is missing then" "$(missing)" 0
daemon_kill
daemon_start
is "who is missing at the next start" "$(missing)" 0
daemon_stop
check_store
finish
