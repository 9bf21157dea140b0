"""The compilers that compile.py uses: NVRTC through ctypes, and nvcc."""

import ctypes
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Names that nvcc's and g++'s headers define and NVRTC, which has no C library, does not.
DEFINES = ["-DINFINITY=(__int_as_float(0x7f800000))", "-DNAN=(__int_as_float(0x7fffffff))"]
# PTX is marked with this version where ptxas accepts that, and not with the compiler's own: drivers from 525 on know it.
OLDEST_PTX = b"8.0"


def find(toolkit, kernels):
    """The compiler of a toolkit's folder."""
    if (toolkit / "bin/nvcc").exists():
        return Nvcc(toolkit, kernels)
    for lib in sorted(toolkit.glob("lib*/libnvrtc.so.*")):
        if re.fullmatch(r"libnvrtc\.so\.\d+", lib.name):
            return Nvrtc(toolkit, lib, kernels)
    raise SystemExit(f"compile.py: {toolkit} holds neither bin/nvcc nor libnvrtc: remove the folder and start again, or name another with --toolkit")


def named(numbers):
    """The names of architectures, with those for one of them alone (90a), which compilers do not list."""
    return {f"{kind}_{n}{suffix}" for n in numbers for kind in ("sm", "compute") for suffix in ("", "a")}


def reach(ptx, ptxas):
    """PTX with the oldest version that ptxas lets it have. Returns (failed, ptx, log)."""
    old = re.sub(rb"^\.version \S+", b".version " + OLDEST_PTX, ptx, count=1, flags=re.M)
    log = ""
    with tempfile.TemporaryDirectory(prefix="acumen-ptx-") as d:
        for text in (old, ptx):
            path = pathlib.Path(d, "k.ptx")
            path.write_bytes(text)
            r = subprocess.run([ptxas, "-arch=sm_80", "-v", path, "-o", os.devnull], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            log = r.stdout
            if r.returncode == 0:
                return False, text, log
    return True, b"", log


class Nvrtc:
    """NVRTC, loaded once in each process of the pool."""

    loaded = None

    def __init__(self, toolkit, lib, kernels):
        self.toolkit, self.path, self.kernels = toolkit, str(lib), kernels
        n = self.lib()
        major, minor, count = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        n.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        self.name = f"NVRTC {major.value}.{minor.value}"
        self.driver = 525 if major.value == 12 else 580
        n.nvrtcGetNumSupportedArchs(ctypes.byref(count))
        numbers = (ctypes.c_int * count.value)()
        n.nvrtcGetSupportedArchs(numbers)
        self.archs = named(numbers)
        pins = toolkit / "pins"
        self.identity = self.name + hashlib.sha256(pins.read_bytes() if pins.exists() else str(lib.stat().st_size).encode()).hexdigest()

    def lib(self):
        if Nvrtc.loaded is None:
            try:
                Nvrtc.loaded = ctypes.CDLL(self.path)
            except OSError as e:
                raise SystemExit(f"compile.py: NVRTC can't be loaded ({e}): remove {self.toolkit} to fetch it again, or set CUDA_HOME to an installed CUDA toolkit")
            Nvrtc.loaded.nvrtcGetErrorString.restype = ctypes.c_char_p
        return Nvrtc.loaded

    def compile(self, path, name, arch, options):
        """Returns (failed, code, log)."""
        n = self.lib()
        text = [f"--gpu-architecture={arch}", "--std=c++17", "-default-device", f"-I{self.kernels}", f"-I{self.toolkit}/include", *DEFINES, *options]
        if arch.startswith("sm_"):
            text.append("--ptxas-options=-v")
        opts = (ctypes.c_char_p * len(text))(*[os.fsencode(t) for t in text])
        p, size = ctypes.c_void_p(), ctypes.c_size_t()
        r = n.nvrtcCreateProgram(ctypes.byref(p), path.read_bytes(), os.fsencode(name), 0, None, None)
        if r:
            return True, b"", n.nvrtcGetErrorString(r).decode()
        try:
            r = n.nvrtcCompileProgram(p, len(text), opts)
            n.nvrtcGetProgramLogSize(p, ctypes.byref(size))
            log = ctypes.create_string_buffer(max(size.value, 1))
            n.nvrtcGetProgramLog(p, log)
            said = log.value.decode(errors="replace").replace(str(self.kernels), os.path.dirname(name))
            if r:
                return True, b"", said or n.nvrtcGetErrorString(r).decode()
            kind = "CUBIN" if arch.startswith("sm_") else "PTX"
            r = getattr(n, f"nvrtcGet{kind}Size")(p, ctypes.byref(size))
            code = ctypes.create_string_buffer(max(size.value, 1))
            r = r or getattr(n, f"nvrtcGet{kind}")(p, code)
            if r:
                return True, b"", said + n.nvrtcGetErrorString(r).decode()
        finally:
            n.nvrtcDestroyProgram(ctypes.byref(p))
        if kind == "CUBIN":
            return False, code.raw[: size.value], said
        failed, code, assembled = reach(code.value, self.toolkit / "bin/ptxas")
        return failed, code, said + assembled


class Nvcc:
    """nvcc, which needs a C++ compiler beside it for the preprocessor."""

    def __init__(self, toolkit, kernels):
        self.toolkit, self.kernels, self.path = toolkit, kernels, toolkit / "bin/nvcc"
        if not (os.environ.get("NVCC_CCBIN") or shutil.which("g++")):
            raise SystemExit("compile.py: nvcc needs g++: install it (Debian: apt-get install g++), or set NVCC_CCBIN to a C++ compiler")
        version = self.tell("--version")
        self.name = "nvcc " + (re.search(r"\bV([\d.]+)", version) or re.search(r"release ([\d.]+)", version))[1]
        self.identity = self.name + hashlib.sha256(version.encode()).hexdigest()
        self.driver = 525 if self.name.startswith("nvcc 12.") else 580
        self.archs = named(int(n) for n in re.findall(r"^sm_(\d+)$", self.tell("--list-gpu-code"), re.M))

    def tell(self, what):
        r = subprocess.run([self.path, what], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if r.returncode:
            raise SystemExit(f"compile.py: {self.path} {what} failed:\n{r.stdout}")
        return r.stdout

    def compile(self, path, name, arch, options):
        """Returns (failed, code, log)."""
        kind = ["-cubin", "-Xptxas", "-v"] if arch.startswith("sm_") else ["-ptx"]
        with tempfile.TemporaryDirectory(prefix="acumen-nvcc-") as d:
            out = pathlib.Path(d, "k")
            cmd = [self.path, *kind, f"-arch={arch}", "-std=c++17", "-allow-unsupported-compiler", "-I", self.kernels, *options, "-o", out, name]
            # From the root of the repository, so that errors name the file as a person there does.
            root = str(path)[: -len(name)] if str(path).endswith(name) else "."
            r = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=root)
            if r.returncode or not out.exists():
                return True, b"", r.stdout
            code = out.read_bytes()
        if arch.startswith("sm_"):
            return False, code, r.stdout
        failed, code, assembled = reach(code, self.toolkit / "bin/ptxas")
        return failed, code, r.stdout + assembled
