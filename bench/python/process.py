"""Whole processes of PyTorch, which bench times from outside.

process.py first-step NET BATCH THREADS STEPS   says "first" after the first step, and after STEPS the peak resident bytes
process.py save NET FILE                        writes weights
process.py predict NET FILE PICTURE             prints the three likeliest classes of a picture"""
import sys


def first_step(net, batch, threads, steps):
    import torch
    from nets import Job

    torch.set_num_threads(int(threads))
    job = Job(net, int(batch))
    job.step()
    print("first", flush=True)
    for _ in range(int(steps) - 1):
        job.step()
    with open("/proc/self/status") as f:
        peak = next(line for line in f if line.startswith("VmHWM:"))
    print(int(peak.split()[1]) * 1024, flush=True)


def save(net, file):
    import torch
    from nets import network

    torch.save(network(net)[0].state_dict(), file)


def predict(net, file, picture):
    import numpy
    import torch
    from PIL import Image

    from nets import network

    model, _ = network(net)
    model.load_state_dict(torch.load(file, weights_only=True))
    model.eval()
    x = torch.from_numpy(numpy.asarray(Image.open(picture).convert("RGB"), numpy.float32) / 255)
    x = ((x - 0.5) / 0.289).permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        p, at = model(x).softmax(1).topk(3)
    print(picture, *(f"{int(k)} {100 * q:.2f} %" for q, k in zip(p[0], at[0])))


if __name__ == "__main__":
    {"first-step": first_step, "save": save, "predict": predict}[sys.argv[1]](*sys.argv[2:])
