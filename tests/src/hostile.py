#!/usr/bin/python3
"""A hostile sensor for the tests: it tries what it must not be able to do and prints what came of it,
one line of JSON for each attempt. `targets.json` in its pack says where to aim."""

import ctypes
import errno
import json
import os
import socket
import subprocess
import time

LIBC = ctypes.CDLL(None, use_errno=True)


def system_call(number, *args):
    """In a process of its own, for it may work. The arguments are junk, so that it does no harm: whatever
    the kernel says of them but that it is forbidden or not there, the call was let through."""
    child = os.fork()
    if child == 0:
        words = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
        failed = LIBC.syscall(ctypes.c_long(number), *words) == -1
        os._exit(ctypes.get_errno() if failed else 0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        raise OSError(code, os.strerror(code))
    return "the kernel says %s" % (os.strerror(code) if code else "yes")


def read(path):
    with open(path, "rb") as file:
        return "read %d bytes" % len(file.read(64))


def write(path):
    with open(path, "w") as file:
        file.write("hostile")
    return "wrote " + path


def kill(pid):
    os.kill(pid, 0)
    return "may signal %d" % pid


def ptrace(pid):
    """Holds it for a moment, so that it can be let go."""
    seize, interrupt, detach = 0x4206, 0x4207, 17
    if LIBC.ptrace(seize, pid, None, None) == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    LIBC.ptrace(interrupt, pid, None, None)
    os.waitpid(pid, 0x40000000)
    LIBC.ptrace(detach, pid, None, None)
    return "traces %d" % pid


def ask_socket(path):
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(5)
        control.connect(path)
        control.sendall(b"GET /v1/sensortypes HTTP/1.1\r\nHost: petrel\r\nConnection: close\r\n\r\n")
        answer = control.recv(64).decode()
    if " 200 " not in answer:
        raise PermissionError(answer.split("\r\n")[0])
    return "the API answers: " + answer.split("\r\n")[0]


def abstract(name):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect("\0" + name)
    return "connected"


def bind():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
    return "listens"


def packets():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    return "sees all packets"


def descriptors():
    found = [fd for fd in range(3, 4096) if is_open(fd)]
    if found:
        return "has %s" % found
    raise OSError("only 0, 1 and 2")


def is_open(fd):
    try:
        os.fstat(fd)
        return True
    except OSError:
        return False


def secrets(words):
    text = json.dumps(dict(os.environ))
    found = [word for word in words if word in text]
    if found:
        return "finds %s" % found
    raise OSError("none of them")


def loader():
    if any(name.startswith("LD_") for name in os.environ):
        return "LD_* is there"
    raise OSError("no LD_*")


def core_dump():
    import resource

    if resource.getrlimit(resource.RLIMIT_CORE)[0]:
        return "dumps core"
    raise OSError("no core dumps")


def setuid():
    os.setuid(0)
    if os.getuid() == 0 and can_read("/etc/shadow"):
        return "is root"
    raise PermissionError("root in name only")


def can_read(path):
    try:
        read(path)
        return True
    except OSError:
        return False


def gain():
    done = subprocess.run(["sudo", "-n", "id", "-u"], capture_output=True, text=True)
    if done.stdout.strip() == "0":
        return "sudo gives root"
    raise PermissionError(done.stderr.strip()[:80])


def through_link():
    link = os.path.join(os.environ.get("HOME", "/"), "link")
    if not os.path.lexists(link):
        os.symlink("/etc/shadow", link)
    return read(link)


def hard_link():
    os.link("/etc/passwd", os.path.join(os.environ.get("HOME", "/"), "hard"))
    return "linked"


def attempts(aim):
    buffer = ctypes.create_string_buffer(256)
    me, them = aim["supervisor"], aim["sibling"]
    yield "read the journal", lambda: read(aim["data"] + "/journal.db")
    yield "read the datastore's key", lambda: read(aim["data"] + "/datastore_key.json")
    yield "read the socket's key", lambda: read(aim["data"] + "/socket.key")
    yield "read a secret of another pack", lambda: read(aim["secret"])
    yield "read /etc/shadow", lambda: read("/etc/shadow")
    yield "read /etc/shadow through a link", through_link
    yield "hard-link /etc/passwd", hard_link
    yield "read the supervisor's memory", lambda: read("/proc/%d/mem" % me)
    yield "read the supervisor's environment", lambda: read("/proc/%d/environ" % me)
    yield "look at the files through the supervisor", lambda: str(os.listdir("/proc/%d/root" % me))
    yield "signal the supervisor", lambda: kill(me)
    yield "signal a sibling", lambda: kill(them)
    yield "trace the supervisor", lambda: ptrace(me)
    yield "trace a sibling", lambda: ptrace(them)
    yield "ask the control socket", lambda: ask_socket(aim["socket"])
    yield "connect to an abstract socket", lambda: abstract(aim["abstract"])
    yield "write into the data folder", lambda: write(aim["data"] + "/hostile")
    yield "write into its pack", lambda: write("hostile")
    yield "write into another pack", lambda: write(aim["other_pack"] + "/hostile")
    yield "write to /tmp of the host", lambda: through_tmp(aim["tmp"])
    yield "write to /var/tmp", lambda: write("/var/tmp/" + aim["abstract"])
    yield "mount", lambda: system_call(165, b"x", b"/", b"no such file system", 0, None)
    yield "leave its namespaces", lambda: system_call(272, 0x10000000)
    yield "a namespace by clone", lambda: system_call(56, 0x10000000 | 17, 0, 0, 0, 0)
    yield "ask for keys of the kernel", lambda: system_call(250, 0, -3, 0)
    yield "read memory of a process", lambda: system_call(310, me, buffer, 1, buffer, 1, 0)
    yield "watch system calls", lambda: system_call(298, buffer, 0, -1, -1, 0)
    yield "load into the kernel", lambda: system_call(321, 5, buffer, 128)
    yield "io_uring", lambda: system_call(425, 4, buffer)
    yield "open by handle", lambda: system_call(304, -100, buffer, 0)
    yield "userfaultfd", lambda: system_call(323, 1)
    yield "read the kernel's log", lambda: system_call(103, 10, None, 0)
    yield "change its root", lambda: os.chroot("/")
    yield "become root", setuid
    yield "gain by sudo", gain
    yield "bind a port", bind
    yield "see all packets", packets
    yield "find descriptors", descriptors
    yield "find secrets in its environment", lambda: secrets(aim["secrets"])
    yield "find LD_* in its environment", loader
    yield "dump core", core_dump


def through_tmp(path):
    write(path)
    # Whether that was the host's is for the test to see.
    return "wrote " + path


def work(aim):
    """What a sensor must be able to do all the same."""
    import multiprocessing
    import tempfile
    import threading

    yield "write its home", lambda: write(os.path.join(os.environ["HOME"], "own"))
    yield "make a temporary file", lambda: tempfile.NamedTemporaryFile().name
    yield "start a thread", lambda: threading.Thread(target=int).start()
    yield "start a program", lambda: subprocess.check_output(["echo", "hello"], text=True)
    yield "start a pool", lambda: str(multiprocessing.Pool(1).map(abs, [-1]))
    yield "connect to a port", lambda: str(socket.create_connection(("127.0.0.1", aim["port"]), 5).close())
    yield "resolve a name", lambda: str(socket.getaddrinfo("localhost", 80)[0][4])


def told(kind, name, attempt):
    try:
        outcome = attempt() or "done"
        worked = True
    except Exception as error:
        outcome, worked = "%s: %s" % (type(error).__name__, error), False
    print(json.dumps({"kind": kind, "name": name, "worked": worked, "outcome": outcome}), flush=True)


def main():
    while not os.path.exists("targets.json"):
        time.sleep(0.02)
    with open("targets.json") as file:
        aim = json.load(file)
    for name, attempt in attempts(aim):
        told("attempt", name, attempt)
    for name, attempt in work(aim):
        told("work", name, attempt)
    told("end", "all", lambda: "tried")
    time.sleep(100000)


if __name__ == "__main__":
    main()
