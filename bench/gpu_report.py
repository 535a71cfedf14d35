#!/usr/bin/env python3
"""Makes one JSON and one Markdown file of what the parts of bench/gpu.sh left behind.

    gpu_report.py STATE OUT [--print]

STATE holds machine.tsv, parts.tsv, left_out.tsv (what was said of kernels that were not to be had or not to be trusted)
and a .json file for each bench, named as its part, which may end early when the bench was stopped.
--print also prints the tables, the most important last and long ones cut.
"""

import json
import os
import re
import sys

AIM_MS, AIM_TUNED, AIM_EAGER = 3.0, 1.3, 2.2  # original 64+64 in bf16 on an H200
SHOWN = 15  # rows of a long table on the screen


def opened(path, mode="r"):
    """Whatever the locale is, and whatever bytes a compiler has printed."""
    return open(path, mode, encoding="utf-8", errors="replace")


def replace(path, text):
    """At once: parts that end together write the report side by side."""
    own = f"{path}.{os.getpid()}"
    with opened(own, "w") as file:
        file.write(text)
    os.replace(own, path)


def tsv(path):
    if not os.path.exists(path):
        return []
    with opened(path) as file:
        return [line.rstrip("\n").split("\t") for line in file]


def rows_of(path):
    """The objects of a JSON list with one object a line, of which the end may be missing."""
    rows = []
    if os.path.exists(path):
        with opened(path) as file:
            for line in file:
                text = line.strip().lstrip("[").rstrip(",")
                # The last line also closes the list; a line that was cut off is none of these.
                for candidate in (text, text[:-1]):
                    try:
                        rows.append(json.loads(candidate))
                        break
                    except ValueError:
                        continue
    return rows


def table(head, rows, limit=None):
    if not rows:
        return ["Nothing was measured."]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows[:limit]]
    if limit and len(rows) > limit:
        lines.append(f"\nand {len(rows) - limit} more")
    return lines


def mib(size):
    return f"{size / 2**20:.0f}" if size else "-"


def name_of(row):
    return f"{row['arch']} {row['batch']}+{row['batch']} {row['precision']}" + without(row)


def without(row):
    return f", without {row['without']}" if row.get("without") else ""


def by_itself(rows):
    """Of all that was tried for a pass, which follows each other: the first of ours and the first of a library, as bench_kernels
    measures where it is not asked for choices."""
    first = {}
    for r in rows:
        key = r["arch"], r["precision"], r["layer"], r["kernel"], r["by"] if r["by"] in ("doppel", "driver") else "library"
        first.setdefault(key, r)
    return list(first.values())


def parts(report):
    return table(["part", "status", "seconds", "note"], [[p["part"], p["status"], p["seconds"], p["note"]] for p in report["parts"]])


def left_out(report, limit=None):
    if not report["left_out"]:
        return ["None."]
    return table(["part", "what it said"], [[line["part"], line["said"]] for line in report["left_out"]], limit)


def aims(report):
    def of(rows, **wanted):
        wanted.update(arch="original", batch=64, precision="bf16")
        return next((r for r in rows if all(r.get(k) == v for k, v in wanted.items())), None)

    def verdict(row, value, met, text):
        return ["-", "not measured"] if value is None else [text.format(value) + without(row), "met" if met(value) else "missed"]

    step = of(report["steps"])
    eager, tuned = (of(report["peers"], mode=mode) for mode in ("eager", "tuned"))
    memory = None
    if step and tuned and step["memory_bytes"] and tuned["pytorch_bytes"]:
        memory = step["memory_bytes"] / tuned["pytorch_bytes"]
    return table(
        ["original 64+64 bf16, on an H200", "aim", "measured", ""],
        [
            ["a step", f"at most {AIM_MS} ms", *verdict(step, step and step["ms"], lambda v: v <= AIM_MS, "{:.3f} ms")],
            ["against tuned PyTorch", f"at least {AIM_TUNED}", *verdict(tuned, tuned and tuned["ratio"], lambda v: v >= AIM_TUNED, "{:.2f}")],
            ["against eager PyTorch", f"at least {AIM_EAGER}", *verdict(eager, eager and eager["ratio"], lambda v: v >= AIM_EAGER, "{:.2f}")],
            ["peak memory over tuned PyTorch's", "below 1", *verdict(tuned, memory, lambda v: v < 1, "{:.2f}")],
        ],
    )


