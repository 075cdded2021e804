"""`expunge request import`: the good lines are kept, the others named by number."""

from __future__ import annotations

import json
from pathlib import Path


def write(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_import_keeps_good_lines_and_names_the_others_by_number(expunge, tmp_path):
    file = write(
        tmp_path / "in.csv",
        "id,subject_id,received_at,dataset",
        "1,ada,2026-01-05,",
        "1,ada,2026-01-05,",
        "1,bob,2026-01-05,",
        "",
        "2,,2026-01-05,",
        "3,cyd,yesterday,",
        "4,dan,2026-01-05,nowhere",
        "5,eve,2026-01-05,people",
    )
    result = expunge("request", "import", file)
    assert result.exit_code == 1
    assert "2 accepted, 1 duplicates, 1 conflicts, 3 rejected" in result.stdout
    told = [line.split()[0] for line in result.stdout.splitlines()[3:] if line.strip()]
    assert told == ["4", "6", "7", "8"]
    assert {request["external_id"] for request in expunge.json("request", "list")} == {"1", "5"}
    for subject in ("ada", "bob", "cyd", "dan", "eve"):
        assert subject not in result.output


def test_import_of_clean_lines_succeeds_and_again_changes_nothing(expunge, tmp_path):
    lines = [json.dumps({"id": f"{n}", "subject_id": f"s{n}"}) for n in range(3)]
    file = write(tmp_path / "in.jsonl", *lines)
    assert expunge.json("request", "import", file)["accepted"] == 3
    again = expunge.json("request", "import", file)
    assert (again["accepted"], again["duplicates"]) == (0, 3)


def test_import_reads_standard_input_in_a_named_format(expunge):
    text = "id,subject_id\n1,ada\n"
    result = expunge("request", "import", "-", "--format", "csv", "--json", stdin=text)
    assert json.loads(result.stdout) == {
        "accepted": 1,
        "duplicates": 0,
        "conflicts": [],
        "rejected": [],
    }
    assert expunge("request", "import", "-", stdin=text).exit_code == 1


def test_import_json_lists_conflicts_and_rejections(expunge, tmp_path):
    file = write(tmp_path / "in.csv", "id,subject_id", "1,ada", "1,bob", "2")
    result = expunge("request", "import", file, "--json")
    found = json.loads(result.stdout)
    (request,) = expunge.json("request", "list")
    assert result.exit_code == 1
    assert found["conflicts"] == [{"line": 3, "request_id": request["id"]}]
    assert found["rejected"] == [{"line": 4, "reason": "has 1 fields instead of 2"}]


def test_import_of_a_file_that_is_none_is_an_error(expunge, tmp_path):
    file = write(tmp_path / "in.csv", "name,mail", "x,y")
    result = expunge("request", "import", file)
    assert result.exit_code == 1
    assert "header lacks id and subject_id" in result.stderr
    absent = expunge("request", "import", str(tmp_path / "absent.csv"))
    assert absent.exit_code == 1
    assert "cannot be opened" in absent.stderr
