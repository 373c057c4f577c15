"""What setup.cfg cannot say: the folder templates/ is part of what is installed.

The catalogue, its worked cases included, becomes the folder ``catalogue`` of the package
``orchestrator``, whatever types there are: adding one changes no file outside ``templates/``.
An editable installation reads ``templates/`` itself.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithCatalogue(build_py):
    """Builds the packages, and puts the catalogue into one of them."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "orchestrator" / "catalogue"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(Path(__file__).parent / "templates", target)


setup(cmdclass={"build_py": BuildWithCatalogue})
