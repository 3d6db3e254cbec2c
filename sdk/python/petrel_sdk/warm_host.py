"""One Python that has imported what all actions need, and forks a process for each of them.

The parent of an execution (sensor-wrapper) connects to the socket and sends one message: four bytes with its
length, then JSON, `{"argv", "env", "cwd"}`, and beside it the descriptors of the action's standard streams. The
answer is a line, `{"pid": N}`; when the process has ended, another one, `{"code": N}` or `{"signal": N}`. It stays unreaped until the other side closes the connection, so its number is nobody else's for
as long; then whatever is left of its group is killed.

A fork has a process group, an environment and a folder of its own and dies with this process; the pack's module
is imported there and nowhere else. This process ends by itself when nobody asked for anything in a while, when it
has grown, or after SIGTERM, each time once its last fork is over.
"""

import ctypes
import gc
import json
import os
import random
import resource
import selectors
import signal
import socket
import struct
import sys

#: The exit code of a Python that cannot serve; standard error says why.
UNFIT = 3
#: Seconds after the last fork.
IDLE_S = 300
#: Forks after which another one takes over.
MOST_FORKS = 500
#: So many bytes more than at the beginning likewise.
MOST_GROWTH = 64 << 20
#: How long a message may take, seconds.
_PATIENCE_S = 5
_PR_SET_PDEATHSIG = 1


class Unfit(Exception):
    """Forking would not be safe, or cannot be done; the text is for the user."""


class Child(Exception):
    """Raised in the fork: what it is to be."""

    def __init__(self, order, streams, parent):
        super().__init__()
        self.order, self.streams, self.parent = order, streams, parent


def main(path):
    """Serve on a socket at this path; the exit code, in a fork that of its action."""
    try:
        prepare()
        host = Host(path)
    except Unfit as error:
        print(error, file=sys.stderr)
        return UNFIT
    child = None
    try:
        host.serve()
    except Child as found:
        # Nothing that the action raises is to have this as its context.
        child = found
    if child is None:
        return 0
    host.forget()
    return become(child)


def prepare():
    """Import what every action needs, and see that a fork is safe."""
    if not hasattr(socket, "recv_fds"):
        raise Unfit("this Python is older than 3.9")
    import python_action_wrapper  # noqa: F401
    import st2common.runners.base_action  # noqa: F401

    from petrel_sdk import action_host, action_logs, arguments  # noqa: F401

    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise Unfit("%d threads run after the imports" % threads)
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink("/proc/self/fd/" + number)
        except OSError:
            continue
        if target.startswith("socket:"):
            raise Unfit("descriptor %s is a socket after the imports" % number)
    gc.collect()
    gc.freeze()


def become(child):
    """Be the action, in the fork; its exit code."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != child.parent:
        os._exit(1)
    for number, stream in enumerate(child.streams):
        os.dup2(stream, number)
    for stream in child.streams:
        os.close(stream)
    order = child.order
    limit(order.get("nofile"))
    os.environ.clear()
    os.environ.update(order["env"])
    if order.get("cwd"):
        os.chdir(order["cwd"])
    own, rest = sys.path[0], sys.path[1:]
    given = [entry for entry in order["env"].get("PYTHONPATH", "").split(":") if entry]
    sys.path[:] = [own] + given + rest
    random.seed()
    sys.argv = order["argv"]
    import python_action_wrapper

    return python_action_wrapper.main(sys.argv[1:])


def limit(nofile):
    """Take back the limit of open files that the supervisor raised for itself."""
    if nofile is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(nofile, hard), hard))


class Host:
    """The socket, and the forks that are not reaped."""

    def __init__(self, path):
        self.path, self.count = path, 0
        self.forks = {}
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # By rename, so that whoever sees it can connect.
        new = path + ".new"
        if os.path.exists(new):
            os.unlink(new)
        self.listener.bind(new)
        os.chmod(new, 0o600)
        self.listener.listen(64)
        self.woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.wake = wake
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.retire())
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)
        self.selector.register(self.woken, selectors.EVENT_READ, self.ended)
        self.pid, self.memory = os.getpid(), resident()
        os.rename(new, path)

    def serve(self):
        """Until nobody wants anything any more."""
        while self.listener or self.forks:
            ready = self.selector.select(None if self.forks else IDLE_S)
            if not ready:
                self.retire()
            for key, _ in ready:
                key.data()

    def retire(self):
        """Take no more."""
        if self.listener is None:
            return
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        self.selector.unregister(self.listener)
        self.listener.close()
        self.listener = None

    def accept(self):
        if self.listener is None:
            return
        connection, _ = self.listener.accept()
        connection.settimeout(_PATIENCE_S)
        streams = []
        try:
            order = receive(connection, streams)
            pid = os.fork()
            if pid == 0:
                # Here as well as there: whoever comes first.
                os.setpgid(0, 0)
                connection.close()
                raise Child(order, streams, self.pid)
            self.forked(connection, pid)
        except (OSError, ValueError):
            # Whoever asked is gone, or asked for nothing that makes sense.
            connection.close()
        finally:
            if os.getpid() == self.pid:
                for stream in streams:
                    os.close(stream)
        self.count += 1
        if self.count >= MOST_FORKS or resident() - self.memory > MOST_GROWTH:
            self.retire()

    def forked(self, connection, pid):
        try:
            os.setpgid(pid, pid)
        except OSError:
            # It did so itself, and may be over.
            pass
        self.forks[pid] = connection
        self.selector.register(connection, selectors.EVENT_READ, lambda: self.closed(pid))
        try:
            connection.sendall(line({"pid": pid}))
        except OSError:
            self.closed(pid)

    def ended(self):
        """Tell of those that are over; each stays until nobody needs its number."""
        try:
            os.read(self.woken, 4096)
        except BlockingIOError:
            pass
        for pid, connection in list(self.forks.items()):
            if connection is None:
                continue
            end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if end is None:
                continue
            word = "code" if end.si_code == os.CLD_EXITED else "signal"
            self.selector.modify(connection, selectors.EVENT_READ, self.closing(pid, connection))
            self.forks[pid] = None
            try:
                connection.sendall(line({word: end.si_status}))
            except OSError:
                self.over(pid, connection)

    def closing(self, pid, connection):
        return lambda: self.over(pid, connection)

    def closed(self, pid):
        """Whoever asked for it is gone before its end."""
        connection = self.forks.get(pid)
        if connection is not None:
            self.over(pid, connection)

    def over(self, pid, connection):
        if self.forks.pop(pid, self) is self:
            return
        self.selector.unregister(connection)
        connection.close()
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(pid, 0)

    def forget(self):
        """In a fork: nothing here is its own."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for key in list(self.selector.get_map().values()):
            if not isinstance(key.fileobj, int):
                key.fileobj.close()
        os.close(self.woken)
        os.close(self.wake)
        self.selector.close()


def receive(connection, streams):
    """What is asked for; the descriptors go to `streams` as they come."""
    data, found, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    streams.extend(found)
    while len(data) < 4 or len(data) < 4 + struct.unpack("!I", data[:4])[0]:
        more = connection.recv(1 << 16)
        if not more:
            raise ValueError("the message ends early")
        data += more
    order = json.loads(data[4:].decode("utf-8"))
    if len(streams) != 3 or not isinstance(order.get("argv"), list) or not isinstance(order.get("env"), dict):
        raise ValueError("not an order")
    return order


def line(message):
    return (json.dumps(message) + "\n").encode("ascii")


def resident():
    """Bytes of memory that this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
