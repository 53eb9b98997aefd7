"""A program, not a module: a process that is in new namespaces, by the flags given, until its standard input ends.

A process with several threads can't enter a user namespace, and a fork of ours is none to run Python in; so this is
started as a program of its own, by `cri_shim.linux.userns`. It imports nothing but what it needs, to start quickly.
"""

import ctypes
import os
import sys

if __name__ == "__main__":
    if ctypes.CDLL(None, use_errno=True).unshare(int(sys.argv[1])) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    os.write(1, b"!")
    os.read(0, 1)
