#!/usr/bin/env python3
"""Writes bench/roofline*.md: in roofline.md what lies between two marks <!-- name --> and <!-- end of name -->, the pages
of the other cards whole. All by bench_roofline, which must know the kernels' registers: of a build with nvcc.

    roofline_page.py [BUILD]                 the program and kernel_resources.tsv of BUILD
    roofline_page.py BUILD RESOURCES         the table of another build, where BUILD has no nvcc
"""

import json
import re
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
PAGE = HOME / "bench" / "roofline.md"
CARDS = {"h200": "H200", "a100": "A100", "rtx4090": "RTX 4090"}
ARCHS = ("original", "lite", "df-ud256")
STEPS = ["floor_ms", "arithmetic_only_ms", "memory_only_ms", "cache_only_ms", "instructions_only_ms", "products_ms"]
STEPS += ["others_ms", "ms"]


class Predictions:
    """Of bench_roofline, each asked for once: a dictionary by architecture."""

    def __init__(self, build, resources):
        self.command, self.known = [build / "bench_roofline", "--json", *resources], {}

    def of(self, card, precision, conv="handwritten"):
        options = ("--device", card, "--precision", precision, "--conv", conv)
        if options not in self.known:
            done = subprocess.run([*self.command, *options], stdout=subprocess.PIPE, text=True, check=True)
            steps = {step["arch"]: step for step in json.loads(done.stdout)}
            if any(row["registers"] is None for step in steps.values() for row in step["layers"]):
                sys.exit("roofline_page.py: registers are unknown; give the kernel_resources.tsv of a build with nvcc")
            self.known[options] = steps
        return self.known[options]


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def ms(value):
    return "-" if value is None else f"{value:.3f}"


# ---- sums -----------------------------------------------------------------------------------------------------------


def steps(predictions):
    head = ["card", "arch", "precision", "`--conv`", "TFLOP", "products at the peaks", "arithmetic only"]
    head += ["memory only", "L2 cache only", "instructions only", "products", "other nodes", "step"]
    rows = []
    for card in CARDS:
        for precision, conv in (("bf16", "handwritten"), ("bf16", "untimed"), ("fp32", "handwritten")):
            found = predictions.of(card, precision, conv)
            for arch in ARCHS:
                s = found[arch]
                rows.append([card, arch, precision, conv, f"{s['flops'] * 1e-12:.3f}", *(ms(s[key]) for key in STEPS)])
    return table(head, rows)


def cards(predictions):
    head = ["card", "compute capability", "multiprocessors", "GHz", "tensor cores, TFLOP/s", "a large product, TFLOP/s"]
    head += ["fp32, TFLOP/s", "memory, TB/s", "L2 cache, TB/s"]
    rows = []
    for card, name in CARDS.items():
        c = predictions.of(card, "bf16")["original"]["card"]
        rows.append([name, f"{c['sm'] / 10:.1f}", f"{c['multiprocessors']:.0f}", f"{c['clock_ghz']:.2f}",
                     f"{c['nominal_tflops']:.0f}", f"{c['products_tflops']:.0f}", f"{c['fp32_tflops']:.1f}",
                     f"{c['memory_tb_per_s']:.2f}", f"{c['cache_tb_per_s']:.1f}"])  # fmt: skip
    return table(head, rows)