def steps(report):
    head = ["step", "ms", "gap ms", "submit ms", "samples/s", "TFLOP/s", "floor ms", "of floor", "MiB", "planned MiB"]
    rows = [
        [
            name_of(r), f"{r['ms']:.3f}", f"{r['wall_ms'] - r['ms']:.3f}", f"{r['submit_ms']:.3f}",
            f"{r['samples_per_s']:.0f}", f"{r['gflops'] / 1e3:.1f}", f"{r['floor_ms']:.3f}", f"{100 * r['of_floor']:.0f} %",
            mib(r["memory_bytes"]), mib(r["planned_bytes"]),
        ]
        for r in report["steps"]
    ]  # fmt: skip
    lines = table(head, rows)
    if report["steps"]:
        r = report["steps"][0]
        lines += ["", f"Peaks of that run: {r['peak_tflops']:.0f} TFLOP/s (bf16 product: {r.get('peak_by', 'not said whose')}), {r['peak_gb_per_s']:.0f} GB/s (copy)."]
    return lines


def peers(report):
    head = ["step", "PyTorch", "doppel/s", "PyTorch/s", "ratio", "of rounds", "doppel MiB", "PyTorch MiB"]
    rows = [
        [
            name_of(r), f"{r['pytorch']}: {r['how']}", f"{r['doppel_per_s']:.1f}", f"{r['pytorch_per_s']:.1f}",
            f"{r['ratio']:.2f}", f"{r['ratio_least']:.2f} to {r['ratio_most']:.2f}", mib(r["doppel_bytes"]),
            mib(r["pytorch_bytes"]),
        ]
        for r in report["peers"]
    ]  # fmt: skip
    return table(head, rows)


def nodes(report, limit=None):
    lines = []
    for r in report["steps"]:
        slowest = sorted(r.get("nodes", []), key=lambda n: -n["ms"])
        rows = [
            [n["name"], n["output"], n.get("kernel") or "-", f"{n['ms']:.4f}", f"{n['gflops'] / 1e3:.1f}", f"{n['gb_per_s']:.0f}", f"{100 * n['of_floor']:.0f} %"]
            for n in slowest
        ]
        lines += ["", f"{name_of(r)}, node by node, the slowest first:", ""]
        lines += table(["node", "output", "kernel", "ms", "TFLOP/s", "GB/s", "of floor"], rows, limit)
        if limit:
            break
    return lines or ["Nothing was measured."]


def work_of(row):
    return row["arch"], row["batch"], row["precision"], row["layer"], row["kernel"]


def peaks_of(report):
    """The rows of the fastest product and of the fastest copy, ours or PyTorch's; None where there is none."""
    rows = report["kernels"] + report["peer_kernels"]
    return [max((r for r in rows if r["kernel"] == kernel), key=lambda r: r[rate], default=None) for kernel, rate in (("product", "tflops"), ("copy", "gb_per_s"))]


def of_peaks(row, product, copy):
    """As bench_kernels' of_peak, against those peaks."""
    if not (product and copy and product["tflops"] and copy["gb_per_s"]):
        return row["of_peak"]
    return max(row["tflops"] / product["tflops"], row["gb_per_s"] / copy["gb_per_s"])


def join_peer_kernels(report):
    """Gives each of our rows the fastest time of a library for the same work, by way of PyTorch, and its share of ours."""
    best = {work_of(r): r for r in report["peer_kernels"] if r.get("best")}
    for r in report["kernels"] + report["choices"]:
        theirs = best.get(work_of(r))
        if r["by"] == "doppel" and theirs and r["arch"]:
            r.update(best_ms=theirs["ms"], best_choice=theirs["choice"], of_best=round(theirs["ms"] / r["ms"], 4))


def kernels(report, limit=None):
    """Ours beside the libraries', where most time is lost against what the card can do first."""
    theirs = {work_of(r): f"{r['ms']:.4f} ({r['by']})" for r in report["kernels"] if r["by"] not in ("doppel", "driver")}
    product, copy = peaks_of(report)
    ours = [{**r, "of_peak": of_peaks(r, product, copy)} for r in report["kernels"] if r["by"] == "doppel" and r["arch"]]
    ours.sort(key=lambda r: -r["ms"] * (1 - min(r["of_peak"], 1)))
    rows = [
        [
            f"{r['arch']} {r['precision']}", r["layer"], r["kernel"], r["choice"] or "-", f"{r['ms']:.4f}",
            theirs.get(work_of(r), "-"), f"{r['best_ms']:.4f} ({r['best_choice']})" if "best_ms" in r else "-",
            f"{100 * r['of_best']:.0f} %" if "of_best" in r else "-", f"{r['tflops']:.1f}", f"{r['gb_per_s']:.0f}",
            f"{100 * r['of_peak']:.0f} %",
        ]
        for r in ours
    ]  # fmt: skip
    head = ["what", "layer", "kernel", "choice", "ms", "library's ms", "cuDNN's best, ms", "of cuDNN's best", "TFLOP/s", "GB/s", "of peak"]
    lines = table(head, rows, limit)
    if product and copy:
        who = ", ".join(text for text in (product["by"], product["choice"]) if text)
        lines += ["", f"Of peak: {product['tflops']:.1f} TFLOP/s (bf16 product: {who}), {copy['gb_per_s']:.0f} GB/s (copy: {copy['by']})."]
    return lines


