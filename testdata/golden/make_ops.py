"""Makes elementwise.json, shape.json, layers.json and losses.json: golden cases of ops by PyTorch in float64 on a CPU.

    python make_ops.py        (needs torch; writes beside this file)
"""
import json, math, pathlib
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
gen = torch.Generator().manual_seed(7)
files = {}


def rnd(*shape, scale=1.0, shift=0.0):
    # few digits keep the files small; they are exact in the file all the same
    return torch.round((torch.randn(shape, generator=gen) * scale + shift) * 1000) / 1000


def pos(*shape):
    return torch.round(torch.rand(shape, generator=gen) * 2000 + 100) / 1000


def plain(v):
    if isinstance(v, float):
        if math.isnan(v):
            return "nan"
        if math.isinf(v):
            return "inf" if v > 0 else "-inf"
    return v


def pack(t):
    out = {"shape": list(t.shape), "data": [plain(v) for v in t.reshape(-1).tolist()]}
    if not t.dtype.is_floating_point:
        out["dtype"] = "i64"
    return out


UP = {
    "sum": lambda y, m: y.sum(), "mean(y)": lambda y, m: y.mean(), "sum(y^2)": lambda y, m: (y * y).sum(),
    "mean(y^2)": lambda y, m: (y * y).mean(), "mean(exp(y))": lambda y, m: y.exp().mean(), "mean(y*mask)": lambda y, m: (y * m).mean(),
}


def case(file, name, op, f, inputs, params=None, upstream="sum(y^2)", no_grad=(), extra=None, atol=1e-9):
    """f(inputs) gives y, or a dict with y. Gradients go to all real inputs but those in no_grad."""
    params = params or {}
    ts = {k: v.clone() for k, v in inputs.items()}
    for k, v in ts.items():
        if v.dtype.is_floating_point and k not in no_grad and upstream is not None:
            v.requires_grad_(True)
    r = f(ts)
    if not isinstance(r, dict):
        r = {"y": r}
    c = {"id": f"{op}/{name}", "op": op, "params": params, "inputs": {k: pack(v) for k, v in inputs.items()},
         "expected": {k: pack(v.detach()) for k, v in r.items()}, "rtol": 1e-9}
    c["atol"] = {k: atol for k in r}
    if upstream is not None:
        mask = None
        if upstream == "mean(y*mask)":
            mask = rnd(*r["y"].shape)
            c["inputs"]["mask"] = pack(mask)
        if upstream != "":
            c["upstream"] = upstream
            loss = UP[upstream](r["y"], mask)
            c["expected"]["loss"] = pack(loss.detach())
            c["atol"]["loss"] = atol
        else:
            loss = r["y"]
        loss.backward()
        c["grads"] = {k: pack(v.grad if v.grad is not None else torch.zeros_like(v)) for k, v in ts.items() if v.requires_grad}
        c["atol"].update({f"grad.{k}": atol for k in c["grads"]})
    files.setdefault(file, []).append(c)


# Elementwise ----------------------------------------------------------------------------------------------------------
one = {"relu": F.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "silu": F.silu, "neg": torch.neg, "exp": torch.exp,
       "log": torch.log, "sqrt": torch.sqrt}
for op, f in one.items():
    dom = pos if op in ("log", "sqrt") else rnd
    case("elementwise", "3x5", op, lambda i, f=f: f(i["x"]), {"x": dom(3, 5)})
    case("elementwise", "vector-mask", op, lambda i, f=f: f(i["x"]), {"x": dom(7)}, upstream="mean(y*mask)")
    case("elementwise", "scalar", op, lambda i, f=f: f(i["x"]), {"x": dom()}, upstream="")
    case("elementwise", "empty", op, lambda i, f=f: f(i["x"]), {"x": dom(0, 3)}, upstream="sum")
