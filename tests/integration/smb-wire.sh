#!/bin/bash
# smb-wire: what no well-behaved client sends: unsigned and badly signed requests, ids outside of the window, share
# modes and ranges in conflict, broken frames, chains and offsets. The daemon answers as it must, or ends the
# connection, and goes on.
. "$(dirname "$0")/lib.sh"
/usr/bin/python3 -c 'import impacket' 2>/dev/null || skip "no impacket"
configure "smb port = 445" "protocols = smb
root mode = 0777"
check "add a user" "$dittofsd" -c "$T/dittofs.conf" user add alice 1000 1000 <<<secret
daemon_start
cat >wire.py <<'PYTHON'
import random, socket, struct, sys
from impacket.smbconnection import SMBConnection, SessionError
from impacket.smb3 import SMB3
from impacket import smb3structs as s3

def connect(dialect=0x0210):
    c = SMBConnection('127.0.0.1', '127.0.0.1', preferredDialect=dialect, timeout=10)
    c.login('alice', 'secret')
    return c, c.getSMBServer()

def status(call, *args, **kw):
    try:
        call(*args, **kw)
        return 0
    except Exception as e:
        return e.get_error_code() if hasattr(e, 'packet') else type(e).__name__

def expect(what, got, wanted):
    got = hex(got) if isinstance(got, int) else got
    wanted = hex(wanted) if isinstance(wanted, int) else wanted
    assert got == wanted, '%s: %s, not %s' % (what, got, wanted)
    print('ok', what)

def signing():
    c, s = connect()
    s._Session['SigningActivated'] = False
    expect('an unsigned request', status(s.connectTree, 'data'), 0xc0000022)
    s._Session['SigningActivated'] = True
    expect('a signed one after it', status(s.connectTree, 'data'), 0)
    s._Session['SessionKey'] = bytes(16)
    expect('a wrong signature', status(s.connectTree, 'IPC$'), 0xc0000022)

def ids():
    c, s = connect()
    s._Connection['SequenceWindow'] += 5000
    expect('an id outside of the window ends the connection', status(s.connectTree, 'data'), 'NetBIOSError')
    c, s = connect()
    s._Connection['SequenceWindow'] -= 1
    expect('an id that was used ends the connection', status(s.connectTree, 'data'), 'NetBIOSError')

def share_modes():
    c, s = connect()
    c2, s2 = connect(0x0300)
    tree, tree2 = s.connectTree('data'), s2.connectTree('data')
    make = lambda t, server, share, access=0x12019f, disposition=3, options=0x40: server.create(
        t, 'shared', access, share, options, disposition, 0x80)
    f = make(tree, s, 1)
    expect('a writer beside one who lets only read', status(make, tree2, s2, 7), 0xc0000043)
    expect('a reader who lets only read', status(make, tree2, s2, 1, 0x120089), 0xc0000043)
    g = make(tree2, s2, 7, 0x120089)
    print('ok a reader beside him')
    expect('delete where it is not shared', status(make, tree2, s2, 7, 0x10000), 0xc0000043)
    close(s2, tree2, make(tree2, s2, 0, 0x80))
    print('ok one who only looks')
    close(s2, tree2, g)
    close(s, tree, f)
    f = make(tree, s, 7, 0x13019f, 3, 0x1040)
    g = make(tree2, s2, 7)
    close(s, tree, f)
    expect('a file that is going', status(make, tree, s, 7), 0xc0000056)
    close(s2, tree2, g)
    expect('it is gone', status(make, tree, s, 7, 0x120089, 1), 0xc0000034)
    expect('a file id that was closed', close(s2, tree2, g), 0xc0000128)
    expect('a forged file id', close(s2, tree2, bytes(range(16))), 0xc0000128)

def raw(server, tree, command, data):
    packet = server.SMB_PACKET()
    packet['Command'] = command
    packet['TreeID'] = tree
    packet['Data'] = data
    return server.recvSMB(server.sendSMB(packet))['Status']

def close(server, tree, file):
    return raw(server, tree, s3.SMB2_CLOSE, struct.pack('<HHI16s', 24, 0, 0, file))

