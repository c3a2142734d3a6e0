"""`python -m alphapulse`."""

from alphapulse.cli.app import main

if __name__ == "__main__":
    main()
