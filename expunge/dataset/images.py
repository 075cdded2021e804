"""Encoded images: PNG and JPEG files that a table holds as they came, and their pixels.

Whoever wrote the file decides what decoding it costs, so its size is judged by its header before
a pixel is read. Pixels are float32 from 0 to 1, [C, H, W] row-major, one grey channel or RGB;
transparency is dropped, and a camera's note on orientation is not followed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from expunge.specs import Features

MOST_BYTES = 64 << 20
_MOST_PIXELS = 64_000_000
_FORMATS = ("PNG", "JPEG")
_GREY_OR_COLOUR = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
_DECODED_BYTES = 32 << 20


class UndecodableError(Exception):
    """Why an image cannot be decoded, in words that say nothing of what it shows or is called."""


@dataclass(frozen=True)
class Decoder:
    """Decodes images to one shape."""

    shape: tuple[int, int, int]
    """Channels (1 or 3), height, width."""
    resize: bool

    @classmethod
    def of(cls, features: Features) -> Decoder:
        """The decoder of a spec's `encoded` features."""
        channels, height, width = features.input_shape
        return cls((channels, height, width), features.resize)

    def __call__(self, encoded: bytes | memoryview) -> npt.NDArray[np.uint8]:
        """Values 0 to 255 of the shape.

        Raises:
            UndecodableError: no PNG or JPEG file, cut off, of another size, or too large.
        """
        from PIL import Image

        if len(encoded) > MOST_BYTES:
            raise UndecodableError(f"a file of more than {MOST_BYTES >> 20} MiB")
        try:
            with Image.open(io.BytesIO(encoded), formats=_FORMATS) as image:
                self._judge(image.width, image.height, image.mode)
                pixels = image.convert("L" if self.shape[0] == 1 else "RGB")
        except UndecodableError:
            raise
        # Pillow's decoders fail on hostile files in many ways, and some name what they found.
        except Exception:
            raise UndecodableError("not a whole PNG or JPEG file") from None
        if pixels.size != (self.shape[2], self.shape[1]):
            pixels = pixels.resize((self.shape[2], self.shape[1]), Image.Resampling.BILINEAR)
        values = np.asarray(pixels, np.uint8).reshape(*self.shape[1:], self.shape[0])
        return np.moveaxis(values, -1, 0)

    def _judge(self, width: int, height: int, mode: str) -> None:
        """By the header alone, before anything is unpacked."""
        if mode not in _GREY_OR_COLOUR:
            raise UndecodableError("an image of more than 8 bits a channel")
        if width * height > _MOST_PIXELS:
            raise UndecodableError(f"an image of more than {_MOST_PIXELS // 10**6} million pixels")
        if (height, width) != self.shape[1:] and not self.resize:
            size = f"{self.shape[1]} × {self.shape[2]}"
            raise UndecodableError(f"{height} × {width} pixels (height × width), not {size}")

    def fault(self, encoded: bytes | memoryview) -> str | None:
        """Why it cannot be decoded, if so."""
        try:
            self(encoded)
        except UndecodableError as error:
            return str(error)
        return None

    def batches(self, column: pa.Array) -> Iterator[pa.Array]:
        """Pixels of binary values, in float32 lists of bounded size.

        Raises:
            UndecodableError: of the first one that cannot be decoded, with its place in `column`.
        """
        width = int(np.prod(self.shape))
        kind = pa.list_(pa.field("element", pa.float32(), nullable=False), width)
        step = max(1, _DECODED_BYTES // (4 * width))
        for begin in range(0, len(column), step):
            part = column.slice(begin, step)
            pixels = np.empty((len(part), *self.shape), np.float32)
            for at, value in enumerate(part):
                try:
                    np.divide(
                        self(memoryview(value.as_buffer())), 255, out=pixels[at], dtype=np.float32
                    )
                except UndecodableError as error:
                    raise UndecodableError(f"row {begin + at + 1}: {error}") from None
            yield pa.FixedSizeListArray.from_arrays(pa.array(pixels.reshape(-1)), type=kind)
