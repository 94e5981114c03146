"""`gateway drivers [NAME]`: what can be wired, and how: pins, options, ranges, faults, a sample to paste."""

import argparse
import difflib
import sys

from drivers import pages, registry
from gateway.cli.terminal import ask
from gateway.cli.terminal.table import print_table
from gateway.core.driver import Spec

HELP = "show the parts that can be wired, one part's page, or a sample to paste"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("name", nargs="?", default="", help="a driver: show its page")
    parser.add_argument("--sample", action="store_true", help="print YAML for the site file instead of the page")
    ask.add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the list, a page or a sample; 1 for a name that nobody knows."""
    name, known = arguments.name, registry.known()
    if not name:
        if arguments.sample:
            return _fail(f"--sample needs a driver, e.g. gateway drivers --sample {known[0]}")
        return _list(arguments.json)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        return _fail(f"no driver {name!r}; " + (f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"))
    spec = _loaded(name)
    if spec is None:
        return ask.FAILED
    if arguments.sample:
        sys.stdout.write(pages.sample(spec))
    elif arguments.json:
        ask.print_json(pages.description(spec))
    else:
        _show(pages.page(spec))
    return ask.DONE


def _list(as_json: bool) -> int:
    specs = [spec for name in registry.known() if (spec := _loaded(name)) is not None]
    if as_json:
        ask.print_json([pages.description(spec) for spec in specs])
    else:
        print_table(
            ("driver", "part", "bus", "verified"),
            [(spec.name, spec.title, ", ".join(spec.buses), spec.verified) for spec in specs],
        )
    return ask.DONE


def _loaded(name: str) -> Spec | None:
    """The part's description; None, and a word on stderr, when the package that brings it is broken."""
    try:
        return registry.load(name)
    except Exception as error:  # a package of others may raise anything when it is imported
        _fail(f"driver {name!r} can't be loaded ({type(error).__name__}: {error}): repair its package")
        return None


def _show(page: str) -> None:
    """Markdown, drawn when a person looks at it."""
    if not sys.stdout.isatty():
        sys.stdout.write(page)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(page))


def _fail(message: str) -> int:
    print(f"gateway drivers: {message}", file=sys.stderr)
    return ask.FAILED
