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


def asked(number: int, **change: object) -> dict[str, object]:
    identity = {
        "identity_type": "controller_customer_id",
        "identity_value": f"person-{number}",
        "identity_format": "raw",
    }
    return {
        "regulation": "ccpa",
        "subject_request_id": f"a7551968-d5d6-44b2-9831-{number:012}",
        "subject_request_type": "erasure",
        "submitted_time": "2026-01-31T10:00:00Z",
        "subject_identities": [identity],
        **change,
    }


def test_import_takes_opendsr_as_lines_and_as_one_document(expunge, tmp_path):
    requests = [asked(1), asked(2, subject_request_type="access"), asked(3)]
    file = write(tmp_path / "in.opendsr.jsonl", *map(json.dumps, requests))
    told = expunge("request", "import", file)
    assert told.exit_code == 1
    assert "2 accepted, 0 duplicates, 0 conflicts, 1 rejected" in told.stdout
    assert "2   asks for access: only erasure is done here" in told.stdout
    document = write(tmp_path / "in.json", json.dumps([asked(1), asked(4)], indent=2))
    again = expunge.json("request", "import", document)
    assert (again["accepted"], again["duplicates"]) == (1, 1)
    assert {each["regulation"] for each in expunge.json("request", "list")} == {"ccpa"}


def test_import_takes_cloudevents_by_the_identity_that_is_named(expunge, tmp_path):
    mail = {"identity_type": "email", "identity_value": "ada@x.org", "identity_format": "raw"}
    plain = {"specversion": "1.0", "source": "/portal", "type": "erase"}
    events = [
        {**plain, "id": "e0", "data": asked(1, subject_identities=[mail])},
        {**plain, "id": "e1", "data": asked(2)},
    ]
    file = write(tmp_path / "in.jsonl", *map(json.dumps, events))
    options = ("--format", "cloudevents", "--identity-type", "email", "--json")
    found = json.loads(expunge("request", "import", file, *options).stdout)
    assert found["accepted"] == 1
    assert found["rejected"] == [{"line": 2, "reason": "has no identity of type email"}]
    (request,) = expunge.json("request", "list")
    assert (request["source"], request["external_id"]) == ("/portal", "e0")
    wrong = expunge("request", "import", file)
    assert "is written as --format cloudevents" in wrong.stdout
    assert "ada" not in wrong.output
