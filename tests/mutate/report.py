"""What a run of mutants says while it goes on and at its end."""
import sys
import time

NEEDED = 0.95


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
