"""The page that checks receipts, from disk and without a network: it believes what `sync.receipts.verify` believes."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient
from playwright.async_api import Page, expect
from tests.server.test_pages import DESK, PHONE, browsing, looking, shot
from tests.sync import stories
from tests.sync.test_receipts import CHANGES

from latchwork.server.web.render import HERE
from latchwork.server.web.verify import hash_of, sentences, verify_page
from latchwork.sync import receipts
from latchwork.sync.codec import ENTRY_BYTES_MAX
from latchwork.sync.keys import sticker
from latchwork.ui.words import languages, words

FILE = HERE / "verify.html"
GOLDEN = Path(__file__).parents[1] / "golden" / "receipt_v1.json"
PATIENCE_MS = 30_000


def test_it_carries_the_words_and_the_policy_that_it_needs() -> None:
    text = FILE.read_text(encoding="utf-8")
    same = {
        "FORMAT": receipts.FORMAT,
        "WORDS": dict(receipts.WORDS),
        "NOTED": list(receipts._NOTED),
        "ENTRY_BYTES_MAX": ENTRY_BYTES_MAX,
    }
    for name, value in same.items():
        (written,) = re.findall(rf"^const {name} = (.*?);$", text, re.DOTALL | re.MULTILINE)
        assert json.loads(written) == value, name
    assert f'http-equiv="Content-Security-Policy" content="{policy_of(text)}"' in text
    assert "http:" not in text and "https:" not in text and " src=" not in text and " href=" not in text


def policy_of(text: str) -> str:
    script, style = hash_of("script", text), hash_of("style", text)
    return f"default-src 'none'; script-src {script}; style-src {style}; base-uri 'none'; form-action 'none'"


async def served() -> httpx.Response:
    async with AsyncTestClient(Litestar([verify_page])) as client:
        answer: httpx.Response = await client.get("/verify")
        return answer


async def test_it_is_served_under_its_own_policy() -> None:
    answer = await served()
    assert answer.headers["content-security-policy"] == f"{policy_of(answer.text)}; frame-ancestors 'none'"
    assert f'http-equiv="Content-Security-Policy" content="{policy_of(answer.text)}"' in answer.text
    said = sum(words(tag).sentence(each) in answer.text for tag in languages() for each in sentences())
    assert said == len(languages()) * len(list(sentences()))


async def test_a_saved_copy_speaks_german(chromium_path: str, tmp_path: Path) -> None:
    bank = await stories.wall()
    good = stories.receipt(bank, await stories.collected(bank))
    saved = tmp_path / "verify.html"
    saved.write_text((await served()).text, encoding="utf-8")
    async with browsing(chromium_path) as browser, looking(browser, PHONE, language="de-AT") as page:
        await page.context.set_offline(True)
        await page.goto(saved.as_uri())
        await expect(page).to_have_title("Quittung prüfen", timeout=PATIENCE_MS)
        await give(page, good)
        await page.locator("#key").fill(sticker(bank.id, bank.public))
        assert "hat das geschrieben und signiert" in await says(page, "Gut")
        await expect(page.locator("#story li").last).to_contain_text("Sie wurde aus Fach 01 abgeholt")
        await shot(page, "verify-good-de-390")
        await give(page, good.replace(b'"epoch":1,', b'"epoch":2,'), "bent.json")
        assert "ihr Prüfpunkt ist von einem anderen Protokoll" in await says(page, "Nicht zu glauben")
        said = await page.evaluate("(all) => all.map(([kind, body]) => words(kind, body))", WORDED)
        assert said == [receipts.words(kind, body) for kind, body in WORDED], "what is compared stays English"


async def give(page: Page, receipt: bytes, name: str = "receipt.json") -> None:
    await page.locator("#file").set_input_files({"name": name, "mimeType": "application/json", "buffer": receipt})


async def says(page: Page, heading: str) -> str:
    await expect(page.locator("#verdict h2")).to_have_text(heading, timeout=PATIENCE_MS)
    return await page.locator("#verdict p").inner_text()


KINDS = [*receipts.WORDS, "Turned2Times", "X", "constructor", "__proto__", "\u0417\u0430", "a b", "", "A" * 65]
BODIES: list[dict[str, Any]] = [
    *({}, {"compartment": "07"}, {"compartment": 7}, {"compartment": "{door} $& \\1"}),
    *({"presumed": True}, {"presumed": 1}, {"presumed": True, "why": "seen_empty", "compartment": "a"}),
    *({field: "too_big_by_far"} for field in receipts._NOTED),
    {**dict.fromkeys(receipts._NOTED, "not_this"), receipts._NOTED[0]: None, receipts._NOTED[1]: "this"},
]


async def test_a_recipient_checks_a_receipt(chromium_path: str) -> None:
    bank = await stories.wall()
    stay = await stories.collected(bank)
    good = stories.receipt(bank, stay)
    told = json.loads(good)
    told["logs"][0]["entries"][4]["words"] = "It was collected from door 01"
    async with browsing(chromium_path) as browser, looking(browser, PHONE) as page:
        await page.context.set_offline(True)
        await page.goto(FILE.as_uri())
        entries = [(kind, body) for kind in KINDS for body in BODIES]
        told_there = await page.evaluate("entries => entries.map(([kind, body]) => words(kind, body))", entries)
        assert told_there == [receipts.words(kind, body) for kind, body in entries]
        await give(page, good)
        assert "anybody's" in await says(page, "Consistent, bank key not checked")
        await shot(page, "verify-consistent-390")
        await page.locator("#key").fill(sticker(bank.id, bank.public))
        assert "The wall whose key you gave" in await says(page, "Good")
        assert await page.locator("#story li").count() == 12
        await expect(page.locator("#story li").last).to_contain_text("It was collected from door 01")
        await expect(page.locator("#proof")).to_contain_text("2026-03-01T09:00:00.000Z")
        await shot(page, "verify-good-390")
        await page.set_viewport_size(DESK)
        await shot(page, "verify-good-1280")
        await give(page, json.dumps(told).encode(), "bent.json")
        assert "what is said of it is not what its bytes say" in await says(page, "Not to be believed")
        assert not await page.locator("#story").is_visible()
        await shot(page, "verify-bent-1280")
        await give(page, good, "again.json")
        await says(page, "Good")
        await page.locator("#key").fill("00" * 32)
        assert "not the one that you gave" in await says(page, "Not to be believed")
        await page.locator("#key").fill("door 7")
        assert "64 hex digits" in await says(page, "Not checked")
        await page.locator("#key").fill(sticker(bank.id, bank.public).replace("key ", "key 0")[:-1] + "0")
        await says(page, "Not checked")
        await page.locator("#key").fill(bank.public.hex().upper())
        await says(page, "Good")
        await give(page, GOLDEN.read_bytes(), "golden.json")
        await says(page, "Good")
    async with browsing(chromium_path) as browser, looking(browser, PHONE, dark=True) as page:
        await page.goto(FILE.as_uri())
        await give(page, good)
        await says(page, "Consistent, bank key not checked")
        await shot(page, "verify-consistent-dark-390")


IN_PAGE = """async ([receipts, key]) => {
    const raw = (text) => Uint8Array.from(atob(text), (x) => x.charCodeAt(0));
    const verdicts = [];
    for (const receipt of receipts) {
        try {
            await verify(raw(receipt), key === null ? [] : [raw(key)]);
            verdicts.push("good");
        } catch (error) {
            verdicts.push(error instanceof Bad ? "bad" : String(error));
        }
    }
    return verdicts;
}"""


async def judged(page: Page, given: list[bytes], key: bytes | None) -> list[str]:
    """What the page's own function says of each."""
    encoded = [base64.b64encode(receipt).decode() for receipt in given]
    found: list[str] = await page.evaluate(IN_PAGE, [encoded, base64.b64encode(key).decode() if key else None])
    return found


