"""This installation as the settings' page tells of it: where data lies, versions, the settings in force."""

import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version

from zerostart.server.web.formats import bytes_shown
from zerostart.server.web.settings_contexts import PlaceRow, SettingRow
from zerostart.services.disk_use import DiskUse
from zerostart.settings import Settings

_PACKAGES = {"Zerostart": "zerostart", "OpenVINO": "openvino", "ONNX Runtime": "onnxruntime", "PyTorch": "torch"}
_EMPTY = "empty"


def place_rows(disk: DiskUse, settings: Settings, wait_s: float) -> Sequence[PlaceRow]:
    """Where things lie, with their sizes if these are known within `wait_s`; then what is elsewhere."""
    sizes = disk.sizes(wait_s)
    rows = [
        PlaceRow(
            place.name,
            str(place.paths[0]),
            place.purpose,
            None if sizes is None else bytes_shown(sizes[place.name]) if sizes[place.name] else _EMPTY,
        )
        for place in disk.places
    ]
    if settings.storage != "local":
        address = without_secret(settings.storage_endpoint_url) or "AWS"
        rows.append(PlaceRow("Buckets", address, "In a service with S3's API.", "not here"))
    if settings.database_url:
        rows.append(PlaceRow("Database", without_secret(settings.database_url), "By database_url.", "not measured"))
    return rows


def free_shown(settings: Settings) -> str:
    """How much room is left on the disk with the home folder."""
    return bytes_shown(shutil.disk_usage(settings.home).free)


def versions() -> Mapping[str, str]:
    """What is installed, by name; an engine that is not, is left out."""
    found = {}
    for name, package in _PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return {**found, "Python": platform.python_version(), "System": f"{platform.system()} {platform.release()}"}


def setting_rows(settings: Settings, sources: Mapping[str, str]) -> Sequence[SettingRow]:
    """The settings in force. What may hold a password is shown without it."""
    return [
        SettingRow(
            each.name,
            without_secret(str(getattr(settings, each.name))) or _EMPTY,
            sources[each.name],
            each.metadata["description"].replace("`", ""),
        )
        for each in fields(settings)
    ]


def without_secret(value: str) -> str:
    """A value as it is, but for an address: that is shown without its password and its parameters."""
    if "://" not in value:
        return value
    # Up to the last @, since a password may hold what ought to have been percent-encoded.
    address, _, parameters = re.sub(r"(://[^/@:]*):.*@", r"\1:…@", value).partition("?")
    return f"{address}?…" if parameters else address
