#!/usr/bin/env python3
"""What a card is really told to do: counts the machine instructions (SASS) of the built convolution kernels, and fails,
with one line each, where an expectation below is broken. docs/kernels/sass.md explains the columns.

    sass.py BUILD [--arch 80 89 90] [--only TEXT] [--json]    a row for each kernel and architecture
    sass.py BUILD --arch 90 --only TEXT --loop                the inner loop of those kernels

BUILD is a build folder with CUDA. cuobjdump and nvdisasm must be in the PATH: they are part of the CUDA toolkit, and
of the Python packages nvidia-cuda-cuobjdump and nvidia-cuda-nvdisasm.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys

# ---- expectations ---------------------------------------------------------------------------------------------------
# (kernels, count, least, most): of each kernel whose "file: name" the pattern finds, on every architecture it was built
# for. Counts are those of count() below. Kernels of a pattern that finds none are an offence as well.
EXPECTATIONS = [
    (r"^(conv2d|dense)", "local", 0, 0),  # registers that were spilled to memory, or arrays that live there
    (r"^conv2d_mma", "HMMA.16816", 16, None),  # the large product, not two of half the depth
    (r"^conv2d_mma", "LDSM", 8, None),
    (r"^conv2d_mma", "LDGSTS.128", 4, None),
    (r"^conv2d_mma", "LDGSTS.narrow", 0, 0),
    (r"^conv2d_mma", "LDG", 0, 64),  # operands come by LDGSTS; what is left are biases
    (r"^conv2d_mma", "loop.BAR", 1, 1),
    (r"^conv2d_mma_(fprop|dgrad)", "slack", 2, None),  # fragments are loaded in the shadow of other products
    # Budgets of a step's instructions, some tenth above what they are.
    (r"^conv2d_mma_fprop: .*<128, 128", "loop.all", 0, 135),
    (r"^conv2d_mma_dgrad: .*<128, 128", "loop.all", 0, 150),
    (r"^conv2d_mma_wgrad: .*<128, 128", "loop.all", 0, 175),
    (r"^conv2d_wgmma.*<128, ", "loop.all", 0, 110),
    (r"^conv2d_wgmma.*<256, ", "loop.all", 0, 140),  # two products for each of theirs
    (r"^conv2d_mma_(fprop|dgrad)", "STG.128", 1, None),  # bf16 results leave in whole units
    (r"^conv2d_wgmma", "HGMMA", 4, None),
    (r"^conv2d_wgmma", "HMMA", 0, 0),
    (r"^conv2d_wgmma.*<128, ", "loop.HGMMA", 4, 4),  # a step of 64 products deep
    (r"^conv2d_wgmma.*<256, ", "loop.HGMMA", 8, 8),
    (r"^conv2d_wgmma", "UTMALDG.tile", 1, None),
    (r"^conv2d_wgmma", "UTMALDG.im2col", 1, None),
    (r"^conv2d_wgmma", "loop.DEPBAR", 1, 1),  # one wait a step: more is ptxas putting products one after the other
    (r"^conv2d_wgmma", "loop.MEMBAR", 0, 0),  # that a stage has been read, no thread waits for results in memory to tell
    (r"^conv2d_wgmma.*<128, 256, 4, 2>", "multicast", 1, None),  # pairs of blocks
    (r"^conv2d_wgmma.*<128, 256, 4, 2>", "UCGABAR_WAIT", 2, 2),
    (r"^conv2d_wgmma_(fprop|dgrad)", "STG.128", 1, None),
    (r"^conv2d_ends_few", "HMMA.16816", 2, None),
    (r"^conv2d_ends_few_inputs_wgrad", "LDSM", 2, None),
    (r"^conv2d_ends_few_inputs: ", "STG.128", 1, None),  # bf16 results leave in whole units
    (r"^conv2d_ends_few_outputs", "LDG.128", 4, None),  # fragments come straight from memory
    (r"^conv2d_simt", "FFMA", 128, None),  # 8 x 8 sums a thread, 2 of the depth unrolled
    (r"^conv2d_epilogue: .*, Bf16>", "STG.64", 1, None),  # four bf16 a thread
    (r"^conv2d_splits: add_kernel<4>", "LDG.128", 2, None),
    (r"^conv2d_shares: add_kernel", "LDG.128", 2, None),
]

# ---- machine code ---------------------------------------------------------------------------------------------------

LINE = re.compile(r"^\s+/\*([0-9a-f]{4,})\*/\s+(?:(@!?U?P\w+)\s+)?([A-Z][\w.]*)([^;]*);")


class Kernel:
    """file: its source; name; arch; code: [(address, predicate, opcode, operands)]."""

    def __init__(self, file, name, arch):
        self.file, self.name, self.arch, self.code = file, name, arch, []

    def __str__(self):
        return self.file + ": " + self.name

    def loops(self):
        """(first, last) instruction of each loop: what lies between a branch back and its target. A loop that is entered
        in its middle has several branches back, over parts that overlap: those are one. What lies behind the last EXIT
        are the rare ways of waits, which ptxas puts out of the way, and functions that are called."""
        at = {address: i for i, (address, _, _, _) in enumerate(self.code)}
        end = max((i for i, (_, _, opcode, _) in enumerate(self.code) if opcode == "EXIT"), default=0)
        loops = []
        for last, (_, _, opcode, operands) in enumerate(self.code[:end]):
            target = re.search(r"0x([0-9a-f]+)$", operands) if opcode.startswith("BRA") else None
            first = at.get(int(target.group(1), 16), end) if target else end
            if first >= last:  # a branch ahead, or to itself: the end of the code
                continue
            for other in [l for l in loops if l[0] < first <= l[1] < last or first < l[0] <= last < l[1]]:
                loops.remove(other)
                first = min(first, other[0])
            loops.append((first, last))
        return loops

    def inner_loop(self):
        """The shortest loop with at least half as many tensor instructions as any. Empty where there are none."""
        tensor = [i for i, (_, _, opcode, _) in enumerate(self.code) if "MMA" in opcode]
        loops = [(sum(first <= i <= last for i in tensor), last - first, first, last) for first, last in self.loops()]
        most = max(loops, default=(0,))[0]
        _, _, first, last = min((l for l in loops if most and 2 * l[0] >= most), key=lambda l: l[1], default=(0, 0, 0, -1))
        return self.code[first : last + 1]


def slack(loop):
    """The fewest tensor instructions that are issued between a load of fragments and the first that reads them, round
    the loop: how much of the load's time other work of the same warp can hide. None without such loads."""
    least = None
    for i, (_, _, opcode, operands) in enumerate(loop):
        if not opcode.startswith("LDSM"):
            continue
        first = int(re.match(r"R(\d+)", operands).group(1))
        between = 0
        for _, _, other, read in loop[i + 1 :] + loop[:i]:
            if other.startswith("HMMA"):
                if any(first <= int(r) < first + 4 for r in re.findall(r"R(\d+)", read)[1:3]):
                    break
                between += 1
        least = between if least is None else min(least, between)
    return least


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("sass.py: {}: {}".format(command[0], done.stderr.strip()))
    return done.stdout


