"""Rows of the result: what was measured, what is required, whether it holds."""

import dataclasses
import statistics

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


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
        if self.least is None:
            return "reported"
        if self.aim is not None and self.holds(self.aim):
            return "aim reached"
        return "holds" if self.holds(self.least) else "**falls short**"

    def cells(self):
        """The columns of the table."""
        sign = "<=" if self.below else ">="
        bounds = [f"{sign} {bound:g}" if bound is not None else "" for bound in (self.least, self.aim)]
        return [self.what, f"{self.value:.3g}{self.unit}", *bounds, self.verdict(), self.detail]


def spread(values):
    """Median, least and most in words."""
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def table(rows):
    """All rows in Markdown."""
    head = ["what", "measured", "at least", "aim", "", "how"]
    lines = [head, ["---"] * len(head), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write(path, rows, machine, quick):
    """Puts the table between the markers of the document, which has to have them."""
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"bench: {path} has no {BEGIN} and {END}")
    kind = "A short run: figures are rough.\n\n" if quick else ""
    path.write_text(f"{before}{BEGIN}\n{kind}Measured on {machine}.\n\n{table(rows)}\n{END}{after}")
