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
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile

try:
    import torch
except ImportError:
    sys.exit("pytorch_step.py: this Python has no PyTorch; on Debian: apt install python3-torch, then /usr/bin/python3")

from pytorch_modes import Stopped, stop, told, trainers_of
from pytorch_network import ARCHITECTURES, SIZE, Decoder, Encoder, forward_flops
from pytorch_training import FACES, FACE_SIZE, Warp


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
                f"here, {counted / 1e9:.3f} in doppel; bring pytorch_network.py up to nn/architecture.cc"
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