async def test_it_rejects_every_byte_that_was_changed(chromium_path: str) -> None:
    bank = await stories.wall()
    stay = await bank.deposit()
    log = stories.proven(bank, stay)
    chosen = [log.entries[0], log.entries[-1]]
    raw = receipts.build({stay}, [receipts.Proven(log.bank, 1, log.key, log.note, log.witness, chosen)])
    bent = [raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :] for i in range(len(raw))]
    cut = [raw[:i] + raw[i + 1 :] for i in range(0, len(raw), 10)]
    async with browsing(chromium_path) as browser, looking(browser, DESK) as page:
        await page.goto(FILE.as_uri())
        assert await judged(page, [raw], bank.public) == ["good"]
        assert set(await judged(page, [*bent, *cut], None)) == {"bad"}


async def test_it_rejects_what_the_other_verifier_rejects(chromium_path: str) -> None:
    bank = await stories.wall()
    good = stories.receipt(bank, await stories.collected(bank))
    written = [
        json.dumps(json.loads(good), indent=2).encode(),
        json.dumps(json.loads(good), ensure_ascii=False).encode(),
    ]
    written.append(stories.receipt(bank, json.loads(good)["stays"][0], witness=None))
    changed = [good.replace(b'"epoch":1,', b'"epoch":2,"epoch":1,'), b"\xff" + good, b"", b"[]", b"null"]
    changed += [re.sub(rb'("index":\d+)', rb"\1" + more, good, count=1) for more in (b".0", b"e0", b"E+0")]
    changed.append(re.sub(rb'("checkpoint":")', rb"\1\\ud800", good, count=1))
    for change, _ in CHANGES:
        told: Any = json.loads(good)
        change(told)
        changed.append(json.dumps(told).encode())
    for raw in changed:
        with pytest.raises(receipts.BadReceipt):
            receipts.verify(raw, [bank.public])
    async with browsing(chromium_path) as browser, looking(browser, DESK) as page:
        await page.goto(FILE.as_uri())
        assert set(await judged(page, [good, *written], bank.public)) == {"good"}
        assert await judged(page, changed, bank.public) == ["bad"] * len(changed)


WORDED: list[tuple[str, dict[str, Any]]] = [
    *((kind, {"compartment": "07", "why": "too_small"}) for kind in receipts.WORDS),
    ("Stored", {"compartment": "$&", "presumed": True, "purpose": "a_b_c", "why": None}),
    ("Stored", {"compartment": 7, "presumed": 1, "reason": ["x"]}),
    ("HandedOverAgain2", {"compartment": "07"}),
    ("x", {}),
    ("<b>", {"compartment": "07"}),
    ("constructor", {}),
    ("", {"refusal": "x", "why": "y"}),
]


async def test_it_uses_the_same_words(chromium_path: str) -> None:
    async with browsing(chromium_path) as browser, looking(browser, DESK) as page:
        await page.goto(FILE.as_uri())
        said = await page.evaluate("(all) => all.map(([kind, body]) => words(kind, body))", WORDED)
    assert said == [receipts.words(kind, body) for kind, body in WORDED]
