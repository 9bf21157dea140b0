"""Makes optim.json and lr.json: golden cases of optimisers, gradient clipping and learning rate schedules.

    python make_optim.py      (needs torch; writes beside this file)

Optimisers run in PyTorch, float64. Decoupled decay, where PyTorch has none, is w -= lr decay w before the step, as its
AdamW does it. Schedules without a PyTorch class of the same course are written out below.
"""
import json, math, pathlib
import torch

torch.set_default_dtype(torch.float64)
gen = torch.Generator().manual_seed(11)


def rnd(*shape):
    return torch.round(torch.randn(shape, generator=gen) * 1000) / 1000


def pack(t):
    t = torch.as_tensor(t)
    return {"shape": list(t.shape), "data": t.reshape(-1).tolist()}


optim, lr = [], []


def run(name, op, make, params, steps=8, shape=(2, 3), final=False, decoupled=0.0):
    x0, g = rnd(*shape), rnd(steps, *shape)
    w = x0.clone().requires_grad_(True)
    o = make([w])
    out = []
    for i in range(steps):
        w.grad = g[i].clone()
        if decoupled:
            with torch.no_grad():
                w.mul_(1 - params["lr"] * decoupled)
        o.step()
        out.append(w.detach().clone())
    c = {"id": f"optim.{op}/{name}", "op": f"optim.{op}", "params": params, "inputs": {"x0": pack(x0), "grad_steps": pack(g)},
         "expected": {"final": pack(out[-1])} if final else {"trajectory": pack(torch.stack(out))}, "atol": {"trajectory": 1e-12, "final": 1e-12}, "rtol": 1e-10}
    optim.append(c)


S = torch.optim.SGD
run("plain", "sgd", lambda p: S(p, 0.1), {"lr": 0.1})
run("momentum", "sgd", lambda p: S(p, 0.05, 0.9), {"lr": 0.05, "momentum": 0.9})
run("dampening", "sgd", lambda p: S(p, 0.05, 0.9, 0.3), {"lr": 0.05, "momentum": 0.9, "dampening": 0.3})
run("nesterov", "sgd", lambda p: S(p, 0.05, 0.85, nesterov=True), {"lr": 0.05, "momentum": 0.85, "nesterov": True})
run("nesterov-no-momentum", "sgd", lambda p: S(p, 0.05), {"lr": 0.05, "momentum": 0, "nesterov": True})
run("decay", "sgd", lambda p: S(p, 0.1, weight_decay=0.01), {"lr": 0.1, "weight_decay": 0.01})
run("nesterov-decay", "sgd", lambda p: S(p, 0.1, 0.9, weight_decay=5e-4, nesterov=True), {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4, "decay": "l2"}, steps=20)
run("decoupled", "sgd", lambda p: S(p, 0.1, 0.9), {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.02, "decay": "decoupled"}, decoupled=0.02)
run("final", "sgd", lambda p: S(p, 0.2, 0.5), {"lr": 0.2, "momentum": 0.5}, final=True, shape=(5,))
A, W = torch.optim.Adam, torch.optim.AdamW
run("plain", "adam", lambda p: A(p, 0.01), {"lr": 0.01})
run("long", "adam", lambda p: A(p, 0.002), {"lr": 0.002}, steps=20, final=True)
run("betas", "adam", lambda p: A(p, 0.01, (0.8, 0.95), 1e-3), {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3})
run("decay", "adam", lambda p: A(p, 0.01, weight_decay=0.1), {"lr": 0.01, "weight_decay": 0.1})
run("amsgrad", "adam", lambda p: A(p, 0.01, (0.9, 0.9), amsgrad=True), {"lr": 0.01, "beta2": 0.9, "amsgrad": True}, steps=12)
run("decoupled", "adam", lambda p: A(p, 0.01), {"lr": 0.01, "weight_decay": 0.05, "decay": "decoupled"}, decoupled=0.05)
run("plain", "adamw", lambda p: W(p, 0.01, weight_decay=0), {"lr": 0.01, "weight_decay": 0})
run("decay", "adamw", lambda p: W(p, 0.01, weight_decay=0.1), {"lr": 0.01, "weight_decay": 0.1}, steps=20)
run("amsgrad", "adamw", lambda p: W(p, 0.02, (0.9, 0.9), weight_decay=0.01, amsgrad=True), {"lr": 0.02, "beta2": 0.9, "weight_decay": 0.01, "amsgrad": True})


