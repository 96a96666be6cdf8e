"""Figures, the bars beside them, and the table that shows both: as the other areas of `scripts/prove` print theirs."""


class Table:
    """Rows of a figure and its bar."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str]] = []
        self.holds = True

    def tell(self, what: str, figure: object) -> None:
        """A figure that is told for comparison."""
        self._rows.append((what, str(figure), ""))

    def hold(self, what: str, figure: object, bar: str, holds: bool) -> None:
        """A figure that must hold a bar."""
        self._rows.append((what, str(figure), f"{bar}: {'holds' if holds else '**DOES NOT HOLD**'}"))
        self.holds = self.holds and holds

    def print(self) -> None:
        """As a Markdown table."""
        what = max(6, *(len(row[0]) for row in self._rows))
        figure = max(6, *(len(row[1]) for row in self._rows))
        print(f"| {'':{what}} | {'figure':>{figure}} | bar")
        print(f"| {'':-<{what}} | {'':-<{figure}}:| ---")
        for row in self._rows:
            print(f"| {row[0]:{what}} | {row[1]:>{figure}} | {row[2]}")
