"""Writes networks.json, steps_lenet5.json and steps_resnet20.json beside this file: numbers of whole networks, by PyTorch.

    python make_networks.py

Weights, pictures and labels come from a formula (see `values`) that the Go tests know too, so the files hold results
only: losses, and of each tensor its norm, its largest magnitude, and 64 entries. All tensors are in acumen's layouts:
pictures (N,H,W,C), convolution weights (O,KH,KW,C), and a flattened picture in the order H,W,C.
"""
import json
import os

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))
MASK = (1 << 64) - 1


def fnv1a(name):
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = ((h ^ b) * 0x100000001B3) & MASK
    return h


def hashes(name, n):
    """splitmix64 of the name's hash plus i times its increment, for i in 0..n-1."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def values(name, shape, scale, offset=0.0):
    """offset + scale u, u of [-1, 1) in steps of 2^-15: with scales that are powers of 2, exact in float32."""
    u = (hashes(name, int(np.prod(shape))) >> np.uint64(48)).astype(np.float64) / 2**15 - 1
    return torch.from_numpy((offset + scale * u).reshape(shape))


class Net:
    """A network as a row of (kind, ...) tuples; its numbers lie in `params` and `buffers` by acumen's names."""

    def __init__(self, layers, dtype):
        self.layers, self.dtype, self.params, self.buffers = layers, dtype, {}, {}
        self.make(layers, "")

    def make(self, layers, prefix):
        count = {}
        for layer in layers:
            kind = layer[0]
            count[kind] = count.get(kind, 0) + 1
            at = f"{prefix}{kind}_{count[kind]}."
            if kind == "conv2d":
                _, i, o, k, _, _, bias = layer
                self.weight(at, (o, k, k, i), bias)
            elif kind == "linear":
                self.weight(at, layer[2:0:-1], True)
            elif kind == "batchnorm":
                for name, scale, offset, where in (("gamma", 0.25, 1, self.params), ("beta", 0.25, 0, self.params),
                                                   ("running_mean", 0.25, 0, self.buffers), ("running_var", 0.25, 1, self.buffers)):
                    where[at + name] = values(at + name, (layer[1],), scale, offset).to(self.dtype)
            elif kind == "residual":
                self.make(layer[1], at + "body.")
        for p in self.params.values():
            p.requires_grad_()

    def weight(self, at, shape, bias):
        bound = 2.0 ** round(np.log2(np.sqrt(6 / np.prod(shape[1:]))))
        self.params[at + "weight"] = values(at + "weight", shape, bound).to(self.dtype)
        if bias:
            self.params[at + "bias"] = values(at + "bias", shape[:1], 0.125).to(self.dtype)

    def __call__(self, x, train):
        return self.run(self.layers, "", x.permute(0, 3, 1, 2), train)

    def run(self, layers, prefix, x, train):
        count = {}
        for layer in layers:
            kind = layer[0]
            count[kind] = count.get(kind, 0) + 1
            at = f"{prefix}{kind}_{count[kind]}."
            if kind == "conv2d":
                x = F.conv2d(x, self.params[at + "weight"].permute(0, 3, 1, 2), self.params.get(at + "bias"), layer[4], layer[5])
            elif kind == "linear":
                x = F.linear(x, self.params[at + "weight"], self.params[at + "bias"])
            elif kind == "batchnorm":
                x = F.batch_norm(x, self.buffers[at + "running_mean"], self.buffers[at + "running_var"], self.params[at + "gamma"],
                                 self.params[at + "beta"], train, 0.1, 1e-5)
            elif kind == "relu":
                x = F.relu(x)
            elif kind == "maxpool":
                x = F.max_pool2d(x, layer[1])
            elif kind == "global_avgpool":
                x = x.mean((2, 3), keepdim=True)
            elif kind == "flatten":
                x = x.permute(0, 2, 3, 1).flatten(1)
            elif kind == "residual":
                y = self.run(layer[1], at + "body.", x, train)
                if y.shape[1] > x.shape[1]:
                    d = (y.shape[1] - x.shape[1]) // 2
                    x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, d, d))
                x = x + y
            else:
                raise ValueError(kind)
        return x


def conv(i, o, k=3, stride=1, pad=1, bias=False):
    return ("conv2d", i, o, k, stride, pad, bias)


