"""Small mistakes that a kernel's author could have made, one at a time.

    barrier    drops a barrier, a wait for copies, or a copy
    index      shifts a subscript or a thread's number by one
    swap       exchanges fragments, registers, subscripts, coordinates, operands, branches
    tail       moves or drops a bounds check
    split      forgets the last of the parts of a sum, or of the blocks of a grid
    arithmetic turns an operator into another
    constant   an integer, one more
    condition  turns a condition round
"""
import re
from dataclasses import dataclass

from source import Source

BARRIERS = {"__syncthreads", "__syncwarp", "copy_async", "copy_async_wait", "copy_async_commit", "copy_async_arrive",
            "barrier_sync", "barrier_arrive", "mbarrier_wait", "mbarrier_wait_watched", "mbarrier_arrive", "__threadfence",
            "mbarrier_init", "mbarrier_expect_tx", "fence_proxy_async", "copy_bulk", "tma_load", "tma_load_im2col", "wgmma_fence",
            "wgmma_commit", "wgmma_wait", "cluster_arrive", "cluster_wait", "fence_mbarrier_init", "mbarrier_arrive_at",
            "tma_load_to", "tma_load_im2col_to"}
PARTS = re.compile(r"(splits|parts|slices|chunks|ranges|phases|stages)$", re.IGNORECASE)
ARITHMETIC = {"+": "-", "-": "+", "*": "+", "/": "*", "%": "/", "^": "|", "&": "|", "|": "&", "<<": ">>", ">>": "<<"}
COMPOUND = {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "^=": "|=", "&=": "|=", "|=": "&=", ">>=": "<<=",
            "<<=": ">>="}
RELATIONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
EXTREMES = {"min": "max", "max": "min", "fminf": "fmaxf", "fmaxf": "fminf"}
COORDINATES = {"x": "y", "y": "x", "h": "w", "w": "h", "r": "s", "s": "r", "out_h": "out_w", "out_w": "out_h",
               "pad_top": "pad_left", "pad_left": "pad_top"}


@dataclass(frozen=True)
class Mutant:
    file: str  # relative to the root
    line: int
    kind: str
    begin: int
    end: int
    text: str  # what stands there instead
    before: str  # the line, as it is and as it becomes
    after: str


