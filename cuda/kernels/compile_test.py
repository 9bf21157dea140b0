"""Tests of compile.py: python3 -m unittest discover -s cuda/kernels -p '*_test.py'. They fetch the compiler if need be."""

import json
import lzma
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import compile as build  # noqa: E402
import resources  # noqa: E402

LOG = """\
ptxas info    : 1 bytes gmem
ptxas info    : Compiling entry function 'two' for 'sm_90'
ptxas info    : Function properties for two
ptxas         .     40 bytes stack frame, 20 bytes spill stores, 32 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 48 bytes cumulative stack size, 1200 bytes smem
ptxas info    : Compile time = 68.884 ms
ptxas info    : Function properties for helper, which two calls
    8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
ptxas info    : Compiling entry function 'one' for 'sm_90'
ptxas info    : Function properties for one
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, used 0 barriers
x.cu(3): warning #177-D: variable "q" was declared but never referenced
"""

HEADER = """\
#define KERNEL(name, threads, P) extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ P p)
struct P { float *y; };
"""


def needs(threads, registers, shared=0):
    return dict(threads=threads, registers=registers, shared=shared)


class Resources(unittest.TestCase):
    def test_log(self):
        kernels = resources.read(LOG, b"")
        self.assertEqual(list(kernels), ["two", "one"])
        self.assertEqual(kernels["two"], dict(registers=40, spill_stores=24, spill_loads=36, stack=48, shared=1200, threads=0))
        self.assertEqual(kernels["one"]["registers"], 10)
        self.assertEqual(resources.strip(LOG), LOG.splitlines()[-1])

    def test_occupancy(self):
        # By hand from the limits of the SM: what the registers, the warps, the blocks or the shared memory allow.
        for arch, k, dynamic, want in [
            ("sm_90", needs(256, 32), 0, (8, 64, 64)),
            ("sm_90", needs(256, 38), 0, (6, 48, 64)),  # 40 x 32 registers a warp: 12 in each of 4 files
            ("sm_90", needs(1024, 64), 0, (1, 32, 64)),
            ("sm_90", needs(32, 16), 0, (32, 32, 64)),  # 32 blocks
            ("sm_90", needs(256, 32), 100 * 1024, (2, 16, 64)),  # 228 KB, 1 KB of each block for the system
            ("sm_90", needs(256, 32, 40000), 0, (5, 40, 64)),
            ("sm_90a", needs(384, 168), 0, (1, 12, 64)),
            ("sm_80", needs(256, 32), 100 * 1024, (1, 8, 64)),
            ("sm_75", needs(256, 32), 32 * 1024, (2, 16, 32)),
            ("sm_120", needs(1024, 32), 0, (1, 32, 48)),
        ]:
            self.assertEqual(resources.occupancy(arch, k, dynamic), want, (arch, k, dynamic))

    def test_launch_bounds_of_what_is_no_cubin(self):
        self.assertEqual(resources.launch_bounds(b""), {})
        self.assertEqual(resources.launch_bounds(b".version 8.0"), {})


class Comments(unittest.TestCase):
    def source(self, text):
        with tempfile.TemporaryDirectory() as d:
            path = pathlib.Path(d, "k.cu")
            path.write_text(text)
            return build.Source(path)

    def test_head(self):
        s = self.source("// Title.\n// options: -fmad=false -DX=1\n\n// arch: >=90 80\n#include <a>\n// options: -no\n// arch: 75\n")
        self.assertEqual(s.options, ["-fmad=false", "-DX=1"])
        self.assertEqual([a for a in build.ARCHS if s.wants(a)], ["sm_80", "sm_90", "sm_90a", "sm_100", "sm_120", "compute_80"])
        self.assertEqual([a for a in build.ARCHS if self.source("// arch: 90a\n").wants(a)], ["sm_90a"])
        self.assertEqual([a for a in build.ARCHS if self.source("int x;\n// arch: 90a\n").wants(a)], build.ARCHS)
        with self.assertRaisesRegex(SystemExit, "k.cu.*'// arch: sm_80'"):
            self.source("// arch: sm_80\n")

    def test_hot(self):
        s = self.source("// hot\nKERNEL(a, 32, P) {}\n// hot shared=512\n KERNEL(b, 32, P) {}\nKERNEL(c, 32, P) {}\n// hot: d e\n// hotter\n")
        self.assertEqual(s.hot, {"a": 0, "b": 512, "d": 0, "e": 0})
        self.assertEqual(s.declared, ["a", "b", "c"])
        with self.assertRaisesRegex(SystemExit, "k.cu:1: '// hot'"):
            self.source("// hot\n\nKERNEL(a, 32, P) {}\n")