for op in ("relu", "sigmoid", "tanh", "silu"):
    case("elementwise", "wide", op, lambda i, f=one[op]: f(i["x"]), {"x": torch.tensor([-40., -8., -0.5, 0., 0.5, 8., 40.])}, upstream="mean(y)")
case("elementwise", "infinite", "sigmoid", lambda i: torch.sigmoid(i["x"]), {"x": torch.tensor([-math.inf, math.inf])}, upstream=None)
case("elementwise", "infinite", "exp", lambda i: torch.exp(i["x"]), {"x": torch.tensor([-math.inf, 0.0, math.inf])}, upstream=None)
for s in (0.01, 0.2):
    case("elementwise", f"slope-{s}", "leaky_relu", lambda i: F.leaky_relu(i["x"], s), {"x": rnd(4, 3)}, {"slope": s})
for a in ("erf", "tanh"):
    g = lambda i, a=a: F.gelu(i["x"], approximate="none" if a == "erf" else "tanh")
    case("elementwise", a, "gelu", g, {"x": rnd(4, 5, scale=2)}, {"approx": a})
    case("elementwise", a + "-wide", "gelu", g, {"x": torch.tensor([-30., -5., -1e-3, 0., 1e-3, 5., 30.])}, {"approx": a}, upstream="mean(y)")
case("elementwise", "both", "clamp", lambda i: i["x"].clamp(-0.5, 0.7), {"x": rnd(4, 5)}, {"min": -0.5, "max": 0.7})
case("elementwise", "below", "clamp", lambda i: i["x"].clamp(min=0.25), {"x": rnd(9)}, {"min": 0.25})
two = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "pow": torch.pow}
for op, f in two.items():
    for name, sa, sb in (("same", (3, 4), (3, 4)), ("row", (2, 3, 4), (4,)), ("outer", (3, 1), (1, 5)), ("scalar", (5,), ()), ("empty", (0, 4), (4,))):
        case("elementwise", name, op, lambda i, f=f: f(i["a"], i["b"]), {"a": pos(*sa) if op == "pow" else rnd(*sa), "b": pos(*sb)})

# Reductions, shapes ---------------------------------------------------------------------------------------------------
for op, f in {"sum": torch.sum, "mean": torch.mean, "max": torch.amax}.items():
    for name, axes, keep in (("rows", [1], False), ("columns-keep", [0], True), ("ends", [0, 2], False), ("last", [-1], False)):
        case("shape", name, op, lambda i, f=f: f(i["x"], dim=axes, keepdim=keep), {"x": rnd(3, 4, 5)}, {"axes": axes, "keepdims": keep})
    case("shape", "all", op, lambda i, f=f: f(i["x"], dim=[0, 1]), {"x": rnd(4, 3)}, {"axes": [0, 1], "keepdims": False}, upstream="")
