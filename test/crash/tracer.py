"""Runs a program, and stops it and all that it starts before each system call that changes a folder.

    tracer.py FOLDER POINTS copy EVERY OFFSET -- PROGRAM ...   copies the folder at each instant
    tracer.py FOLDER POINTS kill EVERY OFFSET -- PROGRAM ...   kills the program at one, and nothing that it started

What a kill -9 of everything leaves is what lies in the folder at that instant, so one run tells all of them: POINTS/NUMBER
is the folder as it was before the call that POINTS/list tells. Of EVERY instants only one is taken, whose number leaves
OFFSET. That a killed program's children go on has to be seen: but only where there are any. strace counts the calls of each thread by
itself, and kills one process only; so here all are counted together, and one changes something at a time.

No instant of its own are a call that failed or changed nothing, fsync, what goes to pipes and sockets, and what is added
to the deployment's log: nothing but people reads that.
"""

import ctypes
import json
import os
import re
import signal
import struct
import sys

SEIZE, CONT_TO_SYSCALL, LISTEN, GET_SYSCALL_INFO, INTERRUPT = 0x4206, 24, 0x4208, 0x420E, 0x4207
# A system call's stop is told from a signal's; threads, children and what these run are stopped, too.
OPTIONS = 0x01 | 0x02 | 0x04 | 0x08 | 0x10
WALL = 0x40000000
ENTRY, EXIT = 1, 2
AT_FDCWD = -100
O_CREAT, O_TRUNC = 0o100, 0o1000

# Which arguments name what is changed: "f" a descriptor, "p" a path, "d" the folder of the path behind it, "." nothing.
CALLS = {
    "write": "f", "pwrite64": "f", "writev": "f", "pwritev": "f", "pwritev2": "f", "ftruncate": "f", "fallocate": "f",
    "fchmod": "f", "fchown": "f", "sendfile": "f", "copy_file_range": "..f", "ioctl": "f",
    "open": "p", "creat": "p", "truncate": "p", "rename": "pp", "mkdir": "p", "rmdir": "p", "link": "pp", "unlink": "p",
    "symlink": ".p", "chmod": "p", "chown": "p", "lchown": "p", "utime": "p", "utimes": "p", "mknod": "p",
    "openat": "dp", "openat2": "dp", "renameat": "dpdp", "renameat2": "dpdp", "mkdirat": "dp", "unlinkat": "dp",
    "linkat": "dpdp", "symlinkat": ".dp", "fchmodat": "dp", "fchmodat2": "dp", "fchownat": "dp", "utimensat": "dp",
    "futimesat": "dp", "mknodat": "dp",
}  # fmt: skip
NUMBERS = {
    "x86_64": {
        "write": 1, "open": 2, "ioctl": 16, "pwrite64": 18, "writev": 20, "sendfile": 40, "truncate": 76,
        "ftruncate": 77, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88,
        "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "utime": 132, "mknod": 133, "utimes": 235,
        "openat": 257, "mkdirat": 258, "mknodat": 259, "fchownat": 260, "futimesat": 261, "unlinkat": 263,
        "renameat": 264, "linkat": 265, "symlinkat": 266, "fchmodat": 268, "utimensat": 280, "fallocate": 285,
        "pwritev": 296, "renameat2": 316, "copy_file_range": 326, "pwritev2": 328, "openat2": 437, "fchmodat2": 452,
    },
    "aarch64": {
        "ioctl": 29, "mknodat": 33, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37, "renameat": 38,
        "truncate": 45, "ftruncate": 46, "fallocate": 47, "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55,
        "openat": 56, "write": 64, "writev": 66, "pwrite64": 68, "pwritev": 70, "sendfile": 71, "utimensat": 88,
        "renameat2": 276, "copy_file_range": 285, "pwritev2": 287, "openat2": 437, "fchmodat2": 452,
    },
}  # fmt: skip
FICLONE = 0x40049409

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, address=0, data=0):
    """Says whether it could: a process that was killed meanwhile cannot be asked any more."""
    return libc.ptrace(request, pid, address, data) >= 0


folder, points, mode, every, offset, _, *program = sys.argv[1:]
every, offset = int(every), int(offset)
names = {number: name for name, number in NUMBERS[os.uname().machine].items()}
found = open(os.path.join(points, "list"), "w")
counts = {"copy": 0, "kill": 0}
# Whether anything has changed since the last instant; the state at the beginning is one, too.
is_new = True
last = None
info = ctypes.create_string_buffer(88)


def read_text(pid, address):
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        memory.seek(address)
        text = b""
        while b"\0" not in text:
            # Not beyond the page, behind which there may be nothing.
            text += memory.read(4096 - (address + len(text)) % 4096)
        return os.fsdecode(text[: text.index(b"\0")])


def path_of(pid, name):
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def signed(number):
    return number - (1 << 32) if number & 0xFFFFFFFF >= 1 << 31 and number < 1 << 32 else ctypes.c_int(number).value


def paths(pid, name, arguments):
    at = "cwd"
    for kind, argument in zip(CALLS[name], arguments):
        if kind == "f":
            yield path_of(pid, f"fd/{signed(argument)}")
        elif kind == "d":
            at = "cwd" if signed(argument) == AT_FDCWD else f"fd/{signed(argument)}"
        elif kind == "p":
            yield os.path.normpath(os.path.join(path_of(pid, at), read_text(pid, argument) if argument else ""))


