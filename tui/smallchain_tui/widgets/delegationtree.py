"""Who delegated what to whom, how it stands, and what each branch has cost with all below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar

from smallchain_tui.viewmodel.line import Line
from smallchain_tui.viewmodel.rows import Item, RunRow
from smallchain_tui.viewmodel.tree import Node, heading, tree, tree_line
from smallchain_tui.widgets.lines import Lines


class DelegationTree(Lines):
    """Shows runs below a root, and their tool calls. The first line names the columns."""

    hints: ClassVar[tuple[str, ...]] = ("lines.open", "lines.unfold", "lines.unfold_all")

    def __init__(self, *, now: Callable[[], datetime], id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._now = now
        self._runs: Sequence[RunRow] = ()
        self._calls: Sequence[Item] = ()
        self._root = ""
        self._folded: set[str] = set()
        self._with_calls = True
        self._shown: list[Node] = []

    def show(self, runs: Sequence[RunRow], calls: Sequence[Item] = (), *, root: str = "") -> None:
        """The tree as it stands now; the cursor stays on its node."""
        self._runs, self._calls, self._root = runs, calls, root
        self._again()

    @property
    def current(self) -> Node | None:
        """The node the cursor is on."""
        return self._shown[self.cursor - 1] if 0 < self.cursor <= len(self._shown) else None

    def count(self) -> int:
        return len(self._shown) + 1

    def line(self, index: int) -> Line:
        if index == 0:
            return heading(self.cells)
        whole = self._shown[0].total_nanousd
        return tree_line(self._shown[index - 1], self.cells, self.glyphs, whole_nanousd=whole, now=self._now())

    def move_to(self, index: int) -> None:
        super().move_to(max(index, 1))

    def value_here(self) -> str:
        return node.name if (node := self.current) is not None else ""

    def item_here(self) -> Any:
        node = self.current
        items = [*(row.item for row in self._runs), *self._calls]
        return next((item for item in items if node is not None and item.get("id") == node.id), None)

    def everything(self) -> Any:
        return {"runs": [dict(row.item) for row in self._runs], "toolcalls": [dict(call) for call in self._calls]}

    def action_unfold(self) -> None:
        """Fold the branch, or unfold it."""
        node = self.current
        if node is not None and node.kind == "run" and node.children:
            self._folded ^= {node.id}
            self._again()

    def action_unfold_all(self) -> None:
        """With tool calls, or without them."""
        self._with_calls = not self._with_calls
        self._again()

    def _again(self) -> None:
        current = self.current
        self._shown = tree(self._runs, self._calls, root=self._root, folded=self._folded, with_calls=self._with_calls)
        self.changed()
        at = next((place for place, node in enumerate(self._shown, 1) if current is not None and node.id == current.id), 1)
        self.move_to(at)