class Compile(unittest.TestCase):
    """Runs compile.py on a folder of its own."""

    def setUp(self):
        self.temp = tempfile.TemporaryDirectory()
        self.addCleanup(self.temp.cleanup)
        self.root = pathlib.Path(self.temp.name)
        self.folder = self.root / "cuda/kernels"
        self.folder.mkdir(parents=True)
        for f in build.HERE.glob("*.py"):
            shutil.copy(f, self.folder)
        shutil.copy(build.ROOT / "cuda/toolchain.sh", self.root / "cuda")
        self.put("k.cuh", HEADER)

    def put(self, name, text):
        (self.folder / name).write_text(text)

    def run_it(self, *args):
        r = subprocess.run([sys.executable, self.folder / "compile.py", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return r.returncode, r.stdout

    def index(self):
        return json.loads((self.folder / "cubin/index.json").read_text())["files"]

    def test_also(self):
        self.put("both.cu", '// also: 90a\n#include "k.cuh"\n#ifdef __CUDA_ARCH_FEAT_SM90_ALL\n#define V 2\n#else\n#define V 1\n#endif\nKERNEL(plain, 128, P) { p.y[threadIdx.x] = V; }\n')
        self.assertIn("1 made", self.run_it("--arch", "sm_75")[1])
        self.assertIn("2 made", self.run_it("--arch", "sm_90")[1])
        self.assertEqual(self.index()["both"]["archs"], ["sm_75", "sm_90", "sm_90a"])

    def test_images(self):
        self.put("good.cu", '#include "k.cuh"\n#define K(n) KERNEL(n##_k, 96, P) { __shared__ float s[40]; s[threadIdx.x % 40] = p.y[0]; __syncthreads(); p.y[threadIdx.x] = s[39] * INFINITY; }\n'
                            "KERNEL(plain, 128, P) { p.y[threadIdx.x] = 1; }\nK(made)\n")
        status, said = self.run_it("--arch", "sm_75,sm_90,compute_80")
        self.assertEqual(status, 0, said)
        self.assertIn("3 made", said)
        self.assertEqual(self.index()["good"]["kernels"], ["plain", "made_k"])
        self.assertEqual(self.index()["good"]["archs"], ["sm_75", "sm_90", "compute_80"])
        cubin = lzma.decompress((self.folder / "cubin/good.sm_90.cubin.xz").read_bytes())
        self.assertEqual(struct.unpack_from("<4sBBBxxxxxxxxxHH", cubin)[5], 190, "the machine is EM_CUDA")
        self.assertEqual(resources.launch_bounds(cubin), {"plain": 128, "made_k": 96})
        self.assertIn(b".version " + self.index()["good"]["ptx"].encode(), lzma.decompress((self.folder / "cubin/good.compute_80.ptx.xz").read_bytes()))

        # Nothing to do; then a header that is included changes, and images of the old one are gone from the index.
        self.assertIn("0 made, 3 up to date", self.run_it("--arch", "sm_75,sm_90,compute_80")[1])
        self.put("k.cuh", HEADER + "// changed\n")
        self.assertIn("1 made, 0 up to date", self.run_it("--arch", "sm_90")[1])
        self.assertEqual(self.index()["good"]["archs"], ["sm_90"])
        self.assertEqual([f.name for f in self.folder.glob("cubin/*.xz")], ["good.sm_90.cubin.xz"])
        self.put("other.cu", '#include "k.cuh"\nKERNEL(other, 32, P) {}\n')
        (self.folder / "good.cu").unlink()
        self.run_it("--arch", "sm_90")
        self.assertEqual(list(self.index()), ["other"])
        self.assertEqual([f.name for f in self.folder.glob("cubin/*.xz")], ["other.sm_90.cubin.xz"])

    def test_twins(self):
        # What compiles to the same for sm_90a as for sm_90 is kept once.
        self.put("same.cu", '#include "k.cuh"\nKERNEL(same, 32, P) { p.y[0] = 1; }\n')
        self.put("other.cu", '#include "k.cuh"\nKERNEL(other, 32, P) {\n#ifdef __CUDA_ARCH_FEAT_SM90_ALL\np.y[0] = 1;\n#endif\n}\n')
        self.run_it("--arch", "sm_90a")
        self.assertEqual({f: i["archs"] for f, i in self.index().items()}, {"same": ["sm_90a"], "other": ["sm_90a"]})
        for made in ["2 made, 2 up to date", "0 made, 4 up to date"]:
            self.assertIn(made, self.run_it("--arch", "sm_90,sm_90a")[1])
            self.assertEqual({f: i["archs"] for f, i in self.index().items()}, {"same": ["sm_90"], "other": ["sm_90", "sm_90a"]})
            self.assertEqual(len(list(self.folder.glob("cubin/*.xz"))), 3)

    def test_failures(self):
        self.put("good.cu", '#include "k.cuh"\nKERNEL(good, 128, P) {}\n')
        self.put("bad.cu", '#include "k.cuh"\nKERNEL(bad, 128, P) { p.y[0] = nothing; }\n')
        self.put("late.cu", '#include "k.cuh"\nKERNEL(late, 128, P) { asm volatile("cp.async.wait_all;"); }\n')
        self.put("raw.cu", "__global__ void raw(float *y) { y[0] = 1; }\n")
        status, said = self.run_it("--arch", "sm_75,sm_80")
        self.assertEqual(status, 1, said)
        self.assertEqual(said.count("cuda/kernels/bad.cu for sm_"), 1, "the same words for two architectures")
        self.assertIn('cuda/kernels/bad.cu(2): error: identifier "nothing" is undefined', said)
        self.assertIn("// arch: >=80", said)
        self.assertIn("kernel _Z3rawPf is not declared with KERNEL", said)
        self.assertIn("failed: cuda/kernels/bad.cu (sm_75, sm_80); cuda/kernels/late.cu (sm_75); cuda/kernels/raw.cu (sm_75, sm_80)", said)
        self.assertEqual({f: i["archs"] for f, i in self.index().items()}, {"good": ["sm_75", "sm_80"], "late": ["sm_80"]})

    def test_spill(self):
        body = "{ float z[120]; _Pragma(\"unroll\") for (int i = 0; i < 120; i++) z[i] = p.y[i * 1024 + threadIdx.x]; __syncthreads(); _Pragma(\"unroll\") for (int i = 0; i < 120; i++) p.y[i * 1024 + threadIdx.x] = z[119 - i] * z[i]; }\n"
        self.put("cold.cu", '#include "k.cuh"\nKERNEL(cold, 1024, P) ' + body)
        status, said = self.run_it("--resources")
        self.assertEqual(status, 0, said)
        self.assertRegex(said, r"(?m)^cold +cold +sm_90 +1024 +64 +\d+/\d+ .* 32/64 +50 %$")
        self.put("warm.cu", '#include "k.cuh"\n// hot\nKERNEL(warm, 1024, P) ' + body)
        status, said = self.run_it("--resources")
        self.assertEqual(status, 1, said)
        self.assertRegex(said, r"cuda/kernels/warm.cu: hot kernel warm spills on sm_90: [1-9]\d*/\d+ bytes")
        self.put("warm.cu", '#include "k.cuh"\n// hot: typo\nKERNEL(warm, 32, P) {}\n')
        status, said = self.run_it("--resources")
        self.assertEqual(status, 1, said)
        self.assertIn("names typo, which is no kernel of it", said)


if __name__ == "__main__":
    unittest.main()
