# What build_ffi.py compiles, for type checkers: the shim on simulated hosts.

from cffi import FFI

from kvmppc._native import Lib

class SimulatedLib(Lib):
    def kvmppc_simhost_name(self, index: int) -> FFI.CData: ...
    def kvmppc_simhost_ioctl(self, fd: int, request: int, argument: int) -> int: ...

ffi: FFI
lib: SimulatedLib