def assumed(predictions):
    a = predictions.of("h200", "bf16")["original"]["assumed"]
    percent = lambda key: f"{100 * a[key]:.0f} %"
    return table(["assumed", "by"], [
        [f"`mma.sync` reaches {percent('mma_share_on_hopper')} of a Hopper's tensor cores, `wgmma` "
         f"{percent('wgmma_share')}, neither more than a large product",
         "published; whether our kernels do is what a card will say"],
        [f"A100, RTX 4090: {percent('product_share')} of the data sheet's operations, {percent('copy_share')} of its bytes",
         "taken over from the H200's"],
        ["the L2 cache's speed", "derived from 5120 bytes a clock; decides most rows"],
        [f"a kernel costs {a['launch_us']:.0f} us beside its work; a block {a['start_steps']:.0f} steps to fill and to "
         f"store; {a['warps']:.0f} warps keep a multiprocessor busy", "guesses"],
        [f"a scheduler issues an instruction in {percent('issue_share')} of the cycles", "a guess"],
        ["the instructions of a warp of the ends and of fp32 kernels",
         "lengths of loops in the machine code for sm_90, and estimates of what stands outside of them "
         "(`bench/roofline_launches.cc`); a sum may well be a third wrong"],
        ["warps wait for nothing but each other's instructions", "too kind to the fp32 kernels and to `few_inputs_fprop`, whose loads are hardly ahead"],
        ["each input comes from memory once, each output goes there; partial results of split sums are written and read",
         "they may stay in the L2 cache: then the memory column is too large"],
    ])  # fmt: skip


# ---- where the time is lost -----------------------------------------------------------------------------------------


def layer_name(row):
    return row["layer"].replace("decoder.a", "decoders")


def lost(step):
    """One paragraph of a step's prediction."""
    above = lambda row: (row["us"] - row["floor_us"]) * 1e-3
    rows = step["layers"]
    gap = sum(map(above, rows))
    text = f"**`{step['arch']}`**, {step['batch']:.0f}+{step['batch']:.0f} samples, {step['precision']}: "
    if step["ms"] is not None:
        text += f"{step['ms']:.2f} ms a step"
        if step["device"] == "h200" and step["precision"] == "bf16" and "aim_ms" in step:
            text += f", where {step['aim_ms']:.1f} is the aim"
        others = sorted(step["others"].items(), key=lambda item: -item[1])[:3]
        named = ", ".join(f"`{name}` {value:.2f}" for name, value in others)
        text += f"; {step['others_ms']:.2f} ms of it go to what is no product ({named}, ..). "
    text += f"Products: {step['products_ms']:.2f} ms, {step['floor_ms']:.2f} at the card's peaks. "
    bounds = sorted({row["bound"] for row in rows}, key=lambda b: -sum(above(r) for r in rows if r["bound"] == b))
    parts = []
    for bound in bounds:
        of = [row for row in rows if row["bound"] == bound]
        if sum(map(above, of)) >= 0.005:
            parts.append(f"{sum(map(above, of)):.2f} in {len(of)} that are bound by {bound}")
    text += f"Of the {gap:.2f} ms between, {', '.join(parts)}. "
    worst = sorted(rows, key=above, reverse=True)[:5]
    return text + "Furthest above the floor: " + ", ".join(
        f"{layer_name(row)} {row['pass']} ({1e3 * above(row):.0f} us by `{row['kernel']}`)" for row in worst) + "."


def tiles(predictions):
    c = predictions.of("h200", "bf16")["original"]["card"]
    said = []
    for m, n in ((128, 256), (128, 128)):
        each = m * n / (m + n)
        said.append(f"{each:.0f} by {m} x {n}, {each * c['cache_tb_per_s']:.0f} TFLOP/s at {c['cache_tb_per_s']:.1f} TB/s")
    return ("A tile of M x N makes M N / (M + N) operations of each byte that it copies from the L2 cache: "
            + "; ".join(said) + f". A large product is taken to reach {c['products_tflops']:.0f} on an H200. Pairs of blocks "
            "share the columns' operand of two tiles (multicast): 128 by two of 128 x 256. This hangs on the cache's speed, "
            "which is assumed, and on what goes to both costing no more than what goes to one.")  # fmt: skip


# ---- tables of layers and kernels -----------------------------------------------------------------------------------


