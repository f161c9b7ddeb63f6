"""An immutable mapping that is cheap to change, however many rows it has.

A frozen bank with 5,000 waiting parcels must not copy 5,000 rows to change one. The rows lie in 256 drawers by the
end of their key (ids and lookups end in random hex); a change copies one drawer. Not for general use: it keeps no
order of insertion, so whatever needs an order sorts.
"""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=str)
V = TypeVar("V")

_DRAWERS = 256


def _drawer(key: str) -> int:
    return (ord(key[-1]) + 16 * ord(key[-2]) if len(key) > 1 else ord(key) if key else 0) % _DRAWERS


class Table(Mapping[K, V], Generic[K, V]):
    __slots__ = ("_drawers", "_len")

    def __init__(self, rows: Mapping[K, V] | None = None) -> None:
        drawers: list[dict[K, V]] = [{} for _ in range(_DRAWERS)]
        for key, value in (rows or {}).items():
            drawers[_drawer(key)][key] = value
        self._drawers = tuple(drawers)
        self._len = len(rows or {})

    def _changed(self, index: int, drawer: dict[K, V]) -> "Table[K, V]":
        new = object.__new__(type(self))
        new._drawers = (*self._drawers[:index], drawer, *self._drawers[index + 1 :])
        new._len = self._len + len(drawer) - len(self._drawers[index])
        return new

    def put(self, key: K, value: V) -> "Table[K, V]":
        index = _drawer(key)
        return self._changed(index, {**self._drawers[index], key: value})

    def drop(self, key: K | None) -> "Table[K, V]":
        """Without `key`; unchanged where it is not there."""
        if key is None or key not in self:
            return self
        index = _drawer(key)
        return self._changed(index, {k: v for k, v in self._drawers[index].items() if k != key})

    def get(self, key: K | None) -> V | None:  # type: ignore[override]  # knows None as `drop` does, and no default
        return None if key is None else self._drawers[_drawer(key)].get(key)

    def __getitem__(self, key: K) -> V:
        return self._drawers[_drawer(key)][key]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key in self._drawers[_drawer(key)]

    def __iter__(self) -> Iterator[K]:
        for drawer in self._drawers:
            yield from drawer

    def __len__(self) -> int:
        return self._len

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self._drawers == other._drawers

    __hash__ = None  # type: ignore[assignment]  # as for dict: equal by content, not a key