def short(name):
    """As cmake/ptxas_report.sh prints it."""
    name = re.sub(r"^void |doppel::|on_cuda::|\(anonymous namespace\)::", "", name)
    return re.sub(r"\(((?!anonymous).)*$", "", name) if "<" not in name else name


def kernels_of(path, arch):
    """Those of an object for sm_<arch>, or sm_<arch>a where it was compiled for that alone."""
    file = os.path.basename(path).replace(".cu.o", "")
    built = set(re.findall(r"\.sm_(\w+)\.cubin", run("cuobjdump", "-lelf", path)))
    arch = arch if arch in built else arch + "a"
    if arch not in built:
        return []
    kernels = []
    for line in run("cuobjdump", "-sass", "-arch", "sm_" + arch, path).splitlines():
        instruction = ";" in line and LINE.match(line)  # every other line has bits alone
        if instruction:
            address, predicate, opcode, operands = instruction.groups()
            kernels[-1].code.append((int(address, 16), predicate or "", opcode, operands.strip()))
        elif "Function :" in line:
            kernels.append(Kernel(file, line.split(":")[1].strip(), arch))
    names = run("c++filt", "-p", *[k.name for k in kernels]).splitlines() if kernels else []
    for kernel, name in zip(kernels, names):
        kernel.name = short(name)
    return kernels


# ---- counts ---------------------------------------------------------------------------------------------------------


def count(kernel):
    """How often each kind of instruction is there; "loop.X": in the inner loop."""
    n = collections.Counter()
    for prefix, code in (("", kernel.code), ("loop.", kernel.inner_loop())):
        for _, _, opcode, _ in code:
            parts = opcode.split(".")
            kind = parts[0]
            width = next((p for p in parts[1:] if p in ("64", "128")), "narrow")
            n[prefix + "all"] += 1
            if kind in ("LDL", "STL"):
                n[prefix + "local"] += 1
            n[prefix + "multicast"] += "MULTICAST" in parts
            if kind == "UTMALDG":
                kind = "UTMALDG.im2col" if "IM2COL" in parts else "UTMALDG.tile"
            if kind == "WARPGROUP" and "DEPBAR" in parts:
                kind = "DEPBAR"
            n[prefix + kind] += 1
            if kind in ("LDG", "STG", "LDS", "STS", "LDGSTS"):
                n[prefix + kind + "." + width] += 1
            if kind in ("HMMA", "HGMMA"):
                n[prefix + kind + "." + parts[1]] += 1
                n[prefix + "tensor"] += 1
    n["slack"] = slack(kernel.inner_loop())
    return n


