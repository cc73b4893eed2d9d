"""Print the dependencies that pyproject.toml names, one a line, so that they are a layer."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = [line for name in sys.argv[1:] for line in project["optional-dependencies"][name]]
print("\n".join([*project["dependencies"], *extras]))
