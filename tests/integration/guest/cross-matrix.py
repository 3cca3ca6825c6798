"""cross-matrix.py CELLS SERVER LANES: tries each cell of CELLS (cross-cells.txt says what the words mean) with the clients that are
mounted at /mnt/NAME, and prints a line for each. Cells are tried in LANES at once, each with files of its own. Each client
of a lane is a process of its own, which holds or waits while the others go on."""
import errno, fcntl, json, os, select, signal, struct, sys, time

BEFORE, DIRTY = b"0123456789", b"not sent yet"
WAIT_S = 2.5  # what has not come back by then waits
LATE_S = 45  # and by then it is lost: a break that is not answered ends after 35 s
FLAGS = {"open-r": os.O_RDONLY, "open-w": os.O_WRONLY, "open-rw": os.O_RDWR}
SHARE = {"deny-r": 6, "deny-w": 5, "deny-rw": 4, "deny-d": 3, "going": 7, "on-close": 7, "delete": 7}
REFUSED = {"EACCES", "EAGAIN", "EBUSY", "EIO", "EPERM", "ETXTBSY", "ENOENT", "STATUS_SHARING_VIOLATION"}


class Kernel:
    """A file of one of the kernel's clients."""

    def __init__(self, client, name):
        self.path, self.fd, self.nfs4 = "/mnt/%s/m/%s" % (client, name), -1, client.startswith("nfs4")

    def open(self, flags):
        self.close()
        self.fd = os.open(self.path, flags)

    def close(self):
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def has_delegation(self, kind):
        # The kernel lets a program have a lease only on what it has a delegation of itself.
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        fcntl.fcntl(self.fd, fcntl.F_SETLEASE, kind)
        fcntl.fcntl(self.fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def lock(self, how):
        self.open(os.O_RDWR)
        fcntl.lockf(self.fd, how, 10, 0)

    def do(self, what):
        if what in ("lock-x", "lock-s"):
            self.lock((fcntl.LOCK_EX if what == "lock-x" else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        elif what == "wait-x":
            self.lock(fcntl.LOCK_EX)
        elif what in FLAGS:
            self.open(FLAGS[what])
        elif what == "dirty":
            self.open(os.O_RDWR)
            os.pwrite(self.fd, DIRTY, 0)
        elif what == "delegated":
            self.open(os.O_RDWR)
            self.has_delegation(fcntl.F_WRLCK)
        elif what == "delegated-still":
            try:
                self.has_delegation(fcntl.F_WRLCK)
                return True
            except BlockingIOError:
                return False
        elif what == "cached":
            self.open(os.O_RDONLY)
            os.pread(self.fd, 100, 0)
            if self.nfs4:
                self.has_delegation(fcntl.F_RDLCK)
            self.close()
        elif what == "read":
            self.open(os.O_RDONLY)
            return os.pread(self.fd, 100, 0).decode()
        elif what == "write":
            self.open(os.O_WRONLY)
            os.pwrite(self.fd, b"W", 0)
            os.fsync(self.fd)
        elif what == "truncate":
            os.truncate(self.path, 4)
        elif what == "remove":
            os.unlink(self.path)
        elif what == "rename":
            os.rename(self.path, self.path + ".new")
        elif what == "rename-over":
            os.rename(self.path + ".other", self.path)
        elif what == "make":  # a link keeps the content in sight when the name goes
            with open(self.path, "wb") as f:
                os.fchmod(f.fileno(), 0o666)
                f.write(BEFORE)
            os.link(self.path, self.path + ".link")
            with open(self.path + ".other", "wb") as f:
                f.write(b"other")
        elif what == "look":
            seen = {}
            for name in ("", ".new", ".link", ".other"):
                try:
                    with open(self.path + name, "rb") as f:
                        seen[name] = f.read(100).decode()
                except OSError as e:
                    seen[name] = errno.errorcode[e.errno]
            return seen
        elif what == "names":
            return [name for name in ("", ".new", ".link", ".other") if os.path.lexists(self.path + name)]
        else:
            raise ValueError(what)
        return ""


class Messages:
    """A file of a client of SMB's own messages. One connection is enough for all of a lane."""

    connection = None

    def __init__(self, client, name):
        self.name, self.id = "m\\" + name, None
        if not Messages.connection:
            from impacket.smbconnection import SMBConnection

            c = SMBConnection(server, server, preferredDialect=0x0311, timeout=60)
            Messages.connection = s = c.getSMBServer()
            # impacket begins the hash of a session with zeros, not with that of its connection (MS-SMB2 3.2.5.3).
            s._Session["PreauthIntegrityHashValue"] = s._Connection["PreauthIntegrityHashValue"]
            c.login("alice", "secret")
            Messages.tree = Messages.connection.connectTree("data")

    def close(self):
        if self.id:
            Messages.connection.close(Messages.tree, self.id)
            self.id = None

    def do(self, what):
        self.close()
        options = 0x1040 if what in ("on-close", "delete") else 0x40
        # Reading, writing and deleting; who denies one of them does another.
        access = {"deny-r": 0x120116, "deny-w": 0x120089, "deny-d": 0x120089}.get(what, 0x13019F)
        try:
            self.id = Messages.connection.create(Messages.tree, self.name, access, SHARE[what], options, 1, 0x80)
            if what == "going":
                Messages.connection.setInfo(Messages.tree, self.id, b"\1", 1, 13)
            if what == "delete":
                self.close()
        except Exception as e:
            if not hasattr(e, "get_error_code"):
                raise
            code = e.get_error_code()
            raise OSError(errno.EBUSY if code == 0xC0000043 else errno.EPROTO, hex(code)) from e
        return ""


class Client:
    """A process that has one file of one client at a time."""

    def __init__(self, client):
        mine, its = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(mine[0])
            os.close(its[1])
            for other in clients.values():  # they end when nobody can order anything
                os.close(other.answers)
                os.close(other.orders)
            self.serve(os.fdopen(its[0]), mine[1], client)
            os._exit(0)
        os.close(mine[1])
        os.close(its[0])
        self.answers, self.orders, self.buffer = mine[0], its[1], b""

    @staticmethod
    def serve(orders, answers, client):
        for line in orders:
            what, _, name = line.strip().partition(" ")
            try:
                answer = ["ok", ""]
                if what == "file":
                    file = (Messages if client == "smb" else Kernel)(client, name)
                elif what == "close":
                    file.close()
                else:
                    answer[1] = file.do(what)
            except OSError as e:
                answer = [errno.errorcode.get(e.errno, str(e)), str(e)]
            except Exception as e:
                answer = ["error", repr(e)]
            os.write(answers, json.dumps(answer).encode() + b"\n")

    def tell(self, what):
        os.write(self.orders, what.encode() + b"\n")

    def answer(self, seconds):
        """What came of it, or None."""
        end = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.answers], [], [], left)[0]:
                return None
            got = os.read(self.answers, 65536)
            if not got:
                return ["error", "the client's process ended"]
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def ask(self, what, seconds=LATE_S):
        self.tell(what)
        return self.answer(seconds) or ["late", "no answer to %s in %d s" % (what, seconds)]

    def end(self):
        os.close(self.orders)
        os.close(self.answers)
        for _ in range(50):
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                return
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)


