"""plan, run, show, promote, rollback, watch, gc, keys on a real factory with a real store."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import time


def test_from_nothing_to_a_release_and_back(tenfold, folder):
    assert [s["action"] for s in tenfold("plan --json").json["steps"]] == ["run", "maybe", "maybe"]

    first = tenfold("run")
    assert first.code == 0
    assert "table@live" in first.out
    assert "\x1b" not in first.out + first.err  # nobody's terminal
    assert [line.split()[1:3] for line in first.err.splitlines() if "ran" in line] == [
        ["ran", "numbers"],
        ["ran", "doubled"],
        ["ran", "tripled"],
    ]

    second = tenfold("run")
    assert second.code == 0
    assert "everything unchanged: 3 assets" in second.out
    assert second.err == ""

    changed = tenfold("plan --set assets.doubled.config.by=5")
    assert "config.by 2 -> 5" in changed.out

    moved = tenfold("run --json --set assets.doubled.config.by=5").json
    assert [s["status"] for s in moved["steps"]] == ["skipped", "ran", "ran"]
    (move,) = moved["released"]

    back = tenfold("rollback table@live --json -m", "too good").json
    assert back["digest"] == move["previous"]
    assert back["reason"] == "too good"
    again = tenfold("promote tripled table@live --json --digest", move["digest"]).json
    assert again["digest"] == move["digest"]


def test_a_red_check_keeps_the_alias_and_is_exit_code_1(tenfold, folder):
    assert tenfold("run").code == 0
    done = tenfold("run --set assets.doubled.config.by=0")
    assert done.code == 1
    assert "total = 0 is below 4" in done.out
    refused = tenfold("promote tripled table@live --set x=1")
    assert refused.code == 2  # promote takes no overrides: what is judged is what the file says
    refused = tenfold("promote doubled --json")
    assert refused.code == 1
    assert refused.json["error"] == "PromotionRefused"


def test_a_red_check_is_seen_behind_an_asset_with_the_same_bytes(tenfold, folder):
    """Nothing times nothing is nothing: doubled and tripled become one digest, with one check red."""
    assert tenfold("run --set assets.doubled.config.by=0").code == 1
    refused = tenfold("promote tripled other@alias")
    assert refused.code == 1
    assert "total = 0 is below 4" in refused.err


def test_a_failed_step_is_exit_code_1_and_its_traceback_is_kept(tenfold, folder):
    done = tenfold("run --set assets.tripled.config.fail=true")
    assert done.code == 1
    assert "RuntimeError: boom [at last]" in done.out  # brackets are text, not markup
    run = tenfold("show --json").json["runs"][0]
    assert run["status"] == "failed"
    shown = tenfold(f"show {run['id']}")
    assert "Traceback" in shown.out
    assert "my_steps.py" in shown.out
    assert tenfold("run").code == 0


def test_show_says_what_is_known(tenfold, folder):
    assert "missing" in tenfold("show").out
    tenfold("run")
    overview = tenfold("show")
    assert "fresh" in overview.out
    assert "table@live" in overview.out
    asset = tenfold("show table@live").out
    for known in (
        "tripled",
        "rows.jsonl",
        "table@live",
        "my_steps:times v1",
        "tripled  ←  doubled  ←  numbers",
    ):
        assert known in asset
    curve = tenfold("show numbers").out
    assert "█" in curve
    assert "5 → 0.25 nats" in curve
    digest = tenfold("show doubled --json").json["result"]["output"]["digest"]
    assert f"digest {digest}" in tenfold(f"show {digest[:10]}").out


def test_force_makes_only_what_was_asked_for_again(tenfold, folder):
    tenfold("run")
    forced = tenfold("run --force --json doubled").json
    assert {s["asset"]: s["status"] for s in forced["steps"]} == {
        "numbers": "skipped",
        "doubled": "ran",
    }


def test_watch_once_runs_what_new_data_asks_for(tenfold, folder):
    tenfold("run")
    assert tenfold("watch --once --json").json == {"fired": []}
    (folder / "n.txt").write_text("4 5 6")
    (fired,) = tenfold("watch --once --json").json["fired"]
    assert fired["rebuild"] == ["tripled"]
    assert tenfold("plan --json").json["counts"]["skip"] == 3


def test_gc_removes_what_was_replaced(tenfold, folder):
    for by in range(3, 7):
        tenfold(f"run --set assets.tripled.config.by={by}", "--set", "release=[]")
    would = tenfold("gc --dry-run --keep-last 1 --grace-h 0 --json").json
    done = tenfold("gc --keep-last 1 --grace-h 0 --json").json
    assert would["results"] == done["results"] == 3
    assert done["dry_run"] is False
    assert tenfold("gc --keep-last 1 --grace-h 0 --json").json["results"] == 0


def test_keys_show_a_secret_once(tenfold, folder):
    secret = tenfold("keys create phone --tenant acme --json").json["key"]
    assert tenfold("keys --json").json == tenfold("keys list --json").json != []
    (key,) = tenfold("keys list --json").json
    assert (key["name"], key["tenant"], key["revoked_at_s"]) == ("phone", "acme", None)
    assert secret not in json.dumps(key)
    assert all(
        secret.encode() not in path.read_bytes() for path in folder.rglob("*") if path.is_file()
    )
    assert tenfold("keys revoke phone").code == 0
    assert tenfold("keys list --json").json[0]["revoked_at_s"] is not None


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(tenfold, folder, start):
    slow = start(
        "run", "--set", "assets.tripled.config.wait_s=20", cwd=folder, stderr=-1, stdout=-1
    )
    assert slow.stderr is not None
    for line in slow.stderr:
        if "running" in line and "tripled" in line:
            break
    time.sleep(0.2)
    slow.send_signal(signal.SIGINT)
    _, err = slow.communicate(timeout=30)
    assert slow.returncode == 130
    assert err.index("stopping") < err.index("interrupted")
    assert "goes on" in err
    assert "Traceback" not in err
    store = sqlite3.connect(folder / ".tenfold" / "ledger.db")
    assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()
    resumed = tenfold("run --json").json
    assert [s["status"] for s in resumed["steps"]] == ["skipped", "skipped", "ran"]


def test_bars_in_a_terminal_lines_under_no_color(folder, start):
    def screen(**environment: str) -> str:
        master, slave = pty.openpty()
        run = start(
            "run",
            "--force",
            cwd=folder,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm-256color", **environment},
        )
        os.close(slave)
        seen = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:  # Linux: the other end is closed
                break
            if not part:
                break
            seen += part
        os.close(master)
        assert run.wait() == 0
        return seen.decode()

    environment = dict.fromkeys(("NO_COLOR", "CI"), "")
    assert "\x1b[" in screen(**environment)
    assert "\x1b[" not in screen(NO_COLOR="1")
