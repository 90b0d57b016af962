"""Who we are, in the words that clients of the reference engine ask with.

`COMPATIBLE_VERSION` is the release of the reference engine whose rule language and interfaces
Lanner follows; installers of rules compare against it. Lanner's own version stands beside it.
Source: spec/peers.md 1c and 1e.
"""

from msgspec import Struct

from exporter import __version__

COMPATIBLE_VERSION = "0.44.1"
ENGINE_VERSION = (0, 63, 0)
DRIVER_SCHEMA_VERSION = "4.5.1"
DRIVER_API_VERSION = "10.1.0"


class Versions(Struct, frozen=True, kw_only=True):
    """The JSON object of `/versions`; the keys are those that falcoctl reads, and our own."""

    falco_version: str = COMPATIBLE_VERSION
    lanner_version: str = __version__
    libs_version: str = ""
    plugin_api_version: str = ""
    driver_api_version: str = DRIVER_API_VERSION
    driver_schema_version: str = DRIVER_SCHEMA_VERSION
    default_driver_version: str = ""
    engine_version: str = str(ENGINE_VERSION[1])
    engine_version_semver: str = ".".join(map(str, ENGINE_VERSION))
    plugin_versions: dict[str, str] = {}
