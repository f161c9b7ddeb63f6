"""`make audit` says what is known against what is pinned, and says so where it could not ask."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tools.audit import LOCK, audit, pinned


@contextmanager
def database(answer: object) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/querybatch"
            assert asked["queries"][0] == {"package": {"ecosystem": "PyPI", "name": "a"}, "version": "1"}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ({"results": [{}, {}]}, 0, "Nothing is known against the 2"),
        ({"results": [{}, {"vulns": [{"id": "PYSEC-1"}, {"id": "GHSA-x"}]}]}, 1, "b 2.0: PYSEC-1, GHSA-x"),
        ({"results": [{}]}, 2, "Not audited"),
        ([], 2, "Not audited"),
    ],
)
def test_what_is_known_is_told(answer: object, status: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with database(answer) as url:
        assert audit(url, [("a", "1"), ("b", "2.0")]) == status
    out, err = capsys.readouterr()
    assert said in out + err


def test_without_a_network_it_says_that_nothing_was_audited(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit("http://127.0.0.1:9", [("a", "1")]) == 2
    assert "could not be asked" in capsys.readouterr().err


def test_every_package_of_the_lock_is_asked_for() -> None:
    lock = LOCK.read_text(encoding="utf-8")
    assert len(pinned(lock)) == sum(line.endswith("\\") and "==" in line for line in lock.splitlines())
