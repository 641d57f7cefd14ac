"""YAML, with two traps taken out: a key that is given twice is refused, and only true and false are booleans.

YAML 1.1 reads `off`, `no` and `y` as booleans; half of our keys take "off" as a word, so the rule of YAML 1.2 holds
here.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from supervisor.config.formats.document import Document, Place
from supervisor.config.problem import ConfigError, Problem, Refused, quoted
from supervisor.config.readers import Source, kind

#: Deeper than any configuration, and far from where libyaml's composer overruns the C stack: it recurses without a
#: check, and 200,000 brackets end the process.
_DEEPEST = 100
_BOOLEAN = "tag:yaml.org,2002:bool"
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # chosen at run time: libyaml's, where it is there
    """A safe loader that refuses duplicate keys and reads YAML 1.2's booleans."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the attribute that the library reads
        first: [(tag, regexp) for tag, regexp in resolvers if tag != _BOOLEAN]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        """A mapping, after its own keys were seen to differ; what a merge (`<<`) brings may be overridden."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {quoted(key.value)} is given twice", key.start_mark
                )
            seen.add((key.tag, key.value) if isinstance(key, yaml.ScalarNode) else (None, id(key)))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(_BOOLEAN, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def _check_depth(text: str) -> None:
    """Refuse what nests too deeply, by its events, which the parser gives one by one without recursion."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise Refused("nested too deeply")


def load(text: str, place: Place) -> Document:
    """A document of YAML; an empty one is an empty configuration."""
    try:
        _check_depth(text)
        tree = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise ConfigError([Problem(place.label, "", f"cannot parse: {error.problem or error.context}", line)]) from None
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # The library constructs values without checking them: !!int "", !!float x and 2024-13-01 raise what they like.
        raise ConfigError([Problem(place.label, "", f"cannot parse: {error}")]) from None
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError([Problem(place.label, "", f"must be a mapping, not {kind(tree)}")])
    return Document(place.label, Source(place.base, place.host.environ), tree)
