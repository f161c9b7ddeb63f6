"""`make audit`: asks the OSV database whether anything is known against what `requirements.lock` pins.

Ends with 0 where nothing is known, 1 where something is, and 2 where nobody could be asked.
"""

import re
import sys
from pathlib import Path

import httpx

DATABASE = "https://api.osv.dev"
LOCK = Path(__file__).parents[1] / "requirements.lock"


def pinned(lock: str) -> list[tuple[str, str]]:
    return re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock, re.MULTILINE)


def audit(database: str, packages: list[tuple[str, str]]) -> int:
    asked = [{"package": {"ecosystem": "PyPI", "name": name}, "version": version} for name, version in packages]
    try:
        answer = httpx.post(f"{database}/v1/querybatch", json={"queries": asked}, timeout=30).raise_for_status()
        results = answer.json()["results"]
        known = [
            f"{name} {version}: {', '.join(each['id'] for each in result['vulns'])}"
            for (name, version), result in zip(packages, results, strict=True)
            if result.get("vulns")
        ]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        print(f"Not audited: {database} could not be asked ({type(error).__name__}).", file=sys.stderr)
        return 2
    print("\n".join(known) or f"Nothing is known against the {len(packages)} packages of {LOCK.name}.")
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(audit(DATABASE, pinned(LOCK.read_text(encoding="utf-8"))))
