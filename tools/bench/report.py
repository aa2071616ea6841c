"""Rows of the result: what was measured, what is required, whether it holds."""

import dataclasses
import math
import statistics



@dataclasses.dataclass
class Row:
    """One measurement. `least` and `aim` are bounds from above if `below`, else from below; None requires nothing."""

    what: str
    value: float
    unit: str
    detail: str
    least: float | None = None
    aim: float | None = None
    below: bool = True

    def holds(self, bound):
        """Whether the value keeps to a bound."""
        return self.value <= bound if self.below else self.value >= bound

    def verdict(self):
        """In a word."""
        if math.isnan(self.value):
            return "not measured"
        if self.least is None:
            return "reported"
        if self.aim is not None and self.holds(self.aim):
            return "aim reached"
        return "holds" if self.holds(self.least) else "**falls short**"

    def cells(self):
        """The columns of the table."""
        sign = "<=" if self.below else ">="
        bounds = [f"{sign} {bound:g}" if bound is not None else "" for bound in (self.least, self.aim)]
        value = "" if math.isnan(self.value) else f"{self.value:.3g}{self.unit}"
        return [self.what, value, *bounds, self.verdict(), self.detail]


def spread(values):
    """Median, least and most in words."""
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def table(rows):
    """All rows in Markdown."""
    head = ["what", "measured", "at least", "aim", "", "how"]
    lines = [head, ["---"] * len(head), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write(path, rows, machine, quick, name="bench"):
    """Puts the table between the markers of this name in the document, which has to have them."""
    first, last = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, begin, rest = path.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise SystemExit(f"bench: {path} has no {first} and {last}")
    kind = "A short run: figures are rough.\n\n" if quick else ""
    path.write_text(f"{before}{first}\n{kind}Measured on {machine}.\n\n{table(rows)}\n{last}{after}")
