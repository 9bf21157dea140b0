#!/usr/bin/env python3
"""Builds stages of Dockerfile.cuda on a folder that stands for their base images, and tells the size of each layer.
on-debootstrap.sh calls it, in a mount namespace of its own."""

import argparse
import json
import pathlib
import signal
import sys

sys.dont_write_bytecode = True
import dockerfile  # noqa: E402
import layers  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def pair(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"NAME=VALUE is expected, not {text}")
    return name, value


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--base", required=True, help="the folder that stands for the base images")
    p.add_argument("--work", required=True, help="where layers are kept")
    p.add_argument("--goroot", required=True, help="the Go tree of the golang image")
    p.add_argument("--out", required=True, help="the file that is to describe the images")
    p.add_argument("--build-arg", type=pair, action="append", default=[])
    p.add_argument("--instead", type=pair, action="append", default=[], help="OLD=NEW: a change to what RUN runs")
    p.add_argument("targets", nargs="+")
    a = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended, and unmounted
    text = (ROOT / "Dockerfile.cuda").read_text()
    try:
        b = layers.Builder(text, ROOT, a.work, a.base, a.goroot, dict(a.build_arg), dict(a.instead))
        images = {name: b.build(name) for name in a.targets}
    except dockerfile.Mistake as e:
        raise SystemExit(f"Dockerfile.cuda: {e}")
    base = layers.size(a.base)
    for name, image in images.items():
        print(f"\n{name}, by layer:\n  {base / 1e6:8.1f} MB  base {a.base}")
        for title, n in image.history:
            print(f"  {n / 1e6:8.1f} MB  {title[:100]}")
        own = sum(n for _, n in image.history)
        print(f"  {(base + own) / 1e6:8.1f} MB  in all, {own / 1e6:.1f} MB of them above the base")
    pathlib.Path(a.out).write_text(json.dumps({k: v.config() for k, v in images.items()}, indent=1))


if __name__ == "__main__":
    main()
