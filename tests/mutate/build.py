"""Compiles mutants of kernels into the test programs and runs these."""
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

# Kernels whose tests have another name.
ALIASES = {"dssim": "loss"}
PROGRAMS = ("checked", "plain")  # of two equally quick ones the checked one first: it sees most
# Most mutants fall to the quickest tests, so tests run in batches, the quick ones first: seconds of the first batch,
# and how many times longer the next one may take.
FIRST_BATCH, BATCH_GROWTH = 0.5, 4


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

    def output(self, program, *arguments):
        # Catch2 2 ends listings with the number of what it listed.
        return subprocess.run([self.folder / self.programs[program], *arguments], capture_output=True, text=True,
                              check=False).stdout

    def object_name(self, program, stem):
        return {"plain": f"CMakeFiles/kernels.dir/emulated/{stem}.cc.o",
                "checked": f"CMakeFiles/kernels_checked.dir/checked/{stem}.cc.o"}[program]

    def filter(self, stem):
        """The tests of a kernel's file: those with its name, or the beginning of it, as a tag."""
        stem = ALIASES.get(stem, stem)
        tag = next((t for t in self.tags if stem == t or stem.startswith(t + "_")), None)
        return f"[{tag}][emulator]" if tag else "[emulator]"

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
        command = command.replace(f"-o {self.programs[program]}", f"-o {job}/{program}_{stem}")
        status, output = self.runner.run(["bash", "-c", command], self.folder, 600)
        if status != 0:
            raise RuntimeError(f"linking {program} with {stem}: {output}")

    def test(self, executable, arguments, timeout):
        """(exit status or "timeout", output) of some tests, up to the first that fails"""
        env = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
        status, output = self.runner.run([str(executable), "--abort", *arguments], self.folder, timeout, env)
        if status == 0 and "No test cases matched" in output:
            raise RuntimeError(f"{executable} {' '.join(arguments)}: no such test")
        return status, output


@dataclasses.dataclass
class Batch:
    """Tests that run together."""
    seconds: float  # without a mutant
    file: str  # their names, a line each


def batches(build, program, tests):
    """[Batch] of a filter's tests, the quickest first. They must pass unchanged."""
    status, output = build.test(build.folder / build.programs[program], ["-d", "yes", tests], 1800)
    if status != 0:
        sys.exit(f"mutate: {program} {tests} fails without any mutant:\n{output[-2000:]}")
    names = build.output(program, "--list-test-names-only", tests).splitlines()
    took = dict.fromkeys(names, 0.0)
    for seconds, name in re.findall(r"^([0-9.]+) s: (.*)$", output, re.MULTILINE):
        if name in took:  # a test with sections says its time once for each way through them
            took[name] += float(seconds)
    groups, limit = [], FIRST_BATCH
    for name in sorted((n for n in names if n), key=lambda n: took[n]):
        if not groups or sum(took[n] for n in groups[-1]) + took[name] > limit:
            limit = limit * BATCH_GROWTH if groups else limit
            groups.append([])
        groups[-1].append(name)
    made = []
    for i, group in enumerate(groups):
        file = build.folder / "mutants" / f"{program}{re.sub(r'[^a-z0-9]+', '-', tests)}{i}.txt"
        file.write_text("".join(f"{name}\n" for name in group).replace(",", "\\,"))  # or a comma ends a name
        if sorted(build.output(program, "--list-test-names-only", "-f", str(file)).split("\n")) != sorted([*group, ""]):
            sys.exit(f"mutate: {file} does not name the tests that it should")
        made.append(Batch(sum(took[name] for name in group), str(file)))
    return made


def baseline(build, stems, pool):
    """{(program, filter): its batches}"""
    (build.folder / "mutants").mkdir(exist_ok=True)
    runs = {(program, tests): pool.submit(batches, build, program, tests)
            for tests in sorted({build.filter(stem) for stem in stems}) for program in PROGRAMS}
    return {key: run.result() for key, run in runs.items()}
