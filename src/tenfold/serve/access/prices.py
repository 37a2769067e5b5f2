"""What tokens cost, per model: an upper bound before an answer, the price after it. Pure: prices come from
configuration. It knows no budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tenfold.errors import ConfigError
from tenfold.serve.backends.base import TokenUsage

_MILLION = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Of one model, in USD per million tokens. Raises ConfigError for one below 0."""

    input_usd: float
    output_usd: float
    cached_usd: float | None = None
    """Of prompt tokens the backend had in its cache; None: as any other."""
    max_output_tokens: int = 4096
    """What an answer is taken for, beforehand, when the request does not say."""

    def __post_init__(self) -> None:
        for name in ("input_usd", "output_usd", "cached_usd"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ConfigError(f"a price must be 0 or more ({name})", seen=value)
        if self.max_output_tokens < 1:
            raise ConfigError("max_output_tokens must be 1 or more", seen=self.max_output_tokens)


class PriceBook:
    """The prices of all models; a model without one is free, unless there is a default."""

    def __init__(self, prices: Mapping[str, Price], default: Price | None = None) -> None:
        self._prices = dict(prices)
        self._default = default

    def estimate(
        self, model: str, prompt_bytes: int, max_tokens: int | None, choices: int = 1
    ) -> float:
        """At most what a request can cost, in USD. A token is at least one byte of the request's body
        (its JSON is longer than what the chat template adds), so its length bounds the prompt. What a
        backend fetches by itself, a picture behind a URL say, is not covered."""
        price = self._prices.get(model, self._default)
        if price is None:
            return 0.0
        output = price.max_output_tokens if max_tokens is None else max_tokens
        dearest = price.input_usd
        if price.cached_usd is not None and price.cached_usd > dearest:
            dearest = price.cached_usd
        return (prompt_bytes * dearest + output * choices * price.output_usd) / _MILLION

    def cost(self, model: str, usage: TokenUsage) -> float:
        """What an answer came to, in USD."""
        price = self._prices.get(model, self._default)
        if price is None:
            return 0.0
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        cached_usd = price.input_usd if price.cached_usd is None else price.cached_usd
        return (
            (usage.prompt_tokens - cached) * price.input_usd
            + cached * cached_usd
            + usage.completion_tokens * price.output_usd
        ) / _MILLION
