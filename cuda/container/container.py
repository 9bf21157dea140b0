"""Starts an image that layers.py built, as a container engine does: a read-only root file system, namespaces of its own
for mounts, processes, network and IPC, any user, no capability, volumes, and the entrypoint as process 1."""

import json
import os
import pathlib
import signal
import subprocess
import time

# The first process of the new namespaces makes the mounts, and becomes the entrypoint by exec: it stays process 1.
# What the NVIDIA container toolkit does, mounting the driver's files and refreshing the linker's cache, is done before
# the root file system becomes read-only, as there.
SETUP = r"""
set -eu
mkdir -p "$WORK/root"; mount -t tmpfs tmpfs "$WORK"
mkdir "$WORK/root" "$WORK/upper" "$WORK/overlay"; root=$WORK/root
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$WORK/upper,workdir=$WORK/overlay" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3; mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/random" c 1 8; mknod -m 666 "$root/dev/urandom" c 1 9
mkdir -m 1777 "$root/dev/shm"; ln -s /proc/self/fd "$root/dev/fd"
for v in $VOLUMES; do mount --bind "${v%%:*}" "$root${v#*:}"; done
for f in $DRIVER; do touch "$root${f#*:}"; [ -z "${f%%:*}" ] || mount --bind -o ro "${f%%:*}" "$root${f#*:}"; done
[ -z "$DRIVER" ] || chroot "$root" /sbin/ldconfig
mount -o remount,ro "$root"
cd /
exec env -i $ENVIRONMENT chroot "$root" /usr/bin/setpriv --reuid="$USER_ID" --regid="$GROUP_ID" --clear-groups \
  --no-new-privs --bounding-set=-all --inh-caps=-all /usr/bin/env --chdir="$WORKDIR" "$@"
"""


class Container:
    """A running container. volumes: {path in it: folder of the machine}; driver: {path in it: file of the machine, or ""
    for an empty file, which stands for a device node}."""

    def __init__(self, image, work, args=None, user="12345:12345", volumes=None, driver=None, env=None, entrypoint=None):
        self.image = image
        self.env = image["env"] | (env or {})
        self.ids = (user + ":0").split(":")[:2]
        argv = (entrypoint or image["entrypoint"]) + (image["cmd"] if args is None and not entrypoint else args or [])
        for path in image["volumes"]:
            if path not in (volumes or {}):
                raise ValueError(f"the image has a volume {path}, for which no folder is given")
        pathlib.Path(work).mkdir(parents=True, exist_ok=True)
        settings = {
            "PATH": os.environ["PATH"],
            "WORK": str(work),
            "LOWER": ":".join(reversed(image["layers"])),
            "VOLUMES": " ".join(f"{v}:{k}" for k, v in (volumes or {}).items()),
            "DRIVER": " ".join(f"{v}:{k}" for k, v in (driver or {}).items()),
            "ENVIRONMENT": " ".join(f"{k}={v}" for k, v in self.env.items()),
            "USER_ID": self.ids[0],
            "GROUP_ID": self.ids[1],
            "WORKDIR": image["workdir"],
        }
        call = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child", "sh", "-c", SETUP, "sh", *argv]
        self.process = subprocess.Popen(call, env=settings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def init(self):
        """The id, as the machine counts, of process 1, once it is the entrypoint."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            if children and self.status(children[0], "Uid").split()[:1] == [self.ids[0]]:
                return int(children[0])
            time.sleep(0.02)
        raise AssertionError("the container has no process 1: " + self.process.communicate()[0])

    @staticmethod
    def status(pid, key):
        """A line of /proc/PID/status."""
        try:
            lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            return ""
        return next((v.strip() for k, _, v in (line.partition(":") for line in lines) if k == key), "")

    def kill(self, sig=signal.SIGTERM):
        """Sends process 1 a signal from outside, as docker stop does: only one that it handles arrives."""
        os.kill(self.init(), sig)

    def wait(self, seconds=300):
        """The exit status and all that was printed."""
        try:
            out, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, _ = self.process.communicate()
            raise AssertionError(f"the container did not end in {seconds} s: {out}")
        return self.process.returncode, out

    def exec(self, argv):
        """Runs a command in the container beside process 1, as docker exec and health checks do."""
        call = ["nsenter", f"--target={self.init()}", "--mount", "--pid", "--net", "--ipc", "--uts", "--root", "--wd",
                "/usr/bin/setpriv", f"--reuid={self.ids[0]}", f"--regid={self.ids[1]}", "--clear-groups", "--no-new-privs",
                "--bounding-set=-all", "--inh-caps=-all", "/usr/bin/env", *argv]
        done = subprocess.run(call, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        return done.returncode, done.stdout


def load(path):
    """The images by name."""
    return json.loads(pathlib.Path(path).read_text())
