"""Encoded images: from the manifest to the training copy, the sealed rows and an erasure."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from PIL import Image

import expunge.dataset.images as images_module
from expunge.dataset import (
    ROLES,
    IngestError,
    ShardError,
    Store,
    Where,
    collect_facts,
    forget_rows,
    seal_rows,
    stage_erasure,
    training_rows,
    validate,
)
from expunge.dataset.images import Decoder, UndecodableError
from expunge.dataset.packed import packed_batches
from expunge.dataset.source import open_source, part
from expunge.dataset.source.imagefiles import read_image
from expunge.keys import KeyRing
from tests.dataset.pictures import (
    SHAPE,
    encoded,
    folder_of_images,
    image_spec,
    pictured,
    pixels,
)
from tests.dataset.saved import saved_dataset
from tests.dataset.world import KEY, digests, ingest, publish, rows_of, stage

PIXELS = {f"record-{at // 4}-{at % 4}": pixels(at) for at in range(240)}


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """240 images of 60 people; for tests that only read it."""
    return ingest(tmp_path_factory.mktemp("album"), pictured(), image_spec())[0]


def test_images_are_stored_byte_for_byte(album: Store) -> None:
    meant = dict(zip(pictured()["record_id"].to_pylist(), pictured()["image"], strict=True))
    assert {row["record_id"]: row["image"] for row in rows_of(album)} == {
        name: image.as_py() for name, image in meant.items()
    }


def test_a_manifest_a_table_of_bytes_and_a_saved_dataset_give_the_same_bytes(
    tmp_path: Path, album: Store
) -> None:
    table = pictured()
    manifest = folder_of_images(tmp_path / "images", table)
    pq.write_table(pacsv.read_csv(manifest), tmp_path / "images" / "manifest.parquet")
    at = table.schema.get_field_index("image")
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    values = [{"bytes": image, "path": "secret"} for image in table["image"].to_pylist()]
    saved = saved_dataset(tmp_path / "hf", table.set_column(at, "image", pa.array(values, kind)))
    for number, source in enumerate((manifest, manifest.with_suffix(".parquet"), saved)):
        staging = tmp_path / f"staged-{number}"
        stage(source, image_spec(), staging)
        assert digests(staging) == digests(album.folder)


def in_order(store: Store, roles: set[str]) -> list[np.ndarray]:
    rows = [row for number in store.numbers for row in store.read(number).to_pylist()]
    return [PIXELS[row["record_id"]] for row in rows if row["role"] in roles]


def test_the_training_copy_holds_pixels_from_0_to_1(
    tmp_path: Path, album: Store, monkeypatch: Any
) -> None:
    monkeypatch.setattr(images_module, "_DECODED_BYTES", 4000)
    rows = training_rows(album, album.spec, ["T", "E"], tmp_path / "t.arrow")
    x, _ = rows.__getitems__(range(len(rows)))
    meant = np.stack(in_order(album, {"T", "E"})) / np.float32(255)
    assert x.shape == (len(rows), *SHAPE)
    assert np.array_equal(x.numpy(), meant)
    some = training_rows(album, album.spec, ["T"], tmp_path / "s.arrow", where=Where(limit=3))
    assert np.array_equal(
        some.__getitems__(range(3))[0].numpy(), in_order(album, {"T"})[:3] / np.float32(255)
    )


def test_a_shard_is_decoded_in_bounded_batches(album: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr(images_module, "_DECODED_BYTES", 4000)
    for number in album.numbers:
        batches = list(packed_batches(album, number))
        assert all(batch.num_rows <= 4000 // (4 * 144) for batch in batches)
        assert sum(batch.num_rows for batch in batches) == album.read(number).num_rows


def test_only_wanted_rows_are_decoded(tmp_path: Path, album: Store, monkeypatch: Any) -> None:
    decoded: list[int] = []
    decode = Decoder.__call__
    monkeypatch.setattr(Decoder, "__call__", lambda s, e: decoded.append(1) or decode(s, e))
    rows = training_rows(album, album.spec, ["E"], tmp_path / "t.arrow")
    assert 0 < len(rows) == len(decoded) < 240


def test_sealed_rows_are_pixels_without_the_files_metadata(tmp_path: Path) -> None:
    table = pictured(8)
    noted = encoded(pixels(0), "PNG", pnginfo=None, exif=exif_of("the camera of person-0"))
    at = table.schema.get_field_index("image")
    files = [noted, *table["image"].to_pylist()[1:]]
    table = table.set_column(at, "image", pa.array(files, pa.binary()))
    split = table.append_column("fold", pa.array(["T"] * 4 + ["E"] * 4))
    spec = image_spec().model_copy(update={"split": "fold"})
    store, _ = ingest(tmp_path, split, spec)
    assert any(b"the camera" in row["image"] for row in rows_of(store))
    path, keys = tmp_path / "sealed", KeyRing(tmp_path / "keys")
    assert seal_rows(store, KEY, ["person-0"], keys=keys, batch_id="b-1", path=path) == 4
    rows = forget_rows(spec, keys, {"b-1": path})
    x, _ = rows.__getitems__(range(4))
    assert np.array_equal(x.numpy(), np.stack([pixels(at) for at in range(4)]) / np.float32(255))


def exif_of(text: str) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = text
    return exif


def test_an_erasure_keeps_other_peoples_images_and_is_validated(
    tmp_path: Path, album: Store
) -> None:
    names = {"person-3", "person-17"}
    staged = stage_erasure(album.spec, album, KEY, names, tmp_path / "staged")
    facts = collect_facts(album.spec, album, staged, KEY, names)
    assert (facts.rows_erased, facts.others_rows_lost, facts.rows_appeared) == (8, 0, 0)
    assert validate(album.spec, facts).success
    after = publish(tmp_path / "after", album.spec, album, staged.staging)
    kept = {row["record_id"]: row["image"] for row in rows_of(album)}
    kept = {name: image for name, image in kept.items() if name.rsplit("-", 1)[0] not in
            {f"record-{name.split('-')[1]}" for name in names}}  # fmt: skip
    assert {row["record_id"]: row["image"] for row in rows_of(after)} == kept


def test_one_changed_byte_of_somebody_elses_image_is_seen(tmp_path: Path, album: Store) -> None:
    staged = stage_erasure(album.spec, album, KEY, {"person-3"}, tmp_path / "staged")
    number = staged.touched[0]
    rows = Store(staged.staging, album.spec).read(number)
    images = rows["image"].to_pylist()
    images[0] = images[0][:-1] + bytes([images[0][-1] ^ 1])
    at = rows.schema.get_field_index("image")
    changed = rows.set_column(at, rows.schema.field("image"), pa.array(images, pa.large_binary()))
    pq.write_table(changed, staged.staging / f"shard-{number:05d}.parquet")
    facts = collect_facts(album.spec, album, staged, KEY, {"person-3"})
    assert (facts.others_rows_lost, facts.rows_appeared) == (1, 1)


# Decoding


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_grey_and_colour_of_8_bits_are_converted(mode: str) -> None:
    values = pixels(1)
    for channels in (1, 3):
        found = Decoder((channels, 8, 6), False)(encoded(values, mode=mode))
        assert (found.shape, found.dtype) == ((channels, 8, 6), np.uint8)
    if mode in ("RGB", "RGBA"):
        assert np.array_equal(Decoder(SHAPE, False)(encoded(values, mode=mode)), values)


def test_a_jpeg_comes_back_nearly() -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, 6, dtype=np.uint8), SHAPE)
    found = Decoder(SHAPE, False)(encoded(smooth, "JPEG", quality=95))
    assert np.abs(found.astype(int) - smooth).max() < 20


def test_another_size_is_refused_or_scaled() -> None:
    large = encoded(pixels(1, (3, 16, 12)))
    with pytest.raises(UndecodableError, match=r"16 × 12 pixels .*, not 8 × 6"):
        Decoder(SHAPE, False)(large)
    flat = encoded(np.full((3, 16, 12), 77, np.uint8))
    assert (Decoder(SHAPE, True)(flat) == 77).all()


def chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def bomb(height: int, width: int) -> bytes:
    """A PNG of a few bytes that says it is large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    whole = encoded(pixels(1))
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(32 << 20)))
    return whole[:33] + text + whole[33:]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a whole PNG or JPEG"),
        (b"secret", "not a whole PNG or JPEG"),
        (encoded(pixels(1))[:-60], "not a whole PNG or JPEG"),
        (encoded(pixels(1), "JPEG")[:-200], "not a whole PNG or JPEG"),
        (encoded(pixels(1), "GIF"), "not a whole PNG or JPEG"),
        (encoded(pixels(1), "TIFF"), "not a whole PNG or JPEG"),
        (encoded(pixels(1), "BMP"), "not a whole PNG or JPEG"),
        (bomb(8000, 8001), "more than 64 million pixels"),
        (bomb(30_000, 30_000), "not a whole PNG or JPEG|million pixels"),
        (bomb(8, 6), "not a whole PNG or JPEG"),
        (bytes(images_module.MOST_BYTES + 1), "more than 64 MiB"),
    ],
)  # fmt: skip
def test_what_is_no_whole_image_or_a_bomb_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(UndecodableError, match=said) as caught:
        Decoder(SHAPE, True)(content)
    assert "secret" not in str(caught.value)


