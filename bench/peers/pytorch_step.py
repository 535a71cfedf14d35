#!/usr/bin/env python3
"""Times the same training step in PyTorch and in doppel, taking turns, and prints the ratio.

    ninja -C build bench_step && /usr/bin/python3 bench/peers/pytorch_step.py
    bench/peers/pytorch_step.py --device cuda --arch original --precision bf16 --rounds 5 --compile max-autotune

Runs with whatever PyTorch the Python at hand has (Debian: python3-torch). Both sides do all of a step: draw faces and
warps, sample input and target out of 256 x 256 faces with 2 x 2 taps, encode all people's pictures at once, decode each
person's, loss, backward, Adam, and lite's running average of the weights. Networks are written down here once more; a
step's operations are counted on both sides, and the program stops when they differ.

On the CPU PyTorch gets its best: before the rounds it tries channels_last and its usual layout, one thread and one for
each processor, and keeps the fastest; its optimiser is the fused one where it has one, else the faster of the other two.

On a card there are two of it. "eager" is what one writes first: autocast for bf16, NCHW, the usual Adam. "tuned" has
channels_last, fused Adam, TF32 where an operand is fp32, cuDNN's own search for algorithms, and the whole step in one
CUDA graph, with and without torch.compile of network and loss inside it; the faster of the two is kept. Everything that
a step does is done on the card, and steps are not waited for one by one, as in doppel.
"""

import argparse
import copy
import itertools
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError:
    sys.exit("pytorch_step.py: this Python has no PyTorch; on Debian: apt install python3-torch, then /usr/bin/python3")

FACES, FACE_SIZE, SIZE, NODES = 32, 256, 64, 5
ROTATION, ZOOM, SHIFT, FLIP, JITTER, INNER = math.radians(10), 0.05, 0.05, 0.4, 5.0, 160.0

# nn/architecture.cc. down: (filters, kernel), stride 2; up: (filters, residual blocks).
ARCHITECTURES = {
    "original": dict(
        batch=16, down=[(128, 5), (256, 5), (512, 5), (1024, 5)], code=1024, latent=1024, shared=[(512, 0)],
        up=[(256, 0), (128, 0), (64, 0)], out_kernel=5, lr=5e-5, betas=(0.5, 0.999), average=0, dssim=0, window=0,
    ),
    "lite": dict(
        batch=32, down=[(64, 5), (96, 3), (160, 3), (256, 3)], code=256, latent=256, shared=[(256, 0), (128, 0)],
        up=[(64, 0), (32, 0)], out_kernel=3, lr=1e-3, betas=(0.9, 0.99), average=0.995, dssim=0.5, window=7,
    ),
}  # fmt: skip