def layers(step):
    head = ["layer", "pass", "kernel", "blocks", "registers", "KB", "on one", "limit", "rounds", "full", "GFLOP", "MB"]
    head += ["cache MB", "FLOP/byte", "floor us", "us", "bound"]
    rows = []
    for r in step["layers"]:
        rows.append([
            layer_name(r), r["pass"], r["kernel"], f"{r['blocks']:.0f}", f"{r['registers']:.0f}",
            f"{r['shared_bytes'] / 1024:.0f}", f"{r['blocks_per_sm']:.0f}", r["limit"], f"{r['waves']:.0f}",
            f"{100 * r['wave_efficiency']:.0f} %", f"{r['flops'] * 1e-9:.2f}", f"{r['bytes'] * 1e-6:.1f}",
            f"{r['cache_bytes'] * 1e-6:.0f}" if r["cache_bytes"] else "-", f"{r['flops'] / r['bytes']:.0f}",
            f"{r['floor_us']:.1f}", f"{r['us']:.1f}", r["bound"],
        ])  # fmt: skip
    return table(head, rows)


def kernels(predictions):
    """The kernels without tiles of matrices that any table has: registers and occupancy on each card."""
    found = {}
    for card in CARDS:
        for precision in ("bf16", "fp32"):
            for step in predictions.of(card, precision).values():
                for r in filter(lambda row: row["function"], step["layers"]):
                    rows = found.setdefault((r["function"], r["threads"]), {}).setdefault(card, {})
                    rows.setdefault(r["shared_bytes"], r)
    head = ["kernel", "threads", "KB"] + [f"{name}: registers, on one, limit" for name in CARDS.values()]
    rows = []
    for (function, threads), by_card in sorted(found.items()):
        shared = [size for of in by_card.values() for size in of]
        sizes = sorted({f"{size / 1024:.1f}" for size in (min(shared), max(shared))}, key=float)
        row = [f"`{function}`", f"{threads:.0f}", " to ".join(sizes)]
        for card in CARDS:
            of = by_card.get(card, {})
            most = of.get(max(of)) if of else None  # with the most shared memory it has the fewest places
            row.append(f"{most['registers']:.0f}, {most['blocks_per_sm']:.0f}, {most['limit']}" if most else "-")
        rows.append(row)
    return table(head, rows)


# ---- pages ----------------------------------------------------------------------------------------------------------


def card_page(predictions, card):
    bf16, fp32 = predictions.of(card, "bf16"), predictions.of(card, "fp32")
    page = [f"# What we expect to see on one {CARDS[card]}",
            "**Predicted, not measured.** Written by `bench/roofline_page.py`; [roofline.md](roofline.md) explains the "
            "columns, says what is assumed, and has the sums of all cards."]  # fmt: skip
    for steps in (bf16, fp32):
        page += [lost(steps[arch]) for arch in ARCHS]
    for steps in (bf16, fp32):
        for arch in ARCHS:
            page += [f"## `{arch}`, {steps[arch]['precision']}, layer by layer", layers(steps[arch])]
    (HOME / "bench" / f"roofline-{card}.md").write_text("\n\n".join(page) + "\n")


def main():
    build = Path(sys.argv[1] if len(sys.argv) > 1 else HOME / "build")
    predictions = Predictions(build, ["--resources", sys.argv[2]] if len(sys.argv) > 2 else [])
    bf16, fp32 = predictions.of("h200", "bf16"), predictions.of("h200", "fp32")
    parts = {"steps": steps(predictions), "cards": cards(predictions), "assumed": assumed(predictions)}
    parts["lost"] = "\n\n".join([lost(bf16["original"]), tiles(predictions), lost(bf16["lite"]), lost(bf16["df-ud256"])])
    parts["lost in fp32"] = "\n\n".join(lost(fp32[arch]) for arch in ARCHS)
    parts["kernels"] = kernels(predictions)
    for arch in ARCHS:
        parts[arch], parts[arch + ", fp32"] = layers(bf16[arch]), layers(fp32[arch])
    text = PAGE.read_text()
    for name, part in parts.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            sys.exit(f"roofline_page.py: {PAGE} has not one {begin} and one {end}")
        text = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{part}\n{end}", text, flags=re.DOTALL)
    PAGE.write_text(text)
    for card in CARDS:
        if card != "h200":
            card_page(predictions, card)


if __name__ == "__main__":
    main()
