#!/usr/bin/env python3
"""Compiles cuda/kernels/*.cu to machine code for each GPU architecture, for embed.go to embed.

Writes cubin/NAME.ARCH.cubin.xz (PTX: NAME.compute_80.ptx.xz) and cubin/index.json, and makes only what is out of date.
The compiler is NVRTC, or nvcc where a toolkit is installed; cuda/toolchain.sh finds or fetches it. In the comment that
a file begins with,

    // options: -fmad=false     adds options for this file
    // arch: >=80               leaves out older architectures; names (90a) stand for themselves
    // also: 90a                where sm_90 is asked for, sm_90a is meant too: it has what only that one can

and before a kernel, or with names (for kernels that a macro declares) anywhere,

    // hot                      a spill of registers is an error under --resources
    // hot shared=65536         so much dynamic shared memory it is launched with, for the occupancy
    // hot: name name
"""

import argparse
import collections
import concurrent.futures
import contextlib
import fcntl
import hashlib
import json
import lzma
import multiprocessing
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import zlib

sys.dont_write_bytecode = True
import compilers  # noqa: E402
import resources  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ARCHS = ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_100", "sm_120", "compute_80"]
FORMAT = 2  # of what is written: a new number makes everything anew

KERNEL = re.compile(r"^[ \t]*KERNEL\(\s*(\w+)\s*,", re.M)
HEAD = re.compile(r"\A(?:[ \t]*(?://[^\n]*|#pragma once)?\n)*")


class Source:
    """A .cu file and what its comments ask for."""

    def __init__(self, path):
        self.path, self.name, self.text = path, path.stem, path.read_text()
        head = HEAD.match(self.text).group()
        self.options = " ".join(re.findall(r"^//\s*options:(.*)$", head, re.M)).split()
        self.terms = " ".join(re.findall(r"^//\s*arch:(.*)$", head, re.M)).replace(",", " ").split()
        for term in self.terms:
            if not re.fullmatch(r">=\d+|\d+a?", term):
                raise SystemExit(f"{shown(path)}: '// arch: {term}': an architecture is >=80, 90 or 90a")
        self.also = " ".join(re.findall(r"^//\s*also:(.*)$", head, re.M)).split()
        self.declared = KERNEL.findall(self.text)
        self.hot = {}  # name: bytes of dynamic shared memory
        lines = self.text.splitlines()
        for i, line in enumerate(lines):
            m = re.fullmatch(r"\s*//\s*hot\b(:[\w\s]*)?(?:\s*shared=(\d+))?\s*", line)
            if not m:
                continue
            names = (m[1] or "")[1:].split() or KERNEL.findall(lines[i + 1] if i + 1 < len(lines) else "")
            if not names:
                raise SystemExit(f"{shown(path)}:{i + 1}: '// hot' stands on the line before KERNEL(...), or names kernels: '// hot: a b'")
            self.hot.update((n, int(m[2] or 0)) for n in names)

    def wants(self, arch):
        number = int(re.search(r"\d+", arch).group())
        return not self.terms or any(
            number >= int(t[2:]) if t.startswith(">=") else t == arch.split("_")[1] for t in self.terms)

    def asked(self, arch, names):
        """Whether one who names architectures means this one."""
        return arch in names or any(arch == f"sm_{a}" and arch.rstrip("a") in names for a in self.also)

    def digest(self):
        """The hash of the file and of all that it includes by name; the toolkit's headers belong to the compiler."""
        seen, queue = {}, [self.path]
        while queue:
            path = queue.pop()
            if path in seen or not path.is_file():
                continue
            seen[path] = path.read_bytes()
            for name in re.findall(rb'^\s*#\s*include\s*"([^"]+)"', seen[path], re.M):
                queue += [(path.parent / os.fsdecode(name)).resolve(), (HERE / os.fsdecode(name)).resolve()]
        h = hashlib.sha256()
        for path in sorted(seen):
            h.update(os.fsencode(os.path.relpath(path, HERE)) + b"\0" + hashlib.sha256(seen[path]).digest())
        return h.hexdigest()


def shown(path):
    """The path as one who stands in the repository says it."""
    return os.path.relpath(path, ROOT)


