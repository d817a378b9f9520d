"""The LoRA compute unit: applies and trains the adapters of one layer (contract, sections 2 to 4 and 6)."""

from .unit import LoraUnit

__all__ = ["LoraUnit"]