class Wrong(Exception):
    pass


def must(what, answer):
    if answer[0] != "ok":
        raise Wrong("%s: %s (%s)" % (what, answer[0], answer[1]))
    return answer[1]


def equal(what, got, wanted):
    if got != wanted:
        raise Wrong("%s: %r, not %r" % (what, got, wanted))


def effect(held, does, content):
    """What all must see in the end: {name: content or error}."""
    seen = {"": content, ".new": "ENOENT", ".link": content, ".other": "other"}
    if does == "write":
        seen[""] = seen[".link"] = "W" + content[1:]
    elif does == "truncate":
        seen[""] = seen[".link"] = content[:4]
    elif does in ("remove", "delete"):
        seen[""] = "ENOENT"
    elif does == "rename":
        seen[".new"], seen[""] = content, "ENOENT"
    elif does == "rename-over":
        seen[""], seen[".other"] = "other", "ENOENT"
    if held in ("going", "on-close"):  # the open that it goes with has closed; it may have got another name
        seen["" if seen[".new"] == "ENOENT" else ".new"] = "ENOENT"
    return seen


def try_cell(holder, actor, looker, held, does, expected):
    content = DIRTY.decode() if held == "dirty" else BEFORE.decode()
    must("held", holder.ask(held))
    began = time.monotonic()
    actor.tell(does)
    got = actor.answer(WAIT_S if expected == "waits" else LATE_S)
    if expected == "waits":
        if got:
            raise Wrong("it did not wait: %s (%s)" % tuple(got))
        must("let go", holder.ask("close"))
        must("when it is free", actor.answer(LATE_S) or ["late", "no answer"])
    elif not got:
        raise Wrong("no answer in %d s" % LATE_S)
    elif expected == "refused":
        if got[0] not in REFUSED:
            raise Wrong("not refused: %s (%s)" % tuple(got))
        equal("names after the refusal", must("look", looker.ask("names")), ["", ".link", ".other"])
        must("let go", holder.ask("close"))
        if held == "going":
            equal("when it is gone", actor.ask(does)[0], "ENOENT")
        else:
            must("when it is free", actor.ask(does))
    else:
        read = must(does, got)
        if does == "read":
            equal("what it read", read, content)
        if held == "delegated":
            equal("still delegated", must("ask", holder.ask("delegated-still")), False)
        if expected == "recalled":
            if does in ("remove", "rename"):
                equal("the holder's next look", holder.ask("read")[0], "ENOENT")
            elif does not in ("lock-x", "lock-s"):  # those of SMB stand in the way of reading
                equal("the holder's next look", must("read", holder.ask("read")), effect(held, does, content)[""])
    took = time.monotonic() - began
    must("the actor closes", actor.ask("close"))
    must("the holder closes", holder.ask("close"))
    if held in ("going", "on-close") and expected == "refused":
        does = "read"
    equal("in the end", must("look", looker.ask("look")), effect(held, does, content))
    return took


