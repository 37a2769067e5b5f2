"""factory.yaml: what may stand in it, how it is read with places, and its JSON Schema for editors.

    load.load(path) -> models.FactorySpec

Knows `core` and the errors. It starts nothing and imports no step: the composition root hands in the
resolver that turns a step's name into a Step.
"""