def test_a_bomb_of_metadata_costs_no_memory() -> None:
    bomb = text_bomb()
    tracemalloc.start()
    with pytest.raises(UndecodableError):
        Decoder(SHAPE, False)(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_16_bits_a_channel_are_refused() -> None:
    sink = io.BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint16).reshape(8, 6)).save(sink, "PNG")
    with pytest.raises(UndecodableError, match="more than 8 bits"):
        Decoder((1, 8, 6), False)(sink.getvalue())


# Ingest


def refusal(tmp_path: Path, source: Path) -> str:
    with pytest.raises(IngestError) as caught:
        stage(source, image_spec(), tmp_path / "s")
    assert not any((tmp_path / "s").iterdir())
    assert "secret" not in str(caught.value)
    assert "person-" not in str(caught.value)
    return str(caught.value)


def replaced(table: pa.Table, row: int, value: bytes | None) -> pa.Table:
    values = table["image"].to_pylist()
    values[row] = value
    at = table.schema.get_field_index("image")
    return table.set_column(at, "image", pa.array(values, pa.binary()))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "no image"),
        (b"secret", "not a whole PNG or JPEG file"),
        (encoded(pixels(3))[:-60], "not a whole PNG or JPEG file"),
        (encoded(pixels(3, (3, 9, 6))), "9 × 6 pixels (height × width), not 8 × 6"),
    ],
)  # fmt: skip
def test_a_row_whose_image_cannot_be_used_is_named_by_its_number(
    tmp_path: Path, value: bytes | None, said: str
) -> None:
    pq.write_table(replaced(pictured(), 17, value), tmp_path / "x.parquet")
    assert f"column 'image', row 18: {said}" in refusal(tmp_path, tmp_path / "x.parquet")


