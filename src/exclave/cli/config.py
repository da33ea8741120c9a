"""`exclave config`: make and check the configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from exclave.cli.output import err, fail, out
from exclave.config import DEFAULT_FILE, load_config
from exclave.config_reference import file_template, reference_page

app = typer.Typer(help="Make and check the configuration.", no_args_is_help=True)

ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="EXCLAVE_CONFIG",
        help=f"Configuration file. Default: {DEFAULT_FILE} in the working directory, if there is one.",
        metavar="FILE",
    ),
]


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write.", metavar="FILE")] = Path(DEFAULT_FILE),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a configuration file with every key and its meaning."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(file_template())
    except FileExistsError:
        fail(f"{path} exists: name another file, or overwrite it with --force")
    except OSError as error:
        fail(f"can't write {path}: {error.strerror}")
    err.print(
        f"Wrote {path}. Fill in [l1], [signer] and [operator], then run `exclave doctor --config {path}`.", markup=False
    )


@app.command()
def check(config: ConfigPath = None) -> None:
    """Check the configuration, and show it without secrets."""
    loaded = load_config(config)
    for section, model in loaded:
        out.print(f"[{section}]", markup=False, highlight=False)
        for key, value in model:
            out.print(f"{key} = {value if value is not None else '-'}", markup=False, highlight=False, soft_wrap=True)
    err.print("The configuration is valid. `exclave doctor` checks what it refers to.")


@app.command(hidden=True)
def reference() -> None:
    """Print docs/configuration.md."""
    typer.echo(reference_page(), nl=False)