class Down(nn.Module):
    def __init__(self, c, k, kernel):
        super().__init__()
        self.conv = nn.Conv2d(c, k, kernel, stride=2)
        # SAME at stride 2 and an even size: one more after than before.
        self.pad = ((kernel - 2) // 2, (kernel - 1) // 2) * 2

    def forward(self, x):
        return F.leaky_relu(self.conv(F.pad(x, self.pad)), 0.1, inplace=True)


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv0, self.conv1 = (nn.Conv2d(c, c, 3, padding=1) for _ in range(2))

    def forward(self, x):
        return F.leaky_relu(x + self.conv1(F.leaky_relu(self.conv0(x), 0.2, inplace=True)), 0.2, inplace=True)


class Up(nn.Module):
    def __init__(self, c, filters, residuals):
        super().__init__()
        self.conv = nn.Conv2d(c, 4 * filters, 3, padding=1)
        self.residuals = nn.Sequential(*(Residual(filters) for _ in range(residuals)))

    def forward(self, x):
        return self.residuals(F.pixel_shuffle(F.leaky_relu(self.conv(x), 0.1, inplace=True), 2))


class Encoder(nn.Module):
    def __init__(self, a):
        super().__init__()
        channels = [3] + [filters for filters, _ in a["down"]]
        self.down = nn.Sequential(*(Down(c, k, kernel) for c, (k, kernel) in zip(channels, a["down"])))
        self.latent, side = a["latent"], SIZE >> len(a["down"])
        self.dense0 = nn.Linear(side * side * channels[-1], a["code"])
        self.dense1 = nn.Linear(a["code"], 4 * 4 * self.latent)
        filters = [self.latent] + [k for k, _ in a["shared"]]
        self.up = nn.Sequential(*(Up(c, *up) for c, up in zip(filters, a["shared"])))

    def forward(self, x):
        x = self.dense1(self.dense0(self.down(x).flatten(1)))
        return self.up(x.view(-1, self.latent, 4, 4))


class Decoder(nn.Module):
    def __init__(self, a):
        super().__init__()
        channels = [a["shared"][-1][0]] + [filters for filters, _ in a["up"]]
        self.up = nn.Sequential(*(Up(c, *up) for c, up in zip(channels, a["up"])))
        self.out = nn.Conv2d(channels[-1], 3, a["out_kernel"], padding=a["out_kernel"] // 2)

    def forward(self, x):
        return torch.sigmoid(self.out(self.up(x)).float())


def forward_flops(modules, x):
    """Operations of convolutions and dense layers for one sample, and of the first layer alone."""
    counts = []

    def count(module, _, y):
        per_output = module.weight[0].numel()
        counts.append(2 * per_output * y[0].numel())

    layers = [m for module in modules for m in module.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    hooks = [m.register_forward_hook(count) for m in layers]
    with torch.no_grad():
        for module in modules:
            x = module(x)
    for hook in hooks:
        hook.remove()
    return sum(counts), counts[0]


class Warp:
    """doppel's warp augmentation in batched tensor operations; the bilinear sampling is PyTorch's own."""

    def __init__(self, faces):
        self.faces = faces  # [people, FACES, 3, FACE_SIZE, FACE_SIZE] in 0..1
        device = faces.device
        # Interpolation between the nodes at each of the 2 x 2 taps of each output pixel.
        taps = (torch.arange(2 * SIZE) + 0.5) / (2 * SIZE) * (NODES - 1)
        cell = taps.floor().clamp(max=NODES - 2)
        blend = torch.zeros(2 * SIZE, NODES)
        rows = torch.arange(2 * SIZE)
        blend[rows, cell.long()] = 1 - (taps - cell)
        blend[rows, cell.long() + 1] = taps - cell
        axis = torch.linspace(-0.5, 0.5, NODES)
        regular = torch.complex(*reversed(torch.meshgrid(axis, axis, indexing="ij")))  # [row, column]
        self.blend, self.regular = blend.to(device), regular.to(device)

    def __call__(self, batch):
        people, device = self.faces.shape[0], self.faces.device
        n = people * batch
        pick = torch.randint(FACES, (people, batch), device=device)
        faces = torch.cat([self.faces[p].index_select(0, pick[p]) for p in range(people)])

        def uniform(limit):
            return (torch.rand(n, 1, 1, device=device) * 2 - 1) * limit

        def normal():
            return torch.randn(n, NODES, NODES, device=device)

        turn = torch.polar(1 + uniform(ZOOM), uniform(ROTATION)).reciprocal()
        shift = torch.complex(uniform(SHIFT * FACE_SIZE), uniform(SHIFT * FACE_SIZE))
        mirrored = torch.rand(n, 1, 1, device=device) < FLIP
        moved = self.regular * INNER + torch.complex(normal(), normal()) * JITTER
        # Least squares over the complex numbers, from the moved nodes to the regular ones; the target uses its inverse.
        centre = moved.mean((1, 2), keepdim=True)
        around = moved - centre
        fit = (self.regular * around.conj()).sum((1, 2), keepdim=True) / around.abs().square().sum((1, 2), keepdim=True)
        target = self.regular / fit + centre

        def sample(nodes):
            nodes = (nodes - shift) * turn
            x = torch.where(mirrored, -nodes.real, nodes.real)
            grid = torch.stack([x, nodes.imag], 1) * (2 / FACE_SIZE)  # [n, 2, row, column], -1..1 across the face
            grid = self.blend @ grid @ self.blend.T
            taps = F.grid_sample(faces, grid.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)
            return F.avg_pool2d(taps, 2)

        return sample(moved), sample(target)


def dssim(y, t, window):
    """Mean (1 - SSIM) / 2 over the windows inside the picture: separable Gaussian, sigma 1.5."""
    n, c, h, w = y.shape
    taps = torch.exp(-((torch.arange(window, device=y.device) - window // 2) ** 2) / (2 * 1.5**2))
    taps = taps / taps.sum()
    maps = torch.stack([y, t, y * y, t * t, y * t]).view(5 * n * c, 1, h, w)
    maps = F.conv2d(F.conv2d(maps, taps.view(1, 1, window, 1)), taps.view(1, 1, 1, window))
    my, mt, yy, tt, yt = maps.view(5, -1)
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * my * mt + c1) * (2 * (yt - my * mt) + c2)
    ssim = ssim / ((my * my + mt * mt + c1) * (yy - my * my + tt - mt * mt + c2))
    return (1 - ssim.mean()) / 2


class Trainer:
    """`adam`: options of torch.optim.Adam beyond the architecture's."""

    def __init__(self, a, precision, layout, adam, warp):
        self.a, self.bf16, self.layout, self.warp = a, precision == "bf16", layout, warp
        self.device = warp.faces.device
        self.encoder, self.decoders = Encoder(a), [Decoder(a) for _ in range(2)]
        self.modules = nn.ModuleList([self.encoder, *self.decoders]).to(self.device, memory_format=layout)
        options = dict(lr=a["lr"], betas=a["betas"], eps=1e-7)
        self.adam = torch.optim.Adam(self.modules.parameters(), **options, **adam)
        self.average = copy.deepcopy(self.modules) if a["average"] else None
        self.loss = self.network_and_loss

    def network_and_loss(self, x, t):
        a = self.a
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            latent = self.encoder(x.contiguous(memory_format=self.layout))
            ys = [d(part) for d, part in zip(self.decoders, latent.split(a["batch"]))]
        loss = 0
        for y, target in zip(ys, t.split(a["batch"])):
            loss = loss + (y - target).abs().mean()
            if a["dssim"]:
                loss = loss + a["dssim"] * dssim(y, target, a["window"])
        return loss

    def step(self):
        x, t = self.warp(self.a["batch"])
        self.adam.zero_grad(set_to_none=True)
        self.loss(x, t).backward()
        self.adam.step()
        if self.average is not None:
            with torch.no_grad():
                for mean, p in zip(self.average.parameters(), self.modules.parameters()):
                    mean.lerp_(p, 1 - self.a["average"])

    def seconds(self, budget):
        """Median time of a step in `budget` seconds of them, after one that does not count."""
        self.step()
        on_card = self.device.type == "cuda"
        times, start = [], time.perf_counter()
        while not times or time.perf_counter() - start < budget:
            times.append(self.block() if on_card else self.one())
        return statistics.median(times)

    def one(self):
        before = time.perf_counter()
        self.step()
        return time.perf_counter() - before

    def block(self, steps=32):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        for _ in range(steps):
            self.step()
        last.record()
        last.synchronize()
        return first.elapsed_time(last) * 1e-3 / steps


# ---- on the CPU ------------------------------------------------------------------------------------------------------


def fastest_trainer(a, precision, warp):
    """Tries threads and layouts, then the other optimiser, for a step or two each."""
    best = None

    def attempt(threads, layout, adam):
        nonlocal best
        torch.set_num_threads(threads)
        trainer = Trainer(a, precision, layout, adam, warp)
        took = trainer.seconds(1)
        if best is None or took < best[0]:
            best = (took, trainer, threads, layout, adam)

    try:
        torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], fused=True)
        fused = [dict(fused=True)]
    except (RuntimeError, TypeError):  # no fused Adam on the CPU before PyTorch 2.4
        fused = []
    layouts = [torch.channels_last, torch.contiguous_format]
    for threads, layout in itertools.product(sorted({1, os.cpu_count()}), layouts):
        attempt(threads, layout, fused[0] if fused else dict(foreach=False))
    if not fused:
        attempt(best[2], best[3], dict(foreach=True))
    _, trainer, threads, layout, adam = best
    torch.set_num_threads(threads)
    trainer.how = f"{threads} threads, {str(layout).split('.')[-1]}, Adam {adam}"
    return trainer


# ---- on a card -------------------------------------------------------------------------------------------------------


def peak_memory(before, run):
    """The most memory that is allocated while run() runs, beyond `before` bytes."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


class TooLong(BaseException):
    """torch.compile's time is up. No Exception: a compiler may have its own use for those."""


class Stopped(BaseException):
    """SIGTERM: what has been measured is printed, and no more is."""


def stop(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    raise Stopped


def undisturbed(run):
    """run() without an exception of a signal: within a capture it would leave the stream half recorded."""
    signal.alarm(0)
    came = []
    usual = signal.signal(signal.SIGTERM, lambda *_: came.append(True))
    try:
        run()
    finally:
        signal.signal(signal.SIGTERM, usual)
        if came:
            stop()


def eager_trainer(a, precision, warp):
    before = torch.cuda.memory_allocated()
    trainer = Trainer(a, precision, torch.contiguous_format, {}, warp)
    for _ in range(3):
        trainer.step()
    trainer.how, trainer.memory = "eager", peak_memory(before, trainer.step)
    return trainer


def record(trainer, before):
    """Replaces trainer.step by the replay of a CUDA graph of it."""
    step, side = trainer.step, torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(4):  # what is chosen, compiled and allocated once
            step()
    torch.cuda.current_stream().wait_stream(side)
    trainer.adam.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()

    def capture():
        with torch.cuda.graph(graph):
            step()

    # All that is compiled has been compiled: the alarm has done its duty.
    undisturbed(lambda: setattr(trainer, "memory", peak_memory(before, capture)))
    trainer.step = graph.replay


def tuned_trainer(a, precision, warp, mode, budget):
    """One whose network and loss are compiled in `mode` ("none": not) within `budget` seconds, or an exception."""

    def give_up(*_):
        raise TooLong(f"torch.compile took more than {budget:g} s")

    before = torch.cuda.memory_allocated()
    trainer = Trainer(a, precision, torch.channels_last, dict(fused=True, capturable=True), warp)
    if mode != "none":
        # Without its own graphs: the whole step becomes one.
        modes = {"default": None, "max-autotune": "max-autotune-no-cudagraphs"}
        trainer.loss = torch.compile(trainer.network_and_loss, mode=modes[mode])
        signal.signal(signal.SIGALRM, give_up)
        signal.alarm(max(1, int(budget)))
    try:
        record(trainer, before)
    finally:
        signal.alarm(0)
    trainer.how = "channels_last, fused Adam, TF32, CUDA graph" + (f", compiled ({mode})" if mode != "none" else "")
    return trainer


def best_tuned_trainer(a, precision, warp, mode, budget):
    """The faster of compiled and not; says on stderr what did not work."""
    best = None
    for attempt in ["none"] if mode == "none" or not hasattr(torch, "compile") else ["none", mode]:
        try:
            trainer = tuned_trainer(a, precision, warp, attempt, budget)
            took = trainer.seconds(0.5)
        except (Exception, TooLong) as problem:  # whatever a compiler throws: the other attempt stands
            print(f"pytorch tuned, compile {attempt}: {told(problem)}", file=sys.stderr)
            continue
        print(f"pytorch tuned, compile {attempt}: {took * 1e3:.3f} ms", file=sys.stderr)
        if best is None or took < best[0]:
            best = (took, trainer)
    if best is None:
        raise RuntimeError("neither compiled nor not")
    return best[1]


# ---- taking turns ----------------------------------------------------------------------------------------------------


def told(problem):
    return f"{type(problem).__name__}: {str(problem)[:400]}"


class Attempts:
    """Runs what may fail for one mode of PyTorch and is to leave the others alone."""

    def __init__(self):
        self.failed = False

    def __call__(self, what, run):
        """run()'s result; None when it failed, which stderr says."""
        try:
            return run()
        except Exception as problem:  # out of memory, or whatever a library throws
            print(f"pytorch_step.py: {what}: {told(problem)}", file=sys.stderr)
            self.failed = True
            return None


def trainers_of(args, a, precision, warp, attempt):
    """By name, those that could be made. Those on a card know their peak memory in bytes."""
    if args.device == "cpu":
        made = {"cpu": attempt("cpu", lambda: fastest_trainer(a, precision, warp))}
        return {name: trainer for name, trainer in made.items() if trainer}
    made = {}
    if "eager" in args.modes:
        made["eager"] = attempt("eager", lambda: eager_trainer(a, precision, warp))
    if "tuned" in args.modes:
        # A recorded step keeps what was chosen under these; the eager one goes on with PyTorch's defaults.
        flags = [(torch.backends.cudnn, "benchmark"), (torch.backends.cudnn, "allow_tf32"), (torch.backends.cuda.matmul, "allow_tf32")]
        usual = [getattr(*flag) for flag in flags]
        for where, name in flags:
            setattr(where, name, True)
        made["tuned"] = attempt("tuned", lambda: best_tuned_trainer(a, precision, warp, args.compile, args.compile_seconds))
        for (where, name), value in zip(flags, usual):
            setattr(where, name, value)
    return {name: trainer for name, trainer in made.items() if trainer}


def run_doppel(args, arch, batch, precision):
    command = [args.program, "--device", args.device, "--arch", arch, "--batch", str(batch), "--precision", precision]
    command += ["--seconds", str(args.seconds), "--json", "--kernel-cache", args.kernel_cache]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"pytorch_step.py: {' '.join(command)} failed with exit code {done.returncode}")
    (result,) = json.loads(done.stdout)
    return result


def compare(args, arch, precision, warp, attempt):
    """One row for each kind of PyTorch trainer, of the rounds that it has been through; then what ended them early."""
    a = dict(ARCHITECTURES[arch])
    a["batch"] = args.batch or (64 if args.device == "cuda" else a["batch"])
    trainers = trainers_of(args, a, precision, warp, attempt)
    encoder, decoder = Encoder(a), Decoder(a)
    total, first = forward_flops([encoder, decoder], torch.rand(1, 3, SIZE, SIZE))
    step_flops = 3 * total - first  # fprop, dgrad, wgrad; nobody needs the pictures' gradient
    rounds = {name: [] for name in trainers}  # of each (ours, its samples per second)
    modes = dict(trainers)  # that have not failed

    def take_turns():
        result = run_doppel(args, arch, a["batch"], precision)
        counted = result["step_flops"] / (2 * a["batch"])
        if abs(counted / step_flops - 1) > 0.001:
            sys.exit(
                f"pytorch_step.py: {arch} is not the same network on both sides: {step_flops / 1e9:.3f} GFLOP a sample "
                f"here, {counted / 1e9:.3f} in doppel; bring ARCHITECTURES up to nn/architecture.cc"
            )
        for name, trainer in list(modes.items()):
            took = attempt(name, lambda: trainer.seconds(args.seconds))
            if took is None:
                del modes[name]
            else:
                rounds[name].append((result, 2 * a["batch"] / took))

    ending = None
    try:
        for _ in range(args.rounds):
            if modes:
                take_turns()
    except (Stopped, SystemExit) as early:
        ending = early
    for name, trainer in trainers.items():
        if not rounds[name]:
            continue
        ours, theirs = zip(*rounds[name])
        mine = [r["samples_per_s"] for r in ours]
        ratios = sorted(o / t for o, t in zip(mine, theirs))
        yield {
            "arch": arch,
            "batch": a["batch"],
            "precision": precision,
            "mode": name,
            "how": trainer.how,
            "pytorch": torch.__version__,
            "doppel_per_s": statistics.median(mine),
            "pytorch_per_s": statistics.median(theirs),
            "ratio": statistics.median(ratios),
            "ratio_least": ratios[0],
            "ratio_most": ratios[-1],
            "rounds": len(ours),
            "doppel_bytes": max((r.get("memory_bytes", 0) for r in ours)) or None,
            "pytorch_bytes": getattr(trainer, "memory", None),
        }
    if ending:
        raise ending


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--arch", choices=ARCHITECTURES, action="append")
    parser.add_argument("--precision", choices=["bf16", "fp32"], action="append")
    parser.add_argument("--batch", type=int, help="samples per person; 64 on a card, else the architecture's")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each side in each round")
    parser.add_argument("--modes", nargs="+", choices=["eager", "tuned"], default=["eager", "tuned"], help="on a card")
    parser.add_argument("--compile", choices=["none", "default", "max-autotune"], default="max-autotune")
    parser.add_argument("--compile-seconds", type=float, default=600, help="after which the step is not compiled")
    parser.add_argument("--kernel-cache", help="where doppel keeps the times of its kernels; a file of this run's")
    parser.add_argument("--json", action="store_true", help="print a list of objects, each as soon as it is there")
    parser.add_argument("--program", default=os.path.normpath(os.path.join(here, "../../build/bench_step")))
    args = parser.parse_args()
    if not os.path.exists(args.program):
        parser.error(f"{args.program} does not exist; build it, or name it with --program")
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("pytorch_step.py: this PyTorch sees no card")
    signal.signal(signal.SIGTERM, stop)
    with tempfile.TemporaryDirectory() as folder:
        # All rounds by the same kernels, which the first one times.
        args.kernel_cache = args.kernel_cache or os.path.join(folder, "kernels.json")
        measure(args)


def measure(args):
    torch.manual_seed(1)
    warp = Warp(torch.rand(2, FACES, 3, FACE_SIZE, FACE_SIZE, device=args.device))

    first, attempt = True, Attempts()
    if not args.json:
        print(f"PyTorch {torch.__version__}, {args.rounds} rounds of {args.seconds:g} s a side, medians")
        print(f"{'arch':10s}{'batch':>8s}{'precision':>11s}{'mode':>7s}{'doppel/s':>11s}{'pytorch/s':>11s}{'ratio':>8s}  (of rounds)")
    try:
        for arch, precision in itertools.product(args.arch or ARCHITECTURES, args.precision or ["bf16", "fp32"]):
            for row in compare(args, arch, precision, warp, attempt):
                if args.json:
                    print(("[" if first else ",\n ") + json.dumps(row), end="", flush=True)
                else:
                    print_row(row)
                first = False
            if args.device == "cuda":
                torch.cuda.empty_cache()
    finally:
        if args.json:
            print("[]" if first else "]", flush=True)
    if attempt.failed:
        sys.exit("pytorch_step.py: not all of it could be measured; why is said above")


def print_row(row):
    batch = f"{row['batch']}+{row['batch']}"
    print(
        f"{row['arch']:10s}{batch:>8s}{row['precision']:>11s}{row['mode']:>7s}{row['doppel_per_s']:11.1f}"
        f"{row['pytorch_per_s']:11.1f}{row['ratio']:8.2f}  ({row['ratio_least']:.2f} to {row['ratio_most']:.2f})"
        f"  {row['how']}",
        flush=True,
    )


if __name__ == "__main__":
    try:
        main()
    except Stopped:
        sys.exit("pytorch_step.py: stopped; what had been measured is printed")
