"""PyTorch as a peer of bench: single kernels, training steps, inference."""
import gc

import torch
from torch.nn import functional as F

from nets import Job
from serve import Lacks, serve

LAST = torch.channels_last


def matmul(c):
    a, b, y = torch.randn(c["m"], c["k"]), torch.randn(c["k"], c["n"]), torch.empty(c["m"], c["n"])
    return lambda: torch.mm(a, b, out=y)


def linear(c):
    x, w = torch.randn(c["batch"], c["in"]), torch.randn(c["out"], c["in"]) / c["in"] ** 0.5
    if not c.get("backward"):
        return torch.inference_mode()(lambda: F.linear(x, w))
    x.requires_grad_()
    w.requires_grad_()
    dy = torch.randn(c["batch"], c["out"])
    return lambda: torch.autograd.grad(F.linear(x, w), (x, w), dy)


def conv2d(c):
    n, i, o, size, k = c["batch"], c["in"], c["out"], c["size"], c["kernel"]
    x = torch.randn(n, i, size, size).contiguous(memory_format=LAST)
    w = (torch.randn(o, i, k, k) / (i * k * k) ** 0.5).contiguous(memory_format=LAST)

    def forward():
        return F.conv2d(x, w, padding=k // 2)

    if not c.get("backward"):
        return torch.inference_mode()(forward)
    x.requires_grad_()
    w.requires_grad_()
    dy = torch.randn(n, o, size, size).contiguous(memory_format=LAST)
    return lambda: torch.autograd.grad(forward(), (x, w), dy)


def batchnorm(c, x):
    gamma, beta = torch.ones(c["in"]), torch.zeros(c["in"], requires_grad=True)
    mean, var = torch.zeros(c["in"]), torch.ones(c["in"])
    return (lambda: F.batch_norm(x, mean, var, gamma, beta, True, 0.1, 1e-5)), (x, beta)


def activation(c):
    """Forward is one call, and backward the gradient's kernel by itself."""
    x, dy = picture(c), picture(c)
    ops = torch.ops.aten
    if c["op"] == "relu":
        return (lambda: ops.threshold_backward(dy, x, 0)) if c.get("backward") else (lambda: F.relu(x))
    return (lambda: ops.gelu_backward(dy, x)) if c.get("backward") else (lambda: F.gelu(x))


def picture(c):
    return torch.randn(c["batch"], c["in"], c["size"], c["size"]).contiguous(memory_format=LAST)


def crossentropy(c):
    x, y = torch.randn(c["batch"], c["in"], requires_grad=True), torch.randint(c["in"], (c["batch"],))
    return (lambda: F.cross_entropy(x, y, label_smoothing=0.2)), (x,)


def one_pass(c):
    op = c["op"]
    if op in ("gelu", "relu"):
        return torch.no_grad()(activation(c))
    if op == "crossentropy":
        forward, wanted = crossentropy(c)
    else:
        x = picture(c).requires_grad_(c.get("backward", False))
        if op == "batchnorm":
            forward, wanted = batchnorm(c, x)
        elif op == "maxpool":
            forward, wanted = (lambda: F.max_pool2d(x, c["kernel"])), (x,)
        else:
            raise Lacks("no pass " + op)
    if not c.get("backward"):
        return torch.no_grad()(forward)
    with torch.no_grad():
        dy = torch.randn_like(forward())
    return lambda: torch.autograd.grad(forward(), wanted, dy)


def prepare(c):
    kind = c["kind"]
    if kind == "matmul":
        return matmul(c)
    if kind == "linear":
        return linear(c)
    if kind == "conv2d":
        return conv2d(c)
    if kind == "pass":
        return one_pass(c)
    if kind in ("step", "infer"):
        job = Job(c["net"], c["batch"], c.get("precision", "f32"))
        return job.step if kind == "step" else job.infer
    raise Lacks("no " + kind)


if __name__ == "__main__":
    torch.manual_seed(1)
    mkl = "MKL" if torch.backends.mkl.is_available() else "no MKL"
    dnn = torch.__config__.show().split("MKL-DNN v")[-1].split(" ")[0] if torch.backends.mkldnn.is_available() else "none"
    serve(f"PyTorch {torch.__version__}, {mkl}, oneDNN {dnn}", prepare, torch.set_num_threads, gc.collect)
