"""`latchwork demo --script`: plays the story without hands, through real processes, and says what was seen.

The story is in `story.py`; here are the stage for it, the table, and what is left behind.
"""

import argparse
import asyncio
import importlib.util
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from latchwork.simulator.clients import Hands, Mailbox, Refused, Unseen
from latchwork.simulator.news import News
from latchwork.simulator.processes import Failed
from latchwork.simulator.stage import WALLS, CannotRun, Ports, Stage
from latchwork.simulator.story import PARCELS, STORY, Step, Story

STORY_S = 240.0
"""Far more than it takes: whatever hangs, the demo ends."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--script", action="store_true", help="play it without hands, and end")
    parser.add_argument("--data", type=Path, help="where everything is kept (a temporary folder)")
    parser.add_argument("--out", type=Path, default=Path("var/demo"), help="where the timelines are left (var/demo)")
    parser.add_argument("--verbose", action="store_true", help="tell all that happens as `latchwork run` does")


def run(args: argparse.Namespace) -> int:
    if not args.script:
        print("`latchwork run` starts the demo to touch; `latchwork demo --script` plays it by itself.")
        return 2
    if importlib.util.find_spec("zxingcpp") is None or importlib.util.find_spec("PIL") is None:
        print("latchwork demo: it reads QR codes as a camera does, and needs the packages zxing-cpp and pillow.")
        return 1
    data = args.data or Path(tempfile.mkdtemp(prefix="latchwork-demo-"))
    keep = args.data is not None
    try:
        if args.data is None:
            data.chmod(0o711)  # as root, PostgreSQL's own uid has to pass through
        elif (data / "stage.json").exists():
            raise CannotRun(f"In {data} parcels are on their way already. The story wants a new folder.")
        good = asyncio.run(_play(data, args.out, verbose=args.verbose))
        keep = keep or not good
        return 0 if good else 1
    except (CannotRun, Failed, Refused) as error:
        print(f"latchwork demo: {error}", file=sys.stderr)
        keep = keep or isinstance(error, Failed)  # its log is worth a look
        return 1
    except asyncio.CancelledError:
        return 143
    finally:
        if not keep:
            shutil.rmtree(data, ignore_errors=True)


async def _play(data: Path, out: Path, *, verbose: bool) -> bool:
    work = asyncio.current_task()
    assert work is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    news, began = News(sys.stdout), time.monotonic()
    async with Stage(data, Ports.free(), news.say, parcels=False) as stage:
        hands = {wall.key: Hands(stage.ports.url(f"{wall.key}-board")) for wall in WALLS}
        story = Story(stage, Mailbox(stage.ports.url("mail")), hands)
        print(f"Everything runs after {time.monotonic() - began:.1f} s, in {stage.data}.\n", flush=True)
        watching = asyncio.create_task(news.watch(stage)) if verbose else None
        try:
            good = await _tell(story)
            await _leave(story, out, good=good)
            if not good:
                for child in stage.children.values():
                    print(f"\n{child.part.name}. {child.tail()}")
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            await asyncio.gather(story.mailbox.close(), *(each.close() for each in hands.values()))
    took = time.monotonic() - began
    if good:
        print(f"\nEvery step was seen, in {took:.0f} s. The parcels' timelines are in {out}, and a receipt:")
        print(f"  latchwork verify {out / 'receipt.json'} --key {out / 'sticker.txt'}")
    else:
        print(f"\nNOT everything was seen. The data and logs are still in {data}.")
    return good


async def _tell(story: Story) -> bool:
    until = time.monotonic() + STORY_S
    for what, tell in STORY:
        began, good = time.monotonic(), True
        try:
            async with asyncio.timeout(until - began):
                found = await tell(story)
        except (Unseen, Refused, httpx.HTTPError) as error:
            found, good = str(error) or type(error).__name__, False
        except TimeoutError:
            found, good = f"the story was to end within {STORY_S:.0f} s", False
        story.steps.append(Step(what, found, time.monotonic() - began, good))
        print(f"  {'seen' if good else 'NOT '}  {time.monotonic() - began:5.1f} s  {what:<30}  {found}", flush=True)
        if not good:
            return False
    return True


async def _leave(story: Story, out: Path, *, good: bool) -> None:
    files: dict[str, Any] = {}
    for number, parcel in PARCELS.items() if good else ():
        about = {"recipient": parcel.recipient, "bank": parcel.wall.name, "service": parcel.service}
        files[parcel.tracking] = {**about, "stay": story.stays[number], "timeline": await story.timeline(number)}
    files["steps"] = [
        {"step": step.what, "seen": step.seen, "seconds": round(step.seconds, 1), "good": step.good}
        for step in story.steps
    ]
    _write(out, files)
    if good:
        (out / "receipt.json").write_bytes(story.receipt)  # as it came: every byte of it counts
        (out / "sticker.txt").write_text(f"{story.sticker}\n", encoding="utf-8")


def _write(out: Path, files: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("*.json"), *out.glob("sticker.txt")):
        old.unlink()
    for name, content in files.items():
        (out / f"{name}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
