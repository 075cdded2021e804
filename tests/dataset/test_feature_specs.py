"""What `features` of a dataset's spec may say about text and images, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from expunge.specs import Features


def test_columns_of_text_are_categorical_beside_those_that_are_named() -> None:
    found = Features.model_validate(
        {
            "columns": ["a", "b", "c", "d"],
            "categorical": ["d"],
            "categories": {"b": ["no", "yes"]},
        }
    )
    assert found.categorical_positions == (1, 3)
    assert (found.width, found.input_shape, found.names) == (4, (4,), ("a", "b", "c", "d"))


def test_an_encoded_image_has_the_shape_that_it_is_decoded_to() -> None:
    found = Features.model_validate({"column": "x", "shape": [3, 4, 5], "encoded": True})
    assert (found.width, found.input_shape, found.names) == (60, (3, 4, 5), ("x",))
    assert not found.resize


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"columns": ["a"], "categories": {"b": ["x"]}}, "which `columns` does not"),
        ({"column": "a", "shape": [2], "categories": {"a": ["x"]}}, "which `columns` does not"),
        ({"columns": ["a"], "categories": {"a": ["x", "x"]}}, "a level of 'a' twice"),
        ({"columns": ["a"], "categories": {"a": []}}, "at least 1 item"),
        ({"columns": ["a"], "categories": {"a": [""]}}, "at least 1 character"),
        ({"columns": ["a"], "categories": {"a": [True]}}, "valid string"),
        ({"columns": ["a"], "unknown": "own_code"}, "`unknown` is about `categories`"),
        ({"columns": ["a"], "encoded": True}, "`encoded` needs `column`"),
        ({"column": "a", "shape": [8, 8], "encoded": True}, "`encoded` needs `column`"),
        ({"column": "a", "shape": [2, 8, 8], "encoded": True}, "`encoded` needs `column`"),
        ({"column": "a", "shape": [3, 8, 8], "resize": True}, "`resize` is about `encoded`"),
    ],
)  # fmt: skip
def test_a_contradiction_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Features.model_validate(fields)
