"""A scanner that plays a keyboard: key codes to text, as a keyboard with US layout means them.

Codes: linux/input-event-codes.h.
"""

from dataclasses import dataclass

KEY_ENTER, KEY_KPENTER = 28, 96
KEY_LEFTSHIFT, KEY_RIGHTSHIFT, KEY_LEFTCTRL, KEY_RIGHTCTRL = 42, 54, 29, 97
KEY_F8 = 66  # Honeywell's way to type FNC1
GS = "\x1d"
LONGEST = 500

_ROWS = {
    2: ("1234567890-=", "!@#$%^&*()_+"),
    16: ("qwertyuiop[]", "QWERTYUIOP{}"),
    30: ("asdfghjkl;'`", 'ASDFGHJKL:"~'),
    43: ("\\zxcvbnm,./", "|ZXCVBNM<>?"),
    57: (" ", " "),
}
_PLAIN, _SHIFTED = (
    {first + place: character for first, row in _ROWS.items() for place, character in enumerate(row[which])}
    for which in (0, 1)
)
_PAD = dict(zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82), "7894561230", strict=True))
_CONTROL = {27: GS}  # Ctrl and ], which is ASCII 29


@dataclass(frozen=True, slots=True)
class Line:
    """What was typed up to Enter. fault: why it must not be believed, empty when it may."""

    text: str
    fault: str = ""


class Typist:
    """Takes key events one by one and gives a line at each Enter."""

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._typed: list[str] = []
        self._fault = ""

    @property
    def is_typing(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._typed or self._fault)

    def key(self, code: int, pressed: bool) -> Line | None:
        """One key event; the line that it ends, None while it ends none (an empty line is none)."""
        if code in (KEY_LEFTSHIFT, KEY_RIGHTSHIFT, KEY_LEFTCTRL, KEY_RIGHTCTRL):
            (self._held.add if pressed else self._held.discard)(code)
        elif pressed and code in (KEY_ENTER, KEY_KPENTER):
            return self.end() if self.is_typing else None
        elif pressed:
            self._type(code)
        return None

    def end(self, fault: str = "") -> Line:
        """The line so far, and begin another."""
        line = Line("".join(self._typed), self._fault or fault)
        self._typed, self._fault = [], ""
        return line

    def _type(self, code: int) -> None:
        character = self._character(code)
        if character is None:
            self._fault = self._fault or f"key {code} is no character: set the scanner to a US keyboard, caps lock off"
        elif len(self._typed) >= LONGEST:
            self._fault = f"more than {LONGEST} characters without Enter: let the scanner send Enter behind each scan"
        else:
            self._typed.append(character)

    def _character(self, code: int) -> str | None:
        if self._held & {KEY_LEFTCTRL, KEY_RIGHTCTRL}:
            return _CONTROL.get(code)
        if code == KEY_F8:
            return GS
        if code in _PAD:
            return _PAD[code]
        return (_SHIFTED if self._held & {KEY_LEFTSHIFT, KEY_RIGHTSHIFT} else _PLAIN).get(code)
