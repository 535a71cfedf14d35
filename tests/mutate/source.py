"""A CUDA source as tokens, and which of them mutations must leave alone."""
import re
from dataclasses import dataclass

TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<directive>^[ \t]*\#(?:\\\n|[^\n])*)
      |(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      |(?P<number>(?:0[xX][0-9a-fA-F']+|(?:\d[\d']*\.?\d*|\.\d+)(?:[eEpP][+-]?\d+)?)[uUlLfF]*)|(?P<name>[A-Za-z_]\w*)
      |(?P<op><<=|>>=|\.\.\.|->|::|\+\+|--|&&|\|\||[-+*/%^&|=!<>]=|<<|>>|[][(){}<>;:,.?~!=+\-*/%^&|])|(?P<space>\s+)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE)
OPEN, CLOSE = {"(": ")", "[": "]", "{": "}"}, {")": "(", "]": "[", "}": "{"}
# Names after which an expression begins, so that the name that follows is no declaration.
EXPRESSION_AFTER = {"return", "case", "else", "do", "goto", "co_return", "throw"}
# Calls and clauses whose arguments are no arithmetic of the kernel: types, extents, bounds for the compiler.
UNTOUCHED = {"static_assert", "DOPPEL_GLOBAL", "alignas", "alignof", "sizeof", "decltype", "requires",
             "DOPPEL_SHARED", "DOPPEL_SHARED_DYNAMIC", "DOPPEL_BACKENDS"}


@dataclass
class Token:
    kind: str
    text: str
    begin: int
    end: int
    live: bool = True  # may be mutated
    partner: int = -1  # of a bracket
    declares: bool = False  # "[" of an array's extent, or a name that is being declared


