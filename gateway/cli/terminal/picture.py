"""The terminal view drawn from plain data: what was answered in, rich renderables out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.app.supervisor import ProcessStatus
from gateway.cli.terminal.messages import Words
from gateway.cli.terminal.words import age_s, duration, point_value, shown

Row = dict[str, Any]
_QUALITY = {"Good": "", "Uncertain": "yellow", "Bad": "red"}
_PRIORITY = {"urgent": "bold white on red", "high": "bold red", "medium": "yellow", "low": ""}
_POINT_COLUMNS: tuple[tuple[str, Literal["left", "right"]], ...] = (
    ("point", "left"),
    ("value", "right"),
    ("quality", "left"),
    ("age", "right"),
)
_FRAME = 4  # lines that the header, the hint and a panel's border take
_RIGHT_WIDTH = 72
_POINTS_AT_LEAST = 8


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything the view shows at one moment; None where nobody answered. now_s: time.monotonic()."""

    now: datetime
    now_s: float
    words: Words
    hello: Row | None = None
    points: Sequence[Row] | None = None
    outputs: Sequence[Row] | None = None
    alarms: Sequence[Row] | None = None
    outbox: Row | None = None
    processes: Sequence[ProcessStatus] = field(default=())

    def draw(self, width: int, height: int) -> RenderableType:
        """For a terminal of this size; what does not fit is counted, not scrolled."""
        lines = max(height - _FRAME, 3)
        if width < _RIGHT_WIDTH + 50:
            return self._narrow(lines)
        right = Group(*_present(self._alarms_panel(), self._outputs_panel(), *self._others()))
        body = Table.grid(expand=True)
        body.add_column(ratio=1)
        body.add_column(width=_RIGHT_WIDTH)
        body.add_row(self._points_panel(lines), right)
        return Group(self._head(), body)

    def _narrow(self, lines: int) -> Group:
        """One column; what the terminal cuts off at the bottom is what matters least."""
        active = [row for row in self.alarms or () if row["state"] != "NORM"]
        first = len(self.outputs or ()) + max(len(active), 1) + 6
        others = len((self.outbox or {}).get("classes", {})) + len(self.processes) + 6
        left = lines - first - others
        points = self._points_panel(left if left > _POINTS_AT_LEAST else max(lines - first, 3))
        return Group(self._head(), *_present(self._alarms_panel(), self._outputs_panel(), points, *self._others()))

    def _head(self) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(" Kitchen Gateway ", "bold reverse")
        if self.hello is None:
            text.append(f"  {self.words('waiting')}", "yellow")
        else:
            text.append(f" {self.hello.get('version', '')} ")
            if self.hello.get("sim"):
                text.append(f" {self.words('simulated')} ", "black on yellow")
        text.append(f"  {self.now.astimezone():%H:%M:%S}  {self.words('stop hint')}")
        if self.hello is not None:
            text.append(f"  run {str(self.hello.get('run', ''))[:8]}", "dim")
            text.append(f"  configuration {str(self.hello.get('configuration', ''))[:12]}", "dim")
        return text

    def _points_panel(self, lines: int) -> Panel:
        title = self.words("point")
        if self.points is None:
            return Panel(Text(f"control {self.words('nothing answers')}", "red"), title=title, title_align="left")
        table = Table(box=None, expand=True, padding=(0, 1), pad_edge=False)
        for head, justify in _POINT_COLUMNS:
            table.add_column(self.words(head), justify=justify, no_wrap=True)
        rows = sorted(self.points, key=lambda row: row["point"].startswith("gateway/"))
        fitting = len(rows) if len(rows) <= lines - 1 else max(lines - 2, 0)
        for row in rows[:fitting]:
            table.add_row(*self._point(row))
        parts: list[RenderableType] = [table]
        if fitting < len(rows):
            parts.append(Text(f"+ {len(rows) - fitting}", "dim"))
        return Panel(Group(*parts), title=title, title_align="left")

    def _point(self, row: Row) -> tuple[Text, ...]:
        style = _QUALITY.get(row["quality"], "")
        quality = self.words(row["quality"]) if row["reason"] == "Good" else row["reason"]
        dim = "dim" if row["point"].startswith("gateway/") else ""
        return (
            Text(row["point"], dim),
            Text(point_value(row, self.words), style or "bold"),
            Text(quality, style or "green"),
            Text(duration(age_s(row["time"], self.now)), "dim"),
        )

    def _others(self) -> tuple[Panel | None, Panel | None]:
        return self._outbox_panel(), self._processes_panel()

    def _outputs_panel(self) -> Panel | None:
        if self.outputs is None:
            return None
        table = _table(self.words(head) for head in ("output", "value", "held by", "reason"))
        for row in self.outputs:
            slot = f"{row['slot']} {row['slot_name']}" if row["slot"] else str(row["slot_name"])
            value = Text(shown(row["value"], "", self.words), "bold green" if row["value"] else "")
            if row["driven"] is not None and row["driven"] != row["value"]:
                value.append(" !", "bold red")  # the line does not have the level that was decided
            table.add_row(row["output"], value, slot, Text(row["reason"], "dim"))
        return Panel(table, title=self.words("output"), title_align="left")

    def _alarms_panel(self) -> Panel | None:
        if self.alarms is None:
            return None
        active = [row for row in self.alarms if row["state"] != "NORM"]
        if not active:
            return Panel(Text(self.words("no alarms"), "green"), title=self.words("alarm"), title_align="left")
        table = _table(self.words(head) for head in ("alarm", "state", "since", "text"))
        for row in active:
            style = _PRIORITY.get(row["priority"], "") if row["active"] else "dim"
            since = duration(age_s(row["since"], self.now))
            table.add_row(Text(row["alarm"], style), self.words(row["state"]), since, row["text"])
        return Panel(table, title=self.words("alarm"), title_align="left")

    def _outbox_panel(self) -> Panel | None:
        if self.outbox is None:
            return None
        heads = ("captured", "delivered", "pending", "dropped")
        table = _table((self.words("class"), *heads))
        for name, counts in self.outbox.get("classes", {}).items():
            lost = Text(str(counts.get("dropped", 0)), "red" if counts.get("dropped") else "dim")
            table.add_row(name, *(str(counts.get(head, 0)) for head in heads[:-1]), lost)
        connected = (self.outbox.get("uplink") or {}).get("connected")
        told = self.words("broker connected" if connected else "broker away")
        return Panel(table, title=f"outbox: {told}", title_align="left")

    def _processes_panel(self) -> Panel | None:
        if not self.processes:
            return None
        table = _table((self.words("process"), "pid", self.words("restarts"), self.words("since")))
        for process in self.processes:
            alive = Text(str(process.pid), "") if process.pid else Text(self.words("stopped"), "bold red")
            since = duration(self.now_s - process.since_s) if process.pid else ""
            table.add_row(process.name, alive, str(max(process.restarts, 0)), since)
        return Panel(table, title=self.words("process"), title_align="left")


def _present(*panels: Panel | None) -> list[Panel]:
    return [panel for panel in panels if panel is not None]


def _table(heads: Iterable[str]) -> Table:
    """A table whose last column takes what room is left; the others are never cut before it."""
    table = Table(box=None, expand=True, padding=(0, 1), pad_edge=False)
    names = list(heads)
    for head in names:
        table.add_column(head, no_wrap=True, overflow="ellipsis", ratio=1 if head == names[-1] else None)
    return table
