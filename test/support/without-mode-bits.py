"""Owns: running a program as a unit of systemd with RestrictSUIDSGID=yes runs it: no call that makes or changes a file
may ask for the set-user-id or set-group-id bit; it fails with EPERM. Usage: without-mode-bits.py PROGRAM [ARGUMENT ...].
"""
import ctypes
import os
import platform
import sys

# The number of each call, and which of its arguments (from 0) is the mode.
CALLS = {
    "x86_64": ((83, 1), (258, 2), (90, 1), (91, 1), (268, 2), (452, 2), (133, 1), (259, 2), (85, 1), (2, 2), (257, 3)),
    "aarch64": ((34, 2), (52, 1), (53, 2), (452, 2), (33, 2), (56, 3)),
}
BITS = 0o6000
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2
LOAD, EQUALS, HAS_BITS, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, REFUSE_EPERM = 0x7FFF0000, 0x00050001


class Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("value", ctypes.c_uint)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(Instruction))]


def rules():
    """For each call: is it this one, and does its mode have one of the bits?"""
    for number, argument in CALLS[platform.machine()]:
        yield (LOAD, 0, 0, 0)
        yield (EQUALS, 0, 3, number)
        yield (LOAD, 0, 0, 16 + 8 * argument)
        yield (HAS_BITS, 0, 1, BITS)
        yield (RETURN, 0, 0, REFUSE_EPERM)
    yield (RETURN, 0, 0, ALLOW)


listed = [Instruction(*rule) for rule in rules()]
program = Program(len(listed), (Instruction * len(listed))(*listed))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0 or libc.prctl(SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
