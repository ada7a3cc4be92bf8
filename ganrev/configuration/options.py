"""Options from YAML and the command line: type and range stand beside the parameter, and are checked in one way.

A parameter is an option where its annotation says what it may be: one of the kinds below, `Literal[...]`, `bool`, or
one of these `| None`. YAML gives values of any type; `true` is not a number, and 1e3, which YAML reads as 1000.0, is a
whole one. Rules between several options are code in the constructor.
"""

import functools
import inspect
import math
import operator
from collections.abc import Callable, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, Field, StrictBool, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _number(value: object) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("no finite number")
    return value


def _whole(value: object) -> int:
    number = _number(value)
    if int(number) != number:
        raise ValueError("no whole number")
    return int(number)


def _several(value: object) -> list[object]:
    if isinstance(value, str) or not isinstance(value, Sequence):  # OmegaConf's lists are sequences, too
        raise ValueError("no list")
    return list(value)


# Bases of other kinds: Annotated[Number, Field(ge=0, le=0.5, description="a number from 0 to 0.5")].
Number = Annotated[float, BeforeValidator(_number), Field(description="a number")]
Whole = Annotated[int, BeforeValidator(_whole), Field(description="a whole number")]
Several = BeforeValidator(_several)

Positive = Annotated[Number, Field(gt=0, description="a positive number")]
NotNegative = Annotated[Number, Field(ge=0, description="a number of at least 0")]
Share = Annotated[Number, Field(gt=0, lt=1, description="a number between 0 and 1")]
BelowOne = Annotated[Number, Field(ge=0, lt=1, description="a number of at least 0 and below 1")]
Count = Annotated[Whole, Field(ge=1, description="a whole number of at least 1")]
CountOrZero = Annotated[Whole, Field(ge=0, description="a whole number of at least 0")]


def checked_options(prefix: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Check and convert the options that a constructor or function is given.

    Args:
        prefix: of the options' full names, such as `reversal.`.

    Raises:
        ValueError: on a call, where a value is not what its option may be; the message has the option's full name,
            what was expected and what came.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        signature = inspect.signature(function)
        hints = get_type_hints(function, include_extras=True)
        kinds = {name: _Kind(hints[name]) for name in signature.parameters if _is_option(hints.get(name))}

        @functools.wraps(function)
        def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:  # one missing or too many: Python's own message names the function, too
                return function(*args, **kwargs)
            for name, kind in kinds.items():
                if name in bound.arguments:
                    bound.arguments[name] = kind.check(prefix + name, bound.arguments[name])
            return function(*bound.args, **bound.kwargs)

        return checked

    return decorate


def check_option(kind: object, name: str, value: object) -> Any:
    """Return one option's value, converted; ValueError, naming it, unless it is of a kind such as `Count`."""
    return _Kind(kind).check(name, value)


class _Kind:
    """What one option may be, and how that is said."""

    def __init__(self, hint: object) -> None:
        self._adapter: TypeAdapter[Any] = TypeAdapter(_strict(hint))
        self._expected = _describe(hint)

    def check(self, name: str, value: object) -> Any:
        try:
            return self._adapter.validate_python(value)
        except (ValidationError, OverflowError):  # a whole number may be too large for a float
            raise ValueError(f"{name} must be {self._expected}, got {value!r}") from None


def _is_option(hint: object) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return all(_is_option(part) for part in get_args(hint) if part is not NoneType)
    return hint is bool or get_origin(hint) is Literal or any(isinstance(part, FieldInfo) for part in _extras(hint))


def _extras(hint: object) -> tuple[object, ...]:
    return tuple(getattr(hint, "__metadata__", ()))


def _strict(hint: object) -> Any:
    if get_origin(hint) in (Union, UnionType):
        return functools.reduce(operator.or_, map(_strict, get_args(hint)))
    return StrictBool if hint is bool else hint


def _describe(hint: object) -> str:
    if get_origin(hint) in (Union, UnionType):
        parts = [_describe(part) for part in get_args(hint) if part is not NoneType]
        return " or ".join(parts) + (", or null" if NoneType in get_args(hint) else "")
    if hint is bool:
        return "true or false"
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    descriptions = [part.description for part in _extras(hint) if isinstance(part, FieldInfo) and part.description]
    return str(descriptions[-1])
