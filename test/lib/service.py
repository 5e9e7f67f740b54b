"""Runs a web server as a service manager does: SERVICE [--socket PORT] PIDFILE COMMAND...

Its orphans are our children, and all of them end with us. With --socket it holds the listening socket and hands it over
as systemd does (sd_listen_fds(3)); SIGHUP ends the command and starts it again, in the same current directory.
"""

import ctypes
import os
import signal
import socket
import sys

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
prctl = ctypes.CDLL(None).prctl
prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
prctl(PR_SET_CHILD_SUBREAPER, 1)

arguments = sys.argv[1:]
listening = None
if arguments[0] == "--socket":
    listening = socket.create_server(("127.0.0.1", int(arguments[1])), backlog=1024)
    del arguments[:2]
pidfile, *command = arguments
cwd = os.environ["SERVICE_CWD"]
main = 0


def start():
    global main
    main = os.fork()
    if main:
        return
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.chdir(cwd)
    if listening:
        os.dup2(listening.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    os.execvp(command[0], command)


def children():
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return [int(pid) for pid in file.read().split()]


def end(pids, number):
    for pid in pids:
        os.kill(pid, number)


awaited = {signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}
signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
with open(pidfile, "w", encoding="ascii") as opened:
    opened.write(str(os.getpid()))
start()
while True:
    received = signal.sigwait(awaited)
    if received == signal.SIGTERM:
        end(children(), signal.SIGTERM)
        # Processes become our children when their master ends.
        while children():
            os.wait()
            end(children(), signal.SIGTERM)
        break
    if received == signal.SIGHUP:
        end([main], signal.SIGTERM)
        os.waitpid(main, 0)
        start()
    else:
        while children():
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
        if not children():
            sys.exit("it has ended")