def expected(kernels, counts):
    """One line for each broken expectation."""
    offences = []
    for pattern, what, least, most in EXPECTATIONS:
        found = [k for k in kernels if re.search(pattern, str(k))]
        if not found:
            offences.append("no kernel is named {}".format(pattern))
        for kernel in found:
            n = counts[kernel][what] or 0
            if n < least or (most is not None and n > most):
                limit = "at least {}".format(least) if n < least else "at most {}".format(most)
                offences.append("{} on sm_{}: {} of {}, expected {}".format(kernel, kernel.arch, n, what, limit))
    return offences


# ---- tables ---------------------------------------------------------------------------------------------------------


def share(n, kind):
    """"12/16": 12 of the 16 are of 128 bits."""
    return "{}/{}".format(n[kind + ".128"], n[kind]) if n[kind] else "-"


COLUMNS = [
    ("tensor", lambda n: "{}/{}".format(n["loop.tensor"], n["tensor"]) if n["tensor"] else "-"),
    ("loop", lambda n: str(n["loop.all"]) if n["loop.all"] else "-"),
    ("per mma", lambda n: "{:.2f}".format(n["loop.all"] / n["loop.tensor"]) if n["loop.tensor"] else "-"),
    ("LDSM", lambda n: "{}/{}".format(n["loop.LDSM"], n["LDSM"]) if n["LDSM"] else "-"),
    ("slack", lambda n: "-" if n["slack"] is None else str(n["slack"])),
    ("LDGSTS", lambda n: share(n, "LDGSTS")),
    ("UTMALDG", lambda n: str(n["UTMALDG.tile"] + n["UTMALDG.im2col"] or "-")),
    ("LDG", lambda n: share(n, "LDG")),
    ("STG", lambda n: share(n, "STG")),
    ("LDS", lambda n: share(n, "LDS")),
    ("STS", lambda n: share(n, "STS")),
    ("local", lambda n: str(n["local"])),
    ("BAR", lambda n: "{}/{}".format(n["loop.BAR"], n["BAR"]) if n["BAR"] else "-"),
    ("all", lambda n: str(n["all"])),
]


def print_table(kernels, counts):
    print("{:<70} {:>5}".format("kernel", "sm") + "".join("{:>9}".format(name) for name, _ in COLUMNS))
    for kernel in kernels:
        name = str(kernel) if len(str(kernel)) <= 70 else str(kernel)[:67] + "..."
        row = "".join("{:>9}".format(of(counts[kernel])) for _, of in COLUMNS)
        print("{:<70} {:>5}".format(name, kernel.arch) + row)
    print("\nIn the inner loop / in all: tensor, LDSM, BAR. Of 128 bits / in all: LDGSTS, LDG, STG, LDS, STS.")


def print_loops(kernels):
    for kernel in kernels:
        print("{} on sm_{}".format(kernel, kernel.arch))
        for address, predicate, opcode, operands in kernel.inner_loop():
            print("  {:05x}  {:>6} {:<28} {}".format(address, predicate, opcode, operands))
        print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--arch", nargs="+", default=["80", "89", "90"])
    parser.add_argument("--only", default="")
    parser.add_argument("--loop", action="store_true")
    parser.add_argument("--json", action="store_true")
    o = parser.parse_args()
    for tool in ("cuobjdump", "nvdisasm", "c++filt"):
        if not shutil.which(tool):
            sys.exit("sass.py: {} is not in the PATH: see the head of this script".format(tool))
    objects = []
    for target in ("kernels_cuda", "kernels_hopper"):
        folder = os.path.join(o.build, "CMakeFiles", target + ".dir", "kernels")
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        objects += [os.path.join(folder, n) for n in names if re.match(r"(conv2d|dense).*\.cu\.o$", n)]
    if not objects:
        sys.exit("sass.py: {} has no CUDA kernels: build the target kernels_cuda in a build with CUDA".format(o.build))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = pool.map(kernels_of, *zip(*[(path, arch) for path in objects for arch in o.arch]))
        kernels = [kernel for of_object in found for kernel in of_object if o.only in str(kernel)]
    counts = {k: count(k) for k in kernels}
    if o.loop:
        print_loops(kernels)
        return 0
    if o.json:
        print(json.dumps([{"kernel": str(k), "sm": k.arch, "counts": counts[k]} for k in kernels], indent=1))
    else:
        print_table(kernels, counts)
    offences = expected(kernels, counts) if not o.only else []
    sys.stdout.flush()
    for line in offences:
        print("sass.py: " + line, file=sys.stderr)
    return 1 if offences else 0


sys.exit(main())