case("shape", "ties", "max", lambda i: torch.amax(i["x"], dim=[1]), {"x": torch.tensor([[1., 3., 3.], [2., 2., 2.]])}, {"axes": [1], "keepdims": False}, upstream="sum")
case("shape", "flatten", "reshape", lambda i: i["x"].reshape(2, 12), {"x": rnd(2, 3, 4)}, {"shape": [2, 12]})
case("shape", "split", "reshape", lambda i: i["x"].reshape(2, 3, 2, 2), {"x": rnd(6, 4)}, {"shape": [2, 3, 2, 2]})
case("shape", "infer", "reshape", lambda i: i["x"].reshape(4, -1), {"x": rnd(2, 6)}, {"shape": [4, -1]})
case("shape", "matrix", "transpose", lambda i: i["x"].permute(1, 0), {"x": rnd(3, 5)}, {"perm": [1, 0]})
case("shape", "nchw-nhwc", "transpose", lambda i: i["x"].permute(0, 2, 3, 1), {"x": rnd(2, 3, 2, 4)}, {"perm": [0, 2, 3, 1]}, upstream="mean(y*mask)")
case("shape", "middle", "slice", lambda i: i["x"][1:3, 0:4], {"x": rnd(5, 4)}, {"start": [1, 0], "stop": [3, 4], "step": [1, 1]})
case("shape", "steps", "slice", lambda i: i["x"][0:7:3, 1:5:2], {"x": rnd(7, 6)}, {"start": [0, 1], "stop": [7, 5], "step": [3, 2]}, upstream="mean(y*mask)")
case("shape", "empty", "slice", lambda i: i["x"][2:2], {"x": rnd(4, 3)}, {"start": [2, 0], "stop": [2, 3], "step": [1, 1]}, upstream="sum")
case("shape", "zeros", "pad", lambda i: F.pad(i["x"], (2, 0, 1, 3)), {"x": rnd(3, 4)}, {"pairs": [[1, 3], [2, 0]], "value": 0})
case("shape", "value", "pad", lambda i: F.pad(i["x"], (1, 1), value=-2.5), {"x": rnd(5)}, {"pairs": [[1, 1]], "value": -2.5}, upstream="mean(y*mask)")
for axis in (0, 1, -1):
    sb = {0: (1, 3, 4), 1: (2, 5, 4), -1: (2, 3, 2)}[axis]
    case("shape", f"axis{axis}", "concat", lambda i: torch.cat([i["a"], i["b"]], dim=axis), {"a": rnd(2, 3, 4), "b": rnd(*sb)}, {"axis": axis}, upstream="mean(y*mask)")
case("shape", "axis0", "gather", lambda i: torch.gather(i["x"], 0, i["index"]), {"x": rnd(4, 3), "index": torch.tensor([[0, 3, 1], [0, 0, 2]])}, {"axis": 0})
case("shape", "axis1-repeated", "gather", lambda i: torch.gather(i["x"], 1, i["index"]), {"x": rnd(3, 5), "index": torch.tensor([[4, 4], [0, 1], [2, 2]])}, {"axis": 1}, upstream="mean(y*mask)")
case("shape", "axis2", "gather", lambda i: torch.gather(i["x"], 2, i["index"]), {"x": rnd(2, 2, 4), "index": torch.tensor([[[1], [3]], [[0], [2]]])}, {"axis": 2})
case("shape", "rows", "take", lambda i: i["x"][i["index"]], {"x": rnd(5, 3), "index": torch.tensor([4, 0, 4])}, {"axis": 0}, upstream="mean(y*mask)")
case("shape", "columns", "take", lambda i: i["x"][:, i["index"]], {"x": rnd(3, 4), "index": torch.tensor([2, 2, 1])}, {"axis": 1})
case("shape", "factor", "scale", lambda i: i["x"] * -1.75, {"x": rnd(3, 4)}, {"factor": -1.75})
case("shape", "one", "scale", lambda i: i["x"] * 0.125, {"x": rnd(1)}, {"factor": 0.125}, upstream="")

# Layers ---------------------------------------------------------------------------------------------------------------
for name, sa, sb in (("2d", (3, 4), (4, 5)), ("batch", (2, 3, 4), (2, 4, 5)), ("broadcast", (2, 3, 4), (4, 2)), ("inner-1", (3, 1), (1, 4)), ("batch4", (2, 1, 2, 3), (3, 3, 2)), ("empty", (3, 0), (0, 2))):
    case("layers", name, "matmul", lambda i: i["a"] @ i["b"], {"a": rnd(*sa), "b": rnd(*sb)})
case("layers", "bias", "linear", lambda i: F.linear(i["x"], i["weight"], i["bias"]), {"x": rnd(4, 3), "weight": rnd(5, 3), "bias": rnd(5)})
case("layers", "no-bias", "linear", lambda i: F.linear(i["x"], i["weight"]), {"x": rnd(2, 6), "weight": rnd(3, 6)}, upstream="mean(y*mask)")
case("layers", "3d", "linear", lambda i: F.linear(i["x"], i["weight"], i["bias"]), {"x": rnd(2, 3, 4), "weight": rnd(2, 4), "bias": rnd(2)})