def test_an_image_by_its_path_only_is_refused(tmp_path: Path) -> None:
    table = pictured()
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    paths = pa.array([{"bytes": None, "path": "secret.png"}] * 240, kind)
    at = table.schema.get_field_index("image")
    folder = saved_dataset(tmp_path / "hf", table.set_column(at, "image", paths))
    assert "column 'image', row 0: no image" in refusal(tmp_path, folder)


def test_numbers_where_images_are_meant_are_refused(tmp_path: Path) -> None:
    at = pictured().schema.get_field_index("image")
    table = pictured().set_column(at, "image", pa.array(np.zeros(240)))
    pq.write_table(table, tmp_path / "x.parquet")
    assert "binary (PNG or JPEG files)" in refusal(tmp_path, tmp_path / "x.parquet")
    np.savez(tmp_path / "x.npz", image=np.zeros((240, 3, 8, 6)), subject_id=np.zeros(240, int))
    assert "cannot hold encoded images" in refusal(tmp_path, tmp_path / "x.npz")


def named(tmp_path: Path, name: str | None) -> Path:
    """A folder of images whose manifest's row 18 names something else."""
    manifest = folder_of_images(tmp_path / "images", pictured())
    table = pacsv.read_csv(manifest)
    names = table["image"].to_pylist()
    names[16] = name
    at = table.schema.get_field_index("image")
    pacsv.write_csv(table.set_column(at, "image", pa.array(names)), manifest)
    return manifest


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("secret.png", "no readable file of this name"),
        ("../secret.png", "a file outside the manifest's folder"),
        ("3/../../secret.png", "a file outside the manifest's folder"),
        ("{folder}/secret.png", "a file outside the manifest's folder"),
        ("link.png", "a file outside the manifest's folder"),
        ("linked/secret.png", "a file outside the manifest's folder"),
        ("loop.png", "no readable file of this name"),
        ("3", "no readable file of this name|not a plain file"),
        ("pipe.png", "not a plain file"),
        (None, "no image"),
    ],
)  # fmt: skip
def test_a_name_that_leaves_the_folder_or_is_no_file_is_refused(
    tmp_path: Path, name: str | None, said: str
) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    for file in (tmp_path / "secret.png", outside / "secret.png"):
        file.write_bytes(encoded(pixels(1)))
    manifest = named(tmp_path, name and name.format(folder=outside))
    (manifest.parent / "link.png").symlink_to(tmp_path / "secret.png")
    (manifest.parent / "linked").symlink_to(outside)
    (manifest.parent / "loop.png").symlink_to("loop.png")
    os.mkfifo(manifest.parent / "pipe.png")
    message = refusal(tmp_path, manifest)
    assert "manifest.csv, column 'image', row 18: " in message
    assert any(each in message for each in said.split("|"))


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    manifest = named(tmp_path, "link.png")
    (manifest.parent / "link.png").symlink_to("2/secret-16.png")
    assert stage(manifest, image_spec(), tmp_path / "s").rows_added == 240


def test_a_file_too_large_for_an_image_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x.png").open("wb") as file:
        file.truncate(images_module.MOST_BYTES * 100)
    with pytest.raises(UndecodableError, match="more than 64 MiB"):
        read_image(tmp_path, "x.png")
    with pytest.raises(UndecodableError, match="no readable file"):
        read_image(tmp_path, "x\0.png")


def test_images_of_a_manifest_come_in_bounded_batches(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(part, "BATCH_BYTES", 2000)
    manifest = folder_of_images(tmp_path / "images", pictured())
    rows = 0
    for origin, batch in open_source(image_spec(), manifest, ()).batches():
        assert origin.first_row == rows + 2
        assert batch.nbytes < 4000
        rows += batch.num_rows
    assert rows == 240


def test_a_spec_that_changed_since_the_ingest_is_named(tmp_path: Path, album: Store) -> None:
    spec = image_spec((3, 6, 8))
    with pytest.raises(ShardError, match=r"shard-00000\.parquet, row 1: 8 × 6 pixels") as caught:
        training_rows(Store(album.folder, spec), spec, ROLES, tmp_path / "t.arrow")
    assert "set shape and resize" in caught.value.fix
