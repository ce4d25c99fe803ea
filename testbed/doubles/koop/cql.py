"""The query language of KOOP's search: CQL 1.2 with the relations and boolean operators that KOOP accepts.

    query  := clause { (AND | OR | NOT) clause } [ sortBy key { key } ]      operators have equal precedence, from the left
    clause := "(" clause { … } ")" | index relation { "/" modifier } term
    key    := index [ "/" sort.ascending | "/" sort.descending ]

Source: OASIS searchRetrieve 1.0, part 5: CQL.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

Fields = Mapping[str, Sequence[str]]  # of one record: every value of every index
Condition = Callable[[Fields], bool]


class Searchable(Protocol):
    """A record that a query can select."""

    @property
    def fields(self) -> Fields:
        """The values of every index, by its name."""


Record = TypeVar("Record", bound=Searchable)

_TOKEN = re.compile(
    r'\s*(?:(?P<quoted>"(?:\\.|[^"\\])*")|(?P<mark>==|<>|<=|>=|[=<>()/])|(?P<word>[^\s()=<>"/]+))', re.S
)
_SYMBOLS = ("==", "<>", "<=", ">=", "=", "<", ">")
_ORDERS = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
_WORDS = ("any", "all", "adj")
_OPERATORS = ("and", "or", "not")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class QueryError(Exception):
    """A refused query: the number of the diagnostic in info:srw/diagnostic/1/, and its message."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number, self.message = number, message


@dataclass(frozen=True)
class Index:
    """A name that a query may search: texts are searched by words, dates and numbers are compared as a whole."""

    name: str
    kind: str = "text"  # "text", "date" or "number"

    def comparable(self, value: str) -> Any:
        """The value in a form that sorts: a number for numbers, the text itself for dates and texts."""
        return int(value) if self.kind == "number" else value


@dataclass(frozen=True)
class Token:
    """A token of a query; a quoted one is always a value."""

    text: str
    quoted: bool = False

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these keywords, in upper or lower case."""
        return not self.quoted and self.text.lower() in words


@dataclass(frozen=True)
class Query:
    """The condition that records must meet, and the keys to sort them by: (index, descending), the first one first."""

    matches: Condition
    keys: tuple[tuple[Index, bool], ...]

    def select(self, records: Iterable[Record]) -> list[Record]:
        """The records that meet the condition, sorted."""
        found = [record for record in records if self.matches(record.fields)]
        for index, descending in reversed(self.keys):
            found.sort(key=partial(_sort_key, index), reverse=descending)
        return found


def parse(text: str, indexes: Mapping[str, Index]) -> Query:
    """Parse a query over these indexes.

    Raises:
        QueryError: it is not valid CQL, or uses an unknown index or relation.
    """
    parser = _Parser(list(_tokens(text)), indexes)
    condition = parser.conditions()
    keys = parser.keys()
    if parser.peek() is not None:
        raise QueryError(10, f"Query syntax error: unexpected {parser.take().text!r}")
    return Query(condition, keys)


def _tokens(text: str) -> Sequence[Token]:
    tokens, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise QueryError(10, f"Query syntax error at position {position + 1}")
        position = match.end()
        quoted = match["quoted"]
        if quoted is not None:
            tokens.append(Token(re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.S), True))
        else:
            tokens.append(Token(match["mark"] or match["word"]))
    return tokens


class _Parser:
    """A recursive descent parser with one method for each rule of the grammar."""

    def __init__(self, tokens: list[Token], indexes: Mapping[str, Index]) -> None:
        self._tokens, self._indexes, self._at = tokens, indexes, 0

    def peek(self) -> Token | None:
        """The next token, or None at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def take(self) -> Token:
        """Consume the next token; QueryError at the end of the query."""
        token = self.peek()
        if token is None:
            raise QueryError(10, "Query syntax error: unexpected end of the query")
        self._at += 1
        return token

    def accept(self, *words: str) -> str | None:
        """Consume the next token if it is one of these words; returns it in lower case, else None."""
        token = self.peek()
        return self.take().text.lower() if token is not None and token.is_word(*words) else None

    def conditions(self) -> Condition:
        """Clauses between boolean operators."""
        condition = self.clause()
        while boolean := self.accept(*_OPERATORS):
            condition = _joined(boolean, condition, self.clause())
        return condition

    def clause(self) -> Condition:
        """A comparison, or conditions in parentheses."""
        if self.accept("("):
            condition = self.conditions()
            if not self.accept(")"):
                raise QueryError(10, "Query syntax error: a parenthesis is not closed")
            return condition
        index = self.index()
        relation = self.accept(*_SYMBOLS, *_WORDS)
        if relation is None:
            token = self.take()
            if token.quoted or token.is_word(*_OPERATORS, "(", ")", "/"):
                raise QueryError(10, f"Query syntax error: a relation is missing before {token.text!r}")
            raise QueryError(19, f"Unsupported relation: {token.text}")
        if self.accept("/"):
            raise QueryError(20, f"Unsupported relation modifier: {self.take().text}")
        return _comparison(index, relation, self.value())

    def index(self) -> Index:
        """The name of an index, in upper or lower case."""
        token = self.take()
        if token.quoted or token.is_word(*_OPERATORS, *_SYMBOLS, "(", ")", "/"):
            raise QueryError(10, f"Query syntax error: an index is missing before {token.text!r}")
        try:
            return self._indexes[token.text.lower()]
        except KeyError:
            raise QueryError(16, f"Unsupported index: {token.text}") from None

    def value(self) -> str:
        """The value to compare with, which is quoted unless it is a single plain word."""
        token = self.take()
        if token.is_word(*_OPERATORS, *_SYMBOLS, "(", ")", "/"):
            raise QueryError(10, f"Query syntax error: a value is missing before {token.text!r}")
        return token.text

    def keys(self) -> tuple[tuple[Index, bool], ...]:
        """The keys to sort by, with their modifiers."""
        if not self.accept("sortby"):
            return ()
        keys: list[tuple[Index, bool]] = []
        while self.peek() is not None or not keys:
            index = self.index()
            order = "sort.ascending"
            if self.accept("/"):
                order = self.take().text.lower()
            if order not in ("sort.ascending", "sort.descending"):
                raise QueryError(20, f"Unsupported modifier: {order}")
            keys.append((index, order == "sort.descending"))
        return tuple(keys)


