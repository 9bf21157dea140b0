"""Builds the stages of a Dockerfile on a base folder, one overlayfs layer an instruction, as an image builder does.

RUN runs by chroot, as root, with the machine's network and the settings of its package indexes (PIP_*, GOPROXY, proxies,
certificates), which are of the call alone and go into no layer. A layer that is there already is used again if the
instruction and all that it reads are the same. The caller must be in a mount namespace of its own.
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import dockerfile

NETWORK = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_PROXY", "PIP_DEFAULT_TIMEOUT", "GOPROXY", "GOSUMDB", "GONOSUMDB",
           "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"  # of the machine: a proxy may have one of its own
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Image:
    """A stage as far as it is built: layers, lowest first, and the configuration."""

    def __init__(self, layers, key, golang=False):
        self.layers, self.key, self.golang = list(layers), key, golang
        self.env = {"PATH": PATH}
        self.args, self.labels, self.volumes = {}, {}, []
        self.workdir, self.user, self.stop = "/", "0:0", "SIGTERM"
        self.entrypoint, self.cmd, self.health = [], [], []
        self.history = []  # (instruction, bytes)
        if golang:
            self.env |= {"PATH": "/go/bin:/usr/local/go/bin:" + PATH, "GOPATH": "/go", "GOTOOLCHAIN": "local"}

    def child(self):
        c = Image(self.layers, self.key, self.golang)
        for name in ("env", "labels"):
            setattr(c, name, dict(getattr(self, name)))
        for name in ("volumes", "entrypoint", "cmd", "health", "history"):
            setattr(c, name, list(getattr(self, name)))
        c.workdir, c.user, c.stop = self.workdir, self.user, self.stop
        return c

    def config(self):
        return {k: v for k, v in vars(self).items() if k not in ("args", "golang")} | {"layers": [str(p) for p in self.layers]}


class Builder:
    """Builds stages. Bases are the folders that stand for images: golang gets a Go tree, mounted at /usr/local/go."""

    def __init__(self, text, context, work, base, goroot, values=None, instead=None):
        self.stages = {s.name: s for s in dockerfile.parse(text, values)}
        self.context, self.work, self.goroot = pathlib.Path(context), pathlib.Path(work), goroot
        self.base, self.values, self.instead = pathlib.Path(base), values or {}, instead or {}
        self.ignore = dockerfile.Ignore((self.context / ".dockerignore").read_text())
        self.done = {}
        (self.work / "layers").mkdir(parents=True, exist_ok=True)

    def build(self, name):
        if name not in self.done:
            stage = self.stages[name]
            image = self.start(stage.base)
            print(f"stage {name}, from {stage.base}", flush=True)
            for i in stage.instructions:
                getattr(self, "do_" + i.name.lower())(image, i)
            self.done[name] = image
        return self.done[name]

    def start(self, base):
        if base in self.stages:
            return self.build(base).child()
        repository = base.split("@")[0].split(":")[0]
        if repository not in ("golang", "debian"):
            raise dockerfile.Mistake(f"image {base}: only golang and debian can be stood for")
        stamp = (self.base / "etc/debian_version").read_text() + str(self.base.stat().st_ctime_ns)
        return Image([self.base], digest("base", base, stamp), golang=repository == "golang")

    # What changes the configuration alone.

    def do_arg(self, image, i):
        name, equals, default = i.text.partition("=")
        if name in self.values:
            image.args[name] = self.values[name]
        elif equals:
            image.args[name] = dockerfile.expand(default.strip('"'), image.args | image.env)

    def do_env(self, image, i):
        known = dict(image.args | image.env)
        image.env |= {k: dockerfile.expand(v, known) for k, v in i.pairs()}

    def do_label(self, image, i):
        image.labels |= {k: dockerfile.expand(v, image.args | image.env) for k, v in i.pairs()}

    def do_user(self, image, i):
        image.user = i.text

    def do_stopsignal(self, image, i):
        image.stop = i.text

    def do_volume(self, image, i):
        image.volumes += i.words()

    def do_entrypoint(self, image, i):
        image.entrypoint, image.cmd = i.command(), []

    def do_cmd(self, image, i):
        image.cmd = i.command()

    def do_healthcheck(self, image, i):
        word, _, rest = i.text.partition(" ")
        if word != "CMD":
            raise dockerfile.Mistake(f"line {i.line}: HEALTHCHECK CMD is expected")
        image.health = dockerfile.Instruction(i.line, "CMD", rest.strip(), {}).command()

    # What makes a layer.

    def do_workdir(self, image, i):
        image.workdir = os.path.join(image.workdir, dockerfile.expand(i.text, image.args | image.env))
        self.layer(image, i, "", lambda root: (root / image.workdir.lstrip("/")).mkdir(parents=True, exist_ok=True))

    def do_run(self, image, i):
        argv = i.command()
        for old, new in self.instead.items():
            argv = [a.replace(old, new) for a in argv]
        env = image.args | image.env
        self.layer(image, i, json.dumps([argv, env]), lambda root: self.run(image, root, argv, env))

    def do_copy(self, image, i):
        *sources, to = [dockerfile.expand(w, image.args | image.env) for w in i.words()]
        if "from" in i.flags:
            lender = self.build(i.flags["from"])
            with Mounted(self.work, lender.layers) as root:
                pairs = [p for s in sources for p in found(root, s.lstrip("/"), None)]
                self.copy(image, i, pairs, to)
        else:
            pairs = [p for s in sources for p in found(self.context, os.path.normpath(s), self.ignore)]
            self.copy(image, i, pairs, to)

    def copy(self, image, i, pairs, to):
        """Copies (path, name below the target) of files. As in Docker, they belong to root."""
        if not pairs:
            raise dockerfile.Mistake(f"line {i.line}: COPY {i.text}: there is no such file")
        mode = int(i.flags["chmod"], 8) if "chmod" in i.flags else None
        owner = i.flags.get("chown", "0:0").split(":")
        to_folder = to.endswith(("/", ".")) or len(pairs) > 1 or "/" in pairs[0][1]
        target = os.path.join(image.workdir, to)
        key = digest(*(f"{name} {p.lstat().st_mode} {content(p)}" for p, name in pairs))

        def put(root):
            for path, name in pairs:
                at = root / os.path.normpath(os.path.join(target, name) if to_folder else target).lstrip("/")
                at.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, at, follow_symlinks=False)
                os.chown(at, int(owner[0]), int(owner[-1]), follow_symlinks=False)
                if mode is not None:
                    at.chmod(mode)

        self.layer(image, i, key + target, put)

    def layer(self, image, i, reads, change):
        """Adds what change does to the image as a layer, or the layer of an earlier build."""
        image.key = digest(image.key, i.name, i.text, json.dumps(i.flags), reads)
        folder = self.work / "layers" / image.key[:16]
        title = f"{i.name} {' '.join(i.text.split())}"
        begin, again = time.monotonic(), folder.exists()
        if not again:
            with tempfile.TemporaryDirectory(prefix=".new-", dir=self.work / "layers") as new:
                upper = pathlib.Path(new) / "upper"
                upper.mkdir()
                with Mounted(self.work, image.layers, upper) as root:
                    change(root)
                upper.rename(folder)
        image.layers.append(folder)
        image.history.append((title, size(folder)))
        took = "as before" if again else f"{time.monotonic() - begin:.0f} s"
        print(f"  {image.history[-1][1] / 1e6:8.1f} MB  {took:>9}  {title[:90]}", flush=True)

    def run(self, image, root, argv, env):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", root / "run"], check=True)
        mounts = [("/proc", "proc"), ("/dev", "dev"), ("/etc/resolv.conf", "etc/resolv.conf"), (AUTHORITIES, "run/authorities.crt")]
        if image.golang:
            mounts.append((self.goroot, "usr/local/go"))
        for source, at in mounts:
            if os.path.exists(source):
                mount(source, root / at)
        settings = {k: os.environ[k] for k in NETWORK if k in os.environ}
        if os.path.exists(AUTHORITIES):
            settings |= {"PIP_CERT": "/run/authorities.crt", "SSL_CERT_FILE": "/run/authorities.crt"}
        call = ["unshare", "--pid", "--fork", "--kill-child", "chroot", root, "/usr/bin/env", "--chdir=" + image.workdir, *argv]
        log = self.work / "run.log"
        with open(log, "w") as out:
            done = subprocess.run(call, env={"HOME": "/root"} | settings | env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        if done.returncode:
            print(*log.read_text().splitlines()[-30:], sep="\n")
            raise SystemExit(f"RUN {argv[-1]}: exit status {done.returncode}; all that it printed is in {log}")


class Mounted:
    """The layers as one tree, for a while: read-only, or with changes going to the folder upper."""

    def __init__(self, work, layers, upper=None):
        self.layers, self.upper = layers, upper
        self.parent = pathlib.Path(tempfile.mkdtemp(prefix=".mount-", dir=work))
        self.root = self.parent / "root"

    def __enter__(self):
        self.root.mkdir()
        lower = ":".join(str(p) for p in reversed(self.layers))
        options = f"lowerdir={lower}"
        if self.upper:
            inner = self.upper.parent / "overlay"
            inner.mkdir()
            options += f",upperdir={self.upper},workdir={inner}"
        elif len(self.layers) == 1:
            (self.parent / "none").mkdir()
            options += f":{self.parent / 'none'}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.root], check=True)
        return self.root

    def __exit__(self, *exc):
        # Lazily: what a signal ended may not be gone yet.
        subprocess.run(["umount", "--recursive", "--lazy", self.root], check=True)
        shutil.rmtree(self.parent)


def mount(source, at):
    """Binds a file or folder of the machine; what is not there to put it on is made."""
    if os.path.isdir(source):
        at.mkdir(parents=True, exist_ok=True)
    elif not at.exists():
        at.parent.mkdir(parents=True, exist_ok=True)
        at.touch()
    subprocess.run(["mount", "--rbind", source, at], check=True)


def found(root, source, ignore):
    """Pairs of a file that source means and its name below the target. A folder means what is in it, as ./NAME."""
    matches = sorted(root.glob(source.rstrip("/"))) if source != "." else [root]
    for m in matches:
        if m.is_dir():
            for folder, _, files in os.walk(m):
                for f in sorted(files):
                    path = pathlib.Path(folder) / f
                    if not ignore or ignore.keeps(str(path.relative_to(root))):
                        yield path, f"./{path.relative_to(m)}"
        elif not ignore or ignore.keeps(str(m.relative_to(root))):
            yield m, m.name


def digest(*parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def content(path):
    if path.is_symlink():
        return os.readlink(path)
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def size(folder):
    """Bytes of the files of a layer, a file with several names once."""
    seen = {}
    for at, _, files in os.walk(folder):
        for f in files:
            s = os.lstat(os.path.join(at, f))
            seen[s.st_ino] = s.st_size
    return sum(seen.values())
