#!/usr/bin/env python3
"""What cuDNN and cuBLAS reach at the layers that bench_kernels times, by way of PyTorch: the yardstick of its kernels.

    python3 bench/peers/pytorch_kernels.py --arch original
    python3 bench/peers/pytorch_kernels.py --device cpu --rehearse --program build/bench_kernels

PyTorch asks cuDNN by its graph interface and keeps the fastest engine of those it has tried (torch.backends.cudnn.
benchmark), whether or not that gives the same bits on every run. Tensors are channels_last. Which layers there are says
`bench_kernels --layers`; rows have the keys of bench_kernels' and are timed in its way (pytorch_clock.py).

Each pass is done in several ways, which `choice` says; the fastest is marked as `best`, and is "cuDNN's best":

    bare            the library's operation alone: no bias, and a picture that is already padded where SAME padding is
                    not the same on both sides, which cuDNN does not know; dgrad then is that of the padded picture
    bias            the same with a bias, or its gradient
    F.pad, bias     fprop from the picture that is not padded: what a user of PyTorch waits for
    F.pad           dgrad, its margins cut off: the same
    padded alike    as many sums of as many products, with the larger padding on both sides and nothing around it: the
                    layer's own result would be the same pictures moved by a pixel

A decoder's layer ("2 x decoder.up0") is one call for each person, one after the other, in one time.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    sys.exit("pytorch_kernels.py: this Python has no PyTorch; on Debian: apt install python3-torch, then /usr/bin/python3")

from pytorch_clock import CardClock, HostClock

TYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def uniform(layer, device, low, high, *shape):
    """One tensor for each group; pictures and filters channels_last."""
    values = [(torch.rand(shape, device=device) * (high - low) + low).to(TYPES[layer["precision"]]) for _ in range(layer["groups"])]
    return [v.contiguous(memory_format=torch.channels_last) for v in values] if len(shape) == 4 else values


# ---- convolutions ----------------------------------------------------------------------------------------------------


class Way:
    """One way of a convolution: `before` is what F.pad adds (left, right, top, bottom), `inside` what the library pads."""

    def __init__(self, name, x, before=None, inside=(0, 0), bias=False):
        self.name, self.x, self.before, self.inside, self.bias = name, x, before, inside, bias
        self.read = [F.pad(v, before) for v in x] if before else x  # what forward has left for backward


class Convolution:
    def __init__(self, layer, device):
        n, h, w, c, k, r, s = (layer[key] for key in "nhwckrs")
        self.stride = layer["stride"]
        top, bottom, left, right = (layer["pad_" + side] for side in ("top", "bottom", "left", "right"))
        out = [(size + pads - taps) // self.stride + 1 for size, pads, taps in ((h, top + bottom, r), (w, left + right, s))]
        self.x = uniform(layer, device, -1, 1, n, c, h, w)
        self.w = uniform(layer, device, -0.05, 0.05, k, c, r, s)
        self.b = uniform(layer, device, -1, 1, k)
        self.dz = uniform(layer, device, -1, 1, n, k, *out)
        if (top, left) == (bottom, right):
            bare = Way("bare", self.x, inside=(top, left))
            self.ways = {"fprop": [bare, Way("bias", self.x, inside=(top, left), bias=True)], "dgrad": [bare], "wgrad": [bare]}
            return
        pads = (left, right, top, bottom)
        padded = [F.pad(x, pads) for x in self.x]
        bare, padding = Way("bare", padded), Way("F.pad", self.x, before=pads)
        with_bias = [Way("bias", padded, bias=True), Way("F.pad, bias", self.x, before=pads, bias=True)]
        self.ways = {"fprop": [bare, *with_bias], "dgrad": [bare, padding], "wgrad": [bare]}
        alike = (max(top, bottom), max(left, right))
        if [(size + 2 * pad - taps) // self.stride + 1 for size, pad, taps in zip((h, w), alike, (r, s))] == out:
            for ways in self.ways.values():
                ways.append(Way("padded alike", self.x, inside=alike))

    def runs(self, kernel):
        """[(name, function)] of one pass."""
        return [(way.name, lambda way=way: getattr(self, kernel)(way)) for way in self.ways[kernel]]

    def fprop(self, way):
        stride, inside = self.stride, way.inside
        return [
            F.conv2d(F.pad(x, way.before) if way.before else x, w, b if way.bias else None, stride, inside)
            for x, w, b in zip(way.x, self.w, self.b)
        ]

    def backward(self, way, of_input):
        strides, mask = [self.stride] * 2, [of_input, not of_input, False]
        return [
            torch.ops.aten.convolution_backward(dz, x, w, None, strides, list(way.inside), [1, 1], False, [0, 0], 1, mask)[not of_input]
            for dz, x, w in zip(self.dz, way.read, self.w)
        ]

    def dgrad(self, way):
        dx = self.backward(way, True)
        return [F.pad(d, [-p for p in way.before]) for d in dx] if way.before else dx

    def wgrad(self, way):
        return self.backward(way, False)

    def truths(self, kernel):
        """What each of runs(kernel) must give, in double precision by autograd."""
        return [[self.truth(kernel, way, group) for group in range(len(self.x))] for way in self.ways[kernel]]

    def truth(self, kernel, way, group):
        x, w = (v[group].detach().cpu().double().requires_grad_() for v in (way.x, self.w))
        y = F.conv2d(F.pad(x, way.before or (0, 0, 0, 0)), w, None, self.stride, way.inside)
        if kernel == "fprop":
            return y + self.b[group].cpu().double().view(-1, 1, 1) if way.bias else y
        y.backward(self.dz[group].cpu().double())
        return x.grad if kernel == "dgrad" else w.grad


# ---- dense layers ----------------------------------------------------------------------------------------------------


class Dense:
    def __init__(self, layer, device):
        n, c, k = layer["n"], layer["c"], layer["k"]
        (self.x,), (self.dy,) = uniform(layer, device, -1, 1, n, c), uniform(layer, device, -1, 1, n, k)
        (self.w,), (self.b,) = uniform(layer, device, -0.05, 0.05, k, c), uniform(layer, device, -1, 1, k)

    def runs(self, kernel):
        x, w, b, dy = self.x, self.w, self.b, self.dy
        return {
            "dense fprop": [("bare", lambda: [torch.mm(x, w.t())]), ("bias", lambda: [F.linear(x, w, b)])],
            "dense dgrad": [("bare", lambda: [torch.mm(dy, w)])],
            "dense wgrad": [("bare", lambda: [torch.mm(dy.t(), x)]), ("bias", lambda: [torch.mm(dy.t(), x), dy.sum(0)])],
        }[kernel]

    def truths(self, kernel):
        x, w, b, dy = (v.cpu().double() for v in (self.x, self.w, self.b, self.dy))
        return {
            "dense fprop": [[x @ w.T], [x @ w.T + b]],
            "dense dgrad": [[dy @ w]],
            "dense wgrad": [[dy.T @ x], [dy.T @ x, dy.sum(0)]],
        }[kernel]


def check(name, results, truths, precision):
    """Throws where a rehearsed way computes something else than it says."""
    allowed = 2e-2 if precision == "bf16" else 1e-4
    if [tuple(r.shape) for r in results] != [tuple(t.shape) for t in truths]:
        raise RuntimeError(f"{name} has shapes {[tuple(r.shape) for r in results]}, not {[tuple(t.shape) for t in truths]}")
    for result, truth in zip(results, truths):
        wrong = (result.cpu().double() - truth).abs().max() / truth.abs().max()
        if not wrong <= allowed:
            raise RuntimeError(f"{name} is wrong by {wrong:.2g} of the largest value")


# ---- rows ------------------------------------------------------------------------------------------------------------


class Rows:
    """Prints the rows of each pass as soon as all its ways are timed."""

    def __init__(self, args, clock):
        self.args, self.clock, self.begun, self.failed = args, clock, False, False
        self.peak_flops = self.peak_bytes = 0

    def add(self, what, kernel, flops, bytes, by, runs, truths=()):
        timed = []
        for number, (choice, run) in enumerate(runs):
            name = f"{what['layer']} {kernel} {choice}"
            try:
                if truths:
                    check(name, run(), truths[number], what["precision"])
                timed.append((choice, sorted(self.clock.times(run))))
            except RuntimeError as problem:  # out of memory, or whatever a library throws
                print(f"pytorch_kernels.py: {what['arch']}, {name}: {str(problem)[:400]}", file=sys.stderr)
                self.failed = True
        fastest = min((statistics.median(times) for _, times in timed), default=0)
        if not what["arch"] and fastest:  # the peaks themselves
            self.peak_flops, self.peak_bytes = max(self.peak_flops, flops / fastest), bytes / fastest if not flops else 0
        for choice, times in timed:
            row = self.row(what, kernel, flops, bytes, by, choice, times)
            self.show({**row, "best": statistics.median(times) == fastest})

    def row(self, what, kernel, flops, bytes, by, choice, times):
        middle = statistics.median(times)
        low, high = times[len(times) // 10], times[-1 - len(times) // 10]
        least = max(flops / self.peak_flops if self.peak_flops else 0, bytes / self.peak_bytes if self.peak_bytes else 0)
        row = {key: what[key] for key in ("arch", "batch", "precision", "layer")}
        row.update(kernel=kernel, by=by, choice=choice, best=False, ms=round(middle * 1e3, 5))
        row.update(ms_low=round(low * 1e3, 5), ms_high=round(high * 1e3, 5), runs=len(times))
        row.update(tflops=round(flops / middle * 1e-12, 3), gb_per_s=round(bytes / middle * 1e-9, 2), of_peak=round(least / middle, 4))
        row.update(pytorch=torch.__version__, cudnn=torch.backends.cudnn.version())
        if self.args.rehearse:
            row["rehearsed"] = True
        return row

    def show(self, row):
        if self.args.json:
            print((",\n " if self.begun else "[") + json.dumps(row), end="", flush=True)
        else:
            if not self.begun:
                print(f"PyTorch {row['pytorch']}, cuDNN {row['cudnn']}; low and high: a tenth of the times is below, above")
                print(f"{'arch':10s}{'layer':26s}{'kernel':12s}{'choice':14s}{'type':5s}{'ms':>10s}{'low':>10s}{'high':>10s}{'TFLOP/s':>9s}{'GB/s':>8s}{'of peak':>9s}")
            print(
                f"{row['arch']:10s}{row['layer']:26s}{row['kernel']:12s}{row['choice']:14s}{row['precision']:5s}{row['ms']:10.4f}"
                f"{row['ms_low']:10.4f}{row['ms_high']:10.4f}{row['tflops']:9.1f}{row['gb_per_s']:8.0f}{100 * row['of_peak']:8.1f}%"
                f"{'  best' if row['best'] else ''}",
                flush=True,
            )
        self.begun = True

    def end(self):
        if self.args.json:
            print("]" if self.begun else "[]", flush=True)


def measure_peaks(rows, args):
    """bf16 products and a copy, as large as bench_kernels has them."""
    n, size = (64, 1 << 20) if args.rehearse else (8192, 1 << 30)
    what = dict(arch="", batch=0, precision="bf16", layer=f"{n} x {n} x {n}")
    x, w = (((torch.rand(n, n, device=args.device) * 2 - 1) * scale).bfloat16() for scale in (1, 0.05))
    ways = [("x w^T", lambda: torch.matmul(x, w.t())), ("x w", lambda: torch.matmul(x, w))]
    rows.add(what, "product", 2.0 * n**3, 6.0 * n * n, "cuBLAS by PyTorch", ways)
    to, source = (torch.empty(size, dtype=torch.uint8, device=args.device) for _ in range(2))
    source.zero_()
    what["layer"] = f"{size >> 20} MiB"
    rows.add(what, "copy", 0.0, 2.0 * size, "PyTorch", [("", lambda: to.copy_(source))])


def layers_of(args):
    layers = []
    for arch in args.arch or [None]:
        command = [args.program, "--layers", "--precision", args.precision]
        command += ["--arch", arch] if arch else []
        command += ["--batch", str(args.batch)] if args.batch else []
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"pytorch_kernels.py: {' '.join(command)} failed with exit code {done.returncode}")
        layers += json.loads(done.stdout)
    return layers


def small(layer):
    """The same kind of layer, which a processor does in no time; nothing is said of its rates."""
    sizes = {key: min(layer[key], most) for key, most in dict(n=2, h=8, w=8, c=8, k=8).items() if key in layer}
    return {**layer, **sizes, "passes": [dict(p, flops=0, bytes=0) for p in layer["passes"]]}


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda", help="the processor only rehearses")
    parser.add_argument("--arch", action="append", help="this one alone; several in this order")
    parser.add_argument("--precision", choices=TYPES, default="bf16", help="fp32 means fp32, not TF32")
    parser.add_argument("--batch", type=int, help="samples of each of two people; bench_kernels' unless said")
    parser.add_argument("--only", default="", help="those alone whose layer and kernel have this in them")
    parser.add_argument("--seconds", type=float, default=0.02, help="for how long each way is measured")
    parser.add_argument("--search", type=int, default=10, help="engines of cuDNN that are tried for a pass; 0: all, which takes long")
    parser.add_argument("--rehearse", action="store_true", help="small shapes, of which the results are checked")
    parser.add_argument("--json", action="store_true", help="print a list of objects, each as soon as it is there")
    parser.add_argument("--program", default=os.path.normpath(os.path.join(here, "../../build/bench_kernels")))
    args = parser.parse_args()
    if not os.path.exists(args.program):
        parser.error(f"{args.program} does not exist; build it, or name it with --program")
    if args.device == "cpu" and not args.rehearse:
        parser.error("--device cpu wants --rehearse")
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("pytorch_kernels.py: this PyTorch sees no card")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("pytorch_kernels.py: stopped; what had been measured is printed"))
    torch.manual_seed(1)
    layers = layers_of(args)
    clock = HostClock()
    if args.device == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.benchmark_limit = args.search
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        clock = CardClock(args.seconds)
    rows = Rows(args, clock)
    try:
        with torch.no_grad():
            measure_peaks(rows, args)
            for layer in layers:
                measure(small(layer) if args.rehearse else layer, rows, args)
    finally:
        rows.end()
    if rows.failed:
        sys.exit("pytorch_kernels.py: not all of it could be measured; why is said above")


def measure(layer, rows, args):
    passes = [p for p in layer["passes"] if args.only in f"{layer['layer']} {p['kernel']}"]
    if not passes:
        return
    product = (Convolution if layer["kind"] == "conv" else Dense)(layer, args.device)
    library = "cuDNN" if layer["kind"] == "conv" else "cuBLAS"
    for p in passes:
        runs, truths = product.runs(p["kernel"]), []
        if args.rehearse:
            with torch.enable_grad():
                truths = product.truths(p["kernel"])
        rows.add(layer, p["kernel"], p["flops"], p["bytes"], library + " by PyTorch", runs, truths)


if __name__ == "__main__":
    main()