def clip(name, shape, m, scale=1.0):
    g = rnd(*shape) * scale
    w = torch.zeros(shape, requires_grad=True)
    w.grad = g.clone()
    torch.nn.utils.clip_grad_norm_([w], m)
    optim.append({"id": f"clip_by_norm/{name}", "op": "clip_by_norm", "params": {"max_norm": m}, "inputs": {"g": pack(g)}, "expected": {"y": pack(w.grad)}, "atol": {"y": 1e-12}, "rtol": 1e-10})


clip("long", (4, 5), 1.0)
clip("short", (3,), 100.0)
clip("tiny", (2, 2), 1e-3, 10.0)


def table(name, op, params, values):
    lr.append({"id": f"lr.{op}/{name}", "op": f"lr.{op}", "params": params, "inputs": {}, "expected": {"lr": pack(torch.tensor(values))}, "atol": {"lr": 1e-12}, "rtol": 1e-10})


def torch_lr(initial, n, make):
    w = torch.zeros(1, requires_grad=True)
    o = S([w], initial)
    s = make(o)
    out = []
    for _ in range(n):
        out.append(o.param_groups[0]["lr"])
        o.step()
        s.step()
    return out


L = torch.optim.lr_scheduler
for size, gamma in ((3, 0.1), (1, 0.9), (4, 0.5)):
    table(f"{size}-{gamma}", "step", {"initial": 0.2, "step_size": size, "gamma": gamma}, torch_lr(0.2, 12, lambda o: L.StepLR(o, size, gamma)))
for gamma in (0.9, 1.0):
    table(f"{gamma}", "exponential", {"initial": 0.3, "gamma": gamma}, torch_lr(0.3, 10, lambda o: L.ExponentialLR(o, gamma)))
for a, b in ((0.1, 0.5), (0.4, 0.02)):
    table(f"{a}-{b}", "linear", {"initial": a, "final": b, "num_iters": 8}, torch_lr(a, 12, lambda o: L.LinearLR(o, 1.0, b / a, 8) if b < a else L.LambdaLR(o, lambda i: 1 + (b / a - 1) * min(i, 8) / 8)))
for m in (0.0, 0.01):
    # PyTorch's closed form: past num_iters it goes up again
    table(f"min-{m}", "cosine", {"initial": 0.1, "min": m, "num_iters": 6}, [m + (0.1 - m) * (1 + math.cos(math.pi * i / 6)) / 2 for i in range(15)])
    table(f"restart-{m}", "cosine", {"initial": 0.1, "min": m, "num_iters": 6, "restart": True}, torch_lr(0.1, 15, lambda o: L.CosineAnnealingWarmRestarts(o, 6, eta_min=m)))


def tri(n, top, start, final, warm):
    # the triangle of fast CIFAR-10 recipes: linear up over warm n steps, linear down to final at step n
    w = warm * n
    return [start + (top - start) * i / w if i < w else top + (final - top) * (i - w) / (n - w) for i in range(n)]


for warm in (0.25, 0.5):
    table(f"warm-{warm}", "onecycle", {"max": 0.4, "start": 0.08, "final": 0.028, "num_iters": 20, "warmup": warm}, tri(20, 0.4, 0.08, 0.028, warm))


def pieces(steps, values, n):
    out = []
    for i in range(n):
        k = max([j for j, s in enumerate(steps) if s <= i], default=0)
        if k + 1 < len(steps) and i >= steps[0]:
            out.append(values[k] + (values[k + 1] - values[k]) * (i - steps[k]) / (steps[k + 1] - steps[k]))
        else:
            out.append(values[k])
    return out


table("three", "piecewise", {"steps": [0, 4, 10], "values": [0.1, 0.5, 0.0]}, pieces([0, 4, 10], [0.1, 0.5, 0.0], 13))
table("late", "piecewise", {"steps": [2, 6], "values": [0.3, 0.1]}, pieces([2, 6], [0.3, 0.1], 9))

here = pathlib.Path(__file__).parent
for name, cases in (("optim", optim), ("lr", lr)):
    with open(here / f"{name}.json", "w") as f:
        f.write('{"format": "acumen-golden-v1", "cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")
    print(name, len(cases))
