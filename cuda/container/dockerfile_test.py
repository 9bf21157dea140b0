"""Tests of dockerfile.py, and of Dockerfile.cuda as far as it needs no build."""

import pathlib
import re
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import dockerfile  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class ParseTest(unittest.TestCase):
    def test_stages(self):
        a, b = dockerfile.parse(
            "# a comment\nARG BASE=debian:12\nFROM ${BASE} AS a\nRUN one \\\n# between\n && two\n\nfrom a as b\nCOPY --from=a --chmod=0755 /x y/ /z/\n"
            'ENTRYPOINT ["p", "q r"]\nRUN echo "$HOME"\n')
        self.assertEqual((a.base, a.name, b.base, b.name), ("debian:12", "a", "a", "b"))
        self.assertEqual([(i.line, i.name, i.text) for i in a.instructions], [(4, "RUN", "one  && two")])
        copy, entry, run = b.instructions
        self.assertEqual((copy.flags, copy.words()), ({"from": "a", "chmod": "0755"}, ["/x", "y/", "/z/"]))
        self.assertEqual(entry.command(), ["p", "q r"])
        self.assertEqual(run.command(), ["/bin/sh", "-c", 'echo "$HOME"'])

    def test_build_argument(self):
        (a,) = dockerfile.parse("ARG BASE=x\nFROM $BASE\n", {"BASE": "y"})
        self.assertEqual((a.base, a.name), ("y", "0"))

    def test_pairs(self):
        (a,) = dockerfile.parse('FROM x\nENV A=1 \\\n    B="two words" C=$A\n')
        self.assertEqual(list(a.instructions[0].pairs()), [("A", "1"), ("B", "two words"), ("C", "$A")])

    def test_mistakes(self):
        for text, says in {
            "FROM x\nADD a b\n": "line 2: ADD is not known here",
            "RUN x\n": "line 1: RUN before the first FROM",
            "FROM x\nRUN a \\\n": "line 2: the file ends",
            "FROM x\nRUN --mount=type=secret x\n": "line 2: RUN --mount is not known",
            "FROM x\nRUN <<EOF\n": "line 2: RUN with <<EOF",
            "FROM x\nENV A 1\n": "",
            "FROM x AS a\nFROM y AS a\n": "two stages",
            'FROM x\nCMD ["a",]\n': "",
        }.items():
            with self.assertRaisesRegex(dockerfile.Mistake, re.escape(says), msg=text):
                for s in dockerfile.parse(text):
                    for i in s.instructions:
                        list(i.pairs()) if i.name == "ENV" else i.command()

    def test_expand(self):
        values = {"A": "1", "E": ""}
        for text, want in {"$A ${A}b $AB": "1 1b ", "${E:-x} ${U:-y} ${A:-z}": "x y 1", "${A:+s}${E:+t}": "s", r"\$A": "$A"}.items():
            self.assertEqual(dockerfile.expand(text, values), want, text)

    def test_ignore(self):
        keeps = dockerfile.Ignore("*\n!a\n**/t\n**/*_test.go\na/c/*\n!a/c/keep\n# x\n").keeps
        for path, want in {"a": True, "a/b/x.go": True, "a/b/x_test.go": False, "a/t/y": False, "b/x": False, "t": False,
                           "a/c/drop": False, "a/c/keep": True, "ab": False}.items():
            self.assertEqual(keeps(path), want, path)


class DockerfileCudaTest(unittest.TestCase):
    def setUp(self):
        self.stages = {s.name: s for s in dockerfile.parse((ROOT / "Dockerfile.cuda").read_text())}

    def above(self, name):
        """The instructions of a stage and of those that it is from."""
        s = self.stages[name]
        return (self.above(s.base) if s.base in self.stages else []) + s.instructions

    def test_targets(self):
        self.assertEqual(list(self.stages)[-1], "runtime", "what is built without --target")
        for name in ("runtime", "runtime-slim"):
            last = {i.name: i for i in self.above(name)}
            self.assertEqual(last["ENTRYPOINT"].words(), ["acumen"])
            self.assertRegex(last["USER"].text, r"^[1-9]\d*:[1-9]\d*$")
            self.assertEqual(last["STOPSIGNAL"].text, "SIGTERM")
            self.assertEqual(last["VOLUME"].words(), ["/data", "/runs", "/cache"])
            self.assertIn("HEALTHCHECK", last)

    def test_what_images_take(self):
        """Of the stages with compilers an image takes the program, cuBLAS and its licence, and certificates."""
        allowed = {"/src/bin/acumen-cuda", "/out/lib/", "/out/doc/", "/etc/ssl/certs/ca-certificates.crt", "cuda/container/healthcheck.sh"}
        for name in ("runtime", "runtime-slim"):
            for i in self.above(name):
                if i.name == "COPY":
                    self.assertLessEqual(set(i.words()[:-1]), allowed, f"line {i.line}")

    def test_pins_have_hashes(self):
        text = (ROOT / "cuda/container/cublas.txt").read_text()
        self.assertRegex(text, r"(?m)^nvidia-cublas-cu12==[\d.]+ ")
        self.assertEqual(len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", text)), 2)

    def test_go_is_new_enough(self):
        image = self.stages["tools"].base
        have, need = re.search(r"golang:(\d+)\.(\d+)", image).groups(), re.search(r"(?m)^go (\d+)\.(\d+)", (ROOT / "go.mod").read_text()).groups()
        self.assertGreaterEqual(tuple(map(int, have)), tuple(map(int, need)))

    def test_context(self):
        """The context has every file that the program is compiled from, and nothing that was built."""
        keeps = dockerfile.Ignore((ROOT / ".dockerignore").read_text()).keeps
        for path in ("Makefile", "go.mod", "go.sum", "cmd/acumen/main.go", "cuda/cuda.mk", "cuda/toolchain.sh", "cuda/kernels/compile.py",
                     "cuda/kernels/fill.cu", "cuda/driver/lib/libcuda.a", "cuda/driver/compat/cuda.h", "cuda/kernels/cubin/README.md",
                     "configs/mnist/lenet5.yaml", "trainer/data/mnist/LICENSE.md", "internal/fault/fault.go"):
            self.assertTrue((ROOT / path).exists(), path)
            self.assertTrue(keeps(path), path)
        for line in re.findall(r"(?m)^-?include (.*)", (ROOT / "Makefile").read_text()):
            for path in line.split():
                self.assertTrue(keeps(path), f"the Makefile includes {path}: .dockerignore leaves it out")
        for path in (".git/config", "bin/acumen", "build/sim/libcuda.so.1", "runs/lenet5-001/best.safetensors", "data/x", "venv/bin/python",
                     "cuda/kernels/cubin/fill.sm_90.cubin.xz", "cmd/acumen/main_test.go", "cuda/sim/sim.h", "model/testdata/x", ".env"):
            self.assertFalse(keeps(path), path)
        for path in ROOT.rglob("*.go"):
            name = str(path.relative_to(ROOT))
            if not name.startswith(("bench/", "build/", "cuda/sim/")) and not name.endswith("_test.go") and "testdata" not in name:
                self.assertTrue(keeps(name), f"{name}: .dockerignore leaves it out")


if __name__ == "__main__":
    unittest.main()
