"""The command `ganrev`, also `python -m ganrev`: quiet where Ctrl-C comes while it is still being imported."""


def main() -> None:
    """Run the command line (`ganrev.cli`); Ctrl-C ends with status 130 from the first import on."""
    try:
        from ganrev.cli import main as run_command

        run_command()
    except KeyboardInterrupt:  # before `ganrev.cli` could take care of it
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
