"""Templates use what their contexts have, and write no address themselves."""

import dataclasses
import importlib
import re
import typing

import pytest
from jinja2 import meta, nodes

from zerostart.models.catalogue import catalogue
from zerostart.server.web.assets import Assets
from zerostart.server.web.hub_pages import FEATURED
from zerostart.server.web.links import Links
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


def value_types(page: type[Page]) -> dict[str, type]:
    """The dataclasses that a template's variables hold: fields, and what loops over them go through."""
    found: dict[str, type] = {}
    for name, hint in typing.get_type_hints(page).items():
        for each in (hint, *typing.get_args(hint)):
            if isinstance(each, type) and dataclasses.is_dataclass(each):
                found[name] = each
    tree = ENVIRONMENT.parse((TEMPLATES / page.template).read_text("utf-8"))
    for loop in tree.find_all(nodes.For):
        held = held_by(loop.iter, found)
        if held is not None and isinstance(loop.target, nodes.Name):
            found[loop.target.name] = held
    return found


def held_by(value: nodes.Node, known: dict[str, type]) -> type | None:
    """The dataclass of a variable, or of one of its attributes."""
    if isinstance(value, nodes.Name):
        return known.get(value.name)
    if isinstance(value, nodes.Getattr) and (owner := held_by(value.node, known)):
        hint = typing.get_type_hints(owner).get(value.attr)
        return next((each for each in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(each)), None)  # type: ignore[return-value]
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_contexts_are_frozen_and_have_every_attribute_that_their_templates_read(page: type[Page]) -> None:
    assert page.__dataclass_params__.frozen  # type: ignore[attr-defined]
    known = value_types(page)
    tree = ENVIRONMENT.parse((TEMPLATES / page.template).read_text("utf-8"))
    read = [(owner, each.attr) for each in tree.find_all(nodes.Getattr) if (owner := held_by(each.node, known))]
    assert [(owner.__name__, name) for owner, name in read if not has_attribute(owner, name)] == []


def has_attribute(owner: type, name: str) -> bool:
    return name in typing.get_type_hints(owner) or hasattr(owner, name)


def test_every_template_belongs_to_a_page() -> None:
    known = {page.template for page in PAGES}
    for page in PAGES:
        known |= set(
            filter(None, meta.find_referenced_templates(ENVIRONMENT.parse((TEMPLATES / page.template).read_text())))
        )
    assert known == {path.name for path in TEMPLATES.iterdir()}


@pytest.mark.parametrize("path", sorted(TEMPLATES.iterdir()), ids=lambda path: path.name)
def test_a_template_writes_no_address_of_its_own(path: object) -> None:
    source = (TEMPLATES / str(path)).read_text("utf-8")
    addresses = re.findall(r'(?:href|action|src|hx-get|hx-post)="([^"]*)"', source)
    assert [each for each in addresses if not each.startswith(("{{", "#"))] == []


def test_featured_models_are_in_the_catalogue() -> None:
    assert set(FEATURED) <= {entry.id for entry in catalogue()}
