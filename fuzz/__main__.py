"""`make fuzz`: a coverage-guided fuzzer on every parser that reads from outside, each for some seconds, then the API.

An input that shows a fault is kept in `fuzz/corpus/NAME/`, and `make test` tries it again from then on. What merely led
to new code is kept in `var/fuzz/NAME/`, so that the next run goes on from there.
"""

import argparse
import asyncio
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

FOUND = Path(__file__).parents[1] / "var" / "fuzz"
INPUT_SECONDS_MAX = 10
"""An input that takes longer is a hang."""
INPUT_BYTES_MAX = 20_000


def main() -> int:
    parser = argparse.ArgumentParser("python -m fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="these targets only")
    parser.add_argument("--seconds", type=int, default=20, help="for each target (%(default)s)")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        return _fuzz(asked.names[0], asked.seconds)
    from fuzz import api
    from fuzz.targets import TARGETS

    known = [*TARGETS, "api"]
    unknown = set(asked.names) - set(known)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    names = asked.names or known
    faults = [name for name in names if name in TARGETS and not _run(name, asked.seconds)]
    wrong = asyncio.run(api.walk()) if "api" in names else 0
    if faults:
        print(f"Faults in {', '.join(faults)}: the inputs are in fuzz/corpus, `make test` tries them again.")
    return 1 if faults or wrong else 0


def _run(name: str, seconds: int) -> bool:
    """In a process of its own: a fuzzer ends by ending its process."""
    command = [sys.executable, "-m", "fuzz", "--child", name, "--seconds", str(seconds)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    said = done.stdout + done.stderr
    tried = re.findall(r"(?:Done (\d+) runs|stat::number_of_executed_units: (\d+))", said)
    covered = re.findall(r"cov: (\d+)", said)
    runs = next((a or b for a, b in tried), "?")
    print(f"{name:24} {runs:>9} inputs, {covered[-1] if covered else '?':>5} branches, {_verdict(done.returncode)}")
    if done.returncode:
        print(said[-4000:])
    return done.returncode == 0


def _verdict(code: int) -> str:
    return "no fault" if code == 0 else "A FAULT"


def _fuzz(name: str, seconds: int) -> int:
    import atheris

    with atheris.instrument_imports(include=["latchwork"]):
        from fuzz.targets import CORPUS, TARGETS
    target = TARGETS[name]
    found, kept = FOUND / name, CORPUS / name
    for folder in (found, kept):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (found / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    limits = [f"-max_total_time={seconds}", f"-timeout={INPUT_SECONDS_MAX}", f"-max_len={INPUT_BYTES_MAX}"]
    atheris.Setup(
        [sys.argv[0], *limits, "-print_final_stats=1", f"-artifact_prefix={kept}/", str(found), str(kept)],
        target.try_out,
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
