"""Keys on disk, outside every database.

Three kinds, each a file of 32 random bytes that only its owner can read:

- `placement-DATASET`: places subjects in shards and roles; immutable for the dataset's life.
- `reference-YYYYMMDD-xxxx`: turns a subject id into a `subject_ref`; rotates, old ones stay to
  verify.
- `data-NAME`: encrypts vault entries and sealed rows; destroying the file destroys what it
  encrypts.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from expunge.errors import TerminalError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KEY_BYTES = 32
_NONCE_BYTES = 12


class KeyMissingError(TerminalError):
    """A key file is absent: never created, or destroyed on purpose."""


@dataclass(frozen=True)
class ReferenceKey:
    """A rotating key of subject references."""

    key_id: str
    secret: bytes = field(repr=False)

    def ref(self, subject_id: str) -> str:
        """`subject_ref` of a subject: HMAC-SHA256, hex (64 characters)."""
        return hmac.digest(self.secret, subject_id.encode(), "sha256").hex()


@dataclass(frozen=True)
class DataKey:
    """One data key, read once: for sealing many small records."""

    name: str
    cipher: AESGCM = field(repr=False)

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        """Encrypt (AES-256-GCM, random nonce first, `context` bound)."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self.cipher.encrypt(nonce, plaintext, context)

    def unseal(self, sealed: bytes, *, context: bytes) -> bytes:
        """Decrypt what `seal` made with the same key and context."""
        try:
            return self.cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):  # too short for a nonce is a ValueError
            raise TerminalError(
                f"What was sealed under data key {self.name!r} does not decrypt: it was altered, "
                "or belongs to another record.",
                fix="restore the file or the ledger row from a backup of the same day",
            ) from None


@dataclass(frozen=True)
class KeyRing:
    """The keys of one workspace, in one folder of mode 0700."""

    folder: Path

    def placement(self, dataset: str, *, create: bool = False) -> bytes:
        """The dataset's placement key; created once, at its first ingest."""
        return self._read(f"placement-{dataset}", create=create)

    def reference(self) -> ReferenceKey:
        """The current reference key; the first call of a workspace creates one."""
        known = self.references()
        return known[-1] if known else self.rotate_reference()

    def references(self) -> tuple[ReferenceKey, ...]:
        """Every reference key, oldest first."""
        names = sorted(path.name for path in self.folder.glob("reference-*.key"))
        ids = [name.removesuffix(".key") for name in names]
        return tuple(ReferenceKey(key_id, self._read(key_id, create=False)) for key_id in ids)

    def rotate_reference(self) -> ReferenceKey:
        """Add a reference key and make it the current one; old ones stay to verify."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        key_id = f"reference-{stamp}-{secrets.token_hex(2)}"
        return ReferenceKey(key_id, self._read(key_id, create=True))

    def data_key(self, name: str, *, create: bool = False) -> DataKey:
        """Data key `name`, to seal and unseal with."""
        return DataKey(name, AESGCM(self._read(f"data-{name}", create=create)))

    def seal(self, name: str, plaintext: bytes, *, context: bytes, create: bool = False) -> bytes:
        """Encrypt under data key `name` (AES-256-GCM, random nonce first, `context` bound)."""
        return self.data_key(name, create=create).seal(plaintext, context=context)

    def unseal(self, name: str, sealed: bytes, *, context: bytes) -> bytes:
        """Decrypt what `seal` made with the same name and context."""
        return self.data_key(name).unseal(sealed, context=context)

    def destroy(self, name: str) -> bool:
        """Overwrite and remove data key `name`; False where there was none."""
        path = self._path(f"data-{name}")
        if not path.exists():
            return False
        with path.open("r+b") as file:
            file.write(os.urandom(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        return True

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise TerminalError(
                f"{name!r} cannot be part of a key's file name.",
                fix="use letters, digits, '.', '_' and '-' in names",
            )
        return self.folder / f"{name}.key"

    def _read(self, name: str, *, create: bool) -> bytes:
        path = self._path(name)
        if not path.exists() and create:
            self._create(path)
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            raise KeyMissingError(
                f"Key {name!r} is not in the key folder.",
                fix="restore the key folder from its backup; `expunge doctor` says what is missing",
            ) from None
        if len(key) != _KEY_BYTES:
            raise TerminalError(
                f"Key {name!r} has {len(key)} bytes instead of {_KEY_BYTES}.",
                fix="restore the key folder from its backup",
            )
        return key

    def _create(self, path: Path) -> None:
        """Create atomically: a second process that races us reads the winner's key."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
