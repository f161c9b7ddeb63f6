"""The vectors file: frames of every protocol, what each means, and how far it is trusted."""

import json
from pathlib import Path

Vector = dict[str, str]
_ALL: list[Vector] = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))


def vectors_of(*protocols: str) -> list[Vector]:
    found = [vector for vector in _ALL if vector["protocol"] in protocols]
    assert all(vector["trust"] in {"high", "medium", "low"} for vector in found)
    return found


def meanings_of(*protocols: str) -> set[str]:
    """Of what is said, as against what is never sent."""
    meanings = {vector["meaning"] for vector in vectors_of(*protocols)}
    return {meaning for meaning in meanings if not meaning.startswith("never sent")}