def norm(c):
    return ("batchnorm", c)


RELU, POOL, FLAT = ("relu",), ("maxpool", 2), ("flatten",)


def resnet20():
    layers, i = [conv(3, 16), norm(16), RELU], 16
    for o in (16, 32, 64):
        for k in range(3):
            layers += [("residual", [conv(i, o, stride=1 if i == o else 2), norm(o), RELU, conv(o, o), norm(o)]), RELU]
            i = o
    return layers + [("global_avgpool",), FLAT, ("linear", 64, 10)]


NETS = {
    "mlp": ((28, 28, 1), [FLAT, ("linear", 784, 512), RELU, ("linear", 512, 512), RELU, ("linear", 512, 10)]),
    "lenet5": ((28, 28, 1), [conv(1, 6, 5, 1, 2, True), RELU, POOL, conv(6, 16, 5, 1, 0, True), RELU, POOL, FLAT,
                             ("linear", 400, 120), RELU, ("linear", 120, 84), RELU, ("linear", 84, 10)]),
    "cnn-small": ((32, 32, 3), [conv(3, 24), POOL, norm(24), RELU, conv(24, 32), POOL, norm(32), RELU, conv(32, 64), norm(64), RELU,
                                conv(64, 64), POOL, norm(64), RELU, FLAT, ("linear", 1024, 10)]),
    "resnet20": ((32, 32, 3), resnet20()),
}


def batch(name, n, shape, dtype):
    x = values(name + ".x", (n, *shape), 1.0).to(dtype)
    labels = torch.from_numpy((hashes(name + ".labels", n) % np.uint64(10)).astype(np.int64))
    return x, labels


def digest(t):
    """What the Go tests compare: norm, largest magnitude, and 64 entries spread evenly over the tensor."""
    a = t.detach().to(torch.float64).flatten()
    n = a.numel()
    picked = a[[k * n // min(64, n) for k in range(min(64, n))]]
    return {"norm": a.norm().item(), "max": a.abs().max().item(), "entries": picked.tolist()}


def networks():
    out = {}
    for name, (shape, layers) in NETS.items():
        net = Net(layers, torch.float64)
        x, labels = batch(name, 4, shape, torch.float64)
        evaluated = net(x, False)
        y = net(x, True)
        loss = F.cross_entropy(y, labels)
        loss.backward()
        out[name] = {"evaluated": digest(evaluated), "trained": digest(y), "loss": loss.item(),
                     "grads": {k: digest(p.grad) for k, p in net.params.items()},
                     "buffers": {k: digest(b) for k, b in net.buffers.items()}}
    return out


LR, MOMENTUM, DECAY, BATCH, STEPS = 0.005, 0.9, 5e-4, 16, 20


def train(name, dtype):
    """Losses of STEPS steps, and all tensors after the first and the last."""
    shape, layers = NETS[name]
    net = Net(layers, dtype)
    opt = torch.optim.SGD(net.params.values(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
    losses, after = [], {}
    for step in range(1, STEPS + 1):
        x, labels = batch(f"{name}.{step}", BATCH, shape, dtype)
        opt.zero_grad()
        loss = F.cross_entropy(net(x, True), labels)
        loss.backward()
        opt.step()
        losses.append(loss.item())
        if step in (1, STEPS):
            after[step] = {k: t.detach().clone().to(torch.float64) for k, t in {**net.params, **net.buffers}.items()}
    return losses, after


def steps(name):
    losses, after = train(name, torch.float64)
    _, single = train(name, torch.float32)
    last = after[STEPS]
    distance = {k: ((single[STEPS][k] - a).abs().max() / a.abs().max()).item() for k, a in last.items()}
    return {"lr": LR, "momentum": MOMENTUM, "weight_decay": DECAY, "batch": BATCH, "losses": losses,
            "after_1": {k: digest(a) for k, a in after[1].items()}, "after_20": {k: digest(a) for k, a in last.items()},
            "float32_distance": distance}


def write(name, data):
    with open(os.path.join(HERE, name), "w") as f:
        json.dump({"made_by": f"make_networks.py, PyTorch {torch.__version__}", **data}, f, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    write("networks.json", {"networks": networks()})
    for name in ("lenet5", "resnet20"):
        write(f"steps_{name}.json", steps(name))
