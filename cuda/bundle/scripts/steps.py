"""usage: steps.py NETWORK BATCH MODE [--dry]: whole steps of training in PyTorch: batch from bytes that lie on the GPU,
forward, loss, backward, SGD with momentum. Weights and activations are half precision, batch norms f32, channels last.
MODE is eager, compile, or graphs (torch.compile with CUDA graphs). Prints one line of JSON: {"images_per_s", "first_s"}.
"""

import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from timing import DEVICE, GPU, tell, wait


class Scale(nn.Module):
    def forward(self, x):
        return x / 9


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(),
            nn.Conv2d(cout, cout, 3, 1, 1, bias=False), nn.BatchNorm2d(cout))
        self.side = nn.Identity() if stride == 1 and cin == cout else nn.Sequential(
            nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        return F.relu(self.body(x) + self.side(x))


def lenet5():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)), (1, 28, 28)


def resnet18():
    layers, cin = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for cout in (64, 128, 256, 512):
        layers += [Block(cin, cout, 1 if cin == cout else 2), Block(cout, cout, 1)]
        cin = cout
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)), (3, 32, 32)


def cifar94():
    whiten = nn.Conv2d(3, 24, 2)
    whiten.weight.requires_grad_(False)
    layers, cin = [whiten, nn.GELU()], 24
    for cout in (64, 256, 256):
        layers += [nn.Conv2d(cin, cout, 3, 1, 1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(cout, momentum=0.4), nn.GELU(),
                   nn.Conv2d(cout, cout, 3, 1, 1, bias=False), nn.BatchNorm2d(cout, momentum=0.4), nn.GELU()]
        cin = cout
    return nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False), Scale()), (3, 32, 32)


def main():
    name, batch, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    dry = "--dry" in sys.argv
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    net, shape = {"lenet5": lenet5, "resnet18": resnet18, "cifar94": cifar94}[name]()
    net = net.to(DEVICE).to(memory_format=torch.channels_last)
    if GPU:
        net.half()
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.float()
    dtype = torch.float16 if GPU else torch.float32
    n = 10 * batch
    pictures = torch.randint(0, 256, (n, *shape), dtype=torch.uint8, device=DEVICE).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (n,), device=DEVICE)
    params = [p for p in net.parameters() if p.requires_grad]
    update = torch.optim.SGD(params, lr=1e-4, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=GPU)

    def forward(x, y):
        return F.cross_entropy(net(x).float(), y)

    if mode == "compile":
        forward = torch.compile(forward)
    elif mode == "graphs":
        forward = torch.compile(forward, mode="reduce-overhead")
    order = torch.randperm(n, device=DEVICE)

    def step(i):
        at = order[i % 10 * batch:(i % 10 + 1) * batch]
        x = ((pictures[at].to(dtype) - 127.5) / 64).contiguous(memory_format=torch.channels_last)
        update.zero_grad(set_to_none=True)
        forward(x, labels[at]).backward()
        update.step()

    begin = time.perf_counter()
    step(0)
    wait()
    first = time.perf_counter() - begin
    for i in range(1, 2 if dry else 20):
        step(i)
    wait()
    begin = time.perf_counter()
    for i in range(1 if dry else 5):
        step(i)
    wait()
    steps = 1 if dry else max(5, int(5 * 0.2 / max(time.perf_counter() - begin, 1e-6)))
    rates = []
    for _ in range(1 if dry else 7):
        begin = time.perf_counter()
        for i in range(steps):
            step(i)
        wait()
        rates.append(steps * batch / (time.perf_counter() - begin))
    tell(images_per_s=statistics.median(rates), first_s=first)


if __name__ == "__main__":
    main()
