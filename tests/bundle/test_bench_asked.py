"""What cannot be measured, kept or compared is said before the hour, in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.benchmark.asked import CannotBegin, check_asked, mode_asked
from scripts.benchmark.bystanders import Used, used_so_far
from scripts.benchmark.kept import document
from scripts.benchmark.measures import Figure
from scripts.commands.bundle import ROOT
from tests.bundle.conftest import Deploy

FIGURE = Figure("small, 16 at once", "gateway", "CPU", "ms/call")
KEPT = json.dumps(document("rollups", {"cpu": "fast"}, {FIGURE: [1.0]}))

EMPTY_NGINX = """#!{python}
import http.server, re, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_): pass
listen = re.search(r"listen (\\S+):(\\d+);", open(sys.argv[sys.argv.index("-c") + 1]).read())
server = http.server.ThreadingHTTPServer((listen[1], int(listen[2])), Handler)
print("start worker process 1", flush=True)
server.serve_forever()
"""
"""Answers every call with 200 and nothing."""


def bench(*options: str | Path, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "scripts.commands.bench", *options],
        env={"PYTHONPATH": str(ROOT), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_ends_at_once_with_one_line_and_2(tmp_path: Path) -> None:
    done = bench("--quick", "--json", tmp_path / "none/x.json")

    assert done.returncode == 2
    assert done.stderr == f"--json: there is no folder {tmp_path}/none\n"
    assert done.stdout == ""


@pytest.mark.slow
def test_ends_with_one_line_when_answers_are_empty(deployed: Deploy, tmp_path: Path) -> None:
    deployed("proxy")  # skips where its requirements cannot be had
    nginx = tmp_path / "nginx"
    nginx.write_text(EMPTY_NGINX.format(python=sys.executable))
    nginx.chmod(0o755)

    done = bench("--quick", path=f"{tmp_path}:/usr/bin:/bin")

    assert done.returncode == 1
    assert done.stderr == "There are no figures: an answer has no ids of the provider: ''\n"


def test_measures_one_thing_at_a_time() -> None:
    with pytest.raises(CannotBegin, match="--rollups and --profile: measure one at a time"):
        mode_asked(rollups=True, brownout=False, profile=True)

    assert mode_asked(rollups=False, brownout=True, profile=False) == "brownout"
    assert mode_asked(rollups=False, brownout=False, profile=False) == "calls"


def test_asks_for_emulators_only_where_they_are_used_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("FIRESTORE", "PUBSUB", "BIGQUERY"):
        monkeypatch.delenv(f"{name}_EMULATOR_HOST", raising=False)
    asked = {"quick": True, "peers": False, "json_file": None, "compare": None}

    with pytest.raises(CannotBegin, match="--emulators goes with --rollups or --brownout"):
        check_asked("calls", emulators=True, **asked)  # type: ignore[arg-type] # as they are named
    with pytest.raises(CannotBegin, match="set FIRESTORE_EMULATOR_HOST, PUBSUB_EMULATOR_HOST, "):
        check_asked("rollups", emulators=True, **asked)  # type: ignore[arg-type] # as above
    with pytest.raises(CannotBegin, match="set FIRESTORE_EMULATOR_HOST to HOST:PORT"):
        check_asked("brownout", emulators=True, **asked)  # type: ignore[arg-type] # as above


def test_measures_peers_with_calls_only() -> None:
    with pytest.raises(CannotBegin, match="--peers is of no use with --profile"):
        check_asked(
            "profile", quick=True, emulators=False, peers=True, json_file=None, compare=None
        )


def check_files(json_file: Path | None, compare: Path | None) -> object:
    asked = check_asked(
        "calls", quick=True, emulators=False, peers=False, json_file=json_file, compare=compare
    )
    return asked.earlier


def test_writes_no_file_where_there_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CannotBegin, match=f"--json: {tmp_path} is a folder"):
        check_files(tmp_path, None)

    check_files(tmp_path / "new.json", None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("garbage", "keeps no figures of a run: Invalid JSON"),
        ("{}", "keeps no figures of a run: machine: Field required"),
        (KEPT.replace('"values"', '"value"'), r"figures\.0\.values: Field required"),
        (KEPT.replace("[1.0]", "[]"), r"figures\.0\.values: List should have at least 1 item"),
        (KEPT, "keeps figures of rollups, and this run is of calls"),
    ],
)
def test_compares_with_no_file_but_one_that_was_kept(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "earlier.json"
    file.write_text(text)

    with pytest.raises(CannotBegin, match=says) as raised:
        check_files(None, file)

    assert "\n" not in str(raised.value)


def test_compares_with_no_folder_and_nothing_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotBegin, match="Is a directory"):
        check_files(None, tmp_path)
    with pytest.raises(CannotBegin, match="No such file"):
        check_files(None, tmp_path / "none.json")


def test_reads_what_was_kept_before_files_said_their_mode(tmp_path: Path) -> None:
    file = tmp_path / "earlier.json"
    file.write_text(KEPT.replace('"mode": "rollups", ', ""))

    assert check_files(None, file) is not None


def test_counts_what_others_used_as_a_part_of_all_cpus() -> None:
    begun = Used(at_s=100.0, everything_s=1000.0, own_s=5.0)

    assert begun.others_until(Used(110.0, 1009.0, 10.0), cpus=2) == pytest.approx(0.2)
    assert begun.others_until(Used(110.0, 1003.0, 10.0), cpus=2) == 0


def test_takes_processes_that_it_waited_for_as_its_own() -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass"

    before = used_so_far()
    subprocess.run([sys.executable, "-c", burn], check=True)
    after = used_so_far()

    assert after.own_s - before.own_s >= 0.4
    assert after.everything_s - before.everything_s >= 0.4


def test_counts_a_process_of_another_as_others() -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    # Its parent ends at once, so that nobody here waits for it.
    begin = f"subprocess.Popen([sys.executable, '-c', {burn!r}], close_fds=False)"
    orphan = f"import subprocess, sys; {begin}"
    reader, writer = os.pipe()

    before = used_so_far()
    subprocess.run([sys.executable, "-c", orphan], check=True, pass_fds=[writer])
    os.close(writer)
    assert os.read(reader, 1) == b""  # it has ended
    os.close(reader)
    after = used_so_far()

    others_s = before.others_until(after, cpus=1) * (after.at_s - before.at_s)
    assert others_s >= 0.4
