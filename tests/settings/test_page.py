from pathlib import Path

from expunge.settings.names import variables
from expunge.settings.page import page

FILE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_of_settings_is_what_the_code_says():
    assert FILE.read_text() == page(), "run: make docs"


def test_every_setting_has_a_meaning_on_the_page():
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| ")]
    meanings = {row[1].strip("`"): row[3] for row in rows if len(row) == 4}
    assert set(variables()) <= set(meanings)
    assert all(len(meanings[name]) > 10 and "None" not in meanings[name] for name in variables())
    assert {name for name in variables() if "a secret" in meanings[name]} == {
        name for name, secret in variables().items() if secret
    }