def choices(report, limit=None):
    """Each pass of each layer: what is taken by itself, the fastest of ours, the library's fastest; what choosing wins first."""
    passes = {}
    for r in report["choices"]:
        if r["arch"]:
            passes.setdefault((r["arch"], r["precision"], r["layer"], r["kernel"]), []).append(r)

    def cell(r):
        return f"{r['ms']:.4f} ({r['choice']})" if r else "-"

    rows = []
    for (arch, precision, layer, kernel), tried in passes.items():
        ours, theirs = ([r for r in tried if (r["by"] == "doppel") == own] for own in (True, False))
        fastest = [min(some, key=lambda r: r["ms"], default=None) for some in (ours, theirs)]
        first = ours[0] if ours else None  # bench_kernels begins with it
        won = first["ms"] - min(f["ms"] for f in fastest if f) if first else 0
        best = f"{first['best_ms']:.4f} ({first['best_choice']})" if first and "best_ms" in first else "-"
        rows.append([won, f"{arch} {precision}", layer, kernel, cell(first), *map(cell, fastest), best, len(tried)])
    rows.sort(key=lambda row: -row[0])
    head = ["what", "layer", "kernel", "by itself, ms", "fastest of ours, ms", "library's fastest, ms", "cuDNN's best, ms", "tried"]
    return table(head, [row[1:] for row in rows], limit)


def main():
    state, out = sys.argv[1:3]
    report = {"machine": dict(line for line in tsv(f"{state}/machine.tsv") if len(line) == 2)}
    report["parts"] = [dict(zip(("part", "status", "seconds", "note"), line)) for line in tsv(f"{state}/parts.tsv")]
    for part in report["parts"]:
        part["seconds"] = int(part["seconds"])
    report["left_out"] = [dict(zip(("part", "said"), line)) for line in tsv(f"{state}/left_out.tsv")]

    notes = {part["part"]: part["note"] for part in report["parts"]}

    def rows(*names):
        """Of each of those parts, the ones without some kernels last."""
        found = []
        for name in names + tuple(name + "_without_wgmma" for name in names):
            said = re.match(r"without ([\w,]+)\.", notes.get(name, ""))
            found += [{**r, "without": said[1]} if said else r for r in rows_of(f"{state}/{name}.json")]
        return found

    report["choices"] = rows("bench_choices", "bench_df_ud")
    report["kernels"] = rows("bench_kernels") + by_itself(rows("bench_df_ud"))
    report["steps"] = rows("bench_step") + rows("bench_step_in_turn")
    report["peers"] = rows("peers_original", "peers_lite")

    report["peer_kernels"] = rows_of(f"{state}/peers_kernels.json") + rows_of(f"{state}/peers_kernels_more.json")
    join_peer_kernels(report)

    machine = report["machine"]
    heading = ", ".join(f"{key} {machine[key]}" for key in ("driver", "memory", "cuda", "cores", "commit") if machine.get(key))
    heading = f"# {machine.get('device', 'unknown device')}, {machine.get('date', '')}\n\n{heading}"
    sections = [
        ("Aims", aims),
        ("Parts", parts),
        ("Kernels left out", left_out),
        ("Steps", steps),
        ("Against PyTorch", peers),
        ("Nodes of a step", nodes),
        ("Kernels", kernels),
        ("Choices", choices),
    ]
    slug = re.sub(r"[^a-z0-9]+", "-", machine.get("device", "unknown").lower()).strip("-")
    path = f"{out}/{slug}-{machine.get('date', 'undated')}"
    pages = "".join(f"\n## {title}\n\n" + "\n".join(section(report)) + "\n" for title, section in sections)
    replace(path + ".json", json.dumps(report, indent=1))
    replace(path + ".md", heading + "\n" + pages)
    if "--print" in sys.argv:
        for title, section in reversed(sections):
            long = section in (left_out, nodes, kernels, choices)
            print(f"\n## {title}\n\n" + "\n".join(section(report, SHOWN) if long else section(report)))
        print(f"\n{heading}\n\n{path}.md\n{path}.json")


if __name__ == "__main__":
    main()
