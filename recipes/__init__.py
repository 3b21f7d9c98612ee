"""Data sets paired with reward stacks, each run by one command: ``python -m recipes.NAME``."""
