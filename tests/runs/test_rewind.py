import json
from pathlib import Path

from dcgan.runs.rewind import clear, rewind


def test_what_came_after_the_step_is_taken_back(tmp_path: Path) -> None:
    lines = [json.dumps(one) for one in ({"step": 4, "x": 1}, {"step": 8}, {"metric": "of other samples"})]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, json.dumps({"step": 12}), '{"step": 8, "half a li']))
    (tmp_path / "csv" / "version_0").mkdir(parents=True)
    table = tmp_path / "csv" / "version_0" / "metrics.csv"
    table.write_text("a,step,b\n1,4,\n2,8,3\n3,12,\n4,8")
    rewind(tmp_path, step=8)
    assert (tmp_path / "metrics.jsonl").read_text().splitlines() == lines
    assert table.read_text() == "a,step,b\n1,4,\n2,8,3\n"
    before = table.stat().st_mtime_ns
    rewind(tmp_path, step=8)
    assert table.stat().st_mtime_ns == before
    rewind(tmp_path / "nowhere", step=8)


def test_an_attempt_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    for name in ("checkpoints/best.ckpt", "samples/real.png", "events.out.tfevents.1", "metrics.jsonl", "notes/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    clear(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["notes", "a.txt"]
