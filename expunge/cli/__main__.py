"""`python -m expunge.cli`."""

from expunge.cli.app import main

if __name__ == "__main__":
    main()