class Maker:
    def __init__(self, file, text):
        self.file, self.source, self.text = file, Source(text, functions_only=file.endswith(".h")), text
        self.made = {}

    def add(self, kind, begin, end, text):
        start = self.text.rfind("\n", 0, begin) + 1
        stop = self.text.find("\n", end)
        squeeze = lambda s: " ".join(s.split())
        before = squeeze(self.text[start:stop])
        after = squeeze(self.text[start:begin] + text + self.text[end:stop])
        mutant = Mutant(self.file, self.source.line(begin), kind, begin, end, text, before, after)
        # The same change by two ways is one mutant.
        key = (mutant.line, re.sub(r"[ ()]", "", after))
        if before != after:
            self.made.setdefault(key, mutant)

    def tokens_changed(self, kind, first, last, text):
        self.add(kind, self.source.tokens[first].begin, self.source.tokens[last].end, text)

    def text_of(self, first, last):
        return self.text[self.source.tokens[first].begin:self.source.tokens[last].end]

    def all(self):
        for i, token in enumerate(self.source.tokens):
            if token.live:
                {"name": self.name, "op": self.op, "number": self.number}.get(token.kind, lambda i: None)(i)
        return sorted(self.made.values(), key=lambda m: (m.begin, m.end, m.text))

    # ---- by token ----

    def name(self, i):
        s, t = self.source, self.source.tokens
        word = t[i].text
        if word in BARRIERS:
            self.drop_call(i)
        elif word == "if":
            self.condition(i)
        elif word in EXTREMES and (s.is_op(i + 1, "(") or s.is_op(i + 1, "<")):
            self.tokens_changed("tail", i, i, EXTREMES[word])
        elif word in ("threadIdx", "blockIdx") and s.is_op(i + 1, "."):
            self.tokens_changed("index", i, i + 2, f"({self.text_of(i, i + 2)} + 1)")
        elif word in ("lane", "warp") and s.is_op(i + 1, "(") and t[i + 1].partner == i + 2 and not t[i].declares:
            self.tokens_changed("index", i, i + 2, f"({word}() + 1)")
        elif word == "gridDim" and s.is_op(i + 1, "."):
            self.tokens_changed("split", i, i + 2, f"({self.text_of(i, i + 2)} - 1)")
        elif word == "blocks_for" and s.is_op(i + 1, "("):
            self.tokens_changed("split", i, t[i + 1].partner, f"({self.text_of(i, t[i + 1].partner)} - 1)")
        elif PARTS.search(word) and not t[i].declares and not s.is_op(i + 1, "=", "(", "[", "{", "<", "::"):
            first = self.chain_begin(i)
            if not s.is_op(first - 1, "&"):
                self.tokens_changed("split", first, i, f"({self.text_of(first, i)} - 1)")
        elif word.startswith("mma") and s.is_op(i + 1, "(") and not t[i].declares:
            self.swap_fragments(i + 1)
        elif word in COORDINATES and s.is_op(i - 1, ".") and not s.is_name(
                i - 2, "threadIdx", "blockIdx", "blockDim", "gridDim", "block", "grid"):
            self.tokens_changed("swap", i, i, COORDINATES[word])

    def op(self, i):
        s, t = self.source, self.source.tokens
        word = t[i].text
        if word == "[" and t[i].partner > 0:
            self.subscript(i)
        elif word == "?":
            self.ternary(i)
        elif word == "{" and t[i].partner > 0:
            self.swap_list(i)
        elif not s.spaced(i):
            return
        elif word in RELATIONS:
            self.tokens_changed("tail", i, i, RELATIONS[word])
        elif word in ("&&", "||"):
            self.tokens_changed("tail", i, i, "||" if word == "&&" else "&&")
            self.drop_operands(i)
        elif word in COMPOUND:
            self.tokens_changed("arithmetic", i, i, COMPOUND[word])
        elif word in ARITHMETIC:
            self.tokens_changed("arithmetic", i, i, ARITHMETIC[word])
            if word in ("-", "/", "%"):
                self.swap_operands(i)

    def number(self, i):
        t = self.source.tokens[i]
        m = re.fullmatch(r"(0[xX])?([0-9a-fA-F']+)([uUlL]*)", t.text)
        if not m or (not m[1] and not m[2].replace("'", "").isdigit()):
            return
        digits = m[2].replace("'", "")
        value = int(digits, 16 if m[1] else 10) + 1
        self.tokens_changed("constant", i, i, (f"0x{value:X}" if m[1] else str(value)) + m[3])

    # ---- the mistakes ----

    def chain_begin(self, i):
        """The first token of a.b->c that ends at i."""
        s = self.source
        while s.is_op(i - 1, ".", "->", "::") and s.is_name(i - 2):
            i -= 2
        return i

    def drop_call(self, i):
        s, t = self.source, self.source.tokens
        opening = next(j for j in range(i, len(t)) if s.is_op(j, "("))
        closing = t[opening].partner
        if s.is_op(closing + 1, ";") and not t[i].declares:
            self.tokens_changed("barrier", self.chain_begin(i), closing, "")

    def condition(self, i):
        s, t = self.source, self.source.tokens
        opening = i + 2 if s.is_name(i + 1, "constexpr") else i + 1
        if not s.is_op(opening, "("):
            return
        closing = t[opening].partner
        # "==" alone is turned round as a bounds check.
        relations = [j for j in range(opening, closing) if s.is_op(j, "==", "!=", "&&", "||")]
        if len(relations) != 1 or s.is_op(relations[0], "&&", "||"):
            self.tokens_changed("condition", opening + 1, closing - 1, f"!({s.between(opening, closing)})")
        if opening == i + 1 and s.is_name(closing + 1, "return") and s.is_op(closing + 2, ";"):
            self.tokens_changed("tail", i, closing + 2, "")

    def subscript(self, i):
        s, t = self.source, self.source.tokens
        closing = t[i].partner
        if not (s.is_name(i - 1) or s.is_op(i - 1, "]", ")")) or closing == i + 1 or s.is_name(i - 1, "operator"):
            return
        if s.is_op(i - 1, "]") and t[t[i - 1].partner].declares:
            return
        inside = s.between(i, closing)
        # A literal index is a register's number; the class "constant" shifts it too, under the same text.
        if not inside.strip().isdigit():
            self.tokens_changed("index", i + 1, closing - 1, f"{inside} + 1")
        if s.is_op(closing + 1, "[") and t[closing + 1].live:
            other = s.between(closing + 1, t[closing + 1].partner)
            self.tokens_changed("swap", i, t[closing + 1].partner, f"[{other}][{inside}]")

    def ternary(self, i):
        s, t = self.source, self.source.tokens
        j, depth = i + 1, 0
        while j < len(t) and not (s.is_op(j, ":") and depth == 0):
            if s.is_op(j, ";", ")", "}", "]"):
                return
            depth += s.is_op(j, "?") - s.is_op(j, ":")
            j = t[j].partner + 1 if t[j].partner > j else j + 1
        end = j + 1
        while end < len(t) and not s.is_op(end, ";", ")", "}", "]", ",", ":"):
            end = t[end].partner + 1 if t[end].partner > end else end + 1
        yes, no = self.text_of(i + 1, j - 1), self.text_of(j + 1, end - 1)
        self.tokens_changed("swap", i + 1, end - 1, f"{no} : {yes}")

    def swap_list(self, i):
        """{a, b, ...}: the first two of a list of values."""
        s = self.source
        if s.is_op(i - 1, ")") or s.is_name(i - 1, "else", "do", "noexcept", "const", "try"):
            return
        parts = s.arguments(i)
        if len(parts) >= 2 and not any(s.is_op(j, ";") for j in range(i, s.tokens[i].partner)):
            (a, b), (c, d) = parts[:2]
            self.tokens_changed("swap", a, d, f"{self.text_of(c, d)}, {self.text_of(a, b)}")

    def swap_fragments(self, opening):
        """The subscripts of two operands of an mma."""
        s, t = self.source, self.source.tokens
        last = []  # subscript at the end of each argument
        for first, end in s.arguments(opening):
            if s.is_op(end, "]"):
                last.append((t[end].partner, end))
        for (a, b), (c, d) in zip(last, last[1:]):
            one, two = s.between(a, b), s.between(c, d)
            if one != two:
                self.tokens_changed("swap", a, d, f"[{two}]{s.between(b, c)}[{one}]")

    def operand(self, i, step):
        """The far end of a name, number or member at i, or -1."""
        s, t = self.source, self.source.tokens
        if t[i].kind not in ("name", "number"):
            return -1
        j = i
        while s.is_op(j + step, ".", "->", "::") and s.is_name(j + 2 * step):
            j += 2 * step
        return j

    def swap_operands(self, i):
        s = self.source
        left, right = self.operand(i - 1, -1), self.operand(i + 1, 1)
        tight = ("*", "/", "%", "-")
        if left < 0 or right < 0 or s.is_op(left - 1, *tight) or s.is_op(right + 1, "*", "/", "%", "(", "[", "<"):
            return
        a, b = self.text_of(left, i - 1), self.text_of(i + 1, right)
        self.tokens_changed("swap", left, right, f"{b} {s.tokens[i].text} {a}")

    def drop_operands(self, i):
        """a && b: to a, to b; as far as a bracket, a comma or another && goes."""
        s, t = self.source, self.source.tokens
        stop = ("&&", "||", "?", ",", ";", "=", "{", "}", ":")
        left = i - 1
        while left >= 0 and not (s.is_op(left, *stop, "(", "[") or s.is_name(left, "return")):
            left = t[left].partner - 1 if 0 <= t[left].partner < left else left - 1
        right = i + 1
        while right < len(t) and not s.is_op(right, *stop, ")", "]"):
            right = t[right].partner + 1 if t[right].partner > right else right + 1
        self.tokens_changed("tail", left + 1, i, "")
        self.tokens_changed("tail", i, right - 1, "")


def mutants(file, text):
    """All mutants of one file, in the order in which they stand in it."""
    return Maker(file, text).all()


if __name__ == "__main__":
    import sys
    for name in sys.argv[1:]:
        with open(name, encoding="utf-8") as f:
            for m in mutants(name, f.read()):
                print(f"{m.file}:{m.line}: {m.kind}: {m.before}  ->  {m.after}")
