"""What runs on the far side: a server process that forks one confined process per test.

These modules are loaded by a bare interpreter under the package name ``inside`` (see
:mod:`rewardkit.sandbox.server`), never by the process that trains. They import nothing of rewardkit.
"""
