"""Runs mutants of the CUDA kernels against their tests; tests/mutate.sh builds what this needs."""
import argparse
import concurrent.futures
import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import threading

from build import PROGRAMS, Build, Runner, baseline
from choice import HERE, ROOT, choose, kernel_files
from report import Progress, report, survivor


class Jobs:
    def __init__(self, build, files, batches):
        self.build, self.files, self.batches = build, files, batches
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
        built = set()
        plan = [(batch, stem, program) for stem in self.files[mutant.file] for program in PROGRAMS
                for batch in self.batches[program, self.build.filter(stem)]]
        for batch, stem, program in sorted(plan, key=lambda p: p[0].seconds):  # stable: else as they are named
            if (stem, program) not in built:
                if self.build.compile(program, stem, job):
                    return "invalid"
                self.build.link(program, stem, job)
                built.add((stem, program))
            status, _ = self.build.test(job / f"{program}_{stem}", ["-f", batch.file], 10 + 10 * batch.seconds)
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
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        try:
            tests = baseline(build, {s for m in chosen for s in files[m.file]}, pool)
        except KeyboardInterrupt:
            runner.interrupt()
            return 130
    jobs, interrupted, log = Jobs(build, files, tests), False, Log(build, options.fresh)
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
