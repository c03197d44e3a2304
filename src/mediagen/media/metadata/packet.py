"""XMP packets: our record put into one and read from one, beside what others wrote, which stays byte for byte.

Sources: XMP Specification Part 1, §7 (ISO 16684-1); Part 3, §1.1.
"""

import re
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape

from mediagen.media.metadata.layout import MAX_PACKET_BYTES, NotUnderstoodError, Span

NAMESPACE: Final = "urn:x-mediagen:record:1.0:"
MAX_DEPTH: Final = 100

_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RECORD: Final = f"{NAMESPACE} record"
_DESCRIPTION: Final = "http://purl.org/dc/elements/1.1/ description"
_CREATOR_TOOL: Final = "http://ns.adobe.com/xap/1.0/ CreatorTool"
_REMOTE_MANIFEST: Final = "http://purl.org/dc/terms/ provenance"
_WRITTEN_BY_US: Final = frozenset({_RECORD, _DESCRIPTION, _CREATOR_TOOL})
_ATTRIBUTE: Final = re.compile(rb"""\s+([^\s=/>]+)\s*=\s*(?:"[^"]*"|'[^']*')""")
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_EMPTY: Final = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="%b">\n</rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
) % _RDF.encode()


@dataclass(kw_only=True, slots=True)
class Packet:
    """What matters in a packet.

    Attributes:
        data: The packet itself.
        record: The text of our record.
        about: What the packet says it is about; all parts have to say the same.
        properties: Names of what others wrote.
        ours: The parts that we wrote, in order.
        end_of_descriptions: Where a further part belongs; 0 when there is none yet.
    """

    data: bytes
    record: str | None = None
    about: str = ""
    properties: set[str] = field(default_factory=set)
    ours: list[Span] = field(default_factory=list)
    end_of_descriptions: int = 0

    @property
    def names_manifest(self) -> bool:
        """Whether it says that a C2PA manifest of the file is kept elsewhere."""
        return _REMOTE_MANIFEST in self.properties


def read_packet(data: bytes) -> Packet:
    """Read a packet of any origin.

    Raises:
        NotUnderstoodError: It is no XMP in UTF-8, declares entities, is nested too deeply or too large.
    """
    if len(data) > MAX_PACKET_BYTES:
        raise NotUnderstoodError
    reader = _Reader(data)
    try:
        reader.parse()
    except (expat.ExpatError, ValueError) as error:
        raise NotUnderstoodError from error
    return reader.packet


def empty_packet() -> Packet:
    """A packet that says nothing yet."""
    return Packet(data=_EMPTY, end_of_descriptions=_EMPTY.index(b"</rdf:RDF>"))


def add_record(packet: Packet, record: str, description: str) -> bytes:
    """Put a record into a packet, in place of an earlier one.

    Args:
        packet: What others wrote into it stays as it is.
        record: JSON text without characters that XML does not allow.
        description: Text for `dc:description`, unless others wrote one; empty for none.
    """
    if not packet.end_of_descriptions:
        packet = empty_packet()
    parts, at = [], 0
    for span in packet.ours:
        parts.append(packet.data[at : span.start])
        at = span.end
    parts.append(packet.data[at : packet.end_of_descriptions])
    parts.append(_description(packet, record, description))
    parts.append(packet.data[packet.end_of_descriptions :])
    return b"".join(parts)


def _description(packet: Packet, record: str, description: str) -> bytes:
    about = escape(packet.about, {'"': "&quot;"})
    parts = [f'<rdf:Description xmlns:rdf="{_RDF}" rdf:about="{about}" xmlns:mediagen="{NAMESPACE}"']
    parts.append(' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">')
    if _CREATOR_TOOL not in packet.properties:
        parts.append("<xmp:CreatorTool>mediagen</xmp:CreatorTool>")
    if description and _DESCRIPTION not in packet.properties:
        text = escape(_NO_XML.sub("\ufffd", description), {"\r": "&#13;"})
        parts.append(
            f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:description>'
        )
    parts.append(f"<mediagen:record>{escape(record)}</mediagen:record></rdf:Description>")
    return "".join(parts).encode()


@dataclass(slots=True)
class _Part:
    """An rdf:Description while it is read."""

    start: int
    names: set[str] = field(default_factory=set)
    ours: list[Span] = field(default_factory=list)


