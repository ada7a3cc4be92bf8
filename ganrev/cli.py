"""The `ganrev` command: one set of subcommands, each of which imports what it needs when it is called."""

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from ganrev import __version__
from ganrev.errors import fail, plain_errors
from ganrev.terminal import print_anything

# Each subcommand: its module in ganrev.commands, and a line for `ganrev --help`, which imports none of them.
COMMANDS = {
    "compress": ("files", "picture to .gr"),
    "decompress": ("files", ".gr to PNG"),
    "info": ("files", "what a .gr file says about itself"),
    "sample": ("files", "pictures from the generator's prior, as one PNG or a folder of them"),
    "demo": ("trying", "a local page: drop a photo, watch it being compressed"),
    "run": ("running", "evaluate a codec over a data set (Hydra overrides follow)"),
    "runs": ("running", "list stored runs, and what each was"),
    "table": ("tables", "measure each row of a table, such as the paper's Table 1"),
    "figures": ("tables", "draw figures from stored runs"),
    "rd": ("tables", "bytes against every measure, curve beside curve"),
    "automatic": ("tables", "automatic mode against the best of a full grid"),
    "sweep": ("tables", "run a grid, then gather one CSV"),
    "collect": ("running", "merge the shards of runs into whole runs"),
    "verify": ("running", "do a run's files still give its scores?"),
    "recode": ("running", "other quantisers for latents that a run has found"),
    "report": ("reporting", "one HTML file of stored runs: scores, curves, pictures side by side"),
    "compare": ("reporting", "runs on the same pictures, picture by picture"),
    "export": ("reporting", "runs as a curve that another project's tools read"),
    "bench": ("measuring", "speed and memory beside a plain loop"),
    "bench-report": ("measuring", "how long a report takes to write and to open"),
    "realism": ("measuring", "how real do a generator's samples look?"),
    "hash-rates": ("measuring", "how often the perceptual hash of training faces errs"),
    "fetch-identity": ("measuring", "fetch the network behind the column `identity`"),
    "licences": ("reporting", "licences of all that is shipped, fetched or installed"),
    "alignment": ("trying", "how far alignment misses the frame of faces"),
    "qr-codes": ("trying", "how often QR codes of files are read back from photos"),
    "train": ("training", "train the embedded generator (Hydra overrides follow)"),
    "train-frame": ("training", "train the network that refines the frame of a face"),
    "face-prior": ("training", "fit a density of faces, from which samples look like faces"),
    "latents": ("training", "how widely each latent spreads, and how visible it is"),
}


class _Commands(click.Group):
    """The subcommands, imported one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"ganrev.commands.{COMMANDS[cmd_name][0]}")
        return getattr(module, cmd_name.replace("-", "_"))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="ganrev %(version)s")
def _ganrev() -> None:
    """Compress a face by finding the latent vector of a frozen GAN generator that redraws it, and measure that.

    `ganrev COMMAND --help` has the options and an example. Options of the model are Hydra's overrides, such as
    loss=mse quant=standard reversal.steps=800; `ganrev run --help` lists them all.
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake prints one line and exits with status 2."""
    print_anything()
    arguments = list(sys.argv[1:] if argv is None else argv)
    with plain_errors():
        try:
            status = _ganrev.main(arguments, prog_name="ganrev", standalone_mode=False)
        except click.Abort:  # click's own name for Ctrl-C
            raise KeyboardInterrupt from None
        except click.exceptions.NoArgsIsHelpError as error:
            print(error.format_message(), file=sys.stderr)
            raise SystemExit(2) from None
        except click.UsageError as error:
            if error.ctx is not None:
                print(error.ctx.get_usage(), file=sys.stderr)
            fail(error.format_message())
        except click.ClickException as error:
            fail(error.format_message())
    if status:  # a check that failed, as `ganrev verify` has
        raise SystemExit(status)


if __name__ == "__main__":
    main()
