"""The command's table: help without importing anything, one module imported when called, plain words when absent."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from latchwork.main import SUBCOMMANDS, Subcommand, main

TABLE = {
    "doors": Subcommand("subcommand_for_this_test", "how many doors"),
    "broken": Subcommand("subcommand_with_a_bug", "imports what does not exist"),
    "doors shut": Subcommand("subcommand_for_this_test", "how many are shut"),
    "interrupted": Subcommand("subcommand_stopped_while_it_loads", "takes long to import"),
    "absent": Subcommand("latchwork.no.such.module", "is not installed"),
}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "subcommand_for_this_test.py").write_text(
        "def configure(parser): parser.add_argument('--doors', type=int)\ndef run(args): return args.doors\n"
    )
    (tmp_path / "subcommand_with_a_bug.py").write_text("import no_such_library\n")
    (tmp_path / "subcommand_stopped_while_it_loads.py").write_text("raise KeyboardInterrupt\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_help_names_every_subcommand_and_imports_none() -> None:
    code = (
        "import sys; from latchwork.main import main\n"
        "try: main(['--help'])\n"
        "finally: print(*(name for name in sys.modules if name.startswith('latchwork.')))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *_, imported = result.stdout.splitlines()
    assert imported.split() == ["latchwork.main"]
    assert all(re.search(rf"^    {name}\s", result.stdout, re.MULTILINE) for name in SUBCOMMANDS)


def test_a_subcommand_gets_its_arguments_and_gives_the_exit_code() -> None:
    assert main(["doors", "--doors", "7"], TABLE) == 7
    assert main(["doors", "shut", "--doors", "8"], TABLE) == 8


def test_control_c_is_an_exit_code_also_while_it_loads() -> None:
    assert main(["interrupted"], TABLE) == 130


def test_without_a_subcommand_it_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], TABLE) == 2
    assert "COMMAND" in capsys.readouterr().out


def test_an_absent_subcommand_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["absent"], TABLE) == 1
    assert "module latchwork.no.such.module is missing" in capsys.readouterr().err


def test_a_bug_inside_a_subcommand_is_not_called_absence() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        main(["broken"], TABLE)


def test_a_simulation_of_nothing_does_not_say_that_everything_held(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--seeds", "0"], ["--seeds", "-1"], ["--days", "-3"], ["--days", "nan"]):
        assert main(["sim", *words]) == 2
        assert "from 1" in capsys.readouterr().err


def test_a_signer_without_a_terminal_says_what_it_lacks(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "latchwork.main", "sign", "--make", str(tmp_path / "guard.pem")]
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, start_new_session=True, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1 and "--passphrase-file" in result.stderr and "Traceback" not in result.stderr
