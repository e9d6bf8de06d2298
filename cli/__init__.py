"""The one command: ``vitrine``. Thin: parses, calls, prints; imports heavy things lazily."""
