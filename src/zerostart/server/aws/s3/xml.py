"""S3's XML, out and in."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from starlette.responses import Response

from zerostart.server.aws.s3.errors import S3Error, printable

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def xml_response(name: str, members: Mapping[str, Any], status: int = 200) -> Response:
    """A document whose root is `name`: a list becomes repeated elements, None is left out."""
    root = ET.Element(name, {"xmlns": NAMESPACE})
    _add(root, members)
    return Response(ET.tostring(root, encoding="utf-8", xml_declaration=True), status, media_type="application/xml")


def parse(content: bytes, root: str) -> ET.Element:
    """The root element, tags without their namespace. Raises S3Error; documents that define entities are refused."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise S3Error("MalformedXML", "The XML must not define a document type.")
    try:
        element = ET.fromstring(content)  # noqa: S314 - no document type, so no entities
    except ET.ParseError as error:
        raise S3Error("MalformedXML", f"The XML you provided was not well-formed: {error}.") from error
    for each in element.iter():
        each.tag = each.tag.rpartition("}")[2]
    if element.tag != root:
        raise S3Error("MalformedXML", f"The XML must be a {root}, not a {element.tag[:50]}.")
    return element


def _add(parent: ET.Element, members: Mapping[str, Any]) -> None:
    for name, value in members.items():
        for each in value if isinstance(value, Sequence) and not isinstance(value, str) else [value]:
            if each is None:
                continue
            child = ET.SubElement(parent, name)
            if isinstance(each, Mapping):
                _add(child, each)
            elif isinstance(each, bool):
                child.text = str(each).lower()
            else:
                child.text = printable(str(each))
