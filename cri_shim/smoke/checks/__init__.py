"""The checks, a module for each capability: plain functions that are given a `Subject`, each with its promise.

Their names are their ids, so that they are not renamed lightly; `docs/smoke.md` lists them.
"""
