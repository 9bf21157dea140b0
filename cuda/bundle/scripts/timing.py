"""What speed.py and steps.py share: the device, and the median time of a call over replays of a CUDA graph."""

import json
import statistics
import time

import torch

CACHE = 256 << 20  # what a call works on is taken from so many bytes in turn, so that it comes from memory
REPLAYS = 7
LEAST = 4e-3  # seconds that a replay must take
GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
TYPES = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "tf32": torch.float32}


def tell(**what):
    print(json.dumps(what), flush=True)


def wait():
    if GPU:
        torch.cuda.synchronize()


def median(run, times):
    """The median time of run, which is called once before it counts."""
    run()
    wait()
    all_of_them = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        wait()
        all_of_them.append(time.perf_counter() - begin)
    return statistics.median(all_of_them)


def replay(calls, n):
    """A function that runs n calls, each in turn: by one launch of a graph, where there is a GPU."""
    def plain():
        for i in range(n):
            calls[i % len(calls)]()
    if not GPU:
        return plain
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # cuDNN chooses its algorithms here
        for call in calls:
            call()
            call()
    torch.cuda.current_stream().wait_stream(stream)
    wait()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        plain()
    return graph.replay


def seconds(calls, dry=False):
    """The median time of one call."""
    n = len(calls)
    while True:
        t = median(replay(calls, n), 1 if dry else 2)
        if dry or t >= LEAST or n >= 4096:
            break
        n = min(4096, max(2 * n, int(1.3 * n * LEAST / max(t, 1e-6))))
    return median(replay(calls, n), 1 if dry else REPLAYS) / n
