"""Recipes from elsewhere: settings of other tools, translated into ours, and what differs.

A tool is a function ``(given, objective, schooling, num_classes)`` in a file of its own that puts
its loss, as a weighted sum of the labels' cross-entropy and one of our teacher terms, into
``objective``, and a line in ``importing.py``.
"""

from goodteacher.public.recipes.importing import TOOLS, ImportedRecipe, import_recipe

__all__ = ["TOOLS", "ImportedRecipe", "import_recipe"]