def lock(server, tree, file, offset, length, flags):
    return raw(server, tree, s3.SMB2_LOCK,
               struct.pack('<HHI16sQQII', 48, 1, 0, file, offset, length, flags, 0))

def locks():
    c, s = connect()
    c2, s2 = connect()
    tree, tree2 = s.connectTree('data'), s2.connectTree('data')
    f = s.create(tree, 'locked', 0x12019f, 7, 0x40, 3, 0x80)
    g = s2.create(tree2, 'locked', 0x12019f, 7, 0x40, 3, 0x80)
    s.write(tree, f, b'x' * 100, 0, 100)
    expect('a lock', lock(s, tree, f, 10, 10, 0x12), 0)
    expect('the same by another', lock(s2, tree2, g, 15, 10, 0x12), 0xc0000055)
    expect('beside it', lock(s2, tree2, g, 20, 10, 0x12), 0)
    expect('reading there', status(s2.read, tree2, g, 10, 5), 0xc0000054)
    expect('writing there', status(s2.write, tree2, g, b'y', 12, 1), 0xc0000054)
    expect('its owner reads', status(s.read, tree, f, 10, 5), 0)
    expect('unlocking what is not locked', lock(s, tree, f, 10, 9, 4), 0xc000007e)
    expect('unlock', lock(s, tree, f, 10, 10, 4), 0)
    expect('now the other one', lock(s2, tree2, g, 10, 10, 0x12), 0)
    expect('a range over the end', lock(s, tree, f, 2**64 - 1, 2, 0x12), 0xc00001a1)
    expect('no flags', lock(s, tree, f, 0, 1, 0), 0xc000000d)
    s2.close(tree2, g)
    expect('closing gives locks back', lock(s, tree, f, 10, 20, 0x12), 0)

def waiting():
    c, s = connect()
    c2, s2 = connect()
    tree, tree2 = s.connectTree('data'), s2.connectTree('data')
    f = s.create(tree, 'waited', 0x12019f, 7, 0x40, 3, 0x80)
    g = s2.create(tree2, 'waited', 0x12019f, 7, 0x40, 3, 0x80)
    def ask():
        packet = s2.SMB_PACKET()
        packet['Command'] = s3.SMB2_LOCK
        packet['TreeID'] = tree2
        packet['Data'] = struct.pack('<HHI16sQQII', 48, 1, 0, g, 0, 10, 2, 0)
        number = s2.sendSMB(packet)
        # impacket passes over STATUS_PENDING: read what comes as it comes.
        reply = s2._NetBIOSSession.recv_packet(10).get_trailer()
        assert struct.unpack_from('<I', reply, 8)[0] == 0x103 and struct.unpack_from('<I', reply, 16)[0] & 2
        return number, struct.unpack_from('<Q', reply, 32)[0]
    expect('a lock', lock(s, tree, f, 0, 10, 0x12), 0)
    number, async_id = ask()
    print('ok another waits')
    expect('unlock', lock(s, tree, f, 0, 10, 4), 0)
    expect('the other gets it', s2.recvSMB(number)['Status'], 0)
    expect('and has it', lock(s, tree, f, 0, 1, 0x12), 0xc0000055)
    expect('gives it back', lock(s2, tree2, g, 0, 10, 4), 0)
    expect('a lock again', lock(s, tree, f, 0, 10, 0x12), 0)
    number, async_id = ask()
    data = header(12, number, 2, 0, 0, s2._Session['SessionID'])
    data = data[:32] + struct.pack('<Q', async_id) + data[40:] + struct.pack('<HH', 4, 0)
    s2._NetBIOSSession.send_packet(data)
    expect('the wait is cancelled', s2.recvSMB(number)['Status'], 0xc0000120)
    number, async_id = ask()
    s2._NetBIOSSession.get_socket().close()
    expect('unlock after the waiter went', lock(s, tree, f, 0, 10, 4), 0)
    expect('and lock anew', lock(s, tree, f, 0, 10, 0x12), 0)

