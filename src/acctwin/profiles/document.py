"""A YAML file as plain values, with the line and column of each key and value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from acctwin.errors import Fault
from acctwin.profiles.files import Text, place

#: The way to a value: keys of mappings and indices of lists.
Way: TypeAlias = tuple[str | int, ...]

Place: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Document:
    """A YAML file that could be parsed.

    Attributes:
        file: Its path for messages.
        data: Nested dicts and lists; a scalar is None, a bool, or its text. Numbers
            stay text, so that ``1e-4`` (text for YAML) and ``010`` mean what an
            operator expects.
        keys: Line and column of each key, by the way to its value.
        values: Line and column of each value.
    """

    file: str
    data: Any
    keys: dict[Way, Place] = field(default_factory=dict[Way, Place])
    values: dict[Way, Place] = field(default_factory=dict[Way, Place])

    def at(self, way: Way) -> Any:
        """Return the value that a way leads to, or None."""
        if way not in self.values:
            return None
        value = self.data
        for step in way:
            value = value[step]
        return value

    def fault(self, way: Way, message: str, at_key: bool = False) -> Fault:
        """Return a fault at a value or at its key.

        A way that leads nowhere (a missing key) is placed at the section it is
        missing from.
        """
        marks = self.keys if at_key else self.values
        if way in marks:
            return Fault(self.file, *marks[way], message)
        while way and way not in self.keys:
            way = way[:-1]
        return Fault(self.file, *self.keys.get(way, (1, 1)), message)


def read_document(text: Text) -> tuple[Document | None, list[Fault]]:
    """Parse a YAML file.

    Returns:
        The document, or None if it is not YAML; and all faults of form: bad syntax,
        duplicate keys, anchors that contain themselves.
    """
    try:
        root = yaml.SafeLoader(text.content).get_single_node()
    except yaml.MarkedYAMLError as error:
        return None, [_syntax_fault(text.file, error)]
    except yaml.reader.ReaderError as error:
        return None, [_character_fault(text, error)]
    document, faults = Document(text.file, None), list[Fault]()
    data: Any = {}
    if root is not None:
        data = _value(root, (), document, faults, ())
    return Document(text.file, data, document.keys, document.values), faults


def _value(
    node: yaml.Node,
    way: Way,
    document: Document,
    faults: list[Fault],
    above: tuple[yaml.Node, ...],
) -> Any:
    """Return the plain value of a node; note places and faults on the way."""
    document.values[way] = _place(node)
    if any(node is other for other in above):
        faults.append(document.fault(way, "this anchor contains itself"))
        return None
    above = (*above, node)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, way, document, faults, above)
    if isinstance(node, yaml.SequenceNode):
        return [
            _value(item, (*way, index), document, faults, above)
            for index, item in enumerate(node.value)
        ]
    return _scalar(node)


def _mapping(
    node: yaml.MappingNode,
    way: Way,
    document: Document,
    faults: list[Fault],
    above: tuple[yaml.Node, ...],
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key in found:
            line, column = document.keys[(*way, key)]
            message = f"duplicate key {key!r}; the first one is at {line}:{column}"
            faults.append(Fault(document.file, *_place(key_node), message))
            continue
        document.keys[(*way, key)] = _place(key_node)
        found[key] = _value(value_node, (*way, key), document, faults, above)
    return found


def _scalar(node: yaml.Node) -> str | bool | None:
    if node.tag == "tag:yaml.org,2002:null":
        return None
    if node.tag == "tag:yaml.org,2002:bool":
        return str(node.value).lower() in ("yes", "true", "on")
    return str(node.value)


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _syntax_fault(file: str, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    parts = [part for part in (error.context, error.problem) if part]
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Fault(file, line, column, "not valid YAML: " + ", ".join(parts))


def _character_fault(text: Text, error: yaml.reader.ReaderError) -> Fault:
    character = text.content[error.position]
    message = f"not valid YAML: the character {character!r} is not allowed"
    return Fault(text.file, *place(text.content, error.position), message)
