"""What a handler may ask for by name, beside its path, query and body.

| name | type | what |
|---|---|---|
| `database` | `Database` | the ledger |
| `settings` | `Settings` | the settings of this installation |
| `vault` | `Vault` | seals and opens credentials |
| `principal` | `Principal` | who acts, in which workspace, with which role |
| `now` | `datetime` | the time of this request |
| `enqueue` | `Enqueue` | wakes an actor by name, after the commit (`enqueue("plan")`) |
| `window` | `Window` | `?limit=` and `?after=` of a list in pages |
| `resolver` | `Resolver` | asks the DNS |
| `gate` | `Gate` | slows down who guesses passwords |

`def list_domains(self, database: Given[Database], principal: Given[Principal]) -> ...`: the name decides what comes, the type is for the reader and mypy.
"""

from collections.abc import Callable
from typing import Annotated, TypeAlias, TypeVar

from litestar.di import Dependency
from litestar.params import SkipValidationMarker

T = TypeVar("T")

Given: TypeAlias = Annotated[T, Dependency(kind="named"), SkipValidationMarker()]

Enqueue = Callable[[str], None]