def no_file():
    c, s = connect()
    tree = s.connectTree('data')
    expect('CHANGE_NOTIFY', raw(s, tree, s3.SMB2_CHANGE_NOTIFY, struct.pack('<H', 32) + bytes(30)), 0xc0000128)

def header(command, message, flags=0, following=0, tree=0, session=0):
    return struct.pack('<4sHHIHHIIQIIQ16s', b'\xfeSMB', 64, 1, 0, command, 1, flags, following, message,
                       0xfeff, tree, session, bytes(16))

def exchange(frames):
    with socket.create_connection(('127.0.0.1', 445), timeout=10) as sock:
        sock.settimeout(1)
        try:
            for frame in frames:
                sock.sendall(frame)
            return sock.recv(65536)
        except (ConnectionError, socket.timeout):
            return b''

framed = lambda data: struct.pack('>I', len(data)) + data
NEGOTIATE = header(0, 0) + struct.pack('<HHHHI16sQH', 36, 1, 1, 0, 0, bytes(16), 0, 0x0210)
ECHO = struct.pack('<HH', 4, 0)

def compounds():
    negotiate = framed(NEGOTIATE)
    pad = bytes(4)
    good = header(13, 1, 0, 72) + ECHO + pad + header(13, 2) + ECHO
    # Ids 1 and 2 need two credits: ask for them with the first reply.
    ask = NEGOTIATE[:14] + struct.pack('<H', 8) + NEGOTIATE[16:]
    with socket.create_connection(('127.0.0.1', 445), timeout=10) as sock:
        sock.sendall(framed(ask))
        sock.recv(65536)
        sock.sendall(framed(good))
        reply = sock.recv(65536)
        following = struct.unpack_from('<I', reply, 4 + 20)[0]
        assert following == 72 and struct.unpack_from('<Q', reply, 4 + 72 + 24)[0] == 2, reply
        print('ok two unrelated requests')
        sock.sendall(framed(header(13, 3, 4) + ECHO))
        assert struct.unpack_from('<I', sock.recv(65536), 4 + 8)[0] == 0xc000000d
        print('ok related to nothing')
        sock.sendall(framed(header(13, 4, 0, 8) + ECHO + pad + header(13, 5) + ECHO))
        assert sock.recv(65536) == b''
        print('ok a chain into itself ends the connection')

def broken():
    for frame in (b'\0\0\0\0', b'\xff\xff\xff\xff', struct.pack('>I', 1 << 23), framed(b'\xfeSMB'),
                  framed(b'GET / HTTP/1.0\r\n\r\n'), framed(b'\xfdSMB' + bytes(60)), framed(header(200, 0) + ECHO)):
        reply = exchange([frame])
        assert reply == b'', (frame[:8], reply)
    print('ok broken frames end the connection')
    for command in (13, 12, 1):
        assert exchange([framed(header(command, 0) + ECHO)]) == b'', command
    print('ok a command before NEGOTIATE')
    generator = random.Random(1)
    seeds = [NEGOTIATE, header(1, 1) + struct.pack('<HBBIIHHQ', 25, 0, 1, 0, 0, 88, 40, 0) +
             b'NTLMSSP\0' + struct.pack('<II', 1, 0x62088235) + bytes(24)]
    for i in range(400):
        frames = []
        for seed in seeds:
            data = bytearray(seed)
            for _ in range(generator.randrange(4)):
                data[generator.randrange(4, len(data))] = generator.choice((0, 1, 0x7f, 0x80, 0xff))
            frames.append(framed(bytes(data[:generator.choice((len(data), generator.randrange(4, len(data)))) ])))
        with socket.create_connection(('127.0.0.1', 445), timeout=10) as sock:
            try:
                for frame in frames:
                    sock.sendall(frame)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
            except OSError as e:
                assert not isinstance(e, socket.timeout), frames
    print('ok 400 damaged conversations')

globals()[sys.argv[1]]()
PYTHON
for part in signing ids share_modes locks waiting no_file compounds broken; do
	check "$part" timeout 60 /usr/bin/python3 wire.py $part && sed -n 's/^ok/        ok/p' check.out
done
check "and it still serves" timeout 60 /usr/bin/python3 wire.py signing
daemon_stop
check_store
finish
