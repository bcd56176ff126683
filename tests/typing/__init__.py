"""Programs that type checkers read and nobody runs.

mypy and pyright must accept each line, but those that are marked ``type: ignore``, which both must refuse:
a mark that is not needed is an error of its own.
"""
