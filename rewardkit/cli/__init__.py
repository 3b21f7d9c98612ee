"""The command line of rewardkit; see :func:`rewardkit.cli.main.main`."""
