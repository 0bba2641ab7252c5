import re

import pytest

from hasnn_jax.common.lookup import build, call_with, look_up, unknown_name

TABLE = {"if": dict, "lif": dict, "parrot": lambda *, volume=1: ("squawk", volume), "frozen": frozenset}


def test_an_unknown_name_lists_the_valid_ones_in_order_and_the_nearest():
    error = unknown_name("bird", "parot", ["parrot", "finch"])

    assert isinstance(error, ValueError)
    assert str(error) == "unknown bird 'parot': expected one of finch, parrot; did you mean 'parrot'?"


def test_a_name_unlike_all_gets_no_suggestion():
    assert str(unknown_name("bird", "submarine", ["finch"])) == "unknown bird 'submarine': expected one of finch"


@pytest.mark.parametrize("name", [None, 3])
def test_a_name_that_is_no_text_is_unknown(name):
    with pytest.raises(ValueError, match=f"unknown bird {name}: expected one of frozen, if, lif, parrot"):
        look_up("bird", name, TABLE)


def test_a_known_name_gives_the_tables_own_entry():
    assert look_up("bird", "lif", TABLE) is dict


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parrot", ("squawk", 1)),
        ("parrot()", ("squawk", 1)),
        ("parrot(volume=11)", ("squawk", 11)),
        ("parrot (volume=-2.5)", ("squawk", -2.5)),
        ("parrot(volume=(1, 'a'))", ("squawk", (1, "a"))),
        ("if", {}),
        ("if(a=1, b=True, c=None, d='x')", {"a": 1, "b": True, "c": None, "d": "x"}),
    ],
)
def test_text_builds_the_entry_with_its_arguments(text, expected):
    assert build("bird", text, TABLE) == expected


@pytest.mark.parametrize(
    "text",
    [
        "parrot(11)",
        "parrot(volume=)",
        "parrot(volume=1",
        "parrot(volume=1) + 1",
        "parrot(volume=1).x",
        "parrot(volume=1)(volume=2)",
        "parrot(volume=open('x'))",
        "parrot(volume=__import__('os'))",
        "parrot(volume=volume)",
        "parrot(**{'volume': 1}",
    ],
)
def test_anything_but_a_call_with_plain_keyword_values_is_refused_unexecuted(text):
    with pytest.raises(ValueError, match=re.escape(f"bird {text!r}: expected a name, or a name with arguments as in")):
        build("bird", text, TABLE)


@pytest.mark.parametrize("text", ["parot(volume=1)", "parrot)", "", "Parrot"])
def test_an_unknown_name_in_text_is_answered_with_the_valid_ones(text):
    with pytest.raises(ValueError, match=r"unknown bird .*: expected one of frozen, if, lif, parrot"):
        build("bird", text, TABLE)


def test_arguments_that_the_entry_refuses_are_named_with_the_text():
    with pytest.raises(ValueError, match=r"bird 'parrot\(loud=1\)': .*unexpected keyword argument 'loud'"):
        build("bird", "parrot(loud=1)", TABLE)


def test_a_function_is_called_with_those_settings_that_it_takes():
    def function(a, *, b=2, c=3):
        return a, b, c

    assert call_with(function, {"a": 1, "c": 5, "d": 7}) == (1, 2, 5)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        call_with(function, {"b": 1})
