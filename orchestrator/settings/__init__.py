"""All settings, in one place (CONTRACT section 1): their names, forms and sentences.

Every fault of all of them is told at once, and the process does not start.

| module | concern |
|---|---|
| :mod:`.environment` | finds the texts: environment, environment file, files of one secret |
| :mod:`.forms` | forms of values, and marks such as *secret* |
| :mod:`.servers`, :mod:`.work`, :mod:`.shared` | the settings, in groups |
| :mod:`.model` | all groups as one value, :class:`Settings` |
| :mod:`.checks` | what is wrong with a text, a file or a prefix, in sentences |
| :mod:`.together` | what does not go together |
| :mod:`.reading` | all of it in order: :func:`load`, :func:`read` |
"""

from .forms import LONGEST, Mark
from .model import Settings, hidden
from .reading import Loaded, load, read
from .servers import endpoints

__all__ = (
    "LONGEST",
    "Loaded",
    "Mark",
    "Settings",
    "endpoints",
    "hidden",
    "load",
    "read",
)