class Source:
    """`functions_only`: of a header, whose bodies of device functions alone are a kernel's."""

    def __init__(self, text, functions_only=False):
        self.text = text
        self.tokens = self._tokens()
        self._pair_brackets()
        self._mark_templates()
        self._mark_untouched()
        self._mark_declarations()
        if functions_only:
            self._mark_outside_functions()

    def spaced(self, i):
        """Whether a blank stands on either side: clang-format writes binary operators so, and nothing else."""
        t = self.tokens[i]
        return self.text[t.begin - 1:t.begin].isspace() and self.text[t.end:t.end + 1].isspace()

    def line(self, position):
        return self.text.count("\n", 0, position) + 1

    def is_name(self, i, *names):
        return 0 <= i < len(self.tokens) and self.tokens[i].kind == "name" and (
            not names or self.tokens[i].text in names)

    def is_op(self, i, *ops):
        return 0 <= i < len(self.tokens) and self.tokens[i].kind == "op" and self.tokens[i].text in ops

    def between(self, i, j):
        """The text strictly between tokens i and j."""
        return self.text[self.tokens[i].end:self.tokens[j].begin]

    def arguments(self, opening):
        """(first, last) token of each argument between a bracket and its partner."""
        closing, parts, first, i = self.tokens[opening].partner, [], opening + 1, opening + 1
        while i < closing:
            if self.tokens[i].partner > i:
                i = self.tokens[i].partner
            elif self.is_op(i, ","):
                parts.append((first, i - 1))
                first = i + 1
            i += 1
        if first < closing:
            parts.append((first, closing - 1))
        return parts

    def _tokens(self):
        tokens, at, card = [], 0, []
        while at < len(self.text):
            m = TOKEN.match(self.text, at)
            if not m:
                raise ValueError(f"line {self.line(at)}: what is {self.text[at:at + 20]!r}")
            kind, text, at = m.lastgroup, m.group(), m.end()
            if kind == "directive":
                word = text.strip().lstrip("#").split()[0]
                # Both sides of a choice between card and host: instructions and their twins, not a kernel.
                if word in ("if", "ifdef", "ifndef"):
                    card.append("DOPPEL_ON_CARD" in text or "__CUDA" in text)
                elif word == "endif" and card:
                    card.pop()
            elif kind not in ("comment", "space"):
                tokens.append(Token(kind, text, m.start(), m.end(), live=not any(card)))
        return tokens

    def _pair_brackets(self):
        stack = []
        for i, t in enumerate(self.tokens):
            if t.kind != "op":
                continue
            if t.text in OPEN:
                stack.append(i)
            elif t.text in CLOSE and stack and self.tokens[stack[-1]].text == CLOSE[t.text]:
                t.partner = stack.pop()
                self.tokens[t.partner].partner = i

    def _template_end(self, i):
        """The ">" that closes the "<" at i."""
        depth = 0
        while i < len(self.tokens):
            if self.is_op(i, "(", "["):
                i = self.tokens[i].partner
            elif self.is_op(i, "<") and not self.spaced(i):
                depth += 1
            elif self.is_op(i, ">") and not (self.spaced(i)):
                depth -= 1
            elif self.is_op(i, ">>"):
                depth -= 2
            elif self.is_op(i, ";", "{", "}"):
                return -1
            if depth <= 0:
                return i
            i += 1
        return -1

    def _mark_templates(self):
        for i, t in enumerate(self.tokens):
            if not self.is_op(i, "<"):
                continue
            head = self.is_name(i - 1, "template")
            glued = i > 0 and self.tokens[i - 1].end == t.begin and (self.is_name(i - 1) or self.is_op(i - 1, "]"))
            if not head and not glued:
                continue
            end = self._template_end(i) if glued else self._head_end(i)
            if end > 0 and t.partner < 0:
                t.partner = end
                if self.tokens[end].partner < 0:
                    self.tokens[end].partner = i
            # How many groups may stay under way is part of a kernel's order, and an argument only in form.
            if end > 0 and not self.is_name(i - 1, "copy_async_wait", "wgmma_wait"):
                self._kill(i, end)

    def _head_end(self, i):
        depth = 0
        while i < len(self.tokens):
            if self.is_op(i, "<"):
                depth += 1
            elif self.is_op(i, ">", ">>"):
                depth -= len(self.tokens[i].text)
            if depth <= 0:
                return i
            i += 1
        return -1

    def _kill(self, first, last):
        for t in self.tokens[first:last + 1]:
            t.live = False

    def _mark_untouched(self):
        tokens = self.tokens
        for i, t in enumerate(tokens):
            if t.kind != "name":
                continue
            if t.text in UNTOUCHED and self.is_op(i + 1, "("):
                self._kill(i, tokens[i + 1].partner)
            # More blocks than needed cost only time; fewer are a mutation of their own.
            if t.text == "blocks_for" and self.is_op(i + 1, "("):
                self._kill(i + 2, tokens[i + 1].partner)
            # A tuning: constexpr int kThreads = 256;
            if t.text == "constexpr" and not self.is_op(i + 1, "("):
                end = next((j for j in range(i, len(tokens)) if self.is_op(j, ";", "{")), i)
                for j in range(i, end):
                    if self.is_op(j, "=") and tokens[j + 1].kind == "number" and self.is_op(j + 2, ";", ","):
                        tokens[j + 1].live = False
            if t.text in ("case", "using", "namespace", "enum", "operator"):
                end = next((j for j in range(i, len(tokens)) if self.is_op(j, ":", ";", "{", "(")), i)
                if t.text == "enum":
                    end = next((j for j in range(i, len(tokens)) if self.is_op(j, ";")), i)
                self._kill(i, end)

    def _mark_outside_functions(self):
        inside = set()
        for i in range(len(self.tokens)):
            if self.is_name(i, "DOPPEL_BOTH", "__device__", "DOPPEL_GLOBAL"):
                begin = next((j for j in range(i, len(self.tokens)) if self.is_op(j, "{", ";")), i)
                if self.is_op(begin, "{"):
                    inside.update(range(begin, self.tokens[begin].partner))
        for i, t in enumerate(self.tokens):
            t.live = t.live and i in inside

    def _mark_declarations(self):
        tokens = self.tokens
        for i, t in enumerate(tokens):
            if t.kind != "name" or i == 0:
                continue
            before = tokens[i - 1]
            t.declares = (before.kind == "name" and before.text not in EXPRESSION_AFTER) or (
                before.kind == "op" and before.text in ("*", "&", ">", "&&") and before.end < t.begin
                and not self.text[before.begin - 1].isspace())
        # All names of "float a[4], b[2];", and the extents of each.
        for i, t in enumerate(tokens):
            if not self.is_op(i, "[") or t.partner < 0:
                continue
            owner = i - 1
            while self.is_op(owner, "]"):
                owner = tokens[owner].partner - 1
            if self.is_op(owner, ")") and self._is_reference(owner):
                t.declares = True
            elif self.is_name(owner) and (tokens[owner].declares or self._in_declarator_list(owner)):
                t.declares = True
            if t.declares:
                self._kill(i, t.partner)

    def _is_reference(self, closing):
        """float (&c)[4]"""
        return self.is_op(self.tokens[closing].partner + 1, "&", "*")

    def _in_declarator_list(self, i):
        """The b of "float a[4], b[2];": names with brackets and commas back to one that is declared."""
        while self.is_op(i - 1, ","):
            i -= 2
            while self.is_op(i, "]"):
                i = self.tokens[i].partner - 1
            if not self.is_name(i):
                return False
            if self.tokens[i].declares:
                # Not of a parameter list or a call: a declaration ends at once.
                return True
        return False
