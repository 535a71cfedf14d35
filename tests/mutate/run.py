"""Runs mutants of the CUDA kernels against their tests; tests/mutate.sh builds what this needs."""
import argparse
import concurrent.futures
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from mutants import mutants

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NEEDED = 0.95
# Where kernels have functions in common that are mutated too, besides kernels/*.h.
SHARED_HEADERS = ("kernels/device/reduce.h",)
# Kernels whose tests have another name.
ALIASES = {"dssim": "loss"}
PROGRAMS = ("checked", "plain")  # the checked one first: it sees most and runs no CPU twins


class Interrupted(Exception):
    pass


class Runner:
    """Child processes that a Ctrl-C of ours ends, and nobody else's."""

    def __init__(self):
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.children = set()

    def run(self, command, cwd, timeout, env=None):
        """(exit status or "timeout", output)"""
        if self.stop.is_set():
            raise Interrupted
        with subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", start_new_session=True) as child:
            with self.lock:
                self.children.add(child)
            try:
                output = child.communicate(timeout=timeout)[0]
                status = child.returncode
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                status, output = "timeout", child.communicate()[0]
            finally:
                with self.lock:
                    self.children.discard(child)
        if self.stop.is_set():
            raise Interrupted
        return status, output

    def interrupt(self):
        self.stop.set()
        with self.lock:
            for child in self.children:
                try:
                    os.killpg(child.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


class Build:
    """How the build folder compiles a kernel and links the two test programs."""

    def __init__(self, folder, runner):
        self.folder, self.runner = Path(folder).resolve(), runner
        # Paths are relative to the job's folder, so that a second run, after a test was added, compiles nothing again.
        self.ccache = ["ccache"] if shutil.which("ccache") else []
        commands = json.loads((self.folder / "compile_commands.json").read_text())
        self.compile_commands = {os.path.relpath(c["file"], self.folder): c["command"] for c in commands}
        self.programs = {"plain": "tests/test_kernels", "checked": "tests/test_kernels_checked"}
        self.link_commands = {}
        for name, program in self.programs.items():
            lines = subprocess.run(["ninja", "-C", self.folder, "-t", "commands", program], capture_output=True,
                                   text=True, check=True).stdout.splitlines()
            self.link_commands[name] = lines[-1]
        self.tags = sorted(set(re.findall(r"\[(\w+)\]", self.output("plain", "--list-tags"))), key=len, reverse=True)

    def output(self, program, argument):
        # Catch2 2 ends listings with the number of what it listed.
        return subprocess.run([self.folder / self.programs[program], argument], capture_output=True, text=True,
                              check=False).stdout

    def object_name(self, program, stem):
        return {"plain": f"CMakeFiles/kernels.dir/emulated/{stem}.cc.o",
                "checked": f"CMakeFiles/kernels_checked.dir/checked/{stem}.cc.o"}[program]

    def filters(self, stem):
        """The tests of a kernel's file: those with its name, or the beginning of it, as a tag. Before all of them those
        that have another word of its name as a tag too: of conv2d_mma_fprop.cu those of [conv2d][mma]."""
        stem = ALIASES.get(stem, stem)
        tag = next((t for t in self.tags if stem == t or stem.startswith(t + "_")), None)
        if not tag:
            return ["[emulator]"]
        narrow = [t for t in stem[len(tag):].split("_") if t in self.tags]
        return [f"[{tag}][{t}][emulator]" for t in narrow[:1]] + [f"[{tag}][emulator]"]

    def compile(self, program, stem, job):
        """"" or the compiler's complaints."""
        source = {"plain": "emulated", "checked": "checked"}[program] + f"/{stem}.cc"
        name = f"{program}_{stem}"
        (job / f"{name}.cc").write_text(f'#include "kernels/{stem}.cu"\n')
        words = self.compile_commands[source].split()
        words = [w.replace(f"{self.folder}/rooms/kernels", ".") for w in words if w != "-g" and not w.startswith("-W")]
        words = ["-O1" if w == "-O3" else w for w in words]
        words[words.index("-o") + 1], words[words.index("-c") + 1] = f"{name}.o", f"{name}.cc"
        env = dict(os.environ, CCACHE_DIR=str(self.folder / "mutants" / "ccache"), CCACHE_MAXSIZE="1G")
        status, output = self.runner.run(self.ccache + words + ["-w"], job, 600, env)
        return "" if status == 0 else output or "the compiler failed"

    def link(self, program, stem, job):
        """A program with the mutant's object before all others: of an inline function that several have the first is
        taken, and nothing is taken from an archive that is there already."""
        target = job / f"{program}_{stem}.o"
        command = self.link_commands[program].replace(f" {self.object_name(program, stem)} ", " ")
        command = command.replace("/c++ ", f"/c++ {target} ", 1)
        command = command.replace(f"-o {self.programs[program]}", f"-o {job}/{program}")
        status, output = self.runner.run(["bash", "-c", command], self.folder, 600)
        if status != 0:
            raise RuntimeError(f"linking {program} with {stem}: {output}")

    def test(self, executable, tests, timeout):
        env = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
        return self.runner.run([str(executable), "--abort", tests], self.folder, timeout, env)


# ---- which mutants --------------------------------------------------------------------------------------------------


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


# ---- one mutant -----------------------------------------------------------------------------------------------------


class Jobs:
    def __init__(self, build, files, times):
        self.build, self.files, self.times = build, files, times
        self.lock, self.folders, self.made = threading.Lock(), [], 0

    def folder(self):
        with self.lock:
            if self.folders:
                return self.folders.pop()
            self.made += 1
            folder = self.build.folder / "mutants" / str(self.made)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copytree(ROOT / "kernels", folder / "kernels")
        return folder

    def judge(self, mutant):
        """"killed ...", "survived" or "invalid"."""
        job = self.folder()
        try:
            text = (ROOT / mutant.file).read_text()
            (job / mutant.file).write_text(text[:mutant.begin] + mutant.text + text[mutant.end:])
            return self.tried(mutant, job)
        finally:
            (job / mutant.file).write_text((ROOT / mutant.file).read_text())
            with self.lock:
                self.folders.append(job)

    def tried(self, mutant, job):
        for stem in self.files[mutant.file]:
            for program in PROGRAMS:
                if self.build.compile(program, stem, job):
                    return "invalid"
                self.build.link(program, stem, job)
                for tests in self.build.filters(stem):
                    status, _ = self.build.test(job / program, tests, 10 + 10 * self.times[program, stem])
                    if status != 0:
                        return f"killed ({program}{', timeout' if status == 'timeout' else ''})"
        return "survived"


class Log:
    """Verdicts on disk as they come, so that a run that was stopped goes on where it was. They hold for the very same
    kernels and test programs only."""

    def __init__(self, build, fresh):
        state = hashlib.sha256()
        for file in sorted([*(ROOT / "kernels").rglob("*.*"), *(HERE.glob("*.py")),
                            *(build.folder / p for p in build.programs.values())]):
            state.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
        self.path = build.folder / "verdicts" / f"{state.hexdigest()[:16]}.jsonl"
        self.path.parent.mkdir(exist_ok=True)
        for other in self.path.parent.iterdir():
            if fresh or other != self.path:
                other.unlink()
        self.known = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines(keepends=True):
                if line.endswith("\n"):  # else it was being written when the run ended
                    entry = json.loads(line)
                    self.known[entry["file"], entry["begin"], entry["end"], entry["text"]] = entry["verdict"]

    def find(self, m):
        return self.known.get((m.file, m.begin, m.end, m.text))

    def add(self, m, verdict):
        entry = {"file": m.file, "begin": m.begin, "end": m.end, "text": m.text, "verdict": verdict}
        with self.path.open("a") as f:
            f.write(json.dumps(entry) + "\n")


# ---- the run --------------------------------------------------------------------------------------------------------


def baseline(build, stems):
    """Seconds that each kernel's tests take unchanged; they must pass."""
    times, known = {}, {}
    for stem in sorted(stems):
        for program in PROGRAMS:
            tests = build.filters(stem)[-1]
            if (program, tests) not in known:
                start = time.monotonic()
                status, output = build.test(build.folder / build.programs[program], tests, 1800)
                if status != 0 or "No test cases matched" in output:
                    sys.exit(f"mutate: the tests of {stem} ({program}) fail without any mutant:\n{output[-2000:]}")
                known[program, tests] = time.monotonic() - start
            times[program, stem] = known[program, tests]
    return times


class Progress:
    def __init__(self, total, before):
        self.total, self.before, self.start, self.last = total, before, time.monotonic(), 0.0

    def say(self, text):
        print(f"{chr(13) + chr(27) + '[K' if sys.stderr.isatty() else ''}{text}", file=sys.stderr, flush=True)

    def show(self, verdicts, force=False):
        now, done = time.monotonic(), len(verdicts)
        terminal = sys.stderr.isatty()
        if not force and now - self.last < (0.2 if terminal else 30):
            return
        self.last = now
        rate = (done - self.before) / (now - self.start)
        left = int((self.total - done) / rate) if rate else 0
        killed = sum(v.startswith("killed") for v in verdicts.values())
        survived = sum(v == "survived" for v in verdicts.values())
        print(f"{chr(13) if terminal else ''}mutate: {done} of {self.total}: {killed} killed, {survived} survived, "
              f"{60 * rate:.1f} a minute, {left // 60}:{left % 60:02d} left  ", end="" if terminal else "\n",
              file=sys.stderr, flush=True)


def survivor(m):
    return f"survived: {m.file}:{m.line}: {m.kind}\n    {m.before}\n    {m.after}"


def report(verdicts, apart, stale, chosen, interrupted):
    """Prints the results; the exit status."""
    if sys.stderr.isatty():
        print(file=sys.stderr)
    tried = {m: v for m, v in verdicts.items() if v != "invalid"}
    killed = [m for m, v in tried.items() if v.startswith("killed")]
    for m in sorted((m for m, v in tried.items() if v == "survived"), key=lambda m: (m.file, m.begin)):
        print(survivor(m))
    for m, reason in apart:
        print(f"equivalent: {m.file}:{m.line}: {m.after}: {reason}")
    print("\n".join(stale + [""]) if stale else "", end="")
    for title, key in (("class", lambda m: m.kind), ("file", lambda m: m.file)):
        for value in sorted({key(m) for m in tried}):
            of = [m for m in tried if key(m) == value]
            print(f"{title} {value}: killed {sum(m in set(killed) for m in of)} of {len(of)}")
    ways = {}
    for v in tried.values():
        ways[v] = ways.get(v, 0) + 1
    print(", ".join(f"{v}: {n}" for v, n in sorted(ways.items())))
    print(f"{len(verdicts) - len(tried)} did not compile, {len(apart)} known equivalents are not counted")
    if interrupted:
        print(f"interrupted: {len(verdicts)} of {chosen} tried")
    print(f"killed {len(killed)} of {len(tried)} mutants")
    if interrupted:
        return 130
    return 0 if not stale and len(killed) >= NEEDED * len(tried) else 1


def main():
    parser = argparse.ArgumentParser(prog="tests/mutate.sh", description="Mutation tests of the CUDA kernels: one "
                                     "small mistake at a time, and the tests must notice.")
    parser.add_argument("--file", action="append", default=[], metavar="F", help="only this file; may be repeated")
    parser.add_argument("--max", type=int, default=0, metavar="N", help="a sample of N mutants (default: all)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the sample and the order (default: 1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="J", help="at a time (default: all cores)")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs found")
    parser.add_argument("--build", default=str(ROOT / "build-mutate"), help=argparse.SUPPRESS)
    parser.add_argument("--list", action="store_true", help="only prints the mutants")
    options = parser.parse_args()
    chosen, apart, stale = choose(options)
    if options.list:
        for m in sorted(chosen, key=lambda m: (m.file, m.begin)):
            print(f"{m.file}:{m.line}: {m.kind}\n    {m.before}\n    {m.after}")
        print(f"{len(chosen)} mutants, {len(apart)} known equivalents")
        return 0

    # Also where a shell that runs it in the background has SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    runner = Runner()
    build = Build(options.build, runner)
    files = kernel_files()
    print("mutate: running the tests without a mutant", file=sys.stderr)
    try:
        times = baseline(build, {s for m in chosen for s in files[m.file]})
    except KeyboardInterrupt:
        runner.interrupt()
        return 130
    jobs, interrupted, log = Jobs(build, files, times), False, Log(build, options.fresh)
    verdicts = {m: v for m in chosen if (v := log.find(m))}
    if verdicts:
        print(f"mutate: {len(verdicts)} were tried before, on the same kernels and tests; --fresh tries them again",
              file=sys.stderr)
    progress = Progress(len(chosen), len(verdicts))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        waiting = {pool.submit(jobs.judge, m): m for m in chosen if m not in verdicts}
        try:
            for future in concurrent.futures.as_completed(waiting):
                mutant, verdict = waiting[future], future.result()
                verdicts[mutant] = verdict
                if "timeout" not in verdict:  # which may have been a machine under load
                    log.add(mutant, verdict)
                if verdict == "survived":
                    progress.say(survivor(mutant))
                progress.show(verdicts)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            runner.interrupt()
            for future in waiting:
                future.cancel()
    progress.show(verdicts, force=True)
    return report(verdicts, apart, stale, len(chosen), interrupted)


if __name__ == "__main__":
    sys.exit(main())