# Image is a file for one architecture: what is to be made, and after that what was.
Image = collections.namedtuple("Image", "source arch key state target")


class Folder:
    """Where the images of one compiler are kept, with the state that says what they were made from."""

    def __init__(self, out, compiler, keep):
        self.out, self.compiler, self.keep = out, compiler, keep
        self.state = out / ".state" / ("kept" if keep else "checked")
        self.state.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def locked(self, name="lock"):
        """Held for moments only, so that several runs can work side by side; with an image's name while that is compiled."""
        with open(self.state.parent / name, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def image(self, source, arch):
        made_from = [FORMAT, self.compiler.identity, source.options, arch, source.digest()]
        key = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()
        ending = "ptx" if arch.startswith("compute_") else "cubin"
        return Image(source, arch, key, self.state / f"{source.name}.{arch}.json", self.out / f"{source.name}.{arch}.{ending}.xz")

    def read(self, image):
        """The state of an image that is up to date, else None."""
        try:
            state = json.loads(image.state.read_text())
        except (OSError, ValueError):
            return None
        if state.get("key") != image.key or self.keep and not image.target.exists() and not self.twin(image, state):
            return None
        return state

    def twin(self, image, state):
        """Whether another image serves in this one's place: sm_90's for sm_90a, if they differ in that name alone."""
        if not image.arch.endswith("a"):
            return False
        other = self.read(self.image(image.source, image.arch[:-1]))
        return other is not None and other["body"] == state["body"]

    def spare(self, images):
        """Removes images that have a twin."""
        for image in images:
            state = image.target.exists() and self.read(image)
            if state and self.twin(image, state):
                image.target.unlink()

    def drop(self, image):
        image.state.unlink(missing_ok=True)
        if self.keep:
            image.target.unlink(missing_ok=True)

    def sweep(self, images):
        """Removes what is left of sources that are gone."""
        known = {p for i in images for p in (i.state, i.target)}
        for path in [*self.state.glob("*.json"), *(self.out.glob("*.*.*.*") if self.keep else [])]:
            if path not in known:
                path.unlink(missing_ok=True)


def pack(code, arch):
    """Compressed as acumen reads it: with a dictionary no larger than what is in it, which the reader must allocate."""
    size = max(4096, 1 << (len(code) - 1).bit_length())
    shape = {"lc": 0, "lp": 4, "pb": 4} if arch.startswith("sm_") else {}  # instructions have 16 bytes
    lzma2 = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": size, **shape}
    return lzma.compress(code, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=[lzma2])


def body(code):
    """The hash of a cubin without the ELF header's flags, which name the architecture; of PTX as it is."""
    return hashlib.sha256(code if code[:4] != b"\x7fELF" else code[:48] + code[52:]).hexdigest()


def write(path, data):
    temp = path.with_name(f".{path.name}.{os.getpid()}")
    temp.write_bytes(data)
    temp.replace(path)


class Cache:
    """What was compiled before, from the same sources by the same compiler, in any clone: a full compile takes long."""

    DAYS = 30  # an image that was not asked for so long is dropped

    @staticmethod
    def folder():
        root = os.environ.get("ACUMEN_CUDA_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "acumen")
        return pathlib.Path(root) / "cubins"

    @classmethod
    def get(cls, key, keep):
        place = cls.folder() / key
        try:
            head, _, packed = place.read_bytes().partition(b"\n")
            state = json.loads(head)
            if state["key"] != key or keep and zlib.crc32(packed) != state.pop("crc32"):
                return None
            os.utime(place)
        except (OSError, ValueError, KeyError):
            return None
        return state, packed

    @classmethod
    def put(cls, key, state, packed):
        try:
            cls.folder().mkdir(parents=True, exist_ok=True)
            for old in cls.folder().iterdir():
                if time.time() - old.stat().st_mtime > cls.DAYS * 86400:
                    old.unlink(missing_ok=True)
            write(cls.folder() / key, json.dumps({**state, "crc32": zlib.crc32(packed)}).encode() + b"\n" + packed)
        except OSError as e:
            tell(f"kernels: not kept for other clones: {e}")


def make(folder, image):
    """Compiles one image, in a process of the pool. Returns (failed, log). The state keeps the seconds of processor time."""
    with folder.locked(f"{image.state.name}.{folder.state.name}.lock"):
        return make_alone(folder, image)


def make_alone(folder, image):
    if folder.read(image):
        return False, ""  # another run has made it by now
    begin, source = sum(os.times()[:4]), image.source
    known = Cache.get(image.key, folder.keep)
    if known:
        state, packed = known
        with folder.locked():
            if folder.keep:
                write(image.target, packed)
            write(image.state, json.dumps(state).encode())
        return False, ""
    failed, code, log = folder.compiler.compile(source.path, shown(source.path), image.arch, source.options)
    if failed:
        return True, log
    kernels = resources.read(log, code if image.arch.startswith("sm_") else b"")
    wrong = [k for k in kernels if k.startswith("_Z")]
    if wrong:
        return True, f"{shown(source.path)}: kernel {wrong[0]} is not declared with KERNEL(name, threads, P)"
    state = {"key": image.key, "seconds": round(sum(os.times()[:4]) - begin, 2), "bytes": len(code), "body": body(code), "kernels": kernels}
    if image.arch.startswith("compute_"):
        state["ptx"] = re.search(rb"^\.version (\S+)", code, re.M)[1].decode()
    packed = pack(code, image.arch) if folder.keep else b""
    with folder.locked():
        if not source.path.exists() or folder.image(Source(source.path), image.arch).key != image.key:
            return True, f"{shown(source.path)} changed while it was compiled: run this again"
        if folder.keep:
            write(image.target, packed)
        write(image.state, json.dumps(state).encode())
    Cache.put(image.key, state, packed)
    return False, resources.strip(log)


def run(folder, images, jobs):
    """Compiles images side by side, prints what the compiler says as it comes, and returns those that failed."""
    said, failed, at = set(), [], time.monotonic()
    # One architecture of each file comes first, for early errors, and then the biggest files: none is left for the end.
    images = sorted(images, key=lambda i: (i.arch != "sm_90", -len(i.source.text), i.source.name, ARCHS.index(i.arch)))
    with concurrent.futures.ProcessPoolExecutor(max_workers=jobs, initializer=in_child) as pool, ended_with(pool):
        tasks = {pool.submit(make, folder, i): i for i in images}
        for n, done in enumerate(concurrent.futures.as_completed(tasks), 1):
            image = tasks[done]
            try:
                bad, log = done.result()
            except concurrent.futures.process.BrokenProcessPool:
                bad, log = True, "the compiler crashed on this file, or on one that was compiled beside it"
            if bad:
                failed.append(image)
            if log.strip() and (image.source.name, log) not in said:  # the same for each architecture, mostly
                said.add((image.source.name, log))
                tell(f"{shown(image.source.path)} for {image.arch}:\n  " + log.strip().replace("\n", "\n  "))
                needs = re.search(r"requires \.target sm_(\d+)", log)
                if needs:
                    tell(f"  (guard it with __CUDA_ARCH__ >= {needs[1]}0, or begin the file with '// arch: >={needs[1]}')")
            if time.monotonic() - at > 15:
                at = time.monotonic()
                tell(f"kernels: {n} of {len(images)} images")
    return failed


def in_child():
    for n in (signal.SIGINT, signal.SIGTERM):
        signal.signal(n, signal.SIG_DFL)  # a compile can't be asked to stop


@contextlib.contextmanager
def ended_with(pool):
    """Ends the pool's processes, and does not wait for what they compile, when this run is told to end."""
    try:
        yield
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        pool.shutdown(wait=False)
        raise


def tell(text):
    print(text, file=sys.stderr, flush=True)


def write_index(folder, sources, all_images):
    """Lists what is up to date, whether made now or before."""
    files = {}
    for source in sources:
        states = {i.arch: s for i in all_images if i.source is source and i.target.exists() for s in [folder.read(i)] if s}
        if states:
            found = {k for s in states.values() for k in s["kernels"]}
            names = [k for k in source.declared if k in found or not found]
            files[source.name] = {"kernels": names + sorted(found - set(names)), "archs": [a for a in ARCHS if a in states]}
            if "compute_80" in states:
                files[source.name]["ptx"] = states["compute_80"]["ptx"]
    index = {"compiler": folder.compiler.name, "driver": folder.compiler.driver, "files": files}
    write(folder.out / "index.json", (json.dumps(index, indent=1) + "\n").encode())


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], epilog=__doc__.split("\n\n", 1)[1],
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("files", nargs="*", help="only these .cu files (default: all of cuda/kernels)")
    p.add_argument("--arch", help=f"only these, with commas between them (default: {','.join(ARCHS)})")
    p.add_argument("--resources", action="store_true", help="print registers, spills, shared memory and occupancy (default: sm_90); exit status 1 if a hot kernel spills")
    p.add_argument("--compiler", choices=["12", "13"], default="12", help="13: compile with nvcc 13.x as a check, and keep nothing")
    p.add_argument("--toolkit", help="the compiler's folder (default: what cuda/toolchain.sh prints)")
    p.add_argument("--jobs", type=int, default=min(os.cpu_count() or 2, 16), help="compiles side by side (default: %(default)s)")
    p.add_argument("--out", type=pathlib.Path, default=HERE / "cubin", help="where to write (default: cuda/kernels/cubin)")
    args = p.parse_args()

    names = args.arch.split(",") if args.arch else ["sm_90"] if args.resources else ARCHS
    for a in names:
        if a not in ARCHS:
            p.error(f"--arch {a}: known are {' '.join(ARCHS)}")
    toolkit = args.toolkit
    if not toolkit:
        found = subprocess.run([ROOT / "cuda/toolchain.sh", args.compiler], stdout=subprocess.PIPE, text=True)
        if found.returncode:
            return found.returncode  # it has said why
        toolkit = found.stdout.strip()
    compiler = compilers.find(pathlib.Path(toolkit).resolve(), HERE)
    lacking = [a for a in names if a not in compiler.archs]
    if lacking:
        tell(f"compile.py: {compiler.name} knows no {', '.join(lacking)}: left out (12.8 to 13.x know all)")

    begin, keep = time.monotonic(), args.compiler == "12"
    args.out.mkdir(parents=True, exist_ok=True)
    folder = Folder(args.out, compiler, keep)
    paths = sorted(HERE.glob("*.cu"))
    sources = [Source(path) for path in paths]
    chosen = {pathlib.Path(f).resolve() for f in args.files} or set(paths)
    for f in chosen - set(paths):
        p.error(f"{f}: no such file in {shown(HERE)}")
    with folder.locked():
        everything = [folder.image(s, a) for s in sources for a in ARCHS if a in compiler.archs and s.wants(a)]
        wanted = [i for i in everything if i.source.path in chosen and i.source.asked(i.arch, names)]
        stale = [i for i in everything if folder.read(i) is None]
        for i in stale:
            folder.drop(i)
        folder.sweep(everything)
    todo = [i for i in wanted if i in stale]
    failed = run(folder, todo, args.jobs)
    with folder.locked():
        # Another run may be at work on files that are newer: what is listed is what is true now.
        sources = [Source(path) for path in sorted(HERE.glob("*.cu"))]
        everything = [folder.image(s, a) for s in sources for a in ARCHS if a in compiler.archs and s.wants(a)]
        if keep:
            folder.spare(everything)
        size = sum(i.target.stat().st_size for i in everything if i.target.exists()) if keep else 0
        if keep:
            write_index(folder, sources, everything)
        states = {(i.source, i.arch): s for i in everything if i.source.path in chosen and i.source.asked(i.arch, names) for s in [folder.read(i)] if s}

    kept = f", {size / 1e6:.2f} MB in {shown(args.out)}" if keep else ", nothing kept"
    tell(f"kernels: {len({i.source for i in wanted})} files, {len(wanted)} images with {compiler.name}: {len(todo) - len(failed)} made, "
          f"{len(wanted) - len(todo)} up to date{kept}, {time.monotonic() - begin:.1f} s")
    status = 0
    if failed:
        by_file = collections.defaultdict(list)
        for i in sorted(failed, key=lambda i: (i.source.name, ARCHS.index(i.arch))):
            by_file[shown(i.source.path)].append(i.arch)
        tell("compile.py: failed: " + "; ".join(f"{f} ({', '.join(a)})" for f, a in by_file.items()))
        status = 1
    if args.resources:
        status = resources.table(states, shown) or status
    return status


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
