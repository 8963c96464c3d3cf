# What build_ffi.py compiles, for type checkers: the questions that keep the GIL, and the shim.

from kvmppc import _native
from kvmppc._native import Ffi, HandleData, Question

class Lib(_native.Lib):
    def kvmppc_fast_check_extension(self, question: Question) -> int: ...
    def kvmppc_fast_get_compat_caps(self, vm: HandleData) -> int: ...

ffi: Ffi
lib: Lib
