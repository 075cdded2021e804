"""OpenDSR 2.0 requests, formerly OpenGDPR: which of a request's identities is ours, and by when.

Specification: https://github.com/opengdpr/OpenDSR, sections 5.3 (identities) and 7.1.1 (requests).
Only erasure is done here, and only an identity in the clear can be found in a dataset. Fields that
say nothing about whom to erase, `status_callback_urls` and `extensions` among them, are not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from expunge.requests.intake.json_values import Value
from expunge.requests.intake.rows import BadRowError, Fields, Row, one_of
from expunge.requests.values import REGULATIONS

CUSTOMER_ID = "controller_customer_id"

_IdentityFormat = Literal["raw", "sha1", "md5", "sha256"]
_RequestType = Literal["erasure", "access", "portability"]
Model = TypeVar("Model", bound=BaseModel)
Text = Annotated[str, StringConstraints(strict=True, min_length=1)]
# RFC 3339, section 5.6: unlike other forms of ISO 8601 it always says the offset from UTC.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def checked_time(text: str) -> str:
    """An RFC 3339 time; the pydantic error of anything else."""
    if not _RFC_3339.fullmatch(text):
        raise PydanticCustomError("time", "is not an RFC 3339 time")
    return text.upper()


def _uuid(text: str) -> str:
    """In lower case, as the specification wants it, so that one id is one request."""
    try:
        return str(UUID(text))
    except ValueError:
        raise PydanticCustomError("uuid", "is not a UUID") from None


def _version(text: str) -> str:
    if text.partition(".")[0] not in ("1", "2"):
        raise PydanticCustomError("version", "is neither 1.x nor 2.x")
    return text


class _Identity(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True, frozen=True)

    identity_type: Text
    identity_value: Text
    identity_format: _IdentityFormat


class _Request(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True, frozen=True)

    subject_request_id: Annotated[Text, AfterValidator(_uuid)]
    subject_request_type: _RequestType
    submitted_time: Annotated[Text, AfterValidator(checked_time)]
    subject_identities: tuple[_Identity, ...] = ()
    regulation: Text | None = None
    api_version: Annotated[Text, AfterValidator(_version)] | None = None


def rows(objects: Iterator[Value], identity_type: str) -> Iterator[Row]:
    """A row of each request; subjects are known to the datasets by `identity_type`."""
    for number, found in objects:
        try:
            if isinstance(found, BadRowError):
                raise found
            yield Row(number, fields_of(found, identity_type))
        except BadRowError as bad:
            yield Row(number, bad)


def fields_of(found: dict[str, Any], identity_type: str) -> Fields:
    """Fields of the filing that a request asks for; BadRowError for one that cannot be met."""
    request = validated(_Request, found)
    if request.subject_request_type != "erasure":
        raise BadRowError(f"asks for {request.subject_request_type}: only erasure is done here")
    return {
        "id": request.subject_request_id,
        "subject_id": _subject(request.subject_identities, identity_type),
        "received_at": request.submitted_time,
        "regulation": _regulation(request),
    }


def validated(model: type[Model], found: dict[str, Any]) -> Model:
    """`found` as a `model`, or a BadRowError that names the field and never its value."""
    try:
        return model.model_validate(found)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=True)[0]
        raise BadRowError(_reason(problem["loc"], problem["type"], problem)) from None


def _reason(place: tuple[int | str, ...], kind: str, problem: Any) -> str:
    name = ".".join(str(part) for part in place if isinstance(part, str))
    if kind in ("missing", "string_too_short"):
        return f"field {name} is missing"
    if kind == "literal_error":
        return f"field {name} {one_of(_allowed(name))}"
    if kind in ("time", "uuid", "version"):
        return f"field {name} {problem['msg']}"
    if kind == "string_type":
        return f"field {name} is not a text"
    return f"field {name} has the wrong form"


def _allowed(name: str) -> Sequence[str]:
    return get_args(_IdentityFormat if name.endswith("identity_format") else _RequestType)


def _regulation(request: _Request) -> str:
    """Version 1, when this was OpenGDPR, knew no other regulation and had no field for it."""
    if request.regulation is None:
        if (request.api_version or "").startswith("1"):
            return "gdpr"
        raise BadRowError("field regulation is missing")
    if request.regulation.lower() not in REGULATIONS:
        raise BadRowError(f"regulation {one_of(REGULATIONS)}")
    return request.regulation


def _subject(identities: Sequence[_Identity], identity_type: str) -> str:
    of_type = [each for each in identities if each.identity_type == identity_type]
    raw = {each.identity_value for each in of_type if each.identity_format == "raw"}
    if len(raw) == 1:
        return raw.pop()
    if raw:
        raise BadRowError(f"has several {identity_type} identities")
    if of_type:
        hashed = of_type[0].identity_format
        raise BadRowError(f"{identity_type} is hashed ({hashed}): only raw ones can be matched")
    raise BadRowError(f"has no identity of type {identity_type}")
