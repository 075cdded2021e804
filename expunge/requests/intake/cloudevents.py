"""CloudEvents 1.0 in the JSON event format, whose data is an OpenDSR request.

Specification: https://github.com/cloudevents/spec, spec.md and formats/json-format.md, 1.0.2. An
event is known by its source and id, so an event that is sent again is a duplicate.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from expunge.requests.intake import opendsr
from expunge.requests.intake.json_values import Value, parsed
from expunge.requests.intake.opendsr import Text
from expunge.requests.intake.rows import BadRowError, Row


class _Event(BaseModel):
    """Required attributes, and those that say how to read the data; null is as good as absent."""

    model_config = ConfigDict(hide_input_in_errors=True, frozen=True)

    specversion: Text
    id: Text
    source: Text
    type: Text
    time: Annotated[Text, AfterValidator(opendsr.checked_time)] | None = None
    datacontenttype: Text | None = None
    data_base64: Annotated[str, StringConstraints(strict=True)] | None = None


def rows(objects: Iterator[Value], identity_type: str) -> Iterator[Row]:
    """A row of each event."""
    for number, found in objects:
        try:
            if isinstance(found, BadRowError):
                raise found
            yield Row(number, _fields(found, identity_type))
        except BadRowError as bad:
            yield Row(number, bad)


def _fields(found: dict[str, Any], identity_type: str) -> dict[str, Any]:
    event = opendsr.validated(_Event, found)
    if event.specversion != "1.0":
        raise BadRowError("field specversion is not 1.0")
    asked = opendsr.fields_of(_data(event, found), identity_type)
    return {**asked, "source": event.source, "id": event.id}


def _data(event: _Event, found: dict[str, Any]) -> dict[str, Any]:
    if not _is_json(event.datacontenttype):
        raise BadRowError("field datacontenttype is not JSON")
    if event.data_base64 is None:
        data = found.get("data")
    elif "data" in found:
        raise BadRowError("gives both data and data_base64")
    else:
        data = _decoded(event.data_base64)
    if data is None:
        raise BadRowError("field data is missing")
    if not isinstance(data, dict):
        raise BadRowError("field data is not a JSON object")
    return data


def _is_json(media_type: str | None) -> bool:
    """JSON-formatted content: `*/json` or `*/*+json`, parameters aside; the default."""
    kind = (media_type or "application/json").partition(";")[0].strip().lower()
    return kind.endswith(("/json", "+json"))


def _decoded(text: str) -> Any:
    try:
        data = parsed(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise BadRowError("field data_base64 is not Base64") from None
    if isinstance(data, BadRowError):
        raise BadRowError("field data_base64 does not hold JSON")
    return data
