"""The words of a command line before typer reads them: options of several words, formulas that begin with a minus."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from descender.errors import CostError, DescenderError, DivergedError

SEVERAL = ("--start", "--range", "--bounds", "--constant", "--set")
"""Options that take NAME=VALUE words until the next option."""
SCHEDULED = ("--learning-rate", "--alpha", "-a")
"""Options that take a name and numbers, such as ``inverse-time 0.1 0.01``."""
COUNTED = {"--table": "5", "--exact": "10"}
"""Options whose number may be left out."""
NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
PYTHON_NAMES = {
    "max_steps": "steps",
    "max_epochs": "epochs",
    "max_evaluations": "evaluations",
    "max_seconds": "seconds",
}


class Verbs(TyperGroup):
    """The command that has the verbs."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As typer does, but for its word beside flags."""
        bare_flags(self.get_params(ctx))
        super().format_help(ctx, formatter)


def bare_flags(params: Iterable[Any]) -> None:
    """Say nothing beside an option that takes no value, where newer versions of typer say <bool>."""
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""


class Verb(TyperCommand):
    """A verb that takes several words after an option, and says what is wrong without a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Rewrite the words into the form that typer reads."""
        options = {name: not getattr(param, "is_flag", False) for param in self.params for name in param.opts}
        return super().parse_args(ctx, rewrite(list(args), {**options, "--help": False, "-h": False}))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Fill in the methods, which only a reader of the help must wait for."""
        for param in self.params:
            text = getattr(param, "help", None) or ""
            if "{methods}" in text or "{rules}" in text:
                from descender.methods.auto import METHODS
                from descender.methods.rules import RULES

                text = text.format(methods=", ".join(METHODS), rules=", ".join(RULES))
                param.help = text  # type: ignore[attr-defined]
        bare_flags(self.get_params(ctx))
        super().format_help(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; an error of ours becomes its message and an exit status."""
        from descender.cli.output import complain

        try:
            return super().invoke(ctx)
        except DescenderError as error:
            names = {name for param in self.params for name in [param.name or ""]}
            complain(in_options(str(error), names))
            raise typer.Exit(1 if isinstance(error, CostError | DivergedError) else 2) from None


def rewrite(args: list[str], options: Mapping[str, bool]) -> list[str]:
    """The words as typer reads them; `options` tells which of them take a value.

    >>> rewrite(["x**2 + y", "--start", "x=-1", "y=1", "--json"], {"--start": True, "--json": False})
    ['x**2 + y', '--start=x=-1', '--start=y=1', '--json']
    >>> rewrite(["-x**2", "--start", "x=1"], {"--start": True})
    ['--start=x=1', '--', '-x**2']
    >>> rewrite(["cos(x)", "--starts", "grid", "9", "-5..5"], {"--starts": True})
    ['cos(x)', '--starts=grid 9 -5..5']
    """
    done: list[str] = []
    formulas: list[str] = []
    variables = {f"-{word.partition('=')[0]}" for word in args if "=" in word}
    while args:
        word = args.pop(0)
        if word == "--":
            return [*done, "--", *formulas, *args]
        if word in SEVERAL and word in options:
            taken = [args.pop(0)] if args and args[0] not in options else []
            while args and _is_value(args[0]) and args[0] not in options:
                taken.append(args.pop(0))
            done += [f"{word}={value}" for value in taken] if taken else [word]
        elif word in SCHEDULED and word in options and args:
            taken = [args.pop(0)]
            number = re.fullmatch(NUMBER, taken[0])
            while args and not number and (re.fullmatch(NUMBER, args[0]) or _follows(taken, args[0])):
                taken.append(args.pop(0))
            done += [word, " ".join(taken)]
        elif word == "--starts" and word in options and args:
            taken = [args.pop(0)]
            while args and args[0] not in options and re.fullmatch(r"\d+(x\d+)*|\S*\d\.\.\S+", args[0]):
                taken.append(args.pop(0))
            done.append(f"{word}={' '.join(taken)}")
        elif word in COUNTED and word in options:
            count = args.pop(0) if args and re.fullmatch(r"[-+]?[\d_,]+(\.\d*)?", args[0]) else COUNTED[word]
            done.append(f"{word}={count}")
        elif options.get(word):
            done += [word, *args[:1]]
            del args[:1]
        elif _is_formula(word, options) or (word in variables and word not in options):
            formulas.append(word)
        else:
            done.append(word)
    return [*done, "--", *formulas] if formulas else done


def _is_value(word: str) -> bool:
    """Whether a word after the first still belongs to the option: NAME=VALUE, or a number."""
    return bool(re.match(r"[^\W\d]\w*=(?!=)", word) or re.fullmatch(NUMBER + ",?", word))


def _follows(taken: list[str], word: str) -> bool:
    """Whether a word is the name of the schedule that comes after a warm-up and its number of steps."""
    return taken[0] == "warm-up" and len(taken) == 2 and re.fullmatch(r"[a-z]+(-[a-z]+)*", word) is not None


def _is_formula(word: str, options: Mapping[str, bool]) -> bool:
    """Whether a word that begins with a minus is a formula and no option."""
    if not word.startswith("-") or word.startswith("--") or word in options:
        return False
    attached = word[:2] in options and re.fullmatch(f"=?({NUMBER})", word[2:])
    return not attached and re.search(r"[*/^()+\s.\d]|.-", word) is not None


def in_options(message: str, names: set[str]) -> str:
    """A message of the library in the words of the command line.

    >>> in_options("method='lbfg'; did you mean lbfgs?", {"method"})
    '--method lbfg; did you mean lbfgs?'
    >>> in_options("max_steps=-1: expected a number of at least 0", {"steps"})
    '--steps -1: expected a number of at least 0'
    >>> in_options("learning_rate: steps=0.1; expected at least 1", {"learning_rate", "steps"})
    '--learning-rate: steps=0.1; expected at least 1'
    >>> in_options("learning_rate='cosin 1 2'; did you mean cosine?", {"learning_rate"})
    "--learning-rate 'cosin 1 2'; did you mean cosine?"
    """

    def put(match: re.Match) -> str:
        name = PYTHON_NAMES.get(match["name"], match["name"])
        return f"--{name.replace('_', '-')} {match['value']}" if name in names else match[0]

    name = r"(?<![\w-])(?<!learning_rate: )(?P<name>[a-z]\w*)="  # the numbers of a rate are no options
    message = re.sub(name + r"(?P<q>['\"]?)(?P<value>[-+\w.]+)(?P=q)", put, message)
    message = re.sub(name + r"(?P<value>'[^']*'|\"[^\"]*\")", put, message)
    return re.sub(
        r"(?<![\w-])(\w+_\w+)(?![\w=(])", lambda m: f"--{m[1].replace('_', '-')}" if m[1] in names else m[1], message
    )
