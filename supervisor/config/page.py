"""A page of the documentation of which a part is generated: what stands between two marks is written by a program.

Rules: the prose around the marks is written by hand and left alone; a test proves each committed page fresh.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

#: The mark below.
END = "<!-- end of what is generated -->"


@frozen
class Page:
    """The page at `path`, as `python -m module path` refreshes it with what `make` returns."""

    module: str
    path: str
    make: Callable[[], str]

    @property
    def begin(self) -> str:
        """The mark above."""
        return f"<!-- generated: python -m {self.module} {self.path} -->"

    def refreshed(self, text: str) -> str:
        """Return `text` with what is between its marks as it should be now; ValueError where a mark is missing."""
        head, begin, rest = text.partition(self.begin)
        _, end, tail = rest.partition(END)
        if not begin or not end:
            raise ValueError(f"cannot refresh the page: it needs the lines {self.begin} and {END}")
        return f"{head}{begin}\n\n{self.make()}\n{end}{tail}"

    def refresh(self, path: str) -> None:
        """Refresh the file at `path`, which need not be where the page belongs."""
        with open(path, encoding="utf-8") as file:
            text = self.refreshed(file.read())
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