def is_inside(path):
    return path == folder or path.startswith(folder + "/")


def flags_of(pid, name, arguments):
    if name == "open":
        return arguments[1]
    if name == "creat":
        return O_CREAT | O_TRUNC
    return arguments[2] if name == "openat" else struct.unpack("Q", read_bytes(pid, arguments[2], 8))[0]


def read_bytes(pid, address, size):
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        memory.seek(address)
        return memory.read(size)


def describe_change(pid, name, arguments):
    """None for a call that changes nothing here."""
    if name == "ioctl" and arguments[1] != FICLONE:
        return None
    changed = list(paths(pid, name, arguments))
    if not any(is_inside(path) for path in changed):
        return None
    if name in ("open", "openat", "openat2", "creat"):
        flags = flags_of(pid, name, arguments)
        is_there = os.path.lexists(changed[0])
        cuts = flags & O_TRUNC and is_there and os.path.getsize(changed[0]) > 0
        if not cuts and not (flags & O_CREAT and not is_there):
            return None
    if name in ("write", "writev") and "/pushlive/log/" in changed[0]:
        return None
    shown = [os.path.relpath(path, folder) if is_inside(path) else path for path in changed]
    return f"{name}({', '.join(shown)})"


def process_of(pid):
    return int(re.search(r"^Tgid:\s*(\d+)", read_file(f"/proc/{pid}/status") or "Tgid: 0", re.M)[1])


def read_file(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return None


def title_of(pid):
    if process_of(pid) == root:
        return "the program itself"
    return " ".join((read_file(f"/proc/{pid}/cmdline") or "").split("\0"))[:100].strip().replace("\n", " ")


def others_alive():
    return len({process_of(pid) for pid in tracees} - {root, 0}) > 0


def at_instant(pid, change):
    """Copies, or kills, if it is the turn of this instant."""
    global last, is_new
    line = f"{change}, by {title_of(pid)}" if pid else change
    process = process_of(pid) if pid else 0
    # While another process goes on by itself, it does not matter before which of its calls the program is killed.
    if pid and process != last and others_alive() and note("kill", line) and mode == "kill":
        os.kill(root, signal.SIGKILL)
        # What stops meanwhile goes on when this ends.
        while root in tracees:
            ended, status = os.waitpid(-1, WALL)
            if not os.WIFSTOPPED(status):
                tracees.discard(ended)
        sys.exit(137)
    last = process
    if is_new and note("copy", line) and mode == "copy":
        copying = os.posix_spawnp("cp", ["cp", "-a", "--reflink=auto", folder, f"{points}/{counts['copy']}"], os.environ)
        if os.waitpid(copying, 0)[1] != 0:
            sys.exit("the folder cannot be copied")
    is_new = False


def note(kind, line):
    """Whether it is the turn of this instant, which counts among those of its kind."""
    counts[kind] += 1
    if counts[kind] % every != offset % every:
        return False
    found.write(json.dumps({"kind": kind, "number": counts[kind], "line": line}) + "\n")
    found.flush()
    return True


def go_on(pid, sig=0):
    ptrace(CONT_TO_SYSCALL, pid, 0, sig)


def wait(pid):
    """Waits for a process to stop, and lets it go on. Says how a system call has ended, where it was stopped at one's end."""
    global is_new
    pid, status = os.waitpid(pid, WALL)
    if os.WIFEXITED(status) or os.WIFSIGNALED(status):
        tracees.discard(pid)
        if pid == root:
            end(status)
        return None
    tracees.add(pid)
    sig, event = os.WSTOPSIG(status), status >> 16
    if sig == signal.SIGTRAP | 0x80:
        if not ptrace(GET_SYSCALL_INFO, pid, len(info), ctypes.addressof(info)):
            return None
        if info.raw[0] == EXIT:
            result, is_error = struct.unpack_from("q?", info.raw, 24)
            go_on(pid)
            return not is_error
        name = names.get(struct.unpack_from("Q", info.raw, 24)[0]) if info.raw[0] == ENTRY else None
        change = name and describe_change(pid, name, struct.unpack_from("6Q", info.raw, 32))
        if change:
            at_instant(pid, change)
            go_on(pid)
            # Nothing else changes anything meanwhile.
            is_done = None
            while is_done is None and pid in tracees:
                is_done = wait(pid)
            is_new = is_new or is_done is True
        else:
            go_on(pid)
    elif event == 128 and sig in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        ptrace(LISTEN, pid)
    else:
        go_on(pid, 0 if event else sig)
    return None


def end(status):
    if mode == "copy":
        at_instant(0, "the end")
    found.write(json.dumps({"totals": counts}) + "\n")
    sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


ready, go = os.pipe()
root = os.fork()
if root == 0:
    os.close(go)
    os.read(ready, 1)
    os.execvp(program[0], program)
tracees = {root}
if not ptrace(SEIZE, root, 0, OPTIONS) or not ptrace(INTERRUPT, root):
    sys.exit("no program can be traced here (ptrace)")
os.write(go, b"\n")
os.close(ready)
os.close(go)
while True:
    wait(-1)
