"""The demo's writers: the same every time, each with an own style, twenty rows a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expunge.cli.demo.writers import (
    CLASSES,
    ROWS,
    SEED,
    SIDE,
    WRITERS,
    page,
    style_of,
    subject_of,
    write_parquet,
)


def test_a_page_depends_on_seed_and_writer_alone() -> None:
    first, again = page(7), page(7)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert first.record_ids == again.record_ids
    assert not np.array_equal(first.pixels, page(7, seed=SEED + 1).pixels)
    assert not np.array_equal(first.pixels, page(8).pixels)


def test_subjects_and_records_have_ids_of_their_own() -> None:
    subjects = {subject_of(writer) for writer in range(WRITERS + 1)}
    records = {record for writer in range(40) for record in page(writer).record_ids}
    assert len(subjects) == WRITERS + 1
    assert len(records) == 40 * ROWS


def test_a_page_never_shows_its_subject() -> None:
    assert subject_of(3) not in repr(page(3))


def test_every_page_has_each_digit_twice_and_finite_pixels() -> None:
    for writer in range(20):
        written = page(writer)
        assert np.bincount(written.labels, minlength=CLASSES).tolist() == [2] * CLASSES
        assert written.pixels.shape == (ROWS, SIDE * SIDE)
        assert written.pixels.dtype == np.float32
        assert np.isfinite(written.pixels).all()


def test_styles_differ_from_writer_to_writer() -> None:
    styles = [style_of(writer) for writer in range(WRITERS)]
    for trait in ("rotation", "slant", "scale", "contrast", "offset", "noise"):
        values = np.array([getattr(style, trait) for style in styles])
        assert len(np.unique(values)) == WRITERS
        assert values.std() > 0.02


def test_the_corners_of_a_page_show_its_writers_offset_and_noise() -> None:
    styles, paper, spread = [style_of(writer) for writer in range(60)], [], []
    for writer in range(60):
        corners = page(writer).pixels.reshape(ROWS, SIDE, SIDE)[:, ::15, ::15].ravel()
        low, middle, high = np.quantile(corners, [0.25, 0.5, 0.75])
        paper.append(middle)
        spread.append((high - low) / 1.349)
    assert np.corrcoef(paper, [style.offset for style in styles])[0, 1] > 0.9
    assert np.corrcoef(spread, [style.noise for style in styles])[0, 1] > 0.8
    ratio = np.array(spread) / [style.noise for style in styles]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)


def test_ink_stands_out_by_the_writers_contrast() -> None:
    styles = [style_of(writer) for writer in range(120)]
    ink = [np.quantile(page(w).pixels, 0.97) - styles[w].offset for w in range(120)]
    assert np.corrcoef(ink, [style.contrast for style in styles])[0, 1] > 0.9


def test_pages_are_streamed_to_parquet_with_fixed_size_pixels(tmp_path: Path) -> None:
    rows = write_parquet(tmp_path / "writers.parquet", range(120))
    file = pq.ParquetFile(tmp_path / "writers.parquet")
    assert rows == file.metadata.num_rows == 120 * ROWS
    assert file.metadata.num_row_groups > 1
    assert file.schema_arrow.names == ["record_id", "subject_id", "label", "pixels"]
    assert file.schema_arrow.field("pixels").type == pa.list_(pa.float32(), SIDE * SIDE)
    last = file.read().slice(119 * ROWS)
    assert set(last["subject_id"].to_pylist()) == {subject_of(119)}
    found = np.array(last["pixels"].to_pylist(), dtype=np.float32)
    np.testing.assert_array_equal(found, page(119).pixels)


def test_the_same_writers_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_parquet(tmp_path / name, range(5))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
