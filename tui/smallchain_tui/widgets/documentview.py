"""A value to read: arguments, a result, a request. It folds, turns from YAML to JSON, shows what is hidden, and can be copied."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from smallchain_tui.viewmodel.document import Document, DocumentLine, Form, Path
from smallchain_tui.viewmodel.line import Line
from smallchain_tui.widgets.lines import Lines


class DocumentView(Lines):
    """Shows one value. A sign before a line says that it is folded, or can be."""

    hints: ClassVar[tuple[str, ...]] = ("lines.unfold",)

    def __init__(self, value: Any = None, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.document = Document(value)
        self._lines: list[DocumentLine] = []
        self._laid_out: tuple[Document, int] | None = None

    def show(self, value: Any) -> None:
        """Another value, from its beginning; form and exactness stay."""
        if value != self.document.value or self._laid_out is None:
            self.document = replace(self.document, value=value, folded=frozenset())
            self.scroll_to(y=0, animate=False, force=True)
            self.cursor = 0
            self.changed()

    def count(self) -> int:
        return len(self._laid())

    def line(self, index: int) -> Line:
        line = self._laid()[index]
        folded, unfolded = self.glyphs.folds
        return ((f"{folded} " if line.folded else f"{unfolded} " if line.folds else "  ", "muted"), *line.spans)

    def _laid(self) -> list[DocumentLine]:
        wanted = (self.document, self.cells - 2)
        if self._laid_out is None or self._laid_out[0] is not wanted[0] or self._laid_out[1] != wanted[1]:
            self._lines = self.document.lines(wanted[1])
            self._laid_out = wanted
        return self._lines

    @property
    def current(self) -> DocumentLine | None:
        """The line under the cursor."""
        lines = self._laid()
        return lines[self.cursor] if self.cursor < len(lines) else None

    def action_unfold(self) -> None:
        """Unfold what the cursor is on, or fold it."""
        if (line := self.current) is not None:
            self.fold(not line.folded)

    def fold(self, folded: bool) -> None:
        """Fold the part that the cursor is in, or the one around it; unfold the one it is on."""
        lines, line = self._laid(), self.current
        if line is None:
            return
        paths = {each.path for each in lines if each.folds}
        path = line.path
        while folded and path and (path not in paths or path in self.document.folded):
            path = path[:-1]
        if path not in paths and not folded:
            return
        there = self.document.folded | {path} if folded else self.document.folded - {path}
        self.document = replace(self.document, folded=there)
        self.changed()
        self.move_to(next((place for place, each in enumerate(self._laid()) if each.path == path), self.cursor))

    def action_unfold_all(self) -> None:
        """Fold all parts of the first level, or unfold everything."""
        if self.document.folded:
            self.document = replace(self.document, folded=frozenset())
        else:
            paths = [line.path for line in self._laid() if line.folds and line.path]
            least = min(map(len, paths), default=0)
            self.document = replace(self.document, folded=frozenset(path for path in paths if len(path) == least))
        self.changed()
        self.move_to(0)

    def other_form(self) -> None:
        """JSON in the place of YAML, and back."""
        self._again(replace(self.document, form=Form.JSON if self.document.form is Form.YAML else Form.YAML))

    def other_exactness(self) -> None:
        """Each text as a program writes it, and back."""
        self._again(replace(self.document, exact=not self.document.exact))

    def value_here(self) -> str:
        return self.document.text(self._path)

    def item_here(self) -> Any:
        return self.document.at(self._path)

    def everything(self) -> Any:
        return self.document.value

    @property
    def _path(self) -> Path:
        return line.path if (line := self.current) is not None else ()

    def _again(self, document: Document) -> None:
        path = self._path
        self.document = document
        self.changed()
        self.move_to(next((place for place, each in enumerate(self._laid()) if each.path == path), 0))
