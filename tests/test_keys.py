import hashlib
import hmac
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import TerminalError
from expunge.keys import KeyMissingError, KeyRing, ReferenceKey


@pytest.fixture
def ring(tmp_path):
    return KeyRing(tmp_path / "keys")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A ring for the laws, which need no fresh one for each example."""
    ring = KeyRing(tmp_path_factory.mktemp("shared") / "keys")
    ring.seal("b-1", b"", context=b"", create=True)
    ring.seal("b-2", b"", context=b"", create=True)
    return ring


def flipped(sealed, at):
    """`sealed` with one bit changed."""
    return bytes(byte ^ (1 if n == at else 0) for n, byte in enumerate(sealed))


def test_a_placement_key_never_changes(ring):
    first = ring.placement("digits", create=True)
    assert len(first) == 32
    assert ring.placement("digits", create=True) == first
    assert KeyRing(ring.folder).placement("digits") == first
    assert ring.placement("speech", create=True) != first


def test_a_key_that_was_never_created_is_an_error_and_stays_absent(ring):
    with pytest.raises(KeyMissingError, match="placement-digits"):
        ring.placement("digits")
    assert not ring.folder.exists()


def test_only_the_owner_can_read_folder_and_files(ring):
    ring.placement("digits", create=True)
    ring.reference()
    assert stat.S_IMODE(ring.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in ring.folder.iterdir()} == {0o600}


def test_threads_that_race_for_a_key_all_get_the_same_one(ring):
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: ring.placement("digits", create=True), range(64)))
    assert len(keys) == 1
    assert [path.name for path in ring.folder.iterdir()] == ["placement-digits.key"]


def test_a_reference_is_the_hmac_of_the_subject():
    expected = hmac.new(b"k" * 32, b"alice", hashlib.sha256).hexdigest()
    assert ReferenceKey("reference-1", b"k" * 32).ref("alice") == expected


def test_old_reference_keys_stay_to_verify_after_a_rotation(ring):
    old = ring.reference()
    new = ring.rotate_reference()
    assert ring.reference() == new
    assert ring.references() == (old, new)
    assert old.ref("alice") != new.ref("alice")


def test_no_secret_is_shown(ring):
    secret = ring.reference().secret
    shown = repr(ring) + repr(ring.reference()) + repr(ring.data_key("b-1", create=True))
    assert secret.hex() not in shown
    assert repr(secret) not in shown


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_unsealing_gives_back_what_was_sealed(shared, plaintext, context):
    sealed = shared.seal("b-1", plaintext, context=context)
    assert shared.unseal("b-1", sealed, context=context) == plaintext
    assert shared.seal("b-1", plaintext, context=context) != sealed


@given(st.binary(max_size=50), st.data())
def test_what_was_altered_or_moved_does_not_unseal(shared, plaintext, data):
    sealed = shared.seal("b-1", plaintext, context=b"row 1")
    at = data.draw(st.integers(0, len(sealed) - 1))
    for name, altered, context in [
        ("b-1", flipped(sealed, at), b"row 1"),
        ("b-1", sealed, b"row 2"),
        ("b-2", sealed, b"row 1"),
        ("b-1", sealed[:at], b"row 1"),
    ]:
        with pytest.raises(TerminalError, match="does not decrypt"):
            shared.unseal(name, altered, context=context)


def test_destroying_a_data_key_destroys_what_it_sealed(ring):
    sealed = ring.seal("b-1", b"rows", context=b"", create=True)
    assert ring.destroy("b-1")
    with pytest.raises(KeyMissingError):
        ring.unseal("b-1", sealed, context=b"")
    assert not ring.destroy("b-1")


def test_destroying_overwrites_the_key_before_the_file_goes(ring):
    ring.seal("b-1", b"", context=b"", create=True)
    path = ring.folder / "data-b-1.key"
    twin = ring.folder.parent / "twin"
    twin.hardlink_to(path)
    before = twin.read_bytes()
    ring.destroy("b-1")
    assert twin.read_bytes() != before


def test_a_truncated_key_is_an_error(ring):
    ring.placement("digits", create=True)
    (ring.folder / "placement-digits.key").write_bytes(b"short")
    with pytest.raises(TerminalError, match="5 bytes instead of 32"):
        ring.placement("digits")


@pytest.mark.parametrize("name", ["../x", "a/b", "a\0b", "a" * 200])
def test_a_name_cannot_leave_the_key_folder(ring, name):
    with pytest.raises(TerminalError):
        ring.seal(name, b"", context=b"", create=True)
    assert not ring.folder.exists() or not any(ring.folder.iterdir())
