"""What every part of a factory file is made of: strict mappings, names, references. It knows no section."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

FactoryName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63)]
AssetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$", max_length=100)]
AliasName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*@[a-z0-9][a-z0-9_-]*$")]
Reference = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*(@[a-z0-9][a-z0-9_-]*)?$")]
"""An asset, or an alias with `@`."""
Bound = Annotated[float, Field(allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def wrong(text: str) -> PydanticCustomError:
    return PydanticCustomError("tenfold", "{text}", {"text": text})


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
