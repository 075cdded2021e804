import pickle

import pytest

from expunge.errors import ExpungeError, TerminalError, TransientError


class RemoteDownError(TransientError):
    pass


def test_the_message_says_what_happened_what_is_left_and_what_to_do_next():
    error = TerminalError("The label 12 is out of range.", left="No row was read.", fix="mend it")
    assert str(error).splitlines() == [
        "The label 12 is out of range.",
        "  left: No row was read.",
        "  next: mend it",
    ]


def test_nothing_is_said_to_be_changed_unless_an_error_says_so():
    assert TerminalError("x", fix="y").left == "Nothing was changed."


def test_retries_can_be_driven_by_the_two_kinds():
    assert issubclass(RemoteDownError, ExpungeError)
    assert not issubclass(TransientError, TerminalError)
    assert not issubclass(TerminalError, TransientError)


@pytest.mark.parametrize("kind", [TerminalError, TransientError, RemoteDownError])
def test_an_error_crosses_a_process_whole(kind):
    error = pickle.loads(pickle.dumps(kind("what", left="left", fix="fix")))
    assert type(error) is kind
    assert (error.what, error.left, error.fix) == ("what", "left", "fix")
    assert str(error) == str(kind("what", left="left", fix="fix"))