class _Reader:
    """Reads a packet with expat, which tells at which byte each thing stands."""

    def __init__(self, data: bytes) -> None:
        self.packet = Packet(data=data)
        self._parts = 0
        self._has_rdf = False
        self._path: list[tuple[str, int]] = []
        self._part: _Part | None = None
        self._part_depth = 0
        self._prefixes: set[bytes] = set()
        self._text: list[str] | None = None
        self._parser = expat.ParserCreate("utf-8", " ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse
        self._parser.StartNamespaceDeclHandler = self._on_namespace
        self._parser.StartElementHandler = self._on_start
        self._parser.EndElementHandler = self._on_end
        self._parser.CharacterDataHandler = self._on_text

    def parse(self) -> None:
        # Some programs pad with zero bytes, which are no XML.
        self._parser.Parse(self.packet.data.rstrip(b"\0"), True)
        if not self._has_rdf:
            raise NotUnderstoodError

    def _refuse(self, *_: object) -> None:
        raise NotUnderstoodError

    def _on_namespace(self, prefix: str | None, uri: str) -> None:
        if uri == NAMESPACE and prefix:
            self._prefixes.add(prefix.encode())

    def _on_start(self, name: str, attributes: dict[str, str]) -> None:
        start = self._parser.CurrentByteIndex
        parent = self._path[-1][0] if self._path else ""
        self._path.append((name, start))
        if len(self._path) > MAX_DEPTH:
            raise NotUnderstoodError
        if self._part is None and parent == f"{_RDF} RDF":
            if name != f"{_RDF} Description":
                raise NotUnderstoodError
            self._start_part(start, attributes)
        elif self._part is not None and len(self._path) == self._part_depth + 1:
            self._part.names.add(name)
            self._text = [] if name == _RECORD else None

    def _start_part(self, start: int, attributes: dict[str, str]) -> None:
        self._part, self._part_depth = _Part(start), len(self._path)
        self._parts += 1
        about = attributes.pop(f"{_RDF} about", None) or attributes.pop("about", None)
        self.packet.about = self.packet.about or about or ""
        self._part.names.update(attributes)
        if _RECORD in attributes:
            self.packet.record = attributes[_RECORD]
        count = sum(name.startswith(f"{NAMESPACE} ") for name in attributes)
        if count:
            self._part.ours.extend(self._attributes_of_ours(start))
        if len(self._part.ours) != count:
            raise NotUnderstoodError

    def _attributes_of_ours(self, tag: int) -> list[Span]:
        data = self.packet.data
        at = re.compile(rb"<[^\s/>]+").match(data, tag)
        found, end = [], at.end() if at else tag
        while attribute := _ATTRIBUTE.match(data, end):
            end = attribute.end()
            if attribute[1].partition(b":")[0] in self._prefixes:
                found.append(Span(attribute.start(), end))
        return found

    def _on_text(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _on_end(self, name: str) -> None:
        _, start = self._path.pop()
        depth, index = len(self._path) + 1, self._parser.CurrentByteIndex
        if self._part is not None and depth == self._part_depth + 1:
            if self._text is not None:
                self.packet.record, self._text = "".join(self._text), None
            if name.startswith(f"{NAMESPACE} "):
                self._part.ours.append(Span(start, self._end_of_tag(start, index)))
        elif self._part is not None and depth == self._part_depth:
            self._end_part(self._part, self._end_of_tag(start, index))
            self._part = None
        elif name == f"{_RDF} RDF" and self._part is None:
            self._has_rdf = True
            self.packet.end_of_descriptions = index if self._parts else 0

    def _end_part(self, part: _Part, end: int) -> None:
        if _RECORD in part.names and part.names <= _WRITTEN_BY_US:
            self.packet.ours.append(Span(part.start, end))
            return
        self.packet.ours.extend(part.ours)
        self.packet.properties.update(name for name in part.names if not name.startswith(f"{NAMESPACE} "))

    def _end_of_tag(self, start: int, index: int) -> int:
        """Behind an element; one that is closed in its own tag ends where it starts, says expat."""
        data = self.packet.data
        if index != start:
            return data.index(b">", index) + 1
        at = re.compile(rb"<[^\s/>]+").match(data, start)
        end = at.end() if at else start
        while attribute := _ATTRIBUTE.match(data, end):
            end = attribute.end()
        return data.index(b">", end) + 1
