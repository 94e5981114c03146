"""The words of a condition: numbers with their unit, point names, operators."""

import re
from dataclasses import dataclass
from typing import Literal

from gateway.core.errors import GatewayError

KEYWORDS = frozenset({"and", "or", "not", "between", "true", "false", "on", "off"})
FUNCTIONS = frozenset({"abs", "min", "max"})
LENGTH_MAX = 2000

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<name>(?:gateway/)?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
    r"|(?P<operator><=|>=|==|!=|[<>+\-*/(),])",
    re.ASCII,
)
_UNIT = re.compile(r"\s*([A-Za-z%°℃℉µ\[{][^\s()+\-*/<>=!,&|]*)")
_MISTAKE = re.compile(r"&&?|\|\|?|<>|=>|=<|\*\*|//|!(?!=)|=(?!=)|≥|≤|≠|×|÷|−|'|\"|\.\d|\^")
_CURE = {
    "&&": "write 'and'",
    "&": "write 'and'",
    "||": "write 'or'",
    "|": "write 'or'",
    "!": "write 'not'",
    "=": "write '=='",
    "<>": "write '!='",
    "≠": "write '!='",
    "=>": "write '>='",
    "≥": "write '>='",
    "=<": "write '<='",
    "≤": "write '<='",
    "×": "write '*'",
    "÷": "write '/'",
    "−": "write '-'",
    "**": "powers are not part of the language: multiply",
    "^": "powers are not part of the language: multiply",
    "//": "write '/'",
    "'": "names and units are written without quotes",
    '"': "names and units are written without quotes",
}


class ExpressionError(GatewayError, ValueError):
    """A condition that cannot be compiled: what is wrong and what to write, and the column (from 1) it is at."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"column {column}: {message}")
        self.message = message
        self.column = column


@dataclass(frozen=True, slots=True)
class Token:
    """One word. column: from 1. value and unit (as written, "" when none) belong to numbers."""

    kind: Literal["number", "name", "keyword", "operator", "end"]
    text: str
    column: int
    value: float = 0.0
    unit: str = ""
    unit_column: int = 0

    @property
    def end(self) -> int:
        """The index in the text behind the word."""
        return self.column - 1 + len(self.text)


def tokenize(text: str) -> list[Token]:
    """The words of `text`, closed by an `end` token. Raises ExpressionError."""
    if len(text) > LENGTH_MAX:
        raise ExpressionError(f"{len(text)} characters are too many (limit {LENGTH_MAX}): split the condition", 1)
    tokens: list[Token] = []
    index = 0
    while index < len(text):
        match = _next(text, index)
        index = match.end()
        if match.lastgroup == "space":
            continue
        token = _token(match, text)
        tokens.append(token)
        if token.unit:
            index = token.unit_column - 1 + len(token.unit)
    tokens.append(Token("end", "", len(text) + 1))
    return tokens


def _next(text: str, index: int) -> re.Match[str]:
    mistake = _MISTAKE.match(text, index)
    if mistake is not None:
        wrong = mistake[0]
        cure = _CURE.get(wrong, f"write '0{wrong}'")
        raise ExpressionError(f"'{wrong}' is not part of the language: {cure}", index + 1)
    match = _TOKEN.match(text, index)
    if match is None:
        raise ExpressionError(f"unexpected character {text[index]!r}", index + 1)
    return match


def _token(match: re.Match[str], text: str) -> Token:
    word, column = match[0], match.start() + 1
    if match.lastgroup == "number":
        return _number(match, text)
    if match.lastgroup == "operator":
        return Token("operator", word, column)
    if word in KEYWORDS:
        return Token("keyword", word, column)
    if word.lower() in KEYWORDS:
        raise ExpressionError(f"'{word}': write '{word.lower()}' in lower case", column)
    return Token("name", word, column)


def _number(match: re.Match[str], text: str) -> Token:
    column, end = match.start() + 1, match.end()
    value = float(match[0])
    if value == float("inf"):
        raise ExpressionError(f"{match[0]} is too large", column)
    if text[end : end + 1] == ".":
        raise ExpressionError(f"'{match[0]}.' is not a number: write '{match[0]}' or '{match[0]}.0'", column)
    unit = _UNIT.match(text, end)
    if unit is None or unit[1].lower() in KEYWORDS:
        return Token("number", match[0], column, value)
    return Token("number", match[0], column, value, unit[1], unit.start(1) + 1)
