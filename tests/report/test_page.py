"""The page of a report: what it says, that it needs nothing else, and what it escapes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from expunge.report import MeasuredRow, page
from tests.report.made import (
    BATCH,
    audited,
    criterion,
    metric,
    model,
    report,
    rung,
    unmeasured,
)

PIXEL = bytes.fromhex("89504e470d0a1a0a")
HOSTILE = "<script>alert('x')</script> & \"quotes\""


class Seen(HTMLParser):
    """Text and tags of a page; fails on tags that are not closed in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_decision_comes_first_then_what_it_rests_on_in_order() -> None:
    refused = rung(1, "fail", strategy="top_k", version="2")
    text = Seen(page(report(model(refused, rung(2))), {})).text
    told = [
        "digits-cnn: version 3, made by random_k, passed the gate and replaces version 1, after "
        "1 candidate that did not pass.",
        "What was asked, and by when",
        "GDPR 15 16 Nov 2026 to 21 Nov 2026 16 Dec 2026 to 21 Dec 2026 none",
        "14 completed; 1 about people who are not in the dataset",
        "What was erased",
        "560 rows, 7.0 % of 8,000",
        "24 of 64",
        "Rung 1 of 3: top_k fail",
        "The words of forgetting.",
        "Does it still know them?",
        "Rung 2 of 3: random_k pass",
        "Lineage",
        "digits-cnn version 2 , from version 1 by top_k: not promoted (fail)",
        "digits-cnn version 3 , from version 1 by random_k: promoted",
        "Time by station",
        "16.4 s",
    ]
    assert all(words in text for words in told), [words for words in told if words not in text]
    assert [text.index(words) for words in told] == sorted(map(text.index, told))


def test_a_metric_stands_beside_the_champion_its_interval_reference_and_rows() -> None:
    text = Seen(page(report(), {})).text
    assert re.search(
        r"AUC on hard rows .* 0\.760 0\.512 0\.472 to 0\.552 0\.500 a coin 230 yes", text
    )


def test_what_was_not_measured_or_is_not_valid_says_why() -> None:
    row = unmeasured()
    invalid = replace(row, metric=metric("nud", 0.4), why="it needs 60 forget rows (3 there)")
    text = Seen(page(report(model(rung(measured=(row, invalid)))), {})).text
    assert "Not measured: UD. SPD-GAN is not resolvable." in text
    assert "Not valid here: it needs 60 forget rows (3 there)." in text


def test_a_plot_of_rows_that_is_left_out_is_told() -> None:
    made = rung(measured=(MeasuredRow(metric("ud", 0.1), None, None, ""),))
    told = "A plot of perturbed rows is in the MLflow run."
    plots = {"scores.png": PIXEL}
    assert told in Seen(page(report(model(made)), {made.run_id or "": plots})).text
    plots["perturbed.png"] = PIXEL
    assert told not in Seen(page(report(model(made)), {made.run_id or "": plots})).text


def test_a_qualified_candidate_cites_the_audit_record() -> None:
    text = Seen(page(report(model(audited())), {})).text
    assert "let through by audit record 7" in text
    assert (
        "record 7 of 18 Nov 2026, on mock requests of whole people against version 1, says pass"
        in (text)
    )


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            report(model(rung(1, "fail"), decision="held", promoted=None, while_held="withdraw")),
            "digits-cnn is held: the one candidate did not pass, so version 1 is withdrawn and "
            "keeps its debt until the next batch or training pays it.",
        ),
        (
            report(model(rung(1, "fail"), rung(2, exact=True), decision="retrained")),
            "digits-cnn: version 3, retrained from scratch, passed the gate and replaces version "
            "1, after 1 candidate that did not pass.",
        ),
        (
            replace(report(), models=()),
            "No governed model had seen these rows, so none had to forget them.",
        ),
        (
            replace(report(), models=(), erasure=None),
            "Nothing was erased: none of the people asked about has rows to erase.",
        ),
        (
            replace(report(), models=(), erasure=None, state="failed", reason="no room"),
            "The batch failed, and nothing was changed: no room.",
        ),
        (
            replace(report(), models=(), state="published", ended_at=None),
            "The batch is under way: published.",
        ),
    ],
)
def test_however_a_batch_ends_it_is_told_in_one_sentence(made, sentence) -> None:
    assert sentence in Seen(page(made, {})).text


def test_a_candidate_that_diverged_has_a_reason_and_no_numbers() -> None:
    lost = rung(
        1, "fail", diverged="The loss is nan.", criteria=(), measured=(), edit=None, alpha=None,
        version=None, run_id=None, settings={}, request=None,
    )  # fmt: skip
    text = Seen(page(report(model(lost, rung(2))), {})).text
    assert "The candidate diverged: The loss is nan." in text
    assert "no version , from version 1 by random_k: The loss is nan." in text


def test_a_page_needs_no_network_and_no_script() -> None:
    made = report()
    text = page(made, {made.models[0].rungs[0].run_id or "": {"scores.png": PIXEL}})
    seen = Seen(text)
    assert not re.search(r"https?://|url\(|@import", text)
    assert {tag for tag, _ in seen.tags} & {"script", "link", "iframe", "object", "base"} == set()
    sources = [attributes["src"] for tag, attributes in seen.tags if tag == "img"]
    assert sources == ["data:image/png;base64,iVBORw0KGgo="]
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]


def test_the_only_links_are_those_to_a_server_of_mlflow() -> None:
    seen = Seen(page(report(), {}, mlflow="https://mlflow.example/"))
    links = [attributes["href"] for tag, attributes in seen.tags if tag == "a"]
    assert links == ["https://mlflow.example/#/models/digits-cnn/versions/2"]


@pytest.mark.parametrize(
    "made",
    [
        report(dataset=HOSTILE),
        report(model(name=HOSTILE)),
        report(model(rung(strategy=HOSTILE, settings={HOSTILE: HOSTILE}, notes=(HOSTILE,)))),
        report(model(rung(criteria=(criterion(HOSTILE, words=HOSTILE),)))),
        report(model(rung(measured=(unmeasured(HOSTILE, HOSTILE),)))),
        report(model(plan=HOSTILE)),
        report(requests={HOSTILE: 2}),
        replace(report(), models=(), state="failed", reason=HOSTILE),
    ],
)
def test_names_and_words_from_outside_are_text_and_never_markup(made) -> None:
    text = page(made, {}, mlflow="https://mlflow.example")
    assert "<script" not in text
    assert "alert(" in Seen(text).text


def test_equal_reports_give_equal_pages_and_a_plot_that_is_not_known_stays_out() -> None:
    made = report()
    run = made.models[0].rungs[0].run_id or ""
    assert page(made, {run: {"scores.png": PIXEL}}) == page(made, {run: {"scores.png": PIXEL}})
    assert "<img" not in page(made, {run: {"rows-of-somebody.png": PIXEL}})


def test_the_json_is_plain_and_holds_no_number_that_json_lacks() -> None:
    told = report(model(rung(measured=(unmeasured(),)))).to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    (measured,) = told["models"][0]["rungs"][0]["measured"]
    assert (measured["metric"]["value"], measured["metric"]["name"]) == (None, "ud")
    assert told["batch_id"] == BATCH
    assert told["asked"][0]["first_due"] == "2026-12-16T09:36:00+00:00"