clients = {}  # of this lane, by role and name


def run_cell(number, cell):
    holder, held, actor, does, expected = cell

    def client(role, name):
        if (role, name) not in clients:
            clients[role, name] = Client(name)
        must("its file", clients[role, name].ask("file cell%d" % number))
        return clients[role, name]

    try:
        must("made", client("maker", "nfs3").ask("make"))  # by who is given no delegation
        looker = client("looker", "nfs3" if "nfs3" not in (holder, actor) else "nfs42")
        took = try_cell(client("holder", holder), client("actor", actor), looker, held, does, expected)
        line = "  ok      %s %s, %s %s: %s (%.1f s)" % (holder, held, actor, does, expected, took)
    except Wrong as e:
        line = "  NOT OK  %s %s, %s %s: %s: %s" % (holder, held, actor, does, expected, e)
        end_clients()  # who knows what they still hold
    os.write(1, line.encode() + b"\n")
    return "NOT OK" not in line


def end_clients():
    for client in clients.values():
        client.end()
    clients.clear()


def main():
    with open(sys.argv[1]) as f:
        cells = [line.split() for line in f if line.strip() and line[0] != "#"]
    lanes = int(sys.argv[3])
    import impacket.smbconnection  # once, not in each process
    children = []
    for lane in range(lanes):
        pid = os.fork()
        if pid == 0:
            wrong = sum(not run_cell(i, cells[i]) for i in range(lane, len(cells), lanes))
            end_clients()
            os._exit(min(wrong, 100))
        children.append(pid)
    wrong = sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)
    print("  %d cells, %d wrong" % (len(cells), wrong), flush=True)
    sys.exit(wrong != 0 or len(cells) < 40)


server = sys.argv[2]
main()
