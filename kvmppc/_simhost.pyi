# What build_ffi.py compiles, for type checkers: the shim on simulated hosts.

from kvmppc._fast import Lib
from kvmppc._native import Ffi, Text

class SimulatedLib(Lib):
    def kvmppc_simhost_name(self, index: int) -> Text: ...
    def kvmppc_simhost_ioctl(self, fd: int, request: int, argument: int) -> int: ...

ffi: Ffi
lib: SimulatedLib