def conv(name, n, c, h, w, o, k, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, bias=True, up="sum(y^2)"):
    i = {"x": rnd(n, c, h, w), "weight": rnd(o, c // groups, *k)}
    if bias:
        i["bias"] = rnd(o)
    case("layers", name, "conv2d", lambda i: F.conv2d(i["x"], i["weight"], i.get("bias"), stride, padding, dilation, groups), i,
         {"stride": list(stride), "padding": list(padding), "dilation": list(dilation), "groups": groups}, upstream=up)


conv("3x3", 2, 3, 6, 5, 4, (3, 3))
conv("same", 1, 2, 5, 5, 3, (3, 3), padding=(1, 1), bias=False)
conv("5x5-pad2", 2, 1, 7, 7, 3, (5, 5), padding=(2, 2), up="mean(y*mask)")
conv("stride2", 2, 2, 7, 8, 3, (3, 3), stride=(2, 2), padding=(1, 1))
conv("stride-2x1", 1, 3, 6, 6, 2, (2, 3), stride=(2, 1))
conv("dilated", 1, 2, 8, 8, 2, (3, 3), dilation=(2, 2), padding=(2, 2))
conv("dilated-stride", 1, 2, 9, 8, 2, (3, 2), stride=(2, 2), dilation=(1, 3))
conv("groups2", 2, 4, 5, 5, 6, (3, 3), groups=2, padding=(1, 0))
conv("depthwise", 2, 3, 5, 6, 3, (3, 3), groups=3, bias=False, up="mean(y*mask)")
conv("1x1", 2, 5, 3, 3, 4, (1, 1))
conv("1x1-stride2", 2, 3, 5, 5, 4, (1, 1), stride=(2, 2), bias=False)
conv("whole", 2, 3, 4, 4, 5, (4, 4))


for act, f in (("relu", F.relu), ("tanh", torch.tanh), ("sigmoid", torch.sigmoid)):
    case("layers", act, "conv2d_act", lambda i: f(F.conv2d(i["x"], i["weight"], i["bias"], (1, 1), (1, 1))),
         {"x": rnd(2, 3, 4, 5), "weight": rnd(4, 3, 3, 3), "bias": rnd(4)}, {"padding": [1, 1], "act": act})


def even(n, m, d):  # multiples of 1/d whose products and sums are not rounded
    return torch.tensor([((k * 37 + k // 3) % m - m // 2) / d for k in range(n)])


def convpool(name, n, c, h, w, o, pad, groups, kernel, act=None, bias=True):
    i = {"x": even(n * c * h * w, 19, 4).reshape(n, c, h, w), "weight": even(o * c // groups * 9, 11, 4).reshape(o, c // groups, 3, 3)}
    if bias:
        i["bias"] = even(o, 7, 8)
    params = {"stride": [1, 1], "padding": [pad, pad], "groups": groups, "kernel": kernel}
    if act:
        params["act"] = act
    f = F.relu if act else lambda y: y
    case("layers", name, "conv2d_pool", lambda i: F.max_pool2d(f(F.conv2d(i["x"], i["weight"], i.get("bias"), 1, pad, 1, groups)), kernel), i, params)


convpool("2x2", 2, 3, 5, 7, 4, 1, 1, [2, 2])
convpool("relu", 1, 2, 6, 6, 3, 0, 1, [2, 2], "relu")
convpool("uneven-groups", 2, 4, 8, 7, 6, 1, 2, [3, 2], bias=False)


def linact(name, lead, k, o, act, f):
    i = {"x": even(math.prod(lead) * k, 19, 8).reshape(*lead, k), "weight": even(o * k, 11, 4).reshape(o, k), "bias": even(o, 7, 8)}
    case("layers", name, "linear_act", lambda i: f(F.linear(i["x"], i["weight"], i["bias"])), i, {"act": act})


linact("relu", (4,), 5, 3, "relu", F.relu)
linact("3d", (2, 3), 4, 5, "relu", F.relu)
linact("tanh", (3,), 4, 2, "tanh", torch.tanh)


def pool(op, name, f, shape, params, up="mean(y*mask)", x=None):
    case("layers", name, op, f, {"x": rnd(*shape) if x is None else x}, params, upstream=up)


def maxpool(name, shape, k, s, p=0, d=1, ceil=False, x=None):
    def f(i):
        y, idx = F.max_pool2d(i["x"], k, s, p, d, ceil_mode=ceil, return_indices=True)
        return {"y": y, "indices": idx}
    pool("max_pool2d", name, f, shape, {"kernel": k, "stride": s, "padding": p, "dilation": d, "ceil_mode": ceil}, x=x)


pool("max_pool2d", "no-indices", lambda i: F.max_pool2d(i["x"], 2), (2, 2, 4, 4), {"kernel": [2, 2], "stride": [2, 2]}, up="sum(y^2)")
maxpool("2x2", (2, 3, 4, 6), [2, 2], [2, 2])
maxpool("3x3-overlap", (1, 2, 7, 7), [3, 3], [2, 2], [1, 1])
maxpool("ceil", (1, 2, 6, 5), [3, 2], [2, 2], [0, 0], [1, 1], True)
maxpool("ceil-pad", (2, 1, 6, 6), [3, 3], [2, 2], [1, 1], [1, 1], True)
maxpool("dilated", (1, 2, 7, 8), [2, 3], [1, 2], [0, 1], [2, 2])
maxpool("ties", None, [2, 2], [2, 2], x=torch.tensor([[[[1., 1., 2., 0.], [1., 1., 2., 2.]]]]))
maxpool("negative-pad", None, [3, 3], [2, 2], [1, 1], x=-pos(1, 1, 5, 5))
for cip in (True, False):
    pool("avg_pool2d", f"pad-{cip}", lambda i: F.avg_pool2d(i["x"], [3, 3], [2, 2], [1, 1], False, cip), (2, 2, 5, 6),
         {"kernel": [3, 3], "stride": [2, 2], "padding": [1, 1], "ceil_mode": False, "count_include_pad": cip})
    pool("avg_pool2d", f"ceil-{cip}", lambda i: F.avg_pool2d(i["x"], [3, 2], [2, 2], [1, 1], True, cip), (1, 2, 6, 5),
         {"kernel": [3, 2], "stride": [2, 2], "padding": [1, 1], "ceil_mode": True, "count_include_pad": cip})
pool("avg_pool2d", "2x2", lambda i: F.avg_pool2d(i["x"], 2), (2, 3, 4, 4), {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0]}, up="sum(y^2)")
for out, shape in (([1, 1], (2, 3, 5, 4)), ([3, 2], (1, 2, 7, 5)), ([4, 4], (1, 2, 2, 3)), ([2, 2], (2, 1, 4, 4))):
    pool("adaptive_avg_pool2d", f"{out[0]}x{out[1]}", lambda i: F.adaptive_avg_pool2d(i["x"], out), shape, {"output": out})
    pool("adaptive_max_pool2d", f"{out[0]}x{out[1]}", lambda i: F.adaptive_max_pool2d(i["x"], out), shape, {"output": out})
for shape in ((2, 3, 4, 5), (1, 1, 1, 1)):
    nm = "x".join(map(str, shape))
    pool("global_avg_pool2d", nm, lambda i: i["x"].mean(dim=(2, 3), keepdim=True), shape, {})
    pool("global_max_pool2d", nm, lambda i: i["x"].amax(dim=(2, 3), keepdim=True), shape, {})


def bn(name, shape, training, eps=1e-5, momentum=0.1, affine=True, up="mean(y*mask)", scale=1.0, shift=0.0, act=None):
    c = shape[1]
    i = {"x": rnd(*shape, scale=scale, shift=shift), "running_mean": rnd(c), "running_var": pos(c)}
    if affine:
        i["gamma"], i["beta"] = rnd(c), rnd(c)

    def f(i):
        m, v = i["running_mean"].clone(), i["running_var"].clone()
        y = F.batch_norm(i["x"], m, v, i.get("gamma"), i.get("beta"), training, momentum, eps)
        if act:
            y = F.relu(y)
        return {"y": y, "running_mean": m, "running_var": v} if training else y
    params = {"training": training, "eps": eps, "momentum": momentum}
    if act:
        params["act"] = act
    case("layers", name, "batch_norm_act" if act else "batch_norm", f, i, params, upstream=up, no_grad=("running_mean", "running_var"), atol=1e-8)


bn("2d-train", (4, 3, 5, 5), True)
bn("2d-eval", (4, 3, 2, 2), False)
bn("1d-train", (8, 5), True, up="sum(y^2)")
bn("1d-eval", (6, 4), False)
bn("ncl-train", (4, 3, 6), True)
bn("tiny-eps", (6, 2, 3, 3), True, eps=1e-12, momentum=0.6)
bn("no-affine", (5, 3, 2, 2), True, affine=False)
bn("shifted", (6, 2, 4, 4), True, shift=100.0)
bn("relu-train", (4, 3, 3, 3), True, act="relu")
bn("relu-eval", (2, 3, 3, 3), False, act="relu")
bn("momentum-1", (3, 2, 4, 4), True, momentum=1.0)

# Losses and softmax ---------------------------------------------------------------------------------------------------
for axis in (-1, 0, 1):
    case("losses", f"axis{axis}", "softmax", lambda i: F.softmax(i["x"], axis), {"x": rnd(3, 4, 5)}, {"axis": axis}, upstream="mean(y*mask)")
    case("losses", f"axis{axis}", "log_softmax", lambda i: F.log_softmax(i["x"], axis), {"x": rnd(3, 4, 5)}, {"axis": axis}, upstream="mean(y*mask)")
for op, f in (("softmax", F.softmax), ("log_softmax", F.log_softmax)):
    case("losses", "large", op, lambda i, f=f: f(i["x"], 1), {"x": torch.tensor([[1000., 999., -1000.], [-1000., -1001., -1002.]])}, {"axis": 1}, upstream="mean(y*mask)" if op == "softmax" else "sum")
    case("losses", "one", op, lambda i, f=f: f(i["x"], 1), {"x": rnd(4, 1)}, {"axis": 1})
cls = torch.tensor([2, 0, 3, 1, 2])
for red in ("none", "mean", "sum"):
    up = "mean(y*mask)" if red == "none" else ""
    case("losses", red, "cross_entropy", lambda i: F.cross_entropy(i["logits"], i["target"], reduction=red), {"logits": rnd(5, 4, scale=2), "target": cls}, {"reduction": red}, upstream=up)
    case("losses", red + "-smooth", "cross_entropy", lambda i: F.cross_entropy(i["logits"], i["target"], reduction=red, label_smoothing=0.2), {"logits": rnd(5, 4, scale=2), "target": cls}, {"reduction": red, "label_smoothing": 0.2}, upstream=up)
    w = [0.5, 2.0, 1.0, 0.25]
    case("losses", red + "-weights", "cross_entropy", lambda i: F.cross_entropy(i["logits"], i["target"], torch.tensor(w), reduction=red), {"logits": rnd(5, 4), "target": cls}, {"reduction": red, "class_weights": w}, upstream=up)
    case("losses", red + "-weights-smooth", "cross_entropy", lambda i: F.cross_entropy(i["logits"], i["target"], torch.tensor(w), reduction=red, label_smoothing=0.1), {"logits": rnd(5, 4), "target": cls}, {"reduction": red, "class_weights": w, "label_smoothing": 0.1}, upstream=up)
    case("losses", red + "-ignore", "cross_entropy", lambda i: F.cross_entropy(i["logits"], i["target"], reduction=red, ignore_index=2), {"logits": rnd(5, 4), "target": cls}, {"reduction": red, "ignore_index": 2}, upstream=up)
    case("losses", red + "-ignore-weights-smooth", "cross_entropy", lambda i: F.cross_entropy(i["logits"], i["target"], torch.tensor(w), reduction=red, ignore_index=2, label_smoothing=0.1), {"logits": rnd(5, 4), "target": cls}, {"reduction": red, "ignore_index": 2, "class_weights": w, "label_smoothing": 0.1}, upstream=up)
    soft = F.softmax(rnd(5, 4), 1)
    case("losses", red, "cross_entropy_soft", lambda i: F.cross_entropy(i["logits"], i["target"], reduction=red), {"logits": rnd(5, 4, scale=2), "target": soft}, {"reduction": red}, upstream=up, no_grad=("target",))
    case("losses", red + "-smooth", "cross_entropy_soft", lambda i: F.cross_entropy(i["logits"], i["target"], reduction=red, label_smoothing=0.3), {"logits": rnd(5, 4), "target": soft}, {"reduction": red, "label_smoothing": 0.3}, upstream=up, no_grad=("target",))
    case("losses", red + "-weights", "cross_entropy_soft", lambda i: F.cross_entropy(i["logits"], i["target"], torch.tensor(w), reduction=red), {"logits": rnd(5, 4), "target": soft}, {"reduction": red, "class_weights": w}, upstream=up, no_grad=("target",))
    case("losses", red, "mse_loss", lambda i: F.mse_loss(i["x"], i["target"], reduction=red), {"x": rnd(3, 4), "target": rnd(3, 4)}, {"reduction": red}, upstream=up, no_grad=("target",))
    case("losses", red, "l1_loss", lambda i: F.l1_loss(i["x"], i["target"], reduction=red), {"x": rnd(3, 4), "target": rnd(3, 4)}, {"reduction": red}, upstream=up, no_grad=("target",))
    case("losses", red, "bce_with_logits", lambda i: F.binary_cross_entropy_with_logits(i["logits"], i["target"], reduction=red), {"logits": rnd(3, 4, scale=3), "target": torch.rand((3, 4), generator=gen)}, {"reduction": red}, upstream=up, no_grad=("target",))
case("losses", "large", "cross_entropy", lambda i: F.cross_entropy(i["logits"], i["target"]), {"logits": torch.tensor([[1000., 0., -1000.], [-500., 500., 0.]]), "target": torch.tensor([2, 1])}, {"reduction": "mean"}, upstream="")
case("losses", "positions", "cross_entropy", lambda i: F.cross_entropy(i["logits"], i["target"]), {"logits": rnd(2, 3, 2, 2), "target": torch.tensor([[[0, 1], [2, 0]], [[1, 1], [0, 2]]])}, {"reduction": "mean"}, upstream="")
case("losses", "all-ignored-sum", "cross_entropy", lambda i: F.cross_entropy(i["logits"], i["target"], reduction="sum", ignore_index=1), {"logits": rnd(2, 3), "target": torch.tensor([1, 1])}, {"reduction": "sum", "ignore_index": 1}, upstream="")
case("losses", "extreme", "bce_with_logits", lambda i: F.binary_cross_entropy_with_logits(i["logits"], i["target"]), {"logits": torch.tensor([-800., -20., 0., 20., 800.]), "target": torch.tensor([0., 1., 0.5, 0., 1.])}, {"reduction": "mean"}, upstream="", no_grad=("target",))

here = pathlib.Path(__file__).parent
for name, cases in files.items():
    ids = [c["id"] for c in cases]
    assert len(set(ids)) == len(ids), [i for i in ids if ids.count(i) > 1]
    with open(here / f"{name}.json", "w") as f:
        f.write('{"format": "acumen-golden-v1", "cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")
    print(name, len(cases))
