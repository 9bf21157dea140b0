"""Tests of the images that on-debootstrap.sh built, started as a container engine starts them. It needs root."""

import json
import os
import pathlib
import re
import shutil
import signal
import stat
import tempfile
import time
import unittest

import container

WORK = pathlib.Path(os.environ["ACUMEN_CONTAINER_WORK"])
PURE_GO = os.environ["ACUMEN_CONTAINER_PURE_GO"] == "1"
VERSION = os.environ["ACUMEN_CONTAINER_VERSION"]
IMAGES = container.load(WORK / "images.json")
SIM = pathlib.Path(__file__).resolve().parent.parent.parent / "build/sim"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"

# lenet5 on the MNIST that is in the program; a row of metrics every 5 steps shows where it is.
STEPS = 200
TRAIN = ["train", "mnist/lenet5", "--run", "runs/job", "--resume=auto", "--progress", "plain", "--set", "trainer.log_every=5"]
TRAIN_ALL = [*TRAIN, "--set", f"trainer.max_steps={STEPS}"]


def tensors(path):
    """All numbers of a checkpoint: what comes after the header and its length."""
    data = path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little") :]


class Fixture(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=WORK, prefix="test-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.volumes = self.new_volumes("")

    def new_volumes(self, name):
        """As a container engine makes new volumes: with the owner and mode of the image's folder."""
        volumes = {}
        for path in IMAGES["runtime-slim"]["volumes"]:
            at = self.dir / (name + path.strip("/"))
            at.mkdir()
            at.chmod(0o1777)
            volumes[path] = at
        return volumes

    def start(self, args=None, image="runtime-slim", **more):
        more.setdefault("volumes", self.volumes)
        c = container.Container(IMAGES[image], self.dir / "root", args, **more)
        self.addCleanup(self.end, c)
        return c

    @staticmethod
    def end(c):
        if c.process.poll() is None:
            c.process.kill()  # --kill-child ends what is in it
        c.process.stdout.close()
        c.process.wait()

    def sh(self, script, **more):
        return self.start([script], entrypoint=["/bin/sh", "-c"], **more).wait()

    def await_rows(self, c, n):
        """Waits until a run has written n rows of metrics."""
        path = self.volumes["/runs"] / "job/metrics.jsonl"
        deadline = time.monotonic() + 180
        while not (path.exists() and path.read_text().count("\n") >= n):
            if c.process.poll() is not None or time.monotonic() > deadline:
                self.fail(f"no {n} rows of metrics: {c.wait(1)}")
            time.sleep(0.02)


class ContainerTest(Fixture):
    def test_version_and_help(self):
        for name in IMAGES:
            self.assertEqual(IMAGES[name]["labels"]["org.opencontainers.image.version"], VERSION)
            status, out = self.start(["version"], image=name).wait()
            self.assertEqual((status, out.split()[:2]), (0, ["acumen", VERSION]), out)
            status, out = self.start(image=name).wait()
            self.assertEqual(status, 0)
            self.assertIn("acumen train", out)

    def test_not_root_by_default(self):
        for image in IMAGES.values():
            self.assertRegex(image["user"], r"^[1-9]\d*:[1-9]\d*$")  # Kubernetes' runAsNonRoot needs a number

    def test_stop_and_go_on(self):
        """Process 1 takes SIGTERM: it saves, ends with 143, and goes on to the weights of a run that nobody stopped."""
        c = self.start(TRAIN_ALL)
        self.await_rows(c, 8)
        pid = c.init()
        self.assertEqual(c.status(pid, "NSpid").split()[-1], "1")
        self.assertEqual(c.status(pid, "Uid").split(), ["12345"] * 4)
        self.assertEqual(c.status(pid, "Gid").split(), ["12345"] * 4)
        self.assertEqual(c.status(pid, "Groups"), "")
        for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(c.status(pid, caps), 16), 0, caps)
        c.kill(signal.SIGTERM)
        status, out = c.wait()
        self.assertEqual(status, 143, out)
        self.assertIn("hint: go on with: acumen train --run runs/job --resume", out)
        job = self.volumes["/runs"] / "job"
        self.assertTrue((job / "last.safetensors").exists())
        self.assertFalse((job / "result.json").exists())
        told = re.search(r"stopped after step (\d+): terminated; saved in runs/job/last.safetensors", out)
        self.assertTrue(told, out)
        self.assertTrue(40 <= int(told[1]) < STEPS, told[0])

        status, out = self.start(TRAIN_ALL).wait()
        self.assertEqual(status, 0, out)
        self.assertEqual(json.loads((job / "result.json").read_text())["Steps"], STEPS)
        self.assertEqual(len(json.loads((job / "environment.json").read_text())), 2, "both starts are told of")

        whole = self.new_volumes("whole-")
        status, out = self.start(TRAIN_ALL, volumes=whole).wait()
        self.assertEqual(status, 0, out)
        # Only how many seconds it took is another number.
        self.assertEqual(tensors(job / "last.safetensors"), tensors(whole["/runs"] / "job/last.safetensors"))

        # A third start shows the result, and ends at once.
        began = time.monotonic()
        status, out = self.start(TRAIN_ALL).wait()
        self.assertEqual(status, 0, out)
        self.assertIn("acumen predict runs/job/best.safetensors", out)
        self.assertLess(time.monotonic() - began, 20)

        # All that was written lies in the volume of runs, and is of the user.
        for name in ("/data", "/cache"):
            self.assertEqual(list(self.volumes[name].iterdir()), [])
        for path in [job, *job.iterdir()]:
            self.assertEqual(path.stat().st_uid, 12345, path)

    def test_interrupt(self):
        c = self.start(TRAIN)
        self.await_rows(c, 1)
        c.kill(signal.SIGINT)
        status, out = c.wait()
        self.assertEqual(status, 130, out)

    def test_other_statuses(self):
        """2 and 3 are not mended by starting again; the page on containers tells schedulers so."""
        status, out = self.start(["train", "--set", "trainer.epoch=3"]).wait()
        self.assertEqual(status, 2, out)
        status, out = self.start([*TRAIN, "--set", "trainer.optimizer={name: sgd, lr: 1e30}"]).wait()
        self.assertEqual(status, 3, out)
        status, out = self.start(["train", "--device", "cuda:0"]).wait()
        self.assertEqual(status, 2, out)

    def test_read_only(self):
        """Nothing can be written but in the volumes, and a run that tries says so."""
        status, out = self.sh("for d in / /tmp /root /usr/local/bin /etc /var /var/tmp /home; do touch $d/x 2>/dev/null && echo $d; done; "
                              "touch /data/x /runs/x /cache/x && echo $HOME")
        self.assertEqual((status, out), (0, "/cache\n"))
        status, out = self.start(["train", "--run", "/job"]).wait()
        self.assertEqual(status, 1, out)
        self.assertIn("read-only file system", out)
        self.assertIn("hint:", out)

    def test_any_user(self):
        for user in ("65532:65532", "1000:1000", "2000000000:0"):
            volumes = self.new_volumes(user.partition(":")[0] + "-")
            status, out = self.start(["train", "--smoke"], user=user, volumes=volumes).wait()
            self.assertEqual(status, 0, out)
            self.assertIn("smoke test passed", out)

    def test_no_compiler(self):
        """Nothing that NVIDIA's licence keeps from being passed on is in an image, and no tool of the build."""
        banned = re.compile(r"nvcc|ptxas|cicc|nvlink|fatbinary|nvrtc|libnvvm|cuobjdump|nvdisasm|libcudart|libcuda\.so|cuda\.h$"
                            r"|/gcc(-\d+)?$|/cc1$|/python3|/go$|/pip|/toolchain\.sh$")
        for name, image in IMAGES.items():
            files = [str(p) for layer in image["layers"] for p in pathlib.Path(layer).rglob("*") if not p.is_dir()]
            self.assertGreater(len(files), 1000)
            self.assertEqual([f for f in files if banned.search(f)], [], name)

    def test_no_set_uid_files_added(self):
        for image in IMAGES.values():
            for layer in image["layers"][1:]:
                for p in pathlib.Path(layer).rglob("*"):
                    self.assertFalse(p.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID), p)

    @unittest.skipIf("runtime" not in IMAGES, "--no-cublas was given")
    def test_cublas(self):
        """The two libraries and their licence are there, and the base has all that they are linked to."""
        status, out = self.sh("ldd $ACUMEN_CUBLAS; ldd ${ACUMEN_CUBLAS%/*}/libcublasLt.so.12; cat /usr/share/doc/nvidia-cublas-cu12/License.txt",
                              image="runtime")
        self.assertEqual(status, 0, out)
        needed = out.partition("NVIDIA")[0]
        # cuBLAS is linked to its other half, which acumen loads first.
        self.assertEqual([line.split()[0] for line in needed.splitlines() if "not found" in line], [], out)
        self.assertIn("libcublasLt.so.12", needed)
        self.assertIn("End User License Agreement", out)

    def test_healthy_without_a_gpu(self):
        c = self.start(TRAIN)
        self.await_rows(c, 1)
        status, out = c.exec(IMAGES["runtime-slim"]["health"])
        self.assertEqual(status, 0, out)
        self.assertIn("cpu ", out)
        c.kill()
        self.assertEqual(c.wait()[0], 143)

    def test_unhealthy(self):
        """A container that has a device node of the driver, or was told to use a GPU, needs a GPU that works."""
        healthy = IMAGES["runtime-slim"]["health"]
        status, out = self.start([], entrypoint=healthy, driver={"/dev/nvidiactl": ""}).wait()
        self.assertEqual(status, 1, out)
        self.assertIn("no usable device cuda:", out)
        status, out = self.start([], entrypoint=healthy, env={"ACUMEN_DEVICE": "cuda:0"}).wait()
        self.assertEqual(status, 1, out)
        status, out = self.start([], entrypoint=healthy, driver={"/dev/nvidiactl": ""}, env={"ACUMEN_DEVICE": "cpu"}).wait()
        self.assertEqual(status, 0, out)


