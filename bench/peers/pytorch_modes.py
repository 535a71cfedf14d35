"""PyTorch's settings, of which the fastest is kept: on the CPU threads and layouts, on a card eager and tuned."""

import itertools
import os
import signal
import sys

import torch

from pytorch_training import Trainer

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


# ---- those that are asked for ---------------------------------------------------------------------------------------


def told(problem):
    return f"{type(problem).__name__}: {str(problem)[:400]}"


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
