"""usage: speed.py CASES.json [--dry]: the calls of speed_cases.go in PyTorch, one line of JSON each: {"case", "us"}."""

import json
import sys

import torch
import torch.nn.functional as F

from timing import CACHE, DEVICE, GPU, TYPES, seconds, tell

aten = torch.ops.aten


def random(dtype, *shape):
    x = torch.randn(*shape, device=DEVICE, dtype=torch.float32).to(dtype)
    return x.to(memory_format=torch.channels_last) if x.dim() == 4 else x


class Case:
    def __init__(self, c):
        self.__dict__.update(c)
        self.dtype = TYPES[self.type]
        self.of = lambda n: (n + 2 * self.pad - self.kernel) // self.stride + 1 if self.stride else n

    def images(self):
        return random(self.dtype, self.batch, self.__dict__["in"], self.height, self.width)

    def results(self, channels):
        return random(self.dtype, self.batch, channels, self.of(self.height), self.of(self.width))

    def count(self):
        return self.__dict__["in"]


def conv(c):
    x, w = c.images(), random(c.dtype, c.out, c.count(), c.kernel, c.kernel)
    return lambda: F.conv2d(x, w, None, c.stride, c.pad)


def conv_grad(c, dx, dw):
    x, w, dy = c.images(), random(c.dtype, c.out, c.count(), c.kernel, c.kernel), c.results(c.out)
    return lambda: aten.convolution_backward(dy, x, w, None, [c.stride] * 2, [c.pad] * 2, [1, 1], False, [0, 0], 1, [dx, dw, False])


def norm(c):
    x, g, b = c.images(), random(torch.float32, c.count()), random(torch.float32, c.count())
    return lambda: F.batch_norm(x, None, None, g, b, True, 0.1, 1e-5)


def norm_grad(c):
    x, dy = c.images().requires_grad_(), c.images()
    g, b = random(torch.float32, c.count()).requires_grad_(), random(torch.float32, c.count()).requires_grad_()
    y = F.batch_norm(x, None, None, g, b, True, 0.1, 1e-5)
    return lambda: torch.autograd.grad(y, [x, g, b], dy, retain_graph=True)


def gelu(c):
    x = c.images()
    return lambda: F.gelu(x)


def gelu_grad(c):
    x, dy = c.images(), c.images()
    return lambda: aten.gelu_backward(dy, x)


def pool(c):
    x = c.images()
    return lambda: F.max_pool2d(x, c.kernel, c.stride, return_indices=True)


def pool_grad(c):
    x = c.images()
    y, idx = F.max_pool2d(x, c.kernel, c.stride, return_indices=True)
    dy = torch.randn_like(y)
    return lambda: aten.max_pool2d_with_indices_backward(dy, x, [c.kernel] * 2, [c.stride] * 2, [0, 0], [1, 1], False, idx)


def loss(c):
    x = random(c.dtype, c.batch, c.count()).requires_grad_()
    target = torch.randint(c.count(), (c.batch,), device=DEVICE)
    return lambda: torch.autograd.grad(F.cross_entropy(x, target), x)


def update(c, make):
    w = random(torch.float32, c.count()).requires_grad_()
    w.grad = random(torch.float32, c.count())
    return make([w]).step


def copy(c):
    x, y = random(c.dtype, c.count()), random(c.dtype, c.count())
    return lambda: y.copy_(x)


def product(c):
    x, w = random(c.dtype, c.height, c.count()), random(c.dtype, c.count(), c.out)
    y = torch.empty(c.height, c.out, device=DEVICE, dtype=c.dtype)
    return lambda: torch.mm(x, w, out=y)


CALLS = {
    "conv": conv, "conv_dx": lambda c: conv_grad(c, True, False), "conv_dw": lambda c: conv_grad(c, False, True),
    "norm": norm, "norm_grad": norm_grad, "gelu": gelu, "gelu_grad": gelu_grad, "pool": pool, "pool_grad": pool_grad,
    "loss": loss, "copy": copy, "product": product,
    "sgd": lambda c: update(c, lambda w: torch.optim.SGD(w, lr=1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=GPU)),
    "adam": lambda c: update(c, lambda w: torch.optim.Adam(w, lr=1e-3, fused=GPU, capturable=GPU)),
}


def main():
    torch.backends.cudnn.benchmark = True
    dry = "--dry" in sys.argv
    with open(sys.argv[1]) as f:
        cases = json.load(f)
    tell(version=f"PyTorch {torch.__version__}" + (f", cuDNN {torch.backends.cudnn.version()}" if GPU else ", on the CPU"))
    for i, c in enumerate(cases):
        if c["kind"] not in CALLS:
            tell(case=i, skip="PyTorch has no such call")
            continue
        try:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = c["type"] == "tf32"
            sets = 1 if dry else min(16, int(CACHE / c["bytes"]) + 1)
            tell(case=i, us=1e6 * seconds([CALLS[c["kind"]](Case(c)) for _ in range(sets)], dry))
        except (RuntimeError, NotImplementedError) as e:
            tell(case=i, skip=str(e).splitlines()[0])
        if GPU:
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