@unittest.skipIf(PURE_GO, "--pure-go was given")
class GPUTest(Fixture):
    """The stand-in driver of cuda/sim, mounted where NVIDIA's toolkit mounts the driver."""

    def setUp(self):
        super().setUp()
        if not (SIM / "libcuda.so.1").exists():
            self.fail(f"{SIM} has no stand-in driver: `make sim` builds it")
        self.driver = {"/dev/nvidiactl": "", "/dev/nvidia0": "", LIBRARIES + "/libcuda.so.1": SIM / "libcuda.so.1"}
        self.blas = self.driver | {LIBRARIES + "/libcublas.so.12": SIM / "libcublas.so.12"}

    def test_no_driver(self):
        status, out = self.start(["devices"]).wait()
        self.assertEqual(status, 0)
        self.assertRegex(out, r"cuda:0 +not usable: .*libcuda\.so\.1")

    def test_healthy(self):
        status, out = self.start([], entrypoint=IMAGES["runtime-slim"]["health"], driver=self.driver).wait()
        self.assertEqual(status, 0, out)
        self.assertRegex(out, r"^cuda:0 ")
        status, out = self.start([], entrypoint=IMAGES["runtime-slim"]["health"], driver=self.driver, env={"CUDA_VISIBLE_DEVICES": "-1"}).wait()
        self.assertEqual(status, 1, out)

    def train(self, image, driver, **more):
        """Stops a run on the GPU in the middle, and goes on."""
        args = [*TRAIN, "--device", "cuda:0", "--set", "trainer.max_steps=30", "--set", "trainer.batch=16", "--set", "trainer.epochs=1"]
        c = self.start(args, image, driver=driver, **more)
        self.await_rows(c, 2)
        c.kill()
        status, out = c.wait()
        self.assertEqual(status, 143, out)
        status, again = self.start(args, image, driver=driver, **more).wait(900)
        self.assertEqual(status, 0, again)
        self.assertIn("device cuda:0, ", again)
        return again

    def test_train(self):
        self.assertIn("no cuBLAS: products by kernels of acumen", self.train("runtime-slim", self.driver))

    @unittest.skipIf("runtime" not in IMAGES, "--no-cublas was given")
    def test_train_with_a_cublas(self):
        # NVIDIA's needs NVIDIA's driver; the stand-in's own takes its place.
        self.assertIn("cuBLAS", self.train("runtime", self.blas, env={"ACUMEN_CUBLAS": LIBRARIES + "/libcublas.so.12"}))


def terminated(*_):
    raise KeyboardInterrupt


def setUpModule():
    signal.signal(signal.SIGTERM, terminated)  # containers end with their tests
