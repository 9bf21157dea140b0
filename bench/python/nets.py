"""The networks of package model in PyTorch, by the same names, and a step of training each of them as its users write it:
channels-last, fused SGD with Nesterov momentum, gradients set to None."""
import torch
from torch import nn
from torch.nn import functional as F


def cifar94():
    def norm(channels):
        bn = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
        bn.weight.requires_grad_(False)  # the scale stays 1
        return bn

    def conv(i, o):
        return nn.Conv2d(i, o, 3, padding=1, bias=False)

    whiten = nn.Conv2d(3, 24, 2)
    whiten.weight.requires_grad_(False)
    layers, width = [whiten, nn.GELU()], 24
    for out in 64, 256, 256:
        layers += [conv(width, out), nn.MaxPool2d(2), norm(out), nn.GELU(), conv(out, out), norm(out), nn.GELU()]
        width = out
    return nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False), Scale(1 / 9))


class Scale(nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, x):
        return x * self.by


class Block(nn.Module):
    """Two 3x3 convolutions round a shortcut: none, a 1x1 convolution (option B), or every second pixel with channels of
    zeros on both sides (option A)."""

    def __init__(self, i, o, stride, option):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(),
            nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o))
        self.shortcut, self.pad = None, 0
        if i != o and option == "B":
            self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        elif i != o:
            self.pad = (o - i) // 2

    def forward(self, x):
        y = self.body(x)
        if self.shortcut is not None:
            x = self.shortcut(x)
        elif self.pad:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(y + x)


def resnet(widths, blocks, option):
    layers, width = [nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()], widths[0]
    for out in widths:
        for _ in range(blocks):
            layers.append(Block(width, out, 1 if width == out else 2, option))
            width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def lenet5_wide():
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))


def mlp():
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))


# name: how it is made, the shape of a picture, trained parameters
NETS = {
    "cifar94": (cifar94, (3, 32, 32), 1_971_352),
    "resnet18": (lambda: resnet((64, 128, 256, 512), 2, "B"), (3, 32, 32), 11_173_962),
    "resnet20": (lambda: resnet((16, 32, 64), 3, "A"), (3, 32, 32), 269_722),
    "lenet5-wide": (lenet5_wide, (1, 28, 28), 431_080),
    "mlp": (mlp, (784,), 669_706),
}


def network(name):
    """The network and the shape of its pictures."""
    make, shape, params = NETS[name]
    torch.manual_seed(1)
    net = make()
    have = sum(p.numel() for p in net.parameters() if p.requires_grad)
    if have != params:
        raise AssertionError(f"{name} has {have} trained parameters, not {params}")
    if len(shape) == 3:
        net = net.to(memory_format=torch.channels_last)
    return net, shape


class Job:
    """A network with a batch that lies in memory."""

    def __init__(self, name, batch, precision="f32"):
        self.net, shape = network(name)
        self.x, self.y = torch.randn(batch, *shape), torch.randint(10, (batch,))
        if len(shape) == 3:
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        self.half = precision == "bf16"
        # cifar94's loss is summed over the batch, so its learning rate is that much smaller.
        summed = name == "cifar94"
        self.loss = nn.CrossEntropyLoss(label_smoothing=0.2 if summed else 0.0, reduction="sum" if summed else "mean")
        trained = [p for p in self.net.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(
            trained, lr=1e-5 if summed else 1e-3, momentum=0.85, nesterov=True, weight_decay=5e-4, fused=True)

    def step(self):
        self.net.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            y = self.net(self.x)
        loss = self.loss(y.float(), self.y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def infer(self):
        self.net.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            return self.net(self.x)