def _joined(boolean: str, left: Condition, right: Condition) -> Condition:
    if boolean == "and":
        return lambda record: left(record) and right(record)
    if boolean == "or":
        return lambda record: left(record) or right(record)
    return lambda record: left(record) and not right(record)


def _comparison(index: Index, relation: str, value: str) -> Condition:
    if index.kind == "date" and not _DATE.fullmatch(value):
        raise QueryError(36, f"Term in invalid format for index or relation: {index.name} {value}")
    if index.kind == "number" and not value.isdecimal():
        raise QueryError(36, f"Term in invalid format for index or relation: {index.name} {value}")
    if relation in _ORDERS:
        return _ordered(index, relation, value)
    if relation == "<>":
        return lambda record: value not in record.get(index.name, ())
    if relation == "==" or index.kind != "text":
        return lambda record: value in record.get(index.name, ())
    return _worded(index, relation, value)


def _ordered(index: Index, relation: str, value: str) -> Condition:
    key, holds = index.comparable, _ORDERS[relation]
    return lambda record: any(holds(key(other), key(value)) for other in record.get(index.name, ()))


def _worded(index: Index, relation: str, value: str) -> Condition:
    """A text search for words in upper or lower case, in which * and ? stand for any letters and for one.

    `any` finds one of the words, `all` each of them, and the other relations the words in a row.
    """
    wanted = [_masked(word) for word in _words(value, "*?")]
    if not wanted:
        raise QueryError(27, f"Empty term unsupported: {index.name}")

    def holds(text: str) -> bool:
        words = _words(text)
        if relation in ("any", "all"):
            test = any if relation == "any" else all
            return test(any(pattern.fullmatch(word) for word in words) for pattern in wanted)
        windows = (words[at : at + len(wanted)] for at in range(len(words) - len(wanted) + 1))
        return any(all(p.fullmatch(word) for p, word in zip(wanted, window, strict=True)) for window in windows)

    return lambda record: any(holds(text) for text in record.get(index.name, ()))


def _words(text: str, also: str = "") -> list[str]:
    return re.findall(rf"[\w{re.escape(also)}]+", text.lower())


def _masked(word: str) -> re.Pattern[str]:
    return re.compile(re.escape(word).replace(r"\*", ".*").replace(r"\?", "."))


def _sort_key(index: Index, record: Searchable) -> tuple[Any, ...]:
    return tuple(map(index.comparable, record.fields.get(index.name, ())))
