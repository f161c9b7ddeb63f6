"""A list of breached passwords is searched where it lies, and a setting that names none is told at the start."""

from hashlib import sha1
from pathlib import Path

import pytest

from latchwork.server.actions import passwords
from latchwork.server.actions.breaches import stood_in
from latchwork.server.actions.office import Declined


@pytest.mark.parametrize("end", ["\n", ":17\r\n", ":3\n"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 200])
def test_each_that_is_in_it_is_found_and_no_other(tmp_path: Path, count: int, end: str) -> None:
    file = tmp_path / "list"
    known = [f"a password {n}" for n in range(count)]
    lines = sorted(sha1(each.encode(), usedforsecurity=False).hexdigest().upper() for each in known)
    file.write_bytes("".join(line + end for line in lines).encode())
    assert [each for each in known if not stood_in(file, each)] == []
    assert [n for n in range(500) if stood_in(file, f"another {n}")] == []


async def test_one_that_is_in_it_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "list"
    good = "nine yellow kettles hum"
    await passwords.check(None, good)
    file.write_text(sha1(good.encode(), usedforsecurity=False).hexdigest().upper() + ":1\n", encoding="ascii")
    with pytest.raises(Declined, match="stood in a breach"):
        await passwords.check(file, good)
    await passwords.check(file, "ten yellow kettles hum")
    file.unlink()
    with pytest.raises(Declined, match="No new password can be checked for the moment") as told:
        await passwords.check(file, "ten yellow kettles hum")
    assert told.value.status == 503
    assert "the list of breached passwords cannot be read" in caplog.text
