"""``python -m qalita_action``."""

from qalita_action.cli import main

if __name__ == "__main__":
    main()
