"""Which mutants are tried, and in which kernels."""
import random
import re
import sys
from pathlib import Path

from mutants import mutants

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Where kernels have functions in common that are mutated too, besides kernels/*.h.
SHARED_HEADERS = ("kernels/device/reduce.h",)


def includes(file, seen=None):
    """The files below kernels/ that a file includes, with those that they include."""
    seen = set() if seen is None else seen
    for name in re.findall(r'^#include "(kernels/[^"]+)"', (ROOT / file).read_text(), re.MULTILINE):
        if name not in seen and (ROOT / name).exists():
            seen.add(name)
            includes(name, seen)
    return seen


def kernel_files():
    """{file to mutate: stems of the .cu that show it, the most likely one first}"""
    sources = sorted(p.stem for p in (ROOT / "kernels").glob("*.cu"))
    found = {f"kernels/{stem}.cu": [stem] for stem in sources}
    users = {}
    for stem in sources:
        for header in includes(f"kernels/{stem}.cu"):
            if Path(header).parent.name == "kernels" or header in SHARED_HEADERS:
                users.setdefault(header, []).append(stem)
    for header, stems in users.items():
        own = Path(header).stem
        found[header] = sorted(stems, key=lambda s: (s != own, (ROOT / f"kernels/{s}.cu").stat().st_size))
    return found


def equivalents():
    """[(file, before, after, reason)] of tests/mutate/equivalent.txt: the line as it is and as it becomes; a file or an
    after of "*" is any, an empty after a line that was dropped."""
    entries, reason = [], ""
    for line in (HERE / "equivalent.txt").read_text().splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            file, before, after = re.split(r"\s*\|\|\|\s*", line.strip())
            entries.append((file, before, after, reason))
    return entries


def choose(options):
    """(mutants to run, [(known equivalent, reason)], what is wrong with equivalent.txt)"""
    files = kernel_files()
    names = {re.sub(r"^(?!kernels/)", "kernels/", f) for f in options.file}
    if unknown := names - set(files):
        sys.exit(f"mutate: no such kernel: {', '.join(sorted(unknown))}; there are {', '.join(sorted(files))}")
    made = [m for f in sorted(names or files) for m in mutants(f, (ROOT / f).read_text())]
    known, used, rest = equivalents(), set(), []
    apart = []
    for m in made:
        entry = next((e for e in known if e[0] in ("*", m.file) and e[1] == m.before and e[2] in ("*", m.after)), None)
        if entry:
            apart.append((m, entry[3]))
            used.add(entry)
        else:
            rest.append(m)
    stale = [f"equivalent.txt: nothing is like this any more: {e[0]} ||| {e[1]} ||| {e[2]}" for e in known
             if e not in used and (not names or e[0] in names) and (e[0] != "*" or not names)]
    random.Random(options.seed).shuffle(rest)
    return rest[:options.max] if options.max else rest, apart, stale
