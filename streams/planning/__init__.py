"""Planned waves: routes for many tasks and riders at once, by solvers whose answers one checker judges."""
