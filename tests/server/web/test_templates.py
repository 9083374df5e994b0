"""Templates use what their contexts have, and write no address themselves."""

import dataclasses
import importlib
import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
from jinja2 import meta, nodes

from zerostart.models.catalogue import catalogue
from zerostart.server.web import contexts
from zerostart.server.web.assets import Assets
from zerostart.server.web.links import Links
from zerostart.server.web.model_cards import FEATURED
from zerostart.server.web.rendering import TEMPLATES, Page, Renderer

importlib.import_module("zerostart.server.web.face")  # and with it every page
PAGES = Page.__subclasses__()
RENDERER = Renderer(Links(Assets()))
ENVIRONMENT = RENDERER.environment
AROUND = {"shell", *ENVIRONMENT.globals}


def used(template: str) -> set[str]:
    """The variables of a template and of those that it is made of."""
    source = (TEMPLATES / template).read_text("utf-8")
    tree = ENVIRONMENT.parse(source)
    imported = {each.target for each in tree.find_all(nodes.Import)} | {
        each.name for each in tree.find_all(nodes.Macro)
    }
    own = meta.find_undeclared_variables(tree) - imported  # jinja2 does not see these from within a block
    others = {name for name in meta.find_referenced_templates(tree) if name}
    return own.union(*(used(name) for name in others if name != "parts.html")) if others else own


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_a_template_uses_what_its_context_has_and_all_of_it(page: type[Page]) -> None:
    fields = {each.name for each in dataclasses.fields(page)}  # type: ignore[arg-type]
    assert used(page.template) - AROUND == fields


def test_every_template_belongs_to_a_page() -> None:
    known = {page.template for page in PAGES}
    for page in PAGES:
        known |= set(
            filter(None, meta.find_referenced_templates(ENVIRONMENT.parse((TEMPLATES / page.template).read_text())))
        )
    assert known == {path.name for path in TEMPLATES.iterdir()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_what_a_template_reads_of_its_values_is_there_by_their_types(page: type[Page]) -> None:
    assert list(unknown_attributes(page.template, dict(get_type_hints(page)))) == []


def unknown_attributes(template: str, scope: dict[str, Any]) -> Iterator[str]:
    """Attributes that a template reads and that the types of its variables do not have."""
    yield from _unknown(ENVIRONMENT.parse((TEMPLATES / template).read_text("utf-8")), scope)


def _unknown(node: nodes.Node, scope: dict[str, Any]) -> Iterator[str]:
    if isinstance(node, nodes.Macro):
        return  # its arguments have no types
    if isinstance(node, nodes.Include):
        assert isinstance(node.template, nodes.Const)
        yield from unknown_attributes(node.template.value, scope)
    if isinstance(node, nodes.Getattr):
        owner = type_of(node.node, scope)
        if dataclasses.is_dataclass(owner) and not hasattr_of(owner, node.attr):
            yield f"{getattr(owner, '__name__', owner)}.{node.attr}, line {node.lineno}"
    if isinstance(node, nodes.For) and isinstance(node.target, nodes.Name):
        scope = scope | {node.target.name: item_of(type_of(node.iter, scope))}
    for child in node.iter_child_nodes():
        yield from _unknown(child, scope)


def type_of(node: nodes.Node, scope: dict[str, Any]) -> Any:
    """The type of an expression; None where it is not known."""
    if isinstance(node, nodes.Name):
        return without_none(scope.get(node.name))
    if isinstance(node, nodes.Getattr):
        owner = type_of(node.node, scope)
        return without_none(get_type_hints(owner).get(node.attr)) if dataclasses.is_dataclass(owner) else None
    return type_of(node.node, scope) if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice) else None


def hasattr_of(owner: Any, name: str) -> bool:
    return name in {each.name for each in dataclasses.fields(owner)} or hasattr(owner, name)


def item_of(kind: Any) -> Any:
    arguments = get_args(kind)
    return without_none(arguments[0]) if len(arguments) == 1 else None


def without_none(kind: Any) -> Any:
    kinds = [each for each in get_args(kind) if each is not type(None)]
    return kinds[0] if len(kinds) == 1 and type(None) in get_args(kind) else kind


def test_a_misspelt_attribute_of_a_loop_s_value_is_found() -> None:
    tree = ENVIRONMENT.parse("{% for card in cards %}{{ card.name }}{{ card.nane }}{% endfor %}")
    hints = get_type_hints(contexts.HubPage)
    assert list(_unknown(tree, hints)) == ["ModelCard.nane, line 1"]


@pytest.mark.parametrize("path", sorted(TEMPLATES.iterdir()), ids=lambda path: path.name)
def test_a_template_writes_no_address_of_its_own(path: object) -> None:
    source = (TEMPLATES / str(path)).read_text("utf-8")
    addresses = re.findall(r'(?:href|action|src|hx-get|hx-post)="([^"]*)"', source)
    assert [each for each in addresses if not each.startswith(("{{", "#"))] == []


def test_featured_models_are_in_the_catalogue() -> None:
    assert set(FEATURED) <= {entry.id for entry in catalogue()}
