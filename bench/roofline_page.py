#!/usr/bin/env python3
"""Writes the tables of bench/roofline.md anew, each between its two marks, by a build/bench_roofline that knows the
kernels' registers (one built with nvcc).

    roofline_page.py [BUILD]
"""

import json
import re
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
PAGE = HOME / "bench" / "roofline.md"
STEPS = ["floor_ms", "tensor_only_ms", "memory_only_ms", "cache_only_ms", "products_ms", "others_ms", "ms"]


def predicted(build, *options):
    done = subprocess.run([build / "bench_roofline", "--json", *options], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def steps(build):
    head = ["card", "arch", "`--conv`", "TFLOP", "products at the peaks", "tensor cores only", "memory only"]
    head += ["L2 cache only", "products", "other nodes", "step"]
    rows = []
    for device in ("h200", "a100", "rtx4090"):
        for conv in ("handwritten", "untimed"):
            for s in predicted(build, "--device", device, "--conv", conv):
                rows.append([device, s["arch"], conv, f"{s['flops'] * 1e-12:.3f}", *(f"{s[key]:.3f}" for key in STEPS)])
    return table(head, rows)


def layers(step):
    head = ["layer", "pass", "kernel", "blocks", "registers", "KB", "on one", "limit", "rounds", "full", "GFLOP", "MB"]
    head += ["cache MB", "FLOP/byte", "floor us", "us", "bound"]
    rows = []
    for r in step["layers"]:
        tiled = r["blocks"] > 0  # the ends and fp32 arithmetic are not worked out tile by tile
        where = lambda text: text if tiled else ""
        rows.append([
            r["layer"].replace("decoder.a", "decoders"), r["pass"], r["kernel"], where(f"{r['blocks']:.0f}"),
            where(str(int(r["registers"])) if r["registers"] else "?"), where(f"{r['shared_bytes'] / 1024:.0f}"),
            where(str(r["blocks_per_sm"])), r["limit"], where(str(r["waves"])),
            where(f"{100 * r['wave_efficiency']:.0f} %"), f"{r['flops'] * 1e-9:.2f}", f"{r['bytes'] * 1e-6:.1f}",
            where(f"{r['cache_bytes'] * 1e-6:.0f}"), f"{r['flops'] / r['bytes']:.0f}", f"{r['floor_us']:.1f}",
            f"{r['us']:.1f}", r["bound"],
        ])  # fmt: skip
    return table(head, rows)


def main():
    build = Path(sys.argv[1] if len(sys.argv) > 1 else HOME / "build")
    here = predicted(build)
    tables = {"steps": steps(build), **{step["arch"]: layers(step) for step in here}}
    text = PAGE.read_text()
    for name, rows in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            sys.exit(f"roofline_page.py: {PAGE} has not one {begin} and one {end}")
        text = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{rows}\n{end}", text, flags=re.DOTALL)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
