"""Prints, as JSON, what the user's own pip is configured with: files first, PIP_* variables last.

uv reads none of it. `pip config list` would tell the same, but pip itself may not be there.
"""

import configparser
import json
import os
import pathlib
import sys


def files():
    """pip's configuration files, the weakest first."""
    chosen = os.environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return []
    home = pathlib.Path.home()
    folders = [pathlib.Path(path) for path in os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if path]
    config_home = pathlib.Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    found = [folder / "pip" / "pip.conf" for folder in reversed(folders)]
    found += [pathlib.Path("/etc/pip.conf"), home / ".pip" / "pip.conf", config_home / "pip" / "pip.conf"]
    found += [pathlib.Path(sys.base_prefix) / "pip.conf"]
    if chosen:
        found.append(pathlib.Path(chosen))
    return found


def main():
    settings = {}
    parser = configparser.RawConfigParser()
    parser.read(files(), encoding="utf-8")
    for section in ("global", "install"):
        if parser.has_section(section):
            settings.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    for name, value in os.environ.items():
        if name.startswith("PIP_") and name not in ("PIP_CONFIG_FILE",):
            settings[name[4:].lower().replace("_", "-")] = value
    json.dump(settings, sys.stdout)


main()
